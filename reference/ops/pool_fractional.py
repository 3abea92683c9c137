"""The greatest element of windows that begin at random places, where the random numbers are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.conv import option, per_axis
from reference.rule import Array, Case, Rule, rule


def begins(size, out, kernel, u):
    """Where the windows begin: floor((i + u) a) - floor(u a) with a = (size - kernel) / (out - 1), the last at the end.

    u: (planes,); result: (planes, out).
    """
    a = (size - kernel) / max(out - 1, 1)
    at = np.floor((np.arange(out) + u[:, None]) * a) - np.floor(u * a)[:, None]
    at[:, -1:] = size - kernel
    return at.astype(np.int64)


def fractional(n, input, kernel_size, output_size, output_ratio, return_indices, samples):
    if samples is None:
        raise ValueError("without _random_samples the windows are random")
    kernel, sizes = per_axis(kernel_size, n), input.shape[-n:]
    if output_size is not None:
        out = per_axis(output_size, n)
    elif output_ratio is not None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
        out = tuple(int(size * ratio) for size, ratio in zip(sizes, ratios))
    else:
        raise ValueError("either an output_size or an output_ratio")
    lead, volume = input.shape[:-n], math.prod(sizes)
    planes = math.prod(lead)
    flat, u = input.reshape(planes, volume), samples.reshape(planes, n)
    # in two dimensions the first number is for the width, in three for the depth
    order = (1, 0) if n == 2 else range(n)
    places = np.zeros((planes, 1, 1), np.int64)
    for size, o, k, i in zip(sizes, out, kernel, order):
        at = begins(size, o, k, u[:, i].real)[:, :, None] + np.arange(k)
        places = places[:, :, None, :, None] * size + at[:, None, :, None, :]
        places = places.reshape(planes, places.shape[1] * o, places.shape[3] * k)
    seen = np.take_along_axis(flat, places.reshape(planes, math.prod(places.shape[1:])), 1).reshape(places.shape)
    tap = seen.real.argmax(-1)[..., None]
    index = np.take_along_axis(places, tap, -1)[..., 0]
    y = np.take_along_axis(seen, tap, -1)[..., 0].reshape(*lead, *out)

    def vjp(g):
        g = g[0] if return_indices else g
        spread = np.zeros((planes, volume), g.dtype)
        np.add.at(spread, (np.arange(planes)[:, None], index), g.reshape(index.shape))
        return spread.reshape(input.shape), None

    return ((y, index.reshape(y.shape)) if return_indices else y), vjp


def fractional_cases(n):
    def cases(draw: Draw):
        # the batch grows alone: where a window begins must not turn on how bfloat16 rounds
        batch, channels = draw.side(0), draw.side()
        sizes = [draw.integer(2, 7) if n == 2 else draw.integer(3, 5) for _ in range(n)]
        kernel = option(draw, n, 1, 2)
        reach = per_axis(kernel, n)
        kind = draw.choice("size", "sizes", "ratios", "ratio")
        out = [size // 2 if kind == "ratio" else draw.integer(1, size - k + 1) for size, k in zip(sizes, reach)]
        # torch refuses in three dimensions a window at every place, which it takes in two
        most = 1 if n == 2 else 0
        if any(o > size - k + most or not len(steady(size, o, k)) for size, o, k in zip(sizes, out, reach)):
            kind, out = "size", [1] * n
        rng = draw.generator()
        samples = [rng.choice(steady(size, o, k), (batch, channels)) for size, o, k in zip(sizes, out, reach)]
        u = np.stack(samples[::-1] if n == 2 else samples, -1)
        options = dict(return_indices=draw.boolean(), _random_samples=u)
        x = draw.reals((batch, channels, *sizes))
        x = x[0] if batch == 1 and draw.boolean() else x
        if kind.startswith("ratio"):
            ratios = tuple((o + 0.5) / size for o, size in zip(out, sizes))
            return Case((x, kernel), dict(options, output_ratio=0.5 if kind == "ratio" else ratios))
        return Case((x, kernel, out[0] if kind == "size" and len(set(out)) == 1 else tuple(out)), options)

    return cases


def steady(size, out, kernel):
    """The numbers u, multiples of 1/16, for which no beginning is within an eighth of a jump."""
    u = np.arange(1, 16) / 16.0
    a = (size - kernel) / max(out - 1, 1)
    x = (np.arange(max(out - 1, 1)) + u[:, None]) * a
    return u[(np.abs(x - np.round(x)) > 0.125).all(1)] if out > 1 else u


def fractional_errors(n):
    def errors(draw: Draw):
        x, u = draw.reals((1, 2, *(6,) * n)), np.full((1, 2, n), 0.25)
        return [
            (Case((x, 2), dict(_random_samples=u)), ValueError),
            (Case((x, 5, 3), dict(_random_samples=u)), RuntimeError),
        ]

    return errors


def registered(n: int, more: str = "") -> Callable[[Callable[..., Any]], Rule]:
    return rule(f"nn.functional.fractional_max_pool{n}d{more}", cases=fractional_cases(n), errors=fractional_errors(n))


@registered(2)
def fractional_max_pool2d(input: Array, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples: Array | None = None):  # fmt: skip
    """The greatest element of each window; along each axis windows begin at floor((i + u) a) - floor(u a).

    a = (size - kernel_size) / (output size - 1), and the last window ends where the input does. Raises ValueError
    without the random numbers u.
    input: (N, C, H, W) or (C, H, W); _random_samples: (N, C, 2) for W and H; output: (N, C, H', W'), with
    return_indices also the places.  Source: Graham, arXiv:1412.6071; torch.nn.FractionalMaxPool2d.
    """
    return fractional(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@registered(3)
def fractional_max_pool3d(input: Array, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples: Array | None = None):  # fmt: skip
    """fractional_max_pool2d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); _random_samples: (N, C, 3) for D, H and W; output: (N, C, D', H', W').
    Source: Graham, arXiv:1412.6071; torch.nn.FractionalMaxPool3d.
    """
    return fractional(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@registered(2, "_with_indices")
def fractional_max_pool2d_with_indices(input: Array, kernel_size, output_size=None, output_ratio=None,
                                       return_indices=False, _random_samples: Array | None = None):  # fmt: skip
    """fractional_max_pool2d with the places, whatever return_indices says.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') twice.
    Source: Graham, arXiv:1412.6071; torch.nn.FractionalMaxPool2d.
    """
    return fractional(2, input, kernel_size, output_size, output_ratio, True, _random_samples)


@registered(3, "_with_indices")
def fractional_max_pool3d_with_indices(input: Array, kernel_size, output_size=None, output_ratio=None,
                                       return_indices=False, _random_samples: Array | None = None):  # fmt: skip
    """fractional_max_pool3d with the places, whatever return_indices says.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W') twice.
    Source: Graham, arXiv:1412.6071; torch.nn.FractionalMaxPool3d.
    """
    return fractional(3, input, kernel_size, output_size, output_ratio, True, _random_samples)
