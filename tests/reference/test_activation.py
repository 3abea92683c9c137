"""The activations against mpmath at 50 digits and their published corner values."""

import mpmath
import numpy as np

from reference import lookup
from tests.reference.oracle import assert_matches_mpmath

POINTS = [-30.0, -8.0, -3.0, -1.0, -0.3, -1e-3, -1e-9, 1e-9, 1e-3, 0.3, 1.0, 3.0, 8.0, 18.5]


def test_tanh_keeps_its_digits_in_the_tails():
    assert_matches_mpmath("tanh", mpmath.tanh, POINTS)


def test_sigmoid_keeps_its_digits_in_the_tails():
    assert_matches_mpmath("sigmoid", lambda x: 1 / (1 + mpmath.exp(-x)), POINTS)


def test_softplus_is_log1p_exp():
    assert_matches_mpmath("nn.functional.softplus", lambda x: mpmath.log1p(mpmath.exp(x)), POINTS)


def test_softplus_is_linear_above_its_threshold():
    out, vjp = lookup("nn.functional.softplus")(np.array([3.0, 1.0]), beta=2.0, threshold=4.0)
    assert out[0] == 3.0 and out[1] > 1.0
    assert vjp(np.ones(2))[0][0] == 1.0


def test_gelu_is_x_times_the_normal_distribution():
    # near its zero at -0.75 the derivative cancels, and in the far tail erfc does
    points = [x for x in POINTS if x > -8]
    assert_matches_mpmath("nn.functional.gelu", lambda x: x * mpmath.ncdf(x), points, ulps=16)


def test_gelu_tanh_is_the_published_approximation():
    def exact(x):
        return x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(0.044715) * x**3)))

    points = [x for x in POINTS if abs(x) < 4]
    assert_matches_mpmath("nn.functional.gelu", exact, points, ulps=64, approximate="tanh")


def test_relu_passes_nothing_at_zero():
    out, vjp = lookup("relu")(np.array([-1.0, 0.0, 2.0]))
    assert out.tolist() == [0.0, 0.0, 2.0]
    assert vjp(np.ones(3))[0].tolist() == [0.0, 0.0, 1.0]
