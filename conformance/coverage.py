"""What is covered of torch's own inventory, by namespace, and why the rest is not."""

from __future__ import annotations

import dataclasses
import fnmatch
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import reference
from conformance.behaviours import PROMISES
from conformance.checks.spellings import in_place
from conformance.inventory import CLASSES, FACILITIES, NAMESPACES, Name
from conformance.laws import LAWS
from conformance.loops.table import LOOPS
from reference import lookup
from reference.nn import LAYERS
from reference.optim import ALL as OPTIMIZERS
from reference.schedules import SCHEDULES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# methods of random functions that have a law under another name
_FUNCTIONS = {f"Tensor.{name}": name for name in ("bernoulli", "multinomial")}
OMITTED = Path(reference.__file__).parent / "omitted.toml"


@dataclasses.dataclass(frozen=True)
class Omission:
    """Names that have no rule, and why. `kind` says what they are where no made-up call could tell.

    `old` ones are in releases before the newest alone.
    """

    patterns: tuple[str, ...]
    reason: str
    kind: str | None = None
    old: bool = False

    def covers(self, path: str) -> bool:
        return any(fnmatch.fnmatchcase(path, p) for p in self.patterns)


@dataclasses.dataclass(frozen=True)
class Row:
    """One name: its kind, the rule that answers for it, or the reason why there is none ("" for no reason)."""

    name: Name
    kind: str
    rule: str | None
    reason: str

    def record(self) -> dict[str, str | None]:
        return {"name": self.name.path, "kind": self.kind, "rule": self.rule, "reason": self.reason}


def omissions(path: Path = OMITTED) -> list[Omission]:
    """The entries of reference/omitted.toml."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["omitted"]
    return [Omission(tuple(e["names"]), e["reason"], e.get("kind"), e.get("old", False)) for e in entries]


def rows(names: Sequence[Name], omitted: Sequence[Omission]) -> list[Row]:
    """What becomes of every name."""
    found = []
    for name in names:
        rule = covered_by(name.path)
        entry = next((o for o in omitted if o.covers(name.path)), None)
        kind = entry.kind if entry and entry.kind and name.kind == "unknown" else name.kind
        found.append(Row(name, kind, rule, "" if rule or entry is None else entry.reason))
    return found


def covered_by(path: str) -> str | None:
    """The rule, law or promise whose checks call this name, if there is one: the first of them, in this order."""
    if path in LAYERS:
        return path
    outer, _, last = path.rpartition(".")
    if outer in FACILITIES or outer == "nn":
        return f"laws.{path}" if path in LAWS else _promised(path)
    if outer in CLASSES:
        known = last in (OPTIMIZERS if outer == "optim" else SCHEDULES) or path in {loop.subject for loop in LOOPS}
        return f"optim.{last}" if known else None
    law = path if path in LAWS else _FUNCTIONS.get(path)
    if law is not None:
        return f"laws.{law}"
    rule = lookup(path)
    if rule is None and path.endswith("_"):
        base = path.rpartition(".")[2][:-1]
        rule = lookup(path[:-1])
        if rule is not None and base not in in_place(rule):
            rule = None
    return rule.name if rule else _promised(path)


def _promised(path: str) -> str | None:
    """The first facility that answers for a path."""
    return next((p.subject for p in PROMISES.values() if path == p.path or path in p.covers), None)


def table(found: Sequence[Row]) -> Iterator[str]:
    """The figures by namespace, then every name that is not covered, with its reason."""
    yield f"{'namespace':<16} {'differentiable':>16} {'values only':>14}"
    for namespace in NAMESPACES:
        yield _line(namespace or "torch", [r for r in found if r.name.namespace == namespace])
    yield _line("all", found)
    for title, kind in (("classes", "class"), ("facilities", "facility")):
        yield f"\n{title:<26} {'covered':>16}"
        for namespace in sorted({r.name.namespace for r in found if r.kind == kind}):
            known = [r for r in found if r.kind == kind and r.name.namespace == namespace]
            yield f"{namespace:<26} {f'{sum(r.rule is not None for r in known)} / {len(known)}':>16}"
    for title, kinds in (
        ("Differentiable, not covered", _DIFFERENTIABLE),
        ("Values only, not covered", ("value",)),
        ("Classes, not covered", ("class",)),
        ("Facilities, not covered", ("facility",)),
    ):
        missing = [r for r in found if r.kind in kinds and not r.rule]
        if missing:
            yield f"\n{title}:"
            yield from (f"  {r.name.path:<48} {r.reason or 'NO REASON GIVEN'}" for r in missing)


_DIFFERENTIABLE = ("differentiable", "unknown")


def _line(name: str, found: Sequence[Row]) -> str:
    def share(kinds: Sequence[str]) -> str:
        chosen = [r for r in found if r.kind in kinds]
        return f"{sum(r.rule is not None for r in chosen)} / {len(chosen)}"

    return f"{name:<16} {share(_DIFFERENTIABLE):>16} {share(('value',)):>14}"
