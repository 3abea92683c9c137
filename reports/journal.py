"""The reader of journals: `read` turns a file of JSON lines into a `Run`, or says in one sentence why not.

What can be said about runs is gathered here too: counts, verdict, merging of shards, comparison.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reports.compare import Change, Comparison, compare
from reports.merge import merge
from reports.parse import Fields, read_cell, read_environment, read_footer, read_header, read_result
from reports.records import (
    NOT_RUN,
    OUTCOMES,
    SCHEMA,
    SEVERITY,
    Cell,
    Footer,
    Header,
    JournalError,
    Result,
    Run,
    together,
)
from reports.verdict import Counts, advice, counts, exit_code, percent, sentence, verdict

__all__ = [
    "NOT_RUN",
    "OUTCOMES",
    "SCHEMA",
    "SEVERITY",
    "Cell",
    "Change",
    "Comparison",
    "Counts",
    "Footer",
    "Header",
    "JournalError",
    "Result",
    "Run",
    "advice",
    "compare",
    "counts",
    "exit_code",
    "merge",
    "parse",
    "percent",
    "read",
    "sentence",
    "verdict",
]


def read(path: str | Path) -> Run:
    """Read a journal, or the ``journal.jsonl`` of a run's folder.

    A torn last line is skipped, and so is one that a resumed run left behind. Everything else that is
    not of the schema raises JournalError with the number of its line.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "journal.jsonl"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse(content, str(path))


def parse(content: bytes, path: str = "journal") -> Run:
    """Turn the bytes of a journal into a Run; ``path`` is what errors call it."""
    lines = _objects(content.split(b"\n"), path)
    first = next(lines, None)
    if first is None or first.data.get("event") != "header":
        raise _no_journal(path)
    if first.data.get("schema") != SCHEMA:
        found = f"{first.data.get('schema')!r:.20}"
        raise first.wrong(f"schema version {found} is unknown, this reader knows {SCHEMA}")
    reading = _Reading(read_header(first))
    for line in lines:
        reading.take(line)
    return reading.run(path)


def _objects(lines: list[bytes], path: str) -> Iterator[Fields]:
    """The objects of a journal, each with its place."""
    torn = ""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        data = _decode(line)
        if torn and (data is None or data.get("event") != "resume"):
            raise JournalError(torn)
        torn = ""
        if data is not None:
            yield Fields(where, data)
        elif number == 1:
            raise _no_journal(path)
        else:
            # forgiven at the end, and where a run was cut off and resumed
            torn = f"{where}: this is not a JSON object."


def _no_journal(path: str) -> JournalError:
    return JournalError(f"{path}: this is not a journal, line 1 is no header.")


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


class _Reading:
    """What has been read so far."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.cells: dict[str, Cell] = {}
        self.started: set[str] = set()
        self.results: dict[str, tuple[str, Result]] = {}
        self.notes: list[str] = []
        self.footer: Footer | None = None
        self.last = header.time

    def take(self, line: Fields) -> None:
        event = line.need("event", str)
        self.last = max(self.last, line.find("time", float) or 0.0)
        if event == "cells":
            for item in line.records("cells"):
                cell = read_cell(item)
                self.cells.setdefault(cell.id, cell)
        elif event == "start":
            self.started.add(line.need("cell", str))
        elif event == "finish":
            id, result = line.need("cell", str), read_result(line)
            before = self.results.get(id)
            self.results[id] = (line.where, together(before[1], result) if before else result)
        elif event == "note":
            self.notes.append(line.need("text", str))
        elif event == "resume":
            self.footer = None
            self._resume(line)
        elif event == "footer":
            self.footer = read_footer(line)
        else:
            raise line.wrong(f"the event {event!r:.40} is not of this schema")

    def _resume(self, line: Fields) -> None:
        environment = line.record("environment")
        was = self.header.environment.torch
        now = read_environment(environment).torch if environment else was
        if (was.version, was.git) != (now.version, now.git):
            torches = f"Begun under torch {was.version} and resumed under {now.version}"
            self.notes.append(f"{torches}: the outcomes are of two torches.")

    def run(self, path: str) -> Run:
        for id, (where, _) in self.results.items():
            if id not in self.cells:
                raise JournalError(f"{where}: the cell {id!r:.200} finished and was never announced.")
        cells = {
            id: dataclasses.replace(
                cell, started=id in self.started, result=self.results[id][1] if id in self.results else None
            )
            for id, cell in self.cells.items()
        }
        return Run(path, self.header, cells, tuple(self.notes), self.footer, self.last)
