"""A run from beginning to end: ask torch what there is, select, drive the workers, confirm, judge, report."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conformance import blame, confirm, known, probe
from conformance.cells import Cell, cell_from, in_shard, manifest_hash, units
from conformance.journal import NAME, SCHEMA, Journal, JournalWriteError, Tail
from conformance.pool import Plan, Watch, WorkersError, run_units
from conformance.progress import Told
from conformance.soak import SOAK, soak
from reports.html import write_report
from reports.journal import JournalError, Run, counts, read
from reports.verdict import EXITS, judge

# Scripts of at most this many failing cells are tried in a fresh process; a broken torch has thousands.
CONFIRM = 200
# Cells that kill are run once more, case by case, to find the case; each costs a fresh process.
BLAME = 12


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for."""

    out: Path
    devices: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    level: int = 2
    select: tuple[str, ...] = ()
    known: tuple[Path, ...] = ()
    shard: tuple[int, int] | None = None
    resume: bool = False
    seed: int = 0
    workers: int = os.cpu_count() or 1
    timeout: float = 60.0
    budget: float = 3600.0  # seconds that level 4 takes at least
    command: tuple[str, ...] = ()
    cifar10: str = ""  # the folder with the user's batches
    only: frozenset[str] | None = None  # units, where pytest has chosen


@dataclasses.dataclass
class Prepared:
    """A request answered: the environment, the cells before and after selection, and what is known."""

    request: Request
    environment: dict[str, Any]
    everything: list[Cell]
    universe: dict[str, int]  # the ids of the cells of every level, with their levels
    cells: list[Cell]
    known: list[known.Deviation]


class UsageError(Exception):
    """The request cannot be met; one sentence; exit code 2."""


class IncompleteError(Exception):
    """The run cannot be carried out; one sentence; exit code 3."""


def prepare(request: Request) -> Prepared:
    """Ask torch, and select. Raises UsageError, IncompleteError, known.KnownFileError."""
    entries = [e for path in request.known for e in known.load(path)]
    try:
        answer = probe.ask(list(request.setup), list(request.devices), list(request.modes))
    except probe.UsageError as error:
        raise UsageError(str(error)) from error
    except probe.TorchError as error:
        raise IncompleteError(str(error)) from error
    # a mode that is asked for by name runs at every level
    asked = set(answer["modes"]) - {"eager"} if request.modes else set()
    cells = [cell_from(c) for c in answer["cells"]]
    everything = [c for c in cells if c.level <= request.level or c.mode in asked]
    chosen = select(everything, request.select)
    chosen = [c for c in chosen if in_shard(c.unit, request.shard)]
    if request.only is not None:
        chosen = [c for c in chosen if c.unit in request.only]
    version = answer["environment"]["torch"]["version"]
    universe = {c.id: c.level for c in cells}
    entries = known.applicable(entries, version)
    return Prepared(request, answer["environment"], everything, universe, chosen, entries)


def select(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """The cells whose id, subject, family or check one of the patterns matches. Raises UsageError."""
    if not patterns:
        return list(cells)
    picked: dict[str, Cell] = {}
    for pattern in patterns:
        found = [c for c in cells if _matches(c, pattern.removeprefix("torch."))]
        if not found:
            raise UsageError(f"--select {pattern}: no cell matches; `torch-conformance list` shows what there is")
        picked.update((c.id, c) for c in found)
    return [c for c in cells if c.id in picked]


def _matches(cell: Cell, pattern: str) -> bool:
    names = (cell.id, cell.subject, cell.family, cell.check, f"{cell.subject}::{cell.check}", cell.kind)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def begin(prepared: Prepared) -> tuple[Journal, dict[str, str]]:
    """Open the journal: a new one with its header, or an old one that is gone on with.

    Returns it with the outcomes that it already has. Raises UsageError, IncompleteError.
    """
    request, out = prepared.request, prepared.request.out
    path = out / NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not request.resume:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise IncompleteError(f"--out {out}: {error.strerror}") from error
    done = _resumed(prepared, path) if request.resume else {}
    try:
        journal = Journal(path)
        journal.mend()
        if request.resume:
            journal.write("resume", command=list(request.command), environment=prepared.environment)
        else:
            journal.write("header", **_header(prepared))
            journal.cells(prepared.cells)
    except JournalWriteError as error:
        raise IncompleteError(error.strerror or str(error)) from error
    return journal, done


def _header(prepared: Prepared) -> dict[str, Any]:
    request = prepared.request
    return {
        "schema": SCHEMA, "run": str(uuid.uuid4()), "command": list(request.command), "level": request.level,
        "seed": request.seed, "shard": request.shard, "select": list(request.select),
        "known": ", ".join(map(str, request.known)) or None, "environment": prepared.environment,
        "total": len(prepared.everything), "manifest": manifest_hash(c.id for c in prepared.everything),
        "selected": len(prepared.cells),
    }  # fmt: skip


def _resumed(prepared: Prepared, path: Path) -> dict[str, str]:
    """The outcomes of the journal to go on with, which must be of the same cells, level and seed."""
    try:
        run = read(path)
    except JournalError as error:
        raise UsageError(f"--resume: {error}") from error
    request, header = prepared.request, run.header
    if header.manifest != manifest_hash(c.id for c in prepared.everything):
        raise UsageError(f"--resume: {path} is of other cells (another torch, device, mode or level)")
    if (header.level, header.seed) != (request.level, request.seed):
        raise UsageError(f"--resume: {path} has level {header.level} and seed {header.seed}")
    return {cell.id: cell.outcome for cell in run.cells.values() if cell.outcome is not None}


def execute(prepared: Prepared, progress: Told, begun: float) -> int:
    """Run what is selected and write journal and report. Returns the exit code.

    `progress` is told of every cell and its outcome; `begun` is when the command started. At level 4 the cells
    that pass are run again on fresh seeds until the budget is spent.
    """
    request = prepared.request
    journal, done = begin(prepared)
    left = [c for c in prepared.cells if c.id not in done]
    watch = Watch(Tail(journal.path, journal.path.stat().st_size), progress)
    watch.outcomes.update(done)
    plan = plan_for(prepared, journal)
    interrupted, stages, stopped = False, Counter[str](), ""
    try:
        stages = run_units(units(left), plan, watch)
        if request.level >= SOAK:
            stages += soak(prepared.cells, plan, begun + request.budget)
        explain(prepared, plan)
    except KeyboardInterrupt:
        interrupted = True
    except WorkersError as error:
        stopped = str(error)
    except OSError as error:
        raise IncompleteError(f"{error}; what had finished is in {journal.path}") from error
    code = close(prepared, journal, interrupted, stages, time.monotonic() - begun)
    if stopped:
        raise IncompleteError(stopped)
    return code


def plan_for(prepared: Prepared, journal: Journal) -> Plan:
    """What the pool needs to know."""
    request = prepared.request
    pinned: dict[str, list[tuple[str, str, str]]] = {}
    for cell_id, case, where in known.pinned(prepared.known, (c.id for c in prepared.cells)):
        subject, _, target, _ = cell_id.split("::")
        pinned.setdefault(f"{subject}::{target}", []).append((cell_id, case, where))
    options = {"level": request.level, "seed": request.seed, "cifar10": request.cifar10}
    return Plan(
        request.out,
        journal,
        options,
        list(request.setup),
        prepared.known,
        request.workers,
        request.timeout,
        pinned,
    )


def explain(prepared: Prepared, plan: Plan) -> None:
    """Give the failures that need it a script, and try the scripts in fresh processes, as many at once as workers.

    Up to the standard level this is done for what is not known alone: a known deviation was tried when it was entered.
    """
    run = read(plan.journal.path)
    failing = [c for c in run.cells.values() if c.failing and c.result is not None]
    if prepared.request.level <= known.STANDARD:
        failing = [c for c in failing if c.known is None]
    dead = {c.id for c in failing if c.outcome in ("crash", "timeout") and not (c.failure and c.failure.script)}
    scripts: dict[str, str] = {c.id: c.failure.script for c in failing if c.failure and c.failure.script}
    lost = [c for c in prepared.cells if c.id in dead][:BLAME]
    with ThreadPoolExecutor(max(1, plan.workers)) as pool:
        texts = pool.map(lambda cell: _killer(cell, plan), lost)
        scripts |= {cell.id: text for cell, text in zip(lost, texts) if text}
        chosen = [i for i in scripts if not (f := run.cells[i].failure) or f.confirmed is None][:CONFIRM]
        parts = [part for i in range(max(1, plan.workers)) if (part := chosen[i :: max(1, plan.workers)])]
        seconds = min(confirm.SECONDS, plan.timeout)
        answers = pool.map(lambda part: confirm.confirm([scripts[i] for i in part], plan.setup, seconds), parts)
        shown = {i: answer for part, told in zip(parts, answers) for i, answer in zip(part, told)}
    lines = _finish_lines(plan.journal.path)
    for cell_id, confirmed in shown.items():
        line = lines[cell_id]
        line["failure"] = {**(line["failure"] or {}), "script": scripts[cell_id], "confirmed": confirmed}
        plan.journal.write("finish", **{k: v for k, v in line.items() if k not in ("event", "time")})


def _killer(cell: Cell, plan: Plan) -> str:
    options = {**plan.options, "pinned": plan.pinned.get(cell.unit, [])}
    return blame.killer(cell.record(), options, plan.setup, plan.timeout)


def _finish_lines(path: Path) -> dict[str, dict[str, Any]]:
    return {line["cell"]: line for line in Tail(path).read() if line.get("event") == "finish"}


def close(
    prepared: Prepared,
    journal: Journal,
    interrupted: bool,
    stages: Iterable[tuple[str, float]] | Counter[str],
    seconds: float,
) -> int:
    """Write the footer and the report; returns the exit code."""
    run = read(journal.path)
    found = counts(run)
    outcomes = {c.id: c.outcome for c in run.cells.values() if c.outcome is not None}
    everywhere = not (prepared.request.devices or prepared.request.modes)
    gone = known.stale(prepared.known, outcomes, prepared.universe, prepared.request.level, everywhere)
    verdict = judge(found, stale=bool(gone))
    code = EXITS[verdict]
    try:
        journal.write(
            "footer", complete=not found.by.get("not_run"), interrupted=interrupted, counts=dict(found.by),
            seconds=round(seconds, 3), verdict=verdict, exit=code, stale=gone,
            profile={k: round(v, 3) for k, v in dict(stages).items()},
        )  # fmt: skip
        write_report(read(journal.path), prepared.request.out / "report.html")
    except OSError as error:
        raise IncompleteError(f"cannot write the report: {error}; the journal is {journal.path}") from error
    return code


def finished(out: Path) -> Run:
    """The run that was written to a folder."""
    return read(out / NAME)


def shown_json(cells: Iterable[Cell]) -> str:
    """The cells as a JSON array."""
    return json.dumps([c.record() for c in cells], indent=1)


def on_terminal() -> bool:
    return sys.stderr.isatty()
