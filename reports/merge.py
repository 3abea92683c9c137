"""One journal out of the shards of a run, after proof that they are disjoint and complete."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reports.records import NOT_RUN, SCHEMA, Cell, JournalError, Result, Run, Stale
from reports.verdict import EXITS, judge, tally

_CHUNK = 1000  # cells in a line


def merge(runs: Sequence[Run]) -> list[str]:
    """The lines of one journal that holds what all shards of a run found.

    Raises JournalError, naming what is missing or doubled, unless the shards are of the same run (manifest,
    seed, level, selection, torch), each of them once, with no cell twice and none left out.
    """
    if not runs:
        raise JournalError("There is nothing to merge.")
    _prove_same(runs)
    runs = _prove_shards(runs)
    _prove_announced(runs)
    _prove_disjoint(runs)
    _prove_complete(runs)
    return [json.dumps(line, separators=(",", ":")) for line in _lines(runs)]


def manifest(ids: Iterable[str]) -> str:
    """The hash of a set of cells: SHA-256 over the sorted ids, joined by newlines."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def _identity(run: Run) -> dict[str, object]:
    header, torch = run.header, run.environment.torch
    return {
        "manifest": header.manifest,
        "total": header.total,
        "seed": header.seed,
        "level": header.level,
        "selection": header.select,
        "torch version": torch.version,
        "torch commit": torch.git,
    }


def _prove_same(runs: Sequence[Run]) -> None:
    first = _identity(runs[0])
    for run in runs[1:]:
        for name, value in _identity(run).items():
            if value != first[name]:
                there, here = f"{first[name]}, {run.path} has {value}", runs[0].path
                raise JournalError(f"Not shards of the same run: {here} has {name} {there}.")


def _prove_shards(runs: Sequence[Run]) -> list[Run]:
    """The runs in the order of their shards."""
    found: dict[int, Run] = {}
    of = runs[0].header.shard
    for run in runs:
        shard = run.header.shard
        if shard is None or of is None:
            raise JournalError(f"{run.path} is not a shard: its header names none.")
        if shard[1] != of[1]:
            raise JournalError(
                f"Not shards of the same run: {runs[0].path} is one of {of[1]}, {run.path} of {shard[1]}."
            )
        if shard[0] in found:
            raise JournalError(f"Shard {shard[0]}/{shard[1]} is there twice: {found[shard[0]].path} and {run.path}.")
        found[shard[0]] = run
    n = of[1] if of else 0
    missing = [f"{i}/{n}" for i in range(1, n + 1) if i not in found]
    if missing:
        raise JournalError(f"Missing {'shard' if len(missing) == 1 else 'shards'}: {_some(missing)}.")
    return [found[i] for i in sorted(found)]


def _prove_announced(runs: Sequence[Run]) -> None:
    for run in runs:
        if len(run.cells) != run.header.selected:
            what = f"its header promises {run.header.selected:,} cells and it names {len(run.cells):,}"
            raise JournalError(f"{run.path} is not complete: {what}.")


def _prove_disjoint(runs: Sequence[Run]) -> None:
    times = Counter(id for run in runs for id in run.cells)
    doubled = [id for id, number in times.items() if number > 1]
    if doubled:
        raise JournalError(f"Not disjoint: {len(doubled):,} cells are in more than one shard: {_some(doubled)}.")


def _prove_complete(runs: Sequence[Run]) -> None:
    header = runs[0].header
    ids = [id for run in runs for id in run.cells]
    if header.select and len(ids) < header.total:
        return  # the manifest is of all cells, and says nothing about a part of them
    if len(ids) != header.total:
        raise JournalError(f"Not complete: the run has {header.total:,} cells and its shards hold {len(ids):,}.")
    if manifest(ids) != header.manifest:
        raise JournalError(f"Not complete: the {len(ids):,} cells of the shards are not those of the manifest.")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _lines(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    header = runs[0].header
    cells = [cell for run in runs for cell in run.cells.values()]
    begun, ended = min(run.header.time for run in runs), max(run.last for run in runs)
    yield {
        "event": "header",
        "schema": SCHEMA,
        **dataclasses.asdict(header),
        "time": begun,
        "shard": None,
        "selected": len(cells),
    }
    for first in range(0, len(cells), _CHUNK):
        chunk = [_announced(cell) for cell in cells[first : first + _CHUNK]]
        yield {"event": "cells", "time": begun, "cells": chunk}
    for cell in cells:
        if cell.result:
            yield {"event": "finish", "cell": cell.id, **_finished(cell.result)}
    for run in runs:
        for note in run.notes:
            yield {"event": "note", "time": run.last, "text": note}
    yield from ({"event": "note", "time": ended, "text": text} for text in _strangers(runs))
    yield {"event": "footer", "time": ended, **_footer(runs, cells)}


def _announced(cell: Cell) -> dict[str, Any]:
    return {
        field.name: getattr(cell, field.name)
        for field in dataclasses.fields(cell)
        if field.name not in ("started", "result")
    }


def _finished(result: Result) -> dict[str, Any]:
    numbers = {"ratio": result.ratio, "ulp": result.ulp}
    # JSON has no inf and no nan
    strange = {name: str(x) for name, x in numbers.items() if x is not None and not math.isfinite(x)}
    return {**dataclasses.asdict(result), **strange}


def _strangers(runs: Sequence[Run]) -> Iterator[str]:
    """Shards that ran on another kind of machine than the one that the merged header describes."""
    first = runs[0].environment
    for run in runs[1:]:
        other = run.environment
        if (other.cpu, other.devices, other.platform) != (first.cpu, first.devices, first.platform):
            devices = ", ".join(f"{device.device} {device.name}".strip() for device in other.devices)
            yield f"{run.path} ran on another machine: {other.platform}, {other.cpu}, {devices}."


def _footer(runs: Sequence[Run], cells: Sequence[Cell]) -> dict[str, Any]:
    counts, stale = tally(cells), _stale(runs)
    verdict = judge(counts, stale=bool(stale))
    profile: Counter[str] = Counter()
    for run in runs:
        profile.update(run.footer.profile if run.footer else {})
    return {
        "complete": NOT_RUN not in counts.by,
        "interrupted": any(run.footer is None or run.footer.interrupted for run in runs),
        "counts": {outcome: number for outcome, number in counts.by.items() if outcome != NOT_RUN},
        "seconds": sum(run.seconds for run in runs),
        "verdict": verdict,
        "exit": EXITS[verdict],
        "stale": [dataclasses.asdict(entry) for entry in stale],
        "profile": profile,
    }


def _stale(runs: Sequence[Run]) -> list[Stale]:
    """The entries that a shard judged: it does so only where it ran every cell that an entry matches.

    An entry whose cells are in several shards is judged in none of them.
    """
    if any(run.footer is None for run in runs):
        return []
    return list({entry.pattern: entry for run in runs if run.footer for entry in run.footer.stale}.values())
