"""What other tools would say of the same data: the rules that users meet, each as its source has it.

A rule takes the samples of both sides as (processes, samples) arrays in seconds and answers whether it raises an alarm.
Used by the scripts in docs/scripts and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
from scipy import stats

Rule = Callable[[np.ndarray, np.ndarray], bool]


def compare_fail(base: np.ndarray, head: np.ndarray, field: str = "mean", percent: float = 5.0) -> bool:
    """pytest-benchmark's ``--benchmark-compare-fail=mean:5%``: one run of each side, a fixed threshold."""
    old, new = (float(getattr(np, field)(side[0])) for side in (base, head))
    return (new - old) / old * 100 > percent


def compare_fail_min(base: np.ndarray, head: np.ndarray) -> bool:
    """The same with ``min:5%``."""
    return compare_fail(base, head, "min")


def torchbench(base: np.ndarray, head: np.ndarray) -> bool:
    """TorchBench: the median of a run more than 7% above that of the run before."""
    return bool(np.median(head[0]) > 1.07 * np.median(base[0]))


def asv(base: np.ndarray, head: np.ndarray, factor: float = 1.1) -> bool:
    """``asv continuous``: two processes a side; medians apart by the factor, and samples by Mann-Whitney at 0.002.

    Source: asv 0.6, commands/compare.py and statistics.is_different.
    """
    a, b = base[:2].ravel(), head[:2].ravel()
    if 1 / comb(a.size + b.size, min(a.size, b.size)) < 0.002:
        different = stats.mannwhitneyu(a, b, alternative="two-sided").pvalue < 0.002
    else:
        low, high = _interval(a), _interval(b)
        different = low[1] < high[0] or high[1] < low[0]
    return bool(different and np.median(b) > factor * np.median(a))


def asv_5(base: np.ndarray, head: np.ndarray) -> bool:
    """The same with ``--factor 1.05``: 10%, its default, cannot see 5%."""
    return asv(base, head, 1.05)


def _interval(x: np.ndarray) -> tuple[float, float]:
    half = stats.t.ppf(0.995, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size)
    return float(x.mean() - half), float(x.mean() + half)


def pooled(base: np.ndarray, head: np.ndarray) -> bool:
    """Mann-Whitney at 1% on all samples of all processes, as if they were independent."""
    return bool(stats.mannwhitneyu(head.ravel(), base.ravel(), alternative="greater").pvalue < 0.01)


RULES: dict[str, Rule] = {
    "pytest-benchmark mean:5%": compare_fail,
    "pytest-benchmark min:5%": compare_fail_min,
    "asv, factor 1.1": asv,
    "asv, factor 1.05": asv_5,
    "TorchBench 7%": torchbench,
    "Mann-Whitney, pooled": pooled,
}
