"""How far the numbers of a training move when every operation is rounded.

The training runs once as it is, and a few times with random errors in every intermediate result (see
reference.programs.rounding). The moves are those of a float32 run. Errors propagate linearly as long as
they are small (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. 2002, ch. 3), so that the
moves of float64 are the same in units of its eps: all but those that a relu makes by deciding
otherwise, which it does in float64 some 2^-29 times as often, that is never. The method is stochastic
arithmetic (Vignes, Math. Comput. Simul. 35, 1993) with few samples. A number of few samples may stay
close to 0 by chance, so that moves are pooled: a loss has the largest relative move of the steps around
it, and an element of a tensor at least the root mean square of its tensor. Where decisions turn, which
unit's turns is chance, and it takes the unit's weights along: there an element has at least the largest
move of its tensor.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from reference.programs.rounding import UNIT, Exact, Noisy, Shaken
from reference.programs.trainings import Program, Training
from reference.rule import Array

EPS, EPS64 = 2 * UNIT, 2.0**-52
RUNS = 200  # so many steps are taken again with random errors, in whole trainings
SMALL = 2.0**-36  # the size of errors that turn no decision
AROUND = 10  # steps before and after


@dataclasses.dataclass(frozen=True)
class Spread:
    """Moves in units of eps. losses: (steps,); parameters: one array in the shape of each."""

    losses: Array
    parameters: list[Array]


@dataclasses.dataclass(frozen=True)
class Measured:
    """A training, and the moves of its numbers: where decisions are kept, and where they may turn. Each is run when it
    is asked for."""

    training: Training
    _smooth: Callable[[], Spread]
    _turning: Callable[[], Spread]

    @functools.cached_property
    def smooth(self) -> Spread:
        return self._smooth()

    @functools.cached_property
    def turning(self) -> Spread:
        return self._turning()


@functools.lru_cache(maxsize=8)
def measure(program: Program, seed: int, steps: int) -> Measured:
    """The training with its moves. Kept: every dtype and every spelling in torch needs it."""
    if program.composed:
        return _composed(program, seed, steps)
    exact = Exact(keep=True)
    training = program.trained(seed, steps, exact)
    noisy = Noisy(0, exact.decided)
    kept = program.trained(seed, steps, noisy)

    def smooth() -> Spread:
        # an element whose own sensitivity is large (Adam divides a small gradient by its size) may stay where it is by
        # chance in one run
        more = [program.trained(seed, steps, Noisy(10 + i, exact.decided)) for i in range(_runs(steps, 3) - 1)]
        return _spread(training, [(r, EPS) for r in (kept, *more)], _mean)

    def turning() -> Spread:
        leans = [Noisy(i, exact.decided, lean, noisy.errors) for i, lean in ((1, 1), (2, -1))]
        turned = [program.trained(seed, steps, fl) for fl in leans]
        return _spread(training, [(r, EPS) for r in (kept, *turned)], _most)

    return Measured(training, smooth, turning)


def _runs(steps: int, least: int) -> int:
    """How many trainings are taken again with random errors: short ones cost little, and have more."""
    return min(8, max(least, RUNS // steps))


def _composed(program: Program, seed: int, steps: int) -> Measured:
    """The same for a network of rules, whose results are all moved by random errors (reference.programs.rounding).

    What rounds inside of a rule shows in a run in float32, whose errors also say which relus are in doubt.
    """
    exact = Exact(keep=True)
    training = program.trained(seed, steps, exact)
    rounded = Shaken(2, 0.0, np.float32, exact.decided)
    single = program.trained(seed, steps, rounded)

    def turned() -> list[Training]:
        leans = [Shaken(i, EPS, np.float32, exact.decided, lean, rounded.errors) for i, lean in ((3, 1), (4, -1))]
        return [program.trained(seed, steps, fl) for fl in leans]

    def smooth() -> Spread:
        runs = [program.trained(seed, steps, Shaken(10 + i, SMALL)) for i in range(_runs(steps, 1))]
        return _spread(training, [*((r, SMALL) for r in runs), (single, EPS)], _mean)

    def turning() -> Spread:
        return _spread(training, [(r, EPS) for r in (single, *turned())], _most)

    if program.coarse:  # numbers that are published in bfloat16 move as they do, whatever the dtype is, and turn relus
        runs = [program.trained(seed, steps, Shaken(1, SMALL)), *turned()]
        spreads = [_spread(training, [(r, unit) for r in runs], _most) for unit in (EPS64, EPS)]
        return Measured(training, lambda: spreads[0], lambda: spreads[1])
    return Measured(training, smooth, turning)


def _mean(moves: Array) -> float:
    return float(np.sqrt(np.mean(moves * moves)))


def _most(moves: Array) -> float:
    return float(np.max(moves))


def _spread(training: Training, runs: Sequence[tuple[Training, float]], pooled: Callable[[Array], float]) -> Spread:
    """The largest moves of several runs, each in its own unit."""
    losses = np.max([np.abs(r.losses - training.losses) / unit for r, unit in runs], axis=0) / training.losses
    padded = np.pad(losses, AROUND, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1)
    parameters = []
    for i, p in enumerate(training.parameters):
        moves = np.max([np.abs(r.parameters[i] - p) / unit for r, unit in runs], axis=0)
        parameters.append(np.maximum(moves, pooled(moves)))
    return Spread(windows.max(axis=1) * training.losses, parameters)
