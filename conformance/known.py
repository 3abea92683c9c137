"""Known deviations: a TOML file of what is expected to be wrong, and why.

    [[deviation]]
    id = "linalg.det::forward_over_forward::*::*"     # a pattern of cell ids (or a list of them)
    outcome = "fail"                                  # fail < timeout < crash: a worse one is a regression
    torch = ">=2.2,<2.16"                             # versions of torch, as in PEP 440; optional
    device = "cpu"                                    # a pattern of devices; optional
    case = "f(array([[1.0, 0.0], [0.0, 1.0]]))"       # tried in the cells it covers; optional
    where = "dim == ()"                               # which cases deviate; optional, with a case
    when = "sometimes"                                # a rare event: that it does not show says nothing; optional
    reason = "the JVP takes the LU factors as constants"
    link = "https://github.com/pytorch/pytorch/issues/196696"

`where` is a Python expression over the arguments of a case by their names in the signature (arrays are
NumPy arrays, `np` is NumPy). Cases for which it is true are kept out of the cell, so that the deviation
hides nothing else: the cell is a known failure if its pinned case alone fails, and an unexpected one if
any other case does.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from conformance import literal
from conformance.cells import OUTCOMES, SEVERITY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STANDARD = 2  # the level at which entries are judged
SHIPPED = Path(__file__).parent / "known"
FIELDS = {"id", "outcome", "torch", "device", "mode", "case", "where", "when", "reason", "link"}


class KnownFileError(Exception):
    """The file cannot be used; one sentence says why."""


@dataclasses.dataclass(frozen=True)
class Deviation:
    """One entry of the file."""

    patterns: tuple[str, ...]
    outcome: str
    reason: str
    link: str
    case: str | None = None
    where: str | None = None
    versions: str = ""
    device: str = "*"
    rare: bool = False

    @functools.cached_property
    def _match(self) -> Callable[[str], object]:
        return re.compile("|".join(fnmatch.translate(p) for p in self.patterns)).match

    @functools.cached_property
    def _subjects(self) -> Callable[[str], object]:
        return re.compile(
            "|".join(fnmatch.translate(p.split("::")[0] if "::" in p else "*") for p in self.patterns)
        ).match

    def touches(self, subject: str) -> bool:
        """Whether it may cover a cell of a subject: what is asked before every cell is."""
        return self._subjects(subject) is not None

    def covers(self, cell_id: str) -> bool:
        return self._match(cell_id) is not None and self.is_about(cell_id.split("::")[2])

    def is_about(self, target: str) -> bool:
        """Whether a target is of the device that the entry is about, in any mode."""
        return fnmatch.fnmatchcase(target.split("+")[0], self.device)

    def excuses(self, cell_id: str, outcome: str) -> bool:
        """Whether this outcome of the cell is the one expected, or a milder one that still is a failure."""
        return self.covers(cell_id) and SEVERITY["fail"] <= SEVERITY[outcome] <= SEVERITY[self.outcome]

    def holds_for(self, torch_version: str) -> bool:
        """Whether the entry is about this version of torch (development builds count as their release)."""
        if not self.versions:
            return True
        try:
            version = Version(torch_version)
        except InvalidVersion:
            return False
        return SpecifierSet(self.versions).contains(Version(version.base_version), prereleases=True)


def load(path: Path) -> list[Deviation]:
    """The entries of a file. Raises KnownFileError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KnownFileError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KnownFileError(f"{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise KnownFileError(f"{path}: malformed TOML: {error}") from error
    entries = content.pop("deviation", [])
    if content or not isinstance(entries, list):
        raise KnownFileError(f"{path}: only [[deviation]] entries are allowed, found {', '.join(content) or 'other'}")
    return [_entry(path, i, e) for i, e in enumerate(entries, start=1)]


def shipped() -> list[Deviation]:
    """Every entry that comes with the suite."""
    return [entry for path in sorted(SHIPPED.glob("*.toml")) for entry in load(path)]


def _entry(path: Path, number: int, entry: Any) -> Deviation:
    where = f"{path}: deviation {number}"
    if not isinstance(entry, dict):
        raise KnownFileError(f"{path}: only [[deviation]] entries are allowed")
    unknown = set(entry) - FIELDS
    missing = {"id", "outcome", "reason"} - set(entry)
    if unknown or missing:
        what = f"unknown field {min(unknown)!r}" if unknown else f"no {min(missing)!r}"
        raise KnownFileError(f"{where}: {what}")
    ids = entry["id"] if isinstance(entry["id"], list) else [entry["id"]]
    if not all(isinstance(i, str) for i in [*ids, *(v for k, v in entry.items() if k != "id")]):
        raise KnownFileError(f"{where}: every field is a string (id may be a list of them)")
    if entry["outcome"] not in OUTCOMES or SEVERITY[entry["outcome"]] < SEVERITY["fail"]:
        raise KnownFileError(f"{where}: outcome must be one of fail, error, timeout, crash")
    if entry.get("when", "sometimes") != "sometimes":
        raise KnownFileError(f"{where}: when can be 'sometimes' alone")
    if "where" in entry and "case" not in entry:
        raise KnownFileError(f"{where}: where needs a case that shows the deviation")
    try:
        compile(entry.get("where", "True"), "where", "eval")
        SpecifierSet(entry.get("torch", ""))
        literal.read(entry.get("case", "f()"))
    except (InvalidSpecifier, SyntaxError, ValueError) as error:
        raise KnownFileError(f"{where}: {error}") from error
    return Deviation(
        tuple(ids), entry["outcome"], entry["reason"], entry.get("link", ""),
        entry.get("case"), entry.get("where"), entry.get("torch", ""), entry.get("device", "*"),
        "when" in entry,
    )  # fmt: skip


def applicable(entries: Iterable[Deviation], torch_version: str) -> list[Deviation]:
    return [e for e in entries if e.holds_for(torch_version)]


def match(entries: Sequence[Deviation], cell_id: str, outcome: str, pinned_alone: bool) -> dict[str, str] | None:
    """The `known` field of a finish line: the reason and link of the entry that expects this outcome.

    An entry with `where` explains only failures of pinned cases (`pinned_alone`), and a process that ended.
    """
    for entry in entries:
        if entry.excuses(cell_id, outcome) and (entry.where is None or pinned_alone or outcome in ("crash", "timeout")):
            return {"reason": entry.reason, "link": entry.link}
    return None


def pinned(entries: Sequence[Deviation], cell_ids: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(cell id, case, where) for every cell that an entry with a case covers; "" for no where."""
    for subject, ids in by_subject(cell_ids).items():
        near = [e for e in entries if e.case and e.touches(subject)]
        yield from ((i, e.case, e.where or "") for i in ids for e in near if e.case and e.covers(i))


def by_subject(cell_ids: Iterable[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for cell in cell_ids:
        grouped.setdefault(cell.split("::", 1)[0], []).append(cell)
    return grouped


def stale(
    entries: Sequence[Deviation], outcomes: Mapping[str, str], cells: Mapping[str, int], level: int, everywhere: bool
) -> list[dict[str, str]]:
    """The entries that no longer tell the truth: they match no cell, or every cell they match does better.

    `cells` are the ids of all cells of these targets, with the level of each. An entry is judged where every
    cell that it matches, up to this run's level and to the standard one at least, has an outcome: a smoke run
    or a part of a run says nothing of it. One that matches nothing is judged in a run on every target.
    """
    targets = {cell.split("::")[2] for cell in cells}
    grouped = by_subject(cells)
    found = []
    for entry in entries:
        near = (cell for subject, ids in grouped.items() if entry.touches(subject) for cell in ids)
        covered = [cell for cell in near if entry.covers(cell)]
        expected = [cell for cell in covered if cells[cell] <= max(level, STANDARD)]
        seen = [outcomes[cell] for cell in expected if cell in outcomes]
        if any(SEVERITY[o] >= SEVERITY[entry.outcome] for o in seen) or len(seen) < len(expected):
            continue
        if entry.rare and covered:
            continue
        if (covered and not expected) or not any(map(entry.is_about, targets)) or not (covered or everywhere):
            continue
        if not covered:
            why = "no cell matches it"
        else:
            best = max(seen, key=SEVERITY.__getitem__)
            why = f"expected {entry.outcome}, and the worst that happened is {best}"
        found.append({"pattern": ", ".join(entry.patterns), "reason": entry.reason, "link": entry.link, "why": why})
    return found
