"""Whether HEAD is slower than BASE, from pairs of fresh processes.

The unit of evidence is a process: within one, samples share a memory layout, a clock frequency and a neighbour, and
a thousand of them say no more than one. So each process gives one number, the minimum of its block of repetitions,
and a pair of processes that ran one after the other, in random order, gives one log-ratio. Their symmetry about 0 is
tested by Student's t of the trimmed mean (Tukey and McLaughlin, Sankhya A 25, 1963; Yuen, Biometrika 61, 1974): a
fifth is cut off at each end, so that pairs with a preempted process do not matter. Signed ranks, which the same pairs
allow, keep their level too, but of 24 pairs where every tenth process is preempted they find 5% half as often.

A difference at 1% is an alarm; it becomes a verdict when fresh pairs show it at 1% again, in the same direction. For
one benchmark without a change that happens once in 20,000 comparisons in each direction, so that a suite of 50 is
wrong once in 400 runs, without a correction for their number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

LEVEL = 0.01  # of every test here
EQUAL = 0.02  # differences within this are none
POWER = 0.95  # of the smallest effect that would have been seen
TRIM = 0.2  # of the pairs, at each end
PAIRS = 40  # find 5% where processes vary by 3% and every tenth is preempted: docs/scripts/bench_simulated.py
FEWEST = 8  # pairs: with fewer, what is left after trimming does not tell its own spread

SLOWER, FASTER, SAME, UNDECIDED, WRONG = "SLOWER", "FASTER", "SAME", "UNDECIDED", "WRONG"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the pairs say. Ratios are HEAD over BASE: 1.05 is 5% slower.

    ratio      from the trimmed mean of all pairs; interval: of 99%
    smallest   the smallest slowdown (0.03 is 3%) that this many pairs of this spread find in 95% of runs
    p          of the first pairs, two-sided; confirmed: of the fresh pairs, one-sided, where there were any
    """

    name: str
    ratio: float
    interval: tuple[float, float]
    smallest: float
    p: float
    confirmed: float | None
    pairs: int
    reason: str


def judge(first: Sequence[float] | np.ndarray, fresh: Callable[[], Sequence[float] | np.ndarray]) -> Verdict:
    """The verdict on log-ratios log(HEAD / BASE), one for each pair of processes.

    `fresh` measures as many pairs again; it is called only where the first pairs raise an alarm. Raises ValueError
    for fewer than 8 pairs, with which no test at 1% can say anything.
    """
    x = _checked(first)
    p, direction = test(x), 1.0 if center(x) > 0 else -1.0
    if equivalent(x):
        return _verdict(SAME, x, p, None, f"equal within {EQUAL:.0%}")
    if not alarmed(x):
        return _verdict(UNDECIDED, x, p, None, "neither a difference nor equality is shown")
    again = _checked(fresh())
    confirmed = test(direction * again, "greater")
    both = np.concatenate([x, again])
    if confirmed > LEVEL:
        return _verdict(UNDECIDED, both, p, confirmed, "a difference that fresh pairs did not confirm")
    name = SLOWER if direction > 0 else FASTER
    return _verdict(name, both, p, confirmed, "a difference that fresh pairs confirmed")


def alarmed(ratios: Sequence[float] | np.ndarray) -> bool:
    """Whether these pairs show a difference that fresh ones must confirm."""
    x = _checked(ratios)
    return test(x) <= LEVEL and not equivalent(x)


def _checked(ratios: Sequence[float] | np.ndarray) -> np.ndarray:
    x = np.asarray(ratios, float)
    if x.size < FEWEST or not np.isfinite(x).all():
        raise ValueError(f"{x.size} pairs: at least {FEWEST} finite log-ratios are needed for a test at {LEVEL:.0%}")
    return x


def _verdict(name: str, x: np.ndarray, p: float, confirmed: float | None, reason: str) -> Verdict:
    low, high = interval(x, 1 - LEVEL)
    ratios = (math.exp(low), math.exp(high))
    return Verdict(name, math.exp(center(x)), ratios, smallest(x), p, confirmed, x.size, reason)


def center(x: np.ndarray) -> float:
    """The trimmed mean."""
    return float(stats.trim_mean(x, TRIM))


def spread(x: np.ndarray) -> tuple[float, int]:
    """Yuen's standard error of the trimmed mean, from the winsorized deviation, and its degrees of freedom."""
    left = x.size - 2 * int(TRIM * x.size)
    deviation = float(np.std(stats.mstats.winsorize(x, limits=(TRIM, TRIM)), ddof=1))
    return deviation * math.sqrt((x.size - 1) / (left * (left - 1))), left - 1


def test(x: np.ndarray, alternative: str = "two-sided") -> float:
    """The p-value against a center of 0; "greater" asks whether it is above. 1 where all are 0: a run and itself."""
    error, freedom = spread(x)
    if error == 0.0:
        t = math.copysign(math.inf, center(x)) if center(x) else 0.0
    else:
        t = center(x) / error
    return float(2 * stats.t.sf(abs(t), freedom) if alternative == "two-sided" else stats.t.sf(t, freedom))


def equivalent(x: np.ndarray) -> bool:
    """Whether both one-sided tests at 1% say that the ratio is within 2% (Schuirmann, 1987)."""
    bound = math.log1p(EQUAL)
    return test(bound - x, "greater") <= LEVEL and test(bound + x, "greater") <= LEVEL


def interval(x: np.ndarray, confidence: float) -> tuple[float, float]:
    """The centers that the two-sided test does not refuse."""
    error, freedom = spread(x)
    half = error * float(stats.t.ppf((1 + confidence) / 2, freedom))
    return center(x) - half, center(x) + half


def smallest(x: np.ndarray) -> float:
    """The smallest slowdown that so many pairs, with fresh ones to confirm, find in 95% of runs.

    Both rounds must succeed, so that each has to in the square root of 95% of runs.
    """
    error, freedom = spread(x)
    return float(np.expm1(error * (stats.t.ppf(1 - LEVEL / 2, freedom) + stats.t.ppf(math.sqrt(POWER), freedom))))


def speedup(ratios: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """The ratio and its interval from log-ratios of processes, by Student's t; infinite below two of them."""
    x = np.asarray(ratios, float)
    if x.size < 2:
        return (float(np.exp(x.mean())) if x.size else math.nan), 0.0, math.inf
    half = stats.t.ppf((1 + confidence) / 2, x.size - 1) * x.std(ddof=1) / math.sqrt(x.size)
    return float(np.exp(x.mean())), float(np.exp(x.mean() - half)), float(np.exp(x.mean() + half))


def crossover(sizes: Sequence[int], intervals: Sequence[tuple[float, float, float]]) -> tuple[int | None, int | None]:
    """Between which sizes a device begins to win: (the last that is surely slower, the first from which on all win).

    Each interval is (ratio, low, high) of a speedup. None where no size is surely slower, or none is surely faster.
    """
    slower = [n for n, (_, _, high) in zip(sizes, intervals) if high < 1]
    faster: int | None = None
    for n, (_, low, _) in reversed(list(zip(sizes, intervals))):
        if low <= 1:
            break
        faster = n
    return max(slower, default=None), faster
