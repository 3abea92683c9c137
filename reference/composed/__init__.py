"""Random programs: rules composed at random, with shared values, views, changes in place and parts without gradient.

Each kind of program is a rule of its inputs, so that every check of an op serves: the reference runs the program
forward and backward by hand on the tape, to second order by the complex step.
"""

from __future__ import annotations

import inspect
from typing import Any

from reference.composed.drawing import Kind, aside, call, change, constant, program, view
from reference.composed.memory import KINDS, Step, carried_out
from reference.draw import Draw
from reference.rule import Array, Case, Rule

__all__ = ["KINDS", "PROGRAMS", "Step", "carried_out"]


def composed(inputs: list[Array], steps: tuple[Step, ...], outs: tuple[str, ...]) -> Any:
    """The values of the variables `outs` after the steps; gradients of the inputs."""
    return carried_out(inputs, steps, outs)


def _rule(name: str, *kinds: Kind) -> Rule:
    def cases(draw: Draw) -> Case:
        return program(draw, kinds)

    return Rule(
        name=f"composed.{name}", fn=composed, cases=cases, family="composed",
        signature=inspect.signature(composed), tensors=("inputs",),
    )  # fmt: skip


PROGRAMS: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        _rule("calls", call, constant),
        _rule("views", call, view, constant),
        _rule("changes", change, view, call),
        _rule("asides", aside, call, view, constant),
    )
}
