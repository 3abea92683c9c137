"""What NumPy needs to know of torch's floating dtypes, without torch."""

from __future__ import annotations

import dataclasses
import math

import numpy as np


class NoCounterpart(Exception):
    """There is no complex dtype of this precision."""


@dataclasses.dataclass(frozen=True)
class Dtype:
    """A floating or complex dtype: `digits` significand bits, largest finite and smallest subnormal number."""

    name: str
    digits: int
    largest: float
    smallest: float
    complex: bool = False

    @property
    def eps(self) -> float:
        """The distance from 1 to the next number."""
        return float(2.0 ** (1 - self.digits))

    @property
    def real(self) -> Dtype:
        return DTYPES[_REAL[self.name]] if self.complex else self

    @property
    def with_complex(self) -> Dtype | None:
        """The complex dtype of this precision; None for bfloat16."""
        return self if self.complex else next((DTYPES[c] for c, r in _REAL.items() if r == self.name), None)

    def of(self, x: np.ndarray) -> Dtype | None:
        """The dtype of this precision for the array's kind, complex or real; None where there is none."""
        return self.with_complex if x.dtype.kind == "c" else self.real

    def hold(self, x: np.ndarray) -> np.ndarray:
        """The array as torch holds it in the dtype of its kind; integers and bools as they are."""
        return self.round(x) if x.dtype.kind in "fc" else x

    def round(self, x: np.ndarray) -> np.ndarray:
        """x rounded to nearest even in this dtype, still as float64 or complex128."""
        if x.dtype.kind == "c":
            both = np.empty(x.shape, np.complex128)  # not a sum: 1j * inf would bring a nan
            both.real, both.imag = self.round(x.real), self.round(x.imag)
            return both
        if self.digits == 53:
            return np.asarray(x, dtype=np.float64)
        with np.errstate(over="ignore"):
            if self.digits == 24:
                return np.asarray(x, dtype=np.float32).astype(np.float64)
            if self.digits == 11:
                return np.asarray(x, dtype=np.float16).astype(np.float64)
        x = np.asarray(x, dtype=np.float64)
        place = np.maximum(np.frexp(x)[1] - self.digits, math.frexp(self.smallest)[1] - 1)
        rounded = np.ldexp(np.rint(np.ldexp(x, -place)), place)
        return np.asarray(np.where(np.abs(rounded) > self.largest, np.copysign(np.inf, rounded), rounded))


DTYPES = {
    d.name: d
    for d in (
        Dtype("float64", 53, float(np.finfo(np.float64).max), 2.0**-1074),
        Dtype("float32", 24, float(np.finfo(np.float32).max), 2.0**-149),
        Dtype("float16", 11, 65504.0, 2.0**-24),
        Dtype("bfloat16", 8, 2.0**128 * (1 - 2.0**-8), 2.0**-133),
        Dtype("complex128", 53, float(np.finfo(np.float64).max), 2.0**-1074, complex=True),
        Dtype("complex64", 24, float(np.finfo(np.float32).max), 2.0**-149, complex=True),
        Dtype("complex32", 11, 65504.0, 2.0**-24, complex=True),
    )
}
_REAL = {"complex128": "float64", "complex64": "float32", "complex32": "float16"}
