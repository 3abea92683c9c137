"""Known deviations whose ids or conditions are too narrow, or whose ids are too wide.

    python docs/scripts/known_gaps.py [--draws 0] [--seed 0] [--seconds 60] [--wide] [SUBJECT ...]

A pinned case that fails in a cell of its subject (default: of every op and layer with one) which no entry covers; with
``--draws`` also random cases that fail in a cell with a condition which does not hold for them. Such a cell is green
until some seed draws a case like it, and then a known bug looks like a new one. Prints each with the case and what was
found; exit status 1 where there are any. ``--seconds`` bounds the random cases of a subject; the cells for which it did
not suffice are counted.

With ``--wide`` the contrary: cells in which neither an entry's own case nor any random one that its condition keeps out
deviates, so that right answers go uncompared there.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import functools
import multiprocessing
import sys
import time
import warnings

import numpy as np
import torch

from conformance import known, literal
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.compare import Tally
from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES
from conformance.kinds import all_cells, session
from conformance.session import OpSession, Options, _attempt, _holds
from conformance.target import Target
from reference.derive import Call
from reference.draw import EDGES
from reference.rule import Rule

LEVEL = 3
MOST = 12  # the longest side of a typical case


@dataclasses.dataclass
class Looked:
    """What a subject's cells showed, a text for each, and the cells for which the time did not suffice."""

    found: list[str] = dataclasses.field(default_factory=list)
    cut: set[str] = dataclasses.field(default_factory=set)


def covered(entries: list[known.Deviation], made: OpSession, cell: Cell, call: Call) -> bool:
    """Whether an entry says of this cell that such a case fails there."""
    entries = [e for e in entries if e.covers(cell.id)]
    calls = made.made_of(cell, call) if entries else []
    return any(e.where is None or any(_holds(e.where, c) for c in calls) for e in entries)


def drawn(call: Call, regime: str, dtype: str) -> bool:
    """Whether the regime has cases of such sizes, and the dtype such arrays."""
    if call.rule.complex and any(a.dtype.kind == "c" for a in call.arrays) != DTYPES[dtype].complex:
        return False
    sizes = [n for a in call.arrays for n in a.shape]
    if 0 in sizes:
        return regime == "empty"
    longest = max(sizes, default=1)
    return longest <= MOST or regime == "large" or (regime == "edges" and longest <= max(EDGES))


def applying(cells: list[Cell]) -> tuple[OpSession | None, list[Cell]]:
    """The session of a subject's cells, and those that it can have; None where it has no cases."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    made = session(cells[0].kind, cells[0].subject, Target("cpu"), Options(level=LEVEL, shrink=False), Clock())
    if not isinstance(made, OpSession) or made.absent():
        return None, []
    return made, [c for c in cells if not ((needs := made.checks[c.check].needs) and needs(made.rule, made.target))]


def gaps(cells: list[Cell], entries: list[known.Deviation], draws: int, seed: int, seconds: float) -> Looked:
    """What the entries of a subject leave to be found in its cells."""
    looked = Looked()
    made, cells = applying(cells)
    if made is None:
        return looked
    pinned = {e.case for e in entries if e.case and known.SEVERITY[e.outcome] <= known.SEVERITY["fail"]}
    calls = [Call(made.rule, literal.read(case)) for case in sorted(pinned)]
    until = time.monotonic() + seconds
    for cell in cells:
        check = made.checks[cell.check]
        near = [c for c in calls if drawn(c, check.regime, cell.dtype)]
        always = len(near)
        if check.regime != "large" and any(e.where and e.covers(cell.id) for e in entries):
            near += random_calls(made.rule, check.regime, DTYPES[cell.dtype].complex, draws, seed)
        for place, call in enumerate(near):
            if covered(entries, made, cell, call):
                continue
            if place >= always and time.monotonic() > until:
                looked.cut.add(cell.id)
                break
            error = _attempt(check, made._trial(cell, call, Tally(check=cell.check), 0))
            made._oracles.clear()
            if error is not None:
                case = literal.write(call.case)
                looked.found.append(f"{cell.id}  {case[:900]}\n    {type(error).__name__}: {str(error)[:160]}")
                break
    return looked


def excess(cells: list[Cell], entries: list[known.Deviation], draws: int, seed: int, seconds: float) -> Looked:
    """The cells of a subject in which what an entry keeps out is right."""
    looked = Looked()
    made, cells = applying(cells)
    if made is None:
        return looked
    until = time.monotonic() + seconds
    certain = [
        e for e in entries
        if e.where and not e.rare and known.SEVERITY[e.outcome] <= known.SEVERITY["fail"]
    ]  # fmt: skip
    for cell in cells:
        check = made.checks[cell.check]
        for entry in (e for e in certain if e.covers(cell.id)):
            assert entry.case and entry.where
            pool = random_calls(made.rule, check.regime, DTYPES[cell.dtype].complex, draws, seed)
            out = [c for c in pool if covered([entry], made, cell, c)]
            compared = 0
            for index, call in enumerate([Call(made.rule, literal.read(entry.case))] * 3 + out if out else []):
                trial = made._trial(cell, call, Tally(check=cell.check), index)
                if check.applies and not check.applies(trial):
                    continue
                error = _attempt(check, trial)
                made._oracles.clear()
                if error is not None:
                    break
                if time.monotonic() > until:
                    looked.cut.add(cell.id)
                    break
                compared += index > 2 and trial.tally.comparisons > 0
            else:
                if compared:
                    looked.found.append(f"{cell.id}  {compared} of {len(pool)} cases\n    {entry.reason[:160]}")
    return looked


@functools.cache
def random_calls(rule: Rule, regime: str, complex: bool, draws: int, seed: int) -> list[Call]:
    return [Call(rule, rule.cases(SeededDraw(f"{rule.name}/{seed}/{i}", regime, complex))) for i in range(draws)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("subjects", nargs="*")
    parser.add_argument("--draws", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--wide", action="store_true")
    chosen = parser.parse_args()
    entries = known.applicable(known.shipped(), torch.__version__)
    subjects = collections.defaultdict(list)
    for cell in all_cells([Target("cpu")]):
        if cell.level <= LEVEL and (not chosen.subjects or cell.subject in chosen.subjects):
            subjects[cell.subject].append(cell)
    near = {s: [e for e in entries if e.touches(s)] for s in subjects}
    total = cut = 0
    look = excess if chosen.wide else gaps
    limits = chosen.draws, chosen.seed, chosen.seconds
    # a process for each subject: some deviations end theirs
    fork = multiprocessing.get_context("fork")
    for subject in (s for s in subjects if any(e.case for e in near[s])):
        with concurrent.futures.ProcessPoolExecutor(1, fork) as pool:
            try:
                looked = pool.submit(look, subjects[subject], near[subject], *limits).result()
            except Exception as error:
                looked = Looked([f"{subject}: {type(error).__name__}: {error}"])
        total += len(looked.found)
        cut += len(looked.cut)
        for line in looked.found:
            print(line, flush=True)
        if looked.cut:
            print(f"{subject}: {len(looked.cut)} cells were not looked at to the end", flush=True)
    print(f"{total} {'cells' if chosen.wide else 'gaps'}; {cut} cells were not looked at to the end")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
