"""Every schedule against a second derivation: recursions where it is a closed form, broken lines where it is cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from conformance.draws import SeededDraw
from reference.schedules import SCHEDULES, momentum


def recursively(factors):
    return list(itertools.accumulate(factors, lambda a, b: a * b))


def lambda_lr(n, lr_lambda):
    return [eval(lr_lambda, {"n": t})(t) for t in range(n)]


def multiplicative(n, lr_lambda):
    return recursively([1.0, *lambda_lr(n, lr_lambda)[1:]])


def step(n, step_size, gamma):
    return recursively([gamma if t and t % step_size == 0 else 1.0 for t in range(n)])


def multi_step(n, milestones, gamma):
    return recursively([gamma ** milestones.count(t) for t in range(n)])


def constant(n, factor, total_iters):
    return recursively([factor, *(1.0 / factor if t == total_iters else 1.0 for t in range(1, n))])


def linear(n, start_factor, end_factor, total_iters):
    return np.interp(np.arange(n), [0, total_iters], [start_factor, end_factor])


def exponential(n, gamma):
    return recursively([1.0] + [gamma] * (n - 1))


def polynomial(n, total_iters, power):
    """Each step multiplies by what is left, (1 - t / n) / (1 - (t - 1) / n) to the power."""
    left = [max(total_iters - t, 0) for t in range(n)]
    return recursively([1.0, *((b / a) ** power if a else 0.0 for a, b in itertools.pairwise(left))])


SCALING = {
    "LambdaLR": lambda_lr, "MultiplicativeLR": multiplicative, "StepLR": step, "MultiStepLR": multi_step,
    "ConstantLR": constant, "LinearLR": linear, "ExponentialLR": exponential, "PolynomialLR": polynomial,
}  # fmt: skip


def half_cosine(n):
    """(1 + cos(pi t / n)) / 2 for t = 0 .. 2n - 1, from the recursion of Chebyshev's polynomials."""
    x = [1.0, math.sin(math.pi / 2 - math.pi / n)]
    while len(x) < 2 * n:
        x.append(2 * x[1] * x[-1] - x[-2])
    return [(1 + c) / 2 for c in x]


def drawn(name):
    for seed in range(40):
        case = SCHEDULES[name].cases(SeededDraw(f"{name}/{seed}"))
        yield case.args[0][0], case.args[1], case.kwargs


def curve(name, base, n, options):
    return [SCHEDULES[name].curve(base, t, **options) for t in range(n)]


def near(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", SCALING)
def test_a_factor_of_the_step(name):
    for base, n, options in drawn(name):
        near(curve(name, base, n, options), base * np.asarray(SCALING[name](n, **options)))


def test_the_documented_examples_of_factors():
    """The comments of torch's documentation, for an initial rate of 0.05."""
    assert curve("StepLR", 0.05, 90, {"step_size": 30, "gamma": 0.1})[29:90:30] == pytest.approx([0.05, 0.005, 0.0005])
    assert curve("MultiStepLR", 0.05, 81, {"milestones": [30, 80]})[29:81:17] == pytest.approx(
        [0.05, 0.005, 0.005, 0.0005]
    )
    assert curve("ConstantLR", 0.05, 5, {"factor": 0.5, "total_iters": 4}) == pytest.approx([0.025] * 4 + [0.05])
    rates = [0.025, 0.03125, 0.0375, 0.04375, 0.05, 0.05]
    assert curve("LinearLR", 0.05, 6, {"start_factor": 0.5, "total_iters": 4}) == pytest.approx(rates)
    rates = [0.05, 0.0375, 0.025, 0.0125, 0.0, 0.0]
    assert curve("PolynomialLR", 0.05, 6, {"total_iters": 4, "power": 1.0}) == pytest.approx(rates)


def test_the_cosine_is_that_of_chebyshev():
    for base, n, options in drawn("CosineAnnealingLR"):
        low, heights = options["eta_min"], itertools.cycle(half_cosine(options["T_max"]))
        near(curve("CosineAnnealingLR", base, n, options), [low + (base - low) * next(heights) for _ in range(n)])


def test_warm_restarts_are_one_falling_cosine_after_another():
    for base, n, options in drawn("CosineAnnealingWarmRestarts"):
        low, heights, length = options["eta_min"], [], options["T_0"]
        while len(heights) < n:
            heights += half_cosine(length)[:length] if length > 1 else [1.0]
            length *= options["T_mult"]
        got = curve("CosineAnnealingWarmRestarts", base, n, options)
        near(got, [low + (base - low) * h for h in heights[:n]])


def test_a_cycle_is_a_broken_line():
    for base, n, options in drawn("CyclicLR"):
        up, mode = options["step_size_up"], options["mode"]
        whole = up + (options["step_size_down"] or up)
        heights = np.interp(np.arange(n) % whole, [0, up, whole], [0, 1, 0])
        if mode == "triangular2":
            heights = heights / np.repeat([1, 2, 4, 8, 16, 32, 64], whole)[:n] if n <= 7 * whole else heights
        elif mode == "exp_range":
            heights = heights * recursively([1.0] + [options["gamma"]] * (n - 1))
        low, high = options["base_lr"], options["max_lr"]
        near(curve("CyclicLR", base, n, options), low + (high - low) * heights)
        got = [momentum("CyclicLR", t, options) for t in range(n)]
        if options["cycle_momentum"]:
            near(got, 0.9 - (0.9 - options["base_momentum"]) * heights)  # max_momentum is 0.9
        else:
            assert got == [None] * n


def test_a_cycle_by_default_is_as_long_down_as_up_and_moves_the_momentum():
    options = {"base_lr": 0.0, "max_lr": 1.0, "step_size_up": 2}
    assert curve("CyclicLR", 0.5, 6, options) == [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    near([momentum("CyclicLR", t, options) for t in range(5)], [0.9, 0.85, 0.8, 0.85, 0.9])
    assert curve("CyclicLR", 0.5, 6, {**options, "mode": "exp_range"}) == [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]


def warped(share, strategy):
    """How much of the way is left behind, evenly or as the sine squared of half the angle."""
    return np.sin(math.pi * share / 2) ** 2 if strategy == "cos" else share


def annealed(n, at, values, strategy):
    """A broken line through (at, values), each piece warped."""
    done = np.interp(np.arange(n), at, np.arange(len(at)))
    piece = np.minimum(done.astype(int), len(at) - 2)
    share = warped(done - piece, strategy)
    values = np.asarray(values)
    return values[piece] * (1 - share) + values[piece + 1] * share


def test_one_cycle_is_a_broken_line_of_two_or_three_pieces():
    for base, n, options in drawn("OneCycleLR"):
        total, three = options["total_steps"], options["three_phase"]
        top, start = options["pct_start"] * total - 1, options["max_lr"] / options["div_factor"]
        end, n = start / options["final_div_factor"], total
        at = [0, top, 2 * top, total - 1] if three else [0, top, total - 1]
        values = [start, options["max_lr"], start, end] if three else [start, options["max_lr"], end]
        near(curve("OneCycleLR", base, n, options), annealed(n, at, values, options["anneal_strategy"]))
        got = [momentum("OneCycleLR", t, options) for t in range(n)]
        if options["cycle_momentum"]:
            values = [0.95, 0.85, 0.95, 0.95] if three else [0.95, 0.85, 0.95]
            near(got, annealed(n, at, values, options["anneal_strategy"]))
        else:
            assert got == [None] * n


def test_one_cycle_by_default():
    """Up to max_lr from its 25th part in 3 of 10 steps, down to the 10,000th part of that, by cosines."""
    options = {"max_lr": 1.0, "total_steps": 10}
    want = annealed(10, [0, 2, 9], [0.04, 1.0, 4e-6], "cos")
    near(curve("OneCycleLR", 0.5, 10, options), want)
    near([momentum("OneCycleLR", t, options) for t in range(10)], annealed(10, [0, 2, 9], [0.95, 0.85, 0.95], "cos"))


def test_averaging_anneals_to_its_rate_and_stays():
    for base, n, options in drawn("SWALR"):
        steps, low = options["anneal_epochs"], options["swa_lr"]
        share = (
            np.ones(n)
            if steps == 0
            else warped(np.minimum(np.arange(n) / max(steps, 1), 1), options["anneal_strategy"])
        )
        near(curve("SWALR", base, n, options), base + (low - base) * share)


def test_chained_schedules_multiply():
    for base, n, options in drawn("ChainedScheduler"):
        factors = [SCALING[name](n, **{**defaults(name), **dict(o)}) for name, o in options["schedulers"]]
        near(curve("ChainedScheduler", base, n, options), base * np.prod([np.asarray(f) for f in factors], axis=0))


def test_sequential_schedules_begin_anew():
    for base, n, options in drawn("SequentialLR"):
        (first, second), (milestone,) = options["schedulers"], options["milestones"]
        want = [
            base * np.asarray(SCALING[name](n, **{**defaults(name), **dict(o)})) for name, o in (first, second)
        ]  # fmt: skip
        near(curve("SequentialLR", base, n, options), np.concatenate([want[0][:milestone], want[1]])[:n])


def defaults(name):
    return {"StepLR": {"gamma": 0.1}, "MultiStepLR": {"gamma": 0.1}}.get(name, {})


def plateau(metrics, **options):
    """Rates after each measurement, from 1, with a factor of 1/2."""
    return curve("ReduceLROnPlateau", 1.0, len(metrics) + 1, {"metrics": metrics, "factor": 0.5, **options})[1:]


def test_a_plateau_is_more_than_patience_measurements_that_are_not_better():
    still = [1.0] * 6
    assert plateau(still, patience=0) == [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125]  # the first is better than nothing
    assert plateau(still, patience=1) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert plateau(still, patience=2) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    assert plateau([1.0, 1.0, 0.5, 0.5, 0.5, 0.5], patience=1) == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]  # better: counted anew
    assert plateau(still) == [1.0] * 6 and plateau([1.0] * 13)[-2:] == [0.5, 0.5]  # ten by default, and then one more


def test_a_plateau_may_look_for_the_largest():
    assert plateau([1.0, 2.0, 3.0], patience=0, mode="max") == [1.0, 1.0, 1.0]
    assert plateau([1.0, 2.0, 3.0], patience=0) == [1.0, 0.5, 0.25]
    assert plateau([3.0, 2.0, 1.0], patience=0, mode="max") == [1.0, 0.5, 0.25]
    assert plateau([-3.0, -2.0, -4.0], patience=0, mode="max") == [1.0, 1.0, 0.5]


def test_better_is_better_by_the_threshold_of_the_best():
    """In proportion to it, or absolutely; exactly the threshold is not enough."""
    for mode, sign in (("min", 1.0), ("max", -1.0)):
        best = 4.0
        for threshold_mode, margin in (("rel", 1.0), ("abs", 0.25)):
            for more, rate in ((-0.01, 1.0), (0.0, 0.5), (0.01, 0.5)):
                second = best - sign * (margin - more)
                got = plateau([best, second], patience=0, mode=mode, threshold=0.25, threshold_mode=threshold_mode)
                assert got == [1.0, rate]
    assert plateau([1.0, 1 - 2e-4], patience=0) == [1.0, 1.0]  # by default 1e-4 of it
    assert plateau([1.0, 1 - 0.5e-4], patience=0) == [1.0, 0.5]
    assert plateau([10.0, 10 - 5e-4], patience=0) == [1.0, 0.5]


def test_after_a_cut_the_cooldown_does_not_count():
    still = [1.0] * 7
    assert plateau(still, patience=0, cooldown=1) == [1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert plateau(still, patience=0, cooldown=2) == [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert plateau(still, patience=1, cooldown=1) == [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_the_rate_does_not_fall_below_the_least_nor_by_less_than_eps():
    still = [1.0] * 5
    assert plateau(still, patience=0, min_lr=0.3) == [1.0, 0.5, 0.3, 0.3, 0.3]
    assert plateau(still, patience=0, eps=0.25) == [1.0, 0.5, 0.5, 0.5, 0.5]  # 1/4 is not more than 1/4
    assert plateau(still, patience=0, eps=0.2) == [1.0, 0.5, 0.25, 0.25, 0.25]
    assert plateau([1.0] * 40, patience=0)[-1] == 2.0**-26  # a step of 2^-27 is less than 1e-8
    assert plateau([1.0] * 3, patience=0, factor=0.1)[-1] == pytest.approx(0.01)


def test_every_schedule_is_proved():
    others = {"CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR", "SWALR", "ChainedScheduler"}
    assert set(SCALING) | others | {"SequentialLR", "ReduceLROnPlateau"} == set(SCHEDULES)


def test_a_schedule_without_a_momentum_sets_none():
    assert momentum("StepLR", 3, {"step_size": 2}) is None
