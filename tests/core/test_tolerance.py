"""How far off is allowed comes from the reference's own sensitivity: enough where an op cancels, little where not."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.compare import Mismatch, Tally, compare
from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES
from conformance.oracle import Oracle
from conformance.tolerance import STAGES, K, Quantity, difference_moves, random_signs, unit
from reference import lookup, rules
from reference.derive import Call
from reference.rule import Case, Waiver

ALL = STAGES[-1]


def oracle(name: str, *args: object, dtype: str = "float32", **kwargs: object) -> Oracle:
    return Oracle(Call(lookup(name), Case(args, kwargs)), dtype)


def ratio_of(quantity: Quantity, got: np.ndarray) -> float:
    """Error over allowed with the sensitivity in full."""
    return float((np.abs(got - quantity.wants[0]) / quantity.allowed(0, ALL)).max())


def refused(quantity: Quantity, got: np.ndarray) -> bool:
    try:
        compare("output", got, quantity, 0, Tally())
    except Mismatch:
        return True
    return False


def test_allowed_is_k_times_eps_times_size_and_sensitivity():
    quantity = Quantity([np.array([2.0, 0.0])], [DTYPES["float32"]], lambda k: [np.array([3.0, k])])
    smallest = 2.0**-149
    assert np.array_equal(quantity.allowed(0, 0), K * (2.0**-23 * np.array([2.0, 0.0]) + smallest))
    assert np.array_equal(quantity.allowed(0, 4), K * (2.0**-23 * np.array([5.0, 3.0]) + smallest))
    assert K <= 8


def test_a_move_that_leaves_domain_or_range_says_nothing():
    moves = [np.array([np.nan, 1.0, np.inf]), np.array([2.0, np.nan, 1.0])]
    quantity = Quantity([np.zeros(3)], [DTYPES["float32"]], lambda k: [moves[k]])
    assert np.array_equal(quantity.sensitivity(0, 2), [2.0, 1.0, 1.0])


def test_a_sum_that_cancels_is_allowed_the_size_of_its_terms():
    o = oracle("sum", np.array([[1e6, 1.0, -1e6], [1.0, 2.0, 3.0]]), 1)
    assert np.array_equal(o.value.wants[0], [1.0, 6.0])
    s = o.value.sensitivity(0, ALL)
    assert 5e5 < s[0] < 1e7
    assert 1.0 < s[1] < 40.0


def test_an_error_of_64_eps_in_a_well_conditioned_element_is_seen_beside_one_that_cancels():
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        eps = DTYPES[dtype].eps
        o = oracle("sum", np.array([[1024.0, 1.0, -1024.0], [1.0, 2.0, 3.0]]), 1, dtype=dtype)
        assert not refused(o.value, o.outs[0] + [1024.0 * eps, 0.0])
        assert refused(o.value, o.outs[0] * [1.0, 1 + 64 * eps])


@pytest.mark.parametrize("name", ["add", "mul", "exp", "tanh", "nn.functional.gelu", "matmul", "nn.functional.softmax"])
def test_an_error_of_64_eps_in_every_gradient_is_seen(name):
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        rng = np.random.default_rng(3)
        xs = [rng.uniform(0.5, 1.5, (3, 3)) for _ in range(2 if name in ("add", "mul", "matmul") else 1)]
        o = oracle(name, *xs, **({"dim": 1} if "softmax" in name else {}), dtype=dtype)
        assert refused(o.vjp, o.vjp.wants[0] * (1 + 64 * DTYPES[dtype].eps))
        assert not refused(o.vjp, DTYPES[dtype].round(o.vjp.wants[0]))


def test_a_jump_at_a_tie_is_no_sensitivity():
    x, move = np.array([1.0, 1.0, 3.0]), np.array([1.0, -1.0, 1.0])
    (found,) = difference_moves(lambda a: [np.where(a[0] > 1.0, 5.0, 0.0) + a[0]], [x], [move])
    assert found[0] == 0.0
    assert np.allclose(found[1:], 1.0, rtol=1e-6)


def test_a_move_that_is_smooth_is_measured_to_first_order():
    x = np.array([0.5, 2.0, -3.0])
    found = difference_moves(lambda a: [np.sin(a[0]), None], [x, np.array([1])], [x, None])
    assert np.allclose(found[0], np.abs(x * np.cos(x)), rtol=1e-6) and found[1] is None


def test_ties_of_a_maximum_are_judged_like_its_other_elements():
    o = oracle("amax", np.array([[1.0, 1.0], [1.0, 2.0]]), 1)
    assert np.all(o.value.sensitivity(0, ALL) < 10)
    assert np.all(o.vjp.sensitivity(0, ALL) < 10)


def test_a_gradient_that_reads_its_rounded_output_is_allowed_that_rounding():
    x = np.array([3.0, 3.5, 4.0])
    for dtype in ("float32", "float16"):
        d = DTYPES[dtype]
        o = oracle("tanh", x, dtype=dtype)
        g = o.cotangents[0]
        by_torch = g * (1 - d.round(np.tanh(o.arrays[0])) ** 2)  # 1 - y * y, of the rounded y: few digits are right
        assert np.abs(by_torch / o.vjp.wants[0] - 1).max() > 20 * d.eps
        assert not refused(o.vjp, by_torch)
        assert refused(o.vjp, o.vjp.wants[0] + 30 * d.eps * np.abs(g))


def test_an_output_among_the_subnormals_is_rounded_to_a_multiple_of_the_smallest():
    d = DTYPES["float16"]
    o = oracle("prod", np.array([0.0755, -0.00246, 0.0066, 0.0833]), dtype="float16")
    by_torch = o.cotangents[0] * d.round(np.prod(o.arrays[0])) / o.arrays[0]
    assert np.abs(by_torch / o.vjp.wants[0] - 1).max() > 100 * d.eps
    assert not refused(o.vjp, by_torch)
    assert refused(o.vjp, o.vjp.wants[0] + 16 * d.smallest / np.abs(o.arrays[0]))


def test_a_gradient_that_does_not_read_its_output_has_no_such_room():
    o = oracle("nn.functional.softplus", np.array([3.0, 4.0]))
    assert not o.reads_output
    assert np.all(o.vjp.sensitivity(0, ALL) < 10 * np.abs(o.vjp.wants[0]))


def test_a_waivers_room_comes_from_the_cases_arguments_and_scales_with_the_cotangent():
    rule = lookup("neg")
    waiver = Waiver("cancels", room=lambda input: 1000.0 * np.abs(input))
    o = Oracle(Call(rule, Case((np.array([1.0, 2.0]),))), "float32")
    value, vjp = o.value, o.vjp
    for quantity, scale in ((value, 1.0), (vjp, np.abs(o.cotangents[0]))):
        extra = quantity.waived(0, waiver, ALL) - quantity.allowed(0, ALL)
        assert np.allclose(extra, K * 2.0**-23 * 1000.0 * np.array([1.0, 2.0]) * scale)


def test_where_data_jump_the_directions_have_their_sensitivity():
    tied = oracle("linalg.vector_norm", np.full(16, 1.75), np.inf)  # the tangent is the mean of sixteen
    assert tied.jvp.sensitivity(0, ALL) >= 0.5 * np.sqrt(np.sum(tied.tangents[0] ** 2)) / 16


def test_elements_of_a_gradient_are_not_those_of_an_output_of_the_same_shape():
    x, source = np.array([-2.0, -2.0, -0.5, -0.125]), np.array([-1.0, 2.0, 0.01, 1.5])
    o = oracle("index_reduce", x, 0, np.array([0, 0, 1, 0]), source, "prod")
    waiver = o.call.rule.waivers[0]
    extra = [o.second.waived(i, waiver, ALL) - o.second.allowed(i, ALL) for i in range(2)]
    assert all(np.ptp(e) <= 1e-6 * e.max() for e in extra) and extra[0].max() == pytest.approx(extra[1].max())


def test_waivers_hold_by_check_and_dtype():
    declared = (Waiver("a"), Waiver("b", checks=("jvp",)), Waiver("c", dtypes=("float16",)))
    quantity = Quantity([np.ones(1)], [DTYPES["float32"]], None, declared=declared)
    assert [w.reason for w in quantity.waivers("vjp")] == ["a"]
    assert [w.reason for w in quantity.waivers("jvp")] == ["a", "b"]


def test_every_waiver_gives_a_reason_and_room():
    for rule in rules().values():
        for waiver in rule.waivers:
            assert len(waiver.reason) > 10 and (waiver.factor > 1 or waiver.room is not None)


def test_directions_are_signs_or_quarter_turns_and_a_unit_has_the_numbers_own_size():
    rng = np.random.default_rng(0)
    real, turned, none = random_signs(rng, [np.zeros(50), np.zeros(50, complex), np.zeros(3, int)])
    assert set(real) == {-1.0, 1.0} and none is None
    assert np.allclose(turned**4, 1) and len(set(np.round(turned, 6))) == 4
    z = np.array([3 + 4j])
    assert np.abs(unit(z, np.array([1j]))) == 5.0 and unit(np.array([-2.0]), np.array([1.0])) == -2.0


# Where the two need not agree: along matrices that an op is not meant for, at a straight-through gradient, at a
# variance that is clamped, and where the parts of a gradient nearly cancel.
CHANCE = {n for n, r in rules().items() if r.gauge or r.structure or n.startswith("fake_quantize")}
CHANCE |= {"nn.functional.ctc_loss", "ctc_loss", "nn.functional.gaussian_nll_loss"}
SMOOTH = sorted(n for n, r in rules().items() if r.analytic and n not in CHANCE)


@pytest.mark.parametrize("seed", range(12))
def test_a_stepped_evaluation_moves_as_finite_perturbations_do(seed):
    """Random rules at points with full mantissas, away from kinks: each S within a factor of 2 of the other."""
    rng = np.random.default_rng(seed)
    for name in rng.choice(SMOOTH, 10, replace=False):
        call = Call(rules()[name], rules()[name].cases(SeededDraw(f"{name}/{seed}")))
        away = [a if a.dtype.kind != "f" else a * (1 + rng.uniform(0.01, 0.02, a.shape)) for a in call.arrays]
        call = Call(call.rule, call.replaced(away))
        if any(a.dtype.kind == "c" for a in call.arrays):
            continue
        found = []
        for analytic in (True, False):
            call.analytic = analytic
            o = Oracle(call, "float64", seed)
            if not o.ys:
                break
            with np.errstate(all="ignore"):
                found.append(o.moves_under(o.cotangents, o.gradients)(0))
        for by_step, by_difference in zip(*found) if len(found) == 2 else ():
            if by_step is not None:
                by_step, by_difference = np.abs(by_step), np.abs(by_difference)
                floor = 1e-5 * np.max(by_step, initial=0.0) + 1e-6  # the rounding of a difference
                assert np.all(by_step <= 2 * by_difference + floor), name
                assert np.all(by_difference <= 2 * by_step + floor), name
