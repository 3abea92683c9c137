"""A history of runs: has the level changed, and when?

A cumulative sum adds up how far each run is above the level (and another, how far below), less half of the step that is
to be found; it stays near 0 while nothing changes and climbs after a step (Page, Biometrika 41, 1954). Every
distance is winsorized first, so that no single run, however bad, raises an alarm.

Everything is in units of the noise, which is taken as 2% where the series is quieter than that. The constants are set
by simulation (docs/scripts/bench_history.py): at most 1% of histories of 100 unchanged runs raise any alarm, and a
step of 5% is found within 8 runs in nine of ten.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

NOISE = 0.02  # of a run, at least
BASELINE = 10  # runs that set the level
DRIFT = 1.25  # half the step of 5%
THRESHOLD = 5.0
CLIP = 3.5
UNSURE = 2.0  # over the root of the number of runs: by how much their median deviation overshoots at times


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A step in a series of runs.

    start    the first run at the new level, by its place
    raised   the run that raised the alarm
    before, after   the levels, as geometric means of winsorized runs
    """

    start: int
    raised: int
    before: float
    after: float

    @property
    def change(self) -> float:
        """0.05: slower by 5%."""
        return self.after / self.before - 1


def alarms(seconds: Sequence[float]) -> list[Alarm]:
    """Every step in a series, each once: after an alarm the level is learnt anew from the step on."""
    x, found, begin = np.log(np.asarray(seconds, float)), list[Alarm](), 0
    while (alarm := _first(x, begin)) is not None:
        found.append(alarm)
        begin = alarm.start
    return found


def _first(x: np.ndarray, begin: int) -> Alarm | None:
    """The first alarm of the segment that begins there."""
    if x.size - begin <= BASELINE:
        return None
    up = down = 0.0
    for i in range(begin + BASELINE, x.size):
        if up == down == 0.0:  # what climbs must not drag the level after it
            level, noise = _level(x[begin:i])
        z = float(np.clip((x[i] - level) / noise, -CLIP, CLIP))
        up, down = max(0.0, up + z - DRIFT), max(0.0, down - z - DRIFT)
        if max(up, down) > THRESHOLD:
            start = _date(np.clip((x[begin : i + 1] - level) / noise, -CLIP, CLIP)) + begin
            after = level + noise * float(np.mean(np.clip((x[start : i + 1] - level) / noise, -CLIP, CLIP)))
            return Alarm(start, i, math.exp(level), math.exp(after if i > start else x[i]))
    return None


def _level(x: np.ndarray) -> tuple[float, float]:
    """Level and noise of runs: the winsorized mean, and 2% where the median deviation does not speak against it."""
    middle = float(np.median(x))
    noise = max(NOISE, 1.4826 * float(np.median(np.abs(x - middle))) / (1 + UNSURE / math.sqrt(x.size)))
    return float(np.mean(np.clip(x, middle - 2 * noise, middle + 2 * noise))), noise


def _date(z: np.ndarray) -> int:
    """Where a step is most likely: the split into two means that leaves the least sum of squares."""
    places = np.arange(1, z.size)
    left = np.cumsum(z)[:-1]
    right = z.sum() - left
    return int(places[np.argmax(left**2 / places + right**2 / (z.size - places))])
