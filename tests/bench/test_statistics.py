"""The gate's statistics: what they find, what they leave alone, and that they agree with the textbook."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from conformance.bench import statistics as s
from conformance.bench.peers import RULES
from conformance.bench.simulation import HEAVY, QUIET, Machine, log_ratios

STILL = Machine(noise=0.005, jitter=0.01)


def verdicts(machine, ratio, count, seed=0, pairs=s.PAIRS):
    rng = np.random.default_rng(seed)

    def pair():
        return log_ratios(machine.samples(rng, pairs), machine.samples(rng, pairs, ratio))

    return [s.judge(pair(), pair) for _ in range(count)]


def names(found):
    return [v.name for v in found]


@pytest.mark.parametrize("machine", [QUIET, HEAVY], ids=["noise", "preempted"])
def test_a_slowdown_of_5_percent_is_found(machine):
    assert names(verdicts(machine, 1.05, 100)).count(s.SLOWER) >= 95


@pytest.mark.parametrize("machine", [QUIET, HEAVY], ids=["noise", "preempted"])
def test_a_speedup_is_found_too(machine):
    assert names(verdicts(machine, 1 / 1.05, 50)).count(s.FASTER) >= 46


@pytest.mark.parametrize("machine", [QUIET, HEAVY, STILL], ids=["noise", "preempted", "still"])
def test_what_did_not_change_is_not_called_slower_or_faster(machine):
    found = names(verdicts(machine, 1.0, 500))
    assert found.count(s.SLOWER) + found.count(s.FASTER) <= 1  # 0.06 expected


@pytest.mark.parametrize("ratio", [1.03, 1.05, 1.10, 1 / 1.05])
def test_a_difference_beyond_2_percent_is_not_called_same(ratio):
    assert s.SAME not in names(verdicts(QUIET, ratio, 200) + verdicts(STILL, ratio, 50))


def test_on_a_still_machine_equality_is_shown():
    assert set(names(verdicts(STILL, 1.0, 50))) == {s.SAME}


def test_at_the_bound_itself_same_is_as_rare_as_its_level():
    assert names(verdicts(STILL, 1 + s.EQUAL, 1000, pairs=12)).count(s.SAME) <= 20  # 10 expected


def test_an_alarm_that_fresh_pairs_do_not_confirm_is_undecided():
    rng = np.random.default_rng(3)
    still = rng.normal(0.0, 0.03, s.PAIRS)
    found = s.judge(still + 0.1, lambda: still)
    assert (found.name, found.pairs) == (s.UNDECIDED, 2 * s.PAIRS)
    assert found.confirmed > s.LEVEL > found.p


def test_a_difference_that_turns_round_is_not_confirmed():
    rng = np.random.default_rng(3)
    assert s.judge(rng.normal(0.1, 0.01, 40), lambda: rng.normal(-0.1, 0.01, 40)).name == s.UNDECIDED


def test_fresh_pairs_are_measured_only_after_an_alarm():
    def never():
        raise AssertionError

    s.judge(np.random.default_rng(1).normal(0.0, 0.001, 40), never)


def test_a_run_against_itself_is_the_same():
    assert s.judge([0.0] * 10, list).name == s.SAME


@pytest.mark.parametrize("ratios", [[0.0] * 7, [0.0] * 9 + [math.nan], [0.0] * 9 + [math.inf]])
def test_too_few_or_broken_pairs_are_refused(ratios):
    with pytest.raises(ValueError, match="finite log-ratios"):
        s.judge(ratios, list)


def test_the_test_is_yuens_of_scipy():
    rng = np.random.default_rng(0)
    for n in (10, 20, 40):  # multiples of 5: scipy's winsorizing and ours trim alike
        x = rng.standard_t(3, n) + 0.5
        yuen = stats.ttest_ind(x, np.zeros(n), equal_var=False, trim=s.TRIM)
        assert s.test(x) == pytest.approx(yuen.pvalue, rel=1e-9)


@pytest.mark.parametrize("machine", [QUIET, HEAVY], ids=["noise", "preempted"])
def test_the_interval_covers_the_truth(machine):
    found = verdicts(machine, 1.05, 400, seed=5)
    assert sum(v.interval[0] <= 1.05 <= v.interval[1] for v in found) >= 0.97 * 400


def test_the_smallest_effect_is_one_that_is_found():
    rng = np.random.default_rng(7)
    smallest = np.median([v.smallest for v in verdicts(QUIET, 1.0, 50)])
    found = names(verdicts(QUIET, 1 + smallest, 200, seed=int(rng.integers(100))))
    assert 0.90 <= found.count(s.SLOWER) / 200 <= 0.99


def test_other_rules_on_the_same_data_raise_false_alarms():
    rng = np.random.default_rng(0)
    wrong = dict.fromkeys(RULES, 0)
    for _ in range(100):
        base, head = QUIET.samples(rng, 10), QUIET.samples(rng, 10)
        for name, rule in RULES.items():
            wrong[name] += rule(base, head)
    assert wrong["pytest-benchmark mean:5%"] > 5
    assert wrong["Mann-Whitney, pooled"] > 15
    assert wrong["asv, factor 1.1"] <= 3


def test_asv_at_its_default_does_not_see_5_percent():
    rng = np.random.default_rng(0)
    assert sum(RULES["asv, factor 1.1"](QUIET.samples(rng, 2), QUIET.samples(rng, 2, 1.05)) for _ in range(50)) < 15


def test_a_speedup_has_the_interval_of_student():
    ratio, low, high = s.speedup(np.log([10.0, 12.0, 11.0, 13.0]))
    expected = stats.t.interval(0.95, 3, np.log([10, 12, 11, 13]).mean(), stats.sem(np.log([10, 12, 11, 13])))
    assert (low, high) == pytest.approx(tuple(np.exp(expected)))
    assert low < ratio < high


def test_one_process_gives_no_interval():
    assert s.speedup([math.log(2.0)]) == (2.0, 0.0, math.inf)


def test_the_crossover_is_between_sure_loss_and_sure_gain():
    sizes = [16, 64, 256, 1024]
    assert s.crossover(sizes, [(0.1, 0.1, 0.2), (0.9, 0.7, 1.1), (2, 1.5, 3), (9, 8, 10)]) == (16, 256)
    assert s.crossover(sizes, [(2, 1.5, 3)] * 4) == (None, 16)
    assert s.crossover(sizes, [(0.5, 0.4, 0.6)] * 4) == (1024, None)
    # a gain that is lost again is no crossover
    assert s.crossover(sizes, [(2, 1.5, 3), (0.5, 0.4, 0.6), (2, 1.5, 3), (1, 0.9, 1.1)]) == (64, None)
