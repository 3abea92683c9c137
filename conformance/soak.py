"""Level 4: once every cell has run, those that passed run again on fresh seeds until the time is up."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence

from conformance.cells import BASE, Cell, units
from conformance.journal import Tail
from conformance.pool import Plan, TimeUp, Watch, run_units
from conformance.progress import say
from reports.journal import read
from reports.records import FAILING

SOAK = 4  # the level


def soak(cells: Sequence[Cell], plan: Plan, until: float) -> Counter[str]:
    """Run the cells that pass on one fresh seed after another until `until`, on the monotonic clock.

    A cell that fails keeps its failure and the seed of it, and is not run again. Eager cells come first in
    each round: compiling takes a hundred times as long. Returns seconds by stage.
    """
    stages: Counter[str] = Counter()
    first = last = int(plan.options["seed"])
    while time.monotonic() < until:
        outcomes = {c.id: c.outcome for c in read(plan.journal.path).cells.values()}
        again = [c for c in cells if outcomes[c.id] == "pass" and c.subject != BASE]
        if not again:
            break
        last += 1
        again.sort(key=lambda cell: cell.mode != "eager")
        say(
            f"round {last - first + 1}: {len(again)} cells, seed {last}, {(until - time.monotonic()) / 60:.0f} min left"
        )
        round_ = dataclasses.replace(plan, options={**plan.options, "seed": last}, until=until)
        watch = Watch(Tail(plan.journal.path, plan.journal.path.stat().st_size), _say_failures)
        try:
            stages += run_units(units(again), round_, watch)
        except TimeUp:
            break
    plan.journal.write("note", text=f"Soak: {last - first} rounds after the first, seeds {first} to {last}.")
    return stages


def _say_failures(cell: str, outcome: str, known: bool) -> None:
    if outcome in FAILING and not known:
        say(f"{cell}: {outcome}")
