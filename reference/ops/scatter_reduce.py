"""Elements combined with those that are already where an index puts them: sums, products, means, extremes.

Several elements may meet in one place. `rounds` takes them apart into lists in which no place repeats.
"""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.indexing import index_for, named, one_dim
from reference.ops.scatter import along, numbered, read, slices
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, rule


def rounds(places):
    """Lists of positions in `places` (flat): of every place the first, of every place the second, ..."""
    by_place = np.argsort(places, kind="stable")
    ranked = places[by_place]
    fresh = np.concatenate([[True], ranked[1:] != ranked[:-1]]) if len(places) else np.zeros(0, bool)
    step = np.arange(len(places))
    rank = step - np.maximum.accumulate(np.where(fresh, step, 0)) if len(places) else step
    return [by_place[rank == k] for k in range(rank.max(initial=-1) + 1)]


def product(x, places, values, kept):
    """The product of each place, and its vjp: what is before times what is behind, so that zeros may stand there."""
    turns = rounds(places)
    out = np.where(kept, x, 1.0).astype(np.result_type(x, values))
    before = np.empty(values.shape, out.dtype)
    for turn in turns:
        at = places[turn]
        before[turn] = out[at]
        out[at] = out[at] * values[turn]

    def vjp(g, slip):
        behind = np.ones_like(out)
        by_value = np.empty(values.shape, np.result_type(g, out))
        for turn in reversed(turns):
            at = places[turn]
            by_value[turn] = g[at] * before[turn] * behind[at]
            behind[at] = behind[at] * values[turn]
        by_x = g * behind
        if np.any(slip):  # torch divides its rounded product by each factor that is not 0
            error = g * slip.reshape(-1)
            by_x = by_x + np.where(x == 0, 0.0, error / np.where(x == 0, 1.0, x))
            by_value = by_value + np.where(values == 0, 0.0, error[places] / np.where(values == 0, 1.0, values))
        return np.where(kept, by_x, 0.0), by_value

    return out, vjp


def average(x, places, values, kept, divide):
    """The sum, or the mean, of each place, and its vjp."""
    out = np.where(kept, x, 0.0).astype(np.result_type(x, values))
    np.add.at(out, places, values)
    weight = 1.0
    if divide:
        weight = 1.0 / np.maximum(np.bincount(places, minlength=x.size) + kept, 1).astype(x.real.dtype)
    return out * weight, lambda g, slip: (np.where(kept, g * weight, 0.0), (g * weight)[places])


def extreme(x, places, values, kept, ufunc, worst):
    """The largest (or smallest) of each place, and its vjp; ties share the gradient equally, that of x with them."""
    best = np.where(kept, x.real, worst)
    ufunc.at(best, places, values.real)
    mine, theirs = kept & (x.real == best), values.real == best[places]
    share = 1.0 / np.maximum(np.bincount(places, theirs, x.size) + mine, 1.0).astype(best.dtype)
    out = best
    if x.dtype.kind == "c" or values.dtype.kind == "c":  # the tangent is the average over the ties, as the gradient is
        out = best.astype(np.result_type(best, np.complex64)) + np.where(mine, share * (x - best), 0.0)
        np.add.at(out, places, np.where(theirs, share[places] * (values - best[places]), 0.0))
    return out, lambda g, slip: (np.where(mine, g * share, 0.0), np.where(theirs, (g * share)[places], 0.0))


def combined(input, places, values, reduce, include_self):
    """The values combined with the input at the places, and the vjp for the input and the values."""
    flat, parts = places.reshape(-1), values.reshape(-1)
    x = input.reshape(-1)
    kept = np.ones(x.shape, bool)
    if not include_self:
        kept[flat] = False
    if reduce == "prod":
        out, back = product(x, flat, parts, kept)
    elif reduce in ("sum", "mean"):
        out, back = average(x, flat, parts, kept, reduce == "mean")
    else:
        ufunc, worst = {"amax": (np.maximum, -np.inf), "amin": (np.minimum, np.inf)}[reduce]
        out, back = extreme(x, flat, parts, kept, ufunc, worst)

    def vjp(g, slip):
        by_input, by_value = back(g.reshape(-1), slip)
        return by_input.reshape(input.shape), by_value.reshape(values.shape)

    return out.reshape(input.shape), vjp


DIVIDES = "torch divides the product by each factor, and the derivative of the quotient by its own factor cancels"


def division_room(input, places, values, reduce, include_self):
    """Of every place |product| (sum 1 / |x_i|)^2 over its factors that are not 0."""
    if reduce != "prod":
        return np.zeros(input.shape)
    size, parts = np.abs(input), np.abs(values)
    inverse = [1.0 / np.where(v == 0, np.inf, v) for v in (size, parts)]
    total, _ = combined(inverse[0], places, inverse[1], "sum", include_self)
    factors = [np.where(v == 0, 1.0, v) for v in (size, parts)]
    return combined(factors[0], places, factors[1], "prod", include_self)[0] * total**2


def scatter_room(input, dim, index, src, reduce, *, include_self=True):
    places = named(numbered(input), dim, index)
    return division_room(input, places, read(src, index.shape)[0], reduce, include_self)


def index_room(input, dim, index, source, reduce, *, include_self=True):
    places = along(input, dim, index)
    return division_room(input, places, source.reshape(places.shape), reduce, include_self)


def scatter_reduce_cases(draw: Draw):
    x, dim, n = one_dim(draw)
    x = x / 2  # products of a few stay small
    index = index_for(draw, x, dim, n)
    reduce = draw.choice("sum", "prod", "mean", "amax", "amin")
    options = draw.choice({}, dict(include_self=draw.boolean()))
    return Case((x, dim, index, draw.reals(index.shape, -2, 2), reduce), options)


def wrong_scatter(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x, 1, np.array([[3]]), x, "prod")), RuntimeError),
        (Case((x, 0, np.array([[0, 0]]), draw.reals((1, 1)), "sum")), RuntimeError),
        (Case((x, 0, np.array([[0, 0]]), x, "median")), RuntimeError),
    ]


@rule(
    "scatter_reduce",
    cases=scatter_reduce_cases,
    errors=wrong_scatter,
    # special: not stated, since a product of small numbers may underflow before it meets an infinity
    waivers=[Waiver(DIVIDES, room=scatter_room, checks=HIGHER_ORDER)],
)
def scatter_reduce(input: Array, dim, index: Array, src: Array, reduce, *, include_self=True):
    """input with src[i, j, k] combined into [i, index[i, j, k], k] for dim = 1, and so on.

    reduce is "sum", "prod", "mean", "amax" or "amin"; with include_self=False what the input holds in a place
    that the index names does not count. Ties of extremes share the gradient equally.
    input, output: (*); index: as many dimensions, none larger but `dim`; src: no dimension smaller (torch has
    a gradient only for a src in the shape of the index).  Source: torch.Tensor.scatter_reduce_.
    """
    places = named(numbered(input), dim, index)
    values, back = read(src, index.shape)
    out, vjp = combined(input, places, values, reduce, include_self)

    def whole(g, slip=0.0):
        by_input, by_value = vjp(g, slip)
        return by_input, None, back(by_value)[0]

    return out, whole


def index_reduce_cases(draw: Draw):
    x, dim, index, source = slices(draw, True)
    reduce = draw.choice("prod", "mean", "amax", "amin")
    return Case((x / 2, dim, index, source / 2, reduce), draw.choice({}, dict(include_self=draw.boolean())))


@rule(
    "index_reduce",
    cases=index_reduce_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 1, np.array([3]), draw.reals((2, 1)), "prod")), IndexError),
        (Case((draw.reals((2, 3)), 1, np.array([1, 0]), draw.reals((2, 3)), "prod")), RuntimeError),
        (Case((draw.reals((2,)), 0, np.array([0]), draw.reals((1,)), "sum")), RuntimeError),
    ],
    # special: not stated, since a product of small numbers may underflow before it meets an infinity
    waivers=[Waiver(DIVIDES, room=index_room, checks=HIGHER_ORDER)],
)
def index_reduce(input: Array, dim, index: Array, source: Array, reduce, *, include_self=True):
    """input with the slices of `source` combined into the slices along `dim` that the index names.

    reduce is "prod", "mean", "amax" or "amin"; include_self and ties as in scatter_reduce.
    input, output: (*, n, *); index: (m) or (), may repeat; source: (*, m, *).  Source: torch.Tensor.index_reduce_.
    """
    places = along(input, dim, index)
    out, vjp = combined(input, places, source.reshape(places.shape), reduce, include_self)

    def whole(g, slip=0.0):
        by_input, by_value = vjp(g, slip)
        return by_input, None, by_value.reshape(source.shape)

    return out, whole
