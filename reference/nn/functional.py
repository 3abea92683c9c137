"""Layers that are one function: their cases are those of its rule, and their forward pass is a call of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.nn.layer import Described, LayerCase
from reference.rule import Rule, lookup


def rule_of(name: str) -> Rule:
    """The rule of this name, which exists."""
    found = lookup(name)
    assert found is not None, name
    return found


def cases_of(
    name: str,
    *inputs: str,
    without: tuple[str, ...] = (),
    inplace: Callable[[dict[str, Any]], bool] | None = None,
) -> Callable[[Draw], LayerCase]:
    """The cases of a rule: what is called `inputs` there is given to the call, the rest to the constructor.

    without  arguments of the function that the constructor does not have
    inplace  for which options the constructor's `inplace` may be true, where it has one
    """
    rule = rule_of(name)

    def cases(draw: Draw) -> LayerCase:
        case = rule.cases(draw)
        given = rule.signature.bind(*case.args, **case.kwargs).arguments
        options = {k: v for k, v in given.items() if k not in (*inputs, *without)}
        training = options.pop("training", draw.boolean())
        if inplace is not None and inplace(options) and draw.boolean():
            options["inplace"] = True
        return LayerCase((), options, tuple(given.get(k) for k in inputs), training)

    return cases


def applied(name: str, weights: dict[str, np.ndarray | None] | None = None, **options: Any) -> Described:
    """The layer that calls a rule on its inputs, with these options; given weights are its buffers."""
    given = {k: w for k, w in (weights or {}).items() if w is not None}

    def forward(tape, p, training, *inputs):
        return tape.apply(name, *inputs, **{k: p[k] for k in given}, **options)

    return Described({}, forward, buffers=given)
