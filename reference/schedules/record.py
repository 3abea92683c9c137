"""Learning rate schedules as pure functions of the step, from the documented formulas.

A case is one run: ``Case((lrs, steps), options)``: the initial rate of each parameter group, the number of steps, and
the constructor's options. Functions of the step are Python text ("lambda n: 0.9 ** n"); the schedules inside of a
compound are (name, options) under "schedulers", where options are (name, value) pairs, and what a plateau is told is
under "metrics".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from reference.draw import Draw
from reference.rule import Case

Options = dict[str, Any]
Curve = Callable[..., float]
Part = tuple[str, tuple[tuple[str, Any], ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """One class of torch.optim.lr_scheduler (or of swa_utils).

    curve     (initial rate, step, **options) -> the rate after that many steps
    options   draws the constructor's options
    illegal   options that must raise, with the name of the exception
    momentum  (step, **options) -> the momentum, where the schedule sets one
    scaling   the rate is the initial rate times a factor: such schedules can be chained
    """

    name: str
    curve: Curve
    options: Callable[[Draw], Options]
    illegal: tuple[tuple[Options, str], ...]
    momentum: Callable[..., float | None] | None
    scaling: bool

    def cases(self, draw: Draw, groups: int = 1) -> Case:
        """A run of a dozen steps."""
        lrs = [draw.choice(0.5, 0.1, 1e-3) for _ in range(groups)]
        return Case((lrs, draw.integer(8, 13)), self.options(draw))


SCHEDULES: dict[str, Schedule] = {}


def schedule(
    name: str,
    options: Callable[[Draw], Options],
    illegal: Sequence[tuple[Options, str]] = (),
    momentum: Callable[..., float | None] | None = None,
    scaling: bool = False,
) -> Callable[[Curve], Curve]:
    """Register the decorated curve as that of this class. See Schedule for the fields."""

    def register(curve: Curve) -> Curve:
        SCHEDULES[name] = Schedule(name, curve, options, tuple(illegal), momentum, scaling)
        return curve

    return register


def momentum(name: str, t: int, options: Options) -> float | None:
    """The momentum that the schedule sets after t steps, or None."""
    found = SCHEDULES[name].momentum
    return found(t, **options) if found else None
