"""Real comparisons on this machine: unchanged (A/A), and torch.mm slowed by a spin inside its kernel.

    python docs/scripts/bench_real.py unchanged [--pairs 10]
    python docs/scripts/bench_real.py 5 [--pairs 20]          # percent

Ours beside the rules of other tools on the same processes; they see the first samples of each block. Exits with 1 where
an unchanged benchmark is called SLOWER, or a slowed one SAME.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from conformance.bench import gate, measure, session
from conformance.bench.peers import RULES
from conformance.bench.results import FIGURE
from conformance.bench.statistics import SAME, SLOWER

SPIN = Path(__file__).with_name("spin.py")
SLOWED = ("mm[256]::forward", "mm[256]::training", "two_layer[64]::training")


def samples(pairs: list[gate.Pair], side: int) -> np.ndarray:
    """(processes, samples) of one side: as many as every block has."""
    blocks = [pair[side]["columns"][FIGURE]["first"] for pair in pairs]
    return np.array([b[: min(map(len, blocks))] for b in blocks])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", help="unchanged, or a slowdown in percent")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.03)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--select", action="append", default=[])
    chosen = parser.parse_args()
    unchanged = chosen.what == "unchanged"
    patterns = chosen.select or ([] if unchanged else [f"{name}*" for name in SLOWED])
    items = session.items(1, patterns, ("float32",))
    with tempfile.TemporaryDirectory() as folder:
        setups = []
        for percent in ("0", "0" if unchanged else chosen.what):
            path = Path(folder) / f"spin{len(setups)}.py"
            path.write_text(f'import os\nos.environ["SPIN"] = "{percent}"\nexec(open({str(SPIN)!r}).read())\n')
            setups.append(() if unchanged else (str(path),))
        base, head = (session.Interpreter(name, setup=s) for name, s in zip(("BASE", "HEAD"), setups))
        settings = session.Settings(seconds=chosen.seconds, seed=chosen.seed, columns=(FIGURE,))
        with session.Session(settings) as measured:
            found = gate.Gate(base, head, "cpu/1", measured, measure.stderr, chosen.seed).compare(items, chosen.pairs)
    verdicts, others = Counter[str](), Counter[str]()
    for c in found:
        print(gate.sentence(c))
        verdicts[c.verdict.name] += 1
        others.update(name for name, rule in RULES.items() if rule(samples(c.pairs, 0), samples(c.pairs, 1)))
    what = "unchanged" if unchanged else f"slowed by {chosen.what}%"
    print(f"\n{len(found)} benchmarks {what}, {chosen.pairs} pairs, load average {os.getloadavg()[0]:.1f}")
    print(f"torch-conformance: {dict(verdicts)}")
    for name in RULES:
        print(f"{name}: {others[name]} called slower")
    return int(verdicts[SLOWER if unchanged else SAME] > 0)


if __name__ == "__main__":
    sys.exit(main())
