"""Exponentials, logarithms, trigonometric and hyperbolic functions, and the sign of complex numbers."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.activation import not_a_tensor, one_input
from reference.ops.arithmetic import nonzero, unary
from reference.ops.powers import root_cases
from reference.ops.selection import signs
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, conj, is_stepping, rule

LN2, LN10 = math.log(2.0), math.log(10.0)


def between(low, high):
    """Reals of [low, high]; complex numbers away from the axes, on which the branch cuts lie."""

    def cases(draw: Draw):
        shape = draw.shape()
        return Case((nonzero(draw, shape) if draw.complex else draw.reals(shape, low, high),))

    return cases


def clog1p(x):
    """log(1 + x) that keeps its digits near x = 0 for complex x too (numpy's does not)."""
    if not np.iscomplexobj(x):
        return np.log1p(x)
    a, b = x.real, x.imag
    near = (a * a + b * b < 0.25) | is_stepping()
    small = np.where(near, a * (2.0 + a) + b * b, 0.0)
    return np.where(near, 0.5 * np.log1p(small) + 1j * np.arctan2(b, 1.0 + a), np.log(1.0 + x))


@unary("exp", one_input(), complex=True, special="ieee")
def exp(input: Array):
    """e^x.

    input, output: (*).  Source: torch.exp.
    """
    y = np.exp(input)

    def vjp(g, slip=0.0):
        return (g * conj(y + slip),)

    return y, vjp


@unary("exp2", one_input(), "special.exp2", complex=True, special="ieee")
def exp2(input: Array):
    """2^x.

    input, output: (*).  Source: torch.special.exp2.
    """
    y = np.exp(input * LN2) if np.iscomplexobj(input) else np.exp2(input)

    def vjp(g, slip=0.0):
        return (g * conj((y + slip) * LN2),)

    return y, vjp


@unary("expm1", one_input(), "special.expm1", complex=True, special="ieee")
def expm1(input: Array):
    """e^x - 1, with its digits near 0.

    input, output: (*).  Source: torch.special.expm1.
    """

    def vjp(g, slip=0.0):
        return (g * conj(np.exp(input) + slip),)

    return np.expm1(input), vjp


@unary("log", root_cases, complex=True, special="ieee")
def log(input: Array):
    """The natural logarithm, for complex numbers with an imaginary part in [-pi, pi].

    input, output: (*).  Source: torch.log.
    """
    return np.log(input), lambda g: (g / conj(input),)


@unary("log2", root_cases, complex=True, special="ieee")
def log2(input: Array):
    """log(x) / log(2).

    input, output: (*).  Source: torch.log2.
    """
    return np.log2(input), lambda g: (g / conj(input * LN2),)


@unary("log10", root_cases, complex=True, special="ieee")
def log10(input: Array):
    """log(x) / log(10).

    input, output: (*).  Source: torch.log10.
    """
    return np.log10(input), lambda g: (g / conj(input * LN10),)


@unary("log1p", between(-0.875, 8.0), "special.log1p", complex=True, special="ieee")
def log1p(input: Array):
    """log(1 + x), with its digits near 0.

    input, output: (*).  Source: torch.special.log1p.
    """
    return clog1p(input), lambda g: (g / conj(1.0 + input),)


@unary("sin", one_input(-8, 8), complex=True, special="ieee")
def sin(input: Array):
    """The sine of an angle in radians.

    input, output: (*).  Source: torch.sin.
    """
    return np.sin(input), lambda g: (g * conj(np.cos(input)),)


@unary("cos", one_input(-8, 8), complex=True, special="ieee")
def cos(input: Array):
    """The cosine of an angle in radians.

    input, output: (*).  Source: torch.cos.
    """
    return np.cos(input), lambda g: (-g * conj(np.sin(input)),)


def tan_cases(draw: Draw):
    shape, pole = draw.shape(), math.pi / 2
    return Case((nonzero(draw, shape) if draw.complex else draw.reals(shape, avoid=(-pole, pole)),))


@unary("tan", tan_cases, complex=True, special="ieee")
def tan(input: Array):
    """sin(x) / cos(x).

    input, output: (*).  Source: torch.tan.
    """
    y = np.tan(input)

    def vjp(g, slip=0.0):
        # 1 / cos(x)^2; torch has 1 + y^2 from its rounded output, which is no less precise on the reals
        slope = 1.0 / np.cos(input) ** 2
        return (g * conj(slope + 2.0 * y * slip),)

    return y, vjp


@unary("asin", between(-0.875, 0.875), "arcsin", complex=True, special="ieee")
def asin(input: Array):
    """The angle in [-pi/2, pi/2] with sine x.

    input, output: (*).  Source: torch.asin.
    """
    return np.arcsin(input), lambda g: (g / conj(np.sqrt(1.0 - input * input)),)


@unary("acos", between(-0.875, 0.875), "arccos", complex=True, special="ieee")
def acos(input: Array):
    """The angle in [0, pi] with cosine x.

    input, output: (*).  Source: torch.acos.
    """
    return np.arccos(input), lambda g: (-g / conj(np.sqrt(1.0 - input * input)),)


@unary("atan", between(-8.0, 8.0), "arctan", complex=True, special="ieee")
def atan(input: Array):
    """The angle in (-pi/2, pi/2) with tangent x.

    input, output: (*).  Source: torch.atan.
    """
    return np.arctan(input), lambda g: (g / conj(1.0 + input * input),)


@unary("sinh", one_input(-8, 8), complex=True, special="ieee")
def sinh(input: Array):
    """(e^x - e^-x) / 2.

    input, output: (*).  Source: torch.sinh.
    """
    return np.sinh(input), lambda g: (g * conj(np.cosh(input)),)


@unary("cosh", one_input(-8, 8), complex=True, special="ieee")
def cosh(input: Array):
    """(e^x + e^-x) / 2.

    input, output: (*).  Source: torch.cosh.
    """
    return np.cosh(input), lambda g: (g * conj(np.sinh(input)),)


@unary("asinh", between(-8.0, 8.0), "arcsinh", complex=True, special="ieee")
def asinh(input: Array):
    """log(x + sqrt(x^2 + 1)).

    input, output: (*).  Source: torch.asinh.
    """
    return np.arcsinh(input), lambda g: (g / conj(np.sqrt(1.0 + input * input)),)


@unary("acosh", between(1.125, 8.0), "arccosh", complex=True, special="ieee")
def acosh(input: Array):
    """log(x + sqrt(x - 1) sqrt(x + 1)).

    input, output: (*).  Source: torch.acosh.
    """
    # two roots: the root of (x^2 - 1) would lie on the other branch for half of the complex plane
    return np.arccosh(input), lambda g: (g / conj(np.sqrt(input - 1.0) * np.sqrt(input + 1.0)),)


@unary("atanh", between(-0.875, 0.875), "arctanh", complex=True, special="ieee")
def atanh(input: Array):
    """log((1 + x) / (1 - x)) / 2.

    input, output: (*).  Source: torch.atanh.
    """
    return np.arctanh(input), lambda g: (g / conj(1.0 - input * input),)


# sin(t)/t = 1 - t^2/3! + ... and its derivative -t/3 + t^3/30 - ..., by powers of t^2
_SINC = [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(12)]
_SLOPE = [(-1.0) ** (k + 1) * (2 * k + 2) / math.factorial(2 * k + 3) for k in range(12)]


def horner(coefficients, x):
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def sinc_cases(draw: Draw):
    # whole numbers are zeros of sin(pi x), whose rounding torch does not hide: 0 is among them
    return Case((draw.numbers(draw.shape(), -2.0, 2.0),))


def sinc_room(power):
    """1 / |x|^power, the size of the terms of that derivative, where x is near 0 but not 0."""

    def room(input):
        size = np.abs(input)
        return np.where((size == 0) | (size > 1.0), 0.0, 1.0 / np.where(size == 0, 1.0, size) ** power)

    return room


CANCELS = "torch computes (pi x cos(pi x) - sin(pi x)) / (pi x^2), whose terms cancel near 0"


@unary(
    "sinc",
    sinc_cases,
    "special.sinc",
    complex=True,
    special="ieee",
    waivers=[
        Waiver(CANCELS, room=sinc_room(1), checks=DERIVATIVES),
        Waiver(CANCELS, room=sinc_room(2), checks=HIGHER_ORDER),
    ],
)
def sinc(input: Array):
    """sin(pi x) / (pi x), and 1 at 0.

    input, output: (*).  Source: torch.special.sinc.
    """
    t = np.pi * input
    # the series where the quotient, and much more so its derivative, cancels
    near = t.real * t.real + t.imag * t.imag < 2.0
    safe, small = np.where(near, 1.0, t), np.where(near, t * t, 0.0)
    out = np.where(near, horner(_SINC, small), np.sin(safe) / safe)

    def vjp(g):
        far = (np.cos(safe) - out) / safe
        return (g * conj(np.pi * np.where(near, t * horner(_SLOPE, small), far)),)

    return out, vjp


def unit(z):
    """z / |z|, and 0 at 0."""
    size = np.abs(z)
    return z / np.where(size == 0, 1.0, size), size


def sgn_room(input):
    """2^9 / |z|^2: the reference takes a difference with a step of 2^-9."""
    size = np.abs(input)
    return np.where(size == 0, 0.0, 2.0**9 / np.where(size == 0, 1.0, size) ** 2)


@rule(
    "sgn",
    cases=between(-4.0, 4.0),
    errors=not_a_tensor,
    complex=True,
    special="ieee",
    waivers=[
        Waiver(
            "the reference's difference rounds the two terms of the gradient, which cancel along z",
            room=sgn_room,
            checks=HIGHER_ORDER,
            dtypes=("complex128",),
        )
    ],
    elementwise=True,
)
def sgn(input: Array):
    """z / |z| for complex numbers, else the sign; 0 at 0, where the gradient is 0 too.

    input, output: (*).  Source: torch.sgn.
    """
    if is_stepping() or input.dtype.kind != "c":
        return signs(input.real), lambda g: (np.zeros_like(g),)
    y, size = unit(input)

    def vjp(g):
        # moving along z changes nothing
        across = g - y * (np.conj(y) * g).real
        return (np.where(size == 0, 0.0, across / np.where(size == 0, 1.0, size)),)

    return y, vjp


@unary("angle", between(-4.0, 4.0), complex=True, special="ieee")
def angle(input: Array):
    """The angle of z in [-pi, pi]: 0 or pi for reals; the gradient at 0 is 0.

    input, output: (*).  Source: torch.angle.
    """
    if is_stepping() or input.dtype.kind != "c":
        x = input.real
        return np.where(x < 0, np.pi, np.where(np.isnan(x), x, 0.0)), lambda g: (np.zeros_like(g),)

    def vjp(g):
        square = input.real**2 + input.imag**2
        return (np.where(square == 0, 0.0, g * 1j * input / np.where(square == 0, 1.0, square)),)

    return np.angle(input), vjp
