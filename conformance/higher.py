"""Second and third derivatives of an oracle's call: what they are, and what each is allowed to miss."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tolerance import Moves, Quantity
from reference import derive
from reference.derive import Product, along, finite_inner, inner, transpose, truncation, vjp_jvp

if TYPE_CHECKING:
    from conformance.oracle import Oracle

# The five-point difference that serves rules without a complex step, relative to what it differentiates.
DIFFERENCE_NOISE = 4e-12
# Above this many outputs the second derivative of the outputs is checked contracted with the cotangent.
BASIS = 48
# What the last extrapolation of a third derivative may move, relative to the derivatives below it.
SETTLED = 1e-6
# What the last extrapolation of any difference may move, relative to what is differentiated, at no kink or pole.
SMOOTH = 1e-3


def second(o: Oracle) -> Quantity:
    """The derivative of the gradients along the tangents, for each differentiable input."""

    def at(moved: list[Any]) -> list[Any]:
        n = len(o.arrays)
        return o.at_xs(vjp_jvp(o.call, moved[:n], moved[n : 2 * n], moved[2 * n :]))

    def spread() -> list[Any]:
        return o.at_xs(truncation(o.call, o.arrays, o.tangents)(o.cotangents))

    flat = [*o.arrays, *o.tangents, *o.cotangents]
    wants, moves = _measured(o, at, flat, 3)
    noise = None if o.call.analytic else _noise([(o.vjp, 1.0)], len(o.xs), spread)
    return o.quantity(wants, moves, noise, [o.cotangents, o.tangents])


def second_forward(o: Oracle) -> Quantity:
    """The second derivative of the outputs along the tangents and the other tangents.

    Exact from the same oracle: for each output element e, <others, D_tangents vjp(e)>.
    """

    def at(moved: list[Any], product: Product = finite_inner) -> list[Any]:
        n = len(o.arrays)
        arrays, vs, us = moved[:n], moved[n : 2 * n], moved[2 * n :]
        derivative = along(o.call, arrays, vs)
        return [transpose(o.call.rule, o.outs, i, derivative, us, product) for i in o.ys]

    def spread() -> list[Any]:
        sizes = [None if u is None else np.abs(u) for u in o.others]
        bound = truncation(o.call, o.arrays, o.tangents)
        return [np.abs(transpose(o.call.rule, o.outs, i, bound, sizes, inner)) for i in o.ys]

    flat = [*o.arrays, *o.tangents, *o.others]
    wants, moves = _measured(o, at, flat, 4, lambda flat: at(flat, inner))
    noise = None if o.call.analytic else _noise([(o.vjp, 1.0)], len(o.ys), spread)
    return o.quantity(wants, moves, noise, [o.tangents, o.others])


def third(o: Oracle) -> Quantity:
    """The derivative of `second` along the other tangents: always a difference."""

    def at(moved: list[Any]) -> list[Any]:
        return _thirds(o, moved)[-1]

    *_, before, last = o.thirds
    wants, moves = _measured(o, at, _place(o), 6, lambda _: last)
    noise = _noise(_differentiated(o), len(o.xs), lambda: derive.apart(last, before))
    return o.quantity(wants, moves, noise, [o.cotangents, o.tangents, o.others])


def thirds(o: Oracle) -> list[list[Any]]:
    """The extrapolations of the third derivative; the last is the best."""
    with np.errstate(all="ignore"):
        return _thirds(o, _place(o))


def is_smooth(o: Oracle) -> bool:
    """Whether the third derivative exists as far as its difference reaches: at a kink, extrapolations do not settle."""
    *_, before, last = o.thirds
    with np.errstate(all="ignore"):
        largest = sum(_largest(q, 0) for q, _ in _differentiated(o))
        return all(np.all(np.abs(a - b) <= SETTLED * largest) for a, b in zip(last, before))


def _place(o: Oracle) -> list[Any]:
    return [*o.arrays, *o.tangents, *o.others, *o.cotangents]


def _thirds(o: Oracle, flat: list[Any]) -> list[list[Any]]:
    n = len(o.arrays)
    found = derive.third(o.call, flat[:n], flat[n : 2 * n], flat[2 * n : 3 * n], flat[3 * n :])
    return [o.at_xs(row) for row in found]


def _differentiated(o: Oracle) -> list[tuple[Quantity, float]]:
    """What a third derivative is a difference of. A second one that is a difference too has its errors magnified."""
    return [(o.second, 1.0), (o.vjp, 1.0 if o.call.analytic else 1.0 / derive.DIFFERENCE)]


def _measured(
    o: Oracle, at: Callable[[list[Any]], list[Any]], flat: list[Any], kind: int,
    first: Callable[[list[Any]], list[Any]] | None = None,
) -> tuple[list[Any], Moves]:  # fmt: skip
    """What a derivative is at `flat`, and its random moves: with roundings, where it is exact and not a difference."""
    with np.errstate(all="ignore"):
        wants = (first or at)(flat)
    return wants, o.moves_of(at, flat, kind, wants, rounds=o.call.analytic)


def _noise(
    sources: Sequence[tuple[Quantity, float]], arrays: int, spread: Callable[[], list[Any]]
) -> Callable[[int], Sequence[Any]]:
    """The error of a difference: that of what it differentiates over the step, and `spread`.

    `sources` are what is differentiated, each with a factor. How large the terms of it are that cancel, its
    sensitivity knows. `spread` tells, at some cost, what the step itself leaves out: it is asked only with a count,
    where nothing cheaper explains what was found. At a kink, where a difference grows with the inverse of the step,
    it says nothing.
    """
    truncated = functools.cache(spread)

    def size(count: int) -> Sequence[Any]:
        largest = sum(factor * _largest(q, count) for q, factor in sources)
        rounded = DIFFERENCE_NOISE * largest
        if not count:
            return [rounded] * arrays
        with np.errstate(all="ignore"):
            return [rounded + np.where(t > SMOOTH * largest, np.inf, t) for t in truncated()]

    return size


def _largest(quantity: Quantity, count: int) -> float:
    """The largest number of a quantity, its sensitivity included."""
    largest = 0.0
    for i, want in enumerate(quantity.wants):
        size = np.abs(np.asarray(want)) + (quantity.sensitivity(i, count) if count else 0.0)
        largest = max(largest, float(np.max(size, initial=0.0, where=np.isfinite(size))))
    return largest
