"""Transposed convolutions, and the patches of an image as columns of a matrix."""

from __future__ import annotations

import math

from reference.draw import Draw
from reference.ops.conv import (
    convolution,
    convolve_transposed,
    grown,
    option,
    overlap,
    per_axis,
    places,
    windows,
)
from reference.rule import Array, Case, rule


@convolution("conv_transpose1d")
def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
):
    """y[o, stride i + dilation k - padding] = bias[o] + the sum of weight[c, o, k] x[c, i] over c, i, k.

    input: (N, C, L) or (C, L); weight: (C, O/groups, K); bias: (O,); output: (N, O, L') or (O, L') with
    L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.
    Source: torch.nn.ConvTranspose1d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolve_transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@convolution("conv_transpose2d")
def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
):
    """conv_transpose1d over two axes.

    input: (N, C, H, W) or (C, H, W); weight: (C, O/groups, K, K'); output: (N, O, H', W') or (O, H', W').
    Source: torch.nn.ConvTranspose2d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolve_transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@convolution("conv_transpose3d")
def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
):
    """conv_transpose1d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); weight: (C, O/groups, K, K', K''); output: (N, O, D', H', W').
    Source: torch.nn.ConvTranspose3d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolve_transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def patch_options(draw: Draw):
    return dict(
        kernel_size=option(draw, 2, 1, 3),
        dilation=option(draw, 2, 1, 2),
        padding=option(draw, 2, 0, 2),
        stride=option(draw, 2, 1, 3),
    )


def patch_geometry(kernel_size, dilation, padding, stride):
    pads = tuple((p, p) for p in per_axis(padding, 2))
    return per_axis(kernel_size, 2), per_axis(stride, 2), per_axis(dilation, 2), pads


def unfold_cases(draw: Draw):
    options = patch_options(draw)
    kernel, _, dilation, pads = patch_geometry(**options)
    lows = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, (p, _) in zip(kernel, dilation, pads)]
    shape = grown(draw, [1, 1, *lows])
    return Case((draw.numbers(shape[1:] if shape[0] == 1 and draw.boolean() else shape),), options)


def unfold_errors(draw: Draw):
    x = draw.reals((1, 2, 3, 3))
    return [(Case((x, 4)), RuntimeError), (Case((x, 2), dict(stride=0)), RuntimeError)]


@rule("nn.functional.unfold", cases=unfold_cases, errors=unfold_errors, complex=True)
def unfold(input: Array, kernel_size, dilation=1, padding=0, stride=1):
    """The patches under a kernel, each a column.

    input: (N, C, H, W) or (C, H, W); output: (N, C K K', L) or (C K K', L), L patches in row-major order.
    Source: torch.nn.Unfold.
    """
    x = input if input.ndim == 4 else input[None]
    kernel, stride, dilation, pads = patch_geometry(kernel_size, dilation, padding, stride)
    out = places(x.shape[2:], kernel, stride, dilation, pads)
    shape = (*input.shape[:-3], x.shape[1] * math.prod(kernel), math.prod(out))

    def vjp(g):
        patches = g.reshape(*x.shape[:2], *kernel, *out)
        return (overlap(patches, kernel, stride, dilation, pads, x.shape[2:]).reshape(input.shape),)

    return windows(x, kernel, stride, dilation, pads, out).reshape(shape), vjp


def fold_cases(draw: Draw):
    case = unfold_cases(draw)
    (x,), options = case.args, case.kwargs
    kernel, *geometry = patch_geometry(**options)
    length = math.prod(places(x.shape[-2:], kernel, *geometry))
    columns = draw.numbers((*x.shape[:-3], x.shape[-3] * math.prod(kernel), length))
    return Case((columns, x.shape[-2:]), options)


def fold_errors(draw: Draw):
    return [(Case((draw.reals((1, 8, 4)), 4, 2)), RuntimeError)]  # 9 patches fit, not 4


@rule("nn.functional.fold", cases=fold_cases, errors=fold_errors, complex=True)
def fold(input: Array, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The image in which column l is the patch at place l; patches add up where they overlap.

    input: (N, C K K', L) or (C K K', L); output: (N, C, H, W) or (C, H, W).  Source: torch.nn.Fold.
    """
    x = input if input.ndim == 3 else input[None]
    kernel, stride, dilation, pads = patch_geometry(kernel_size, dilation, padding, stride)
    size = per_axis(output_size, 2)
    out = places(size, kernel, stride, dilation, pads)
    channels = x.shape[1] // math.prod(kernel)
    patches = x.reshape(x.shape[0], channels, *kernel, *out)
    image = overlap(patches, kernel, stride, dilation, pads, size)

    def vjp(g):
        g = g.reshape(x.shape[0], channels, *size)
        return (windows(g, kernel, stride, dilation, pads, out).reshape(input.shape),)

    return image.reshape(*input.shape[:-2], channels, *size), vjp
