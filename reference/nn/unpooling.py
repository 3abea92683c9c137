"""What puts maxima back in their places, and pooling by windows that begin at given random places."""

from __future__ import annotations

from typing import Any

from reference.draw import Draw
from reference.nn.layer import Described, LayerCase, layer
from reference.ops.pool_fractional import fractional_cases
from reference.ops.pool_indices import unpool_cases


def unpool_layer_cases(n):
    def cases(draw: Draw) -> LayerCase:
        case = unpool_cases(n)(draw)
        options = dict(case.kwargs)
        size = options.pop("output_size", None)
        return LayerCase((), options, case.args if size is None else (*case.args, size), draw.boolean())

    return cases


def unpool(n, kernel_size, stride, padding):
    def forward(tape, p, training, x, indices, output_size=None):
        return tape.apply(f"nn.functional.max_unpool{n}d", x, indices, kernel_size, stride, padding, output_size)

    return Described({}, forward)


@layer("nn.MaxUnpool1d", cases=unpool_layer_cases(1))
def max_unpool1d(kernel_size, stride=None, padding=0):
    """Zeros, with each element at the place that indices say; output_size in a call settles the length.

    input, indices: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.MaxUnpool1d.
    """
    return unpool(1, kernel_size, stride, padding)


@layer("nn.MaxUnpool2d", cases=unpool_layer_cases(2))
def max_unpool2d(kernel_size, stride=None, padding=0):
    """MaxUnpool1d over two axes.

    input, indices: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.MaxUnpool2d.
    """
    return unpool(2, kernel_size, stride, padding)


@layer("nn.MaxUnpool3d", cases=unpool_layer_cases(3))
def max_unpool3d(kernel_size, stride=None, padding=0):
    """MaxUnpool1d over three axes.

    input, indices: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.MaxUnpool3d.
    """
    return unpool(3, kernel_size, stride, padding)


def fractional_layer_cases(n):
    def cases(draw: Draw) -> LayerCase:
        case = fractional_cases(n)(draw)
        x, kernel, *size = case.args
        options = dict(case.kwargs)
        samples: Any = options.pop("_random_samples")
        ratio: Any = options.pop("output_ratio", None)
        out: Any = size[0] if size else None
        if isinstance(ratio, tuple) and max(ratio) >= 1:  # which the class excludes, unlike the function
            ratio, out = None, tuple(int(s * r) for s, r in zip(x.shape[-n:], ratio))
        args = (kernel, out, ratio, options["return_indices"], samples)
        return LayerCase(args, {}, (x,), draw.boolean())

    return cases


def fractional(n, kernel_size, output_size, output_ratio, return_indices, samples):
    """The random numbers are a buffer; without them the windows are random."""

    def forward(tape, p, training, x):
        options = (kernel_size, output_size, output_ratio, return_indices, p["_random_samples"])
        return tape.apply(f"nn.functional.fractional_max_pool{n}d", x, *options)

    return Described({}, forward, {"_random_samples": samples})


@layer("nn.FractionalMaxPool2d", cases=fractional_layer_cases(2))
def fractional_max_pool2d(kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples=None):  # fmt: skip
    """The greatest element of each of output_size windows (or output_ratio of the size), which begin at random.

    input: (N, C, H, W) or (C, H, W); _random_samples: (N, C, 2); output: (N, C, H', W'), with return_indices
    also the places.  Source: torch.nn.FractionalMaxPool2d; Graham, arXiv:1412.6071.
    """
    return fractional(2, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@layer("nn.FractionalMaxPool3d", cases=fractional_layer_cases(3))
def fractional_max_pool3d(kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples=None):  # fmt: skip
    """FractionalMaxPool2d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); _random_samples: (N, C, 3); output: (N, C, D', H', W').
    Source: torch.nn.FractionalMaxPool3d; Graham, arXiv:1412.6071.
    """
    return fractional(3, kernel_size, output_size, output_ratio, return_indices, _random_samples)
