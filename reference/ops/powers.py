"""Powers: the reciprocal, the square, roots and pow."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.activation import not_a_tensor, one_input
from reference.ops.arithmetic import nonzero, to, unary, unmatched
from reference.ops.precision import operand
from reference.rule import Array, Case, conj, is_inexact, is_stepping, rule


@unary(
    "reciprocal",
    lambda draw: Case((nonzero(draw, draw.shape(), 0.5 if draw.complex else 0.125),)),
    complex=True,
    special="ieee",
)
def reciprocal(input: Array):
    """1 / x.

    input, output: (*).  Source: torch.reciprocal.
    """
    y = np.true_divide(1.0, input)

    def vjp(g, slip=0.0):
        return (-g * conj((y + slip) ** 2),)

    return y, vjp


@rule("square", cases=one_input(), errors=not_a_tensor, complex=True, special="ieee", elementwise=True)
def square(input: Array):
    """x^2.

    input, output: (*).  Source: torch.square.
    """
    return np.multiply(input, input, dtype=int if input.dtype.kind == "b" else None), lambda g: (2.0 * g * conj(input),)


def root_cases(draw: Draw):
    """Positive reals; complex numbers away from the cut along the negative reals."""
    shape = draw.shape()
    return Case((nonzero(draw, shape) if draw.complex else draw.reals(shape, 0.0625, 9.0),))


@unary("sqrt", root_cases, complex=True, special="ieee")
def sqrt(input: Array):
    """x^(1/2), the root with a real part that is not negative.

    input, output: (*).  Source: torch.sqrt.
    """
    y = np.sqrt(input)

    def vjp(g, slip=0.0):
        return (g * conj(0.5 / (y + slip)),)

    return y, vjp


@unary("rsqrt", root_cases, complex=True, special="ieee")
def rsqrt(input: Array):
    """x^(-1/2).

    input, output: (*).  Source: torch.rsqrt.
    """
    y = 1.0 / np.sqrt(input)

    def vjp(g, slip=0.0):
        return (-0.5 * g * conj((y + slip) ** 3),)

    return y, vjp


def power(a, b):
    """a^b; a stepped one takes its tangent from d(a^b) = b a^(b-1) da + a^b log(a) db.

    Both terms are 0 at their kinks as torch has it: the first where b is 0, the second where a is 0.
    """
    if not is_stepping():
        return _integer_power(a, b) if a.dtype.kind in "iu" and b.dtype.kind in "iu" else np.power(a, b)
    x, y = a.real, b.real
    out = np.power(x, y)
    tangent = 0.0
    if a.dtype.kind == "c":
        tangent = np.where(y == 0, 0.0, y * np.power(np.where((y == 0) & (x == 0), 1.0, x), y - 1)) * a.imag
    if b.dtype.kind == "c":
        tangent = tangent + out * np.log(np.where(x == 0, 1.0, x)) * b.imag
    return out + 1j * tangent


def _integer_power(a, b):
    """Integers to negative powers are what is left of them when rounded towards 0."""
    if not np.any(b < 0):
        return np.power(a, b)
    parity = np.where(b % 2 == 0, 1, a)
    return np.where(b >= 0, np.power(a, np.where(b < 0, 0, b)), np.where(np.abs(a) == 1, parity, 0))


def power_cases(draw: Draw):
    left, right = draw.shapes(2)
    kind = draw.choice("number", "integers", "base", "positive", "both")
    if kind == "number":
        whole = draw.choice(2, 0, 1, 3, 4, 2.0, 0.0, 1.0, -1, -2, -1.0)
        if draw.boolean():
            return Case((nonzero(draw, left) if whole < 0 else draw.numbers(left), whole))
        fraction = draw.choice(0.5, -0.5, 1.5, 2.5, -1.5, 0.25, *([0.5 + 1j] if draw.complex else []))
        return Case((nonzero(draw, left) if draw.complex else draw.reals(left, 0.25, 4.0), fraction))
    if kind == "integers":  # any base, zero too
        return Case((draw.numbers(left), draw.integers(right, 0, 3)))
    if kind == "base":
        base = draw.choice(2.0, 0.5, 3, 1, *([0.5 + 1j] if draw.complex else []))
        return Case((base, draw.numbers(right, -3.0, 3.0)))
    if draw.complex:
        return Case((nonzero(draw, left), draw.numbers(right, -2.0, 2.0)))
    base = draw.reals(left, 0.25, 4.0)
    if kind == "positive":
        return Case((base, draw.reals(right, -3.0, 3.0)))
    # zero to a power of at least two, where the exponent has a gradient too
    return Case((base * draw.bools(left), draw.reals(right, 2.0, 3.0)))


@rule("pow", cases=power_cases, errors=unmatched, complex=True, special="ieee")
def pow(input: Array | float, exponent: Array | float):
    """input^exponent; nan for a negative real input and an exponent that is no integer.

    The gradient of the input is 0 where the exponent is 0, that of the exponent 0 where the input is 0
    and the exponent is not negative.  input, exponent: broadcast to the output.  Source: torch.pow.
    """
    a, b = operand(input, exponent), operand(exponent, input)
    if "c" in a.dtype.kind + b.dtype.kind and not is_stepping():
        dtype = np.result_type(a.dtype, b.dtype)
        a, b = a.astype(dtype), b.astype(dtype)
    y = power(a, b)

    def vjp(g, slip=0.0):
        da = db = None
        if is_inexact(input):
            at = np.where((b.real == 0) & (b.imag == 0) & (a.real == 0) & (a.imag == 0), 1.0, a)
            da = to(input, g * conj(np.where(b == 0, 0.0, b * power(at, b - 1))))
        if is_inexact(exponent):
            flat = (a.real == 0) & (is_stepping() | (a.imag == 0)) & (b.real >= 0)
            db = to(exponent, g * conj(np.where(flat, 0.0, (y + slip) * np.log(np.where(flat, 1.0, a)))))
        return da, db

    return y, vjp
