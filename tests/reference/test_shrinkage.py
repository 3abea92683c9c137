"""The activations made of pieces: their published corner values, and mpmath where they curve."""

import mpmath
import numpy as np
import pytest

from reference import lookup
from tests.reference.oracle import assert_matches_mpmath

POINTS = [-8.0, -3.0, -1.0, -0.3, -1e-3, -1e-9, 1e-9, 1e-3, 0.3, 1.0, 3.0, 8.0]

# name, arguments, inputs, values, slopes
CORNERS = [
    ("leaky_relu", (0.25,), [-2, 0, 2], [-0.5, 0, 2], [0.25, 0.25, 1]),
    ("hardtanh", (-1, 2), [-3, -1, 0, 2, 3], [-1, -1, 0, 2, 2], [0, 0, 1, 0, 0]),
    ("relu6", (), [-1, 0, 3, 6, 7], [0, 0, 3, 6, 6], [0, 0, 1, 0, 0]),
    ("hardsigmoid", (), [-4, -3, 0, 3, 4], [0, 0, 0.5, 1, 1], [0, 0, 1 / 6, 0, 0]),
    ("hardswish", (), [-4, -3, 0, 3, 4], [0, 0, 0, 3, 4], [0, 0, 0.5, 1, 1]),
    ("softshrink", (0.5,), [-2, -0.5, 0, 0.5, 2], [-1.5, 0, 0, 0, 1.5], [1, 0, 0, 0, 1]),
    ("hardshrink", (0.5,), [-2, -0.5, 0, 0.5, 2], [-2, 0, 0, 0, 2], [1, 0, 0, 0, 1]),
    ("threshold", (1.0, 20.0), [0, 1, 2], [20, 20, 2], [0, 0, 1]),
    ("softsign", (), [-1, 0, 3], [-0.5, 0, 0.75], [0.25, 1, 1 / 16]),
    ("elu", (2.0,), [0, 3], [0, 3], [2, 1]),
    ("celu", (2.0,), [0, 3], [0, 3], [1, 1]),
]


@pytest.mark.parametrize("name, arguments, xs, values, slopes", CORNERS, ids=[c[0] for c in CORNERS])
def test_corners(name, arguments, xs, values, slopes):
    out, vjp = lookup(f"nn.functional.{name}")(np.array(xs, dtype=float), *arguments)
    assert out == pytest.approx(values, rel=1e-15)
    assert vjp(np.ones(len(xs)))[0] == pytest.approx(slopes, rel=1e-15)


SMOOTH = {
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "logsigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "celu": lambda x: x if x > 0 else mpmath.expm1(x),
    "tanhshrink": lambda x: x - mpmath.tanh(x),
    "softsign": lambda x: x / (1 + abs(x)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_slopes(name):
    assert_matches_mpmath(f"nn.functional.{name}", SMOOTH[name], POINTS, ulps=16)


def test_selu_keeps_zero_mean_and_unit_variance():
    # the fixed point of Klambauer et al.: the integrals over the normal density
    def selu(x):
        return float(lookup("selu")(np.array(float(x)))[0])

    def moment(power):
        return mpmath.quad(lambda x: selu(x) ** power * mpmath.npdf(x), [-12, 0, 12])

    assert abs(moment(1)) < 1e-13 and abs(moment(2) - 1) < 1e-13


def test_celu_scales_its_exponent():
    x = np.array([-1.0, 2.0])
    out, vjp = lookup("celu")(x, 0.8)
    assert out == pytest.approx([0.8 * np.expm1(-1 / 0.8), 2.0], rel=1e-15)
    assert vjp(np.ones(2))[0] == pytest.approx([np.exp(-1 / 0.8), 1.0], rel=1e-15)


def test_prelu_has_a_weight_for_each_channel():
    x = -np.arange(1.0, 13.0).reshape(2, 3, 2)
    weight = np.array([0.0, 0.5, 2.0])
    out, vjp = lookup("prelu")(x, weight)
    assert np.array_equal(out, x * weight[None, :, None])
    dx, dw = vjp(np.ones_like(x))
    assert np.array_equal(dx, np.broadcast_to(weight[None, :, None], x.shape))
    assert np.array_equal(dw, x.sum(axis=(0, 2)))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_glu_gates_one_half_with_the_other(dim):
    x = np.linspace(-3, 3, 24).reshape(2, 2, 6)
    a, b = np.split(x, 2, axis=dim)
    assert np.allclose(lookup("nn.functional.glu")(x, dim)[0], a / (1 + np.exp(-b)), rtol=1e-15, atol=1e-15)


def test_integers_stay_integers():
    x = np.array([-3, 2, 9])
    for name, arguments in (
        ("relu", ()),
        ("nn.functional.relu6", ()),
        ("nn.functional.hardtanh", (-1.5, 4.5)),
    ):
        assert lookup(name)(x, *arguments)[0].dtype == np.int64


def test_between_equal_limits_nothing_moves():
    for limit in (-1.0, 0.0, 2.0):
        x = np.array([limit - 1.0, limit, limit + 1.0])
        out, vjp = lookup("nn.functional.hardtanh")(x, limit, limit)
        assert out.tolist() == [limit] * 3 and vjp(np.ones(3))[0].tolist() == [0.0] * 3


@pytest.mark.parametrize("name", ["prelu", "nn.functional.prelu"])
def test_at_zero_the_slope_is_that_of_the_left(name):
    """As torch has it; each channel has its own, and its gradient is what was negative."""
    x, weight = np.array([[-2.0, 0.0], [0.0, -1.0], [3.0, 4.0]]), np.array([0.25, -0.5])
    out, vjp = lookup(name)(x, weight)
    assert out.tolist() == [[-0.5, 0.0], [0.0, 0.5], [3.0, 4.0]]
    by_x, by_weight = vjp(np.ones(x.shape))
    assert by_x.tolist() == [[0.25, -0.5], [0.25, -0.5], [1.0, 1.0]] and by_weight.tolist() == [-2.0, -1.0]
