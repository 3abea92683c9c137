"""Where the extremes and the elements that are not 0 stand, how many there are, and histograms.

None of them has a derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.precision import floating
from reference.ops.reduce import axes, reduction, wrong_dim, wrong_dims
from reference.rule import Array, Case, rule


def extreme_cases(draw: Draw):
    x, options = reduction(draw, defined_on_nothing=False, tuples=False)
    if draw.integer(0, 3) == 3:
        x = draw.integers(x.shape, -3, 3)
    return Case((x,), {**options, "keepdim": draw.boolean()})


def place_of(input, dim, keepdim, pick):
    """pick (np.argmax, np.argmin) over one dimension, or all."""
    if dim is None or not input.ndim:
        return pick(input).reshape((1,) * input.ndim if keepdim else ())
    return pick(input, axis=dim, keepdims=keepdim)


@rule("argmax", cases=extreme_cases, errors=wrong_dim)
def argmax(input: Array, dim=None, keepdim=False):
    """The place of the first largest element, along `dim` or in row-major order of all; a nan is the largest.

    input: (*); output: without the dimension, or with size 1 there.  Source: torch.argmax.
    """
    return place_of(input, dim, keepdim, np.argmax), None


@rule("argmin", cases=extreme_cases, errors=wrong_dim)
def argmin(input: Array, dim=None, keepdim=False):
    """The place of the first smallest element, along `dim` or in row-major order of all; a nan is the smallest.

    input: (*); output: without the dimension, or with size 1 there.  Source: torch.argmin.
    """
    return place_of(input, dim, keepdim, np.argmin), None


def sparse(draw: Draw, shape):
    """Numbers, integers or bools, about half of which are 0."""
    on = draw.bools(shape)
    kind = draw.choice("numbers", "integers", "bools")
    return on if kind == "bools" else on * (draw.numbers(shape) if kind == "numbers" else draw.integers(shape, -2, 2))


def truth_cases(draw: Draw):
    x, options = reduction(draw)
    x = sparse(draw, x.shape)
    return Case((np.asarray(x),), {**options, "keepdim": draw.boolean()})


def truth(input, dim, keepdim, test):
    """test (np.all, np.any) over `dim`; an empty tuple of dimensions reduces none."""
    over = () if isinstance(dim, (tuple, list)) and not dim else axes(dim, input.ndim)
    return test(input != 0, axis=over, keepdims=keepdim)


@rule("all", cases=truth_cases, errors=wrong_dims, complex=True, special="nonfinite")
def all(input: Array, dim=None, keepdim=False):
    """Whether all elements are other than 0, over `dim` or all dimensions (none where it is empty).

    input: (*); output: bools, without the dimensions, or with ones there.  Source: torch.all.
    """
    return truth(input, dim, keepdim, np.all), None


@rule("any", cases=truth_cases, errors=wrong_dims, complex=True, special="nonfinite")
def any(input: Array, dim=None, keepdim=False):
    """Whether an element is other than 0, over `dim` or all dimensions (none where it is empty).

    input: (*); output: as all.  Source: torch.any.
    """
    return truth(input, dim, keepdim, np.any), None


def count_cases(draw: Draw):
    x, options = reduction(draw)
    return Case((np.asarray(sparse(draw, x.shape)),), options)


@rule("count_nonzero", cases=count_cases, errors=wrong_dims, complex=True, special="nonfinite")
def count_nonzero(input: Array, dim=None):
    """How many elements are other than 0, over `dim`, all dimensions where it is None or empty.

    input: (*); output: without the dimensions.  Source: torch.count_nonzero.
    """
    return (input != 0).sum(axis=axes(dim, input.ndim), dtype=np.int64), None


def sparse_cases(draw: Draw):
    return Case((np.asarray(sparse(draw, draw.shape())),))


def no_tensor(draw: Draw):
    return [(Case((None,)), TypeError)]


@rule(
    "nonzero",
    cases=lambda draw: Case(sparse_cases(draw).args, draw.choice({}, dict(as_tuple=draw.boolean()))),
    errors=no_tensor,
    complex=True,
    special="nonfinite",
)
def nonzero(input: Array, *, as_tuple=False):
    """The indices of the elements other than 0 in row-major order: a row for each, or (as_tuple) one for each
    dimension, where a 0-d tensor has one.

    input: (*); output: (count, dims), or as many times (count).  Source: torch.nonzero.
    """
    if as_tuple:
        return np.nonzero(np.atleast_1d(input)), None
    return np.argwhere(input), None


@rule("argwhere", cases=sparse_cases, errors=no_tensor, complex=True, special="nonfinite")
def argwhere(input: Array):
    """The indices of the elements other than 0 in row-major order, a row for each.

    input: (*); output: (count, dims).  Source: torch.argwhere.
    """
    return np.argwhere(input), None


def static_cases(draw: Draw):
    case = sparse_cases(draw)
    return Case(case.args, dict(size=draw.integer(0, 6), **draw.choice({}, dict(fill_value=draw.integer(-2, 7)))))


@rule(
    "nonzero_static",
    cases=static_cases,
    errors=lambda draw: [(Case((draw.reals((2,)),), dict(size=-1)), RuntimeError)],
    complex=True,
    special="nonfinite",
)
def nonzero_static(input: Array, *, size, fill_value=-1):
    """The first `size` rows of nonzero, followed by rows of `fill_value` where there are fewer.

    input: (*); output: (size, dims).  Source: torch.nonzero_static.
    """
    found = np.argwhere(input)[:size]
    rest = np.full((size - len(found), input.ndim), fill_value, np.int64)
    return np.concatenate([found, rest]), None


def bincount_cases(draw: Draw):
    n = draw.side(0, 8) * (draw.side() if draw.regime == "large" else 1)
    x = draw.integers((n,), 0, draw.choice(5, 40))
    weights = draw.choice(None, draw.reals((n,)))
    options = draw.choice({}, dict(minlength=draw.integer(0, 9)))
    return Case((x,) if weights is None else (x, weights), options)


@rule(
    "bincount",
    cases=bincount_cases,
    errors=lambda draw: [
        (Case((np.array([-1, 2]),)), RuntimeError),
        (Case((np.array([[1]]),)), RuntimeError),
        (Case((np.array([1, 2]), draw.reals((1,)))), RuntimeError),
    ],
    dtypes=("float32", "float64"),  # the sums of other weights, integers too, are float64
)
def bincount(input: Array, weights: Array | None = None, minlength=0):
    """How often, or with which sum of weights, each of 0, 1, 2, ... appears.

    input: (n) of integers, none negative; weights: (n); output: (max(input) + 1), at least `minlength`.
    Source: torch.bincount.
    """
    counts = np.bincount(input, minlength=minlength).astype(np.int64)
    if weights is None or not input.size:  # torch too has no sums of nothing
        return counts, None
    sums = np.zeros(len(counts), floating(weights).dtype)  # np.bincount adds in double
    np.add.at(sums, input, weights)
    return sums, None


RANGES = ((-4.0, 4.0), (-2.0, 2.0), (0.0, 4.0), (-8.0, 0.0))


def counted(draw: Draw, shape, low, high, bins):
    """Numbers that no rounding moves from one of the bins into another."""
    if draw.boolean():
        return draw.integers(shape, -16, 16) / 4.0  # also on the edges, which are as exact
    return draw.reals(shape, -4, 4, avoid=np.linspace(low, high, bins + 1).tolist())


def histc_cases(draw: Draw):
    bins, (low, high) = draw.choice(4, 1, 8, 2), draw.choice(*RANGES)
    if draw.boolean():
        return Case((counted(draw, draw.shape(), low, high, bins),), dict(bins=bins, min=low, max=high))
    x = counted(draw, draw.shape(), -4.0, 4.0, bins)
    if x.size > 1:
        x.flat[0], x.flat[-1] = -4.0, 4.0
    else:
        x = np.rint(4.0 * x) / 4.0
    return draw.choice(Case((x, bins)), Case((x, bins, 0, 0)))


@rule(
    "histc",
    cases=histc_cases,
    errors=lambda draw: [
        (Case((draw.reals((2,)), 4, 2, 1)), RuntimeError),
        (Case((draw.reals((2,)), 0)), RuntimeError),
    ],
)
def histc(input: Array, bins=100, min=0, max=0):
    """The counts in bins of equal width from `min` to `max` (from the smallest to the largest element if both
    are 0), each without its right end but the last; elements outside do not count.

    Where both ends are equal the range is one wider on either side.
    input: (*); output: (bins).  Source: torch.histc.
    """
    low, high = (min, max) if min != max or not input.size else (input.min(), input.max())
    return np.histogram(input, bins, widened(low, high))[0].astype(floating(input).real.dtype), None


def widened(low, high, by=1.0):
    return (low - by, high + by) if low == high else (low, high)


def histogram_cases(draw: Draw):
    case = histc_cases(draw)
    x, (low, high) = case.args[0], (case.kwargs.get("min", -4.0), case.kwargs.get("max", 4.0))
    bins = case.kwargs.get("bins") or case.args[1]
    kind = draw.choice("range", "none", "edges")
    options: dict[str, Any] = {}
    if kind == "range":
        options["range"] = (low, high)
        x = x if "bins" in case.kwargs else counted(draw, x.shape, low, high, bins)
    elif kind == "none" and "bins" in case.kwargs:
        options["range"] = draw.choice((low, high), [low, high])
    elif kind == "edges":
        bins = np.unique(np.array([low, *(draw.integers((2,), -8, 8) / 2.0), high]))
        x = draw.integers(x.shape, -16, 16) / 4.0
    if draw.boolean():
        options["weight"] = draw.reals(x.shape, 0.25, 2.0)
    if draw.boolean():
        options["density"] = True
    return Case((x, bins), options)


@rule(
    "histogram",
    cases=histogram_cases,
    errors=lambda draw: [
        (Case((draw.reals((2,)), 4), dict(range=(2.0, 1.0))), RuntimeError),
        (Case((draw.reals((2,)), 4), dict(weight=draw.reals((1,)))), RuntimeError),
        (Case((draw.reals((2,)), 0)), RuntimeError),
    ],
    dtypes=("float32", "float64"),
)
def histogram(input: Array, bins: Array, *, range=None, weight: Array | None = None, density=False):
    """(counts or sums of weights, edges) of bins of equal width over a range, that of the elements where it is
    None, or between given edges; a density is divided by its total and the widths.

    Each bin is without its right end but the last. Where the ends are equal the range is wider by 1/2 on
    either side, and it is [0, 1] for no elements.
    input, weight: (*); bins: a number or (m + 1) increasing edges; outputs: (m), (m + 1).  Source: torch.histogram.
    """
    kind = floating(input).real.dtype
    if isinstance(bins, np.ndarray) and bins.ndim:
        edges = bins
    else:
        low, high = range if range is not None else (input.min(), input.max()) if input.size else (0.0, 1.0)
        low, high = widened(low, high, 0.5)
        edges = np.linspace(low, high, int(bins) + 1, dtype=np.result_type(low, high, kind))
    weights = None if weight is None else weight.reshape(-1)
    counts = np.histogram(input.reshape(-1), edges, weights=weights)[0].astype(kind)
    if density:
        counts = counts / (counts.sum() * np.diff(edges))
    return (counts, edges), None
