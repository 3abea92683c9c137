"""Maxima with their places, the pools that torch has below nn.functional, and what puts maxima back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.conv import grown, option, per_axis
from reference.ops.pool import adaptive_errors, pool_errors
from reference.ops.pool_max import adaptive_greatest, adaptive_max_cases, greatest, max_cases
from reference.rule import Array, Case, Rule, rule


def without_flag(cases: Callable[[Draw], Case]) -> Callable[[Draw], Case]:
    """The cases of a pool that has no return_indices."""

    def drawn(draw: Draw) -> Case:
        case = cases(draw)
        return Case(case.args, {k: v for k, v in case.kwargs.items() if k != "return_indices"})

    return drawn


def with_places(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(f"nn.functional.max_pool{n}d_with_indices", cases=max_cases(n), errors=pool_errors(n))


@with_places(1)
def max_pool1d_with_indices(input: Array, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=False):  # fmt: skip
    """max_pool1d and the places of the maxima, whatever return_indices says.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L') twice.  Source: torch.nn.MaxPool1d.
    """
    return greatest(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@with_places(2)
def max_pool2d_with_indices(input: Array, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=False):  # fmt: skip
    """max_pool2d and the places of the maxima, row-major in a plane.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W') twice.  Source: torch.nn.MaxPool2d.
    """
    return greatest(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@with_places(3)
def max_pool3d_with_indices(input: Array, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=False):  # fmt: skip
    """max_pool3d and the places of the maxima, row-major in a volume.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W') twice.  Source: torch.nn.MaxPool3d.
    """
    return greatest(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def adaptive_with_places(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(
        f"nn.functional.adaptive_max_pool{n}d_with_indices", cases=adaptive_max_cases(n), errors=adaptive_errors(n)
    )


@adaptive_with_places(1)
def adaptive_max_pool1d_with_indices(input: Array, output_size, return_indices=False):
    """adaptive_max_pool1d and the places of the maxima.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L') twice.  Source: torch.nn.AdaptiveMaxPool1d.
    """
    return adaptive_greatest(1, input, output_size, True)


@adaptive_with_places(2)
def adaptive_max_pool2d_with_indices(input: Array, output_size, return_indices=False):
    """adaptive_max_pool2d and the places of the maxima.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') twice.  Source: torch.nn.AdaptiveMaxPool2d.
    """
    return adaptive_greatest(2, input, output_size, True)


@adaptive_with_places(3)
def adaptive_max_pool3d_with_indices(input: Array, output_size, return_indices=False):
    """adaptive_max_pool3d and the places of the maxima.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W') twice.  Source: torch.nn.AdaptiveMaxPool3d.
    """
    return adaptive_greatest(3, input, output_size, True)


@rule("adaptive_max_pool1d", cases=without_flag(adaptive_max_cases(1)), errors=adaptive_errors(1), method=False)
def adaptive_max_pool1d(input: Array, output_size):
    """nn.functional.adaptive_max_pool1d with the places of the maxima.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L') twice.  Source: torch.nn.AdaptiveMaxPool1d.
    """
    return adaptive_greatest(1, input, output_size, True)


@rule("max_pool1d_with_indices", cases=without_flag(max_cases(1)), errors=pool_errors(1), method=False)
def plain_with_places(input: Array, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False):
    """nn.functional.max_pool1d_with_indices.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L') twice.  Source: torch.nn.MaxPool1d.
    """
    return greatest(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def plain(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(f"max_pool{n}d", cases=without_flag(max_cases(n)), errors=pool_errors(n), method=False)


@plain(1)
def max_pool1d(input: Array, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False):
    """nn.functional.max_pool1d without the places.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.MaxPool1d.
    """
    return greatest(1, input, kernel_size, stride, padding, dilation, ceil_mode, False)


@plain(2)
def max_pool2d(input: Array, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False):
    """nn.functional.max_pool2d without the places.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.MaxPool2d.
    """
    return greatest(2, input, kernel_size, stride, padding, dilation, ceil_mode, False)


@plain(3)
def max_pool3d(input: Array, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False):
    """nn.functional.max_pool3d without the places.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.MaxPool3d.
    """
    return greatest(3, input, kernel_size, stride, padding, dilation, ceil_mode, False)


def unpooled(n, input, indices, kernel_size, stride, padding, output_size):
    """Zeros, with each element of the input at its place in its plane."""
    kernel, padding = per_axis(kernel_size, n), per_axis(padding, n)
    stride = per_axis(stride, n) if stride not in (None, (), []) else kernel
    sizes = input.shape[-n:]
    out = [(size - 1) * s - 2 * p + k for size, k, s, p in zip(sizes, kernel, stride, padding)]
    if output_size is not None:
        out = [int(s) for s in output_size][-n:]
    lead, volume = input.shape[:-n], math.prod(out)
    at = indices.reshape(math.prod(lead), math.prod(sizes))
    if np.any((at < 0) | (at >= volume)):
        raise RuntimeError("a place is outside of the output")
    y = np.zeros((len(at), volume), input.dtype)
    np.put_along_axis(y, at, input.reshape(at.shape), 1)

    def vjp(g):
        return np.take_along_axis(g.reshape(len(at), volume), at, 1).reshape(input.shape), None

    return y.reshape(*lead, *out), vjp


def unpool_cases(n):
    def cases(draw: Draw):
        # a large input times large strides is millions of elements
        most = 1 if draw.regime in ("edges", "large") else 3
        kernel, stride = option(draw, n, 1, 2 if most == 1 else 3), draw.choice(None, option(draw, n, 1, most))
        batch, channels, *sizes = grown(draw, [1, 1, *(1,) * n])
        if most == 1:
            kernel, stride, channels = 2, 1, 1
        steps = per_axis(kernel if stride is None else stride, n)
        plain = [(size - 1) * s + k for size, s, k in zip(sizes, steps, per_axis(kernel, n))]
        # padding cuts, output_size adds; there must be a place for every element
        padding = draw.integer(0, min(per_axis(kernel, n)) // 2)
        padding = padding if all(p - 2 * padding >= size for p, size in zip(plain, sizes)) else 0
        out = [p - 2 * padding for p in plain]
        options = dict(kernel_size=kernel, stride=stride, padding=padding)
        if draw.boolean():
            out = [o + draw.integer(0, s - 1) for o, s in zip(out, steps)]
            options["output_size"] = tuple(draw.choice(out, [batch, channels, *out]))
        planes, volume, count = batch * channels, math.prod(out), math.prod(sizes)
        places = draw.generator().permuted(np.tile(np.arange(volume), (planes, 1)), axis=1)[:, :count]
        x, at = draw.reals((batch, channels, *sizes)), places.reshape(batch, channels, *sizes)
        if batch == 1 and draw.boolean():
            x, at = x[0], at[0]
            if "output_size" in options:  # torch wants the whole size or that of the axes alone
                options["output_size"] = tuple(out)
        return Case((x, at), options)

    return cases


def unpool_errors(n):
    def errors(draw: Draw):
        x, at = draw.reals((1, 1, *(2,) * n)), np.arange(2**n).reshape(1, 1, *(2,) * n)
        return [
            (Case((x, at + 4**n, 2)), RuntimeError),
            (Case((x, at[..., :1], 2)), RuntimeError),
            (Case((x, at, 2), dict(output_size=(9,) * n)), ValueError),
        ]

    return errors


def inverse(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(f"nn.functional.max_unpool{n}d", cases=unpool_cases(n), errors=unpool_errors(n))


@inverse(1)
def max_unpool1d(input: Array, indices: Array, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros, with each element at its place; as long as what max_pool1d has pooled, or as output_size says.

    input, indices: (N, C, L) or (C, L); output: (N, C, (L - 1) stride - 2 padding + kernel_size).
    Source: torch.nn.MaxUnpool1d.
    """
    return unpooled(1, input, indices, kernel_size, stride, padding, output_size)


@inverse(2)
def max_unpool2d(input: Array, indices: Array, kernel_size, stride=None, padding=0, output_size=None):
    """max_unpool1d over two axes; places are row-major in a plane.

    input, indices: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.MaxUnpool2d.
    """
    return unpooled(2, input, indices, kernel_size, stride, padding, output_size)


@inverse(3)
def max_unpool3d(input: Array, indices: Array, kernel_size, stride=None, padding=0, output_size=None):
    """max_unpool1d over three axes; places are row-major in a volume.

    input, indices: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.MaxUnpool3d.
    """
    return unpooled(3, input, indices, kernel_size, stride, padding, output_size)
