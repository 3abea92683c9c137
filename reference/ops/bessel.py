"""Bessel, Airy and error functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from reference.draw import Draw
from reference.ops.activation import lift, one_input
from reference.ops.arithmetic import unary
from reference.ops.special import ROOT_PI, over
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Waiver

ROOT_2PI = math.sqrt(2.0 * math.pi)


def i1_slope(x):
    return special.i0(x) - over(special.i1(x), x)


def i1_curvature(x):
    """I1'' = I1 - I0 / x + 2 I1 / x^2; with I0 - 2 I1 / x = I2 nothing cancels."""
    return special.i1(x) - over_x(special.iv(2, x), x)


def inverse_room(input):
    size = np.abs(input)
    return np.where((size == 0) | (size > 2.0), 0.0, 1.0 / np.where(size == 0, 1.0, size))


NEAR_ZERO = Waiver(
    "torch computes f / x^2 and f' / x in the second derivative, which cancel near 0",
    room=inverse_room,
    checks=HIGHER_ORDER,
)


@unary("special.i1", one_input(-8, 8), special="ieee", waivers=[NEAR_ZERO])
def i1(input: Array):
    """The modified Bessel function of the first kind, of order 1.

    input, output: (*).  Source: torch.special.i1.
    """
    slope = lift(input, i1_slope, i1_curvature)
    return lift(input, special.i1, i1_slope), lambda g: (g * slope,)


def over_x(y, x):
    """y / x for a y that vanishes with x^2."""
    return np.where(x == 0, 0.0, y / np.where(x == 0, 1.0, x))


def i1e_slope(x):
    return special.i0e(x) - over(special.i1e(x), x) - np.sign(x) * special.i1e(x)


@unary("special.i1e", one_input(-5, 5), special="ieee", waivers=[NEAR_ZERO])
def i1e(input: Array):
    """exp(-|x|) I1(x); the derivative at 0 is 1/2.

    input, output: (*).  Source: torch.special.i1e.
    """

    def curvature(x):
        return special.i1e(x) - over_x(special.ive(2, x), x) - np.sign(x) * (
            special.i0e(x) - over(special.i1e(x), x) + i1e_slope(x)
        )  # fmt: skip

    def vjp(g, slip=0.0):
        rate = np.sign(input.real) + over_x(1.0, input.real)
        return (g * (lift(input, i1e_slope, curvature) - rate * slip),)

    return lift(input, special.i1e, i1e_slope), vjp


def repeated(x):
    """i1/i0 and i2/i1 of the repeated integrals i0 = erfc, i1, i2, ... of erfc, for x > 1.5.

    They obey r_n = 1 / (2 ((n + 1) r_(n+1) + x)) (DLMF 7.18.7), which is taken from far enough down, and
    begun with its solution for an r that does not change.
    """
    ratio = 1.0 / (x + np.sqrt(x * x + 122.0))
    for n in range(60, 2, -1):
        ratio = 0.5 / (n * ratio + x)
    return 0.5 / (2.0 * ratio + x), ratio


def erfcx_slopes(x):
    """The derivative 2 x erfcx(x) - 2 / sqrt(pi), which cancels for x > 1.5, and the second derivative.

    There, as the derivative of exp(x^2) i_n is -2 (n + 1) exp(x^2) i_(n+1), they are products.
    """
    far, y = x > 1.5, special.erfcx(x)
    z = np.where(far, 0.0, x)
    first = 2.0 * z * y - 2.0 / ROOT_PI
    second = 2.0 * y + 2.0 * z * first
    if not far.any():
        return first, second
    one, two = repeated(np.where(far, x, 2.0))
    return np.where(far, -2.0 * y * one, first), np.where(far, 8.0 * y * one * two, second)


def erfcx_room(power):
    """The size of the terms of that derivative, where they cancel."""
    return lambda input: np.where(input > 0.5, (2.0 * np.abs(input)) ** (power - 1) * 2.0 / ROOT_PI, 0.0)


CANCELS = "torch computes 2 x erfcx(x) - 2 / sqrt(pi), which cancels for positive x"


@unary(
    "special.erfcx",
    one_input(-2.5, 5.0),
    special="ieee",
    waivers=[
        Waiver(CANCELS, room=erfcx_room(1), checks=DERIVATIVES),
        Waiver(CANCELS, room=erfcx_room(2), checks=HIGHER_ORDER),
    ],
)
def erfcx(input: Array):
    """exp(x^2) erfc(x).

    input, output: (*).  Source: torch.special.erfcx.
    """

    def slope(x):
        return erfcx_slopes(x)[0]

    def vjp(g, slip=0.0):
        return (g * (lift(input, slope, lambda x: erfcx_slopes(x)[1]) + 2.0 * input * slip),)

    return lift(input, special.erfcx, slope), vjp


def quantile_slope(y):
    return ROOT_2PI * np.exp(y * y / 2.0)


@unary("special.ndtri", one_input(0.015625, 0.984375), special="ieee")
def ndtri(input: Array):
    """The x below which the normal distribution has the share `input`; nan outside of [0, 1].

    input, output: (*).  Source: torch.special.ndtri.
    """
    y = lift(input, special.ndtri, lambda x: quantile_slope(special.ndtri(x)))

    def vjp(g, slip=0.0):
        return (g * quantile_slope(y + slip),)

    return y, vjp


# torch calls their argument x
NAMED_X = ("airy_ai", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0")


def bessel(name, value, slope, curvature, low, high, text, *waivers):
    """Register a function with its first and second derivative, which torch has learnt lately or not at all."""

    def parts(x):
        rate = lift(x, slope, curvature)
        return lift(x, value, slope), lambda g: (g * rate,)

    def made(input: Array):
        return parts(input)

    def made_of_x(x: Array):
        return parts(x)

    chosen: Any = made_of_x if name in NAMED_X else made
    chosen.__doc__ = f"{text}\n\ninput, output: (*).  Source: torch.special.{name}; derivatives: DLMF 10.6, 10.29, 9.2."

    def cases(draw: Draw):
        bounds = draw.choice((low, high), (max(low, -1.0), 1.0))
        return one_input(*bounds)(draw)

    # half of a subnormal argument is not exact, which shows where there is a logarithm in it
    unary(f"special.{name}", cases, special="" if "bessel_k" in name else "nonfinite", lately=True, waivers=waivers)(
        chosen
    )


def spherical(n, x):
    return special.spherical_jn(n, x).astype(x.dtype)  # scipy has it in double precision alone


_J, _Y = "The Bessel function of the first kind, of order", "The Bessel function of the second kind, of order"
_I, _K = "The modified Bessel function of the first kind, of order", "The modified one of the second kind, of order"
j0, j1, y0, y1, k0, k1 = special.j0, special.j1, special.y0, special.y1, special.k0, special.k1
k0e, k1e, jn, iv = special.k0e, special.k1e, special.jv, special.iv
airy = special.airy
POWER_SERIES = Waiver(
    "up to |x| = 2.09 torch takes the difference of two power series, of which little is left where Ai is small",
    room=lambda x: np.where(np.abs(x) < 2.09, np.abs(airy(x)[2]) / 3.0**0.5, 0.0),  # DLMF 9.4.1 and 9.4.3
)
# Derivatives are written with the next order wherever the recurrence would cancel.
for _row in (
    ("bessel_j0", j0, lambda x: -j1(x), lambda x: over(j1(x), x) - j0(x), -12.0, 12.0, f"{_J} 0."),
    ("bessel_j1", j1, lambda x: j0(x) - over(j1(x), x), lambda x: over_x(jn(2, x), x) - j1(x), -12.0, 12.0, f"{_J} 1.",
     NEAR_ZERO),
    ("bessel_y0", y0, lambda x: -y1(x), lambda x: y1(x) / x - y0(x), 0.125, 12.0, f"{_Y} 0."),
    ("bessel_y1", y1, lambda x: y0(x) - y1(x) / x, lambda x: special.yn(2, x) / x - y1(x), 0.125, 12.0, f"{_Y} 1."),
    ("modified_bessel_i0", special.i0, special.i1, lambda x: (special.i0(x) + iv(2, x)) / 2, -8.0, 8.0, f"{_I} 0."),
    ("modified_bessel_i1", special.i1, i1_slope, i1_curvature, -8.0, 8.0, f"{_I} 1.", NEAR_ZERO),
    ("modified_bessel_k0", k0, lambda x: -k1(x), lambda x: k0(x) + k1(x) / x, 0.0625, 6.0, f"{_K} 0."),
    ("modified_bessel_k1", k1, lambda x: -k0(x) - k1(x) / x, lambda x: k1(x) + special.kn(2, x) / x, 0.0625, 6.0,
     f"{_K} 1."),
    ("scaled_modified_bessel_k0", k0e, lambda x: k0e(x) - k1e(x), lambda x: 2.0 * (k0e(x) - k1e(x)) + k1e(x) / x,
     0.0625, 16.0, f"exp(x) times: {_K} 0."),
    ("scaled_modified_bessel_k1", k1e, lambda x: k1e(x) - k0e(x) - k1e(x) / x,
     lambda x: 2.0 * (k1e(x) - k0e(x)) - (2.0 * k1e(x) - k0e(x)) / x + 2.0 * k1e(x) / x**2, 0.0625, 16.0,
     f"exp(x) times: {_K} 1."),
    ("spherical_bessel_j0", lambda x: spherical(0, x), lambda x: -spherical(1, x),
     lambda x: (2.0 * spherical(2, x) - spherical(0, x)) / 3.0, -12.0, 12.0,
     "The spherical Bessel function of the first kind of order 0, sin(x) / x."),
    ("airy_ai", lambda x: airy(x)[0], lambda x: airy(x)[1], lambda x: x * airy(x)[0], -10.0, 4.0,
     "The Airy function Ai.", POWER_SERIES),
):  # fmt: skip
    bessel(*_row)
