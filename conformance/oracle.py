"""The reference's answers for one case in one dtype, each computed once and shared by every check."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance import higher
from conformance.dtypes import DTYPES, Dtype, NoCounterpart
from conformance.tolerance import MANY, Moves, Quantity, added, difference_moves, random_signs, rounding_moves, unit
from reference.derive import STEP as COMPLEX_STEP
from reference.derive import Call, Product, finite_inner, imaginary, inner, jvp, stepped
from reference.rule import Waiver, is_inexact, stepping


class Oracle:
    """Inputs as the dtype holds them, random cotangents and tangents, and what must come out.

    `xs` are the places of the differentiable inputs in `call.arrays`, `ys` those of the differentiable
    outputs; every Quantity below lists its arrays in these orders. `shown` are the places of the outputs
    that a form sees.
    """

    def __init__(self, call: Call, dtype: str, seed: int = 0):
        self.call, self.dtype, self.seed = call, DTYPES[dtype], seed
        self._rng = np.random.Generator(np.random.PCG64((seed, zlib.crc32(dtype.encode()))))
        self.arrays = [self._kind(a).round(a) if is_inexact(a) else a for a in call.arrays]
        with np.errstate(all="ignore"):
            self.outs, self._pull = call.run(self.arrays)
        self.reads_output: bool = self._pull.reads_output  # type: ignore[attr-defined]
        self.kept: dict[Any, Any] = {}  # what torch was given of this call, by device
        constants = call.rule.constants
        self.ys = [i for i, o in enumerate(self.outs) if is_inexact(o) and i not in constants]
        self.cotangents: list[Any] = [None if i in constants else self._direction(o) for i, o in enumerate(self.outs)]
        with np.errstate(all="ignore"):
            self.gradients = self._pull(self.cotangents) if self.ys else [None] * len(self.arrays)
        self.xs = [i for i, d in enumerate(self.gradients) if d is not None]
        # a call without a derivative shows all its outputs, integers too: there is no cotangent to pass to them
        self.shown = self.ys if self.xs else list(range(len(self.outs)))
        differentiable = set(self.xs)
        self.tangents = [self._direction(a) if i in differentiable else None for i, a in enumerate(self.arrays)]

    def _kind(self, a: np.ndarray) -> Dtype:
        """The dtype in which torch holds or delivers an array: complex arrays in the complex counterpart."""
        found = self.dtype.of(a)
        if found is None:
            raise NoCounterpart(f"{self.dtype.name} has no complex counterpart")
        return found

    def _direction(self, like: np.ndarray) -> Any:
        """A random direction of the array's kind, of size 1/2 to 3/2; None for integers."""
        if not is_inexact(like):
            return None

        def part() -> np.ndarray:
            u = self._rng.uniform(-1.0, 1.0, like.shape)
            return np.asarray(u + np.copysign(0.5, u))

        v = part() + 1j * part() if like.dtype.kind == "c" else part()
        return self._kind(like).round(np.asarray(v))

    def quantity(
        self,
        wants: Sequence[Any],
        moves: Moves,
        noise: Callable[[int], Sequence[float]] | None = None,
        scales: Sequence[Sequence[Any]] = (),
        select: Callable[[list[Any]], Sequence[Any]] = list,
    ) -> Quantity:
        """`scales`: what a waiver's room for the output is multiplied by here (cotangent, tangent).

        `select` takes those of the wants out of the moves.
        """

        def room(waiver: Waiver) -> list[Any]:
            case = self.call.replaced(self.arrays)
            assert waiver.room is not None
            size = np.abs(np.asarray(waiver.room(*case.args, **case.kwargs)))
            if scales and not self.call.rule.elementwise:  # an element of a gradient is of no one output
                size = np.asarray(size.max(initial=0.0, where=np.isfinite(size)))
            for scale in scales:
                sizes = [np.abs(s) for s in scale if s is not None]  # the first alone may be zero
                size = _times(size, sizes[0] if len(sizes) == 1 else np.max([s.max(initial=0.0) for s in sizes]))
            return [size if size.shape == np.shape(w) else size.max(initial=0.0) for w in wants]

        dtypes = [self._kind(w) if is_inexact(w) else None for w in wants]
        waivers = self.call.rule.waivers
        return Quantity(wants, dtypes, lambda k: select(moves(k)), noise, waivers, room, lambda: select(moves.part()))

    @functools.cached_property
    def others(self) -> list[Any]:
        """A second set of tangents."""
        return [None if v is None else self._direction(a) for a, v in zip(self.arrays, self.tangents)]

    # value and gradient: one stepped evaluation moves both

    @functools.cached_property
    def _moves(self) -> Moves:
        """Random moves of the outputs and of the gradients under the oracle's own cotangents."""
        return self.moves_under(self.cotangents, self.gradients)

    def moves_under(self, cotangents: Sequence[Any], gradients: Sequence[Any]) -> Moves:
        """Random moves of the outputs and, after them, of the gradients under these cotangents."""
        n, flat = len(self.arrays), [*self.arrays, *cotangents]

        def both(flat: list[Any]) -> list[Any]:
            outs, pull = self.call.run(flat[:n])
            return [*(o if is_inexact(o) else None for o in outs), *(pull(flat[n:]) if self.ys else [None] * n)]

        def with_data(rng: np.random.Generator) -> list[Any]:
            signs, turns = random_signs(rng, self.arrays), random_signs(rng, cotangents)
            if not (self.call.analytic and self.xs):  # what has no derivative need not be analytic
                moves = [None if s is None else unit(a, s) for a, s in zip(flat, [*signs, *turns])]
                return difference_moves(both, flat, moves, data=n)
            with stepping():
                tangents = [None if s is None else a * s for a, s in zip(self.arrays, signs)]
                outs, pull = self.call.run(stepped(self.arrays, tangents))
                gs = [None if g is None else g * (1.0 + 1j * COMPLEX_STEP * s) for g, s in zip(cotangents, turns)]
                return [*imaginary(outs), *imaginary(pull(gs))]

        def with_roundings(rng: np.random.Generator) -> list[Any]:
            moves = rounding_moves(both, flat, rng)
            if self.reads_output and self.ys:
                outs = len(self.outs)
                moves[outs:] = added(moves[outs:], self._slip(rng, cotangents, gradients))
            return moves

        return Moves((self.seed, 1), with_data, with_roundings)

    def _slip(self, rng: np.random.Generator, gs: Sequence[Any], plain: Sequence[Any]) -> list[Any]:
        """How far gradients move with an error of the output, where torch's backward reads its rounded output."""
        step = 2.0**-20
        below = self.dtype.smallest / self.dtype.eps  # what is subnormal is rounded to a multiple of the smallest
        slip = step * (np.abs(self.outs[0]) + below) * random_signs(rng, self.outs[:1])[0]
        with np.errstate(all="ignore"):
            moved = self._pull(gs, slip)
        return [None if d is None else (m - d) / step for m, d in zip(moved, plain)]

    @functools.cached_property
    def value(self) -> Quantity:
        """Every output, integers too (which must be equal)."""
        return self.quantity(self.outs, self._moves, select=lambda moved: moved[: len(self.outs)])

    @functools.cached_property
    def vjp(self) -> Quantity:
        """The gradients of the differentiable inputs under the cotangents."""
        return self.quantity(
            self.at_xs(self.gradients), self._moves, scales=[self.cotangents], select=self._gradients_of
        )

    def _gradients_of(self, moved: list[Any]) -> list[Any]:
        return self.at_xs(moved[len(self.outs) :])

    def under(self, cotangents: Sequence[Any]) -> Oracle:
        """The oracle of the same call under other cotangents."""
        other = Oracle(self.call, self.dtype.name, self.seed)
        other.cotangents = list(cotangents)
        with np.errstate(all="ignore"):
            other.gradients = other._pull(other.cotangents)
        return other

    def vjp_under(self, cotangents: Sequence[Any]) -> Quantity:
        """The gradients under other cotangents (a zero for a missing one)."""
        with np.errstate(all="ignore"):
            gradients = self._pull(list(cotangents))
        return self.quantity(
            self.at_xs(gradients),
            self.moves_under(cotangents, gradients),
            scales=[cotangents],
            select=self._gradients_of,
        )

    def jumps(self, cotangents: Sequence[Any]) -> bool:
        """Whether a kink is nearer than rounding: the gradients leave what is allowed when inputs move by a unit."""
        quantity = self.vjp_under(cotangents)
        rng = np.random.Generator(np.random.PCG64((self.seed, 5)))
        for _ in range(MANY):
            signs = random_signs(rng, self.arrays)
            moved = [a if s is None else a + self.dtype.eps * unit(a, s) for a, s in zip(self.arrays, signs)]
            with np.errstate(all="ignore"):
                found = self.at_xs(self.call.run(moved)[1](list(cotangents)))
                pairs = enumerate(zip(found, quantity.wants))
                if any(np.any(np.abs(f - w) > quantity.allowed(i, MANY)) for i, (f, w) in pairs):
                    return True
        return False

    def at_xs(self, flat: Sequence[Any]) -> list[Any]:
        return [flat[i] for i in self.xs]

    # forward mode

    @functools.cached_property
    def jvp(self) -> Quantity:
        """The tangents of the differentiable outputs."""
        return self._tangent_quantity(self.tangents)

    def _tangent_quantity(self, tangents: list[Any]) -> Quantity:
        def at(moved: list[Any], product: Product = finite_inner) -> list[Any]:
            n = len(self.arrays)
            found = jvp(self.call, moved[:n], moved[n:], product)
            return [found[i] for i in self.ys]

        with np.errstate(all="ignore"):
            wants = at([*self.arrays, *tangents], inner)

        # exact for every rule: read off the step, or off the vjp
        moves = self.moves_of(at, [*self.arrays, *tangents], 2, wants)
        return self.quantity(wants, moves, scales=[tangents])

    def moves_of(
        self, at: Callable[[list[Any]], list[Any]], flat: list[Any], kind: int, base: list[Any], rounds: bool = True
    ) -> Moves:
        """Random moves of `at`, whose value is `base`; those of its roundings only where it is no difference."""
        return Moves(
            (self.seed, kind),
            lambda rng: difference_moves(at, flat, self._unit_moves(rng, flat), base, len(self.arrays)),
            (lambda rng: rounding_moves(at, flat, rng)) if rounds else None,
        )

    def _unit_moves(self, rng: np.random.Generator, flat: list[Any]) -> list[Any]:
        """For each array a move of one unit (its own size) with random signs.

        Where torch's formulas read the saved output of a pointwise function, that output's rounding is
        a move of the input by y / f'(x) units: exact for derivatives of every order.
        """
        moves = [None if s is None else unit(a, s) for a, s in zip(flat, random_signs(rng, flat))]
        if self._through_output is not None:
            signs = random_signs(rng, self.arrays[:1])[0]
            moves[0] = moves[0] + signs * self._through_output
        return moves

    @functools.cached_property
    def _through_output(self) -> Any:
        """|y / f'(x)| for a pointwise function whose derivative torch takes from its output; else None."""
        if not self.reads_output or len(self.arrays) != 1 or self.arrays[0].shape != self.outs[0].shape:
            return None
        g = self.cotangents[0]
        slope = self.gradients[0] / g
        turned = np.roll(g, 1) * 3.0
        if not np.allclose(self._pull([turned])[0], slope * turned, rtol=1e-9, atol=1e-300, equal_nan=True):
            return None  # not pointwise: an output depends on several inputs
        size = np.abs(self.outs[0]) / np.abs(slope)
        return np.where(np.isfinite(size), size, 0.0)

    # higher orders

    @functools.cached_property
    def second(self) -> Quantity:
        return higher.second(self)

    @functools.cached_property
    def second_forward(self) -> Quantity:
        return higher.second_forward(self)

    @functools.cached_property
    def thirds(self) -> list[list[Any]]:
        return higher.thirds(self)

    @functools.cached_property
    def third(self) -> Quantity:
        return higher.third(self)


def _times(size: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Elementwise where the shapes agree, else by the largest of the scale."""
    return np.asarray(size * (scale if scale.shape == size.shape else scale.max(initial=0.0)))
