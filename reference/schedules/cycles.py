"""Cosines, triangles and the one cycle: rates that go down and up again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reference.schedules.record import Options, schedule


@schedule("CosineAnnealingLR", lambda draw: {"T_max": draw.integer(2, 8), "eta_min": draw.choice(0.0, 1e-4)})
def cosine(base: float, t: int, *, T_max: int, eta_min: float = 0.0) -> float:
    """eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2. Source: Loshchilov and Hutter, arXiv:1608.03983."""
    return eta_min + (base - eta_min) * (1.0 + math.cos(math.pi * t / T_max)) / 2.0


@schedule(
    "CosineAnnealingWarmRestarts",
    lambda draw: {"T_0": draw.integer(1, 5), "T_mult": draw.integer(1, 3), "eta_min": draw.choice(0.0, 1e-4)},
    [({"T_0": 0}, "ValueError"), ({"T_0": -1}, "ValueError"), ({"T_0": 2, "T_mult": 0}, "ValueError")],
)
def warm_restarts(base: float, t: int, *, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> float:
    """The same, begun again every T_0 steps, each cycle T_mult times as long as the one before."""
    length = T_0
    while t >= length:
        t, length = t - length, length * T_mult
    return cosine(base, t, T_max=length, eta_min=eta_min)


def _triangle(t: int, up: int, down: int | None, mode: str, gamma: float) -> float:
    """The height of a cycle at step t: 0 at its ends, its largest after `up` steps."""
    down = up if down is None else down
    cycle, place = divmod(t, up + down)
    height = place / up if place <= up else (up + down - place) / down
    return float(height * {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": gamma**t}[mode])


def _cyclic_momentum(t: int, **o: Any) -> float | None:
    if not o.get("cycle_momentum", True):
        return None
    height = _triangle(t, *_cycle(o))
    low, high = o.get("base_momentum", 0.8), o.get("max_momentum", 0.9)
    return float(high - (high - low) * height)


def _cycle(o: Options) -> tuple[int, int | None, str, float]:
    return o["step_size_up"], o.get("step_size_down"), o.get("mode", "triangular"), o.get("gamma", 1.0)


@schedule(
    "CyclicLR",
    lambda draw: {
        "base_lr": draw.choice(0.01, 0.1), "max_lr": draw.choice(0.5, 0.2), "step_size_up": draw.integer(1, 4),
        "step_size_down": draw.choice(None, 1, 3), "mode": draw.choice("triangular", "triangular2", "exp_range"),
        "gamma": draw.choice(0.9, 1.0), "cycle_momentum": draw.boolean(), "base_momentum": draw.choice(0.8, 0.5),
    },
    [({"base_lr": 0.1, "max_lr": 0.2, "mode": "square"}, "ValueError")],
    momentum=_cyclic_momentum,
)  # fmt: skip
def cyclic(base: float, t: int, *, base_lr: float, max_lr: float, **options: Any) -> float:
    """base_lr + (max_lr - base_lr) height, where the height goes up in step_size_up steps and down again; the momentum
    goes the other way. "triangular2" halves the height with each cycle, "exp_range" multiplies it by gamma^t.

    Source: Smith, arXiv:1506.01186.
    """
    return base_lr + (max_lr - base_lr) * _triangle(t, *_cycle(options))


def _one_cycle(t: int, values: Sequence[float], o: Options) -> float:
    """The annealed value at step t of a first, a highest, and one or two last values."""
    total, first = o["total_steps"], o.get("pct_start", 0.3) * o["total_steps"] - 1
    ends = [0.0, first, 2 * first, total - 1] if o.get("three_phase", False) else [0.0, first, total - 1]
    phase = next((i for i in range(1, len(ends)) if t <= ends[i]), len(ends) - 1)
    share = (t - ends[phase - 1]) / (ends[phase] - ends[phase - 1])
    start, end = values[phase - 1], values[phase]
    if o.get("anneal_strategy", "cos") == "cos":
        return float(end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0)
    return float(start + (end - start) * share)


def _one_cycle_momentum(t: int, **o: Any) -> float | None:
    if not o.get("cycle_momentum", True):
        return None
    low, high = o.get("base_momentum", 0.85), o.get("max_momentum", 0.95)
    return _one_cycle(t, [high, low, high, high], o)


@schedule(
    "OneCycleLR",
    lambda draw: {
        "max_lr": draw.choice(0.5, 0.1), "total_steps": draw.integer(14, 20), "pct_start": draw.choice(0.3, 0.25, 0.4),
        "anneal_strategy": draw.choice("cos", "linear"), "cycle_momentum": draw.boolean(),
        "div_factor": draw.choice(25.0, 4.0), "final_div_factor": draw.choice(1e4, 10.0),
        "three_phase": draw.boolean(),
    },
    [
        ({"max_lr": 0.1}, "ValueError"), ({"max_lr": 0.1, "total_steps": -1}, "ValueError"),
        ({"max_lr": 0.1, "total_steps": 9, "pct_start": 1.5}, "ValueError"),
        ({"max_lr": 0.1, "total_steps": 9, "anneal_strategy": "cubic"}, "ValueError"),
    ],
    momentum=_one_cycle_momentum,
)  # fmt: skip
def one_cycle(base: float, t: int, *, max_lr: float, **options: Any) -> float:
    """From max_lr / div_factor up to max_lr in the first pct_start of the steps, then down to
    max_lr / div_factor / final_div_factor, by half a cosine or evenly; in three phases, first down to where it began.

    Source: Smith and Topin, arXiv:1708.07120; torch.optim.lr_scheduler.OneCycleLR.
    """
    first = max_lr / options.get("div_factor", 25.0)
    last = first / options.get("final_div_factor", 1e4)
    values = [first, max_lr, first, last] if options.get("three_phase", False) else [first, max_lr, last]
    return _one_cycle(t, values, options)
