"""A history raises an alarm after a step, once, with its date, and none where nothing changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.bench import cusum
from conformance.bench.simulation import Machine


def histories(noise, count, seed=0, **options):
    rng = np.random.default_rng(seed)
    return [Machine(noise=noise).history(rng, **options) for _ in range(count)]


@pytest.mark.parametrize("noise", [0.02, 0.01, 0.001])
def test_a_hundred_unchanged_runs_raise_no_alarm(noise):
    assert sum(bool(cusum.alarms(x)) for x in histories(noise, 300, runs=100)) <= 3


@pytest.mark.parametrize("noise", [0.02, 0.01])
@pytest.mark.parametrize("step", [0.05, -0.05])
def test_a_step_of_5_percent_is_found_within_8_runs(noise, step):
    found = [cusum.alarms(x) for x in histories(noise, 200, runs=38, step_at=30, step=step)]
    assert sum(bool(a) and a[-1].raised >= 30 for a in found) >= 180


def test_a_step_raises_one_alarm_and_is_dated():
    found = [cusum.alarms(x) for x in histories(0.01, 100, runs=60, step_at=30)]
    assert all(len(a) == 1 for a in found)
    assert sum(abs(a[0].start - 30) <= 1 for a in found) >= 95
    assert np.median([a[0].change for a in found]) == pytest.approx(0.05, abs=0.01)


def test_two_steps_are_two_alarms():
    rng = np.random.default_rng(0)
    x = np.exp(0.01 * rng.standard_normal(90))
    x[30:] *= 1.1
    x[60:] /= 1.2
    first, second = cusum.alarms(x)
    assert abs(first.start - 30) <= 1 and abs(second.start - 60) <= 1
    assert first.change > 0 > second.change


@pytest.mark.parametrize("factor", [10.0, 0.1, 1e6])
def test_one_bad_run_is_no_step(factor):
    for x in histories(0.01, 20, runs=50):
        x[25] *= factor
        assert cusum.alarms(x) == []


def test_alarms_stay_as_they_are_when_runs_are_added():
    x = histories(0.01, 1, runs=80, step_at=30)[0]
    raised = cusum.alarms(x)[0].raised
    assert cusum.alarms(x[: raised + 1]) == cusum.alarms(x)[:1]


def test_a_noisier_series_has_a_higher_threshold():
    noisy = histories(0.06, 100, runs=100)
    assert sum(bool(cusum.alarms(x)) for x in noisy) <= 55  # beyond 2% nothing is promised


@pytest.mark.parametrize("count", [0, 1, cusum.BASELINE])
def test_a_short_history_says_nothing(count):
    assert cusum.alarms([1.0] * count) == []


def test_levels_are_those_of_the_series():
    x = [1.0] * 20 + [1.1] * 20
    (alarm,) = cusum.alarms(x)
    assert (alarm.start, alarm.before) == (20, pytest.approx(1.0))
    # winsorized: a distance of more than 3.5 times the noise counts as that
    assert alarm.after == pytest.approx(math.exp(cusum.CLIP * cusum.NOISE), rel=1e-6)
