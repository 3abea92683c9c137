"""Bessel, Airy and error functions against mpmath at 50 digits."""

import math

import mpmath
import numpy as np
import pytest

from reference import lookup
from reference.rule import stepping
from tests.reference.oracle import EPS, assert_matches_mpmath

WIDE = [-6.0, -2.5, -1.0, -0.3, -1e-3, -1e-9, 1e-9, 1e-3, 0.3, 1.0, 2.5, 6.0]


def erfcx(x):
    return mpmath.exp(x * x) * mpmath.erfc(x)


def quantile(p):
    return mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)


FUNCTIONS = {
    "special.i1": (lambda x: mpmath.besseli(1, x), WIDE, 16),
    "special.i1e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), WIDE, 64),
    "special.erfcx": (erfcx, [-2.5, -1.0, -1e-6, 0.0, 0.4, 1.4, 1.49, 1.51, 2.0, 3.7, 5.0, 20.0], 32),
    "special.ndtri": (quantile, [1e-6, 0.015625, 0.2, 0.4, 0.6, 0.75, 0.984375], 32),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes(name):
    exact, points, ulps = FUNCTIONS[name]
    assert_matches_mpmath(name, exact, points, ulps=ulps)


def test_the_second_derivative_of_erfcx_keeps_its_digits():
    from reference.ops.bessel import erfcx_slopes

    for x in (-2.0, 0.3, 1.6, 3.0, 5.0):
        with mpmath.workdps(50):
            want = mpmath.diff(erfcx, mpmath.mpf(x), 2)
        assert abs(erfcx_slopes(np.array([x]))[1][0] - want) <= 64 * EPS * abs(want)


VALUES = {
    "special.bessel_j0": (lambda x: mpmath.besselj(0, x), -12, 12),
    "special.bessel_j1": (lambda x: mpmath.besselj(1, x), -12, 12),
    "special.bessel_y0": (lambda x: mpmath.bessely(0, x), 0.125, 12),
    "special.bessel_y1": (lambda x: mpmath.bessely(1, x), 0.125, 12),
    "special.modified_bessel_i0": (lambda x: mpmath.besseli(0, x), -8, 8),
    "special.modified_bessel_i1": (lambda x: mpmath.besseli(1, x), -8, 8),
    "special.modified_bessel_k0": (lambda x: mpmath.besselk(0, x), 0.0625, 6),
    "special.modified_bessel_k1": (lambda x: mpmath.besselk(1, x), 0.0625, 6),
    "special.scaled_modified_bessel_k0": (lambda x: mpmath.exp(x) * mpmath.besselk(0, x), 0.0625, 16),
    "special.scaled_modified_bessel_k1": (lambda x: mpmath.exp(x) * mpmath.besselk(1, x), 0.0625, 16),
    "special.spherical_bessel_j0": (lambda x: mpmath.sinc(x), -12, 12),
    "special.airy_ai": (mpmath.airyai, -10, 4),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_and_two_derivatives(name):
    exact, low, high = VALUES[name]
    points = np.linspace(low + 0.1, high, 4 if "_k" in name else 8)  # mpmath is slow for K; 0 comes below
    out, vjp = lookup(name)(points)
    (first,) = vjp(np.ones_like(points))
    with stepping():
        second = lookup(name)(points + 1e-30j)[1](np.ones_like(points))[0].imag / 1e-30
    with mpmath.workdps(30):
        for x, *got in zip(points, out, first, second):
            want = list(mpmath.diffs(exact, mpmath.mpf(x), 3))
            for n in range(3):
                # at a zero an ulp of x is what is left; of exp(x) K a derivative is the sum of those below it
                below = sum(map(abs, want[:n])) if "scaled" in name else 0
                room = abs(want[n]) + abs(x * want[n + 1]) + below
                assert abs(got[n] - want[n]) <= 16 * EPS * room, (x, n)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("bessel_j0", 0.0, -0.5),
        ("bessel_j1", 0.5, 0.0),
        ("modified_bessel_i0", 0.0, 0.5),
        ("modified_bessel_i1", 0.5, 0.0),
        ("spherical_bessel_j0", 0.0, -1 / 3),
    ],
)
def test_derivatives_at_the_origin(name, first, second):
    (got,) = lookup(f"special.{name}")(np.zeros(1))[1](np.ones(1))
    with stepping():
        (step,) = lookup(f"special.{name}")(np.array([1e-30j]))[1](np.ones(1))
    assert (got[0], step[0].imag / 1e-30) == (first, pytest.approx(second, rel=4 * EPS))


def test_published_values():
    # Abramowitz and Stegun, tables 9.1, 10.11 and 26.1
    assert lookup("special.bessel_j0")(np.array(1.0))[0] == pytest.approx(0.7651976865579666, rel=1e-15)
    assert lookup("special.bessel_y1")(np.array(1.0))[0] == pytest.approx(-0.7812128213002887, rel=1e-15)
    assert lookup("special.airy_ai")(np.array(0.0))[0] == pytest.approx(0.3550280538878172, rel=1e-15)
    assert lookup("special.ndtri")(np.array([0.0, 0.5, 1.0, 1.5]))[0].tolist()[:3] == [-math.inf, 0.0, math.inf]
