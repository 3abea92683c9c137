"""What becomes of a result: nothing in the reference, random noise where errors are measured.

A program calls its operations through one of these. `Exact` leaves results alone. `Noisy` computes in
float32 and moves every result by a random error of the size that an ordinary float32 implementation
may make, whatever the order of its sums.

Of a sum that is accumulated one term after another, s_1, s_2, ..., s_k = s, each partial sum is rounded
once, by at most u |s_i| with u = eps / 2; roundings are taken as independent, so that their squares add
up: u^2 sum(s_i^2) (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. 2002, ch. 2-4;
Higham and Mary, SIAM J. Sci. Comput. 41, 2019). The partial sums of a dot product a.b of k terms go
from 0 to s: a drift i s / k, and around it a random walk that returns at both ends. With q the sum of
the squares of the terms, the drift gives sum(s_i^2) = k s^2 / 3 and the walk k q / 6, where q is about
|a|^2 |b|^2 / k for unrelated factors (2-norms). Hence, with random signs v and w,

    error of a dot product = u (sqrt(k / 3) s v + |a| |b| / sqrt(6) w).

Torch and the vendors' libraries accumulate in blocks and err less. A sum of a whole tensor is a tree
everywhere: log2(n) roundings in a row instead of n. An elementwise result moves by one ulp.

A decision is different: whether a relu lets a gradient through has no error that could be multiplied
afterwards. So a noisy program either follows the decisions of the reference (lean = 0: the smooth part,
which scales with eps), or takes every decision that is in doubt for "open" (lean = 1) or for "closed"
(-1). Between those two, each decision that rounding may turn is once taken otherwise than in the
reference. A turned decision moves the later ones, each in its own direction: of what a run's own error
puts in doubt a part leans the same way, which adds up where chance would cancel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reference.rule import Array

UNIT = 2.0**-24  # u of float32: half the distance from 1 to the next number
DOUBT = 4.0  # within so many (root mean square) smooth errors of 0, the sign of a pre-activation is in doubt
COARSE = 2.0**-8  # one unit of bfloat16
FOLLOWING = 0.25  # the same for the error that a run has gathered from decisions that it turned


class Exact:
    """Operations in float64 as NumPy does them. Keeps what the relus decided on, where it is asked to."""

    dtype: type[np.floating] = np.float64

    def __init__(self, keep: bool = False):
        self.keep = keep
        self.decided: list[Array] = []

    def __call__(self, x: Array) -> Array:
        """The result of an elementwise operation."""
        return x

    def coarse(self, x: Array) -> Array:
        """The result of an operation that is published in bfloat16."""
        return x

    def dot(self, a: Array, b: Array) -> Array:
        """The matrix product a b. a: (m, k); b: (k, n)."""
        return np.asarray(a @ b)

    def total(self, x: Array) -> float:
        """The sum of all elements, which have one sign."""
        return x.sum()  # type: ignore[no-any-return]

    def rows(self, x: Array) -> Array:
        """The sum over the first dimension."""
        return np.asarray(x.sum(axis=0))

    def doubt(self, h: Array) -> Array | None:
        """What is added to a pre-activation so that decisions turn; None for nothing."""
        if self.keep:
            self.decided.append(h.astype(np.float32))
        return None

    def positive(self, h: Array) -> Array:
        """Where a relu lets h through."""
        if self.keep:
            self.decided.append(h.astype(np.float32))
        return np.asarray(h.real > 0)


class Noisy(Exact):
    """Operations in float32, every result with a random error.

    decided  what the relus of the reference decided on, in the order of its run
    errors   of these, as a run with lean = 0 leaves them; needed for the others
    """

    dtype = np.float32

    def __init__(self, seed: int, decided: Sequence[Array], lean: int = 0, errors: Sequence[float] = ()):
        super().__init__()
        self.errors: list[float] = []
        self._rng, self._lean = np.random.default_rng(seed), lean
        self._wanted, self._doubts = iter(decided), iter(errors)
        # signs are taken from random places of one long list: fresh ones would cost more than the arithmetic
        self._pool = (self._rng.integers(0, 2, 1 << 18) * 2 - 1).astype(np.float32)

    def __call__(self, x: Array) -> Array:
        return self._moved(x, UNIT)  # x + u x rounds to a neighbour of x

    def dot(self, a: Array, b: Array) -> Array:
        s = self._moved(a @ b, UNIT * math.sqrt(a.shape[1] / 3))
        left = np.sqrt(np.einsum("ik,ik->i", a, a)) * np.float32(UNIT / math.sqrt(6.0))
        right = np.sqrt(np.einsum("kj,kj->j", b, b))
        walk = self._signs(s.shape) * left[:, None]
        walk *= right
        s += walk
        return np.asarray(s)

    def total(self, x: Array) -> float:
        return float(self._moved(x.sum(), UNIT * math.sqrt(math.log2(x.size))))

    def rows(self, x: Array) -> Array:
        return self.dot(np.ones((1, x.shape[0]), np.float32), x).reshape(-1)

    def positive(self, h: Array) -> Array:
        wanted = next(self._wanted)
        error = h - wanted
        size = math.sqrt(float(np.mean(error * error)))
        if not self._lean:
            self.errors.append(size)
            return np.asarray(wanted > 0)
        doubt = DOUBT * next(self._doubts) + FOLLOWING * size
        return np.asarray(h > -self._lean * doubt)

    def _moved(self, x: Array, relative: float) -> Array:
        error = np.asarray(x * self._signs(np.shape(x)))
        error *= np.float32(relative)
        error += x
        return error

    def _signs(self, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape)
        start = int(self._rng.integers(0, self._pool.size - size))
        return self._pool[start : start + size].reshape(shape)


class Shaken(Exact):
    """Operations in any precision, every result moved by up to a relative error of a given size, at random.

    The smaller the size, the fewer decisions turn: at 2^-36 none in any run that ends, so that what is seen is the
    smooth part of the error. In float32 with size 0 what is seen is the roundings of an implementation, those inside
    of a rule included. With `lean` every relu in doubt is opened (1) or closed (-1), as by `Noisy`.
    """

    def __init__(
        self, seed: int, size: float, dtype: type[np.floating] = np.float64, decided: Sequence[Array] = (),
        lean: int = 0, errors: Sequence[float] = (),
    ):  # fmt: skip
        super().__init__()
        self.dtype, self.size = dtype, size
        self.errors: list[float] = []
        self._rng, self._lean = np.random.default_rng(seed), lean
        self._wanted, self._doubts = iter(decided), iter(errors)
        self._pool = self._rng.uniform(-1.0, 1.0, 1 << 18)

    def __call__(self, x: Array) -> Array:
        return self._moved(x, self.size) if self.size else np.asarray(x, self.dtype)

    def coarse(self, x: Array) -> Array:
        return self._moved(x, COARSE)

    def doubt(self, h: Array) -> Array | None:
        wanted = next(self._wanted, None)
        if wanted is None:
            return None
        size = math.sqrt(float(np.mean((h - wanted) ** 2)))
        if not self._lean:
            self.errors.append(size)
            return None
        room = DOUBT * next(self._doubts) + FOLLOWING * size
        return np.where(np.abs(h) < room, self._lean * room, 0.0)

    def _moved(self, x: Array, size: float) -> Array:
        # from random places of one long list, as in `Noisy`: fresh numbers would cost more than the arithmetic
        start, count = int(self._rng.integers(0, self._pool.size // 2)), np.size(x)
        drawn = self._pool[start : start + count]
        drawn = drawn if drawn.size == count else np.resize(self._pool, count)
        return np.asarray(x * (1.0 + size * drawn.reshape(np.shape(x))), self.dtype)


EXACT = Exact()
