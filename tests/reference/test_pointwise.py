"""Elementary functions against mpmath at 50 digits, on the reals and in the complex plane."""

import mpmath
import numpy as np
import pytest

from reference import lookup
from tests.reference.oracle import assert_matches_mpmath

WIDE = [-8.0, -3.0, -0.3, -1e-3, -1e-9, 1e-9, 1e-3, 0.3, 1.0, 3.0, 8.0]
POSITIVE = [1e-9, 1e-3, 0.3, 1.5, 3.0, 80.0]
UNIT = [-0.9, -0.5, -1e-3, -1e-9, 1e-9, 1e-3, 0.5, 0.9]
FUNCTIONS = {
    "exp": (mpmath.exp, WIDE),
    "exp2": (lambda x: mpmath.mpf(2) ** x, WIDE),
    "expm1": (mpmath.expm1, WIDE),
    "log": (mpmath.log, POSITIVE),
    "log2": (lambda x: mpmath.log(x, 2), POSITIVE),
    "log10": (mpmath.log10, POSITIVE),
    "log1p": (mpmath.log1p, [-0.9, *WIDE[3:]]),
    "sin": (mpmath.sin, WIDE),
    "cos": (mpmath.cos, WIDE),
    "tan": (mpmath.tan, WIDE),
    "asin": (mpmath.asin, UNIT),
    "acos": (mpmath.acos, UNIT),
    "atan": (mpmath.atan, WIDE),
    "sinh": (mpmath.sinh, WIDE),
    "cosh": (mpmath.cosh, WIDE),
    "asinh": (mpmath.asinh, WIDE),
    "acosh": (mpmath.acosh, [1.01, 1.5, 3.0, 80.0]),
    "atanh": (mpmath.atanh, UNIT),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes_on_the_reals(name):
    exact, points = FUNCTIONS[name]
    assert_matches_mpmath(name, exact, points)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_in_every_quadrant(name):
    exact, _ = FUNCTIONS[name]
    z = np.array([a + 1j * b for a in (-2.5, -0.75, 0.5, 3.0) for b in (-1.5, -0.625, 0.75, 2.0)])
    out, vjp = lookup(name)(z)
    with mpmath.workdps(40):
        want = np.array([complex(exact(mpmath.mpc(v))) for v in z])
        slope = np.array([complex(mpmath.diff(exact, mpmath.mpc(v))) for v in z])
    assert np.allclose(out, want, rtol=1e-14, atol=0)
    assert np.allclose(vjp(np.full(z.shape, 1 + 2j))[0], (1 + 2j) * np.conj(slope), rtol=1e-13, atol=0)


def test_log1p_keeps_its_digits_near_zero_in_the_complex_plane():
    z = np.array([1e-9 + 2e-9j, -3e-5 + 1e-12j, 1e-30j, 0.3 - 0.2j])
    with mpmath.workdps(60):
        want = np.array([complex(mpmath.log(1 + mpmath.mpc(v))) for v in z])
    assert np.allclose(lookup("log1p")(z)[0], want, rtol=1e-14, atol=0)


def exact_sinc(x):
    return mpmath.sin(mpmath.pi * x) / (mpmath.pi * x)


def test_sinc_and_its_slope_keep_their_digits_near_zero():
    assert_matches_mpmath("sinc", exact_sinc, [-0.4, -1e-3, -1e-9, 1e-9, 1e-4, 0.1, 0.25, 0.44])
    assert_matches_mpmath("sinc", exact_sinc, [0.5, 0.75, 1.25, 1.625, -2.375], ulps=16)


def test_sinc_of_zero_is_one_and_flat():
    out, vjp = lookup("sinc")(np.zeros(1))
    assert out[0] == 1.0 and vjp(np.ones(1))[0][0] == 0.0


def test_sgn_of_a_complex_number_has_modulus_one():
    z = np.array([3 + 4j, -2j, 0j])
    out, vjp = lookup("sgn")(z)
    assert np.allclose(out, [0.6 + 0.8j, -1j, 0], rtol=1e-12, atol=1e-12)
    # moving outwards changes nothing; moving across turns it by 1 / |z|
    assert np.allclose(vjp(out)[0], 0, rtol=1e-12, atol=1e-12)
    assert np.allclose(vjp(1j * out)[0], 1j * out / np.array([5, 2, 1]), rtol=1e-12, atol=1e-12)


def test_angle_of_reals_is_zero_or_pi():
    out, vjp = lookup("angle")(np.array([-2.0, 0.0, 3.0]))
    assert out.tolist() == [np.pi, 0.0, 0.0]
    assert vjp(np.ones(3))[0].tolist() == [0.0, 0.0, 0.0]


def test_the_gradient_of_an_angle_points_across_and_vanishes_at_zero():
    out, vjp = lookup("angle")(np.array([1 + 1j, 2j, 0j]))
    assert np.allclose(out, [np.pi / 4, np.pi / 2, 0], rtol=1e-12, atol=1e-12)
    assert np.allclose(vjp(np.ones(3))[0], [(-1 + 1j) / 2, -0.5, 0], rtol=1e-12, atol=1e-12)


def test_integers_and_bools_become_reals():
    assert lookup("exp")(np.array([0, 1]))[0].tolist() == [1.0, np.e]
    assert lookup("sqrt")(np.array([True, False]))[0].dtype == np.float64
