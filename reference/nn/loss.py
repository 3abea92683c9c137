"""Losses of predictions beside targets of the same shape. The weights that some of them are given are buffers."""

from __future__ import annotations

from reference.nn.functional import applied, cases_of
from reference.nn.layer import layer


def pair(name, *more, **options):
    """The cases of a loss of an input and a target."""
    return cases_of(name, "input", "target", *more, **options)


@layer(
    "nn.L1Loss", cases=pair("nn.functional.l1_loss", without=("weight",)), complex=True, like=("nn.functional.l1_loss",)
)
def l1_loss(size_average=None, reduce=None, reduction="mean"):
    """|x - y|.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.L1Loss.
    """
    return applied("nn.functional.l1_loss", size_average=size_average, reduce=reduce, reduction=reduction)


@layer("nn.MSELoss", cases=pair("nn.functional.mse_loss", without=("weight",)))
def mse_loss(size_average=None, reduce=None, reduction="mean"):
    """(x - y)^2.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.MSELoss.
    """
    return applied("nn.functional.mse_loss", size_average=size_average, reduce=reduce, reduction=reduction)


@layer("nn.SmoothL1Loss", cases=pair("nn.functional.smooth_l1_loss"))
def smooth_l1_loss(size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, for d = x - y.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.SmoothL1Loss; Girshick, arXiv:1504.08083.
    """
    return applied(
        "nn.functional.smooth_l1_loss", size_average=size_average, reduce=reduce, reduction=reduction, beta=beta
    )


@layer("nn.HuberLoss", cases=pair("nn.functional.huber_loss", without=("weight",)))
def huber_loss(reduction="mean", delta=1.0):
    """d^2 / 2 where |d| < delta, else delta (|d| - delta / 2), for d = x - y.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.HuberLoss.
    """
    return applied("nn.functional.huber_loss", reduction=reduction, delta=delta)


@layer("nn.BCELoss", cases=pair("nn.functional.binary_cross_entropy"))
def bce_loss(weight=None, size_average=None, reduce=None, reduction="mean"):
    """-w (y log x + (1 - y) log(1 - x)).

    input, target: (*) in [0, 1]; weight: broadcasts; output: (*) or ().  Source: torch.nn.BCELoss.
    """
    return applied(
        "nn.functional.binary_cross_entropy", dict(weight=weight), size_average=size_average, reduce=reduce,
        reduction=reduction,
    )  # fmt: skip


LOGITS = "nn.functional.binary_cross_entropy_with_logits"


@layer("nn.BCEWithLogitsLoss", cases=pair(LOGITS), like=(LOGITS,))
def bce_with_logits_loss(weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    """-w (p y log s + (1 - y) log(1 - s)), where s = 1 / (1 + exp(-x)) and p is pos_weight, else 1.

    input, target: (*); weights: broadcast; output: (*) or ().  Source: torch.nn.BCEWithLogitsLoss.
    """
    return applied(
        LOGITS, dict(weight=weight, pos_weight=pos_weight), size_average=size_average, reduce=reduce,
        reduction=reduction,
    )  # fmt: skip


@layer("nn.KLDivLoss", cases=pair("nn.functional.kl_div"))
def kl_div_loss(size_average=None, reduce=None, reduction="mean", log_target=False):
    """y (log y - x), with log_target exp(y) (y - x).

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.KLDivLoss.
    """
    return applied(
        "nn.functional.kl_div", size_average=size_average, reduce=reduce, reduction=reduction, log_target=log_target
    )


@layer("nn.SoftMarginLoss", cases=pair("nn.functional.soft_margin_loss"))
def soft_margin_loss(size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-y x)).

    input: (*); target: broadcasts to it, of 1 and -1; output: (*) or ().  Source: torch.nn.SoftMarginLoss.
    """
    return applied("nn.functional.soft_margin_loss", size_average=size_average, reduce=reduce, reduction=reduction)


@layer("nn.PoissonNLLLoss", cases=pair("nn.functional.poisson_nll_loss"))
def poisson_nll_loss(log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
    """exp(x) - y x, or x - y log(x + eps) with log_input=False; with `full` plus Stirling's approximation of log y!.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.PoissonNLLLoss.
    """
    return applied(
        "nn.functional.poisson_nll_loss", log_input=log_input, full=full, size_average=size_average, eps=eps,
        reduce=reduce, reduction=reduction,
    )  # fmt: skip


@layer("nn.GaussianNLLLoss", cases=pair("nn.functional.gaussian_nll_loss", "var"))
def gaussian_nll_loss(*, full=False, eps=1e-6, reduction="mean"):
    """(log v + (x - y)^2 / v + log 2 pi (only with full)) / 2, where v = max(var, eps).

    input, target: (*), broadcast; var: as input, or without its last dimension, or of size 1 in one, or a number.
    Source: torch.nn.GaussianNLLLoss; Nix and Weigend (1994).
    """
    return applied("nn.functional.gaussian_nll_loss", full=full, eps=eps, reduction=reduction)


@layer("nn.HingeEmbeddingLoss", cases=pair("nn.functional.hinge_embedding_loss"))
def hinge_embedding_loss(margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """x where the target is 1, max(0, margin - x) where it is -1.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.HingeEmbeddingLoss.
    """
    return applied(
        "nn.functional.hinge_embedding_loss", margin=margin, size_average=size_average, reduce=reduce,
        reduction=reduction,
    )  # fmt: skip


@layer("nn.MarginRankingLoss", cases=cases_of("nn.functional.margin_ranking_loss", "input1", "input2", "target"))
def margin_ranking_loss(margin=0.0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -y (x1 - x2) + margin).

    input1, input2, target: broadcast; output: (*) or ().  Source: torch.nn.MarginRankingLoss.
    """
    return applied(
        "nn.functional.margin_ranking_loss", margin=margin, size_average=size_average, reduce=reduce,
        reduction=reduction,
    )  # fmt: skip
