"""Schedules that multiply the initial rate by a factor of the step."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reference.draw import Draw
from reference.schedules.record import Options, schedule


def _functions(draw: Draw) -> Options:
    return {"lr_lambda": draw.choice("lambda n: 0.9**n", "lambda n: 1.0 / (1 + n)", "lambda n: 0.5 + 0.25 * (n % 3)")}


@schedule("LambdaLR", _functions)
def lambda_lr(base: float, t: int, *, lr_lambda: str) -> float:
    """base f(t)."""
    return float(base * eval(lr_lambda)(t))


@schedule("MultiplicativeLR", _functions, [({"lr_lambda": 0.5}, "TypeError")], scaling=True)
def multiplicative(base: float, t: int, *, lr_lambda: str) -> float:
    """base f(1) f(2) ... f(t)."""
    return float(base * math.prod(eval(lr_lambda)(n) for n in range(1, t + 1)))


def _gamma(draw: Draw) -> float:
    return float(draw.choice(0.5, 0.1, 0.9))


@schedule("StepLR", lambda draw: {"step_size": draw.integer(1, 5), "gamma": _gamma(draw)}, scaling=True)
def step_lr(base: float, t: int, *, step_size: int, gamma: float = 0.1) -> float:
    """base gamma^floor(t / step_size)."""
    return float(base * gamma ** (t // step_size))


def _milestones(draw: Draw) -> Options:
    first = draw.integer(1, 4)
    # a milestone may be given twice, and counts twice
    return {"milestones": [first, first + draw.integer(0, 3), first + 5], "gamma": _gamma(draw)}


@schedule("MultiStepLR", _milestones, scaling=True)
def multi_step(base: float, t: int, *, milestones: Sequence[int], gamma: float = 0.1) -> float:
    """base gamma^(number of milestones up to t)."""
    return float(base * gamma ** sum(m <= t for m in milestones))


@schedule(
    "ConstantLR",
    lambda draw: {"factor": draw.choice(1.0 / 3, 0.5, 0.1), "total_iters": draw.integer(1, 6)},
    [({"factor": 1.5}, "ValueError"), ({"factor": -0.5}, "ValueError")],
    scaling=True,
)
def constant(base: float, t: int, *, factor: float = 1.0 / 3, total_iters: int = 5) -> float:
    """base factor until step total_iters, then base."""
    return base * factor if t < total_iters else base


@schedule(
    "LinearLR",
    lambda draw: {
        "start_factor": draw.choice(1.0 / 3, 0.5, 1.0), "end_factor": draw.choice(1.0, 0.25),
        "total_iters": draw.integer(1, 6),
    },
    [(bad, "ValueError") for bad in ({"start_factor": 0.0}, {"start_factor": 1.5}, {"end_factor": -0.5})],
    scaling=True,
)  # fmt: skip
def linear(
    base: float, t: int, *, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
) -> float:
    """base times a factor that goes evenly from start_factor to end_factor in total_iters steps, and stays."""
    return base * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)


@schedule("ExponentialLR", lambda draw: {"gamma": _gamma(draw)}, scaling=True)
def exponential(base: float, t: int, *, gamma: float) -> float:
    """base gamma^t."""
    return float(base * gamma**t)


@schedule(
    "PolynomialLR",
    lambda draw: {"total_iters": draw.integer(2, 9), "power": draw.choice(1.0, 2.0, 0.5)},
    scaling=True,
)
def polynomial(base: float, t: int, *, total_iters: int = 5, power: float = 1.0) -> float:
    """base (1 - t / total_iters)^power, 0 from there on."""
    return float(base * (1.0 - min(t, total_iters) / total_iters) ** power)
