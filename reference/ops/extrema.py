"""The largest, the smallest and the middle element, over dimensions or of two tensors."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.precision import floating
from reference.ops.reduce import axes, kept_shape, reduction, wrong_dim, wrong_dims
from reference.rule import Array, Case, rule, unbroadcast


def extremum(x, over, keepdim, pick):
    """The element that `pick` (np.max, np.min) selects. Ties share the gradient equally."""
    best = pick(x.real, axis=over, keepdims=True)
    kept = kept_shape(x.shape, over)

    def shares():
        ties = x.real == best
        return ties / ties.sum(axis=over, keepdims=True).astype(best.dtype)

    y = best
    if x.dtype.kind == "c":  # the tangent is the average over the ties, as the gradient is
        y = best + (shares() * (x - best)).sum(axis=over, keepdims=True)
    return (y if keepdim else np.squeeze(y, over)), lambda g: g.reshape(kept) * shares()


def along(x, dim, keepdim, place):
    """The elements at index `place(row)` of each row along `dim`, the indices, and the vjp."""
    shape = x.shape
    x = x.reshape(shape or (1,))
    index = np.expand_dims(place(x.real, dim), dim)
    picked = np.take_along_axis(x, index, dim)
    fit = (lambda v: v.reshape(shape)) if not shape else (lambda v: v if keepdim else np.squeeze(v, dim))
    steps = np.arange(x.shape[dim]).reshape([-1 if i == dim % x.ndim else 1 for i in range(x.ndim)])

    def vjp(g):
        return (g.reshape(picked.shape) * (steps == index)).reshape(shape)

    return (fit(picked), fit(index)), vjp


def amax_cases(draw: Draw):
    x, options = reduction(draw, defined_on_nothing=False)
    if options.get("dim", 0) is None:
        del options["dim"]
    return Case((x,), {**options, "keepdim": draw.boolean()} if options else {})


@rule("amax", cases=amax_cases, errors=wrong_dims, special="nonfinite")
def amax(input: Array, dim=(), keepdim=False):
    """The largest element over `dim`, all dimensions where it is empty; ties share the gradient equally.

    input: (*); output: without the reduced dimensions, or with ones there.  Source: torch.amax.
    """
    y, vjp = extremum(input, axes(dim, input.ndim), keepdim, np.max)
    return y, lambda g: (vjp(g),)


@rule("amin", cases=amax_cases, errors=wrong_dims, special="nonfinite")
def amin(input: Array, dim=(), keepdim=False):
    """The smallest element over `dim`, all dimensions where it is empty; ties share the gradient equally.

    input: (*); output: as amax.  Source: torch.amin.
    """
    y, vjp = extremum(input, axes(dim, input.ndim), keepdim, np.min)
    return y, lambda g: (vjp(g),)


def aminmax_cases(draw: Draw):
    x, options = reduction(draw, defined_on_nothing=False, tuples=False)
    return Case((x,), {**options, "keepdim": draw.boolean()})


@rule("aminmax", cases=aminmax_cases, errors=wrong_dim, special="nonfinite", lately=True)
def aminmax(input: Array, *, dim=None, keepdim=False):
    """(smallest, largest) over one dimension or all; ties share the gradient equally.

    input: (*); outputs: as amax.  Source: torch.aminmax.
    """
    over = axes(dim, input.ndim)
    low, by_low = extremum(input, over, keepdim, np.min)
    high, by_high = extremum(input, over, keepdim, np.max)
    return (low, high), lambda g: (by_low(g[0]) + by_high(g[1]),)


def max_cases(draw: Draw):
    if draw.choice("reduce", "other") == "other":
        left, right = draw.shapes(2)
        return Case((draw.reals(left), draw.reals(right)))
    x, options = reduction(draw, defined_on_nothing=False, tuples=False)
    if options.get("dim") is None:
        return Case((x,))
    return Case((x, options["dim"]), dict(keepdim=draw.boolean()))


def max_errors(draw: Draw):
    x = draw.reals((2, 3))
    return [(Case((x, 2)), IndexError), (Case((x, draw.reals((2,)))), RuntimeError)]


def pairwise(x, y, above, pick):
    """The larger (or smaller) of two, as `above` says of x against y; ties share the gradient equally."""
    out = pick(x.real, y.real)
    share = (above(x.real, y.real) + 0.5 * (x.real == y.real)).astype(floating(out).dtype)
    if x.dtype.kind == "c" or y.dtype.kind == "c":
        out = share * x + (1.0 - share) * y
    return out, lambda g: (
        unbroadcast(g * share, x.shape), None, unbroadcast(g * (1.0 - share), y.shape)
    )  # fmt: skip


def three_forms(input, dim, keepdim, other, above, pick, reduce, place):
    if other is None and isinstance(dim, np.ndarray):
        other = dim
        out, vjp = pairwise(input, other, above, pick)
        return out, lambda g: (vjp(g)[0], vjp(g)[2], None)
    if other is not None:
        return pairwise(input, other, above, pick)
    if dim is None:
        y, back = extremum(input, axes(None, input.ndim), False, reduce)
        return y, lambda g: (back(g), None, None)
    outs, back = along(input, dim, keepdim, place)
    return outs, lambda g: (back(g[0]), None, None)


@rule("max", cases=max_cases, errors=max_errors, special="nonfinite")
def max(input: Array, dim: Array | None = None, keepdim=False, *, other: Array | None = None):
    """max(x): the largest element; max(x, dim): (values, indices); max(x, other): elementwise.

    Ties: of all elements, and of two tensors, share the gradient equally; along a dimension the first
    one is taken and has it all.  input, other: (*), broadcast.  Source: torch.max.
    """
    return three_forms(input, dim, keepdim, other, np.greater, np.maximum, np.max, np.argmax)


@rule("min", cases=max_cases, errors=max_errors, special="nonfinite")
def min(input: Array, dim: Array | None = None, keepdim=False, *, other: Array | None = None):
    """min(x): the smallest element; min(x, dim): (values, indices); min(x, other): elementwise.

    Ties as in max.  input, other: (*), broadcast.  Source: torch.min.
    """
    return three_forms(input, dim, keepdim, other, np.less, np.minimum, np.min, np.argmin)


def median_cases(draw: Draw):
    x, options = reduction(draw, defined_on_nothing=False, tuples=False)
    x = draw.reals(x.shape, distinct=True)
    if options.get("dim") is None:
        return Case((x,))
    return Case((x, options["dim"]), dict(keepdim=draw.boolean()))


def middle(x, dim, skip_nan):
    """The index of the lower median of each row; of the first nan where nans are not skipped."""
    order = np.argsort(x, axis=dim, kind="stable")  # nans come last
    absent = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    count = x.shape[dim] - absent.sum(axis=dim, keepdims=True)
    place = np.maximum(count - 1, 0) // 2
    if not skip_nan:
        place = np.where(count < x.shape[dim], count, (x.shape[dim] - 1) // 2)
    return np.squeeze(np.take_along_axis(order, place, dim), dim)


def median_of(input, dim, keepdim, skip_nan):
    if dim is not None:
        outs, back = along(input, dim, keepdim, lambda x, d: middle(x, d, skip_nan))
        return outs, lambda g: (back(g[0]),)
    if input.size == 0:
        return np.full((), np.nan, floating(input).real.dtype), lambda g: (np.zeros_like(input),)
    (value, _), _ = along(input.reshape(-1), 0, False, lambda x, d: middle(x, d, skip_nan))
    ties = (input.real == value.real) | (np.isnan(input.real) & np.isnan(value.real))
    share = ties / ties.sum().astype(input.real.dtype)
    if input.dtype.kind == "c":
        value = value.real + (share * (input - value.real)).sum()
    return value, lambda g: (g * share,)


@rule("median", cases=median_cases, errors=wrong_dim)
def median(input: Array, dim=None, keepdim=False):
    """The lower median of all elements, or along a dimension (values, indices); nan if there is a nan.

    Of all elements, ties share the gradient equally; along a dimension the one that is indexed has it.
    input: (*); output: as amax.  Source: torch.median.
    """
    return median_of(input, dim, keepdim, skip_nan=False)


@rule("nanmedian", cases=median_cases, errors=wrong_dim)
def nanmedian(input: Array, dim=None, keepdim=False):
    """The median of the elements that are not nan; nan where there are none.

    input: (*); output: as median.  Source: torch.nanmedian.
    """
    return median_of(input, dim, keepdim, skip_nan=True)
