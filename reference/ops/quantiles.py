"""Quantiles: points between the sorted elements."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.precision import floating
from reference.ops.sorting import apart, lines
from reference.rule import Array, Case, is_array, rule


def quantile_cases(draw: Draw):
    shape, dim = lines(draw, min_side=1)
    whole = not shape or (len(shape) == 1 and draw.boolean())
    x = apart(draw, shape, dim)  # of equal elements, which has the gradient is not defined
    # multiples of 1/64 give the same place between the elements in every precision
    q = draw.choice(
        draw.integer(0, 64) / 64,
        draw.integers((), 0, 64) / 64,
        draw.integers((draw.integer(1, 4),), 0, 64) / 64,
        draw.choice(0.0, 1, 0.5),
        np.zeros(0),
    )
    options = draw.choice({}, dict(interpolation=draw.choice("linear", "lower", "higher", "midpoint", "nearest")))
    keepdim = draw.boolean()
    if draw.regime == "large" or not (whole or draw.integer(0, 3) == 3):
        return draw.choice(Case((x, q, dim, keepdim), options), Case((x, q), {"dim": dim, **options}))
    x = apart(draw, (x.size,), 0).reshape(shape)
    return draw.choice(Case((x, q), options), Case((x, q), {"keepdim": keepdim, **options}))


def nanquantile_cases(draw: Draw):
    case = quantile_cases(draw)
    x = case.args[0]
    holes = np.asarray(draw.generator().random(x.shape) < draw.choice(0.3, 0.0, 0.9))
    holes[(draw.integer(0, 1) - 1,) * x.ndim] = False  # the quantile of nothing is nan, and has no derivative
    dim = case.args[2] if len(case.args) > 2 else case.kwargs.get("dim")
    if dim is not None and x.ndim:
        np.moveaxis(holes, dim, 0)[0] = False
    return Case((np.where(holes, np.nan, x), *case.args[1:]), case.kwargs)


def wrong_q(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x, 1.5)), RuntimeError),
        (Case((x, np.zeros((1, 1)))), RuntimeError),
        (Case((draw.reals((0,)), 0.5)), RuntimeError),
        (Case((x, 0.5, 2)), IndexError),
    ]


def quantiles(input, q, dim, keepdim, interpolation, skip_nan):
    """The value at q (n - 1) between the n elements of each row in order, and the vjp for the input and q."""
    x = input.reshape(-1) if dim is None or not input.ndim else np.moveaxis(input, dim, -1)
    kind = floating(x).real.dtype
    q, rows, n = q if is_array(q) else np.asarray(q, kind), x.shape[:-1], x.shape[-1]
    places = np.argsort(x.real, axis=-1, kind="stable")  # nan last
    ranked = np.take_along_axis(x, places, -1)
    missing = np.isnan(x.real).sum(-1, keepdims=True)
    last = (np.maximum(n - 1 - missing, 0) if skip_nan else np.full(missing.shape, n - 1)).astype(kind)
    at = q.reshape(-1) * last
    if not skip_nan:
        at = np.where(missing > 0, last, at)  # a nan
    if interpolation == "nearest":
        at = np.rint(at.real)
    # a q of 1 that moves by a rounding points behind the last element
    below, above = (np.clip(end(at.real).astype(np.int64), 0, n - 1) for end in (np.floor, np.ceil))
    if interpolation == "lower":
        above = below
    elif interpolation == "higher":
        below = above
    low, high = np.take_along_axis(ranked, below, -1), np.take_along_axis(ranked, above, -1)
    linear = interpolation == "linear"
    share = at - np.floor(at.real) if linear else 0.5
    value = low + share * (high - low)
    if dim is None or not input.ndim:
        kept = (1,) * input.ndim
    else:
        kept = tuple(1 if i == dim % input.ndim else s for i, s in enumerate(input.shape))
        value = np.moveaxis(value.reshape(*kept[: dim % input.ndim], *kept[dim % input.ndim + 1 :], -1), -1, 0)
    shape = q.shape + (kept if keepdim else rows)

    def vjp(g):
        g = np.moveaxis(g.reshape((q.size, *rows)), 0, -1)
        grad = np.zeros((x.size // n, n), np.result_type(g, share))
        row = np.arange(x.size // n)[:, None]
        for place, part in ((below, g * (1.0 - share)), (above, g * share)):
            flat = (len(row), q.size)
            np.add.at(grad, (row, np.take_along_axis(places, place, -1).reshape(flat)), part.reshape(flat))
        grad = grad.reshape(x.shape)
        by_q = (g * last * (high - low)).sum(axis=tuple(range(g.ndim - 1))).reshape(q.shape) if linear else None
        return (np.moveaxis(grad, -1, dim) if dim is not None and input.ndim else grad.reshape(input.shape)), by_q

    return value.reshape(shape), vjp


@rule("quantile", cases=quantile_cases, errors=wrong_q, dtypes=("float32", "float64"))
def quantile(input: Array, q: Array | float, dim=None, keepdim=False, *, interpolation="linear"):
    """The elements of a row in order, read at the place q (n - 1) counted from 0; nan where there is a nan.

    Between the neighbours a and b it is a + (b - a) t for "linear", a for "lower", b for "higher", the nearer
    (of two the even) for "nearest" and (a + b) / 2 for "midpoint". The derivative by q is (n - 1)(b - a) for
    "linear", and 0 at the places of the elements, where there is none.
    input: (*); q: a number, () or (m) in [0, 1]; output: (*) or (m, *), without `dim` or with size 1 there.
    Source: torch.quantile.
    """
    return quantiles(input, q, dim, keepdim, interpolation, skip_nan=False)


@rule("nanquantile", cases=nanquantile_cases, errors=wrong_q, dtypes=("float32", "float64"))
def nanquantile(input: Array, q: Array | float, dim=None, keepdim=False, *, interpolation="linear"):
    """As quantile, of the elements that are not nan; nan where there are none.

    input, q, output: as quantile.  Source: torch.nanquantile.
    """
    return quantiles(input, q, dim, keepdim, interpolation, skip_nan=True)
