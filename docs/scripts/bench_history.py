"""A history of simulated runs: false alarms in 100 unchanged runs, and how soon a step of 5% is found.

    python docs/scripts/bench_history.py [--series 2000] [--seed 0]

Ours beside three rules on the same series: a fixed threshold of 5% or 7% against the run before (pytest-benchmark's
compare-fail, TorchBench), and Mann-Whitney of the last 8 runs against the 10 before them, asked anew after each run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy import stats

from conformance.bench import cusum
from conformance.bench.simulation import Machine

RUNS, WITHIN, STEP = 100, 8, 0.05


def ours(x: np.ndarray) -> list[int]:
    return [a.raised for a in cusum.alarms(x)]


def threshold(percent: float) -> Callable[[np.ndarray], list[int]]:
    return lambda x: [i for i in range(1, x.size) if x[i] > (1 + percent / 100) * x[i - 1]]


def windows(x: np.ndarray) -> list[int]:
    """Mann-Whitney at 1%, 8 runs against the 10 before them."""
    places = range(18, x.size + 1)
    views = np.stack([x[i - 18 : i] for i in places]) if len(places) else np.empty((0, 18))
    p = stats.mannwhitneyu(views[:, 10:], views[:, :10], axis=1, method="asymptotic").pvalue
    return [i - 1 for i, small in zip(places, np.asarray(p) < 0.01) if small]


RULES = {"torch-conformance": ours, "compare-fail 5%": threshold(5), "TorchBench 7%": threshold(7),
         "Mann-Whitney, windows": windows}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    for title, machine in (
        ("noise 2%", Machine(noise=0.02)),
        ("noise 1%", Machine(noise=0.01)),
        ("noise 2%, 10% of runs preempted (beyond what is promised)", Machine(noise=0.02, preempted=0.1, loss=0.2)),
    ):
        rng = np.random.default_rng(chosen.seed)
        unchanged = [machine.history(rng, RUNS) for _ in range(chosen.series)]
        places = [int(rng.integers(cusum.BASELINE + 8, 60)) for _ in range(chosen.series)]
        stepped = [machine.history(rng, at + WITHIN, at, STEP) for at in places]
        print(f"\n{title}\n{'':24}any false alarm in {RUNS} runs   a {STEP:.0%} step found within {WITHIN} runs")
        for name, rule in RULES.items():
            false = np.mean([bool(rule(x)) for x in unchanged])
            found = np.mean([any(i >= at for i in rule(x)) for x, at in zip(stepped, places)])
            print(f"{name:24}{false:27.2%}   {found:32.2%}")
        steps = [(cusum.alarms(x), at) for x, at in zip(stepped, places)]
        dated = [abs(a[-1].start - at) <= 1 for a, at in steps if a]
        print(f"the step is dated to within one run in {np.mean(dated):.1%} of those found")


if __name__ == "__main__":
    main()
