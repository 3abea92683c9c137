"""Orthogonal polynomials against mpmath, their trigonometric forms and their values at the ends."""

import mpmath
import numpy as np
import pytest

from reference import lookup

X = np.array([-1.0, -0.6, -0.25, 0.0, 0.3, 0.75, 1.0, 1.25])


def poly(name, x, n):
    return lookup(f"special.{name}")(x, n)[0]


def laguerre(n, x):
    return sum(mpmath.binomial(n, k) * (-x) ** k / mpmath.factorial(k) for k in range(n + 1))


EXACT = {
    "chebyshev_polynomial_t": mpmath.chebyt,
    "chebyshev_polynomial_u": mpmath.chebyu,
    "hermite_polynomial_h": mpmath.hermite,
    "hermite_polynomial_he": lambda n, x: 2 ** (-mpmath.mpf(n) / 2) * mpmath.hermite(n, x / mpmath.sqrt(2)),
    "laguerre_polynomial_l": laguerre,
    "legendre_polynomial_p": mpmath.legendre,
}


@pytest.mark.parametrize("name", EXACT)
def test_polynomials(name):
    for n in range(9):
        want = [float(EXACT[name](n, mpmath.mpf(x))) for x in X]
        assert np.allclose(poly(name, X, n), want, rtol=1e-13, atol=1e-13 * max(map(abs, want)))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 9])
def test_chebyshev_polynomials_of_the_third_and_fourth_kind_are_quotients_of_cosines_and_sines(n):
    t = np.linspace(0.1, 3.0, 9)
    v, w = poly("chebyshev_polynomial_v", np.cos(t), n), poly("chebyshev_polynomial_w", np.cos(t), n)
    assert np.allclose(v * np.cos(t / 2), np.cos((n + 0.5) * t), rtol=0, atol=1e-14)
    assert np.allclose(w * np.sin(t / 2), np.sin((n + 0.5) * t), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", "tuvw")
def test_shifted_polynomials_take_the_unit_interval(kind):
    x = np.linspace(0, 1, 9)
    for n in range(6):
        plain = poly(f"chebyshev_polynomial_{kind}", 2 * x - 1, n)
        assert np.array_equal(poly(f"shifted_chebyshev_polynomial_{kind}", x, n), plain)


@pytest.mark.parametrize("name", [*EXACT, "chebyshev_polynomial_v", "chebyshev_polynomial_w"])
def test_degrees_below_zero_give_zero_and_fractions_are_cut(name):
    assert poly(name, X, np.full(8, -1)).tolist() == [0.0] * 8
    assert np.array_equal(poly(name, X, 2.75), poly(name, X, 2))


def test_degrees_may_differ_and_broadcast():
    out = poly("legendre_polynomial_p", X, np.array([[0.0], [1.0], [2.0]]))
    assert np.allclose(out, [np.ones(8), X, 1.5 * X * X - 0.5], rtol=1e-15, atol=1e-16)
    assert poly("legendre_polynomial_p", 2, np.array([0, 1])).tolist() == [1.0, 2.0]
