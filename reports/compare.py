"""What changed between two runs, cell by cell, so that nothing cancels out in a sum."""

from __future__ import annotations

import dataclasses

from reports.records import FAILING, SEVERITY, SHOWED_NOTHING, Cell, Run
from reports.verdict import Counts, counts, plural


@dataclasses.dataclass(frozen=True)
class Change:
    """One cell in two runs; ``before`` or ``after`` is None where the cell was added or removed."""

    id: str
    before: Cell | None
    after: Cell | None

    def __str__(self) -> str:
        return f"{self.id}: {label(self.before)} -> {label(self.after)}"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs side by side. ``regressions`` says in sentences why the second is worse; empty: it is not."""

    before: Run
    after: Run
    counts: tuple[Counts, Counts]
    worse: tuple[Change, ...]
    better: tuple[Change, ...]
    changed: tuple[Change, ...]  # neither: from one failure to an equally grave one, or out of sight
    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    regressions: tuple[str, ...]


def label(cell: Cell | None) -> str:
    """An outcome in words, and whether it is known."""
    if cell is None:
        return "absent"
    known = "known " if cell.failing and cell.known else ""
    return known + cell.status.replace("_", " ")


def compare(a: Run, b: Run) -> Comparison:
    """Compare each cell of ``a`` with the same cell of ``b``, the later run."""
    found: dict[str, list[Change]] = {name: [] for name in ("worse", "better", "changed", "added", "removed")}
    for id in {**a.cells, **b.cells}:
        change = Change(id, a.cells.get(id), b.cells.get(id))
        direction = _direction(change.before, change.after)
        if direction:
            found[direction].append(change)
    both = counts(a), counts(b)
    regressions = tuple(_regressions(a, b, both, found))
    changes = {name: tuple(sorted(some, key=_gravity)) for name, some in found.items()}
    return Comparison(a, b, both, regressions=regressions, **changes)


def _gravity(change: Change) -> tuple[int, str]:
    return -max(SEVERITY[cell.status] for cell in (change.before, change.after) if cell), change.id


def _direction(before: Cell | None, after: Cell | None) -> str:
    if before is None or after is None:
        return "added" if before is None else "removed"
    was, now = before.status, after.status
    if was == now and (before.known is None) == (after.known is None):
        return ""
    if was in FAILING and now in SHOWED_NOTHING:
        # the failure is out of sight, which does not mend it
        return "changed"
    if SEVERITY[now] != SEVERITY[was]:
        return "worse" if SEVERITY[now] > SEVERITY[was] else "better"
    return "worse" if before.known and not after.known and after.failing else "changed"


def _regressions(a: Run, b: Run, both: tuple[Counts, Counts], found: dict[str, list[Change]]) -> list[str]:
    was, now = both
    reasons = []
    if found["worse"]:
        reasons.append(f"{plural(len(found['worse']), 'cell')} got worse.")
    unexpected = sum(change.after is not None and _unexpected(change.after) for change in found["added"])
    if unexpected:
        reasons.append(f"{plural(unexpected, 'new cell')} failed.")
    # with one manifest the cells outside a selection still exist, and only were not asked for
    if found["removed"] and a.header.manifest != b.header.manifest:
        gone = len(found["removed"])
        reasons.append(f"{plural(gone, 'cell')} of the earlier run {'is' if gone == 1 else 'are'} gone.")
    if now.total < was.total:
        reasons.append(f"The total shrank from {was.total:,} to {now.total:,}.")
    hidden = sum(
        change.after is not None and not change.after.failing for change in found["changed"] if _failed(change)
    )
    if hidden:
        reasons.append(f"{plural(hidden, 'failure')} of the earlier run can no longer be seen.")
    return reasons


def _failed(change: Change) -> bool:
    return change.before is not None and change.before.failing


def _unexpected(cell: Cell) -> bool:
    return cell.failing and cell.known is None
