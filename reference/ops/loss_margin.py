"""Losses that compare distances, similarities or scores with a margin."""

from __future__ import annotations

import numpy as np

from reference.conventions import ties_are_shared
from reference.draw import Draw
from reference.ops.arithmetic import to
from reference.ops.distance import SUBNORMAL, beside_subnormal
from reference.ops.loss import mode, reduced, reductions, unmatched
from reference.ops.vector_norm import p_norm
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, rule

# torch's constant in the cosine is held in single precision
TINY = float(np.float32(1e-12))


def above(z, real=None):
    """max(z, 0) and where its derivative is 1; for that at 0 see reference.conventions.

    `real` is z without the steps, where their product could decide on the side of an exact 0.
    """
    height = z.real if real is None else real
    on = height > 0 if ties_are_shared() else height >= 0
    return np.where(on, z, 0.0), on


def signs(draw: Draw, shape):
    return draw.bools(shape) * 2.0 - 1.0


def hinge_cases(draw: Draw):
    x = draw.reals(draw.shape())
    target = signs(draw, x.shape if draw.integer(0, 3) else draw.broadcast(x.shape))
    return Case((x, target), dict(**draw.choice({}, dict(margin=0.5), dict(margin=-1)), **reductions(draw)))


@rule("nn.functional.hinge_embedding_loss", cases=hinge_cases, errors=unmatched)
def hinge_embedding_loss(input: Array, target: Array, margin=1.0, size_average=None, reduce=None,
                         reduction="mean"):  # fmt: skip
    """x where the target is 1, max(0, margin - x) where it is -1; no gradient for the target.

    input, target: (*), broadcast; output: (*) or ().  Source: torch.nn.HingeEmbeddingLoss.
    """
    hinge, on = above(margin - input)
    # a target is 1 or -1; a rounding of it, by which sensitivities are measured, is the same
    same, other = np.abs(target.real + 1.0) > 2.0**-10, np.abs(target.real - 1.0) > 2.0**-10
    y, back = reduced(np.where(same, input, 0.0) + np.where(other, hinge, 0.0), mode(reduction, size_average, reduce))
    return y, lambda g: (to(input, back(g) * (same.astype(np.int8) - (other & on))), None)


def ranking_cases(draw: Draw):
    shape = draw.shape()
    shapes = [tuple(1 if n > 1 and draw.integer(0, 5) == 5 else n for n in shape) for _ in range(2)]
    left, right = draw.reals(shape), draw.reals(shapes[0])
    return Case((left, right, signs(draw, shapes[1])), dict(**draw.choice({}, dict(margin=0.5)), **reductions(draw)))


@rule(
    "nn.functional.margin_ranking_loss",
    cases=ranking_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.reals((3,)), draw.reals((3,)))), RuntimeError)],
)
def margin_ranking_loss(input1: Array, input2: Array, target: Array, margin=0.0, size_average=None,
                        reduce=None, reduction="mean"):  # fmt: skip
    """max(0, -t (x1 - x2) + margin).

    input1, input2, target: as many dimensions, broadcast; output: (*) or ().
    Source: torch.nn.MarginRankingLoss.
    """
    d = input1 - input2
    hinge, on = above(margin - target * d, margin - target.real * d.real)
    y, back = reduced(hinge, mode(reduction, size_average, reduce))

    def vjp(g):
        gl = back(g) * on
        return to(input1, -gl * target), to(input2, gl * target), to(target, -gl * d)

    return y, vjp


def cosine_cases(draw: Draw):
    shape = draw.shape(1, 2)
    if shape[-1] == 1:  # the cosine of numbers is 1 or -1, and its derivative nothing but the 1e-12
        shape = (*shape[:-1], 2)
    left, right = draw.reals(shape, avoid=(0.0,)), draw.reals(shape, avoid=(0.0,))
    options = dict(**draw.choice({}, dict(margin=0.25), dict(margin=-0.5)), **reductions(draw))
    return Case((left, right, signs(draw, shape[:-1])), options)


ANGLE = "1 - c and the derivatives of c cancel for vectors of nearly one direction"


def angle_room(order):
    """1, and for each derivative one over the length of the shortest vector."""

    def room(input1, input2, target, **options):
        return np.asarray(max(1.0, *(1.0 / np.sqrt((x * x).sum(-1)).min() for x in (input1, input2))) ** order)

    return room


@rule(
    "nn.functional.cosine_embedding_loss",
    cases=cosine_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.reals((2, 3)), np.array(1.0))), RuntimeError),
        (Case((draw.reals((1, 2, 3)), draw.reals((1, 2, 3)), np.ones((1, 2)))), RuntimeError),
    ],
    waivers=(
        Waiver(ANGLE, room=angle_room(0)),
        Waiver(ANGLE, room=angle_room(1), checks=DERIVATIVES),
        Waiver(ANGLE, room=angle_room(2), checks=HIGHER_ORDER),
    ),
)
def cosine_embedding_loss(input1: Array, input2: Array, target: Array, margin=0.0, size_average=None,
                          reduce=None, reduction="mean"):  # fmt: skip
    """1 - c where the target is 1, max(0, c - margin) where it is -1, else 0; no gradient for the target.

    c = x1 . x2 / sqrt((x1 . x1 + 1e-12) (x2 . x2 + 1e-12)) is the cosine of the angle between the vectors.
    input1, input2: (N, D) or (D); target: (N) or (); output: as target, or ().
    Source: torch.nn.CosineEmbeddingLoss.
    """
    a, b = np.broadcast_arrays(input1, input2)
    dots = (a * b).sum(axis=-1)
    left, right = (a * a).sum(axis=-1) + TINY, (b * b).sum(axis=-1) + TINY
    size = np.sqrt(left * right)
    c = dots / size
    hinge, on = above(c - margin, (a.real * b.real).sum(axis=-1) / size.real - margin)
    like, unlike = target == 1, target == -1
    y, back = reduced(
        np.where(like, 1.0 - c, 0.0) + np.where(unlike, hinge, 0.0), mode(reduction, size_average, reduce)
    )

    def vjp(g):
        gc = np.asarray(back(g) * ((unlike & on).astype(np.int8) - like))
        along, first, second = ((gc * v)[..., None] for v in (1.0 / size, c / left, c / right))
        return to(input1, along * b - first * a), to(input2, along * a - second * b), None

    return y, vjp


def triplet_cases(draw: Draw):
    shape = draw.shape(1, 3)
    made = [draw.reals(shape) for _ in range(3)]
    if draw.integer(0, 4) == 4 and len(shape) > 1 and shape[0] > 1:
        made[2] = made[2][:1]
    options = draw.choice({}, dict(p=1.0), dict(p=3), dict(p=2.0, swap=True), dict(margin=0.5, eps=1e-3))
    # the hinge, and the choice that swap makes, must not turn on how bfloat16 rounds the distances, nor those of the
    # halved points that vmap is given beside them
    near, far, other = (
        (np.abs(x - y) ** options.get("p", 2)).sum(-1) ** (1 / options.get("p", 2))
        for x, y in ((made[0], made[1]), (made[0], made[2]), (made[1], made[2]))
    )
    scale = 0.0625 * (1.0 + np.max([near.max(initial=0), far.max(initial=0), other.max(initial=0)]))
    if "swap" in options:
        if np.any(np.abs(far - other) < scale):
            options = dict(p=2.0)
        else:
            far = np.minimum(far, other)
    margins = [options.get("margin", 1.0), 0.5, 1.5, 2.5, 4.0]
    fit = [m for m in margins if all(np.all(np.abs(part * (near - far) + m) > scale) for part in (1.0, 0.5))]
    margin = fit[0] if fit else 64.0
    return Case(tuple(made), dict(**{**options, "margin": margin}, **reductions(draw)))


def unit_room(*args, **options):
    return np.ones(())


def distance_room(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, **options):
    """One over the smallest distance."""
    pairs = (anchor, positive), (anchor, negative), (positive, negative)
    sizes = [(np.abs(a - b + eps) ** p).sum(-1) ** (1 / p) for a, b in pairs]
    return np.asarray(1.0 / min(v.min(initial=np.inf) for v in sizes))


def subnormal_room(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, **options):
    return beside_subnormal(distance_room(anchor, positive, negative, margin, p, eps))


TRIPLET_WAIVERS = (
    Waiver("gradients of size 1 cancel where both distances have one direction", room=unit_room, checks=DERIVATIVES),
    Waiver(
        SUBNORMAL, room=subnormal_room, dtypes=("float16",), checks=DERIVATIVES,
    ),
    Waiver(
        "the second derivative of a distance d is a difference of terms of 1 / d",
        room=distance_room, checks=HIGHER_ORDER,
    ),
)  # fmt: skip


@rule(
    "nn.functional.triplet_margin_loss",
    cases=triplet_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.reals((2, 3)), draw.reals((3,)))), RuntimeError),
        (Case((draw.reals((3,)), draw.reals((3,)), draw.reals((3,))), dict(margin=0.0)), ValueError),
    ],
    waivers=TRIPLET_WAIVERS,
)
def triplet_margin_loss(anchor: Array, positive: Array, negative: Array, margin=1.0, p=2.0, eps=1e-6,
                        swap=False, size_average=None, reduce=None, reduction="mean"):  # fmt: skip
    """max(0, |a - p| - |a - n| + margin), with |d| the norm of order p of d + eps over the last dimension.

    With `swap` the smaller of |a - n| and |p - n| stands for |a - n|; where they tie, each by half.
    anchor, positive, negative: (*, D), broadcast; output: (*) or ().
    Source: Balntas et al., "Learning shallow convolutional feature descriptors with triplet losses" (2016);
    torch.nn.TripletMarginLoss.
    """

    def distance(a, b):
        d = a - b + eps
        d = d if d.ndim else d.reshape(1)
        size, back = p_norm(d, p, (d.ndim - 1,), False)

        def pull(g):
            grad = back(np.asarray(g)).reshape(np.broadcast_shapes(a.shape, b.shape))
            return to(a, grad), to(b, -grad)

        return size, pull

    near, pull_near = distance(anchor, positive)
    far, pull_far = distance(anchor, negative)
    share: Array | float = 1.0
    if swap:
        other, pull_other = distance(positive, negative)
        share = np.where(far.real == other.real, 0.5, far.real < other.real).astype(far.real.dtype)
        chosen = share * far + (1.0 - share) * other
    hinge, on = above(margin + near - (chosen if swap else far))
    y, back = reduced(hinge, mode(reduction, size_average, reduce))

    def vjp(g):
        gl = back(g) * on
        ga, gp = pull_near(to(near, gl))
        more, gn = pull_far(to(far, -gl * share))
        ga = ga + more
        if swap:
            more, extra = pull_other(to(other, -gl * (1.0 - share)))
            gp, gn = gp + more, gn + extra
        return ga, gp, gn

    return y, vjp
