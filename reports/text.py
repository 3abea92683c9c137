"""The same run for a terminal: at most forty lines of plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from reports import verdict, view
from reports.compare import Change, Comparison
from reports.records import FAILING, Cell, Known, Run
from reports.show import duration, number, shown

LINES = 40


def summary(run: Run, width: int = 100) -> str:
    """The verdict, each failing subject in a line, known deviations, what showed nothing, what to do next."""
    devices = ", ".join(sorted({cell.device for cell in run.cells.values()}))
    where = f"{run.environment.platform}, {devices or 'no device'}, {duration(run.seconds)}"
    # what a person must read or will paste is whole, whatever the width
    sentence = _line(verdict.sentence(run))
    steps = _section("Next", [_line(step.replace("`", "")) for step in verdict.advice(run)], LINES)
    known = _section("Known deviations", map(_known, view.known(run).items()), 5)
    gaps = _section("Showed nothing", map(_gap, view.gaps(run)), 6)
    groups = view.grouped(verdict.failures(run, known=False), lambda cell: cell.subject)
    room = LINES - len(steps) - len(known) - len(gaps) - 3
    bad = _section("Failing", map(_subject, groups.values()), room)
    return "\n".join([sentence, *(_fit(line, width) for line in [where, *bad, *known, *gaps]), *steps])


def comparison(found: Comparison, width: int = 100) -> str:
    """What changed from one run to another, regressions first."""
    was, now = found.counts
    lines = ["No regression." if not found.regressions else "Regression: " + " ".join(found.regressions)]
    for name, run, counts in (("before", found.before, was), ("after", found.after, now)):
        shares = f"{counts.passed:,} passed / {counts.applicable:,} applicable / {counts.total:,} total"
        lines.append(f"{name:6} torch {run.environment.torch.version}, {shares}: {run.path}")
    for name, changes in _directions(found):
        lines += _section(f"{name} ({len(changes):,})", map(str, changes), 20) if changes else []
    return "\n".join([_line(lines[0]), *(_fit(line, width) for line in lines[1:])])


def _directions(found: Comparison) -> list[tuple[str, tuple[Change, ...]]]:
    return [
        ("Worse", found.worse),
        ("Removed", found.removed),
        ("Changed", found.changed),
        ("Better", found.better),
        ("Added", found.added),
    ]


def _section(title: str, lines: Iterable[str], most: int) -> list[str]:
    """A title and its lines, of which the last says how many are left out."""
    lines = list(lines)
    if not lines:
        return []
    if len(lines) > most:
        lines = [*lines[: most - 1], f"and {len(lines) - most + 1:,} more"]
    return [f"{title}:", *(f"  {line}" for line in lines)]


def _subject(cells: Sequence[Cell]) -> str:
    by = Counter(cell.status for cell in cells)
    kinds = ", ".join(f"{by[kind]:,} {kind}" for kind in reversed(FAILING) if by[kind])
    worst, result = cells[0], cells[0].result
    said = _first(worst.failure.message if worst.failure else result.detail if result else "")
    ratio = f", error/allowed {number(result.ratio)}" if result and result.ratio is not None else ""
    return f"{worst.subject}: {kinds}; {worst.id.removeprefix(worst.subject + '::')}{ratio}: {said}"


def _known(entry: tuple[Known, Sequence[Cell]]) -> str:
    known, cells = entry
    return f"{verdict.plural(len(cells), 'cell')}: {_first(known.reason)} {known.link}".rstrip()


def _gap(group: view.Group) -> str:
    many = f"{len(group.cells):,} " if group.cells else ""
    return f"{many}{group.status.replace('_', ' ')}: {_first(group.reason)}"


def _first(text: str) -> str:
    return text.strip().split("\n")[0]


def _line(text: str) -> str:
    """One line in which nothing can command the terminal."""
    return shown(text.replace("\n", " "))


def _fit(text: str, width: int) -> str:
    line = _line(text)
    return line if len(line) <= width else line[: width - 3] + "..."
