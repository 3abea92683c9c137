"""Writes journals: one `write` in append mode for each line, from any number of processes. See docs/journal.md."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from traceback import format_exception
from typing import Any

from conformance.cells import Cell

SCHEMA = 1
NAME = "journal.jsonl"


def failure(
    message: str, case: str = "", script: str = "", worst: Any = None, shrunk: bool = False, traceback: str = ""
) -> dict[str, Any]:
    """The `failure` of a finish line; `worst` is a record. See docs/journal.md for the fields."""
    return {
        "message": message, "case": case, "worst": None if worst is None else dataclasses.asdict(worst),
        "script": script, "confirmed": None, "shrunk": shrunk, "traceback": traceback,
    }  # fmt: skip


def traced(error: BaseException) -> str:
    """The end of an exception's traceback, as a journal holds it."""
    return "".join(format_exception(error))[-4000:]


class JournalWriteError(OSError):
    """The journal could not be written: the disk is full, or the folder is not writable."""


class Journal:
    """An open journal. Lines of different processes never mix: each is one append."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise JournalWriteError(error.errno, f"cannot write {path}: {error.strerror}") from error

    def write(self, event: str, **fields: Any) -> None:
        """Append one line."""
        record = {"event": event, "time": round(time.time(), 6), **fields}
        line = (json.dumps(record, default=str) + "\n").encode()
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise JournalWriteError(error.errno, f"cannot write {self.path}: {error.strerror}") from error
        if written != len(line):
            raise JournalWriteError(28, f"cannot write {self.path}: No space left on device")

    def cells(self, cells: list[Cell]) -> None:
        """Announce the cells that the run should bring, some hundreds to a line."""
        for i in range(0, len(cells), 200):
            self.write("cells", cells=[c.record() for c in cells[i : i + 200]])

    def mend(self) -> None:
        """End a torn last line, so that what is appended after a kill starts on a line of its own."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def close(self) -> None:
        os.close(self._file)


class Tail:
    """Reads what has been appended to a journal since the last look."""

    def __init__(self, path: Path, start: int = 0):
        self._path, self._at, self._rest = path, start, b""

    def read(self) -> list[dict[str, Any]]:
        """The complete new lines; a torn or foreign one is left out."""
        with open(self._path, "rb") as file:
            file.seek(self._at)
            new = file.read()
        self._at += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return [record for record in map(_decoded, lines) if record is not None]


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
