"""Special functions against mpmath at 50 digits, and their values at the edges of their domains."""

import math

import mpmath
import numpy as np
import pytest

from reference import lookup
from tests.reference.oracle import assert_matches_mpmath

WIDE = [-4.0, -1.0, -0.3, -1e-3, -1e-9, 1e-9, 1e-3, 0.3, 1.0, 2.0, 4.0]
FUNCTIONS = {
    "erf": (mpmath.erf, WIDE, 4),
    "erfc": (mpmath.erfc, [*WIDE, 8.0], 16),
    "erfinv": (mpmath.erfinv, [-0.9, -0.5, -1e-3, 1e-6, 0.25, 0.75, 0.9375], 16),
    "lgamma": (
        lambda x: mpmath.log(abs(mpmath.gamma(x))),
        [-2.25, -0.5, 1e-3, 0.25, 0.7, 1.4, 3.5, 50.0],
        16,
    ),
    "digamma": (mpmath.digamma, [-2.25, -0.75, 1e-3, 0.25, 1.2, 2.0, 3.5, 50.0], 16),
    "special.ndtr": (mpmath.ncdf, WIDE, 16),
    "special.entr": (lambda x: -x * mpmath.log(x), [1e-9, 0.1, 0.75, 2.0, 5.0], 8),
    "i0": (lambda x: mpmath.besseli(0, x), WIDE, 8),
    "special.i0e": (lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), [*WIDE, -20.0], 64),
    "logit": (lambda x: mpmath.log(x / (1 - x)), [1e-9, 0.1, 0.3, 0.49, 0.75, 0.999], 8),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes(name):
    exact, points, ulps = FUNCTIONS[name]
    assert_matches_mpmath(name, exact, points, ulps=ulps)


def test_log_ndtr_keeps_its_digits_in_the_lower_tail():
    points = [-30.0, -8.0, -3.0, -1.0, -0.1, 0.5, 2.0]
    assert_matches_mpmath("special.log_ndtr", lambda x: mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2), points, 64)


@pytest.mark.parametrize("name, inverse", [("erf", "erfinv"), ("sigmoid", "logit")], ids=["erf", "sigmoid"])
def test_inverses(name, inverse):
    x = np.linspace(-2, 2, 17)
    assert np.allclose(lookup(inverse)(lookup(name)(x)[0])[0], x, rtol=1e-13, atol=1e-15)


def test_published_values():
    # Abramowitz and Stegun, tables 6.1, 7.1 and 9.8
    assert lookup("lgamma")(np.array(0.5))[0] == pytest.approx(math.log(math.pi) / 2, rel=1e-15)
    assert lookup("digamma")(np.array(1.0))[0] == pytest.approx(-0.57721566490153286, rel=1e-15)
    assert lookup("erf")(np.array(0.5))[0] == pytest.approx(0.5204998778130465, rel=1e-15)
    assert lookup("i0")(np.array(1.0))[0] == pytest.approx(1.2660658777520084, rel=1e-15)


def test_the_slope_of_digamma_at_one_is_the_sum_of_inverse_squares():
    assert lookup("digamma")(np.array(1.0))[1](1.0)[0] == pytest.approx(math.pi**2 / 6, rel=1e-15)


def test_zero_times_a_logarithm_is_zero():
    x, y = np.zeros(4), np.array([0.0, -1.0, math.inf, math.nan])
    for name, shift in (("xlogy", 0.0), ("special.xlog1py", 1.0)):
        out = lookup(name)(x, y - shift)[0]
        assert out[:3].tolist() == [0.0, 0.0, 0.0] and math.isnan(out[3])


def test_xlogy_of_zero_still_has_a_slope():
    dx, dy = lookup("xlogy")(np.zeros(1), np.array([math.e]))[1](np.ones(1))
    assert dx == pytest.approx(1.0) and dy == 0.0


def test_xlog1py_keeps_its_digits():
    assert lookup("special.xlog1py")(2.0, np.array(1e-20))[0] == 2e-20


def test_entropy_at_and_below_zero():
    assert lookup("special.entr")(np.array([0.0, -1.0]))[0].tolist() == [0.0, -math.inf]


def test_logit_clamps_and_then_has_no_slope():
    x = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    out, vjp = lookup("logit")(x, eps=0.25)
    assert out == pytest.approx([-math.log(3), -math.log(3), 0.0, math.log(3), math.log(3)], abs=1e-15)
    assert vjp(np.ones(5))[0] == pytest.approx([0.0, 16 / 3, 4.0, 16 / 3, 0.0])


def test_logit_outside_of_the_unit_interval_is_nan():
    out, vjp = lookup("logit")(np.array([-0.5, 1.5]))
    assert np.isnan(out).all() and np.isnan(vjp(np.ones(2))[0]).all()


def test_logaddexp_does_not_overflow():
    a, b = np.array([1000.0, -1000.0, -math.inf, 3.0]), np.array([1000.0, -999.0, 2.0, -math.inf])
    out = lookup("logaddexp")(a, b)[0]
    assert out == pytest.approx([1000 + math.log(2), -999 + math.log1p(math.exp(-1)), 2.0, 3.0], rel=1e-15)


def test_logaddexp_shares_its_gradient_as_a_softmax_does():
    da, db = lookup("logaddexp")(np.array([1.0, 5.0]), np.array([0.0, 5.0]))[1](np.ones(2))
    assert da + db == pytest.approx([1.0, 1.0]) and da[0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_logaddexp_of_complex_numbers():
    a, b = np.array([0.5 + 1j, -1 - 0.5j]), np.array([1 - 0.25j, -0.75 + 0.5j])
    assert np.allclose(lookup("logaddexp")(a, b)[0], np.log(np.exp(a) + np.exp(b)), rtol=1e-14, atol=1e-14)
