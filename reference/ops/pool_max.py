"""Pooling that is not linear: the greatest element of each window, and its p-norm."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.conv import option, per_axis
from reference.ops.pool import (
    adaptive_cases,
    adaptive_errors,
    adaptive_range,
    adaptive_sizes,
    mean_windows,
    places,
    pool_errors,
    pool_input,
    pool_options,
    separable,
)
from reference.rule import Array, Case, Rule, rule


@functools.lru_cache(256)
def table(sizes, taps):
    """The flat places of the elements of each window (row-major); outside ones repeat the first inside.

    taps: for each axis the tuple of its windows, each a tuple of places, -1 outside.
    """
    flat, inside = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    for size, axis in zip(sizes, taps):
        at = np.array(axis, np.int64)
        flat = (flat[:, None, :, None] * size + at[:, None, :]).reshape(len(flat) * at.shape[0], -1)
        inside = (inside[:, None, :, None] & (at >= 0)[:, None, :]).reshape(flat.shape)
    # a repeated first element never changes which of the elements is the first greatest one
    first = np.take_along_axis(flat, inside.argmax(1)[:, None], 1)
    return np.where(inside, flat, first)


def choose(x, n, where, shape, return_indices):
    """The greatest element of each window (the first of equal ones, row-major), and its flat place."""
    lead, size = x.shape[:-n], math.prod(x.shape[-n:])
    flat = x.reshape(math.prod(lead), size)
    tap = flat.real[:, where].argmax(-1)  # argmax takes a nan for the greatest, as torch does
    index = where[np.arange(len(where)), tap]
    at = (index + size * np.arange(len(flat))[:, None]).reshape(-1)

    def vjp(g):
        g = g[0] if return_indices else g
        spread = np.zeros(flat.size, g.dtype)
        np.add.at(spread, at, g.reshape(-1))
        return (spread.reshape(x.shape),)

    y = flat.reshape(-1)[at].reshape(*lead, *shape)
    return ((y, index.reshape(y.shape)) if return_indices else y), vjp


@functools.lru_cache(1024)
def dilated(size, kernel, stride, padding, dilation, ceil_mode):
    starts = np.arange(places(size, kernel, stride, padding, dilation, ceil_mode)) * stride - padding
    at = starts[:, None] + dilation * np.arange(kernel)
    return tuple(map(tuple, np.where((at >= 0) & (at < size), at, -1).tolist()))


@functools.lru_cache(1024)
def ranges(size, out):
    starts, ends = adaptive_range(size, out)
    at = starts[:, None] + np.arange(max(ends - starts, default=1))
    return tuple(map(tuple, np.where(at < ends[:, None], at, -1).tolist()))


def greatest(n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    kernel, padding, dilation = per_axis(kernel_size, n), per_axis(padding, n), per_axis(dilation, n)
    stride = per_axis(stride, n) if stride not in (None, (), []) else kernel
    sizes = input.shape[-n:]
    taps = tuple(dilated(*each, bool(ceil_mode)) for each in zip(sizes, kernel, stride, padding, dilation))
    return choose(input, n, table(sizes, taps), [len(axis) for axis in taps], return_indices)


def adaptive_greatest(n, input, output_size, return_indices):
    sizes, out = input.shape[-n:], adaptive_sizes(input, output_size, n)
    taps = tuple(ranges(*each) for each in zip(sizes, out))
    return choose(input, n, table(sizes, taps), out, return_indices)


def max_cases(n):
    def cases(draw: Draw):
        options = pool_options(draw, n, dilations=True)
        options["return_indices"] = draw.boolean()
        return Case((pool_input(draw, n, options, options["padding"]),), options)

    return cases


def maximal(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(f"nn.functional.max_pool{n}d", cases=max_cases(n), errors=pool_errors(n), special="nonfinite")


@maximal(1)
def max_pool1d(input: Array, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The greatest of x[stride i + dilation k - padding] over k; of equal ones the first has the gradient.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L'), with return_indices also their places.
    Source: torch.nn.MaxPool1d.
    """
    return greatest(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@maximal(2)
def max_pool2d(input: Array, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max_pool1d over two axes; places and the order of equal ones are row-major.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.MaxPool2d.
    """
    return greatest(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@maximal(3)
def max_pool3d(input: Array, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max_pool1d over three axes; places and the order of equal ones are row-major.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.MaxPool3d.
    """
    return greatest(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def adaptive_max_cases(n):
    def cases(draw: Draw):
        case = adaptive_cases(n)(draw)
        return Case(case.args, dict(return_indices=draw.boolean()))

    return cases


def adaptive_maximal(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(
        f"nn.functional.adaptive_max_pool{n}d",
        cases=adaptive_max_cases(n),
        errors=adaptive_errors(n),
        special="nonfinite",
    )


@adaptive_maximal(1)
def adaptive_max_pool1d(input: Array, output_size, return_indices=False):
    """The greatest element over the window [floor(i L / L'), ceil((i + 1) L / L')) at place i of L'.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AdaptiveMaxPool1d.
    """
    return adaptive_greatest(1, input, output_size, return_indices)


@adaptive_maximal(2)
def adaptive_max_pool2d(input: Array, output_size, return_indices=False):
    """adaptive_max_pool1d over two axes; a size of None is the input's own.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.AdaptiveMaxPool2d.
    """
    return adaptive_greatest(2, input, output_size, return_indices)


@adaptive_maximal(3)
def adaptive_max_pool3d(input: Array, output_size, return_indices=False):
    """adaptive_max_pool1d over three axes; a size of None is the input's own.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AdaptiveMaxPool3d.
    """
    return adaptive_greatest(3, input, output_size, return_indices)


def power(n, input, norm_type, kernel_size, stride, ceil_mode):
    """(sum of x^p)^(1/p) over each window; where the sum is 0 the gradient is 0 by definition."""
    kernel, p = per_axis(kernel_size, n), float(norm_type)
    stride = per_axis(stride, n) if stride not in (None, (), []) else kernel
    sizes = zip(input.shape[-n:], kernel, stride)
    axes = [mean_windows(s, k, step, 0, bool(ceil_mode), True)[0] for s, k, step in sizes]
    # 0 exactly, also for a stepped zero, so that the test for a sum of 0 finds it
    powers = input if p == 1.0 else np.where(input.real == 0, 0.0, input**p)
    total, adjoint = separable(powers, axes)
    zero = total.real == 0
    root = np.where(zero, 1.0, total) ** (1.0 / p - 1.0)

    def vjp(g):
        return (adjoint(np.where(zero, 0.0, g * root)) * input ** (p - 1.0),)

    return np.where(zero, 0.0, total * root), vjp


def lp_cases(n):
    def cases(draw: Draw):
        p = draw.choice(2, 1, 2.0, 1.5, 4, 3)
        # torch takes no tuple for a single axis
        kernel, stride = (option(draw, n, 1, 3) if n > 1 else draw.integer(1, 3) for _ in range(2))
        options = dict(kernel_size=kernel, stride=draw.choice(None, stride))
        # an odd or broken power of a negative number has no root
        x = pool_input(draw, n, options)
        # multiples of 1/4, whose powers do not vanish in float16
        x = draw.integers(x.shape, -12 if p in (2, 4) else 1, 12) / 4.0
        return Case((x, p, kernel, options["stride"]), dict(ceil_mode=draw.boolean()))

    return cases


def lp_errors(n):
    return lambda draw: [(Case((draw.reals((1, *(3,) * n)), 2, 7)), RuntimeError)]


def norms(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(f"nn.functional.lp_pool{n}d", cases=lp_cases(n), errors=lp_errors(n))


@norms(1)
def lp_pool1d(input: Array, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum over the window of x^p)^(1/p), p = norm_type; where the sum is 0 the gradient is 0.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.LPPool1d.
    """
    return power(1, input, norm_type, kernel_size, stride, ceil_mode)


@norms(2)
def lp_pool2d(input: Array, norm_type, kernel_size, stride=None, ceil_mode=False):
    """lp_pool1d over two axes.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.LPPool2d.
    """
    return power(2, input, norm_type, kernel_size, stride, ceil_mode)


@norms(3)
def lp_pool3d(input: Array, norm_type, kernel_size, stride=None, ceil_mode=False):
    """lp_pool1d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.LPPool3d.
    """
    return power(3, input, norm_type, kernel_size, stride, ceil_mode)
