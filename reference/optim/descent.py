"""Gradient descent: SGD with momentum, averaged SGD, and Rprop, which takes the signs alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.draw import Draw
from reference.optim.record import decayed, optimizer
from reference.rule import Array


def sgd_options(draw: Draw) -> dict[str, Any]:
    momentum = draw.choice(0.0, 0.9, 0.5)
    nesterov = bool(momentum) and draw.boolean()
    return {
        "lr": draw.choice(0.1, 0.5, 1e-3),
        "momentum": momentum,
        "dampening": 0.0 if nesterov else draw.choice(0.0, 0.3, 0.5),
        "weight_decay": draw.choice(0.0, 0.1),
        "nesterov": nesterov,
    }


@optimizer(
    "SGD",
    sgd_options,
    [
        {"lr": -0.1}, {"momentum": -0.5}, {"weight_decay": -0.1},
        {"nesterov": True}, {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
    ],
    sparse="also",
    plain=("lr",),
)  # fmt: skip
def sgd(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """p <- p - lr d, where d is the gradient g (plus weight_decay p), or with momentum mu

        b <- mu b + (1 - dampening) g,   b = g at the first step;   d = b, or g + mu b with nesterov.

    State: momentum_buffer (b), with momentum. Source: torch.optim.SGD; Sutskever et al., ICML 2013.
    """
    p, g = decayed(p, g, maximize, weight_decay)
    if not momentum:
        return p - lr * g, {}
    buffer = s.get("momentum_buffer")
    buffer = g if buffer is None else momentum * buffer + (1.0 - dampening) * g
    direction = g + momentum * buffer if nesterov else buffer
    return p - lr * direction, {"momentum_buffer": buffer}


def asgd_options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(0.125, 0.1, 1e-2),
        "lambd": draw.choice(1e-4, 0.0, 0.1),
        "alpha": draw.choice(0.75, 0.5),
        "t0": draw.choice(1e6, 2.0, 0.0),
        "weight_decay": draw.choice(0.0, 0.1),
    }


@optimizer("ASGD", asgd_options, [{"lr": -0.1}, {"weight_decay": -0.1}])
def asgd(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """Descent with a decaying rate, and the average of the points since step t0. At step t = 1, 2, ...

        p <- (1 - lambd eta) p - eta g,   ax <- ax + mu (p - ax)
        eta <- lr / (1 + lambd lr t)^alpha,   mu <- 1 / max(1, t - t0)       for the next step

    with eta = lr and mu = 1 at first. State: step (t), eta, mu, ax.
    Source: Polyak and Juditsky, SIAM J. Control Optim. 30, 1992; Bottou, Stochastic gradient descent tricks, 2012.
    """
    p, g = decayed(p, g, maximize, weight_decay)
    t = s.get("step", 0) + 1
    eta, mu = s.get("eta", np.full(1, lr, p.dtype)), s.get("mu", np.ones(1, p.dtype))
    p = (1.0 - lambd * eta) * p - eta * g
    average = s.get("ax", np.zeros_like(p))
    average = average + mu * (p - average)
    last = float(np.asarray(t).real.reshape(()))
    eta = np.full(1, lr / (1.0 + lambd * lr * last) ** alpha, p.dtype)
    mu = np.full(1, 1.0 / max(1.0, last - t0), p.dtype)
    return p, {"step": t, "eta": eta, "mu": mu, "ax": average}


def rprop_options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(0.01, 0.125),
        "etas": draw.choice((0.5, 1.2), (0.25, 2.0)),
        "step_sizes": draw.choice((1e-6, 50.0), (0.02, 0.2)),
    }


@optimizer("Rprop", rprop_options, [{"lr": -0.1}, {"etas": (1.0, 1.2)}, {"etas": (0.5, 0.9)}, {"etas": (0.0, 1.2)}])
def rprop(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """A step size for each element, which grows by etas[1] while the gradient keeps its sign and shrinks by etas[0]
    where it turns, within step_sizes; where it turns, the gradient counts as 0, in the next step too.

        p <- p - size sign(g)

    State: step, prev (the gradient that counted), step_size (lr at first).
    Source: Riedmiller and Braun, IEEE ICNN 1993; torch.optim.Rprop.
    """
    g = -g if maximize else g
    previous, size = s.get("prev", np.zeros_like(p)), s.get("step_size", np.full_like(p, lr))
    kept = np.sign(g.real) * np.sign(previous.real)
    size = size * np.where(kept > 0, etas[1], np.where(kept < 0, etas[0], 1.0)).astype(p.dtype)
    size = np.where(size.real < step_sizes[0], step_sizes[0], np.where(size.real > step_sizes[1], step_sizes[1], size))
    size = size.astype(p.dtype)
    g = np.where(kept < 0, 0.0, g).astype(p.dtype)
    sign = np.sign(g.real).astype(p.dtype)
    return p - sign * size, {"step": s.get("step", 0) + 1, "prev": g, "step_size": size}
