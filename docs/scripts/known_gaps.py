"""Known deviations whose ids are too narrow: a pinned case that fails in a cell of its subject which no entry covers.

    python docs/scripts/known_gaps.py [SUBJECT ...]      # default: every op and layer with a pinned case

Such a cell is green until some seed draws a case like it, and then a known bug looks like a new one. Prints each
with the case and what was found; exit status 1 where there are any.
"""

from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import sys
import warnings

import numpy as np
import torch

from conformance import known, literal
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.compare import Tally
from conformance.dtypes import DTYPES
from conformance.kinds import all_cells, session
from conformance.session import OpSession, Options, _attempt, _holds
from conformance.target import Target
from reference.derive import Call
from reference.draw import EDGES

LEVEL = 3
MOST = 12  # the longest side of a typical case


def covered(entries: list[known.Deviation], cell: Cell, call: Call) -> bool:
    """Whether an entry says of this cell that such a case fails there."""
    return any(e.covers(cell.id) and (e.where is None or _holds(e.where, call)) for e in entries)


def drawn(call: Call, regime: str, dtype: str) -> bool:
    """Whether the regime has cases of such sizes, and the dtype such arrays."""
    if call.rule.complex and any(a.dtype.kind == "c" for a in call.arrays) != DTYPES[dtype].complex:
        return False
    sizes = [n for a in call.arrays for n in a.shape]
    if 0 in sizes:
        return regime == "empty"
    longest = max(sizes, default=1)
    return longest <= MOST or regime == "large" or (regime == "edges" and longest <= max(EDGES))


def gaps(cells: list[Cell], entries: list[known.Deviation]) -> list[str]:
    """What the pinned cases of a subject's entries bring to light in its other cells."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    made = session(cells[0].kind, cells[0].subject, Target("cpu"), Options(level=LEVEL, shrink=False), Clock())
    if not isinstance(made, OpSession) or made.absent():
        return []
    found = []
    for case in sorted({e.case for e in entries if e.case and known.SEVERITY[e.outcome] <= known.SEVERITY["fail"]}):
        call = Call(made.rule, literal.read(case))
        for cell in cells:
            check = made.checks[cell.check]
            absent = check.needs and check.needs(made.rule, made.target)
            if absent or not drawn(call, check.regime, cell.dtype) or covered(entries, cell, call):
                continue
            error = _attempt(check, made._trial(cell, call, Tally(check=cell.check), 0))
            if error is not None:
                found.append(f"{cell.id}  {case[:160]}\n    {type(error).__name__}: {str(error)[:160]}")
    return found


def main() -> int:
    entries = known.applicable(known.shipped(), torch.__version__)
    subjects = collections.defaultdict(list)
    for cell in all_cells([Target("cpu")]):
        if cell.level <= LEVEL and (not sys.argv[1:] or cell.subject in sys.argv[1:]):
            subjects[cell.subject].append(cell)
    near = {s: [e for e in entries if e.touches(s)] for s in subjects}
    total = 0
    # a process for each subject: some deviations end theirs
    fork = multiprocessing.get_context("fork")
    for subject in (s for s in subjects if any(e.case for e in near[s])):
        with concurrent.futures.ProcessPoolExecutor(1, fork) as pool:
            try:
                found = pool.submit(gaps, subjects[subject], near[subject]).result()
            except Exception as error:
                found = [f"{subject}: {type(error).__name__}: {error}"]
        total += len(found)
        for line in found:
            print(line, flush=True)
    print(f"{total} gaps")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
