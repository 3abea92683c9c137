"""The activations against mpmath at 50 digits and their published corner values."""

import math

import mpmath
import numpy as np
import pytest

from conformance.draws import SeededDraw
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


FORMULAS = {  # of the papers and of torch's documentation
    "relu6": lambda x: min(max(x, 0), 6),
    "elu": lambda x, alpha=1.0: x if x > 0 else alpha * math.expm1(x),
    "celu": lambda x, alpha=1.0: max(0, x) + min(0, alpha * math.expm1(x / alpha)),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "leaky_relu": lambda x, negative_slope=0.01: x if x > 0 else negative_slope * x,
    "hardtanh": lambda x, min_val=-1.0, max_val=1.0: min(max(x, min_val), max_val),
    "hardsigmoid": lambda x: min(max(x / 6 + 0.5, 0), 1),
    "hardswish": lambda x: x * min(max(x / 6 + 0.5, 0), 1),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "softsign": lambda x: x / (1 + abs(x)),
    "tanhshrink": lambda x: x - math.tanh(x),
    "logsigmoid": lambda x: -math.log1p(math.exp(-x)),
    "softshrink": lambda x, lambd=0.5: x - lambd if x > lambd else x + lambd if x < -lambd else 0,
    "hardshrink": lambda x, lambd=0.5: x if abs(x) > lambd else 0,
    "threshold": lambda x, threshold, value: x if x > threshold else value,
    "softplus": lambda x, beta=1.0, threshold=20.0: (
        x if beta * x > threshold else math.log1p(math.exp(beta * x)) / beta
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_formula_with_every_option(name):
    rule = lookup(f"nn.functional.{name}") or lookup(name)
    for seed in range(30):
        case = rule.cases(SeededDraw(f"{name}/formula/{seed}"))
        bound = rule.signature.bind(*case.args, **case.kwargs).arguments
        x = bound.pop("input")
        bound.pop("inplace", None)
        want = [FORMULAS[name](float(v), **bound) for v in x.flat]
        assert np.allclose(rule(*case.args, **case.kwargs)[0].ravel(), want, rtol=1e-13, atol=1e-15)
