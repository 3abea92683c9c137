"""Comparisons, questions, logic and integers: what they answer, and that they have no gradient."""

import math

import numpy as np
import pytest

from reference import lookup

NAN, INF = math.nan, math.inf


def value(name, *args, **options):
    return lookup(name)(*args, **options)[0].tolist()


@pytest.mark.parametrize(
    "name, alias, want",
    [
        ("eq", "eq", [False, True, False]),
        ("ne", "not_equal", [True, False, True]),
        ("lt", "less", [True, False, False]),
        ("le", "less_equal", [True, True, False]),
        ("gt", "greater", [False, False, False]),
        ("ge", "greater_equal", [False, True, False]),
    ],
)
def test_comparisons_with_a_nan_are_false_but_for_not_equal(name, alias, want):
    x = np.array([1.0, 2.0, NAN])
    assert value(name, x, 2) == want and value(alias, x, np.array([2, 2, 2])) == want
    assert lookup(name)(x, x)[1](None) == (None, None)


def test_complex_numbers_are_equal_in_both_parts():
    assert value("eq", np.array([1 + 1j, 1 - 1j]), np.array([1 + 1j, 1 + 1j])) == [True, False]


def test_questions():
    x = np.array([1.0, -0.0, INF, -INF, NAN])
    assert value("isnan", x) == [False, False, False, False, True]
    assert value("isinf", x) == [False, False, True, True, False]
    assert value("isfinite", x) == [True, True, False, False, False]
    assert value("isposinf", x) == [False, False, True, False, False]
    assert value("isneginf", x) == [False, False, False, True, False]
    assert value("signbit", x[:4]) == [False, True, False, True]
    assert value("signbit", np.array([-2, 0])) == [True, False]
    assert value("isreal", np.array([1 + 0j, 1j])) == [True, False]


def test_closeness_is_relative_to_the_second():
    a, b = np.array([10.0, 11.0]), np.array([11.0, 10.0])
    assert value("isclose", a, b, rtol=0.095, atol=0.0) == [True, False]
    assert value("isclose", np.array([3, 4]), np.array([4, 6]), atol=1.0) == [True, False]


def test_what_is_not_finite_is_close_to_its_equal():
    a, b = np.array([INF, INF, -INF, NAN, 1.0]), np.array([INF, -INF, -INF, NAN, INF])
    assert value("isclose", a, b) == [True, False, True, False, False]
    assert value("isclose", a, b, equal_nan=True) == [True, False, True, True, False]


def test_logic_takes_what_is_not_zero_for_true():
    a, b = np.array([0.0, 2.0, 0.0, -1.0]), np.array([0, 0, 3, 4])
    assert value("logical_and", a, b) == [False, False, False, True]
    assert value("logical_or", a, b) == [False, True, True, True]
    assert value("logical_xor", a, b) == [False, True, True, False]
    assert value("logical_not", a) == [True, False, True, False] and value("logical_not", np.array([NAN])) == [False]


def test_bits():
    a, b = np.array([6, -1, 12]), np.array([3, 5, 10])
    assert value("bitwise_and", a, b) == [2, 5, 8] and value("bitwise_or", a, b) == [7, -1, 14]
    assert value("bitwise_xor", a, b) == [5, -6, 6] and value("bitwise_not", a) == [-7, 0, -13]
    assert value("bitwise_not", np.array([True, False])) == [False, True]
    assert value("bitwise_left_shift", a, 2) == [24, -4, 48] and value("bitwise_right_shift", a, 1) == [3, -1, 6]
    assert value("bitwise_left_shift", 1, np.array([0, 5])) == [1, 32]


def test_divisors_and_multiples_are_those_of_the_integers():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-60, 60, 99), rng.integers(-60, 60, 99)
    assert value("gcd", a, b) == [math.gcd(int(x), int(y)) for x, y in zip(a, b)]
    assert value("lcm", a, b) == [math.lcm(int(x), int(y)) for x, y in zip(a, b)]


def test_an_in_place_method_has_the_rule_of_its_plain_one():
    assert lookup("Tensor.add_") is lookup("add") and lookup("Tensor.lt_") is lookup("lt")
    assert lookup("Tensor.nothing_") is None and lookup("Tensor.__lt__") is None


def test_a_nan_is_close_to_a_nan_alone():
    a, b = np.array([NAN, 1.0, NAN]), np.array([1.0, NAN, NAN])
    assert value("isclose", a, b, equal_nan=True) == [False, False, True]
