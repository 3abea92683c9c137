"""Places in sorted sequences, membership, and distinct elements. None of them has a derivative."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from reference.draw import Draw
from reference.rule import Array, Case, rule


def rising(draw: Draw, shape, strictly=False):
    """Numbers that rise along the last dimension; multiples of 1/4 are equal to others often."""
    if strictly:
        return np.sort(draw.reals(shape, distinct=True), axis=-1)
    return np.sort(draw.choice(draw.integers(shape, -8, 8) / 4.0, draw.reals(shape)), axis=-1)


def wanted(draw: Draw, shape):
    return draw.choice(draw.integers(shape, -9, 9) / 4.0, draw.reals(shape))


def options_of(draw: Draw):
    options = draw.choice({}, dict(right=draw.boolean()))
    if draw.boolean():
        options["out_int32"] = draw.boolean()
    return options


def search(rows, values, right):
    """How many of each row are smaller than (right: not greater than) each value; a nan is greater than all."""
    side: Literal["left", "right"] = "right" if right else "left"
    if rows.ndim == 1:
        return np.searchsorted(rows, values, side)
    out = np.empty(values.shape, np.int64)
    for i in np.ndindex(rows.shape[:-1]):
        out[i] = np.searchsorted(rows[i], values[i], side)
    return out


def searchsorted_cases(draw: Draw):
    options = options_of(draw)
    if "right" not in options or options["right"]:
        options = {**options, **draw.choice({}, dict(side="right"))}
    elif draw.boolean():
        options["side"] = "left"
    lead = tuple(draw.integer(1, 3) for _ in range(draw.integer(0, 2))) if draw.regime != "large" else ()
    rows = rising(draw, (*lead, draw.side(0, 5)))
    values = wanted(draw, (*lead, draw.side(0, 5)) if lead else draw.shape())
    if not lead and draw.boolean():
        values = draw.choice(0.75, -1, np.asarray(0.25))
    if draw.boolean():
        options["sorter"] = np.argsort(draw.generator().random(rows.shape), axis=-1)
        mixed = np.empty_like(rows)
        np.put_along_axis(mixed, options["sorter"], rows, -1)
        rows = mixed
    return Case((rows, values), options)


@rule(
    "searchsorted",
    cases=searchsorted_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.reals((2,)))), RuntimeError),
        (Case((draw.reals((3,)), draw.reals((2,))), dict(right=True, side="left")), RuntimeError),
        (Case((draw.reals((3,)), draw.reals((2,))), dict(sorter=np.zeros(2, np.int64))), RuntimeError),
    ],
    method=False,
)
def searchsorted(
    sorted_sequence: Array,
    input: Array | float,
    *,
    out_int32=False,
    right=False,
    side=None,
    sorter: Array | None = None,
):
    """Where each value belongs in a rising sequence: before the elements equal to it, or (right) behind them.

    With `sorter` the sequence rises in the order that it gives.
    sorted_sequence, sorter: (n), or (*, n) for values (*, m); output: as the values.  Source: torch.searchsorted.
    """
    rows = sorted_sequence if sorter is None else np.take_along_axis(sorted_sequence, sorter, -1)
    found = search(rows, np.asarray(input), right or side == "right")
    return found.astype(np.int32 if out_int32 else np.int64), None


def bucketize_cases(draw: Draw):
    values = draw.choice(wanted(draw, draw.shape()), wanted(draw, draw.shape()), 0.5, -1)
    return Case((values, rising(draw, (draw.integer(0, 6),), strictly=draw.boolean())), options_of(draw))


@rule(
    "bucketize",
    cases=bucketize_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), draw.reals((2, 3)))), RuntimeError)],
    method=False,
)
def bucketize(input: Array | float, boundaries: Array, *, out_int32=False, right=False):
    """The number of the bucket of each value: i where boundaries[i - 1] < value <= boundaries[i], and with
    `right` where boundaries[i - 1] <= value < boundaries[i].

    input, output: (*); boundaries: (n), rising.  Source: torch.bucketize.
    """
    found = search(boundaries, np.asarray(input), right)
    return found.astype(np.int32 if out_int32 else np.int64), None


def isin_cases(draw: Draw):
    kind = draw.choice("tensors", "left", "right")
    left = draw.choice(0.5, -1) if kind == "left" else wanted(draw, draw.shape())
    right = draw.choice(0.5, -1) if kind == "right" else wanted(draw, draw.shape(max_dims=2))
    if draw.regime == "large" and kind == "tensors":
        right = wanted(draw, (draw.side(),))
    if draw.integer(0, 3) == 3 and kind == "tensors":
        left, right = (np.rint(4.0 * v).astype(np.int64) for v in (left, right))
    return Case((left, right), draw.choice({}, dict(invert=draw.boolean()), dict(assume_unique=False)))


@rule(
    "isin",
    cases=isin_cases,
    errors=lambda draw: [(Case((1.0, 2.0)), TypeError)],
    method=False,
)
def isin(elements: Array | float, test_elements: Array | float, *, assume_unique=False, invert=False):
    """Whether each element is among the test elements (or, inverted, is not).

    elements, output: (*); test_elements: (*); one of them may be a number.  Source: torch.isin.
    """
    return np.isin(elements, test_elements, invert=invert), None


def unravel_cases(draw: Draw):
    shape = tuple(draw.integer(1, 5) for _ in range(draw.integer(1, 4)))
    index = draw.integers(draw.shape(), 0, int(np.prod(shape)) - 1)
    return Case((index, draw.choice(shape, list(shape)) if len(shape) > 1 else draw.choice(shape, shape[0])))


@rule(
    "unravel_index",
    cases=unravel_cases,
    errors=lambda draw: [
        (Case((draw.reals((2,)), (2, 3))), TypeError),
        (Case((np.array([0]), (2, -3))), ValueError),
    ],
    method=False,
)
def unravel_index(indices: Array, shape):
    """The index in each dimension of `shape` of the elements numbered in row-major order.

    indices: (*); outputs: (*), one for each dimension.  Source: torch.unravel_index.
    """
    return np.unravel_index(indices, shape), None


def repeated(draw: Draw, dim):
    """Numbers few of which are distinct, or slices along `dim` of which few are."""
    shape = draw.shape(min_dims=0 if dim is None else 1)
    if dim is None:
        return draw.choice(draw.integers(shape, -2, 2) * 0.75, draw.reals(shape), draw.integers(shape, -2, 2))
    dim %= len(shape)
    if 0 in shape and shape[dim]:  # slices of nothing cannot be told apart
        shape = tuple(max(n, 1) for n in shape)
    few = draw.integers((*shape[:dim], 2, *shape[dim + 1 :]), -1, 1) * 0.5
    return np.take(few, draw.integers((shape[dim],), 0, 1), axis=dim)


def unique_cases(draw: Draw):
    # without sorted=True the order is not defined
    options = {o: draw.boolean() for o in ("return_inverse", "return_counts") if draw.boolean()}
    dim = draw.choice(None, None, 0, -1)
    if dim is not None:
        options["dim"] = dim
    return Case((repeated(draw, dim),), options)


def distinct(x, first, inverse, dim, return_inverse, return_counts):
    """The slices `first` along `dim` (elements where it is None), and what else is asked for."""
    values = x.reshape(-1)[first] if dim is None else np.take(x, first, axis=dim)
    outs = [values]
    if return_inverse:
        outs.append(inverse.reshape(x.shape) if dim is None else inverse)
    if return_counts:
        outs.append(np.bincount(inverse, minlength=len(first)))
    return outs[0] if len(outs) == 1 else tuple(outs)


def wrong_unique(draw: Draw):
    return [
        (Case((draw.reals((2, 3)),), dict(dim=2)), IndexError),
        (Case((np.zeros((0, 3)),), dict(dim=1)), RuntimeError),
    ]


def as_rows(x, dim):
    """The elements, or the slices along `dim`, as rows of a matrix."""
    if dim is None:
        return x.reshape(-1, 1)
    x = np.moveaxis(x, dim, 0)
    return x.reshape(len(x), math.prod(x.shape[1:]))


def changes(rows):
    """Which rows differ from the one before."""
    return np.concatenate([[True], (rows[1:] != rows[:-1]).any(1)]) if len(rows) else np.zeros(0, bool)


@rule("unique", cases=unique_cases, errors=wrong_unique)
def unique(input: Array, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements, or the distinct slices along `dim`, in (lexicographic) order; on demand where each
    input element (slice) is among them, and how often each appears.

    input: (*); outputs: (k) or the input's shape with k for `dim`; (*) or (n); (k).  Source: torch.unique.
    """
    rows = as_rows(input, dim)
    order = np.lexsort(rows.T[::-1]) if rows.size else np.arange(len(rows))
    fresh = changes(rows[order])
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = np.cumsum(fresh) - 1
    return distinct(input, order[fresh], inverse, dim, return_inverse, return_counts), None


@rule("unique_consecutive", cases=unique_cases, errors=wrong_unique)
def unique_consecutive(input: Array, return_inverse=False, return_counts=False, dim=None):
    """As unique, but equal elements (slices) count as one only where they follow each other, and keep their order.

    input, outputs: as unique.  Source: torch.unique_consecutive.
    """
    fresh = changes(as_rows(input, dim))
    inverse = np.cumsum(fresh) - 1
    return distinct(input, np.nonzero(fresh)[0], inverse, dim, return_inverse, return_counts), None
