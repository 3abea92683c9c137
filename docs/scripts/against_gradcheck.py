"""Time per example beside torch.autograd.gradcheck: same ops, same inputs, one process, one thread.

Ours is value, vjp and jvp of one example, the reference and the derived tolerance included; gradcheck is
its fast and its slow mode on the same inputs in float64: reverse mode alone, as is its default, or with
``--forward`` forward mode too, which ours always has. ``--regime edges`` takes sizes around the widths of
vectors, where the slow mode's work grows with the number of elements; ``--regime drawn`` both as a run of level 2
draws them, three of edges for eight typical ones. Cases of more than --most elements, whose Jacobians the slow mode
takes minutes for, are left out.

    OPENBLAS_NUM_THREADS=1 python docs/scripts/against_gradcheck.py [--examples 6] [--forward] [--regime typical]
        [--most 200] [OP ...]
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from conformance.bridge import Bound, resolve
from conformance.checks import REGISTRY, Trial
from conformance.checks.check import Clock, plain
from conformance.compare import Tally
from conformance.draws import SeededDraw
from conformance.oracle import Oracle
from conformance.target import Target
from reference import Rule, rules
from reference.derive import Call

CHECKS = ("value", "vjp", "jvp")
# the sizes of a level 2 run, in turn: eight typical cases and three of edges
DRAWN = (*2 * ("typical", "typical", "typical", "edges"), "typical", "typical", "edges")


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """The least of a few timings; nan where the call raises (an op that gradcheck or torch refuses)."""
    best = math.inf
    for _ in range(repeats):
        began = time.perf_counter()
        try:
            call()
        except Exception:
            return math.nan
        best = min(best, time.perf_counter() - began)
    return best


def ours(rule: Rule, call: Call) -> None:
    """What a session does for one example: a fresh oracle, three checks."""
    oracle = Oracle(call, "float64")
    for name in CHECKS:
        REGISTRY[name].run(Trial(rule, Target("cpu"), "float64", call, lambda c, d: oracle, Tally(check=name), Clock()))


Times = tuple[float, float, float, float]
NONE: Times = (math.nan,) * 4


def times(rule: Rule, seed: int, regime: str, forward: bool, most: int) -> Times:
    """Seconds for one example: ours, gradcheck fast, gradcheck slow; and the number of elements of its inputs."""
    call = Call(rule, rule.cases(SeededDraw(f"{rule.name}/{seed}", regime)))
    oracle = Oracle(call, "float64")
    elements = sum(oracle.arrays[i].size for i in oracle.xs)
    if not oracle.xs or not oracle.ys or max(elements, sum(oracle.outs[i].size for i in oracle.ys)) > most:
        return NONE
    bound = Bound(plain(rule), oracle, torch.device("cpu"))
    xs = [x.clone().requires_grad_() for x in bound.xs]

    def check(fast: bool) -> object:
        return torch.autograd.gradcheck(bound, xs, fast_mode=fast, raise_exception=False, check_forward_ad=forward)

    return seconds(lambda: ours(rule, call)), seconds(lambda: check(True)), seconds(lambda: check(False), 1), elements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--examples", type=int, default=6)
    parser.add_argument("--forward", action="store_true")
    parser.add_argument("--regime", choices=("typical", "edges", "drawn"), default="typical")
    parser.add_argument("--most", type=int, default=200)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    table = []
    for rule in rules().values():
        if (chosen.ops and rule.name not in chosen.ops) or resolve(rule.name) is None:
            continue
        regimes = [chosen.regime if chosen.regime != "drawn" else DRAWN[s % len(DRAWN)] for s in range(chosen.examples)]
        rows = np.array([times(rule, s, r, chosen.forward, chosen.most) for s, r in enumerate(regimes)])
        rows = rows[np.isfinite(rows).all(axis=1)]
        if len(rows):
            table.append((rule.name, *rows.sum(axis=0) / len(rows)))
    print(f"{'op':<45} {'ours ms':>9} {'fast ms':>9} {'slow ms':>9} {'elements':>9}")
    for name, own, fast, slow, size in sorted(table, key=lambda row: row[1] / row[2]):
        print(f"{name:<45} {own * 1e3:9.3f} {fast * 1e3:9.3f} {slow * 1e3:9.3f} {size:9.0f}")
    own, fast, slow = (sum(row[i] for row in table) for i in (1, 2, 3))
    cheaper = sum(row[1] < row[2] for row in table)
    print(f"\n{len(table)} ops; ours costs less than the fast mode in {cheaper}")
    print(f"in total: {own * 1e3:.1f} ms, fast {fast / own:.2f} times that, slow {slow / own:.1f} times")


if __name__ == "__main__":
    main()
