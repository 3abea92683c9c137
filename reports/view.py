"""What the page says without a script: a run, arranged for the template."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from reports.records import SHOWED_NOTHING, Cell, Known, Run
from reports.verdict import Counts, failures, tally

T = TypeVar("T")

_ARTICLES = 200  # failures told in full
_TEXT = 1_500_000  # characters that they may take
_EACH = 4  # of one subject
_LISTED = 25  # of one subject, by name
_GROUPS = 300  # subjects, and reasons


@dataclasses.dataclass(frozen=True)
class Subject:
    """The unexpected failures of one subject: some in full, some by name, the rest by number."""

    name: str
    counts: Counts
    told: tuple[Cell, ...]
    listed: tuple[Cell, ...]
    beyond: int


@dataclasses.dataclass(frozen=True)
class Group:
    """Cells that share a reason."""

    status: str
    reason: str
    cells: Sequence[Cell]

    @property
    def subjects(self) -> list[str]:
        return sorted({cell.subject for cell in self.cells})


@dataclasses.dataclass(frozen=True)
class Slow:
    """Seconds spent on something, and its share of all cells' seconds."""

    name: str
    seconds: float
    share: float


def grouped(cells: Iterable[Cell], key: Callable[[Cell], T]) -> dict[T, list[Cell]]:
    """Cells by a key, in order of appearance."""
    groups: dict[T, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[key(cell)].append(cell)
    return groups


def unexpected(run: Run) -> tuple[list[Subject], int]:
    """The failing subjects, gravest first, and how many more there are than a page can hold."""
    groups = grouped(failures(run, known=False), lambda cell: cell.subject)
    told = _told(groups.values())
    subjects = [_subject(name, cells, told) for name, cells in list(groups.items())[:_GROUPS]]
    return subjects, len(groups) - len(subjects)


def _told(groups: Iterable[Sequence[Cell]]) -> set[str]:
    """The failures to tell in full: the gravest of every subject before the second of any."""
    rounds = [cells[turn] for turn in range(_EACH) for cells in list(groups)[:_GROUPS] if turn < len(cells)]
    told: set[str] = set()
    room = _TEXT
    for cell in rounds[:_ARTICLES]:
        room -= _length(cell)
        if room < 0:
            break
        told.add(cell.id)
    return told


def _length(cell: Cell) -> int:
    failure = cell.failure
    return sum(map(len, (failure.message, failure.case, failure.script, failure.traceback))) if failure else 0


def _subject(name: str, cells: Sequence[Cell], told: set[str]) -> Subject:
    full = tuple(cell for cell in cells if cell.id in told)
    rest = [cell for cell in cells if cell.id not in told]
    return Subject(name, tally(cells), full, tuple(rest[:_LISTED]), max(0, len(rest) - _LISTED))


def known(run: Run) -> dict[Known, list[Cell]]:
    """The known deviations, by entry."""
    return {
        entry: cells for entry, cells in grouped(failures(run, known=True), lambda cell: cell.known).items() if entry
    }


def gaps(run: Run) -> list[Group]:
    """What showed nothing and why, the largest group of each kind first."""
    cells = [cell for cell in run.cells.values() if cell.status in SHOWED_NOTHING]
    groups = [Group(*key, some) for key, some in grouped(cells, _reason).items()]
    missing = run.header.selected - len(run.cells)
    order = ("blocked", "not_run", "not_exercised", "unsupported")
    groups.sort(key=lambda group: (order.index(group.status), -len(group.cells)))
    if missing > 0:
        groups.insert(0, Group("not_run", f"{missing:,} more were selected and never announced", ()))
    return groups


def _reason(cell: Cell) -> tuple[str, str]:
    if cell.result is None:
        return cell.status, "was running when the run ended" if cell.started else "the run ended before it"
    return cell.status, cell.result.detail or "no reason given"


def waivers(run: Run) -> list[Group]:
    """Cells that a declared waiver gave more room, by its reason."""
    cells = [cell for cell in run.cells.values() if cell.result and cell.result.waiver]
    groups = grouped(cells, lambda cell: (cell.result and cell.result.waiver) or "")
    return [Group("pass", reason, some) for reason, some in groups.items()]


def elsewhere(run: Run) -> list[Cell]:
    """Cells that passed with outputs on another kind of device than the one asked for."""

    def kind(device: str) -> str:
        return device.split(":")[0]

    return [
        cell
        for cell in run.cells.values()
        if cell.result and cell.outcome == "pass" and cell.result.device
        if kind(cell.result.device) not in (kind(cell.device), "meta")
    ]


def families(run: Run) -> dict[str, Counts]:
    """The counts of every family."""
    groups = grouped(run.cells.values(), lambda cell: cell.family)
    return {name: tally(groups[name]) for name in sorted(groups)}


def targets(run: Run) -> dict[tuple[str, str], Counts]:
    """The counts of every device and mode."""
    return {
        key: tally(cells) for key, cells in grouped(run.cells.values(), lambda cell: (cell.device, cell.mode)).items()
    }


def stages(run: Run) -> list[Slow]:
    """Seconds by stage of the whole run, longest first."""
    return _slow(run.footer.profile if run.footer else {}, 20)


def slowest(run: Run) -> tuple[list[Slow], list[Slow]]:
    """The subjects and the cells that took longest."""
    subjects: dict[str, float] = defaultdict(float)
    cells: dict[str, float] = {}
    for cell in run.cells.values():
        if cell.result:
            cells[cell.id] = cell.result.seconds
            subjects[cell.subject] += cell.result.seconds
    return _slow(subjects, 10), _slow(cells, 10)


def _slow(seconds: Mapping[str, float], most: int) -> list[Slow]:
    whole = sum(seconds.values()) or 1.0
    longest = sorted(seconds.items(), key=lambda item: -item[1])[:most]
    return [Slow(name, spent, spent / whole) for name, spent in longest if spent > 0]
