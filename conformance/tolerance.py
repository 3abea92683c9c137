"""How far off is allowed, derived from the reference's own sensitivity.

    allowed = K * (eps * (|r| + S) + smallest subnormal)

elementwise, where r is the reference at the inputs as rounded to the dtype, and S how far r moves, in
units of eps, when every input and cotangent (and, where torch's formula reads it, the saved output)
moves by one unit in the last place in a random direction, and when every intermediate result of the
formula is rounded: the largest of a few such moves. Both are measured, none is guessed. One K serves
every op, dtype and check. (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapters 1-3.)

S costs evaluations of the reference, so it is computed in stages, only as far as a verdict needs it:
none where the error is within K eps |r| already, then a move or a few, and many before anything is
called wrong: a handful of random signs may cancel by chance in some element. The rule's waivers are asked
after a few. Where 24 moves leave an error of up to twice what is allowed, 96 are made: of the largest of so
many the next ones hardly make more. The ratio of error to allowed that is reported is that of the stage that
decided, so it is never too small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.dtypes import Dtype
from reference.rule import Waiver, single_precision

K = 8.0
PART = 0.5  # of the first move: what costs least
MANY, NEARLY = 24, 2.0
STAGES = (0, PART, 1, 2, 4, 8, 16, MANY, 4 * MANY)
# What is still too large after a few moves is held against the waivers: most of what one explains no moves would.
# They are made where no waiver does, before anything is called wrong.
FEW = 4
NEARBY = 2.0**-12  # how near, relatively, the point is at which roundings are measured
SINGLE_EPS = 2.0**-23
STEP = 2.0**-26  # the relative step where a sensitivity is measured by a difference


class Quantity:
    """Arrays that the reference expects together, with the error that each element is allowed.

    wants    the expected arrays; None where there is nothing to expect
    dtypes   the dtype in which torch must deliver each
    moves    moves(k) gives the k-th random move of every array, in units of eps
    part     what of the first move is known sooner than the whole
    noise    the reference's own error of every array, elementwise or as a number, where it is above rounding;
             or a function that gives it from so many moves
    declared the rule's waivers; room(waiver) gives the extra term of every array, in units of eps
    """

    def __init__(
        self,
        wants: Sequence[Any],
        dtypes: Sequence[Dtype | None],
        moves: Callable[[int], Sequence[Any]] | None,
        noise: Sequence[Any] | Callable[[int], Sequence[Any]] | None = None,
        declared: Sequence[Waiver] = (),
        room: Callable[[Waiver], Sequence[Any]] | None = None,
        part: Callable[[], Sequence[Any]] | None = None,
    ):
        self.wants, self.dtypes, self._moves, self._part = list(wants), list(dtypes), moves, part
        self._noise = noise or [0.0] * len(self.wants)
        self._declared, self._room = declared, room
        self._done = 0
        self._largest: list[Any] = [0.0] * len(self.wants)

    def sensitivity(self, i: int, count: float) -> Any:
        """S of array i from `count` moves."""
        with np.errstate(all="ignore"):
            if count == PART and self._part is not None and not self._done:
                self._enlarge(self._part())
                self._part = None
            while self._moves is not None and self._done + PART < count:
                self._enlarge(self._moves(self._done))
                self._done += 1
        return self._largest[i]

    def _enlarge(self, moves: Sequence[Any]) -> None:
        for j, move in enumerate(moves):
            if move is not None:
                size = np.abs(move)
                # a move that leaves the domain (nan) or the range (inf) says nothing of rounding
                self._largest[j] = np.maximum(self._largest[j], np.where(np.isfinite(size), size, 0.0))

    def allowed(self, i: int, count: float) -> np.ndarray:
        """The allowed error of array i, with the sensitivity taken from `count` moves."""
        want, dtype = self.wants[i], self.dtypes[i]
        assert dtype is not None
        size = np.abs(want)
        if not np.isfinite(size.sum()):
            size = np.where(np.isfinite(size), size, 0.0)
        noise = self._noise(int(count)) if callable(self._noise) else self._noise
        room = dtype.eps * (size + (self.sensitivity(i, count) if count else 0.0))
        return np.asarray(K * (room + dtype.smallest) + noise[i])

    def waivers(self, check: str) -> list[Waiver]:
        """The declared waivers that hold for this check in this dtype."""
        names = {d.name for d in self.dtypes if d is not None}
        return [
            w for w in self._declared
            if (not w.checks or check in w.checks) and (not w.dtypes or names & set(w.dtypes))
        ]  # fmt: skip

    def waived(self, i: int, waiver: Waiver, count: float) -> np.ndarray:
        """The allowed error of array i under a waiver, with the sensitivity taken from `count` moves."""
        dtype = self.dtypes[i]
        assert dtype is not None
        extra = np.zeros(()) if waiver.room is None or self._room is None else np.asarray(self._room(waiver)[i])
        extra = np.where(np.isfinite(extra), extra, 0.0)  # at a nan or an infinity there is no size to speak of
        return np.asarray(waiver.factor * self.allowed(i, count) + K * dtype.eps * extra)


class Moves:
    """Random moves of arrays in units of eps, each the sum of two: how far they move with their data, and then, where
    that is measured, with the roundings on the way. A random generator goes from the one to the other.
    """

    def __init__(
        self,
        seed: tuple[int, int],
        with_data: Callable[[np.random.Generator], list[Any]],
        with_roundings: Callable[[np.random.Generator], list[Any]] | None = None,
    ):
        self._seed, self._with_data, self._with_roundings = seed, with_data, with_roundings
        self._begun: tuple[np.random.Generator, list[Any]] | None = None  # the first move, of which the part is known
        self._whole: dict[int, list[Any]] = {}

    def part(self) -> list[Any]:
        """What of the first move is known sooner."""
        if self._begun is None:
            self._begun = self._begin(0)
        return self._begun[1]

    def __call__(self, k: int) -> list[Any]:
        if k not in self._whole:
            rng, moves = self._begun if k == 0 and self._begun else self._begin(k)
            self._whole[k] = moves if self._with_roundings is None else added(moves, self._with_roundings(rng))
        return self._whole[k]

    def _begin(self, k: int) -> tuple[np.random.Generator, list[Any]]:
        rng = np.random.Generator(np.random.PCG64((self._seed[0], k, self._seed[1])))
        return rng, self._with_data(rng)


def difference_moves(
    fn: Callable[[list[Any]], list[Any]],
    arrays: Sequence[Any],
    moves: Sequence[Any],
    base: Sequence[Any] | None = None,
    data: int = 0,
) -> list[Any]:
    """How far fn moves from `base`, its value at the arrays, when its arguments make these moves.

    To first order, by a one-sided difference. A change that does not shrink with the step is a jump (a tie
    that falls, a kink that is crossed): no sensitivity. The first `data` arrays make it; what is left there is
    how far fn moves with the others, the directions, in which it is smooth everywhere.
    """

    def slopes(step: float, moves: Sequence[Any]) -> list[Any]:
        moved = fn([a if m is None else a + step * m for a, m in zip(arrays, moves)])
        return [None if b is None else np.abs(f - b) / step for b, f in zip(start, moved)]

    start = fn(list(arrays)) if base is None else base
    result = slopes(STEP, moves)
    if any(s is not None and _may_have_jumped(s, b) for s, b in zip(result, start)):
        still = slopes(STEP, [None] * data + list(moves[data:])) if data else [0.0] * len(start)
        for i, finer in enumerate(slopes(STEP / 8, moves)):
            if finer is not None:
                result[i] = np.where(finer > 4 * result[i], still[i], result[i])
    return result


def _may_have_jumped(slope: np.ndarray, base: np.ndarray) -> bool:
    """A jump divided by the step is enormous: smaller slopes need no second look."""
    return slope.size > 0 and not slope.max() <= 2.0**12 * np.abs(base).max(initial=0.0)


def rounding_moves(fn: Callable[[list[Any]], list[Any]], arrays: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """How far fn moves, in units of eps, when every intermediate result is rounded.

    Measured: the formula carried out in single precision, against double, at a point nearby whose
    mantissas are full. What cancels inside a formula shows here and not in a move of its inputs.
    """
    wide, narrow = [], []
    for a in arrays:
        if a is None or a.dtype.kind not in "fc":
            wide.append(a)
            narrow.append(a)
            continue
        small = np.complex64 if a.dtype.kind == "c" else np.float32
        near = np.asarray(a * (1.0 + NEARBY * rng.uniform(-1.0, 1.0, a.shape))).astype(small)
        narrow.append(near)
        wide.append(near.astype(a.dtype))
    with single_precision():
        rounded = fn(narrow)
    return [
        None if w is None or n is None else np.abs(n.astype(w.dtype) - w) / SINGLE_EPS
        for w, n in zip(fn(wide), rounded)
    ]


def added(moves: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The sizes of two lists of moves together."""
    return [m if o is None else np.abs(o) if m is None else np.abs(m) + np.abs(o) for m, o in zip(moves, others)]


def unit(a: np.ndarray, s: np.ndarray) -> np.ndarray:
    """One unit of a in direction s: its own size times a sign, its modulus for complex numbers."""
    return np.asarray(np.abs(a) * s if a.dtype.kind == "c" else a * s)


def random_signs(rng: np.random.Generator, arrays: Sequence[Any]) -> list[Any]:
    """A random sign for each element (a random quarter turn for complex ones); None for integers."""
    result: list[Any] = []
    for a in arrays:
        if a is None or a.dtype.kind not in "fc":
            result.append(None)
        elif a.dtype.kind == "c":
            result.append(np.asarray((1j) ** rng.integers(0, 4, a.shape)))
        else:
            result.append(rng.integers(0, 2, a.shape) * 2.0 - 1.0)
    return result
