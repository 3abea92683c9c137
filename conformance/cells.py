"""Cells, the units of verdict, and units of work, which group the cells that share their cases."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence

OUTCOMES = ("pass", "fail", "error", "unsupported", "crash", "timeout", "blocked", "not_exercised")
# from mild to grave; a worse outcome than a known one is a regression
SEVERITY = {
    "pass": 0, "unsupported": 1, "not_exercised": 1, "blocked": 1, "fail": 2, "error": 2, "timeout": 3, "crash": 4,
}  # fmt: skip
# the subject of what everything else depends on: creation, copy and equality of tensors
BASE = "tensor"


@dataclasses.dataclass(frozen=True)
class Cell:
    """(subject, check, target, dtype), with the lowest level at which it runs."""

    kind: str
    subject: str
    family: str
    check: str
    device: str
    mode: str
    dtype: str
    level: int

    @property
    def target(self) -> str:
        return target_name(self.device, self.mode)

    @property
    def id(self) -> str:
        return f"{self.subject}::{self.check}::{self.target}::{self.dtype}"

    @property
    def unit(self) -> str:
        return f"{self.subject}::{self.target}"

    def record(self) -> dict[str, object]:
        """The cell as `list --json` and the journal show it."""
        return {"id": self.id, **dataclasses.asdict(self)}


def target_name(device: str, mode: str) -> str:
    return device if mode == "eager" else f"{device}+{mode}"


def cell_from(record: dict[str, object]) -> Cell:
    """The cell that `record` wrote."""
    fields = {f.name: record[f.name] for f in dataclasses.fields(Cell)}
    return Cell(**fields)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Unit:
    """The cells of one subject on one target."""

    id: str
    cells: tuple[Cell, ...]


def units(cells: Iterable[Cell]) -> list[Unit]:
    """Cells grouped by subject and target, in order of first appearance."""
    grouped: dict[str, list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(cell.unit, []).append(cell)
    return [Unit(name, tuple(group)) for name, group in grouped.items()]


def manifest_hash(ids: Iterable[str]) -> str:
    """SHA-256 of the sorted ids: equal for runs that should bring the same cells."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def in_shard(unit: str, shard: Sequence[int] | None) -> bool:
    """Whether a unit belongs to shard i of n (1-based), by a hash that is the same everywhere."""
    if shard is None:
        return True
    index, count = shard
    return int(hashlib.sha256(unit.encode()).hexdigest(), 16) % count == index - 1
