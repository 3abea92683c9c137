"""Distances between vectors: their norms over pairs, and vectors shortened to a norm."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.arithmetic import to, unmatched
from reference.ops.precision import floating
from reference.ops.reduce import axes, kept_shape
from reference.ops.vector_norm import away_from_zero, inverse, p_norm
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, is_stepping, rule, unbroadcast

ORDERS = (2.0, 1.0, 3.0, 0.5, 0.0, math.inf, 1.5, 2)


def norm_of(gap, p, over, keepdim=False):
    """p_norm, which is 0 over nothing for every order."""
    if math.prod(gap.shape[d] for d in over) == 0:
        kept = kept_shape(gap.shape, over)
        shape = kept if keepdim else [n for d, n in enumerate(gap.shape) if d not in over]
        return np.zeros(shape, floating(gap).real.dtype), lambda g, slip=0.0: np.zeros(gap.shape, g.dtype)
    return p_norm(gap, p, over, keepdim)


def apart(draw: Draw, x, y, p):
    """y, so that x - y is 0 rarely enough for the orders whose derivative is infinite there."""
    gap = x - y
    if p < 1 and p != 0:
        return y + np.where(np.abs(gap) < 0.25, 0.75, 0.0)
    return y


def dist_cases(draw: Draw):
    left, right = draw.shapes(2)
    p = draw.choice(*ORDERS, -math.inf, -1.0)
    x, y = draw.numbers(left, -2.0, 2.0), draw.numbers(right, -2.0, 2.0)
    if math.isinf(p):  # which difference is the largest, and which tie, must survive rounding
        x, y = np.round(4.0 * x) / 4.0, np.round(4.0 * y) / 4.0
    if (x - y).size == 0 and p not in (0.0, 1.0, 2.0, 3.0):
        p = 2.0  # the smallest of no numbers is none
    if draw.complex:
        x, y = x * 0.25, away_from_zero(y)
        gap = x - y
        if p < 1 or math.isinf(p) or np.abs(gap).min(initial=1.0) < 0.25:  # kinks, over which no difference goes
            return Case((np.full(left, 2.0 + 1.0j) + x, y * 0.125, draw.choice(2.0, 3.0, 1.0)))
    else:
        y = apart(draw, x, y, p) if x.shape == y.shape else y
        if p < 1 and x.shape != y.shape and p != 0:
            x = x + 8.0
        if p == 0.5 and (x - y).size > 1000:  # the square of a sum
            x, y = x / 64.0, y / 64.0
    return Case((x, y) if p == 2.0 and draw.boolean() else (x, y, p))


def steepness(p):
    """The terms of the second derivative have the factor p - 1."""
    return 1.0 if math.isinf(p) else max(1.0, abs(p - 1.0))


def dist_room(input, other, p=2):
    return steepness(p) * inverse(dist.fn(input, other, p)[0])


CURVES = "the terms of the second derivative, each of the size of (p - 1) / distance, cancel"


@rule(
    "dist",
    cases=dist_cases,
    errors=unmatched,
    complex=True,
    waivers=[Waiver(CURVES, room=dist_room, checks=HIGHER_ORDER)],
)
def dist(input: Array, other: Array, p=2):
    """The p-norm of all elements of input - other; the derivative is 0 where the norm has none.

    input, other: broadcast; output: (), real.  Source: torch.dist.
    """
    gap = input - other
    y, back = norm_of(gap, p, axes(None, gap.ndim))

    def vjp(g, slip=0.0):
        d = np.broadcast_to(back(g, slip), gap.shape)
        return to(input, d), to(other, -d)

    return y, vjp


def points(draw: Draw, shape):
    return draw.reals(shape, -2.0, 2.0)


MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def cdist_cases(draw: Draw):
    p = draw.choice(*ORDERS)
    batch = [()] * 2 if draw.regime == "large" or draw.boolean() else [draw.broadcast(draw.choice((2,), (2, 3)))] * 2
    if len(batch[0]) and draw.boolean():
        batch[draw.integer(0, 1)] = draw.choice((), (1,) * len(batch[0]))
    rows, columns = draw.side(0), draw.side(0)
    width = draw.choice(3, 1, 2, 0) if draw.regime == "empty" else draw.choice(3, 1, 2)
    x1, x2 = points(draw, (*batch[0], rows, width)), points(draw, (*batch[1], columns, width))
    if 0 < p < 1:
        x2 = x2 + 8.0
    elif draw.integer(0, 4) == 4 and rows and columns and batch[0] == batch[1]:  # a pair of equal points
        x2[..., 0, :] = x1[..., 0, :]
    mode = draw.choice({}, {}, dict(compute_mode=draw.choice(*MODES)))
    if mode.get("compute_mode") == MODES[1] or max(rows, columns) > 25:
        # by products of matrices |x - y|^2 is a difference, of which at equal points nothing is left
        x2 = x2 + (8.0 if p == 2 else 0.0)
    return Case((x1, x2) if p == 2.0 and draw.boolean() else (x1, x2, p), mode)


def bad_cdist(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x, draw.reals((2, 4)))), RuntimeError),
        (Case((x, x, -1.0)), RuntimeError),
        (Case((x, x), dict(compute_mode="fast")), ValueError),
        (Case((x, draw.reals((3,)))), RuntimeError),
    ]


SUMMED = "torch sums x1 / distance^2 and x2 / distance^2 by themselves, of which the difference is left"


def cdist_room(x1, x2, p=2.0, compute_mode=MODES[0]):
    """The second derivative is made of sums over the points, each coordinate by itself."""
    size = np.abs(x1).max(-1, initial=0.0)[..., :, None] + np.abs(x2).max(-1, initial=0.0)[..., None, :]
    return steepness(p) * size * inverse(cdist.fn(x1, x2, p)[0]) ** 2


def product_room(x1, x2, p=2.0, compute_mode=MODES[0]):
    """(|x1|^2 + |x2|^2) / distance where |x1|^2 + |x2|^2 - 2 x1 x2 is computed."""
    used = compute_mode == MODES[1] or (compute_mode == MODES[0] and max(x1.shape[-2], x2.shape[-2]) > 25)
    if p != 2 or not used:
        return np.zeros(())
    square = (x1**2).sum(-1)[..., :, None] + (x2**2).sum(-1)[..., None, :]
    return square * inverse(cdist.fn(x1, x2)[0])


@rule(
    "cdist",
    cases=cdist_cases,
    errors=bad_cdist,
    method=False,
    waivers=[
        Waiver("torch takes |x1|^2 + |x2|^2 - 2 x1 x2 from a product of matrices, which cancels", room=product_room),
        Waiver(SUMMED, room=cdist_room, checks=HIGHER_ORDER),
    ],
)
def cdist(x1: Array, x2: Array, p=2.0, compute_mode=MODES[0]):
    """The p-norms of all differences of a row of x1 and a row of x2; the number of nonzeros for p = 0.

    x1: (*, P, M), x2: (*, R, M), with batches that broadcast; output: (*, P, R).  Equal rows have gradient 0.
    Source: torch.cdist.
    """
    gap = x1[..., :, None, :] - x2[..., None, :, :]
    y, back = norm_of(gap, p, (gap.ndim - 1,))

    def vjp(g, slip=0.0):
        d = np.broadcast_to(back(g, slip), gap.shape)
        return unbroadcast(d.sum(-2), x1.shape), unbroadcast(-d.sum(-3), x2.shape)

    return y, vjp


def pdist_cases(draw: Draw):
    p = draw.choice(*ORDERS)
    rows = draw.side(0) if draw.regime != "large" else 260
    width = draw.choice(3, 1, 2, 0) if draw.regime == "empty" else draw.choice(3, 1, 2)
    x = points(draw, (rows, width))
    if 0 < p < 1:  # no coordinate of one point equals that of another
        x = draw.reals((rows, width), -4.0, 4.0, distinct=True)
    return Case((x,) if p == 2.0 and draw.boolean() else (x, p))


def pdist_room(input, p=2.0):
    return steepness(p) * 2.0 * np.abs(input).max(initial=0.0) * inverse(pdist.fn(input, p)[0]) ** 2


@rule(
    "nn.functional.pdist",
    cases=pdist_cases,
    errors=lambda draw: [
        (Case((draw.reals((3,)),)), RuntimeError),
        (Case((draw.reals((3, 2)), -1.0)), RuntimeError),
    ],
    aliases=("pdist",),
    waivers=[Waiver(SUMMED, room=pdist_room, checks=HIGHER_ORDER)],
)
def pdist(input: Array, p=2.0):
    """The p-norms of the differences of all pairs of rows i < j: the upper triangle of cdist(input, input), by rows.

    input: (N, M); output: (N (N - 1) / 2).  Equal rows have gradient 0.  Source: torch.nn.functional.pdist.
    """
    first, second = np.triu_indices(len(input), 1)
    y, back = norm_of(input[first] - input[second], p, (1,))

    def vjp(g, slip=0.0):
        d = np.broadcast_to(back(g, slip), (len(first), input.shape[1]))
        square = np.zeros((len(input), *input.shape), d.dtype)
        square[first, second] = d
        return (square.sum(1) - square.sum(0),)

    return y, vjp


def pairwise_cases(draw: Draw):
    shape = draw.shape(min_dims=1)
    shapes = [shape, shape if draw.boolean() else draw.broadcast(shape)]
    p = draw.choice(*ORDERS, -math.inf, -1.0)
    shape = tuple(np.broadcast_shapes(*shapes))
    if math.isinf(p) or p < 0:
        shapes = [tuple(max(n, 1) if d == 0 else n for d, n in enumerate(s[::-1]))[::-1] for s in shapes]
    if math.isinf(p) and draw.regime == "large":
        p = 2.0  # so many differences have ties in bfloat16
    x1, x2 = points(draw, shapes[0]), points(draw, shapes[1])
    if math.isinf(p):  # which difference is the largest must survive the rounding of the differences
        first, second = ((1, *s)[-1] for s in shapes)
        wider = 0 if first > second else 1
        far = 4.0 * np.array(draw.permutation(max(first, second))) if max(first, second) > 1 else 0.0
        x1, x2 = np.clip(x1, -0.5, 0.5), np.clip(x2, -0.5, 0.5)
        x1, x2 = (x1 + far, x2) if wider == 0 else (x1, x2 + far)
    if p not in (1.0, 2.0, 0.0) or draw.boolean():  # else eps is all that is left of a difference
        x2 = x2 + 8.0
    if draw.boolean():
        x1, x2 = x2, x1
    options = draw.choice({}, dict(eps=0.25), dict(keepdim=True), dict(eps=0.0, keepdim=False))
    return Case((x1, x2) if p == 2.0 and draw.boolean() else (x1, x2, p), options)


def pairwise_room(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    return steepness(p) * inverse(pairwise_distance.fn(x1, x2, p, eps, keepdim)[0])


def beside_subnormal(inverse):
    """What float16 leaves of a distance below its normal numbers, 2**-14: steps of 2**-24; by one over the distance."""
    return np.where(inverse > 2.0**14, 2.0**-14 * inverse, 0.0)


def subnormal_room(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    return beside_subnormal(inverse(pairwise_distance.fn(x1, x2, p, eps, keepdim)[0]))


SUBNORMAL = "the distance of equal points, eps, is subnormal in float16"


@rule(
    "pairwise_distance",
    cases=pairwise_cases,
    waivers=[
        Waiver(CURVES, room=pairwise_room, checks=HIGHER_ORDER),
        Waiver(SUBNORMAL, room=subnormal_room, dtypes=("float16",), checks=DERIVATIVES),
    ],
    errors=unmatched,
    aliases=("nn.functional.pairwise_distance",),
    method=False,
)
def pairwise_distance(x1: Array, x2: Array, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps over the last dimension.

    x1, x2: broadcast to (*, D); output: (*), or (*, 1) with keepdim.  Source: torch.nn.PairwiseDistance.
    """
    gap = x1 - x2 + eps
    y, back = norm_of(gap, p, (gap.ndim - 1,) if gap.ndim else (), keepdim)

    def vjp(g, slip=0.0):
        if p == 0:  # a count has no gradient: torch leaves it undefined
            return None, None
        d = np.broadcast_to(back(g, slip), gap.shape)
        return unbroadcast(d, x1.shape), unbroadcast(-d, x2.shape)

    return y, vjp


GUARD = 1e-7


def renorm_cases(draw: Draw):
    shape = draw.shape(min_dims=2)
    dim = draw.dim(len(shape))
    p = draw.choice(2, 1.0, 3.0, 1.5, math.inf, 0.5)
    x = draw.numbers(shape, -2.0, 2.0)
    if draw.complex or p < 1:
        x = np.where(np.abs(x) < 0.5, 0.75, x)
    if draw.complex and p == math.inf:  # derivatives are differences, which must not step over a tie
        x = x * np.linspace(1.0, 1.5, x.size).reshape(x.shape)
    bound = draw.choice(1.5, 2, 0.25, 0.0, 100.0)
    norms = renorm_norms(x, p, dim)[0]
    # at the bound itself the derivative jumps
    x = np.where(np.abs(norms - bound) < 0.0625 * bound, x * 1.25, x) if bound else np.where(norms == 0.0, 0.75, x)
    return Case((x, p, dim, bound))


def renorm_norms(x, p, dim):
    over = tuple(d for d in range(x.ndim) if d != dim % x.ndim)
    return norm_of(x, p, over, keepdim=True)


def renorm_room(input, p, dim, maxnorm):
    size = inverse(renorm_norms(input, p, dim)[0])
    return np.broadcast_to(maxnorm * size * (1.0 + size), input.shape)


@rule(
    "renorm",
    cases=renorm_cases,
    waivers=[
        Waiver(
            "along the slice itself the two terms of the derivative, each of the size of maxnorm / norm, cancel",
            room=renorm_room,
            checks=DERIVATIVES,
        )
    ],
    errors=lambda draw: [
        (Case((draw.reals((2,)), 2, 0, 1.0)), RuntimeError),
        (Case((draw.reals((2, 2)), -1, 0, 1.0)), RuntimeError),
        (Case((draw.reals((2, 2)), 2, 0, -1.0)), RuntimeError),
        (Case((draw.reals((2, 2)), 2, 2, 1.0)), IndexError),
    ],
    complex=True,
)
def renorm(input: Array, p, dim, maxnorm):
    """x[i] maxnorm / (|x[i]|_p + 1e-7) for every slice x[i] along dim whose p-norm is above maxnorm, else x[i].

    input, output: (*), of two dimensions or more.  Source: torch.renorm.
    """
    norm, back = renorm_norms(input, p, dim)
    above = (norm.real > maxnorm) | (maxnorm == 0)  # what is 0 everywhere is flat at 0 too
    scale = np.where(above, maxnorm / (norm + GUARD), 1.0)

    def vjp(g):
        along = g * input if is_stepping() or input.dtype.kind != "c" else (np.conj(input) * g).real
        over = tuple(d for d in range(input.ndim) if d != dim % input.ndim)
        inner = along.sum(axis=over, keepdims=True)
        return (g * scale - back(np.where(above, inner * scale / (norm + GUARD), 0.0)),)

    return input * scale, vjp
