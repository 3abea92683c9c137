"""Writes docs/promises.md: ``python docs/scripts/promises.py``; with --check it fails where the page is out of date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from conformance.behaviours import PROMISES, Promise
from conformance.faults import FAULTS
from conformance.known import Deviation, shipped

PAGE = Path(__file__).parents[1] / "promises.md"
HEAD = """# Promises

What torch's documentation promises beside numbers, the behaviour that asks for it, and the faults that prove that it
would be seen to be broken. Made by `docs/scripts/promises.py` from the promises and faults themselves.

Where torch itself breaks a promise there is nothing left to plant: the deviation is known, and
`tests/core/mending.py` has a mended torch that keeps it. Where no fault is named, the promise is about a second device
or a later torch.

A behaviour `f` of a facility `s` is the cell `s::f::<device>::<dtype>`. `torch-conformance faults --only NAME`
plants a fault.
"""


def page() -> str:
    """The whole page."""
    families = dict.fromkeys(p.family for p in PROMISES.values())
    known = shipped()
    return HEAD + "".join(line for family in families for line in section(family, known))


def section(family: str, known: list[Deviation]) -> Iterator[str]:
    """The table of a family, a row for each promise however many facilities it is about."""
    groups: dict[tuple[str, str], list[Promise]] = {}
    for p in PROMISES.values():
        if p.family == family:
            groups.setdefault((p.run.__module__, p.check), []).append(p)
    facilities = {p.subject for group in groups.values() for p in group}
    proved = sum(bool(faults(group)) for group in groups.values())
    yield f"\n## {family}\n\n{len(groups)} promises about {len(facilities)} facilities; "
    yield f"{proved} have a fault of their own.\n\n"
    yield "| promise | behaviour | of | faults |\n| --- | --- | --- | --- |\n"
    for (_, check), group in groups.items():
        first = group[0]
        text = first.text.replace("|", "\\|").replace("*", "\\*")
        of, planted = (", ".join(f"`{name}`" for name in names) for names in ([p.path for p in group], faults(group)))
        yield f"| [{text}]({first.link}) | `{check}` | {of} | {planted or unplanted(group, known)} |\n"


def unplanted(group: list[Promise], known: list[Deviation]) -> str:
    """Why a promise has no fault of its own."""
    cells = [f"{p.subject}::{p.check}::cpu::float32" for p in group]
    return "broken by torch" if any(entry.covers(cell) for entry in known for cell in cells) else "out of reach"


def faults(group: list[Promise]) -> list[str]:
    """The faults that are made to be seen by a promise."""
    subjects, check = {p.subject for p in group}, group[0].check
    return [name for name, f in FAULTS.items() if check in f.checks and subjects & set(f.subjects)]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == page() else f"{PAGE} is not up to date: run {__file__}")
    PAGE.write_text(page(), encoding="utf-8")
