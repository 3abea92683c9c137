"""A 5% slowdown, and none, in simulated data: our gate beside the rules of other tools, on identical data.

    python docs/scripts/bench_simulated.py [--suites 400] [--seed 0]

For each machine: how often a slowdown of 5% is found, and how often a suite of 50 unchanged benchmarks raises an
alarm. Each rule sees the same samples: 40 pairs of processes of 20 samples each, and 40 more where our gate asks for a
confirmation. pytest-benchmark and TorchBench use the first process of each side, asv the first two.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from scipy import stats

from conformance.bench import statistics
from conformance.bench.peers import RULES
from conformance.bench.simulation import HEAVY, QUIET, Machine, log_ratios

SUITE = 50
OURS = "torch-conformance"


def alarms(machine: Machine, rng: np.random.Generator, ratio: float, counts: Counter[str]) -> list[str]:
    """The rules that raise an alarm over one benchmark; `counts` has our verdicts."""
    base, head = machine.samples(rng, statistics.PAIRS), machine.samples(rng, statistics.PAIRS, ratio)

    def fresh() -> np.ndarray:
        return log_ratios(machine.samples(rng, statistics.PAIRS), machine.samples(rng, statistics.PAIRS, ratio))

    verdict = statistics.judge(log_ratios(base, head), fresh).name
    counts[verdict] += 1
    return [name for name, rule in RULES.items() if rule(base, head)] + [OURS] * (verdict == statistics.SLOWER)


def predicted(machine: Machine, rng: np.random.Generator, rounds: int) -> float:
    """The chance of a SLOWER in an unchanged suite, from more rounds than whole suites could have.

    The rounds are independent: an alarm in the first, times one in the second, for each benchmark.
    """
    p = np.array([
        [statistics.test(x), statistics.test(x, "greater")]
        for x in (log_ratios(machine.samples(rng, statistics.PAIRS), machine.samples(rng, statistics.PAIRS))
                  for _ in range(rounds))
    ])  # fmt: skip
    first, second = (p[:, 0] <= statistics.LEVEL).mean() / 2, (p[:, 1] <= statistics.LEVEL).mean()
    return float(1 - (1 - first * second) ** SUITE)


def share(hits: int, total: int) -> str:
    """A share in percent with its 95% interval (Clopper and Pearson)."""
    found = stats.binomtest(hits, total).proportion_ci(0.95)
    return f"{hits / total:7.2%} [{found.low:.2%}, {found.high:.2%}]"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--suites", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    for title, machine in (("noise 3%", QUIET), ("noise 3%, 10% of processes preempted", HEAVY)):
        rng = np.random.default_rng(chosen.seed)
        found, wrong, verdicts = Counter[str](), Counter[str](), Counter[str]()
        trials = 4 * chosen.suites
        for _ in range(trials):
            found.update(alarms(machine, rng, 1.05, verdicts))
        quiet = Counter[str]()
        for _ in range(chosen.suites):
            wrong.update({name for _ in range(SUITE) for name in alarms(machine, rng, 1.0, quiet)})
        print(f"\n{title}\n{'':28}{'5% slowdown found':>26}  suites of {SUITE} with a false alarm")
        for name in [OURS, *RULES]:
            print(f"{name:28}{share(found[name], trials):>26}  {share(wrong[name], chosen.suites):>26}")
        print(f"{OURS}, an unchanged suite, from {chosen.rounds} rounds: {predicted(machine, rng, chosen.rounds):.2%}")
        print(f"our verdicts at 5%: {dict(verdicts)}; at 0%: {dict(quiet)}")


if __name__ == "__main__":
    main()
