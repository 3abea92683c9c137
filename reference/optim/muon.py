"""Muon: momentum whose direction is made nearly orthogonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.optim.record import optimizer
from reference.rule import Array


def _options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(0.1, 0.5),
        "weight_decay": draw.choice(0.1, 0.0),
        "momentum": draw.choice(0.95, 0.5),
        "nesterov": draw.boolean(),
        "ns_steps": draw.choice(5, 2, 0),
        "adjust_lr_fn": draw.choice(None, "original", "match_rms_adamw"),
    }


@optimizer(
    "Muon",
    _options,
    [{"lr": -0.1}, {"momentum": -0.5}, {"weight_decay": -0.1}, {"adjust_lr_fn": "other"}],
    shapes=((2, 3), (3, 2), (1, 4), (3, 3)),
    complex=False,
    flat=False,
)
def muon(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
    inner: Callable[[Array], Array] | None = None,
) -> tuple[Array, dict[str, Any]]:
    """b <- mu b + (1 - mu) g;   d = b, or (1 - mu) g + mu b with nesterov;   X = d / |d|, made wide, and ns_steps times

        G = X X^T;   X <- a X + (b G + c G G) X      with the coefficients a, b, c

    p <- (1 - lr weight_decay) p - lr r X, with r = sqrt(max(1, rows / columns)), or
    0.2 sqrt(max(rows, columns)) for "match_rms_adamw".
    The iteration is meant to run in bfloat16: `inner` is what becomes of its numbers. (torch's documentation writes
    b <- mu b + g; its factor 1 - mu, as in Jordan's own code, cancels in X, and shows in the state.)
    State: momentum_buffer (b). Source: Jordan, kellerjordan.github.io/posts/muon, 2024; Liu et al., arXiv:2502.16982.
    """
    a, b, c = ns_coefficients
    rounded = inner or (lambda x: x)
    buffer = momentum * s.get("momentum_buffer", np.zeros_like(g)) + (1.0 - momentum) * g
    d = (1.0 - momentum) * g + momentum * buffer if nesterov else buffer
    tall = d.shape[0] > d.shape[1]
    x = rounded(d.T if tall else d)
    x = rounded(x / np.maximum(rounded(np.sqrt((x * x).sum())), np.asarray(eps, x.dtype)))
    for _ in range(ns_steps):
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    x = x.T if tall else x
    rows, columns = p.shape
    ratio = 0.2 * max(rows, columns) ** 0.5 if adjust_lr_fn == "match_rms_adamw" else max(1.0, rows / columns) ** 0.5
    return (1.0 - lr * weight_decay) * p - lr * ratio * x, {"momentum_buffer": buffer}
