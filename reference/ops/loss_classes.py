"""Losses over classes: the negative log likelihood and the cross entropy."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.loss import mode, reduced, reductions
from reference.ops.softmax import stable
from reference.rule import DERIVATIVES, Array, Case, Waiver, is_inexact, rule


def along_classes(weight, ndim, dim):
    """The weights of the classes as they stand beside an input."""
    return 1.0 if weight is None else weight.reshape([-1 if i == dim else 1 for i in range(ndim)])


def chosen(target, classes, dim, ignore_index, dtype):
    """Ones at the classes that the target names, zeros elsewhere, and which targets count."""
    counts = target != ignore_index
    safe = np.where(counts, target, 0)
    if np.any((safe < 0) | (safe >= classes)):
        raise IndexError("a target is out of bounds")
    hot = np.zeros((*target.shape, classes), dtype)
    np.put_along_axis(hot, safe[..., None], counts[..., None].astype(dtype), -1)
    return np.moveaxis(hot, -1, dim), counts


def named_weight(weight, target, counts):
    """The sum of the weights of the targets that count."""
    return float(counts.sum()) if weight is None else np.where(counts, weight[np.where(counts, target, 0)], 0.0).sum()


def picked(q, log):
    """q log, zero where q is zero though the logarithm is infinite."""
    return np.where(q == 0, 0.0, q * np.where(q == 0, 0.0, log))


def class_cases(draw: Draw, low):
    """Scores (C), (N, C) or (N, C, ...), class indices, and the options of both losses."""
    rest = draw.shape(0, 3)
    classes = draw.integer(2, 5)
    shape = (rest[0], classes, *rest[1:]) if rest else (classes,)
    x = draw.reals(shape, low, 4.0)
    target = draw.integers(rest, 0, classes - 1)
    options = reductions(draw)
    if draw.boolean():
        options["weight"] = draw.reals((classes,), 0.25, 2.0)
    if draw.boolean():
        options["ignore_index"] = ignored = draw.choice(0, -100, -1)
        places = draw.bools(rest)
        target = np.where(places, ignored, target)
        # a mean over none that count is nan
        if target.size and np.all(target == ignored):
            target = np.where(np.arange(target.size).reshape(target.shape) == 0, 1, target)
    return Case((x, np.asarray(target, np.int64)), options)


def wrong_classes(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x, np.array([0, 3]))), IndexError),
        (Case((x, np.array([0]))), ValueError),
        (Case((x, np.array([0, 1]), draw.reals((2,)))), RuntimeError),
        (Case((x, np.array([0, 1])), dict(reduction="all")), ValueError),
    ]


@rule("nn.functional.nll_loss", cases=lambda draw: class_cases(draw, -4.0), errors=wrong_classes)
def nll_loss(input: Array, target: Array, weight: Array | None = None, size_average=None, ignore_index=-100,
             reduce=None, reduction="mean"):  # fmt: skip
    """-w_t x_t for the class t of the target, 0 where it is ignore_index. The mean is over the sum of w_t.

    The weights have no gradient.
    input: (C), (N, C) or (N, C, *) log probabilities; target: (), (N) or (N, *); output: as target, or ().
    Source: torch.nn.NLLLoss.
    """
    dim = 0 if input.ndim == 1 else 1
    hot, counts = chosen(target, input.shape[dim], dim, ignore_index, input.real.dtype)
    q = hot * along_classes(weight, input.ndim, dim)
    total = named_weight(weight, target, counts)
    y, back = reduced(-picked(q, input).sum(axis=dim), mode(reduction, size_average, reduce), total)
    return y, lambda g: (-q * np.expand_dims(back(g), dim), None, None)


def cross_entropy_cases(draw: Draw):
    case = class_cases(draw, -4.0)
    if draw.boolean():
        case.kwargs["label_smoothing"] = draw.choice(0.25, 0.1, 1.0)
    if draw.boolean():
        return case
    x = case.args[0]
    case.kwargs.pop("ignore_index", None)
    return Case((x, draw.reals(x.shape, 0.0, 1.0)), case.kwargs)


def smoothed(input, target, weight, ignore_index, s):
    """The axis of the classes, whether the target is probabilities, w and p of each class, and what a mean counts."""
    dim = 0 if input.ndim == 1 else 1
    classes = input.shape[dim]
    if is_inexact(target) and target.shape == input.shape:
        p, count = (1.0 - s) * target + s / classes if s else target, math.prod(target.shape) / max(classes, 1)
        return dim, True, along_classes(weight, input.ndim, dim), p, count
    hot, counts = chosen(target, classes, dim, ignore_index, input.real.dtype)
    p = (1.0 - s) * hot + s / classes * np.expand_dims(counts, dim).astype(hot.dtype)
    return dim, False, along_classes(weight, input.ndim, dim), p, named_weight(weight, target, counts)


def softmax_room(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean",
                 label_smoothing=0.0):  # fmt: skip
    """The largest sum of w p over the classes, by which a softmax is multiplied."""
    dim, _, w, p, count = smoothed(input, target, weight, ignore_index, label_smoothing)
    return (w * p).sum(axis=dim).max(initial=0.0) / (count if mode(reduction, size_average, reduce) == "mean" else 1.0)


EXPONENTIALS = "torch takes exp of its rounded logarithms, which differs from a target that is equal to the softmax"


@rule(
    "nn.functional.cross_entropy",
    cases=cross_entropy_cases,
    waivers=[Waiver(EXPONENTIALS, room=softmax_room, checks=DERIVATIVES)],
    errors=lambda draw: [
        *wrong_classes(draw),
        (Case((draw.reals((2, 3)), np.array([0, 1])), dict(label_smoothing=1.5)), RuntimeError),
        (Case((draw.reals((2, 3)), draw.reals((2, 3), 0.0)), dict(ignore_index=1)), RuntimeError),
    ],
)
def cross_entropy(input: Array, target: Array, weight: Array | None = None, size_average=None,
                  ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):  # fmt: skip
    """-sum_c w_c p_c log softmax(x)_c, with p from the target: (1 - s) of it and s / C for each class.

    The target is class indices (ignored where ignore_index; the mean is over the sum of the weights named) or
    probabilities (the mean is over their number; they and the weights then have gradients).
    input: (C), (N, C) or (N, C, *); target: (), (N) or (N, *), or as input; output: without classes, or ().
    Source: Szegedy et al., arXiv:1512.00567; torch.nn.CrossEntropyLoss.
    """
    s = label_smoothing
    dim, soft, w, p, count = smoothed(input, target, weight, ignore_index, s)
    e, total, shifted, _ = stable(input, dim)
    log, softmax = shifted - np.log(total), e / total
    terms = w * p * log if soft else picked(w * p, log)
    y, back = reduced(-terms.sum(axis=dim), mode(reduction, size_average, reduce), count)

    def vjp(g):
        gl = np.expand_dims(back(g), dim)
        grad = gl * (softmax * (w * p).sum(axis=dim, keepdims=True) - w * p)
        if not soft:
            return grad, None, None
        others = tuple(i for i in range(input.ndim) if i != dim)
        gw = None if weight is None else -(gl * p * log).sum(axis=others)
        return grad, -gl * w * (1.0 - s) * log, gw

    return y, vjp
