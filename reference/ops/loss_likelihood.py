"""Losses that are negative log likelihoods of each element, and divergences of distributions."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.activation import sigma
from reference.ops.arithmetic import to
from reference.ops.loss import beside, mode, reduced, reductions, unmatched
from reference.ops.precision import floating
from reference.rule import Array, Case, Waiver, rule


def mismatched(draw: Draw):
    """As unmatched, for losses that compare the shapes themselves."""
    x = draw.reals((2, 3), 0.25, 0.75)
    return [
        (Case((x, draw.reals((3,), 0.25, 0.75))), ValueError),
        (Case((x, x), dict(reduction="all")), ValueError),
    ]


def probabilities(draw: Draw, shape):
    """Numbers in [1/16, 15/16], also once rounded."""
    return draw.reals(shape, 0.0625, 0.9375)


def binary_cases(draw: Draw):
    shape = draw.shape()
    target = draw.choice(probabilities(draw, shape), draw.bools(shape) * 1.0)
    options = reductions(draw)
    if draw.boolean():
        options["weight"] = draw.reals(draw.broadcast(shape), 0.25, 2.0)
    return Case((probabilities(draw, shape), target), options)


@rule("nn.functional.binary_cross_entropy", cases=binary_cases, errors=mismatched)
def binary_cross_entropy(input: Array, target: Array, weight: Array | None = None, size_average=None,
                         reduce=None, reduction="mean"):  # fmt: skip
    """-weight (t log x + (1 - t) log(1 - x)), with logarithms of at least -100.

    The derivative, weight (x - t) / (x (1 - x)), has a denominator of at least 1e-12; none for the weight.
    input, target: (*), in [0, 1]; weight: broadcasts; output: (*) or ().  Source: torch.nn.BCELoss.
    """
    x, w = input, 1.0 if weight is None else weight
    with np.errstate(divide="ignore"):
        log, log_other = np.log(x), np.log1p(-x)
    bounded = (np.where(v.real < -100.0, -100.0, v) for v in (log, log_other))
    y, back = reduced(-w * sum(p * v for p, v in zip((target, 1.0 - target), bounded)),
                      mode(reduction, size_average, reduce))  # fmt: skip
    product = x * (1.0 - x)

    def vjp(g):
        gl = back(g) * w
        slope = (x - target) / np.where(product.real < 1e-12, 1e-12, product)
        return gl * slope, to(target, gl * (log_other - log)), None

    return y, vjp


def logits_cases(draw: Draw):
    shape = draw.shape()
    target = draw.choice(probabilities(draw, shape), draw.bools(shape) * 1.0)
    options = reductions(draw)
    for name in ("weight", "pos_weight"):
        if draw.boolean():
            options[name] = draw.reals(draw.broadcast(shape), 0.25, 2.0)
    return Case((draw.reals(shape, -8.0, 8.0), target), options)


def logits_room(input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    """|x| with its weights: a sum where the loss is one."""
    w, p = 1.0 if weight is None else weight, 1.0 if pos_weight is None else np.maximum(pos_weight, 1.0)
    return reduced(np.abs(input) * w * p, mode(reduction, size_average, reduce))[0]


@rule(
    "nn.functional.binary_cross_entropy_with_logits",
    cases=logits_cases,
    errors=mismatched,
    waivers=[Waiver("torch computes (1 - t) x + max(-x, 0) + ..., which cancels for negative x", room=logits_room)],
)
def binary_cross_entropy_with_logits(
    input: Array, target: Array, weight: Array | None = None, size_average=None, reduce=None,
    reduction="mean", pos_weight: Array | None = None
):  # fmt: skip
    """-weight (p t log s + (1 - t) log(1 - s)), where s = 1 / (1 + exp(-x)) and p is pos_weight, else 1.

    The weights have no gradient.
    input, target: (*); weights: broadcast; output: (*) or ().  Source: torch.nn.BCEWithLogitsLoss.
    """
    x, t = input, target
    w, p = 1.0 if weight is None else weight, 1.0 if pos_weight is None else pos_weight
    left = x.real < 0
    soft = np.log1p(np.exp(np.where(left, x, -x)))  # log(1 + exp(-|x|))
    minus_log, minus_log_other = soft - np.where(left, x, 0.0), soft + np.where(left, 0.0, x)
    y, back = reduced(w * (p * t * minus_log + (1.0 - t) * minus_log_other), mode(reduction, size_average, reduce))

    def vjp(g):
        gl = back(g) * w
        slope = (1.0 - t) * sigma(x) - p * t * sigma(-x)
        return gl * slope, to(t, gl * (p * minus_log - minus_log_other)), None, None

    return y, vjp


def kl_cases(draw: Draw):
    x, t = beside(draw)
    log_target = draw.boolean()
    options = reductions(draw, dict(reduction="batchmean"))
    t = t if log_target else np.where(t == 0, 0.5, np.abs(t))
    return Case((x, t), dict(**options, log_target=True) if log_target else options)


@rule(
    "nn.functional.kl_div",
    cases=kl_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), draw.reals((3,)))), RuntimeError)],
)
def kl_div(input: Array, target: Array, size_average=None, reduce=None, reduction="mean", log_target=False):
    """t (log t - x), 0 where t = 0; with log_target exp(t) (t - x).

    "batchmean" is the sum over the first size of the input.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.KLDivLoss.
    """
    x, t = input, target
    if log_target:
        p, log = np.exp(t), t
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            p, log = t, np.where(t == 0, 0.0, np.log(t))
    how = mode(reduction, size_average, reduce)
    batch = how == "batchmean"
    y, back = reduced(p * (log - x), "mean" if batch else how, (x.shape[0] if x.ndim else 1) if batch else None)

    def vjp(g):
        gl = back(g)
        return to(x, -gl * p), to(t, gl * (p * (t - x + 1.0) if log_target else log - x + 1.0))

    return y, vjp


def soft_margin_cases(draw: Draw):
    x = draw.reals(draw.shape(), -8.0, 8.0)
    target = draw.bools(x.shape if draw.integer(0, 3) else draw.broadcast(x.shape)) * 2.0 - 1.0
    return Case((x, target), reductions(draw))


@rule("nn.functional.soft_margin_loss", cases=soft_margin_cases, errors=unmatched)
def soft_margin_loss(input: Array, target: Array, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-t x)); no gradient for the target.

    input: (*); target: broadcasts to it, of 1 and -1; output: (*) or ().  Source: torch.nn.SoftMarginLoss.
    """
    z = -target * input
    on = z.real > 0
    loss = np.where(on, z, 0.0) + np.log1p(np.exp(np.where(on, -z, z)))
    y, back = reduced(loss, mode(reduction, size_average, reduce))
    return y, lambda g: (-back(g) * target * sigma(z), None)


def poisson_cases(draw: Draw):
    shape = draw.shape()
    log_input, full = draw.boolean(), draw.boolean()
    x = draw.reals(shape, -3.0, 3.0) if log_input else draw.reals(shape, 0.25, 8.0)
    target = draw.reals(shape if draw.integer(0, 3) else draw.broadcast(shape), 0.0, 8.0, avoid=(1.0,))
    return Case((x, target), dict(log_input=log_input, full=full, **reductions(draw)))


@rule("nn.functional.poisson_nll_loss", cases=poisson_cases, errors=unmatched)
def poisson_nll_loss(input: Array, target: Array, log_input=True, full=False, size_average=None, eps=1e-8,
                     reduce=None, reduction="mean"):  # fmt: skip
    """exp(x) - t x, or x - t log(x + eps) with log_input=False.

    With `full` plus Stirling's approximation of log t!, t log t - t + log(2 pi t) / 2, where t > 1.
    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.PoissonNLLLoss.
    """
    x, t = input, target
    rate, log = (np.exp(x), x) if log_input else (x, np.log(x + eps))
    loss = rate - t * log
    many = t.real > 1
    safe = np.where(many, t, 1.0)
    if full:
        loss = loss + np.where(many, safe * np.log(safe) - safe + 0.5 * np.log(2.0 * math.pi * safe), 0.0)
    y, back = reduced(loss, mode(reduction, size_average, reduce))

    def vjp(g):
        gl = back(g)
        more = np.where(many, np.log(safe) + 0.5 / safe, 0.0) if full else 0.0
        return to(x, gl * (rate - t if log_input else 1.0 - t / (x + eps))), to(t, gl * (more - log))

    return y, vjp


def gaussian_cases(draw: Draw):
    shape = draw.shape(min_dims=1)
    var = draw.choice("same", "short", "narrow", "number")
    v = draw.reals(shape[:-1] if var == "short" else (*shape[:-1], 1) if var == "narrow" else shape, 0.25, 4.0)
    if draw.integer(0, 4) == 4 and draw.special:
        v = v * draw.bools(v.shape)  # zeros are raised to eps
    how = draw.choice("sum", "none") if draw.regime == "empty" else draw.choice("mean", "sum", "none")
    target = draw.reals(shape if draw.integer(0, 3) else draw.broadcast(shape))
    eps = draw.choice(0.125, 0.5) if np.any(v == 0) else draw.choice(1e-6, 0.5 if draw.special else 0.125)
    options = dict(full=draw.boolean(), eps=eps, reduction=how)
    return Case((draw.reals(shape), target, 1.5 if var == "number" else v), options)


@rule(
    "nn.functional.gaussian_nll_loss",
    cases=gaussian_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.reals((2, 3)), draw.reals((3,), 1.0))), ValueError),
        (Case((draw.reals((2,)), draw.reals((2,)), -1.0)), ValueError),
    ],
)
def gaussian_nll_loss(input: Array, target: Array, var: Array | float, full=False, eps=1e-6, reduction="mean"):
    """(log v + (input - target)^2 / v + log 2 pi (only with full)) / 2, where v = max(var, eps).

    The derivative in v passes to var as it is, also where eps was larger.
    input, target: (*), broadcast; var: as input, or without its last dimension, or of size 1 in one, or a
    number; output: (*) or ().
    Source: Nix and Weigend (1994); torch.nn.GaussianNLLLoss.
    """
    v = var if isinstance(var, np.ndarray) else np.full(input.shape, var, floating(input).real.dtype)
    if v.shape != input.shape and v.shape == input.shape[:-1]:
        v = v[..., None]
    v = v + np.maximum(eps - v.real, 0.0)
    d = input - target
    y, back = reduced(0.5 * (np.log(v) + d * d / v + (math.log(2.0 * math.pi) if full else 0.0)), reduction)

    def vjp(g):
        gl = back(g)
        gv = to(v, 0.5 * gl * (1.0 - d * d / v) / v)
        if isinstance(var, np.ndarray):
            gv = gv.reshape(var.shape)
        return to(input, gl * d / v), to(target, -gl * d / v), gv

    return y, vjp
