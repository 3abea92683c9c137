"""What torch must deliver after every step of a run, and how far off it may be.

Errors propagate: the allowed error of a number is that of conformance.tolerance, with the sensitivity measured on the
whole run. Every parameter, gradient and state tensor moves by one unit in the last place before every step, and the
run is carried out in single against double precision at a point nearby.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.dtypes import DTYPES, Dtype
from conformance.tolerance import MANY, NEARBY, SINGLE_EPS, STEP, K, Quantity
from reference.optim import Optimizer, Snapshot, run
from reference.rule import Array, Case, is_array, stepping

# Numbers that torch keeps for a parameter beside its tensors have the default dtype, whatever the parameter's.
SCALARS = ("step", "eta", "mu", "mu_product")
COMPLEX_STEP = 2.0**-66
INNER = 2.0**-8  # one unit of bfloat16, in which Muon's iteration is published


@dataclasses.dataclass(frozen=True)
class Expected:
    """labels: (step, name) of each array of the quantity; rounded(k): the arrays of data off by a unit of the dtype."""

    labels: list[tuple[int, str]]
    quantity: Quantity
    rounded: Callable[[int], list[Any]] | None = None

    def turns(self, i: int) -> bool:
        """Whether array i leaves what is allowed where the data are off by a unit, which is no small step in bfloat16.

        A gradient of which weight decay leaves nearly nothing has either sign then, and an update that forgets the
        size of gradients keeps the sign alone.
        """
        if self.rounded is None or self.quantity.dtypes[i] is None:
            return False
        allowed = self.quantity.allowed(i, MANY)
        runs = (self.rounded(k)[i] for k in range(MANY))
        return any(bool(np.any(np.abs(moved - self.quantity.wants[i]) > allowed)) for moved in runs)


def mapped(value: Any, change: Callable[[Array], Array]) -> Any:
    """The value with every floating array in it changed."""
    if is_array(value):
        return change(np.asarray(value)) if value.dtype.kind in "fc" else value
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(v, change) for v in value)
    return value


def rounded(case: Case, dtype: Dtype) -> Case:
    """The case with every array as the dtype holds it."""
    return Case(tuple(mapped(a, dtype.round) for a in case.args), case.kwargs)


def expected(optimizer: Optimizer, case: Case, dtype: Dtype, seed: int, tensors: bool = False) -> Expected:
    """Parameters and states after every step. See reference.optim.run for `tensors`."""
    shown = run(optimizer, case)
    labels = [(t, name) for t, snapshot in enumerate(shown) for name in snapshot]

    def numbers(snapshots: list[Snapshot]) -> list[Any]:
        return [_number(snapshots[t][name], name) for t, name in labels]

    base = numbers(shown)

    def moves(k: int) -> list[Any]:
        rng = np.random.default_rng((seed, k))
        moved = numbers(run(optimizer, case, touch=lambda a: a * (1.0 + STEP * signs(rng, a))))
        close = Case(tuple(mapped(a, lambda x: near(rng, x)) for a in case.args), case.kwargs)
        wide, narrow = (numbers(run(optimizer, close, d, tensors=tensors)) for d in (np.float64, np.float32))
        return sizes(base, moved, wide, narrow)

    def off_by_a_unit(k: int) -> list[Any]:
        rng = np.random.default_rng((seed, k))
        return numbers(run(optimizer, case, touch=lambda a: a * (1.0 + dtype.eps * signs(rng, a))))

    coarse = optimizer.name == "Muon"
    noise = inner_noise(base, lambda low: numbers(run(optimizer, case, inner=low)), seed) if coarse else None
    dtypes = [_dtype(name, dtype, b) for (_, name), b in zip(labels, base)]
    return Expected(labels, Quantity(base, dtypes, moves, noise), off_by_a_unit)


def derivatives(optimizer: Optimizer, case: Case, dtype: Dtype, seed: int) -> Expected:
    """The derivatives of the sum of the last parameter in the first one and in the gradients, by the complex step."""
    (parameter,), steps, groups = case.args
    names = ["gradient in parameter 0", *(f"gradient in gradient {t}" for t in range(len(steps)))]

    def slopes(arrays: list[Array], kind: Any) -> list[Any]:
        found = []
        for i in range(len(arrays)):
            stepped = [a.astype(kind) + (1j * COMPLEX_STEP if j == i else 0.0) for j, a in enumerate(arrays)]
            moved = Case(([stepped[0]], [[g] for g in stepped[1:]], groups), case.kwargs)
            with stepping():
                last = run(optimizer, moved, kind, tensors=True)[-1]["parameter 0"]
            found.append((last.imag / COMPLEX_STEP).astype(np.float64))
        return found

    arrays = [np.asarray(parameter), *(np.asarray(g) for (g,) in steps)]
    base = slopes(arrays, np.complex128)
    # reverse mode adds up terms as large as update / gradient, which all but cancel where an update forgets its size
    update = np.abs(run(optimizer, case, tensors=True)[-1]["parameter 0"] - arrays[0])
    terms = [np.zeros(()), *(update / np.where(g == 0, np.inf, np.abs(g)) for g in arrays[1:])]

    def moves(k: int) -> list[Any]:
        rng = np.random.default_rng((seed, k))
        moved = slopes([a * (1.0 + STEP * signs(rng, a)) for a in arrays], np.complex128)
        close = [near(rng, a) for a in arrays]
        wide, narrow = slopes(close, np.complex128), slopes(close, np.complex64)
        return [size + t for size, t in zip(sizes(base, moved, wide, narrow), terms)]

    return Expected([(0, name) for name in names], Quantity(base, [dtype] * len(base), moves))


def _number(value: Any, name: str) -> Any:
    """The entry of a snapshot as an array; what is kept as a number has no dimensions."""
    a = np.asarray(value, np.float64 if not is_array(value) or value.dtype.kind == "f" else None)
    return a.reshape(()) if name.split(" ")[0] in SCALARS else a.astype(np.complex128 if a.dtype.kind == "c" else float)


def _dtype(name: str, dtype: Dtype, want: Array) -> Dtype | None:
    kind = name.split(" ")[0]
    if kind in SCALARS:
        return None if kind == "step" else DTYPES["float32"]
    return dtype.of(want)


def inner_noise(
    base: Sequence[Any], numbers: Callable[[Callable[[Array], Array]], list[Any]], seed: int
) -> Callable[[int], list[Any]]:
    """How far numbers move, from so many runs, when an iteration that is meant for bfloat16 is rounded to it.

    `numbers` carries it out with what becomes of the iteration's own numbers.
    """

    @functools.cache
    def moved(k: int) -> list[Any]:
        return [K * np.abs(m - b) for m, b in zip(numbers(_rounding(np.random.default_rng((seed, k)))), base)]

    return lambda count: [np.max(sizes, axis=0) for sizes in zip(*(moved(k) for k in range(max(count, 1))))]


def _rounding(rng: np.random.Generator) -> Callable[[Array], Array]:
    return lambda a: a * (1.0 + INNER * signs(rng, a))


def sizes(base: list[Any], moved: list[Any], wide: list[Any], narrow: list[Any]) -> list[Any]:
    """How far numbers move, in units of eps: by a relative STEP of their data, and carried out in single precision."""
    return [np.abs(m - b) / STEP + np.abs(n - w) / SINGLE_EPS for b, m, w, n in zip(base, moved, wide, narrow)]


def signs(rng: np.random.Generator, a: Array) -> Array:
    return rng.integers(0, 2, a.shape) * 2.0 - 1.0


def near(rng: np.random.Generator, a: Array) -> Array:
    """A point nearby whose mantissas are full in single precision."""
    if a.dtype.kind == "c":
        return np.asarray(near(rng, a.real) + 1j * near(rng, a.imag))
    return np.asarray(a * (1.0 + NEARBY * rng.uniform(-1.0, 1.0, a.shape))).astype(np.float32).astype(np.float64)
