"""What the reference wants of a form, what a case must have for a check, and the levels that checks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.checks.check import Trial, Want
from conformance.higher import BASIS, is_smooth
from conformance.oracle import Oracle
from conformance.target import Target
from reference.rule import Rule

BOTH = {"float64": 1, "float32": 1, "bfloat16": 2, "float16": 2, "complex128": 2, "complex64": 3}
FORWARD = {"float64": 2, "float32": 2, "bfloat16": 3, "float16": 3, "complex128": 2, "complex64": 3}
SECOND = {"float64": 2, "float32": 3, "complex128": 3}
THIRD = {"float64": 3, "complex128": 4}
ONCE = {"float32": 2, "float64": 3, "bfloat16": 3, "complex64": 3}


def x_name(oracle: Oracle, place: int) -> str:
    path = oracle.call.paths[place]
    return str(path[0]) + (f"[{path[1]}]" if len(path) > 1 else "")


def wants_outputs(o: Oracle) -> list[Want]:
    """The differentiable outputs, or all of an op that has none (as Bound returns them)."""
    many = len(o.outs) > 1
    return [(f"output {i}" if many else "output", o.value, i) for i in o.shown]


def wants_gradients(o: Oracle, quantity: Any = None, what: str = "gradient of ") -> list[Want]:
    return [(what + x_name(o, place), quantity or o.vjp, i) for i, place in enumerate(o.xs)]


def wants_tangents(o: Oracle) -> list[Want]:
    many = len(o.outs) > 1
    return [(f"tangent of output {k}" if many else "tangent", o.jvp, i) for i, k in enumerate(o.ys)]


def wants_second(o: Oracle) -> list[Want]:
    return wants_gradients(o, o.second, "second derivative by ")


def wants_reverse_over_reverse(o: Oracle) -> list[Want]:
    return [*wants_second(o), *(("derivative by the cotangent", o.jvp, i) for i in range(len(o.ys)))]


def wants_reverse_over_forward(o: Oracle) -> list[Want]:
    return [*wants_second(o), *wants_gradients(o, o.vjp, "derivative by the tangent of ")]


def wants_second_forward(o: Oracle) -> list[Want]:
    return [("second derivative of the output", o.second_forward, i) for i in range(len(o.ys))]


def wants_third(o: Oracle) -> list[Want]:
    return wants_gradients(o, o.third, "third derivative by ")


def wants_undefined(o: Oracle) -> list[Want]:
    wants: list[Want] = []
    for y in o.ys:
        alone = [g if i == y else (None if g is None else np.zeros_like(g)) for i, g in enumerate(o.cotangents)]
        wants += wants_gradients(o, o.vjp_under(alone), f"with a cotangent for output {y} alone, gradient of ")
    return wants


def wants_zero(o: Oracle) -> list[Want]:
    return wants_gradients(o, o.vjp_under([None if g is None else np.zeros_like(g) for g in o.cotangents]))


def twice(wants: Callable[[Oracle], list[Want]]) -> Callable[[Oracle], list[Want]]:
    return lambda o: wants(o) * 2


# capabilities


def second_order(rule: Rule, target: Target) -> str | None:
    return None if rule.second_order else "torch promises no second derivative of this op"


NO_DERIVATIVE = "the op has no derivative"


def forward_once(trial: Trial) -> bool:
    return bool(trial.oracle.ys and trial.oracle.xs)


def second_forward_is_small(trial: Trial) -> bool:
    return forward_once(trial) and sum(trial.oracle.outs[i].size for i in trial.oracle.ys) <= BASIS


def has_third(trial: Trial) -> bool:
    return forward_once(trial) and is_smooth(trial.oracle)


def several_inputs(trial: Trial) -> bool:
    return forward_once(trial) and len(trial.oracle.xs) > 1


def several_outputs(trial: Trial) -> bool:
    return forward_once(trial) and len(trial.oracle.ys) > 1


def is_empty(trial: Trial) -> bool:
    return bool(trial.oracle.ys) and any(a.size == 0 for a in trial.call.arrays)


def is_scalar(trial: Trial) -> bool:
    return bool(trial.oracle.ys) and any(a.ndim == 0 for a in trial.call.arrays)


def broadcasts(trial: Trial) -> bool:
    o = trial.oracle
    shapes = [a.shape for i, a in enumerate(o.arrays) if i in o.xs or not o.xs]
    if len(set(shapes)) < 2:
        return False
    try:
        full = np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return any(out.shape == full for out in o.outs)
