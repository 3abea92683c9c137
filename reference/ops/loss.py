"""Losses of predictions beside targets of the same shape, element by element, and their reductions."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.arithmetic import to
from reference.rule import DERIVATIVES, Array, Case, Waiver, absolute, is_stepping, rule


def mode(reduction, size_average=None, reduce=None):
    """The reduction, as the two older arguments say if either is given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def reduced(loss, how, count=None):
    """The loss as it is, its sum, or its sum over `count` (its size unless given); and the way back for g."""
    if how == "none":
        return loss, lambda g: g
    divisor = 1.0 if how == "sum" else loss.size if count is None else count
    return loss.sum() / divisor, lambda g: np.broadcast_to(g / divisor, loss.shape)


def reductions(draw: Draw, *more):
    """Keyword arguments of the reduction; the mean of nothing is nan, and left out."""
    if draw.regime == "empty":
        return draw.choice(dict(reduction="sum"), dict(reduction="none"), dict(size_average=False))
    older = (
        dict(size_average=False),
        dict(reduce=False),
        dict(size_average=True, reduce=True, reduction="none"),
    )
    return draw.choice({}, dict(reduction="sum"), dict(reduction="none"), dict(reduction="mean"), *older, *more)


def beside(draw: Draw):
    """A prediction and a target: of one shape, or (torch warns) such that they broadcast."""
    shapes = draw.shapes(2) if draw.integer(0, 4) == 4 else [draw.shape()] * 2
    return draw.numbers(shapes[0]), draw.numbers(shapes[1])


def weighted(draw: Draw, x):
    return dict(weight=draw.reals(x.shape, 0.25, 2.0)) if draw.integer(0, 2) == 2 else {}


def unmatched(draw: Draw):
    x = draw.reals((2, 3), 0.25, 0.75)
    return [
        (Case((x, draw.reals((2,), 0.25, 0.75))), RuntimeError),
        (Case((x, x), dict(reduction="all")), ValueError),
    ]


def of_difference(input, target, weight, how, loss, slope, weighted_mean=False):
    """The reduced loss(input - target), times the weight if there is one; `slope` is the loss's derivative.

    With `weighted_mean` the mean is over the sum of the weights.
    """
    d = input - target
    values, w = loss(d), 1.0 if weight is None else weight
    count = weight.sum() if weighted_mean and weight is not None else None
    y, back = reduced(w * values, how, count)

    def vjp(g):
        gl = back(g)
        gd = gl * w * slope(d)
        gw = None if weight is None else to(weight, gl * values)
        if count is not None and how == "mean":
            gw = gw - g * y / count
        return to(input, gd), to(target, -gd), gw

    return y, vjp


def difference_cases(draw: Draw):
    x, y = beside(draw)
    if draw.complex:  # |z| has no second derivative at 0, nor close to it one by differences
        x, y = (v + 8.0 * sign * (1.0 + 1.0j) for v, sign in ((x, 1.0), (y, -1.0)))
    return Case((x, y), dict(**reductions(draw), **weighted(draw, x)))


@rule("nn.functional.mse_loss", cases=difference_cases, errors=unmatched)
def mse_loss(input: Array, target: Array, size_average=None, reduce=None, reduction="mean",
             weight: Array | None = None):  # fmt: skip
    """weight (input - target)^2; the mean is over the sum of the weights.

    input, target: (*), broadcast; weight: as input; output: (*) or ().  Source: torch.nn.MSELoss.
    """
    how = mode(reduction, size_average, reduce)
    return of_difference(input, target, weight, how, lambda d: d * d, lambda d: 2.0 * d, weighted_mean=True)


def sign(d):
    """The derivative of |d|: 0 at 0, d / |d| for complex numbers."""
    if is_stepping() or d.dtype.kind != "c":
        return np.sign(d.real)
    size = np.abs(d)
    return d / np.where(size == 0, 1.0, size)


def signs_room(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The sum of the moduli of the terms that make one gradient of a broadcast operand, all of one size."""
    size = math.prod(np.broadcast_shapes(input.shape, target.shape))
    terms = max((size // x.size for x in (input, target) if x.size), default=0)
    if terms < 2 or weight is not None:
        return np.zeros(())
    return np.asarray(terms / size if mode(reduction, size_average, reduce) == "mean" else float(terms))


SIGNS = Waiver(
    "terms of one size and of both signs cancel exactly in one order of summation, and up to rounding in another",
    room=signs_room,
    checks=DERIVATIVES,
)


@rule("nn.functional.l1_loss", cases=difference_cases, errors=unmatched, complex=True, waivers=[SIGNS])
def l1_loss(input: Array, target: Array, size_average=None, reduce=None, reduction="mean",
            weight: Array | None = None):  # fmt: skip
    """weight |input - target|; the mean is over the sum of the weights. The derivative is 0 at 0.

    input, target: (*), broadcast; weight: as input; output: (*) or (), real.  Source: torch.nn.L1Loss.
    """
    how = mode(reduction, size_average, reduce)
    return of_difference(input, target, weight, how, absolute, sign, weighted_mean=True)


def bent(delta, scale):
    """scale d^2 / 2 where |d| < delta, beyond it the tangent there; and the derivative."""

    def loss(d):
        near = np.abs(d.real) < delta
        return scale * np.where(near, d * d / 2.0, delta * (absolute(d) - delta / 2.0))

    return loss, lambda d: scale * np.where(np.abs(d.real) < delta, d, delta * np.sign(d.real))


def smooth_l1_cases(draw: Draw):
    return Case(
        beside(draw),
        dict(**reductions(draw), **draw.choice({}, dict(beta=0.5), dict(beta=0.0), dict(beta=2))),
    )


@rule(
    "nn.functional.smooth_l1_loss",
    cases=smooth_l1_cases,
    errors=lambda draw: [
        *unmatched(draw),
        (Case((draw.reals((2,)), draw.reals((2,))), dict(beta=-1.0)), RuntimeError),
    ],
)
def smooth_l1_loss(input: Array, target: Array, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, for d = input - target; |d| for beta = 0.

    input, target: (*), broadcast; output: (*) or ().
    Source: Girshick, arXiv:1504.08083; torch.nn.SmoothL1Loss.
    """
    loss, slope = bent(beta, 1.0 / beta) if beta else (absolute, sign)
    y, vjp = of_difference(input, target, None, mode(reduction, size_average, reduce), loss, slope)
    return y, lambda g: vjp(g)[:2]


def huber_cases(draw: Draw):
    x, y = beside(draw)
    how = {} if draw.regime != "empty" else dict(reduction="sum")
    how = draw.choice(how, dict(reduction="sum"), dict(reduction="none"))
    return Case((x, y), dict(**how, **draw.choice({}, dict(delta=0.5), dict(delta=2)), **weighted(draw, x)))


@rule(
    "nn.functional.huber_loss",
    cases=huber_cases,
    errors=lambda draw: [
        *unmatched(draw),
        (Case((draw.reals((2,)), draw.reals((2,))), dict(delta=0.0)), RuntimeError),
    ],
)
def huber_loss(input: Array, target: Array, reduction="mean", delta=1.0, weight: Array | None = None):
    """weight d^2 / 2 where |d| < delta, else weight delta (|d| - delta / 2), for d = input - target.

    input, target: (*), broadcast; weight: as input; output: (*) or ().
    Source: Huber, "Robust estimation of a location parameter" (1964); torch.nn.HuberLoss.
    """
    return of_difference(input, target, weight, reduction, *bent(delta, 1.0))
