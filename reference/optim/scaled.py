"""Steps divided by a measure of the gradients so far: Adagrad, RMSprop, Adadelta, Adafactor."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.draw import Draw
from reference.optim.record import decayed, optimizer
from reference.rule import Array


def _adagrad_options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(0.1, 0.5),
        "lr_decay": draw.choice(0.0, 0.1),
        "weight_decay": draw.choice(0.0, 0.1),
        "initial_accumulator_value": draw.choice(0.0, 0.5),
        "eps": draw.choice(1e-10, 1e-3),
    }


@optimizer(
    "Adagrad",
    _adagrad_options,
    [{"lr": -0.1}, {"lr_decay": -0.1}, {"weight_decay": -0.1}, {"initial_accumulator_value": -1.0}, {"eps": -1e-3}],
    sparse="also",
    plain=("lr", "lr_decay", "eps", "initial_accumulator_value"),
)
def adagrad(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """n <- n + g^2;   p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(n) + eps).

    State: step (t), sum (n, initial_accumulator_value at first).
    Source: Duchi et al., JMLR 12, 2011; torch.optim.Adagrad.
    """
    p, g = decayed(p, g, maximize, weight_decay)
    t = s.get("step", 0) + 1
    total = s.get("sum", np.full_like(p, initial_accumulator_value)) + g * g
    return p - lr / (1.0 + (t - 1.0) * lr_decay) * (g / (total**0.5 + eps)), {"step": t, "sum": total}


def _rmsprop_options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(0.1, 1e-3),
        "alpha": draw.choice(0.99, 0.5),
        "eps": draw.choice(1e-8, 1e-3),
        "weight_decay": draw.choice(0.0, 0.1),
        "momentum": draw.choice(0.0, 0.9),
        "centered": draw.boolean(),
    }


@optimizer(
    "RMSprop",
    _rmsprop_options,
    [{"lr": -0.1}, {"eps": -1e-8}, {"momentum": -0.5}, {"weight_decay": -0.1}, {"alpha": -0.5}],
)
def rmsprop(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """v <- alpha v + (1 - alpha) g^2;   p <- p - lr b,   b = g / (sqrt(v) + eps), or with momentum mu <- mu b + that.

    centered: v - a^2 in the place of v, where a <- alpha a + (1 - alpha) g.
    State: step, square_avg (v), momentum_buffer (b), grad_avg (a). Source: Hinton's lecture 6, 2012; Graves,
    arXiv:1308.0850; torch.optim.RMSprop.
    """
    p, g = decayed(p, g, maximize, weight_decay)
    v = alpha * s.get("square_avg", 0.0) + (1.0 - alpha) * (g * g)
    state = {"step": s.get("step", 0) + 1, "square_avg": v}
    if centered:
        mean = alpha * s.get("grad_avg", 0.0) + (1.0 - alpha) * g
        state["grad_avg"] = mean
        v = v - mean * mean
    scaled = g / (v**0.5 + eps)
    if momentum:
        scaled = momentum * s.get("momentum_buffer", 0.0) + scaled
        state["momentum_buffer"] = scaled
    return p - lr * scaled, state


def _adadelta_options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(1.0, 0.1),
        "rho": draw.choice(0.9, 0.5),
        "eps": draw.choice(1e-6, 1e-3),
        "weight_decay": draw.choice(0.0, 0.1),
    }


@optimizer(
    "Adadelta",
    _adadelta_options,
    [{"lr": -0.1}, {"rho": 1.5}, {"rho": -0.1}, {"eps": -1e-6}, {"weight_decay": -0.1}],
)
def adadelta(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """v <- rho v + (1 - rho) g^2;   d = g sqrt(u + eps) / sqrt(v + eps);   u <- rho u + (1 - rho) d^2;   p <- p - lr d.

    State: step, square_avg (v), acc_delta (u). Source: Zeiler, arXiv:1212.5701; torch.optim.Adadelta.
    """
    p, g = decayed(p, g, maximize, weight_decay)
    v = rho * s.get("square_avg", 0.0) + (1.0 - rho) * (g * g)
    u = s.get("acc_delta", np.zeros_like(v))
    d = (u + eps) ** 0.5 / (v + eps) ** 0.5 * g
    return p - lr * d, {"step": s.get("step", 0) + 1, "square_avg": v, "acc_delta": rho * u + (1.0 - rho) * (d * d)}


def _adafactor_options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(0.1, 1e-2),
        "beta2_decay": draw.choice(-0.8, -0.5),
        "eps": draw.choice((1e-6, 1e-3), (1e-3, 0.1)),
        "d": draw.choice(1.0, 2.0),
        "weight_decay": draw.choice(0.0, 0.1),
    }


@optimizer(
    "Adafactor",
    _adafactor_options,
    [
        {"lr": -0.1}, {"beta2_decay": 0.5}, {"eps": (-1e-3, 1e-3)}, {"eps": (None, -1e-3)}, {"d": 0.5},
        {"weight_decay": -0.1},
    ],
    complex=False,
    flat=False,
)  # fmt: skip
def adafactor(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-2,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """The second moment of a matrix from the means of its rows and columns. With b = t^beta2_decay, step sizes
    rho = min(lr, 1 / sqrt(t)) and a = rho max(eps2, rms(p)), and p <- (1 - lr weight_decay) p first,

        R <- (1 - b) R + b mean(g^2, rows);   C <- (1 - b) C + b mean(g^2, columns);   V = R C / max(mean(R), eps1)
        U = g / max(sqrt(V), eps1);   p <- p - a U / max(1, rms(U) / d)

    and V <- (1 - b) V + b g^2 for vectors. The paper has sums for the means, which differ by a factor that cancels in
    V. `eps1` must be given here (torch: None is the eps of the dtype).
    State: step (t), row_var (R), col_var (C), or variance (V). Source: Shazeer and Stern, arXiv:1804.04235;
    torch.optim.Adafactor.
    """
    eps1, eps2 = eps
    assert eps1 is not None
    g = -g if maximize else g
    t = s.get("step", 0) + 1
    fresh = float(t) ** beta2_decay
    size = max(eps2, _rms(p)) * min(lr, 1.0 / float(t) ** 0.5)
    if weight_decay:
        p = (1.0 - lr * weight_decay) * p
    squares = g * g
    state: dict[str, Any] = {"step": t}
    if g.ndim > 1:
        for name, axis in (("row_var", -1), ("col_var", -2)):
            state[name] = (1.0 - fresh) * s.get(name, 0.0) + fresh * squares.mean(axis, keepdims=True)
        mean = np.maximum(state["row_var"].mean(-2, keepdims=True), np.asarray(eps1, p.dtype))
        v = state["row_var"] * state["col_var"] / mean
    else:
        v = state["variance"] = (1.0 - fresh) * s.get("variance", 0.0) + fresh * squares
    u = g / np.maximum(v**0.5, np.asarray(eps1, p.dtype))
    return p - size / max(1.0, _rms(u) / d) * u, state


def _rms(a: Array) -> Any:
    """The root of the mean square; 0 of nothing. In the dtype of the array, as a number of it."""
    return (a * a).mean() ** 0.5 if a.size else a.dtype.type(0)
