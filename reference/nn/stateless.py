"""Layers that have no parameters: a rule with its options settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.draw import Draw
from reference.nn.layer import Described, LayerCase
from reference.rule import Case


def stateless(rule: str, *options: Any, **more: Any) -> Described:
    """A layer that applies the rule to its inputs, with these options after them."""

    def forward(tape: Any, p: Any, training: Any, *inputs: Any) -> Any:
        return tape.apply(rule, *inputs, *options, **more)

    return Described({}, forward)


def from_rule(cases: Callable[[Draw], Case], *first: str, inputs: int = 1) -> Callable[[Draw], LayerCase]:
    """The cases of a layer from those of its rule: what follows the inputs belongs to the constructor.

    first   keywords that are given by position
    inputs  how many of the rule's arguments are inputs of the layer
    """

    def drawn(draw: Draw) -> LayerCase:
        case = cases(draw)
        options = dict(case.kwargs)
        args = (*case.args[inputs:], *(options.pop(name) for name in first))
        return LayerCase(args, options, case.args[:inputs], draw.boolean())

    return drawn
