"""Sorted elements, the k largest, the k-th, the most frequent, and running extremes.

Each picks elements of rows along a dimension by their places, and its gradient goes back to those places.
Where equal elements may come in any order, as in a sort that is not stable, cases hold none.
"""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.indexing import raised
from reference.ops.reduce import wrong_dim
from reference.ops.shape import moved
from reference.rule import Array, Case, rule


def apart(draw: Draw, shape, dim):
    """Numbers that are distinct along `dim`, also in bfloat16 while there are at most 200 of them there."""
    if math.prod(shape) <= 200:
        return draw.reals(shape, distinct=True)
    rng = draw.generator()
    places = np.argsort(rng.random(shape), axis=dim)
    return (places + 0.5 + rng.uniform(-0.2, 0.2, shape)) * (8.0 / shape[dim]) - 4.0


def lines(draw: Draw, min_side=0):
    """A shape and a dimension of it, along which there are not too many elements to be distinct in bfloat16."""
    large = draw.regime == "large"
    shape = (draw.side(), draw.side()) if large else draw.shape(min_side=min_side)
    return shape, draw.dim(len(shape))


def placed(x, dim):
    """0, 1, 2, ... along `dim`, to broadcast with x."""
    return np.arange(x.shape[dim]).reshape([-1 if i == dim % x.ndim else 1 for i in range(x.ndim)])


def order(x, dim, descending=False):
    """The places of the elements in order along `dim`: equal ones as they stand, nan greater than all."""
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    back = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(back, dim)


def picked(input, index, dim, shape=None):
    """((the elements at the places along `dim`, the places), vjp), both in `shape` (for a 0-d input 0-d)."""
    fit = index.shape if shape is None else shape
    fit = fit if input.ndim else ()
    value, vjp = moved(input, lambda a: np.take_along_axis(raised(a), index, dim).reshape(fit))
    return (value, index.reshape(fit)), vjp


def reduced(input, index, dim, keepdim):
    """As picked, for one place in each row (of size 1 along `dim`)."""
    shape = index.shape if keepdim else np.squeeze(index, dim).shape
    (value, index), vjp = picked(input, index, dim, shape)
    return (value, index), lambda g: vjp(g[0])


def sort_cases(draw: Draw):
    descending = draw.boolean()
    if draw.boolean():  # ties are defined
        shape = draw.shape()
        options = dict(stable=True, dim=draw.dim(len(shape)), descending=descending)
        return Case((draw.reals(shape),), options)
    shape, dim = lines(draw)
    x = apart(draw, shape, dim)
    last = apart(draw, shape, -1) if shape else x
    return draw.choice(
        Case((x, dim, descending)),
        Case((x, dim)),
        Case((last,), dict(descending=descending)),
        Case((x,), dict(dim=dim, stable=draw.choice(False, None))),
    )


@rule("sort", cases=sort_cases, errors=wrong_dim, special="nonfinite")
def sort(input: Array, dim=-1, descending=False, *, stable=None):
    """(values, indices) along `dim`, in ascending or descending order; nan counts as the greatest.

    Equal elements keep their order where `stable` is true; else their order is not defined.
    input, outputs: (*).  Source: torch.sort.
    """
    x = raised(input)
    outs, vjp = picked(input, order(x.real, dim, descending), dim)
    return outs, lambda g: vjp(g[0])


def argsort_cases(draw: Draw):
    case = sort_cases(draw)
    return Case(case.args, {k: v for k, v in case.kwargs.items() if v is not None})


@rule("argsort", cases=argsort_cases, errors=wrong_dim)
def argsort(input: Array, dim=-1, descending=False, *, stable=None):
    """The indices that sort gives; it has no derivative.

    input, output: (*).  Source: torch.argsort.
    """
    return order(raised(input), dim, descending).reshape(input.shape), None


def msort_cases(draw: Draw):
    shape, _ = lines(draw)
    return Case((apart(draw, shape, 0),))


@rule(
    "msort",
    cases=msort_cases,
    errors=lambda draw: [(Case((None,)), TypeError)],
    special="nonfinite",
)
def msort(input: Array):
    """The elements in ascending order along the first dimension; the order of equal ones is not defined.

    input, output: (*).  Source: torch.msort.
    """
    (value, _), vjp = picked(input, order(raised(input).real, 0), 0)
    return value, vjp


def topk_cases(draw: Draw):
    shape, dim = lines(draw)
    n = shape[dim] if shape else 1
    k = draw.integer(0, min(n, 5)) if shape and draw.boolean() else n
    x = apart(draw, shape, dim)
    if dim in (-1, len(shape) - 1) and draw.boolean():
        return Case((x, k))
    largest = draw.boolean()
    if k <= 1 and draw.boolean():  # of several, the order is not defined unless they are sorted
        return Case((x, k, dim, largest, False))
    return Case((x, k, dim), dict(largest=largest))


def too_many(draw: Draw):
    return [(Case((draw.reals((2, 3)), 4)), RuntimeError), (Case((draw.reals((2, 3)), 1, 2)), IndexError)]


@rule("topk", cases=topk_cases, errors=too_many)
def topk(input: Array, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k largest or smallest elements along `dim`, in order where `sorted`.

    Which of equal elements is taken is not defined.
    input: (*, n, *); outputs: (*, k, *).  Source: torch.topk.
    """
    index = np.take(order(raised(input).real, dim, largest), np.arange(k), axis=dim)
    outs, vjp = picked(input, index, dim)
    return outs, lambda g: vjp(g[0])


def kthvalue_cases(draw: Draw):
    shape, dim = lines(draw)
    if shape:
        shape = tuple(max(n, 1) if i == dim % len(shape) else n for i, n in enumerate(shape))
    n = shape[dim] if shape else 1
    x, k = apart(draw, shape, dim), draw.integer(1, n)
    if dim in (-1, len(shape) - 1) and draw.boolean():
        return Case((x, k))
    return Case((x, k, dim, draw.boolean()))


@rule(
    "kthvalue",
    cases=kthvalue_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 4)), RuntimeError),
        (Case((draw.reals((2, 3)), 0)), RuntimeError),
        (Case((draw.reals((2, 3)), 1, 2)), IndexError),
    ],
)
def kthvalue(input: Array, k, dim=-1, keepdim=False):
    """(value, index) of the k-th smallest element along `dim`, k = 1 for the smallest; nan is the greatest.

    Which of equal elements is indexed is not defined.
    input: (*); outputs: without the dimension, or with size 1 there.  Source: torch.kthvalue.
    """
    index = np.take(order(raised(input).real, dim), [k - 1], axis=dim)
    return reduced(input, index, dim, keepdim)


def mode_cases(draw: Draw):
    shape, dim = lines(draw)
    if shape:
        shape = tuple(max(n, 1) if i == dim % len(shape) else n for i, n in enumerate(shape))
    if shape and shape[dim] > 16:  # of many equal elements, which is indexed is not defined
        x = apart(draw, shape, dim)
    else:
        x = draw.choice(draw.reals(shape), draw.integers(shape, -2, 2) * 0.75)
    if dim in (-1, len(shape) - 1) and draw.boolean():
        return Case((x,))
    return Case((x, dim, draw.boolean()))


@rule("mode", cases=mode_cases, errors=wrong_dim)
def mode(input: Array, dim=-1, keepdim=False):
    """(value, index) of an element that is most frequent along `dim`: of several the smallest, at its last place.

    input: (*); outputs: without the dimension, or with size 1 there.  Source: torch.mode.
    """
    x = raised(input)
    places = order(x.real, dim)
    ranked = np.take_along_axis(x.real, places, dim)
    step = placed(x, dim)
    # in order, the runs of equal elements; `length` of each element counts its run up to it
    fresh = np.ones(x.shape, bool)
    ahead = [slice(None)] * x.ndim
    behind = [slice(None)] * x.ndim
    ahead[dim], behind[dim] = slice(1, None), slice(None, -1)
    fresh[tuple(ahead)] = ranked[tuple(ahead)] != ranked[tuple(behind)]
    length = step - np.maximum.accumulate(np.where(fresh, step, 0), axis=dim)
    last = np.argmax(length, axis=dim, keepdims=True)
    return reduced(input, np.take_along_axis(places, last, dim), dim, keepdim)


def running_cases(draw: Draw):
    shape = draw.shape()
    return Case((draw.reals(shape), draw.dim(len(shape))))


def running(input, dim, accumulate, reaches):
    """(extremes so far, their places), the last one of equal elements."""
    x = raised(input)
    best = accumulate(x.real, axis=dim)
    with np.errstate(invalid="ignore"):
        new = reaches(x.real, best) | (x.real != x.real)
    index = np.maximum.accumulate(np.where(new, placed(x, dim), 0), axis=dim)
    outs, vjp = picked(input, index, dim)
    return outs, lambda g: vjp(g[0])


@rule("cummax", cases=running_cases, errors=wrong_dim, special="nonfinite")
def cummax(input: Array, dim):
    """(values, indices): y_i = max_{j <= i} x_j along `dim`, and the last place of it so far; nan stays.

    input, outputs: (*).  Source: torch.cummax.
    """
    return running(input, dim, np.maximum.accumulate, np.greater_equal)


@rule("cummin", cases=running_cases, errors=wrong_dim, special="nonfinite")
def cummin(input: Array, dim):
    """(values, indices): y_i = min_{j <= i} x_j along `dim`, and the last place of it so far; nan stays.

    input, outputs: (*).  Source: torch.cummin.
    """
    return running(input, dim, np.minimum.accumulate, np.less_equal)
