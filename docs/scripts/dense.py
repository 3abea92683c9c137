"""Every op whose elements do not meet, at many points at once: what is red there, one seed in a hundred would meet.

    python docs/scripts/dense.py [--draws 1000] [--seed 0] [OP ...]

The elements of so many typical cases with the same options make one array, of which value, vjp, jvp and second
derivative are compared in every dtype; points that a known deviation covers are left out. Prints each deviation with
its worst element, and how many points were compared; exit status 1 where there is one.
"""

from __future__ import annotations

import argparse
import collections
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from conformance import known
from conformance.bridge import as_torch_has, resolve
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.compare import Mismatch, Tally
from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES
from conformance.session import OpSession, Options, _attempt, _holds, held
from conformance.target import Target
from reference import rules
from reference.derive import Call
from reference.rule import Rule, is_array, is_inexact

CHECKS = ("value", "vjp", "jvp", "reverse_over_reverse")
REAL = ("float64", "float32", "bfloat16", "float16")
COMPLEX = ("complex128", "complex64")


def clouds(rule: Rule, draws: int, seed: int, complex: bool) -> Iterator[Call]:
    """For each choice of options that is drawn one call with the elements of all its cases."""
    found: dict[str, tuple[Call, list[list[np.ndarray]]]] = {}
    for i in range(draws):
        call = Call(rule, rule.cases(SeededDraw(f"{rule.name}/{seed}/{i}", "typical", complex)))
        outs, _ = call.run(call.arrays)
        if call.arrays and {a.shape for a in call.arrays} == {o.shape for o in outs} and all(map(is_inexact, outs)):
            kinds = [a.dtype.kind for a in call.arrays]
            options = kinds, [v for v in call.case.args if not is_array(v)], call.case.kwargs
            parts = [a.reshape(-1) for a in [*call.arrays, *outs]]
            found.setdefault(repr(options), (call, []))[1].append(parts)
    for call, several in found.values():
        wholes = [np.concatenate(parts) for parts in zip(*several)]
        cloud = Call(rule, call.replaced(wholes[: len(call.arrays)]))
        try:
            outs, _ = cloud.run(cloud.arrays)
        except (ValueError, IndexError, TypeError):  # of other sizes there is no such call
            continue
        if all(map(_equal, outs, wholes[len(call.arrays) :])):  # no element meets another
            yield cloud


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def sound(call: Call, entries: list[known.Deviation], dtype: str) -> Call | None:
    """The points at which no entry holds, by bisection; none where one holds for all of them that holds for no half."""
    here = held(call, DTYPES[dtype])
    if not any(_holds(e.where, here) for e in entries if e.where):
        return call
    if call.arrays[0].size < 2:
        return None
    parts = zip(*(np.array_split(a, 2) for a in call.arrays))
    halves = [sound(Call(call.rule, call.replaced(half)), entries, dtype) for half in parts]
    kept = [half.arrays for half in halves if half]
    joined = Call(call.rule, call.replaced([np.concatenate(a) for a in zip(*kept)])) if kept else None
    return None if joined and any(_holds(e.where, held(joined, DTYPES[dtype])) for e in entries if e.where) else joined


def red(
    rule: Rule, entries: list[known.Deviation], draws: int, seed: int, count: collections.Counter[str]
) -> list[str]:
    """What deviates, as text."""
    session = OpSession(rule.name, Target("cpu"), Options(shrink=False), Clock(), rule)
    found = []
    several = [(REAL, False), (COMPLEX, True)] if rule.complex else [(REAL, False)]
    for dtypes, whole in ((d, cloud) for d, complex in several for cloud in clouds(rule, draws, seed, complex)):
        for name in CHECKS:
            for dtype in (d for d in dtypes if d in session.checks[name].levels and d in (rule.dtypes or dtypes)):
                cell = Cell("op", rule.name, rule.family, name, "cpu", "eager", dtype, 1)
                near = [e for e in entries if e.covers(cell.id)]
                call = None if any(not e.where for e in near) else sound(whole, near, dtype)
                if call is None:
                    continue
                points = call.arrays[0].size
                error = _attempt(session.checks[name], session._trial(cell, call, Tally(check=name), 0))
                session._oracles.clear()
                if isinstance(error, Mismatch):
                    found.append(f"{cell.id} at {points} points: {error}")
                elif error is None:
                    count[rule.name] += points
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    entries = known.applicable(known.shipped(), torch.__version__)
    count: collections.Counter[str] = collections.Counter()
    total = 0
    for rule in [r for n, r in rules().items() if resolve(n) and (not chosen.ops or n in chosen.ops)]:
        near = [e for e in entries if e.touches(rule.name)]
        for line in red(as_torch_has(rule), near, chosen.draws, chosen.seed, count):
            total += 1
            print(line, flush=True)
    print(f"{total} deviations; {count.total():,} points of {len(count)} ops compared without one")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
