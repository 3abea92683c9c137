"""The classic trainings, run in torch beside the reference."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.session import Options, Result
from conformance.target import Target


def program_cells(target: Target) -> Iterator[Cell]:
    """The cells of every program on a target."""
    yield from ()


class ProgramSession:
    """One program on one target."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        raise NotImplementedError(subject)

    def run(self, cell: Cell) -> Result:
        raise NotImplementedError(cell.id)
