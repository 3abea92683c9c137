"""Losses of the distances and angles between vectors, and those distances and angles."""

from __future__ import annotations

from reference.nn.functional import applied, cases_of
from reference.nn.layer import layer

COSINE, TRIPLET = "nn.functional.cosine_embedding_loss", "nn.functional.triplet_margin_loss"
WITH_DISTANCE = "nn.functional.triplet_margin_with_distance_loss"


@layer("nn.CosineEmbeddingLoss", cases=cases_of(COSINE, "input1", "input2", "target"), like=(COSINE,))
def cosine_embedding_loss(margin=0.0, size_average=None, reduce=None, reduction="mean"):
    """1 - c where the target is 1, max(0, c - margin) where it is -1; c is the cosine of the vectors' angle.

    input1, input2: (N, D) or (D); target: (N) or (); output: as target, or ().
    Source: torch.nn.CosineEmbeddingLoss.
    """
    return applied(COSINE, margin=margin, size_average=size_average, reduce=reduce, reduction=reduction)


@layer("nn.TripletMarginLoss", cases=cases_of(TRIPLET, "anchor", "positive", "negative"), like=(TRIPLET,))
def triplet_margin_loss(margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
    """max(0, |a - p| - |a - n| + margin); with `swap` the smaller of |a - n| and |p - n| stands for |a - n|.

    anchor, positive, negative: (*, D), broadcast; output: (*) or ().
    Source: torch.nn.TripletMarginLoss; Balntas et al. (2016).
    """
    return applied(
        TRIPLET, margin=margin, p=p, eps=eps, swap=swap, size_average=size_average, reduce=reduce, reduction=reduction
    )


@layer(
    "nn.TripletMarginWithDistanceLoss",
    cases=cases_of(WITH_DISTANCE, "anchor", "positive", "negative"),
    like=(WITH_DISTANCE,),
)
def triplet_margin_with_distance_loss(*, distance_function=None, margin=1.0, swap=False, reduction="mean"):
    """As TripletMarginLoss, with the distance of PairwiseDistance unless another is given.

    anchor, positive, negative: (*, D), broadcast; output: (*) or ().
    Source: torch.nn.TripletMarginWithDistanceLoss.
    """
    return applied(WITH_DISTANCE, distance_function=distance_function, margin=margin, swap=swap, reduction=reduction)


@layer("nn.CosineSimilarity", cases=cases_of("cosine_similarity", "x1", "x2"), like=("cosine_similarity",))
def cosine_similarity(dim=1, eps=1e-8):
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`.

    x1, x2: (*), broadcast; output: without `dim`.  Source: torch.nn.CosineSimilarity.
    """
    return applied("cosine_similarity", dim=dim, eps=eps)


@layer("nn.PairwiseDistance", cases=cases_of("pairwise_distance", "x1", "x2"), like=("pairwise_distance",))
def pairwise_distance(p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps over the last dimension.

    x1, x2: broadcast to (*, D); output: (*), or (*, 1) with keepdim.  Source: torch.nn.PairwiseDistance.
    """
    return applied("pairwise_distance", p=p, eps=eps, keepdim=keepdim)
