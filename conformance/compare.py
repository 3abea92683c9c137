"""The one comparison: what torch delivered against what the reference expects."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from conformance.tolerance import FEW, MANY, NEARLY, STAGES, Quantity


@dataclasses.dataclass
class Worst:
    """The worst element of a failed comparison. Numbers as text, so that nan, inf and complex survive JSON."""

    what: str
    index: list[int]
    got: str
    want: str
    error: str
    allowed: str
    count: int
    size: int


class Mismatch(AssertionError):
    """Torch deviates; `worst` is None where not the numbers but a shape, a dtype or a device is wrong."""

    def __init__(self, message: str, worst: Worst | None = None):
        super().__init__(message)
        self.worst = worst


@dataclasses.dataclass
class Tally:
    """What a cell has compared so far; `waiver` is the reason of a waiver that it needed."""

    check: str = ""
    elements: int = 0
    comparisons: int = 0
    ratio: float = 0.0
    ulp: float = 0.0
    waiver: str | None = None
    farthest: str = ""  # the element with the largest error in ulp


def compare(what: str, got: np.ndarray, quantity: Quantity, i: int, tally: Tally, signed_zero: bool = False) -> None:
    """Raise Mismatch where `got` is not array i of the quantity, within what is allowed.

    nan must meet nan and inf must meet inf of the same sign; where the expected number rounds to an
    infinity in the dtype, either is right. `signed_zero` also compares the signs of zeros.
    """
    want = np.asarray(quantity.wants[i])
    if got.shape != want.shape:
        raise Mismatch(f"{what}: shape {tuple(got.shape)}, expected {tuple(want.shape)}")
    tally.comparisons += 1
    tally.elements += want.size
    dtype = quantity.dtypes[i]
    if dtype is None:  # integers and bools
        _refuse(what, got, want, got != want, np.abs(got * 1.0 - want * 1.0), np.zeros(want.shape))
        return
    if not signed_zero and (got == want).all():  # two comparisons in three end here
        return
    with np.errstate(all="ignore"):
        error = _error(got, want, dtype.largest)
        if not signed_zero and not error.any():
            return
        if signed_zero:
            zero = (got == 0) & (want == 0)
            error = np.where(zero & (np.signbit(got.real) != np.signbit(want.real)), np.inf, error)
        _ulps(what, error, got, want, dtype.eps, tally)
        for count in STAGES:
            allowed = quantity.allowed(i, count)
            ratio = error / allowed  # allowed is never 0: it has a subnormal number at least
            worst = float(ratio.max(initial=0.0))
            if worst <= 1.0:
                tally.ratio = max(tally.ratio, worst)
                return
            decides = count == STAGES[-1] or (count == MANY and worst > NEARLY)
            for waiver in quantity.waivers(tally.check) if decides or count == FEW else ():
                allowed = quantity.waived(i, waiver, count)
                ratio = error / allowed
                worst = float(ratio.max(initial=0.0))
                if worst <= 1.0:
                    tally.ratio, tally.waiver = max(tally.ratio, worst), waiver.reason
                    return
            if decides:
                break
    tally.ratio = max(tally.ratio, worst)
    _refuse(what, got, want, ~(ratio <= 1.0), error, allowed)


def compare_exactly(what: str, got: np.ndarray, want: np.ndarray, tally: Tally) -> None:
    """Raise Mismatch unless the two arrays are equal bit for bit, signs of zeros too (nan equals nan)."""
    if got.shape != want.shape:
        raise Mismatch(f"{what}: shape {tuple(got.shape)}, expected {tuple(want.shape)}")
    tally.comparisons += 1
    tally.elements += want.size
    with np.errstate(all="ignore"):
        wrong = ~((got == want) | ((got != got) & (want != want)))
        wrong |= _other_zero(got.real, want.real) | _other_zero(got.imag, want.imag)
        _refuse(what, got, want, wrong, np.abs(got * 1.0 - want * 1.0), np.zeros(want.shape))


def _other_zero(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Where both are zero, of different signs; integers and bools have no signed zero."""
    if got.dtype.kind != "f" or want.dtype.kind != "f":
        return np.zeros(want.shape, dtype=bool)
    return np.asarray((got == 0) & (want == 0) & (np.signbit(got) != np.signbit(want)))


def _error(got: np.ndarray, want: np.ndarray, largest: float) -> np.ndarray:
    error = np.abs(got - want)
    if np.isfinite(error).all() and (error.size == 0 or np.abs(want).max() <= largest):
        return np.asarray(error)
    both_nan = np.isnan(got) & np.isnan(want)
    same = (got == want) | both_nan
    overflow = (np.abs(want) >= largest * (1 - 2.0**-8)) & ~np.isnan(want)
    right_side = np.isinf(got) & (np.sign(got.real) == np.sign(want.real))
    error = np.where(same | (overflow & right_side), 0.0, error)
    return np.where(np.isnan(error), np.inf, error)


def _ulps(what: str, error: np.ndarray, got: np.ndarray, want: np.ndarray, eps: float, tally: Tally) -> None:
    size = np.abs(want)
    ulps = error / (np.spacing(size) * (eps * 2.0**52))  # spacing is the unit of float64
    usable = (size > 0) & np.isfinite(size) & np.isfinite(ulps)
    largest = float(ulps.max(initial=0.0, where=usable))
    if largest > tally.ulp:
        index = np.unravel_index(int(np.argmax(np.where(usable, ulps, -1.0))), want.shape)
        tally.ulp = largest
        tally.farthest = f"{what}{_place(index)}: got {_text(got[index])}, want {_text(want[index])}"


def _refuse(
    what: str, got: np.ndarray, want: np.ndarray, wrong: np.ndarray, error: np.ndarray, allowed: np.ndarray
) -> None:
    count = int(np.count_nonzero(wrong))
    if not count:
        return
    with np.errstate(all="ignore"):
        excess = np.where(wrong, np.nan_to_num(np.divide(error, allowed), nan=np.inf, posinf=1e300), -1.0)
    index = np.unravel_index(int(np.argmax(excess)), wrong.shape) if wrong.ndim else ()
    worst = Worst(
        what, [int(n) for n in index], _text(got[index]), _text(want[index]),
        _text(error[index]), _text(allowed[index]), count, int(wrong.size),
    )  # fmt: skip
    raise Mismatch(
        f"{what}{_place(worst.index)}: got {worst.got}, want {worst.want}, error {worst.error}, allowed {worst.allowed}"
        f" ({count} of {worst.size} elements wrong)",
        worst,
    )


def _place(index: Sequence[Any]) -> str:
    return f"[{', '.join(str(int(i)) for i in index)}]" if len(index) else ""


def _text(number: Any) -> str:
    """The shortest text that reads back as the same number."""
    return repr(np.asarray(number).item())
