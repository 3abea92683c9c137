"""L-BFGS, which steps over all parameters together and asks for the loss again and again.

A case is one run: ``f([parameters], steps, a, u, c, **options)`` minimizes `objective` over the parameters, flattened
and joined; parameters beyond the length of `a` take no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.optim.record import Optimizer, Snapshot, Touch
from reference.rule import Array, Case

Objective = Callable[[Array], tuple[Any, Array]]
ENOUGH = 1e-10  # a pair of differences is remembered only where their product is larger
WIDE = 4.0  # a tolerance at which a run shall stop is so far from what is compared with it, at least


def cases(draw: Draw, kind: str = "steps") -> Case:
    """A run. Tolerances are 0, so that rounding decides nothing, but in kinds that say so.

    steps    as it is
    missing  the last parameter takes no part: it has no gradient
    stopped  one tolerance, or max_eval, ends a step early, and clearly so
    limited  max_eval is small, with a line search or without: for torch alone, which has the line search
    """
    shapes = [draw.choice((4,), (2, 3), (5,)), draw.choice((), (3,))]
    parameters = [draw.reals(s, -2.0, 2.0) for s in shapes]
    if kind == "missing":
        parameters.append(draw.reals((2,), -2.0, 2.0))
    size = sum(int(np.prod(s)) for s in shapes)
    options = {
        "lr": draw.choice(0.5, 1.0), "max_iter": draw.integer(1, 3), "history_size": draw.integer(1, 4),
        "tolerance_grad": 0.0, "tolerance_change": 0.0,
    }  # fmt: skip
    function = draw.reals((size,), 0.5, 2.0), draw.reals((size,), -1.0, 1.0), 0.25
    made = Case((parameters, draw.integer(1, 2), *function), options)
    if kind == "limited":
        limits = {"max_iter": 4, "max_eval": draw.integer(1, 4), "line_search_fn": draw.choice(None, "strong_wolfe")}
        return Case(made.args, {**options, **limits})
    return _stopped(made, draw) if kind == "stopped" else made


def _stopped(case: Case, draw: Draw) -> Case:
    parameters, _, *function = case.args
    if draw.boolean():
        return Case((parameters, 1, *function), {**case.kwargs, "max_iter": 8, "max_eval": draw.integer(2, 5)})
    name = draw.choice("tolerance_grad", "tolerance_change")
    seen: list[float] = []  # what the tolerance is compared with, in turn
    options = {**case.kwargs, "max_iter": 12}
    run(Case((parameters, 1, *function), options), watch=lambda which, v: seen.append(v) if which == name else None)
    for i, now in enumerate(seen):
        if now < min(seen[:i], default=0.0) / WIDE**2:  # the tolerance lies between this and what came before
            return Case((parameters, 1, *function), {**options, name: float(WIDE * now)})
    return Case((parameters, 1, *function), {**options, name: 1e6})


def objective(a: Array, u: Array, c: float) -> Objective:
    """f(x) = sum(a x^2) / 2 + c sum(x^4) / 4 + (u.x)^2 / 2 of the first len(a) numbers, and its gradient in all."""

    def at(whole: Array) -> tuple[Any, Array]:
        x = whole[: a.size]
        along = (u * x).sum()
        loss = (a * x * x).sum() * 0.5 + (x * x * x * x).sum() * (0.25 * c) + along * along * 0.5
        return loss, np.concatenate([a * x + c * (x * x * x) + u * along, np.zeros_like(whole[a.size :])])

    return at


def direction(g: Array, steps: Sequence[Array], changes: Sequence[Array]) -> tuple[Array, list[Any], Any]:
    """-H g by the two loops (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.4).

    Returns it with the weights 1 / (y.s) and the scale of the first matrix, of the last pair s.y / y.y.
    """
    weights = [1.0 / (y * s).sum() for s, y in zip(steps, changes)]
    scale = (steps[-1] * changes[-1]).sum() / (changes[-1] * changes[-1]).sum() if steps else 1.0
    q, taken = -g, []
    for s, y, w in reversed(list(zip(steps, changes, weights))):
        taken.append(w * (s * q).sum())
        q = q - taken[-1] * y
    q = scale * q
    for s, y, w in zip(steps, changes, weights):
        q = q + (taken.pop() - w * (y * q).sum()) * s
    return q, weights, scale


def step(
    x: Array,
    at: Objective,
    state: dict[str, Any],
    *,
    lr: float = 1.0,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    history_size: int = 100,
    watch: Callable[[str, float], None] = lambda tolerance, value: None,
) -> tuple[Array, dict[str, Any], Any]:
    """At most max_iter times x <- x + t d along the direction of `direction`, with t = lr, in the very first iteration
    lr min(1, 1 / |g|_1). It ends early after max_eval evaluations (5/4 max_iter where None), and where the largest
    gradient is not above tolerance_grad, or the slope along d, the largest move or the change of the loss not above
    tolerance_change.

    x: (n,). `watch` is told every number that is compared with a tolerance, with the name of that.
    Returns x, the state, and the loss at the beginning. State: d, t, old_stps (s), old_dirs (y), ro, H_diag,
    prev_flat_grad, prev_loss, func_evals, n_iter. Source: Nocedal and Wright, ch. 7; torch.optim.LBFGS.
    """
    limit = max_iter * 5 // 4 if max_eval is None else max_eval
    first, g = at(x)
    loss, evaluations = first, 1
    s = {"func_evals": 0, "n_iter": 0, **state}
    s["func_evals"] += 1
    watch("tolerance_grad", np.abs(g).max())
    if np.abs(g).max() <= tolerance_grad:
        return x, s, first
    s = {"old_stps": [], "old_dirs": [], **s}
    for n in range(1, max_iter + 1):
        s["n_iter"] += 1
        if s["n_iter"] > 1:
            y, moved = g - s["prev_flat_grad"], s["t"] * s["d"]
            if (y * moved).sum() > ENOUGH:
                s["old_dirs"] = [*s["old_dirs"], y][-history_size:]
                s["old_stps"] = [*s["old_stps"], moved][-history_size:]
        s["d"], s["ro"], s["H_diag"] = direction(g, s["old_stps"], s["old_dirs"])
        s["prev_flat_grad"], s["prev_loss"] = g, loss
        s["t"] = lr * min(1.0, 1.0 / np.abs(g).sum()) if s["n_iter"] == 1 else lr
        slope = (g * s["d"]).sum()
        watch("tolerance_change", -slope)
        if slope > -tolerance_change:
            break
        x = x + s["t"] * s["d"]
        if n == max_iter:
            break
        loss, g = at(x)
        evaluations, s["func_evals"] = evaluations + 1, s["func_evals"] + 1
        watch("tolerance_grad", np.abs(g).max())
        largest, change = np.abs(s["t"] * s["d"]).max(), abs(loss - s["prev_loss"])
        watch("tolerance_change", min(largest, change))
        still = largest <= tolerance_change or change < tolerance_change
        if evaluations >= limit or np.abs(g).max() <= tolerance_grad or still:
            break
    return x, s, first


def run(case: Case, dtype: Any = np.float64, touch: Touch | None = None, **more: Any) -> list[Snapshot]:
    """The loss, the parameters and the state after every step, by name. See reference.optim.run."""
    parameters, steps, a, u, c = case.args
    change = touch or (lambda v: v)
    at = objective(np.asarray(a).astype(dtype), np.asarray(u).astype(dtype), c)

    def touched(x: Array) -> tuple[Any, Array]:
        loss, g = at(x)
        return loss * change(np.ones(1, dtype))[0], change(g)

    x = np.concatenate([np.ravel(p) for p in parameters]).astype(dtype)
    state: dict[str, Any] = {}
    shown = []
    for _ in range(steps):
        x, state, loss = step(change(x), touched, state, **case.kwargs, **more)
        found: Snapshot = {"loss": loss}
        begin = 0
        for i, p in enumerate(parameters):
            size = np.size(p)
            found[f"parameter {i}"] = x[begin : begin + size].reshape(np.shape(p))
            begin += size
        for name, value in state.items():
            found |= {f"{name} {i}": v for i, v in enumerate(value)} if isinstance(value, list) else {name: value}
        shown.append(found)
    return shown


ILLEGAL: tuple[dict[str, Any], ...] = ({"lr": -0.1},)
LBFGS = Optimizer("LBFGS", step, lambda draw: {}, ILLEGAL, (), False, "", (), False, (1, 2), cases)
