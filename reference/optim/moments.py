"""Adam and its kin: averages of the gradient and of its square, each freed of the bias of its start at 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.draw import Draw
from reference.optim.record import decayed, optimizer
from reference.rule import Array, absolute

ILLEGAL: list[dict[str, Any]] = [
    {"lr": -0.1}, {"eps": -1e-8}, {"betas": (1.0, 0.999)}, {"betas": (-0.1, 0.999)}, {"betas": (0.9, 1.0)},
    {"betas": (0.9, -0.5)}, {"weight_decay": -0.1},
]  # fmt: skip


def _options(draw: Draw) -> dict[str, Any]:
    return {
        "lr": draw.choice(0.1, 1e-3, 0.5),
        "betas": draw.choice((0.9, 0.999), (0.5, 0.75), (0.0, 0.99)),
        "eps": draw.choice(1e-8, 1e-3),
        "weight_decay": draw.choice(0.0, 0.1),
    }


def _adam_options(draw: Draw) -> dict[str, Any]:
    return {**_options(draw), "amsgrad": draw.boolean()}


@optimizer("Adam", _adam_options, ILLEGAL)
def adam(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """With g the gradient (plus weight_decay p), at step t = 1, 2, ...

        m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    amsgrad takes the largest v so far in the place of v; decoupled weight decay multiplies p by 1 - lr weight_decay
    instead of adding to g. State: step (t), exp_avg (m), exp_avg_sq (v), max_exp_avg_sq.
    Source: Kingma and Ba, arXiv:1412.6980, algorithm 1; Reddi et al., ICLR 2018; torch.optim.Adam.
    """
    beta1, beta2 = betas
    p, g = decayed(p, g, maximize, weight_decay, lr if decoupled_weight_decay else None)
    t = s.get("step", 0) + 1
    m = beta1 * s.get("exp_avg", 0.0) + (1.0 - beta1) * g
    v = beta2 * s.get("exp_avg_sq", 0.0) + (1.0 - beta2) * (g * g)
    state = {"step": t, "exp_avg": m, "exp_avg_sq": v}
    if amsgrad:
        v = np.maximum(s.get("max_exp_avg_sq", np.zeros_like(v)), v)
        state["max_exp_avg_sq"] = v
    # the corrections are numbers, not arrays: they are taken out of the elementwise work
    size = lr / (1.0 - beta1**t)
    root = (1.0 - beta2**t) ** 0.5
    return p - size * (m / (v**0.5 / root + eps)), state


@optimizer("AdamW", _adam_options, ILLEGAL)
def adamw(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """Adam with decoupled weight decay: p <- (1 - lr weight_decay) p, then Adam's step without any.

    State: as Adam's. Source: Loshchilov and Hutter, arXiv:1711.05101; torch.optim.AdamW.
    """
    return adam(
        p, g, s, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
        decoupled_weight_decay=True,
    )  # fmt: skip


@optimizer("Adamax", _options, ILLEGAL)
def adamax(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """Adam with the largest (decayed) gradient in the place of the root of the average square:

        u <- max(beta2 u, |g| + eps);   p <- p - lr / (1 - beta1^t) m / u

    State: step, exp_avg (m), exp_inf (u). Source: Kingma and Ba, algorithm 2; torch.optim.Adamax.
    """
    beta1, beta2 = betas
    p, g = decayed(p, g, maximize, weight_decay)
    t = s.get("step", 0) + 1
    m = beta1 * s.get("exp_avg", 0.0) + (1.0 - beta1) * g
    u = np.maximum(beta2 * s.get("exp_inf", np.zeros_like(g)), absolute(g) + eps)
    return p - lr / (1.0 - beta1**t) * (m / u), {"step": t, "exp_avg": m, "exp_inf": u}


def _nadam_options(draw: Draw) -> dict[str, Any]:
    return {
        **_options(draw),
        "momentum_decay": draw.choice(4e-3, 0.5),
        "decoupled_weight_decay": draw.boolean(),
    }


@optimizer("NAdam", _nadam_options, [*ILLEGAL, {"momentum_decay": -1e-3}])
def nadam(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """Adam with Nesterov's momentum. With mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2) and M_t = mu_1 ... mu_t,

        p <- p - lr (mu_{t+1} m / (1 - M_{t+1}) + (1 - mu_t) g / (1 - M_t)) / (sqrt(v / (1 - beta2^t)) + eps)

    State: step, mu_product (M_t), exp_avg (m), exp_avg_sq (v). Source: Dozat, ICLR 2016 workshop; torch.optim.NAdam.
    """
    beta1, beta2 = betas
    p, g = decayed(p, g, maximize, weight_decay, lr if decoupled_weight_decay else None)
    t = s.get("step", 0) + 1
    mu, following = (beta1 * (1.0 - 0.5 * 0.96 ** (n * momentum_decay)) for n in (t, t + 1))
    product = s.get("mu_product", np.ones(1, p.dtype)) * mu
    m = beta1 * s.get("exp_avg", 0.0) + (1.0 - beta1) * g
    v = beta2 * s.get("exp_avg_sq", 0.0) + (1.0 - beta2) * (g * g)
    below = v**0.5 / (1.0 - beta2**t) ** 0.5 + eps
    above = following / (1.0 - product * following) * m + (1.0 - mu) / (1.0 - product) * g
    return p - lr * (above / below), {"step": t, "mu_product": product, "exp_avg": m, "exp_avg_sq": v}


def _radam_options(draw: Draw) -> dict[str, Any]:
    # with 0.95 the sixth step is the first that is rectified
    betas = draw.choice((0.9, 0.95), (0.5, 0.8), (0.9, 0.999))
    return {**_options(draw), "betas": betas, "decoupled_weight_decay": draw.boolean()}


@optimizer("RAdam", _radam_options, ILLEGAL, steps=(5, 8))
def radam(
    p: Array,
    g: Array,
    s: dict[str, Any],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """Adam whose second moment is used only once it rests on enough steps, and rectified. With
    rho_inf = 2 / (1 - beta2) - 1, rho = rho_inf - 2 t beta2^t / (1 - beta2^t) and n = m / (1 - beta1^t),

        p <- p - lr n r sqrt(1 - beta2^t) / (sqrt(v) + eps) where rho > 5,   else p <- p - lr n
        r^2 = (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)

    State: step, exp_avg (m), exp_avg_sq (v). Source: Liu et al., arXiv:1908.03265; torch.optim.RAdam.
    """
    beta1, beta2 = betas
    p, g = decayed(p, g, maximize, weight_decay, lr if decoupled_weight_decay else None)
    t = s.get("step", 0) + 1
    m = beta1 * s.get("exp_avg", 0.0) + (1.0 - beta1) * g
    v = beta2 * s.get("exp_avg_sq", 0.0) + (1.0 - beta2) * (g * g)
    free = m / (1.0 - beta1**t)
    longest = 2.0 / (1.0 - beta2) - 1.0
    rho = longest - 2.0 * t * beta2**t / (1.0 - beta2**t)
    state = {"step": t, "exp_avg": m, "exp_avg_sq": v}
    if not np.real(rho) > 5.0:
        return p - lr * free, state
    rectified = ((rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho)) ** 0.5
    return p - lr * rectified * (1.0 - beta2**t) ** 0.5 * (free / (v**0.5 + eps)), state


def _sparse_options(draw: Draw) -> dict[str, Any]:
    made = _options(draw)
    # torch computes m + (1 - beta1) (g - m): with beta1 = 0 the rounding of m stays, which the formula has not
    betas = draw.choice((0.9, 0.999), (0.5, 0.75))
    return {"lr": made["lr"], "betas": betas, "eps": made["eps"]}


@optimizer(
    "SparseAdam",
    _sparse_options,
    [{"lr": -0.1}, {"eps": -1e-8}, {"betas": (1.0, 0.999)}, {"betas": (0.9, 1.0)}],
    shapes=((5,), (4, 3), (17, 2)),
    complex=False,
    sparse="only",
    plain=("lr", "betas", "eps"),
)
def sparse_adam(
    p: Array,
    g: tuple[Array, Array],
    s: dict[str, Any],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    maximize: bool = False,
) -> tuple[Array, dict[str, Any]]:
    """Adam on the rows that the gradient has; the moments of all other rows wait. With m and v of those rows,

        p <- p - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)

    State: as Adam's; t counts every step. Source: torch.optim.SparseAdam.
    """
    beta1, beta2 = betas
    rows, total = g
    d = -total[rows] if maximize else total[rows]
    t = s.get("step", 0) + 1
    m, v = (s.get(name, np.zeros_like(p)).copy() for name in ("exp_avg", "exp_avg_sq"))
    m[rows] = beta1 * m[rows] + (1.0 - beta1) * d
    v[rows] = beta2 * v[rows] + (1.0 - beta2) * (d * d)
    p = p.copy()
    p[rows] -= lr * (1.0 - beta2**t) ** 0.5 / (1.0 - beta1**t) * (m[rows] / (v[rows] ** 0.5 + eps))
    return p, {"step": t, "exp_avg": m, "exp_avg_sq": v}
