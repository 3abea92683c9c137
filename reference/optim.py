"""Optimizers as pure functions: (parameters, gradients, state, hyper-parameters) -> (parameters, state).

Parameters and gradients are lists of arrays; a gradient of None leaves its parameter and state as they
are, as torch does. The state is one dictionary for each parameter, empty at first, with torch's names.
Nothing is updated in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from reference.rule import Array

State = list[dict[str, Any]]
Step = Callable[[Array, Array, dict[str, Any]], tuple[Array, dict[str, Any]]]


def sgd(
    parameters: Sequence[Array],
    gradients: Sequence[Array | None],
    state: State,
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[list[Array], State]:
    """p <- p - lr d, where d is the gradient g (plus weight_decay p), or with momentum mu

        b <- mu b + (1 - dampening) g,   b = g at the first step;   d = b, or g + mu b with nesterov.

    State: momentum_buffer (b). Source: torch.optim.SGD; Sutskever et al., ICML 2013.
    """

    def step(p: Array, g: Array, s: dict[str, Any]) -> tuple[Array, dict[str, Any]]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        if not momentum:
            return p - lr * g, s
        buffer = s.get("momentum_buffer")
        buffer = g if buffer is None else momentum * buffer + (1.0 - dampening) * g
        direction = g + momentum * buffer if nesterov else buffer
        return p - lr * direction, {**s, "momentum_buffer": buffer}

    return _each(step, parameters, gradients, state)


def adam(
    parameters: Sequence[Array],
    gradients: Sequence[Array | None],
    state: State,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[list[Array], State]:
    """With g the gradient (plus weight_decay p), at step t = 1, 2, ...

        m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    State: step (t), exp_avg (m), exp_avg_sq (v).
    Source: Kingma and Ba, arXiv:1412.6980, algorithm 1; torch.optim.Adam.
    """
    beta1, beta2 = betas

    def step(p: Array, g: Array, s: dict[str, Any]) -> tuple[Array, dict[str, Any]]:
        g = -g if maximize else g
        if weight_decay:
            g = g + weight_decay * p
        t = s.get("step", 0) + 1
        m = beta1 * s.get("exp_avg", 0.0) + (1.0 - beta1) * g
        v = beta2 * s.get("exp_avg_sq", 0.0) + (1.0 - beta2) * (g * g)
        # the corrections are numbers, not arrays: they are taken out of the elementwise work
        size = lr / (1.0 - beta1**t)
        root = math.sqrt(1.0 - beta2**t)
        p = p - size * (m / (v**0.5 / root + eps))
        return p, {**s, "step": t, "exp_avg": m, "exp_avg_sq": v}

    return _each(step, parameters, gradients, state)


def _each(
    step: Step, parameters: Sequence[Array], gradients: Sequence[Array | None], state: State
) -> tuple[list[Array], State]:
    """One step for every parameter that has a gradient."""
    state = state or [{} for _ in parameters]
    pairs = [(p, s) if g is None else step(p, g, s) for p, g, s in zip(parameters, gradients, state, strict=True)]
    return [p for p, _ in pairs], [s for _, s in pairs]
