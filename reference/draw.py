"""How a rule's cases are drawn: an abstract source of choices, and the arrays and shapes made from it.

Everything comes from one primitive, ``integer``, so that the same ``cases`` function is driven by
Hypothesis (which shrinks towards 0, hence towards small shapes and simple numbers) and by a seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

REGIMES = ("typical", "empty", "scalar", "edges", "large", "generic")
# Where vector kernels change path: one less, exactly, one more than a multiple of the width.
EDGES = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
# More than 32,768 elements, where the CPU's kernels start to run in parallel.
PARALLEL = 32_768


class Draw:
    """A source of choices. `regime` sets the sizes that are drawn; `complex` what `numbers` gives.

    typical  sides of 1 to 4, so that a counterexample can be read
    empty    one side of 0, where the rule allows it
    scalar   0-d, where the rule allows it
    edges    sides around the widths of vector registers
    large    more than 32,768 elements
    generic  sides as typical, numbers in general position: no chosen zeros or ties, not near 0 or the end of a range
    """

    def __init__(self, regime: str = "typical", complex: bool = False):
        self.regime, self.complex = regime, complex
        self._grown = 0
        self._made = 0

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]; the simplest is `low`."""
        raise NotImplementedError

    def choice(self, *options: Any) -> Any:
        """One of the options; the first is the simplest."""
        return options[self.integer(0, len(options) - 1)]

    @property
    def special(self) -> bool:
        """Whether zeros, ties and the ends of ranges may be chosen."""
        return self.regime != "generic"

    def boolean(self) -> bool:
        return bool(self.integer(0, 1))

    # shapes

    def side(self, low: int = 1, high: int = 4) -> int:
        """The size of a dimension that may grow: [low, high], or what the regime asks for.

        In the regime `large` the first two sides of a case are large, the others typical.
        """
        if self.regime == "edges" and self._grown < 2:
            self._grown += 1
            return max(low, int(self.choice(*EDGES)))
        if self.regime == "large" and self._grown < 2:
            self._grown += 1
            return max(low, 190 + self.integer(0, 5))
        if self.regime == "empty" and low <= 0 and self.boolean():
            return 0
        return self.integer(max(low, 1), max(high, low, 1))

    def shape(self, min_dims: int = 0, max_dims: int = 3, min_side: int = 0) -> tuple[int, ...]:
        """A shape of min_dims to max_dims dimensions; sides of 0 only where min_side is 0."""
        if self.regime == "scalar" and min_dims == 0:
            return ()
        low = min_dims if self.regime in ("typical", "scalar", "generic") else max(min_dims, min(1, max_dims))
        dims = self.integer(low, max_dims)
        sides = [self.integer(1, 4 if dims < 4 else 3) for _ in range(dims)]
        if not dims:
            return ()
        at = self.integer(0, dims - 1)
        if self.regime == "empty" and min_side == 0:
            sides[at] = 0
        elif self.regime == "edges":
            sides[at] = self.choice(*EDGES)
        elif self.regime == "large":
            rest = math.prod(sides) // sides[at]
            sides[at] = PARALLEL // rest + self.integer(1, 70)
        return tuple(sides)

    def broadcast(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape that broadcasts to `shape`: leading dimensions dropped, others set to 1, or the same."""
        kind = self.integer(0, 3)
        if kind <= 1:
            return tuple(shape)
        kept = tuple(shape)[self.integer(0, len(shape)) :]
        return tuple(1 if self.boolean() else n for n in kept)

    def shapes(self, count: int, min_dims: int = 0, max_dims: int = 3) -> list[tuple[int, ...]]:
        """`count` shapes that broadcast together; any of them may be the one that is widened."""
        full = self.shape(min_dims, max_dims)
        made = [self.broadcast(full) for _ in range(count)]
        made[self.integer(0, count - 1)] = full
        return made

    def dim(self, ndim: int) -> int:
        """A dimension, counted from the front or from the back. A 0-d tensor has 0 and -1."""
        n = max(ndim, 1)
        d = self.integer(0, n - 1)
        return d - n if self.boolean() else d

    def dims(self, ndim: int, min_count: int = 0) -> tuple[int, ...]:
        """Distinct dimensions in any order, each counted from either end."""
        left = list(range(ndim))
        picked = []
        for _ in range(self.integer(min(min_count, ndim), ndim)):
            d = left.pop(self.integer(0, len(left) - 1))
            picked.append(d - ndim if self.boolean() else d)
        return tuple(picked)

    def permutation(self, count: int) -> tuple[int, ...]:
        """0 .. count-1 in some order."""
        left = list(range(count))
        return tuple(left.pop(self.integer(0, len(left) - 1)) for _ in range(count))

    # arrays

    def generator(self) -> np.random.Generator:
        """A generator for the contents of an array; its seed is one choice, so that drawing stays quick.

        Two equal choices give equal arrays, and ties between them, but in general position.
        """
        seed = self.integer(0, 0xFFFF)
        self._made += 1
        return np.random.Generator(np.random.PCG64(seed if self.special else (seed, self._made)))

    def reals(
        self,
        shape: Sequence[int] = (),
        low: float = -4.0,
        high: float = 4.0,
        avoid: Sequence[float] = (),
        distinct: bool = False,
        few: bool = True,
    ) -> np.ndarray:
        """float64 in [low, high]: simple multiples of 1/4, full mantissas, or very few values.

        Multiples of 1/4 bring zeros and ties. Of few values whole slices are equal, and complex numbers zero.

        avoid     points (kinks) from which every element keeps a distance that survives rounding to bfloat16
        distinct  no two elements equal, also after rounding to bfloat16 (while there are at most 200)
        few       whether there may be very few values
        """
        shape = tuple(shape)
        kind = self.integer(0, 4)
        rng = self.generator()
        if not self.special:
            kind, low, high = 3, low + (high - low) / 16, high - (high - low) / 16
        if distinct:
            x = _distinct(rng, shape, low, high)
        elif kind == 0:
            x = rng.integers(math.ceil(low * 4), math.floor(high * 4) + 1, shape) / 4.0
        elif kind == 1:  # magnitudes from small to large, for what happens near zero
            x = np.clip(rng.choice([-1.0, 1.0], shape) * 2.0 ** rng.uniform(-8, 2, shape), low, high)
        elif kind == 2 and few and self.regime != "large":  # equal terms in their thousands round in one direction
            values = rng.integers(math.ceil(low * 4), math.floor(high * 4) + 1, 2) / 4.0
            x = rng.choice([*values, 0.0] if low <= 0.0 <= high else values, shape)
        else:
            x = rng.uniform(low, high, shape)
        if self.regime == "large" and low < 0 < high and self.boolean():
            x = np.abs(x)  # terms that do not cancel: a sum that is kept in too few digits stops growing
        if not self.special and low < 0.0 < high:
            x = _spread_from_zero(x, low, high)
        for point in avoid:
            x = _keep_away(x, point, low, high)
        return np.asarray(x, dtype=np.float64)

    def numbers(self, shape: Sequence[int] = (), low: float = -4.0, high: float = 4.0, **options: Any) -> np.ndarray:
        """As `reals`, or complex128 with both parts so drawn when a complex case is wanted."""
        x = self.reals(shape, low, high, **options)
        if not self.complex:
            return x
        return np.asarray(x + 1j * self.reals(shape, low, high, **options))

    def integers(self, shape: Sequence[int], low: int, high: int) -> np.ndarray:
        """int64 in [low, high]."""
        return np.asarray(self.generator().integers(low, high + 1, tuple(shape)), dtype=np.int64)

    def bools(self, shape: Sequence[int]) -> np.ndarray:
        return np.asarray(self.generator().integers(0, 2, tuple(shape)), dtype=bool)


def _distinct(rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """A random permutation of an even grid, jittered by less than a fifth of its spacing."""
    n = math.prod(shape)
    spacing = (high - low) / max(n, 1)
    places = rng.permutation(n) + 0.5 + rng.uniform(-0.2, 0.2, n)
    return np.asarray(low + spacing * places).reshape(shape)


def _spread_from_zero(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """x with a gap of 1/4 on both sides of zero, near which formulas that divide lose a digit for each power."""
    limit = np.where(x < 0.0, -low, high)
    gap = np.minimum(0.25, limit / 4.0)
    return np.asarray(np.where(x < 0.0, -1.0, 1.0) * gap + x * (1.0 - gap / limit))


def _keep_away(x: np.ndarray, point: float, low: float, high: float) -> np.ndarray:
    gap = 2.0**-5 * (1.0 + abs(point))
    up, down = point + gap, point - gap
    other = up if up <= high else down
    side = np.where(x >= point, other, down if down >= low else other)
    return np.where(np.abs(x - point) < gap, side, x)
