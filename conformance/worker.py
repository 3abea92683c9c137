"""What runs in a worker process: one unit after another, every outcome written to the journal at once."""

from __future__ import annotations

import dataclasses
import faulthandler
import logging
import multiprocessing
import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from conformance import known
from conformance.cells import Cell, cell_from
from conformance.journal import NAME, Journal, failure, traced
from conformance.lifeline import die_with

STICKY_EXIT = 86  # the device no longer answers: replace this process

_STARTED = time.perf_counter()
_state: dict[str, Any] = {}


def prepare(out: str, setup: list[str]) -> None:
    """Once in each worker: die with the parent, note crashes, import torch, keep to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()
    assert parent is not None and parent.pid is not None
    die_with(parent.pid)
    folder = Path(out) / "workers"
    folder.mkdir(exist_ok=True)
    _state["log"] = open(folder / f"{os.getpid()}.log", "w")  # noqa: SIM115  (open for the process's life)
    faulthandler.enable(_state["log"])
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    _state["journal"] = Journal(Path(out) / NAME)
    try:
        _import_torch(setup)
    except BaseException as error:
        _state["journal"].write("note", text=f"a worker could not start: {error or type(error).__name__}")
        os._exit(1)
    _state["startup"] = time.perf_counter() - _STARTED


def _import_torch(setup: list[str]) -> None:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler tells the terminal when it starts and stops
    from conformance.target import load_setup

    load_setup(setup)
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.ERROR)  # compilers log what they raise


def work(records: list[dict[str, Any]], options: dict[str, Any], entries: list[known.Deviation]) -> dict[str, float]:
    """Run the cells of one unit. Returns seconds by stage."""
    from conformance.checks.check import Clock
    from conformance.kinds import session
    from conformance.session import Options
    from conformance.target import Target

    cells = [cell_from(r) for r in records]
    journal: Journal = _state["journal"]
    clock, began = Clock(), time.perf_counter()
    first = cells[0]
    made = session(first.kind, first.subject, Target(first.device, first.mode), Options(**options), clock)
    for cell in cells:
        journal.write("start", cell=cell.id, pid=os.getpid())
        run_cell(made, cell, journal, entries)
    stages = dict(clock.stages)
    stages["other"] = time.perf_counter() - began - sum(stages.values())
    stages["startup"] = _state.pop("startup", 0.0)
    return stages


def run_cell(made: Any, cell: Cell, journal: Journal, entries: list[known.Deviation]) -> None:
    """Run one cell and write its finish; whatever a kernel raises costs this cell alone."""
    from conformance.session import Result

    try:
        result = made.run(cell)
    except BaseException as error:  # SystemExit and KeyboardInterrupt out of a kernel included
        result = Result("error", detail=f"{type(error).__name__}: {error}"[:400])
        result.failure = failure(f"{type(error).__name__}: {error}", traceback=traced(error))
    if result.outcome in ("fail", "error") and not _device_answers(cell):
        result.outcome = "crash"
        result.detail = f"the device no longer answers after: {result.detail}"[:400]
        finish(journal, cell, result, entries)
        os._exit(STICKY_EXIT)
    finish(journal, cell, result, entries)


def finish(journal: Journal, cell: Cell, result: Any, entries: list[known.Deviation]) -> None:
    """Write the finish line of a cell, with the known deviation that explains it."""
    fields = dataclasses.asdict(result)
    explained = known.match(entries, cell.id, result.outcome, fields.pop("pinned_alone"))
    journal.write("finish", cell=cell.id, **fields, known=explained)


def _device_answers(cell: Cell) -> bool:
    """Whether the device still computes; a sticky error makes every later call fail."""
    if cell.device == "cpu":
        return True
    import torch

    from conformance.target import synchronize

    try:
        one = torch.ones(2).to(cell.device)
        synchronize(one.device)
        return float((one + one).cpu().sum()) == 4.0
    except Exception:
        return False
