"""Powers of two: taking numbers apart, putting them together, adding their logarithms; and pow in double precision."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.activation import sigma
from reference.ops.arithmetic import to, unmatched
from reference.ops.pointwise import LN2, clog1p
from reference.ops.powers import pow, power_cases
from reference.ops.precision import floating, matched
from reference.rule import Array, Case, conj, is_array, is_stepping, rule


def integers_refused(draw: Draw):
    return [(Case((draw.integers((2,), 1, 3),)), RuntimeError), (Case((None,)), TypeError)]


@rule("frexp", cases=lambda draw: Case((draw.reals(draw.shape()),)), errors=integers_refused)
def frexp(input: Array):
    """(mantissa, exponent) with input = mantissa 2^exponent and 1/2 <= |mantissa| < 1; 0 and 0 for 0.

    input: (*), of floating numbers; outputs: (*), the exponent of integers.  Source: torch.frexp.
    """
    exponent = np.frexp(input.real)[1].astype(np.int32)
    scale = np.exp2(-exponent.astype(input.real.dtype))
    return (input * scale, exponent), lambda g: (g[0] * scale,)


def ldexp_cases(draw: Draw):
    left, right = draw.shapes(2)
    # of integers alone the result has torch's default dtype, which is no matter of the op
    exponent = draw.integers(right, -4, 4) if draw.boolean() else draw.numbers(right, -3.0, 3.0)
    return Case((draw.numbers(left), exponent))


@rule("ldexp", cases=ldexp_cases, errors=unmatched, complex=True)
def ldexp(input: Array, other: Array):
    """input 2^other; exponents that are no integers have a gradient.

    input, other: broadcast to the output, which holds reals.  Source: torch.ldexp.
    """
    x, exponent = map(floating, matched(input, other))
    y = np.exp(exponent * LN2) if exponent.dtype.kind == "c" else np.exp2(exponent)
    out = x * y
    return out, lambda g: (to(input, g * conj(y)), to(other, g * conj(out * LN2)))


@rule(
    "float_power",
    cases=power_cases,
    errors=unmatched,
    complex=True,
    dtypes=("float64", "complex128"),  # what comes out is of double precision, whatever went in
)
def float_power(input: Array | float, exponent: Array | float):
    """input^exponent in double precision, of integers too; gradients as those of pow.

    input, exponent: broadcast to the output.  Source: torch.float_power.
    """

    def double(x):
        return floating(x) if is_array(x) else x * 1.0

    return pow.fn(*map(double, matched(input, exponent)))


def exponents(draw: Draw):
    left, right = draw.shapes(2)
    return Case((draw.reals(left, -8.0, 8.0), draw.reals(right, -8.0, 8.0)))


@rule("logaddexp2", cases=exponents, errors=unmatched, special="nonfinite")
def logaddexp2(input: Array, other: Array):
    """log2(2^input + 2^other) without overflow.

    input, other: broadcast to the output.  Source: torch.logaddexp2.
    """
    first = input.real >= other.real
    top, gap = np.where(first, input, other), np.where(first, other - input, input - other)
    out = top + clog1p(np.exp(LN2 * gap)) / LN2 if is_stepping() else np.logaddexp2(input, other)
    return out, lambda g: (
        to(input, g * sigma(LN2 * (input - other))),
        to(other, g * sigma(LN2 * (other - input))),
    )
