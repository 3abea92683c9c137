"""All cells of a run as compact JSON: interned texts and one list for each column, some 50 bytes a cell."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

from reports.records import SEVERITY, Cell, Run

_DETAIL = 160  # characters of a detail
_DETAILS = 1_000_000  # characters of all details: a device on which everything fails must not fill the report
_BEYOND = "(see the journal)"


class Table:
    """Values by number, each of them once."""

    def __init__(self, *values: Hashable) -> None:
        self.numbers: dict[Hashable, int] = {}
        for value in values:
            self.number(value)

    def number(self, value: Hashable) -> int:
        return self.numbers.setdefault(value, len(self.numbers))

    @property
    def values(self) -> list[Hashable]:
        return list(self.numbers)


def pack(run: Run, anchors: Mapping[str, str]) -> str:
    """The data of the report's script; ``anchors`` says which cells have a failure of their own in the page.

    The text is ASCII without ``<``, ``>`` or ``&``, so that it can neither leave nor change its element.
    """
    packing = _Packing()
    for cell in run.cells.values():
        packing.add(cell, anchors.get(cell.id))
    text = json.dumps(packing.data(), separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


class _Packing:
    """Tables and columns as they grow."""

    def __init__(self) -> None:
        self.statuses = Table(*SEVERITY)
        self.families, self.subjects, self.checks = Table(), Table(), Table()
        self.targets, self.dtypes, self.devices, self.endings = Table(), Table(), Table(), Table()
        self.details = Table("")
        self.room = _DETAILS
        self.anchors: dict[int, str] = {}
        self.farthest: dict[tuple[float | None, ...], tuple[float, int, str]] = {}
        self.columns: dict[str, list[float | None]] = defaultdict(list)

    def add(self, cell: Cell, anchor: str | None) -> None:
        result = cell.result
        subject = (cell.subject, self.families.number(cell.family))
        row: dict[str, float | None] = {
            "subject": self.subjects.number(subject),
            "check": self.checks.number(cell.check),
            "target": self.targets.number((cell.device, cell.mode)),
            "dtype": self.dtypes.number(cell.dtype),
            "id": self.endings.number(_ending(cell)),
            "status": self.statuses.number(cell.status),
            "mark": _mark(cell),
            "ratio": _short(result.ratio) if result else None,
            "ulp": _short(result.ulp) if result else None,
            "examples": result.examples if result else 0,
            "elements": result.elements if result else 0,
            "ran": self.devices.number((result.device if result else None) or ""),
            "seconds": _short(result.seconds) if result else None,
            "detail": self._detail(cell),
        }
        self._atlas(cell, row, len(self.columns["id"]))
        if anchor:
            self.anchors[len(self.columns["id"])] = anchor
        for name, value in row.items():
            self.columns[name].append(value)

    def _atlas(self, cell: Cell, row: Mapping[str, float | None], number: int) -> None:
        """The cell with the largest error of a subject in a dtype on a target is the one that the atlas shows."""
        if cell.result is None or cell.outcome != "pass" or not cell.result.ulp:
            return
        key = (row["subject"], row["target"], row["dtype"])
        if cell.result.ulp > self.farthest.get(key, (0.0,))[0]:
            self.farthest[key] = (cell.result.ulp, number, cell.result.farthest)

    def _detail(self, cell: Cell) -> int:
        if cell.result is None:
            return self.details.number("was running when the run ended" if cell.started else "")
        text = cell.result.detail or cell.result.waiver or ""
        if cell.known:
            text = cell.known.reason
        elif cell.failure and not text:
            text = cell.failure.message.strip().split("\n")[0]
        text = text[:_DETAIL]
        if text not in self.details.numbers:
            self.room -= len(text)
        return self.details.number(text if self.room > 0 else _BEYOND)

    def data(self) -> dict[str, Any]:
        return {
            "statuses": self.statuses.values,
            "families": self.families.values,
            "subjects": self.subjects.values,
            "checks": self.checks.values,
            "targets": self.targets.values,
            "dtypes": self.dtypes.values,
            "devices": self.devices.values,
            "endings": self.endings.values,
            "details": self.details.values,
            "anchors": self.anchors,
            "farthest": [[number, text] for _, number, text in self.farthest.values()],
            "columns": self.columns,
        }


def _ending(cell: Cell) -> tuple[bool, str]:
    """What an id says beyond subject and check, which few cells do not share; else the whole id."""
    beginning = f"{cell.subject}::{cell.check}::"
    if cell.id.startswith(beginning):
        return True, cell.id[len(beginning) :]
    return False, cell.id


def _mark(cell: Cell) -> int:
    """1 for a known deviation, 2 for a pass under a waiver."""
    if cell.failing:
        return 1 if cell.known else 0
    return 2 if cell.outcome == "pass" and cell.result and cell.result.waiver else 0


def _short(number: float | None) -> float | None:
    """Three digits; -1 stands for inf and -2 for nan, which JSON cannot say."""
    if number is None:
        return None
    if not math.isfinite(number):
        return -2 if math.isnan(number) else -1
    short = float(f"{number:.3g}")
    return int(short) if short.is_integer() else short
