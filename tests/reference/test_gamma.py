"""The incomplete, multivariate and derived gamma functions and zeta, against mpmath at 50 digits."""

import math

import mpmath
import numpy as np
import pytest

from reference import lookup
from reference.derive import STEP
from reference.rule import stepping
from tests.reference.oracle import EPS, assert_matches_mpmath

PAIRS = [(0.25, 0.07), (0.5, 0.3), (0.5096, 0.35), (0.5, 1.06), (0.5015, 1.0626), (1.0, 2.0), (2.5, 0.5)]
PAIRS += [(3.0, 7.0), (6.0, 5.5), (21.0, 18.0), (40.5, 59.0), (58.0, 58.0), (57.0, 33.6), (63.7, 32.8)]


@pytest.mark.parametrize("name", ["igamma", "igammac"])
@pytest.mark.parametrize("a, x", PAIRS)
def test_incomplete_gamma_functions(name, a, x):
    ends = (0, x) if name == "igamma" else (x, mpmath.inf)
    with mpmath.workdps(50):
        want = mpmath.gammainc(a, *ends, regularized=True)
        slope = mpmath.exp((a - 1) * mpmath.log(x) - x) / mpmath.gamma(a) * (1 if name == "igamma" else -1)
        out, vjp = lookup(name)(np.array([a]), np.array([x]))
        nothing, gradient = vjp(np.ones(1))
        # an ulp of x moves the value by x p(x)
        assert abs(out[0] - want) <= 16 * EPS * (abs(want) + abs(x * slope))
        assert abs(gradient[0] - slope) <= (16 + 4 * a) * EPS * abs(slope) and nothing is None


def test_incomplete_gamma_functions_of_one_are_exponential():
    x = np.array([0.0, 0.5, 3.0])
    lower, vjp = lookup("igamma")(np.ones(3), x)
    assert lower == pytest.approx(1 - np.exp(-x), rel=1e-15)
    assert vjp(np.ones(3))[1] == pytest.approx(np.exp(-x), rel=1e-15)
    assert lookup("special.gammaincc")(np.ones(3), x)[0] == pytest.approx(np.exp(-x), rel=1e-15)


def test_incomplete_gamma_functions_add_up_to_one():
    rng = np.random.default_rng(0)
    a, x = rng.uniform(0.25, 60, 2000), rng.uniform(0.1, 60, 2000)
    assert np.allclose(lookup("igamma")(a, x)[0] + lookup("igammac")(a, x)[0], 1.0, rtol=4e-15, atol=0)


@pytest.mark.parametrize("p", [1, 2, 5])
def test_the_multivariate_gamma_function_is_a_product(p):
    x = np.array([p / 2 + 0.25, 3.5, 7.0, 120.0])
    with mpmath.workdps(50):
        for v, got in zip(x, lookup("mvlgamma")(x, p)[0]):
            product = mpmath.pi ** (mpmath.mpf(p * (p - 1)) / 4)
            for j in range(p):
                product *= mpmath.gamma(mpmath.mpf(v) - mpmath.mpf(j) / 2)
            assert abs(got - mpmath.log(product)) <= 32 * EPS * max(1, abs(mpmath.log(product)))


def test_the_multivariate_gamma_function_has_its_slope():
    assert_matches_mpmath(
        "mvlgamma",
        lambda x: mpmath.log(mpmath.pi) / 2 + mpmath.loggamma(x) + mpmath.loggamma(x - mpmath.mpf(1) / 2),
        [0.75, 2.0, 5.5, 100.0], 64, p=2,
    )  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_polygamma(n):
    points = np.array([0.125, 0.75, 1.3, 4.0, 30.0, *([-0.5, -2.25] if n < 2 else [])])
    out, vjp = lookup("polygamma")(n, points)
    (slope,) = vjp(np.ones(len(points)))
    with mpmath.workdps(50):
        for x, value, first in zip(points, out, slope):
            for got, order in ((value, n), (first, n + 1)):
                want = mpmath.psi(order, x)
                assert abs(got - want) <= 32 * EPS * abs(want), (order, x)
    assert np.array_equal(lookup("Tensor.polygamma")(points, n)[0], out)


def test_published_values_of_polygamma_and_zeta():
    # Abramowitz and Stegun, 6.4.2 and 23.2
    assert lookup("special.polygamma")(1, np.array(0.5))[0] == pytest.approx(math.pi**2 / 2, rel=1e-15)
    assert lookup("special.zeta")(2, np.array([1.0]))[0] == pytest.approx([math.pi**2 / 6], rel=1e-15)
    assert lookup("special.zeta")(np.array([4.0]), 1)[0] == pytest.approx([math.pi**4 / 90], rel=1e-15)


def test_the_hurwitz_zeta_function_and_its_slope():
    for s, q in ((1.25, 0.5), (2.0, 3.25), (3.5, 1.0), (6.0, 0.75)):
        out, vjp = lookup("special.zeta")(np.array(s), np.array(q))
        nothing, gradient = vjp(np.ones(()))
        with mpmath.workdps(50):
            want, slope = mpmath.zeta(s, q), -s * mpmath.zeta(s + 1, q)
        assert abs(out - want) <= 16 * EPS * want and abs(gradient - slope) <= 16 * EPS * abs(slope)
        assert nothing is None


@pytest.mark.parametrize("name, args", [("mvlgamma", (np.ones(2), 0)), ("polygamma", (-1, np.ones(2)))])
def test_orders_below_the_first_are_refused(name, args):
    with pytest.raises(ValueError):
        lookup(name)(*args)


@pytest.mark.parametrize("a, x", [*PAIRS[2:8], (0.25, 3.0), (11.0, 9.0)])
def test_the_step_goes_along_the_first_arguments_of_which_torch_has_no_derivative(a, x):
    """igamma, igammac and zeta move with the rounding of their first argument, of which the tolerance must know."""
    exact = {
        "igamma": lambda s: mpmath.gammainc(s, 0, x, regularized=True),
        "igammac": lambda s: mpmath.gammainc(s, x, mpmath.inf, regularized=True),
        "special.zeta": lambda s: mpmath.zeta(s, x),
    }
    for name, function in exact.items():
        at = a + 1.0 if name == "special.zeta" else a
        with mpmath.workdps(30):
            want = float(mpmath.diff(function, mpmath.mpf(at)))
        with stepping():
            got = lookup(name)(np.array([at + 1j * STEP]), np.array([x + 0j]))[0].imag / STEP
        assert got == pytest.approx([want], rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("low, high, start, stop", [
    (0.47, 0.53, 0.25, 8.0), (0.0625, 2.5, 0.75, 2.25), (0.25, 20.0, 0.0625, 20.0), (20.0, 64.0, 15.0, 80.0),
])  # fmt: skip
def test_incomplete_gamma_functions_keep_their_digits_where_scipys_do_not(low, high, start, stop):
    rng = np.random.default_rng(1)
    a, x = rng.uniform(low, high, 150), rng.uniform(start, stop, 150)
    lower, upper = lookup("igamma")(a, x)[0], lookup("igammac")(a, x)[0]
    with mpmath.workdps(30):
        for one, at, below, above in zip(a, x, lower, upper):
            slope = at * mpmath.exp((one - 1) * mpmath.log(at) - at) / mpmath.gamma(one)
            for got, ends in ((below, (0, at)), (above, (at, mpmath.inf))):
                want = mpmath.gammainc(one, *ends, regularized=True)
                assert abs(got - want) <= 8 * EPS * (want + slope), (one, at)
