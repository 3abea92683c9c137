"""Losses over classes and labels."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.laws import uniform
from reference.nn.functional import applied, cases_of, rule_of
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.rule import Waiver


def pair(name):
    """The cases of a loss of an input and a target."""
    return cases_of(name, "input", "target")


def nll(weight, size_average, ignore_index, reduce, reduction):
    return applied(
        "nn.functional.nll_loss", dict(weight=weight), size_average=size_average, ignore_index=ignore_index,
        reduce=reduce, reduction=reduction,
    )  # fmt: skip


@layer("nn.NLLLoss", cases=pair("nn.functional.nll_loss"))
def nll_loss(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-w_t x_t for the class t of the target, 0 where it is ignore_index; the mean is over the sum of w_t.

    input: (C), (N, C) or (N, C, *); target: (), (N) or (N, *); output: as target, or ().  Source: torch.nn.NLLLoss.
    """
    return nll(weight, size_average, ignore_index, reduce, reduction)


@layer("nn.NLLLoss2d", cases=pair("nn.functional.nll_loss"))
def nll_loss2d(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """NLLLoss under its older name for images.

    Source: torch.nn.NLLLoss, of which it is a subclass.
    """
    return nll(weight, size_average, ignore_index, reduce, reduction)


@layer("nn.CrossEntropyLoss", cases=pair("nn.functional.cross_entropy"), like=("nn.functional.cross_entropy",))
def cross_entropy_loss(
    weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):
    """-sum_c w_c p_c log softmax(x)_c, with p from the target: classes or probabilities.

    input: (C), (N, C) or (N, C, *); target: (), (N) or (N, *), or as input; output: without classes, or ().
    Source: torch.nn.CrossEntropyLoss; Szegedy et al., arXiv:1512.00567.
    """
    return applied(
        "nn.functional.cross_entropy", dict(weight=weight), size_average=size_average, ignore_index=ignore_index,
        reduce=reduce, reduction=reduction, label_smoothing=label_smoothing,
    )  # fmt: skip


LINEAR = "nn.functional.linear_cross_entropy"


def linear_cross_entropy_cases(draw: Draw) -> LayerCase:
    case = rule_of(LINEAR).cases(draw)
    x, matrix, target = case.args
    options = {k: v for k, v in case.kwargs.items() if k != "linear_bias"}
    options["bias"] = "linear_bias" in case.kwargs
    if matrix.ndim > 2:
        options["out_features"] = matrix.shape[1:-1]
    return LayerCase((matrix.shape[-1], matrix.shape[0]), options, (x, target), draw.boolean())


@layer("nn.LinearCrossEntropyLoss", cases=linear_cross_entropy_cases, like=(LINEAR,))
def linear_cross_entropy_loss(
    in_features, num_classes, *, out_features=(), bias=False, device=None, dtype=None, reduction="mean",
    weight=None, ignore_index=None, label_smoothing=0.0, options=None,
):  # fmt: skip
    """The cross entropy of W x + b, of num_classes scores in each place of out_features.

    input: (N, in_features) or (in_features); target: classes (N, *out_features), or probabilities
    (N, C, *out_features), without N where the input is; output: (N, *out_features) or ().
    Source: torch.nn.LinearCrossEntropyLoss.
    """
    k = in_features**-0.5
    rows = num_classes * math.prod(out_features)
    parameters = {"linear.weight": Parameter((rows, in_features), uniform(-k, k))}
    if bias:
        parameters["linear.bias"] = Parameter((rows,), uniform(-k, k))

    def forward(tape, p, training, x, target):
        classes = (num_classes, *out_features)
        return tape.apply(
            LINEAR, x, tape.apply("reshape", p["linear.weight"], (*classes, in_features)), target,
            linear_bias=tape.apply("reshape", p["linear.bias"], classes) if bias else None, weight=p.get("weight"),
            reduction=reduction, ignore_index=ignore_index, label_smoothing=label_smoothing,
        )  # fmt: skip

    return Described(parameters, forward, {} if weight is None else {"weight": weight})


MULTI_MARGIN, MULTILABEL_SOFT = "nn.functional.multi_margin_loss", "nn.functional.multilabel_soft_margin_loss"


@layer("nn.MultiMarginLoss", cases=pair(MULTI_MARGIN))
def multi_margin_loss(p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """sum over the classes i other than the target t of w_t max(0, margin - x_t + x_i)^p / C.

    input: (N, C) or (C); target: (N) or (); output: as target, or ().  Source: torch.nn.MultiMarginLoss.
    """
    return applied(
        MULTI_MARGIN, dict(weight=weight), p=p, margin=margin, size_average=size_average, reduce=reduce,
        reduction=reduction,
    )  # fmt: skip


@layer("nn.MultiLabelMarginLoss", cases=pair("nn.functional.multilabel_margin_loss"))
def multilabel_margin_loss(size_average=None, reduce=None, reduction="mean"):
    """sum over the labels j and the classes i that are no label of max(0, 1 - x_j + x_i) / C.

    input, target: (N, C) or (C); output: (N) or ().  Source: torch.nn.MultiLabelMarginLoss.
    """
    return applied(
        "nn.functional.multilabel_margin_loss", size_average=size_average, reduce=reduce, reduction=reduction
    )


@layer("nn.MultiLabelSoftMarginLoss", cases=pair(MULTILABEL_SOFT))
def multilabel_soft_margin_loss(weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over the classes of -w (y log s + (1 - y) log(1 - s)), where s = 1 / (1 + exp(-x)).

    input, target: (*, C); output: (*) or ().  Source: torch.nn.MultiLabelSoftMarginLoss.
    """
    return applied(MULTILABEL_SOFT, dict(weight=weight), size_average=size_average, reduce=reduce, reduction=reduction)


CTC = "nn.functional.ctc_loss"


@layer(
    "nn.CTCLoss",
    cases=cases_of(CTC, "log_probs", "targets", "input_lengths", "target_lengths"),
    second_order=False,
    like=(CTC,),
)
def ctc_loss(blank=0, reduction="mean", zero_infinity=False):
    """-log of the sum over all paths that collapse to the target of the product of their probabilities.

    log_probs: (T, N, C) or (T, C); targets: (N, S) or (sum of target_lengths); lengths: (N) or (), arrays or
    tuples; output: (N) or ().  Source: torch.nn.CTCLoss; Graves et al., ICML 2006.
    """
    return applied(CTC, blank=blank, reduction=reduction, zero_infinity=zero_infinity)


def adaptive_cases(draw: Draw) -> LayerCase:
    """Two or three clusters; each projection has at least one feature left."""
    cutoffs = draw.choice((2,), (1, 3), (2, 3, 6))
    classes, value = cutoffs[-1] + draw.integer(1, 3), draw.choice(2.0, 1.5)
    features = max(draw.side(8 if len(cutoffs) > 2 else 4, 9), 4)
    batch = (draw.side(),) if draw.integer(0, 3) else ()
    target = draw.integers(batch, 0, classes - 1)
    options = dict(div_value=value, head_bias=draw.boolean())
    x = draw.reals((*batch, features), -2.0, 2.0) / (1.0 + features / 8)
    return LayerCase((features, classes, cutoffs), options, (x, target), draw.boolean())


def lowered_room(inputs, parameters, buffers, args, kwargs, places, training):
    """2^16 times the largest sum in a score: the roundings of bfloat16, in units of those of float32."""
    size = np.abs(inputs[0]).max(initial=0.0) * np.max([np.abs(w).sum(-1).max(initial=0.0) for w in parameters])
    return np.asarray(2.0**16 * (1.0 + size))


@layer(
    "nn.AdaptiveLogSoftmaxWithLoss",
    cases=adaptive_cases,
    waivers=(
        Waiver(
            "under autocast the products inside are in bfloat16, and the logarithms come out in float32",
            room=lowered_room,
            checks=("autocast",),
        ),
    ),
    like=("nn.functional.log_softmax",),
)
def adaptive_log_softmax_with_loss(
    in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None
):
    """log p of each target, and minus their mean.

    The head has the classes below cutoffs[0], then the clusters. Cluster i, of the classes between two cutoffs,
    is a softmax of a projection to in_features / div_value^(i + 1) features; p is its share of the cluster's.
    input: (N, in_features) or (in_features); target: (N) or (); outputs: as target, and ().
    Source: torch.nn.AdaptiveLogSoftmaxWithLoss; Grave et al., arXiv:1609.04309.
    """
    ends = [*cutoffs, n_classes]
    first, clusters = ends[0], len(ends) - 1

    def matrix(rows, columns):
        return Parameter((rows, columns), uniform(-(columns**-0.5), columns**-0.5))

    parameters = {"head.weight": matrix(first + clusters, in_features)}
    if head_bias:
        parameters["head.bias"] = Parameter((first + clusters,), uniform(-(in_features**-0.5), in_features**-0.5))
    for i in range(clusters):
        width = int(in_features // div_value ** (i + 1))
        parameters[f"tail.{i}.0.weight"] = matrix(width, in_features)
        parameters[f"tail.{i}.1.weight"] = matrix(ends[i + 1] - ends[i], width)

    def forward(tape, p, training, x, target):
        def linear(x, name):
            return tape.apply("nn.functional.linear", x, p[f"{name}.weight"], p.get(f"{name}.bias"))

        def chosen(scores, index):
            logs = tape.apply("nn.functional.log_softmax", scores, 1)
            return tape.apply("reshape", tape.apply("gather", logs, 1, index[:, None]), (len(index),))

        alone = target.value.ndim == 0
        t = np.atleast_1d(target.value)
        x = tape.apply("reshape", x, (1, in_features)) if alone else x
        cluster = np.searchsorted(ends, t, side="right")
        out = chosen(linear(x, "head"), np.where(cluster == 0, t, first + cluster - 1))
        for i in range(clusters):
            (rows,) = np.nonzero(cluster == i + 1)
            if len(rows):
                part = linear(linear(tape.apply("index_select", x, 0, rows), f"tail.{i}.0"), f"tail.{i}.1")
                out = tape.apply("index_add", out, 0, rows, chosen(part, t[rows] - ends[i]))
        loss = tape.apply("neg", tape.apply("mean", out))
        return tape.apply("reshape", out, ()) if alone else out, loss

    return Described(parameters, forward)
