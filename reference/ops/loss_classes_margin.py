"""Margins between the classes of one sample, losses of several labels, and two compositions of other losses."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.activation import sigma
from reference.ops.affine import linear
from reference.ops.arithmetic import to
from reference.ops.loss import mode, reduced, reductions
from reference.ops.loss_classes import EXPONENTIALS, cross_entropy, softmax_room, wrong_classes
from reference.ops.loss_margin import TRIPLET_WAIVERS, triplet_cases, triplet_margin_loss
from reference.rule import DERIVATIVES, Array, Case, Waiver, rule


def scores(draw: Draw, **options):
    """Scores (N, C) or (C), and their number of classes."""
    shape = draw.shape(1, 2)
    if draw.regime == "large":  # many samples of a few classes
        shape = (12_000, 3)
    elif 0 in shape:
        shape = (0, 3)
    return draw.reals(shape, **options)


def hinge_power(z, p):
    """max(z, 0)^p and its derivative, 0 at 0."""
    on = z.real > 0
    return np.where(on, z**p, 0.0), np.where(on, p * z ** (p - 1), 0.0)


def multi_margin_cases(draw: Draw):
    x = scores(draw)
    classes = x.shape[-1]
    target = draw.integers(x.shape[:-1], 0, classes - 1)
    options = dict(**draw.choice({}, dict(p=2), dict(margin=0.5), dict(p=2, margin=2.0)), **reductions(draw))
    if draw.boolean():
        options["weight"] = draw.reals((classes,), 0.25, 2.0)
    return Case((x, target), options)


@rule(
    "nn.functional.multi_margin_loss",
    cases=multi_margin_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), np.array([0]))), RuntimeError),
        (Case((draw.reals((2, 3)), np.array([0, 3]))), RuntimeError),
        (Case((draw.reals((2, 3)), np.array([0, 1])), dict(p=3)), ValueError),
    ],
)
def multi_margin_loss(input: Array, target: Array, p=1, margin=1.0, weight: Array | None = None, size_average=None,
                      reduce=None, reduction="mean"):  # fmt: skip
    """sum over the classes i other than the target t of w_t max(0, margin - x_t + x_i)^p / C, p = 1 or 2.

    The derivative at the kink is 0; the weight has none.
    input: (N, C) or (C); target: (N) or (); weight: (C); output: as target, or ().
    Source: Crammer and Singer, JMLR 2 (2001); torch.nn.MultiMarginLoss.
    """
    x, t = np.atleast_2d(input), np.atleast_1d(target)
    classes = x.shape[1]
    own = np.arange(classes) == t[:, None]
    chosen = np.take_along_axis(x, t[:, None], 1)
    w = (1.0 if weight is None else weight[t][:, None]) / classes
    value, slope = hinge_power(np.where(own, -1.0, margin - chosen + x), p)
    loss = (w * value).sum(1).reshape(target.shape)
    y, back = reduced(loss, mode(reduction, size_average, reduce))

    def vjp(g):
        d = np.reshape(back(g), (-1, 1)) * w * slope
        d = d - own * d.sum(1, keepdims=True)
        return d.reshape(input.shape), None, None

    return y, vjp


def multilabel_margin_cases(draw: Draw):
    x = scores(draw)
    rows, classes = np.atleast_2d(x).shape
    rng = draw.generator()
    target = np.stack([rng.permutation(classes) for _ in range(rows)]) if rows else np.zeros((0, classes), np.int64)
    # what is after the first -1 is not read
    ends = rng.integers(0, classes + 1, (rows, 1))
    target = np.where(np.arange(classes) == ends, -1, target).astype(np.int64)
    return Case((x, target.reshape(x.shape)), reductions(draw))


@rule(
    "nn.functional.multilabel_margin_loss",
    cases=multilabel_margin_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), np.zeros((2, 2), np.int64))), RuntimeError),
        (Case((draw.reals((2, 3)), np.full((2, 3), 3))), RuntimeError),
    ],
)
def multilabel_margin_loss(input: Array, target: Array, size_average=None, reduce=None, reduction="mean"):
    """sum over the labels j and the classes i that are no label of max(0, 1 - x_j + x_i) / C.

    The labels of a sample are the classes that its target names before the first -1; the derivative at the kink
    is 0.  input, target: (N, C) or (C); output: (N) or ().  Source: torch.nn.MultiLabelMarginLoss.
    """
    x, t = np.atleast_2d(input), np.atleast_2d(target)
    rows, classes = x.shape
    counts = np.cumsum(t < 0, axis=1) == 0
    labels = np.where(counts, t, 0)
    named = np.zeros((rows, classes), bool)
    np.logical_or.at(named, (np.arange(rows)[:, None], labels), counts)
    z = 1.0 - np.take_along_axis(x, labels, 1)[:, :, None] + x[:, None, :]
    value, slope = hinge_power(np.where(counts[:, :, None] & ~named[:, None, :], z, -1.0), 1)
    loss = value.sum((1, 2)) / max(classes, 1)
    y, back = reduced(loss.reshape(input.shape[:-1]), mode(reduction, size_average, reduce))

    def vjp(g):
        d = np.reshape(back(g), (-1, 1, 1)) * slope / max(classes, 1)
        grad = d.sum(1)
        np.subtract.at(grad, (np.arange(rows)[:, None], labels), d.sum(2))
        return grad.reshape(input.shape), None

    return y, vjp


def soft_margin_cases(draw: Draw):
    x = scores(draw, low=-6.0, high=6.0)
    target = draw.choice(draw.bools(x.shape) * 1.0, draw.reals(x.shape, 0.0, 1.0))
    options = reductions(draw)
    if draw.boolean():
        options["weight"] = draw.reals(draw.choice(x.shape, x.shape[-1:], ()), 0.25, 2.0)
    return Case((x, target), options)


@rule(
    "nn.functional.multilabel_soft_margin_loss",
    cases=soft_margin_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.reals((2, 2)))), RuntimeError)],
)
def multilabel_soft_margin_loss(input: Array, target: Array, weight: Array | None = None, size_average=None,
                                reduce=None, reduction="mean"):  # fmt: skip
    """The mean over the classes of -w (t log s + (1 - t) log(1 - s)), where s = 1 / (1 + exp(-x)).

    input, target: (*, C); weight: broadcasts; output: (*) or ().  Source: torch.nn.MultiLabelSoftMarginLoss.
    """
    x, t, w = input, target, 1.0 if weight is None else weight
    left = x.real < 0
    soft = np.log1p(np.exp(np.where(left, x, -x)))  # log(1 + exp(-|x|))
    minus_log, minus_log_other = soft - np.where(left, x, 0.0), soft + np.where(left, 0.0, x)
    each = t * minus_log + (1.0 - t) * minus_log_other
    classes = max(x.shape[-1], 1)
    y, back = reduced((w * each).sum(-1) / classes, mode(reduction, size_average, reduce))

    def vjp(g):
        gl = np.expand_dims(back(g), -1) / classes
        return (
            gl * w * ((1.0 - t) * sigma(x) - t * sigma(-x)),
            to(t, gl * w * (minus_log - minus_log_other)),
            None if weight is None else to(weight, gl * each),
        )

    return y, vjp


def with_distance_cases(draw: Draw):
    case = triplet_cases(draw)
    options = {k: v for k, v in case.kwargs.items() if k in ("margin", "swap")}
    how = mode(*(case.kwargs.get(k, d) for k, d in (("reduction", "mean"), ("size_average", None), ("reduce", None))))
    if case.kwargs.get("p", 2.0) != 2.0:  # the margin was chosen for another distance
        options["margin"] = 64.0
    made = [np.broadcast_to(x, case.args[0].shape).copy() for x in case.args]
    return Case(tuple(made), dict(options, reduction=how))


@rule(
    "nn.functional.triplet_margin_with_distance_loss",
    cases=with_distance_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.reals((2, 3)), draw.reals((3,)))), RuntimeError),
        (Case((draw.reals((3,)), draw.reals((3,)), draw.reals((3,))), dict(margin=0.0)), ValueError),
    ],
    waivers=TRIPLET_WAIVERS,
)
def triplet_margin_with_distance_loss(anchor: Array, positive: Array, negative: Array, *, distance_function=None,
                                      margin=1.0, swap=False, reduction="mean"):  # fmt: skip
    """triplet_margin_loss with p = 2. Raises ValueError for any other distance, which would be a torch function.

    anchor, positive, negative: (*, D), broadcast; output: (*) or ().
    Source: torch.nn.TripletMarginWithDistanceLoss.
    """
    if distance_function is not None:
        raise ValueError("only the default distance")
    return triplet_margin_loss.fn(anchor, positive, negative, margin, 2.0, 1e-6, swap, reduction=reduction)


def linear_cross_entropy_cases(draw: Draw):
    classes, features = draw.integer(2, 5), draw.side()
    batched = draw.boolean()
    batch = (draw.side(0 if draw.regime == "empty" else 1),) if batched else ()
    more = draw.choice((), (2,), (1, 3)) if batched else ()
    weight = draw.reals((classes, *more, features), -1.0, 1.0)
    options = draw.choice({}, dict(label_smoothing=0.25)) | (
        dict(reduction="sum") if 0 in batch else draw.choice({}, dict(reduction="sum"), dict(reduction="none"))
    )
    if draw.boolean():
        target = draw.reals((*batch, classes, *more), 0.0, 1.0)
    else:
        target = draw.integers((*batch, *more), 0, classes - 1)
        if draw.boolean():
            options["ignore_index"] = ignored = draw.choice(0, -100, -1)
            target = np.where(draw.bools(target.shape), ignored, target)
            # a mean over none that count is nan
            first = np.arange(target.size).reshape(target.shape) == 0
            target = np.where(first, 1, target) if np.all(target == ignored) else target
        target = np.asarray(target, np.int64)
    if draw.boolean():
        options["linear_bias"] = draw.reals((classes, *more), -1.0, 1.0)
    if draw.boolean():
        options["weight"] = draw.reals((classes,), 0.25, 2.0)
    return Case((draw.reals((*batch, features), -2.0, 2.0) / (1.0 + features / 8), weight, target), options)


def uncounted(index: int | None) -> int:
    """The class that does not count: that of cross_entropy where none is given."""
    return -100 if index is None else index


def lowered_room(input, linear_weight, target, *, linear_bias=None, **options):
    """2^16 times the largest sum in a score: the roundings of bfloat16, in units of those of float32."""
    size = np.abs(input).max(initial=0.0) * np.abs(linear_weight).sum(-1).max(initial=0.0)
    return np.asarray(2.0**16 * (1.0 + size))


def linear_softmax_room(input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean",
                        ignore_index=None, label_smoothing=0.0, options=None):  # fmt: skip
    """That of the cross entropy, times what its scores are made of."""
    scores = np.zeros((*input.shape[:-1], *linear_weight.shape[:-1]))
    room = softmax_room(scores, target, weight, None, uncounted(ignore_index), None, reduction, label_smoothing)
    return room * (1.0 + np.abs(input).max(initial=0.0) + np.abs(linear_weight).sum(-1).max(initial=0.0))


@rule(
    "nn.functional.linear_cross_entropy",
    cases=linear_cross_entropy_cases,
    waivers=[
        Waiver(EXPONENTIALS, room=linear_softmax_room, checks=DERIVATIVES),
        Waiver(
            "under autocast the products inside are in bfloat16, and their loss comes out in float32",
            room=lowered_room,
            checks=("autocast",),
        ),
    ],
    errors=lambda draw: [
        (Case((draw.reals((2, 4)), draw.reals((3, 5)), np.array([0, 1]))), RuntimeError),
        (Case((draw.reals((4,)), draw.reals((3, 2, 4)), np.array([0, 1]))), RuntimeError),
        *((Case((x, np.eye(3), *rest), options), kind) for (x, *rest), options, kind in _classes(draw)),
    ],
)
def linear_cross_entropy(
    input: Array, linear_weight: Array, target: Array, *, linear_bias: Array | None = None,
    weight: Array | None = None, reduction="mean", ignore_index=None, label_smoothing=0.0, options=None
):  # fmt: skip
    """cross_entropy of W x + b; `options` only say how torch shall divide the work.

    input: (N, n) or (n); linear_weight: (C, *, n); linear_bias: (C, *); target: class indices (N, *) or (), or
    probabilities (N, C, *) or (C); weight: (C); output: (N, *) or ().
    Source: torch.nn.functional.linear_cross_entropy.
    """
    x, w = input, linear_weight.reshape(-1, linear_weight.shape[-1])
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    flat, pull = linear.fn(x, w, bias)
    shape = (*x.shape[:-1], *linear_weight.shape[:-1])
    scores = flat.reshape(shape)
    y, back = cross_entropy.fn(scores, target, weight, None, uncounted(ignore_index), None, reduction, label_smoothing)

    def vjp(g):
        to_logits, to_target, to_weight = back(g)
        to_input, to_linear, to_bias = pull(to_logits.reshape(flat.shape))
        to_bias = None if linear_bias is None else to_bias.reshape(linear_bias.shape)
        return to_input, to_linear.reshape(linear_weight.shape), to_target, to_bias, to_weight

    return y, vjp


def _classes(draw: Draw):
    return [(case.args, case.kwargs, kind) for case, kind in wrong_classes(draw)[:1]]
