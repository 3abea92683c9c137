"""The one comparison: what it lets through, what it refuses, and what it says."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from conformance.compare import Mismatch, Tally, compare, compare_exactly
from conformance.dtypes import DTYPES
from conformance.tolerance import FEW, MANY, NEARLY, STAGES, K, Quantity
from reference.rule import Waiver

INF, NAN = np.inf, np.nan


def expecting(want: object, dtype: str | None = "float32", **options: object) -> Quantity:
    """A quantity of one array without sensitivity."""
    return Quantity([np.asarray(want)], [DTYPES[dtype] if dtype else None], options.pop("moves", None), **options)


def met(got: object, want: object, dtype: str | None = "float32", signed_zero: bool = False) -> Tally:
    tally = Tally()
    compare("output", np.asarray(got), expecting(want, dtype), 0, tally, signed_zero)
    return tally


def refused(got: object, want: object, dtype: str | None = "float32", **options: object) -> Mismatch:
    with pytest.raises(Mismatch) as raised:
        met(got, want, dtype, **options)
    return raised.value


@pytest.mark.parametrize("got", [[1.0, NAN], [NAN, NAN], [1.0, INF], [1.0, -INF], [1.0, 0.0]])
@pytest.mark.parametrize("want", [[1.0, NAN], [NAN, NAN], [1.0, INF], [1.0, -INF], [1.0, 0.0]])
def test_nan_meets_nan_and_infinity_meets_infinity_of_the_same_sign(got, want):
    if str(got) == str(want):
        met(got, want)
    else:
        assert refused(got, want).worst.index == [0 if np.isnan(got[0]) != np.isnan(want[0]) else 1]


def test_signs_of_zeros_count_only_where_asked_for():
    met([0.0, -0.0], [-0.0, 0.0])
    met([0.0, -0.0], [0.0, -0.0], signed_zero=True)
    error = refused([0.0, -0.0, 1.0], [0.0, 0.0, 1.0], signed_zero=True)
    assert error.worst.index == [1] and "got -0.0, want 0.0" in str(error)


def test_what_rounds_to_an_infinity_may_be_infinite_or_near():
    met([INF, -INF, INF], [65520.0, -1e6, 65504.0], "float16")
    met([65504.0], [65520.0], "float16")
    refused([-INF], [65520.0], "float16")
    refused([INF], [60000.0], "float16")
    refused([NAN], [1e6], "float16")
    refused([INF], [65520.0], "bfloat16")


def test_an_expected_infinity_is_not_met_by_the_largest_number():
    refused([65504.0], [INF], "float16")


@pytest.mark.parametrize("shape", [(), (1, 2), (2, 1), (3,), (0,)])
def test_a_wrong_shape_is_refused_though_it_would_broadcast(shape):
    error = refused(np.ones(shape), np.ones(2))
    assert str(error) == f"output: shape {shape}, expected (2,)" and error.worst is None


@pytest.mark.parametrize("got", [np.array([1, 2, 4]), np.array([True, False, True])])
def test_integers_and_bools_must_be_equal(got):
    met(got, got.copy(), None)
    other = got.copy()
    other[1] = 1 - other[1]
    error = refused(other, got, None)
    assert error.worst.index == [1] and error.worst.count == 1
    assert (error.worst.got, error.worst.want) == (repr(other[1].item()), repr(got[1].item()))


def test_the_error_of_an_integer_is_said():
    assert refused([7], [4], None).worst.error in ("3", "3.0")


def test_the_worst_element_is_named_with_its_numbers():
    want = np.ones((2, 3))
    got = want.copy()
    got[1, 2], got[0, 1] = 1.5, 1.25
    error = refused(got, want)
    worst = error.worst
    assert (worst.index, worst.got, worst.want, worst.error) == ([1, 2], "1.5", "1.0", "0.5")
    assert (worst.count, worst.size) == (2, 6)
    assert float(worst.allowed) == pytest.approx(K * 2.0**-23)
    assert str(error).startswith("output[1, 2]: got 1.5, want 1.0, error 0.5, allowed ")
    assert str(error).endswith("(2 of 6 elements wrong)")


def test_the_worst_element_is_the_one_farthest_beyond_what_it_is_allowed():
    error = refused([1000.1, 0.01], [1000.0, 0.001])
    assert error.worst.index == [1]


def test_a_nan_is_worse_than_any_number():
    assert refused([1e30, NAN, 1.0], [1.0, 1.0, 1.0]).worst.index == [1]


def test_a_0_d_array_has_no_index():
    assert str(refused(2.0, 1.0)).startswith("output: got 2.0, want 1.0")


def test_complex_numbers_are_judged_by_the_modulus_of_their_error():
    eps = 2.0**-23
    met([3 + 4j + 30 * eps], [3 + 4j], "complex64")
    refused([3 + 4j + 41j * eps], [3 + 4j], "complex64")
    refused([complex(3, NAN)], [3 + 4j], "complex64")
    met([complex(NAN, NAN)], [complex(NAN, NAN)], "complex64")


def test_ratio_is_error_over_allowed_and_ulp_counts_last_places():
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        eps = DTYPES[dtype].eps
        tally = met([1.5 + 4 * eps, 8.0 + 8 * eps, -3.0], [1.5, 8.0, -3.0], dtype)
        assert tally.ratio == pytest.approx(4 * eps / (K * eps * 1.5), rel=1e-3)
        assert tally.ulp == pytest.approx(4.0)
        assert (tally.comparisons, tally.elements) == (1, 3)


def test_a_tally_keeps_the_largest_of_several_comparisons():
    tally, eps = Tally(), 2.0**-23
    for ulps in (1, 5, 2):
        compare("output", np.array([1.0 + ulps * eps]), expecting([1.0]), 0, tally)
    assert tally.ulp == 5.0 and tally.ratio == pytest.approx(5 / K, rel=1e-3) and tally.elements == 3


def test_equal_and_empty_arrays_pass_and_empty_ones_count_no_element():
    assert met([1.0, 2.0], [1.0, 2.0]).ratio == 0.0
    tally = met(np.zeros((0, 3)), np.zeros((0, 3)))
    assert (tally.comparisons, tally.elements) == (1, 0)


def test_sensitivity_is_measured_only_as_far_as_the_verdict_needs_it():
    asked: list[int] = []

    def moves(k: int) -> list[np.ndarray]:
        asked.append(k)
        return [np.array([float(k)])]

    def judged(ulps: float) -> list[int]:
        asked.clear()
        quantity = expecting([1.0], moves=moves)
        try:
            compare("output", np.array([1.0 + ulps * 2.0**-23]), quantity, 0, Tally())
        except Mismatch:
            asked.append(-1)
        return list(asked)

    assert judged(7) == []
    assert judged(K * (1 + 3) - 1) == [0, 1, 2, 3]
    assert judged(K * (1 + 4) - 1) == list(range(8))
    assert judged(K * (1 + 23) - 1) == list(range(MANY))
    assert judged(K * (1 + 23) + 1) == list(range(STAGES[-1]))  # nearly allowed: more moves tell
    assert judged(NEARLY * K * (1 + 23) + 1) == [*range(MANY), -1]


def judged(ulps: float, *waivers: Waiver, check: str = "vjp", room: object = None) -> Tally:
    tally = Tally(check=check)
    quantity = expecting([1.0], declared=waivers, room=room)
    compare("output", np.array([1.0 + ulps * 2.0**-23]), quantity, 0, tally)
    return tally


def test_a_waiver_is_used_where_it_is_needed_and_is_reported():
    ten = Waiver("the kernel sums in a bad order", factor=10.0)
    assert judged(7, ten).waiver is None
    assert judged(50, ten).waiver == "the kernel sums in a bad order"
    assert judged(50, ten).ratio == pytest.approx(50 / (10 * K), rel=1e-3)
    with pytest.raises(Mismatch):
        judged(100, ten)


def test_where_a_part_of_the_first_move_suffices_the_whole_is_not_made():
    asked: list[int] = []

    def moves(k: int) -> list[np.ndarray]:
        asked.append(k)
        return [np.array([9.0])]

    for ulps, whole in ((K * (1 + 5) - 1, []), (K * (1 + 9) - 1, [0])):
        quantity = expecting([1.0], moves=moves, part=lambda: [np.array([5.0])])
        compare("output", np.array([1.0 + ulps * 2.0**-23]), quantity, 0, Tally())
        assert asked == whole


@pytest.mark.parametrize(
    "factor, ulps, moved", [(10.0, 50, FEW), (10.0, 12, FEW), (1.5, 50, MANY), (1.5, 15, STAGES[-1])]
)
def test_what_a_few_moves_do_not_explain_is_held_against_the_waivers_before_more_are_made(factor, ulps, moved):
    asked: list[int] = []

    def moves(k: int) -> list[np.ndarray]:
        asked.append(k)
        return [np.zeros(1)]

    quantity = expecting([1.0], moves=moves, declared=(Waiver("", factor=factor),))
    with contextlib.suppress(Mismatch):
        compare("output", np.array([1.0 + ulps * 2.0**-23]), quantity, 0, Tally())
    assert asked == list(range(moved))


def test_a_waiver_of_another_check_or_dtype_does_not_hold():
    for waiver in (Waiver("", factor=10.0, checks=("value",)), Waiver("", factor=10.0, dtypes=("float16",))):
        with pytest.raises(Mismatch):
            judged(50, waiver)
    assert judged(50, Waiver("x", 10.0, checks=("value", "vjp"), dtypes=("float32",))).waiver == "x"


def test_a_waivers_room_is_added_and_the_first_waiver_that_suffices_is_taken():
    small, large = Waiver("small", room=len), Waiver("large", room=len)
    sizes = {"small": 2.0, "large": 99.0}
    tally = judged(500, small, large, room=lambda waiver: [np.array([sizes[waiver.reason]])])
    assert tally.waiver == "large"
    assert tally.ratio == pytest.approx(500 / (K * (1 + 99)), rel=1e-3)


def test_a_comparison_of_bits_tells_zeros_apart_and_takes_nan_for_nan():
    compare_exactly("x", np.array([NAN, 0.0, -0.0, INF]), np.array([NAN, 0.0, -0.0, INF]), Tally())
    compare_exactly("x", np.array([True, False]), np.array([True, False]), Tally())
    for got, want in (([0.0], [-0.0]), ([1.0], [np.nextafter(1, 2)]), ([NAN], [0.0]), ([0j], [complex(0.0, -0.0)])):
        with pytest.raises(Mismatch):
            compare_exactly("x", np.array(got), np.array(want), Tally())
    with pytest.raises(Mismatch, match="shape"):
        compare_exactly("x", np.zeros(2), np.zeros((2, 1)), Tally())
