"""The kinds of subject. Each says which cells a target has, and makes the session that runs those of one unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from conformance.base import BaseSession, base_cells
from conformance.behaviours import BehaviourSession, behaviour_cells
from conformance.cells import Cell
from conformance.checks import REGISTRY
from conformance.checks.check import Clock
from conformance.composed import ComposedSession, composed_cells
from conformance.examples import ExampleSession, example_cells
from conformance.laws import LawSession, law_cells
from conformance.layers import LayerSession, layer_cells
from conformance.loops import LoopSession, loop_cells
from conformance.optimizers import optimizer_cells, optimizer_session
from conformance.programs import ProgramSession, program_cells
from conformance.schedules import ScheduleSession, schedule_cells
from conformance.session import OpSession, Options, Result, rule_cells
from conformance.target import Target
from reference import rules


class Session(Protocol):
    """Runs the cells of one subject on one target."""

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell. Exceptions are the harness's own errors, not torch's."""


@dataclasses.dataclass(frozen=True)
class Kind:
    cells: Callable[[Target], Iterator[Cell]]
    session: Callable[[str, Target, Options, Clock], Session]


def op_cells(target: Target) -> Iterator[Cell]:
    """Every rule x check x dtype; complex dtypes, and a selection of dtypes, for rules that have them."""
    for rule in rules().values():
        yield from rule_cells("op", rule, rule.family, REGISTRY, target)


# Plumbing first: where that fails, everything else on the target is blocked.
KINDS: dict[str, Kind] = {
    "base": Kind(base_cells, BaseSession),
    "op": Kind(op_cells, OpSession),
    "layer": Kind(layer_cells, LayerSession),
    "law": Kind(law_cells, LawSession),
    "optimizer": Kind(optimizer_cells, optimizer_session),
    "schedule": Kind(schedule_cells, ScheduleSession),
    "composed": Kind(composed_cells, ComposedSession),
    "behaviour": Kind(behaviour_cells, BehaviourSession),
    "example": Kind(example_cells, ExampleSession),
    "program": Kind(program_cells, ProgramSession),
    "loop": Kind(loop_cells, LoopSession),
}


def all_cells(targets: Sequence[Target]) -> list[Cell]:
    """Every cell of every kind on these targets, at every level."""
    return [cell for kind in KINDS.values() for target in targets for cell in kind.cells(target)]


def session(kind: str, subject: str, target: Target, options: Options, clock: Clock) -> Any:
    """The session for one unit."""
    return KINDS[kind].session(subject, target, options, clock)
