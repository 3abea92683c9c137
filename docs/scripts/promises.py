"""Writes docs/promises.md: ``python docs/scripts/promises.py``; with --check it fails where the page is out of date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from conformance.behaviours import PROMISES, Promise
from conformance.faults import FAULTS

PAGE = Path(__file__).parents[1] / "promises.md"
HEAD = """# Promises

What torch's documentation promises beside numbers, the behaviour that asks for it, and the faults that prove that it
would be seen to be broken. Made by `docs/scripts/promises.py` from the promises and faults themselves.

A behaviour `f` of a facility `s` is the cell `s::f::<device>::<dtype>`. `torch-conformance faults --only NAME`
plants a fault.
"""


def page() -> str:
    """The whole page."""
    families = dict.fromkeys(p.family for p in PROMISES.values())
    return HEAD + "".join(line for family in families for line in section(family))


def section(family: str) -> Iterator[str]:
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
        yield f"| [{text}]({first.link}) | `{check}` | {of} | {planted or 'none'} |\n"


def faults(group: list[Promise]) -> list[str]:
    """The faults that are made to be seen by a promise."""
    subjects, check = {p.subject for p in group}, group[0].check
    return [name for name, f in FAULTS.items() if check in f.checks and subjects & set(f.subjects)]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == page() else f"{PAGE} is not up to date: run {__file__}")
    PAGE.write_text(page(), encoding="utf-8")
