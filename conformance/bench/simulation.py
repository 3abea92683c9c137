"""Machines that do not exist: samples of a benchmark in fresh processes, with a known slowdown and known noise."""

from __future__ import annotations

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Machine:
    """How a machine disturbs.

    noise      between processes: the standard deviation of the logarithm of a process's speed
    jitter     within one: samples are above its speed by the size of a normal number of this deviation
    preempted  the share of processes that lose a part of their core from beginning to end
    loss       how much slower those are on average: 0.5 is half as long again, by an exponential law
    """

    noise: float = 0.03
    jitter: float = 0.03
    preempted: float = 0.0
    loss: float = 0.5

    def samples(self, rng: np.random.Generator, processes: int, ratio: float = 1.0, count: int = 20) -> np.ndarray:
        """Seconds: (processes, count). `ratio` 1.05 is a slowdown by 5%."""
        speed = self.noise * rng.standard_normal((processes, 1))
        lost = (rng.random((processes, 1)) < self.preempted) * rng.exponential(self.loss, (processes, 1))
        within = self.jitter * np.abs(rng.standard_normal((processes, count)))
        return np.asarray(1e-3 * ratio * np.exp(speed + within) * (1.0 + lost))

    def history(
        self, rng: np.random.Generator, runs: int, step_at: int | None = None, step: float = 0.05
    ) -> np.ndarray:
        """Seconds of one run after another: the level moves by `step` at a place."""
        x = self.noise * rng.standard_normal(runs)
        x += np.log1p((rng.random(runs) < self.preempted) * rng.exponential(self.loss, runs))
        if step_at is not None:
            x[step_at:] += math.log1p(step)
        return np.asarray(1e-3 * np.exp(x))


QUIET = Machine()
HEAVY = Machine(preempted=0.1)


def log_ratios(base: np.ndarray, head: np.ndarray) -> np.ndarray:
    """One for each pair of processes: the logarithm of the ratio of the minima of their blocks."""
    return np.asarray(np.log(head.min(axis=1) / base.min(axis=1)))
