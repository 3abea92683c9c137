"""Schedules that listen to a measurement, anneal to a fixed rate, or are made of others."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reference.draw import Draw
from reference.schedules.record import SCHEDULES, Options, Part, schedule


def _plateau_options(draw: Draw) -> Options:
    metrics = [float(draw.choice(1.0, 0.5, 0.75, 1.25, 0.9999, 0.25)) for _ in range(13)]
    return {
        "mode": draw.choice("min", "max"), "factor": draw.choice(0.1, 0.5), "patience": draw.integer(0, 2),
        "threshold": draw.choice(1e-4, 0.25), "threshold_mode": draw.choice("rel", "abs"),
        "cooldown": draw.integer(0, 2), "min_lr": draw.choice(0.0, 0.01), "eps": draw.choice(1e-8, 1e-3),
        "metrics": metrics,
    }  # fmt: skip


@schedule(
    "ReduceLROnPlateau",
    _plateau_options,
    [({"factor": 1.0}, "ValueError"), ({"mode": "mid"}, "ValueError"), ({"threshold_mode": "any"}, "ValueError")],
)
def plateau(
    base: float,
    t: int,
    *,
    metrics: Sequence[float],
    mode: str = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr: float = 0.0,
    eps: float = 1e-8,
) -> float:
    """The rate times `factor`, not below min_lr, each time that more than `patience` measurements in a row are not
    better than the best by the threshold; then `cooldown` measurements do not count. Changes below eps are not made.
    """
    sign = 1.0 if mode == "min" else -1.0
    best, bad, waiting, lr = math.inf, 0, 0, base
    for metric in metrics[:t]:
        margin = threshold * (sign * best if threshold_mode == "rel" else 1.0) if math.isfinite(best) else 0.0
        better = sign * metric < best - abs(margin)
        best, bad = (sign * metric, 0) if better else (best, bad + 1)
        if waiting:
            waiting, bad = waiting - 1, 0
        if bad > patience:
            smaller = max(lr * factor, min_lr)
            lr = smaller if lr - smaller > eps else lr
            waiting, bad = cooldown, 0
    return lr


@schedule(
    "SWALR",
    lambda draw: {
        "swa_lr": draw.choice(0.05, 0.25), "anneal_epochs": draw.integer(0, 6),
        "anneal_strategy": draw.choice("cos", "linear"),
    },
    [({"swa_lr": 0.1, "anneal_strategy": "cubic"}, "ValueError"), ({"swa_lr": 0.1, "anneal_epochs": -1}, "ValueError")],
)  # fmt: skip
def swa(base: float, t: int, *, swa_lr: float, anneal_epochs: int = 10, anneal_strategy: str = "cos") -> float:
    """From the initial rate to swa_lr in anneal_epochs steps, by half a cosine or evenly; at once where that is 0.

    Source: torch.optim.swa_utils.SWALR.
    """
    share = min(1.0, t / anneal_epochs) if anneal_epochs else 1.0
    share = (1.0 - math.cos(math.pi * share)) / 2.0 if anneal_strategy == "cos" else share
    return swa_lr * share + base * (1.0 - share)


def _parts(draw: Draw) -> list[Part]:
    names = [n for n, s in SCHEDULES.items() if s.scaling]
    chosen = [draw.choice(*names), draw.choice(*names)]
    return [(n, tuple(SCHEDULES[n].options(draw).items())) for n in chosen]


@schedule("ChainedScheduler", lambda draw: {"schedulers": _parts(draw)}, [({"schedulers": []}, "ValueError")])
def chained(base: float, t: int, *, schedulers: Sequence[Part]) -> float:
    """The product of the factors of all schedules."""
    return base * math.prod(SCHEDULES[name].curve(1.0, t, **dict(options)) for name, options in schedulers)


def _sequence(draw: Draw) -> Options:
    return {"schedulers": _parts(draw), "milestones": [draw.integer(0, 6)]}


@schedule(
    "SequentialLR",
    _sequence,
    [
        ({"schedulers": [], "milestones": []}, "ValueError"),
        ({"schedulers": [("StepLR", (("step_size", 2),))], "milestones": [3]}, "ValueError"),
    ],
)
def sequential(base: float, t: int, *, schedulers: Sequence[Part], milestones: Sequence[int]) -> float:
    """The schedule whose turn it is, which begins anew at its milestone from the initial rate."""
    turn = sum(m <= t for m in milestones)
    name, options = schedulers[turn]
    return SCHEDULES[name].curve(base, t - (milestones[turn - 1] if turn else 0), **dict(options))
