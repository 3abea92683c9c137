"""Runs of an optimizer: parameters of several shapes, a few steps of gradients, groups with other options."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.draw import Draw
from reference.optim.record import Optimizer
from reference.rule import Array, Case


def run_case(optimizer: Optimizer, draw: Draw, kind: str) -> Case:
    """A run of a few steps.

    steps    one group
    groups   a second group with other options, and a third that is added later
    missing  a gradient of None in some steps, and of zeros in others
    mixed    both
    empty    parameters without elements, beside one that has some
    sparse   gradients of a few rows, which may repeat
    smooth   one parameter, gradients and options away from kinks: for derivatives
    """
    options = optimizer.options(draw)
    sparse = kind == "sparse" or optimizer.sparse == "only"
    if sparse:
        options = {k: v for k, v in options.items() if k in optimizer.plain}
    shapes = [s for s in optimizer.shapes if not sparse or (s and s[0])]
    if kind == "smooth":
        shapes = [s for s in shapes if 0 not in s]
    count = 1 if kind == "smooth" else 5 if kind in ("groups", "mixed") else draw.integer(1, 3)
    chosen = [draw.choice(*shapes) for _ in range(count)]
    if kind == "smooth":
        # away from zero, so that no square root and no sign has a kink near
        parameters = [draw.numbers(shape, 0.5, 4.0) for shape in chosen]
        steps = [
            [draw.numbers(s, 0.5, 3.0) * draw.choice(1.0, -1.0) for s in chosen] for _ in range(draw.integer(1, 2))
        ]
        if optimizer.name.endswith("Adagrad"):
            # its first step is a sign but for eps, and the derivative of that is what is left of two that cancel
            options["eps"] = max(options.get("eps", 0.0), 0.0625)
        return Case((parameters, steps, []), options)
    if kind == "empty":
        chosen = [tuple(0 if i == 0 else n for i, n in enumerate(chosen[0] or (1,))), *chosen]
    parameters = [draw.numbers(shape, -4.0, 4.0) for shape in chosen]
    gradients: list[list[Any]] = []
    for t in range(draw.integer(*optimizer.steps)):
        gradients.append([_sparse(draw, s) if sparse else draw.numbers(s, -4.0, 4.0) for s in chosen])
        if kind in ("missing", "mixed"):
            gradients[t] = [_missing(draw, g, sparse) for g in gradients[t]]
    groups: list[Any] = []
    if kind in ("groups", "mixed"):
        others = [{k: v for k, v in optimizer.options(draw).items() if not sparse or k in optimizer.plain}]
        others.append({"lr": draw.choice(0.25, 0.01)})
        groups = [([3], 0, tuple(others[0].items())), ([4], draw.integer(1, 2), tuple(others[1].items()))]
    return Case((parameters, gradients, groups), options)


def _missing(draw: Draw, g: Any, sparse: bool) -> Any:
    which = draw.integer(0, 3)
    if which == 0:
        return None
    if which == 1 and not sparse:
        return np.zeros_like(g)
    return g


def _sparse(draw: Draw, shape: tuple[int, ...]) -> tuple[Array, Array]:
    count = draw.integer(0, 4) if shape[0] else 0
    return draw.integers((count,), 0, max(shape[0] - 1, 0)), draw.numbers((count, *shape[1:]), -4.0, 4.0)
