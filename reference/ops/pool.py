"""Pooling: the mean, the greatest element or the p-norm of each window.

Means are linear and separate over the axes; `Matrix` is such a linear map along one axis, sparse, with
its transpose. A greatest element is a choice; `choose` picks it from a table of the windows' elements.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reference.draw import Draw
from reference.ops.conv import grown, option, per_axis
from reference.rule import Array, Case, Rule, rule


class Matrix(NamedTuple):
    """A sparse matrix in order of rows: row r sums weights * x[columns] over its run of entries."""

    rows: int
    columns: Array
    weights: Array | None  # None: all ones
    starts: Array | None  # where the run of each filled row begins; None: every row has one entry
    filled: Array | None  # the rows that have entries; None: all

    def __call__(self, x, axis):
        y = x.take(self.columns, axis)
        if self.weights is not None:
            weights = self.weights.astype(np.result_type(y.real, np.float32), copy=False)
            y = y * weights.reshape(-1, *(1,) * (x.ndim - 1 - axis))
        if self.starts is not None:
            y = np.add.reduceat(y, self.starts, axis)
        if self.filled is None:
            return y
        out = np.zeros((*y.shape[:axis], self.rows, *y.shape[axis + 1 :]), y.dtype)
        out[(*(slice(None),) * axis, self.filled)] = y
        return out


class Linear(NamedTuple):
    """A linear map along one axis, and its adjoint."""

    forward: Matrix
    adjoint: Matrix


def matrix(rows, at, columns, weights=None):
    """The matrix with the given entries; `at` (the row of each) ascends."""
    filled, starts = np.unique(at, return_index=True)
    return Matrix(
        rows,
        columns,
        weights,
        None if len(starts) == len(at) else starts,
        None if len(filled) == rows else filled,
    )


def linear(out, size, at, columns, weights=None):
    """The map from `size` to `out` elements with the given entries, with its adjoint."""
    order = np.argsort(columns, kind="stable")
    turned = matrix(size, columns[order], at[order], None if weights is None else weights[order])
    return Linear(matrix(out, at, columns, weights), turned)


def separable(x, maps):
    """The maps along the last axes, one after the other: the output and its vjp as a function."""
    first, y = x.ndim - len(maps), x
    for axis, each in enumerate(maps, first):
        y = each.forward(y, axis)

    def adjoint(g):
        for axis, each in enumerate(maps, first):
            g = each.adjoint(g, axis)
        return g

    return y, adjoint


@functools.lru_cache(1024)
def sums(size, starts, ends):
    """The sums over the ranges [start, end) of an axis."""
    counts = np.subtract(ends, starts)
    ranges = [np.arange(a, b) for a, b in zip(starts, ends)]
    columns = np.concatenate([np.zeros(0, np.int64), *ranges])
    return linear(len(starts), size, np.repeat(np.arange(len(starts)), counts), columns)


def places(size, kernel, stride, padding, dilation, ceil_mode):
    """How many windows start inside the axis or its left padding."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


@functools.lru_cache(1024)
def mean_windows(size, kernel, stride, padding, ceil_mode, count_include_pad):
    """The sums over the windows of one axis, and the number of elements that each counts."""
    starts = np.arange(places(size, kernel, stride, padding, 1, ceil_mode)) * stride - padding
    # padding may count as elements; what ceil_mode reaches beyond it never does
    ends = np.minimum(starts + kernel, size + padding)
    inner, last = np.maximum(starts, 0), np.minimum(ends, size)
    counts = ends - starts if count_include_pad else last - inner
    return sums(size, tuple(inner.tolist()), tuple(last.tolist())), counts


@functools.lru_cache(1024)
def adaptive_range(size, out):
    """Windows [floor(i size / out), ceil((i + 1) size / out)): even and overlapping where they must."""
    i = np.arange(out)
    return i * size // max(out, 1), -(-(i + 1) * size // max(out, 1))


@functools.lru_cache(1024)
def adaptive_windows(size, out):
    starts, ends = adaptive_range(size, out)
    return sums(size, tuple(starts.tolist()), tuple(ends.tolist())), ends - starts


def divided(x, axes, divisor=None):
    """The sums over the windows of `axes`, divided by the product of their counts or by `divisor`."""
    y, adjoint = separable(x, [total for total, _ in axes])
    if divisor is None:
        counts = functools.reduce(lambda a, b: a[..., None] * b, [counts for _, counts in axes])
        divisor = counts.astype(x.real.dtype)
    return y / divisor, lambda g: (adjoint(g / divisor),)


def average(n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    kernel, padding = per_axis(kernel_size, n), per_axis(padding, n)
    stride = per_axis(stride, n) if stride not in (None, (), []) else kernel
    sizes = zip(input.shape[-n:], kernel, stride, padding)
    axes = [mean_windows(*each, bool(ceil_mode), bool(count_include_pad)) for each in sizes]
    return divided(input, axes, divisor_override)


def adaptive_sizes(input, output_size, n):
    """The output sizes; None keeps the size of the input."""
    wanted = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,)
    wanted = wanted * n if len(wanted) == 1 else wanted
    return [s if w is None else int(w) for s, w in zip(input.shape[-n:], wanted)]


def adaptive_average(n, input, output_size):
    sizes = zip(input.shape[-n:], adaptive_sizes(input, output_size, n))
    return divided(input, [adaptive_windows(*each) for each in sizes])


def pool_options(draw: Draw, n, dilations=False):
    kernel = option(draw, n, 1, 3)
    options = dict(
        kernel_size=kernel,
        stride=draw.choice(None, option(draw, n, 1, 3)),
        padding=min(per_axis(kernel, n)) // 2 if draw.boolean() else 0,
        ceil_mode=draw.boolean(),
    )
    if dilations:
        options["dilation"] = option(draw, n, 1, 2)
    return options


def pool_input(draw: Draw, n, options, padding=0, **values):
    """An input in which every window has an element, and from which at least one window comes."""
    kernel, dilation = per_axis(options["kernel_size"], n), per_axis(options.get("dilation", 1), n)
    lows = [max(d * (k - 1) + 1 - padding, 1) for k, d in zip(kernel, dilation)]
    shape = grown(draw, [1, 1, *lows])
    return draw.reals(shape[1:] if shape[0] == 1 and draw.boolean() else shape, **values)


def avg_cases(n):
    def cases(draw: Draw):
        options = pool_options(draw, n)
        options["count_include_pad"] = draw.boolean()
        if n > 1:
            options["divisor_override"] = draw.choice(None, 1, 5)
        padding = options["padding"] if n < 3 else 0  # three axes: the unpadded input must hold a kernel
        return Case((pool_input(draw, n, options, padding),), options)

    return cases


def pool_errors(n):
    def errors(draw: Draw):
        x = draw.reals((1, *(3,) * n))
        return [
            (Case((x, 2), dict(padding=2)), RuntimeError),  # at most half of the kernel
            (Case((x, 7)), RuntimeError),
            (Case((x, 2), dict(stride=0)), RuntimeError),
        ]

    return errors


def averaging(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(
        f"nn.functional.avg_pool{n}d",
        cases=avg_cases(n),
        errors=pool_errors(n),
        aliases=("avg_pool1d",) if n == 1 else (),
        special="nonfinite",
    )


@averaging(1)
def avg_pool1d(input: Array, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The sum over each window, divided by its number of elements (with or without the padding).

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L') with L' = (L + 2 padding - kernel_size) /
    stride + 1, rounded down, or up while the last window starts inside.  Source: torch.nn.AvgPool1d.
    """
    return average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@averaging(2)
def avg_pool2d(
    input: Array,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """avg_pool1d over two axes; divisor_override takes the place of the number of elements.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.AvgPool2d.
    """
    return average(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@averaging(3)
def avg_pool3d(
    input: Array,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """avg_pool1d over three axes; divisor_override takes the place of the number of elements.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AvgPool3d.
    """
    return average(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_cases(n):
    def cases(draw: Draw):
        shape = grown(draw, [1, 1, *(1,) * n], first=0)
        x = draw.reals(shape[1:] if shape[0] == 1 and draw.boolean() else shape)
        kept = None if n > 1 else shape[-1]
        size = [draw.choice(draw.integer(1, 5), kept) for _ in range(n)]
        return Case((x, draw.choice(tuple(size), draw.integer(1, 5))))

    return cases


def adaptive_errors(n):
    return lambda draw: [(Case((draw.reals((1, *(3,) * n)), -1)), RuntimeError)]


def adaptive(n: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(
        f"nn.functional.adaptive_avg_pool{n}d",
        cases=adaptive_cases(n),
        errors=adaptive_errors(n),
        aliases=("adaptive_avg_pool1d",) if n == 1 else (),
        special="nonfinite",
    )


@adaptive(1)
def adaptive_avg_pool1d(input: Array, output_size):
    """The mean over the window [floor(i L / L'), ceil((i + 1) L / L')) at place i of L'.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AdaptiveAvgPool1d.
    """
    return adaptive_average(1, input, output_size)


@adaptive(2)
def adaptive_avg_pool2d(input: Array, output_size):
    """adaptive_avg_pool1d over two axes; a size of None is the input's own.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.AdaptiveAvgPool2d.
    """
    return adaptive_average(2, input, output_size)


@adaptive(3)
def adaptive_avg_pool3d(input: Array, output_size):
    """adaptive_avg_pool1d over three axes; a size of None is the input's own.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AdaptiveAvgPool3d.
    """
    return adaptive_average(3, input, output_size)
