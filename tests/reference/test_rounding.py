"""Rounding, replacing, scaling and taking apart: facts that follow from the definitions."""

import math

import numpy as np
import pytest

from reference import lookup

HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.2, -0.7])


def value(name, *args, **options):
    return lookup(name)(*args, **options)[0]


def test_rounding_goes_down_up_towards_zero_and_to_even():
    assert value("floor", HALVES).tolist() == [-3, -2, -1, 0, 1, 2, 0, -1]
    assert value("ceil", HALVES).tolist() == [-2, -1, 0, 1, 2, 3, 1, 0]
    assert value("fix", HALVES).tolist() == [-2, -1, 0, 0, 1, 2, 0, 0]
    assert value("round", HALVES).tolist() == [-2, -2, 0, 0, 2, 2, 0, -1]


def test_decimals():
    assert value("round", np.array([0.123456, -7.5]), decimals=3).tolist() == [0.123, -7.5]
    assert value("special.round", np.array([15.0, 25.0, 1234.5]), decimals=-1).tolist() == [20.0, 20.0, 1230.0]


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round"])
def test_steps_are_flat_and_integers_stay_integers(name):
    assert lookup(name)(HALVES)[1](np.ones(8))[0].tolist() == [0.0] * 8
    assert value(name, np.array([-3, 4])).dtype == np.int64


def test_the_fraction_has_the_sign_of_the_number_and_slope_one():
    out, vjp = lookup("frac")(np.array([2.75, -2.75, 3.0]))
    assert out.tolist() == [0.75, -0.75, 0.0] and vjp(np.full(3, 2.0))[0].tolist() == [2.0, 2.0, 2.0]


def test_floor_division_is_that_of_python():
    for a in (-7, 7, 3):
        for b in (-2, 2, 5):
            assert value("floor_divide", np.array([a]), b)[0] == a // b
    assert value("floor_divide", 7.5, np.array([-2.0]))[0] == -4.0
    assert lookup("floor_divide")(np.ones(2), np.ones(2))[1](np.ones(2)) == (None, None)


def test_heaviside():
    x, at_zero = np.array([-1.5, 0.0, 2.0, math.nan]), np.array([0.25])
    assert value("heaviside", x, at_zero).tolist() == [0.0, 0.25, 1.0, 0.0]


def test_nextafter():
    a, b = np.array([1.0, 1.0, 2.0]), np.array([2.0, 0.0, 2.0])
    out, vjp = lookup("nextafter")(a, b)
    assert out.tolist() == [math.nextafter(1, 2), math.nextafter(1, 0), 2.0]
    assert [d.tolist() for d in vjp(np.ones(3))] == [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_nan_to_num_replaces_and_lets_no_gradient_through():
    x = np.array([1.5, math.nan, math.inf, -math.inf])
    out, vjp = lookup("nan_to_num")(x, nan=7, posinf=8.0)
    assert out.tolist() == [1.5, 7.0, 8.0, np.finfo(float).min]
    assert vjp(np.ones(4))[0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert value("nan_to_num", np.array([complex(math.nan, 2.0)])).tolist() == [2j]
    assert value("nan_to_num", np.array([3, 4])).tolist() == [3, 4]


def test_degrees_and_radians():
    assert value("deg2rad", np.array(180.0)) == math.pi and value("rad2deg", np.array(math.pi)) == 180.0


def test_frexp_takes_apart_what_ldexp_puts_together():
    x = np.array([0.0, 1.0, -6.5, 1e-3, 700.0])
    (mantissa, exponent), vjp = lookup("frexp")(x)
    assert exponent.tolist() == [0, 1, 3, -9, 10]
    assert np.all((np.abs(mantissa) < 1) & ((x == 0) | (np.abs(mantissa) >= 0.5)))
    assert np.array_equal(value("ldexp", mantissa, exponent), x)
    assert vjp((np.ones(5), None))[0].tolist() == (2.0**-exponent).tolist()


def test_ldexp_has_slopes_by_both():
    x, e = np.array([3.0, -1.0]), np.array([-2.0, 0.5])
    dx, de = lookup("ldexp")(x, e)[1](np.ones(2))
    assert dx == pytest.approx(2.0**e) and de == pytest.approx(x * 2.0**e * math.log(2))
    dx, de = lookup("ldexp")(x, np.array([-3, 2]))[1](np.ones(2))
    assert dx.tolist() == [0.125, 4.0] and de is None


def test_float_power_takes_integers_to_reals():
    assert value("float_power", np.array([2, 4]), -1).tolist() == [0.5, 0.25]
    assert value("float_power", 2, np.array([3, -2])).tolist() == [8.0, 0.25]
    base, exponent = lookup("float_power")(np.array([3.0]), np.array([2.0]))[1](np.ones(1))
    assert base.tolist() == [6.0] and exponent == pytest.approx([9 * math.log(3)])


def test_logaddexp2_is_logaddexp_in_powers_of_two():
    a, b = np.array([1.0, -3.0, 2000.0]), np.array([1.0, 4.0, 1999.0])
    out, vjp = lookup("logaddexp2")(a, b)
    assert out == pytest.approx([2.0, math.log2(2**-3 + 16), 2000 + math.log2(1.5)], rel=1e-15)
    da, db = vjp(np.ones(3))
    assert da == pytest.approx([0.5, 1 / 129, 2 / 3]) and da + db == pytest.approx(np.ones(3))
