"""Random programs: rules composed at random, with shared values, views, changes in place and parts without gradient.

Each kind of program is a rule of its inputs, so that every check of an op serves: the reference runs the program
forward and backward by hand on the tape, to second order by the complex step.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from reference.composed.drawing import Kind, aside, call, change, constant, program, view
from reference.composed.memory import KINDS, Step, carried_out
from reference.draw import Draw
from reference.rule import Array, Case, Rule, Waiver

__all__ = ["KINDS", "PROGRAMS", "Step", "carried_out"]


def composed(inputs: list[Array], steps: tuple[Step, ...], outs: tuple[str, ...]) -> Any:
    """The values of the variables `outs` after the steps; gradients of the inputs."""
    return carried_out(inputs, steps, outs)


def _one(inputs: Any, steps: Any, outs: Any) -> Array:
    """The size of what a program computes with: no value is much larger than 1."""
    return np.ones(())


CANCELS = Waiver(
    "terms that are equal, as the rows of cat([v, v]), cancel exactly in the reference, and up to rounding in torch",
    room=_one,
)


def _rule(name: str, *kinds: Kind) -> Rule:
    def cases(draw: Draw) -> Case:
        return program(draw, kinds)

    return Rule(
        name=f"composed.{name}", fn=composed, cases=cases, family="composed",
        signature=inspect.signature(composed), tensors=("inputs",), waivers=(CANCELS,),
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
