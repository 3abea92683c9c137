"""Which known deviations the installed torch shows: their pinned cases alone, whatever version an entry names.

    python docs/scripts/known_on.py [FILE ...]      # default: the shipped files

Prints a JSON object: "file::number" -> "deviates", "passes", "does not apply" or "not tried".
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

from conformance import known, literal
from conformance.bridge import resolve
from conformance.checks.check import Clock
from conformance.compare import Tally
from conformance.kinds import all_cells, session
from conformance.session import OpSession, Options, _attempt
from conformance.target import MODES, Target
from reference.derive import Call

MOST = 12  # cells of an entry that are tried


def shows(entry: known.Deviation, cells: list) -> str:
    """Whether the pinned case fails in some cell that the entry covers. One that ends the process is not tried."""
    if entry.outcome in ("crash", "timeout"):
        return "not tried"
    covered = sorted((c for c in cells if entry.covers(c.id)), key=lambda c: (c.mode != "eager", c.level))
    passed = False
    for cell in covered[:MOST]:
        made = session(cell.kind, cell.subject, Target(cell.device, cell.mode), Options(shrink=False), Clock())
        if not isinstance(made, OpSession) or entry.case is None or resolve(made.rule.name) is None:
            continue
        call = Call(made.rule, literal.read(entry.case))
        check = made.checks[cell.check]
        try:
            trial = made._trial(cell, call, Tally(check=cell.check), 0)
            if _attempt(check, trial) is not None:
                return "deviates"
            passed = passed or trial.tally.comparisons > 0
        except Exception:  # the harness itself: this torch lacks what the cell needs, so the cell tells nothing
            continue
    return "passes" if passed else "does not apply"


def main() -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    cells = all_cells([Target("cpu", mode) for mode in MODES])
    found = {}
    for path in [Path(p) for p in sys.argv[1:]] or sorted(known.SHIPPED.glob("*.toml")):
        for number, entry in enumerate(known.load(path), start=1):
            found[f"{path.name}::{number}"] = shows(entry, cells)
            print(f"{path.name}::{number} {found[f'{path.name}::{number}']}", file=sys.stderr, flush=True)
    print(json.dumps({"torch": torch.__version__, "entries": found}, indent=1))


if __name__ == "__main__":
    main()
