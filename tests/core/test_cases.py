"""Cases come from a seed, and a failing one is made small."""

from __future__ import annotations

import time

import numpy as np
import pytest

from conformance import literal
from conformance.cases import draw_calls, shrink
from conformance.draws import SeededDraw
from reference import rules
from reference.derive import Call
from reference.draw import EDGES, PARALLEL

SOFTMAX, MUL, CONV = (rules()[n] for n in ("nn.functional.softmax", "mul", "conv2d"))


def written(calls: list[Call]) -> list[str]:
    return [literal.write(call.case) for call in calls]


@pytest.mark.parametrize("rule", [SOFTMAX, MUL, CONV], ids=lambda r: r.name)
def test_the_same_seed_gives_the_same_cases_and_another_gives_others(rule):
    first = written(draw_calls(rule, "typical", False, 7, 6))
    assert first == written(draw_calls(rule, "typical", False, 7, 6))
    assert first != written(draw_calls(rule, "typical", False, 8, 6))


def test_a_seeded_draw_is_the_same_each_time_and_depends_on_regime_and_seed():
    def of(*words: object) -> str:
        return literal.write(SOFTMAX.cases(SeededDraw(*words)))

    assert of("a") == of("a") != of("b")
    assert of("a", "empty") != of("a")


def test_regimes_bring_the_sizes_that_they_are_named_for():
    sizes = {
        r: [[a.shape for a in c.arrays] for c in draw_calls(MUL, r, False, 1, 6)] for r in ("scalar", "empty", "edges")
    }
    assert all(shape == () for shapes in sizes["scalar"] for shape in shapes)
    assert any(0 in shape for shapes in sizes["empty"] for shape in shapes)
    assert all(any(set(EDGES) & set(shape) for shape in shapes) for shapes in sizes["edges"])
    (large,) = draw_calls(MUL, "large", False, 1, 1)
    assert max(a.size for a in large.arrays) > PARALLEL


def test_complex_cases_are_complex():
    calls = draw_calls(rules()["matmul"], "typical", True, 1, 4)
    assert all(a.dtype == np.complex128 for call in calls for a in call.arrays)


# shrinking


def test_the_smallest_case_that_fails_is_found():
    def two_columns(call: Call) -> bool:
        shape = call.arrays[0].shape
        return len(shape) >= 2 and shape[-1] >= 2

    found = shrink(SOFTMAX, "typical", False, 3, 30, two_columns, 20.0)
    assert found is not None and two_columns(found)
    assert found.arrays[0].size == 2


def test_where_no_case_fails_there_is_nothing_to_shrink():
    assert shrink(SOFTMAX, "typical", False, 3, 10, lambda call: False, 5.0) is None


def test_the_case_that_failed_in_the_pool_is_met_again():
    pool = written(draw_calls(MUL, "typical", False, 11, 8))
    met: list[str] = []

    def fails(call: Call) -> bool:
        met.append(literal.write(call.case))
        return met[-1] == pool[5]

    found = shrink(MUL, "typical", False, 11, 8, fails, 10.0)
    assert found is not None and literal.write(found.case) == pool[5]
    assert met[: len(set(pool[:6]))] == list(dict.fromkeys(pool))[: len(set(pool[:6]))]


def test_shrinking_ends_within_its_time_with_the_smallest_case_so_far():
    began = time.monotonic()

    def slow(call: Call) -> bool:
        time.sleep(0.05)
        return call.arrays[0].size > 3

    found = shrink(SOFTMAX, "typical", False, 3, 30, slow, 0.6)
    assert time.monotonic() - began < 5.0
    assert found is not None and found.arrays[0].size > 3


def test_no_time_at_all_finds_nothing_and_ends():
    assert shrink(SOFTMAX, "typical", False, 3, 10, lambda call: True, 0.0) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_predicate_that_is_right_only_now_and_then_is_survived(seed):
    rng = np.random.default_rng(seed)
    found = shrink(SOFTMAX, "typical", False, seed, 20, lambda call: bool(rng.random() < 0.4), 3.0)
    assert found is None or isinstance(found, Call)


def test_a_predicate_that_fails_once_and_never_again_is_survived():
    seen: list[Call] = []

    def once(call: Call) -> bool:
        seen.append(call)
        return len(seen) == 3

    found = shrink(SOFTMAX, "typical", False, 5, 20, once, 3.0)
    assert found is seen[2]
