"""The losses as torch itself has them, below nn.functional: the reduction is 0, 1, 2 for none, mean, sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.draw import Draw
from reference.ops.loss import mode
from reference.ops.loss_likelihood import (
    binary_cross_entropy_with_logits,
    kl_cases,
    kl_div,
    logits_cases,
    logits_room,
    poisson_cases,
    poisson_nll_loss,
)
from reference.ops.loss_margin import (
    ANGLE,
    TRIPLET_WAIVERS,
    angle_room,
    cosine_cases,
    cosine_embedding_loss,
    hinge_cases,
    hinge_embedding_loss,
    margin_ranking_loss,
    ranking_cases,
    triplet_cases,
    triplet_margin_loss,
)
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, rule

HOW = ("none", "mean", "sum")


def numbered(cases: Callable[[Draw], Case]) -> Callable[[Draw], Case]:
    """The cases of the loss in nn.functional, with the reduction as a number."""

    def drawn(draw: Draw) -> Case:
        case = cases(draw)
        options = dict(case.kwargs)
        older = [options.pop(k, None) for k in ("size_average", "reduce")]
        how = mode(options.pop("reduction", "mean"), *older)
        # always given: torch's Python binding takes the default of the schema, mean, for none
        return Case(case.args, dict(options, reduction=HOW.index("sum" if how == "batchmean" else how)))

    return drawn


def wrong_shapes(count: int) -> Callable[[Draw], Any]:
    """Arguments that do not broadcast."""
    return lambda draw: [(Case(tuple(draw.reals((2 + i,)) for i in range(count))), RuntimeError)]


@rule("hinge_embedding_loss", cases=numbered(hinge_cases), errors=wrong_shapes(2), method=False)
def hinge(input: Array, target: Array, margin=1.0, reduction=1):
    """nn.functional.hinge_embedding_loss.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.HingeEmbeddingLoss.
    """
    return hinge_embedding_loss.fn(input, target, margin, reduction=HOW[reduction])


@rule("margin_ranking_loss", cases=numbered(ranking_cases), errors=wrong_shapes(3), method=False)
def ranking(input1: Array, input2: Array, target: Array, margin=0.0, reduction=1):
    """nn.functional.margin_ranking_loss.

    input1, input2, target: (*), broadcast; output: (*) or ().  Source: torch.nn.MarginRankingLoss.
    """
    return margin_ranking_loss.fn(input1, input2, target, margin, reduction=HOW[reduction])


@rule(
    "cosine_embedding_loss",
    cases=numbered(cosine_cases),
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.reals((2, 4)), draw.reals((2,)))), RuntimeError)],
    method=False,
    waivers=(
        Waiver(ANGLE, room=angle_room(0)),
        Waiver(ANGLE, room=angle_room(1), checks=DERIVATIVES),
        Waiver(ANGLE, room=angle_room(2), checks=HIGHER_ORDER),
    ),
)
def cosine(input1: Array, input2: Array, target: Array, margin=0.0, reduction=1):
    """nn.functional.cosine_embedding_loss.

    input1, input2: (N, D) or (D); target: (N) or (); output: as target, or ().
    Source: torch.nn.CosineEmbeddingLoss.
    """
    return cosine_embedding_loss.fn(input1, input2, target, margin, reduction=HOW[reduction])


@rule(
    "triplet_margin_loss",
    cases=numbered(triplet_cases),
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.reals((2, 3)), draw.reals((3,)))), RuntimeError)],
    method=False,
    waivers=TRIPLET_WAIVERS,
)
def triplet(anchor: Array, positive: Array, negative: Array, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction=1):
    """nn.functional.triplet_margin_loss.

    anchor, positive, negative: (*, D), broadcast; output: (*) or ().  Source: torch.nn.TripletMarginLoss.
    """
    return triplet_margin_loss.fn(anchor, positive, negative, margin, p, eps, swap, reduction=HOW[reduction])


@rule("kl_div", cases=numbered(kl_cases), errors=wrong_shapes(2), method=False)
def divergence(input: Array, target: Array, reduction=1, *, log_target=False):
    """nn.functional.kl_div, without its "batchmean".

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.KLDivLoss.
    """
    return kl_div.fn(input, target, reduction=HOW[reduction], log_target=log_target)


def plain_poisson_cases(draw: Draw):
    case = numbered(poisson_cases)(draw)
    return Case((*case.args, case.kwargs["log_input"], case.kwargs["full"], 1e-8, case.kwargs.get("reduction", 1)))


@rule(
    "poisson_nll_loss",
    cases=plain_poisson_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), draw.reals((3,)), True, False, 1e-8, 1)), RuntimeError)],
    method=False,
)
def poisson(input: Array, target: Array, log_input, full, eps, reduction):
    """nn.functional.poisson_nll_loss, every argument given.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.PoissonNLLLoss.
    """
    return poisson_nll_loss.fn(input, target, log_input, full, eps=eps, reduction=HOW[reduction])


def plain_logits_room(input, target, weight=None, pos_weight=None, reduction=1):
    return logits_room(input, target, weight, reduction=HOW[reduction], pos_weight=pos_weight)


@rule(
    "binary_cross_entropy_with_logits",
    cases=numbered(logits_cases),
    errors=wrong_shapes(2),
    method=False,
    waivers=[
        Waiver("torch computes (1 - t) x + max(-x, 0) + ..., which cancels for negative x", room=plain_logits_room)
    ],
)
def logits(input: Array, target: Array, weight: Array | None = None, pos_weight: Array | None = None, reduction=1):
    """nn.functional.binary_cross_entropy_with_logits.

    input, target: (*); weights: broadcast; output: (*) or ().  Source: torch.nn.BCEWithLogitsLoss.
    """
    y, vjp = binary_cross_entropy_with_logits.fn(input, target, weight, reduction=HOW[reduction], pos_weight=pos_weight)
    return y, vjp
