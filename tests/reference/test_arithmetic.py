"""Arithmetic, powers and choices: definitions, integer semantics, and the values at ties and kinks."""

import math

import mpmath
import numpy as np
import pytest

from reference import lookup
from tests.reference.oracle import assert_matches_mpmath

POINTS = [1e-9, 1e-3, 0.3, 1.0, 3.0, 100.0]
SIGNED = [-3.0, -1.0, -0.3, 0.3, 1.0, 3.0]


def gradients(name, *args, **options):
    out, vjp = lookup(name)(*args, **options)
    return [d.tolist() for d in vjp(np.ones_like(out))]


def value(name, *args, **options):
    return lookup(name)(*args, **options)[0]


@pytest.mark.parametrize(
    "name, exact",
    [("sqrt", mpmath.sqrt), ("rsqrt", lambda x: 1 / mpmath.sqrt(x)), ("square", lambda x: x * x)],
)
def test_roots_and_squares(name, exact):
    assert_matches_mpmath(name, exact, POINTS)


@pytest.mark.parametrize("exponent", [2, 3, -1, 0.5, -1.5, 2.5])
def test_a_power_of_a_tensor(exponent):
    assert_matches_mpmath("pow", lambda x: x**exponent, POINTS[1:], exponent=exponent)


def test_an_integer_power_of_a_negative_number():
    assert value("pow", np.array([-2.0, -3.0]), 3).tolist() == [-8.0, -27.0]
    assert gradients("pow", np.array([-2.0, -3.0]), 3) == [[12.0, 27.0]]


def test_a_fractional_power_of_a_negative_number_is_nan():
    with np.errstate(invalid="ignore"):
        assert math.isnan(value("pow", np.array(-2.0), 0.5))


def test_a_number_to_a_tensor_has_the_logarithm_of_the_number_as_slope():
    (slope,) = gradients("pow", 2.0, np.array([0.0, 3.0]))
    assert slope == pytest.approx([math.log(2), 8 * math.log(2)], rel=1e-15)


def test_zero_to_the_power_zero_is_one_and_flat():
    zeros = np.zeros(3)
    powers = np.array([0.0, 1.0, 2.0])
    assert value("pow", zeros, powers).tolist() == [1.0, 0.0, 0.0]
    assert gradients("pow", zeros, powers) == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_integers_to_negative_powers_are_rounded_towards_zero():
    out = value("pow", np.array([0, 1, -1, -1, 2, -3]), np.array([-1, -5, -3, -2, -1, 3]))
    assert out.tolist() == [0, 1, -1, 1, 0, -27] and out.dtype == np.int64


def test_roots_of_zero_have_an_infinite_slope():
    with np.errstate(divide="ignore"):
        assert gradients("sqrt", np.zeros(1)) == [[math.inf]]
        assert gradients("reciprocal", np.zeros(1)) == [[-math.inf]]


def test_division_rounds_down_or_towards_zero():
    a, b = np.array([7.0, -7.0, 7.0, -7.0, 6.0]), np.array([2.0, 2.0, -2.0, -2.0, -2.0])
    assert value("div", a, b, rounding_mode="floor").tolist() == [3.0, -4.0, -4.0, 3.0, -3.0]
    assert value("div", a, b, rounding_mode="trunc").tolist() == [3.0, -3.0, -3.0, 3.0, -3.0]
    assert gradients("div", a, b, rounding_mode="floor") == [[0.0] * 5, [0.0] * 5]


def test_integers_stay_integers_when_their_quotient_is_rounded():
    a, b = np.array([7, -7, 7, -7, 6]), np.array([2, 2, -2, -2, -2])
    for mode, want in (("floor", [3, -4, -4, 3, -3]), ("trunc", [3, -3, -3, 3, -3])):
        out = value("div", a, b, rounding_mode=mode)
        assert out.tolist() == want and out.dtype == np.int64
    assert value("div", a, b).tolist() == [3.5, -3.5, -3.5, 3.5, -3.0]


def test_bools_add_and_multiply_as_logic():
    a, b = np.array([True, True, False]), np.array([True, False, False])
    assert value("add", a, b).tolist() == [True, True, False]
    assert value("mul", a, b).tolist() == [True, False, False]


def test_alpha_scales_the_second_operand():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    assert value("add", x, y, alpha=2).tolist() == [7.0, 12.0]
    assert value("sub", x, y, alpha=2).tolist() == [-5.0, -8.0]
    assert value("rsub", x, y, alpha=2).tolist() == [1.0, 1.0]
    assert gradients("sub", x, y, alpha=2) == [[1.0, 1.0], [-2.0, -2.0]]


def test_a_broadcast_operand_gets_the_sum_of_its_gradients():
    assert gradients("mul", np.array([[1.0], [2.0]]), np.array([3.0, 4.0])) == [[[7.0], [7.0]], [3.0, 3.0]]


def test_lerp_ends_exactly_at_its_ends():
    start, end = np.array([0.1, 1e8]), np.array([0.3, 0.7])
    assert np.array_equal(value("lerp", start, end, 0.0), start)
    assert np.array_equal(value("lerp", start, end, 1.0), end)


def test_the_gradient_of_a_complex_modulus_points_along_the_number():
    out, vjp = lookup("abs")(np.array([3 + 4j, 0j]))
    assert out.tolist() == [5.0, 0.0]
    assert np.allclose(vjp(np.ones(2))[0], [0.6 + 0.8j, 0j], rtol=1e-15, atol=1e-15)


def test_maximum_halves_the_gradient_of_a_tie_and_fmax_gives_it_to_the_first():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    assert gradients("maximum", a, b) == [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]]
    assert gradients("minimum", a, b) == [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    assert gradients("fmax", a, b) == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    assert gradients("fmin", a, b) == [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_maximum_keeps_a_nan_and_fmax_drops_it():
    a, b = np.array([math.nan, 1.0]), np.array([1.0, math.nan])
    assert np.isnan(value("maximum", a, b)).all()
    assert value("fmax", a, b).tolist() == [1.0, 1.0]


def test_clamp_keeps_the_gradient_of_a_value_on_its_bound():
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert value("clamp", x, -1.0, 1.0).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
    assert gradients("clamp", x, -1.0, 1.0) == [[0.0, 1.0, 1.0, 1.0, 0.0]]


def test_crossed_bounds_give_the_upper_one():
    x, low, high = np.array([-3.0, 0.0, 3.0]), np.full(3, 1.0), np.full(3, -1.0)
    assert value("clamp", x, low, high).tolist() == [-1.0] * 3
    assert gradients("clamp", x, low, high) == [[0.0] * 3, [0.0] * 3, [1.0] * 3]


def test_where_alone_gives_indices():
    out, vjp = lookup("where")(np.array([[True, False], [True, True]]))
    assert [i.tolist() for i in out] == [[0, 1, 1], [0, 0, 1]]
    assert vjp((None, None)) == (None,)


def test_hypot_does_not_overflow_on_the_way():
    assert value("hypot", np.array(3e200), np.array(4e200)) == pytest.approx(5e200, rel=1e-15)


def test_atan2_is_the_angle_of_a_point_and_flat_at_the_origin():
    y, x = np.array([1.0, 1.0, -1.0, 0.0]), np.array([1.0, -1.0, -1.0, 0.0])
    assert value("atan2", y, x).tolist() == [math.atan2(b, a) for b, a in zip(y, x)]
    dy, dx = gradients("atan2", y, x)
    assert dy == [0.5, -0.5, -0.5, 0.0] and dx == [-0.5, -0.5, 0.5, 0.0]


@pytest.mark.parametrize("name, exact", [("remainder", lambda a, b: a % b), ("fmod", math.fmod)])
def test_remainders_are_those_of_python_and_c(name, exact):
    a, b = np.array([7.5, -7.5, 7.5, -7.5, 6.0]), np.array([2.0, 2.0, -2.0, -2.0, -2.0])
    want = [exact(x, y) for x, y in zip(a, b)]
    assert value(name, a, b).tolist() == want
    da, db = gradients(name, a, b)
    assert da == [1.0] * 5 and db == [-(x - r) / y for x, y, r in zip(a, b, want)]


def test_the_gradient_of_fmod_has_the_quotient_that_goes_with_its_value():
    # 0.25 / 0.001 rounds to 250, but 0.001 is a little more than a thousandth, so that the remainder is not 0
    a, b = np.array(0.25), np.array(0.001)
    assert gradients("fmod", a, b)[1] == -249.0


def test_sign_and_copysign():
    x = np.array([-2.0, 0.0, 3.0, math.nan])
    assert value("sign", x).tolist() == [-1.0, 0.0, 1.0, 0.0]
    assert gradients("sign", x) == [[0.0] * 4]
    out = value("copysign", x[:3], np.array(-0.0))
    assert out.tolist() == [-2.0, 0.0, -3.0] and np.signbit(out).all()
    assert gradients("copysign", x[:3], np.array(-0.0)) == [[1.0, 0.0, -1.0], 0.0]


def test_complex_gradients_are_conjugated_derivatives():
    z = np.array([1.5 - 2j, -0.5 + 1j])
    g = np.array([1 + 1j, 2 - 1j])
    for name, slope in (("square", 2 * z), ("reciprocal", -1 / z**2), ("sqrt", 0.5 / np.sqrt(z))):
        (grad,) = lookup(name)(z)[1](g)
        assert np.allclose(grad, g * np.conj(slope), rtol=1e-14, atol=1e-14)
