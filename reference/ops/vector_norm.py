"""Norms of vectors, and what is divided by them."""

from __future__ import annotations

import math

import numpy as np

from reference.conventions import ties_are_shared
from reference.draw import Draw
from reference.ops.extrema import extremum
from reference.ops.precision import precise
from reference.ops.reduce import axes, cast, kept_shape, reduction, squared, wrong_dim
from reference.ops.spectra import iterated
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, absolute, is_stepping, rule, unbroadcast

ORDERS = (2.0, 1.0, 3.0, 0.5, 0.0, math.inf, -math.inf, 1.5, 2, -1.0)


def direction(x, size):
    """x / |x|, and 0 at 0: the gradient of |x|."""
    if is_stepping() or x.dtype.kind != "c":
        return np.sign(x.real)
    return x / np.where(size == 0, 1.0, size)


def p_norm(x, p, over, keepdim):
    """(sum |x|^p)^(1/p) and its limits; zero where it has no derivative. The vjp takes a slip."""
    size, kept = absolute(x), kept_shape(x.shape, over)
    if p in (math.inf, -math.inf):
        y, back = extremum(size, over, keepdim, np.max if p > 0 else np.min)
        return y, lambda g, slip=0.0: back(g) * direction(x, size)
    if p == 0:
        count = (x.real != 0) if is_stepping() else x != 0
        y = precise(count.sum(axis=over, keepdims=keepdim), size.real)
        return y, lambda g, slip=0.0: np.zeros_like(x)
    if p == 1:
        y = size.sum(axis=over, keepdims=keepdim)
        return y, lambda g, slip=0.0: g.reshape(kept) * direction(x, size)
    zero = size.real == 0
    safe = np.where(zero, 1.0, size)
    powers = squared(x) if p == 2 else np.where(zero, 0.0 if p > 0 else np.inf, safe**p)
    total = powers.sum(axis=over, keepdims=True)
    null = ((size.real > 0).sum(axis=over, keepdims=True) == 0) if p > 0 else np.isinf(total.real)
    null = null & ~np.isnan(total.real)
    safe_total = np.where(null, 1.0, total)
    root = np.sqrt(safe_total) if p == 2 else safe_total ** (1.0 / p)
    y = np.where(null, 0.0, root)

    def vjp(g, slip=0.0):
        slope = x / root if p == 2 else direction(x, size) * np.where(zero, 0.0, (safe / root) ** (p - 1.0))
        # torch takes the power 1 - p of its rounded norm
        error = (1.0 - p) * np.reshape(slip, kept) / root if np.ndim(slip) or slip else 0.0
        return g.reshape(kept) * np.where(null, 0.0, slope * (1.0 + error))

    return (y if keepdim else np.squeeze(y, over)), vjp


def away_from_zero(x):
    return np.where(np.abs(x) < 0.75, 1.0 - 0.75j, x)


def vector_norm_cases(draw: Draw):
    order = draw.choice(*ORDERS)
    x, options = reduction(draw, defined_on_nothing=0 <= order < math.inf)
    if draw.complex:  # |x| has a kink at 0, across which no difference can be taken
        x = away_from_zero(x)
        if math.isinf(order):  # nor across a tie
            x = x / np.abs(x) * draw.reals(x.shape, 1, 8, distinct=True)
    elif order < 0:
        x = np.where(x == 0, 0.5, x)
    elif draw.integer(0, 4) == 4 and draw.special:  # rows of zeros
        x = x * draw.integer(0, 1)
    if 0 < order < 1 and x.size > 1000:  # the sum of roots, squared
        x = x / 64.0
    if "dim" in options:
        options["keepdim"] = draw.boolean()
    return Case((x,) if order == 2.0 and draw.boolean() else (x, order), options)


def inverse(size):
    """1 / size, and 0 for a size of 0."""
    return np.where(size > 0, 1.0 / np.where(size > 0, size, 1.0), 0.0)


def norm_room(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    return inverse(p_norm(np.abs(x), 2 if ord in ("fro", "nuc", None) else ord, axes(dim, x.ndim), keepdim)[0])


CURVATURE = Waiver(
    "the two terms of the second derivative, each of the size of 1 / |x|, cancel", room=norm_room, checks=HIGHER_ORDER
)


@rule("linalg.vector_norm", cases=vector_norm_cases, errors=lambda draw: [
    (Case((draw.reals((2, 3)),), dict(dim=2)), IndexError),
    (Case((draw.integers((3,), 0, 3),)), RuntimeError),
], complex=True, special="nonfinite", waivers=[CURVATURE])  # fmt: skip
def vector_norm(input: Array, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(sum |x|^ord)^(1/ord); the number of nonzeros for 0, max |x| for inf, min |x| for -inf.

    The derivative is 0 at x = 0 and where the norm is 0; ties of max and min share it equally.
    input: (*), real or complex; output: real, without the reduced dimensions.  Source: torch.linalg.vector_norm.
    """
    x = cast(input, dtype)
    y, back = p_norm(x, ord, axes(dim, x.ndim), keepdim)

    def vjp(g, slip=0.0):
        return (None if ord == 0 else back(g, slip),)  # a count has no gradient: torch leaves it undefined

    return y, vjp


def nuclear(x, over, keepdim):
    """The sum of the singular values of the matrices in the dimensions `over`; its gradient U V^H."""
    a = np.moveaxis(x, over, (-2, -1))
    u, s, vh = np.linalg.svd(a.real if is_stepping() else a, full_matrices=False)
    value, polar = s.sum(-1), u @ vh
    if is_stepping():  # the SVD itself is not analytic: its first-order changes in closed form
        step, ut, v = 1j * a.imag, u.swapaxes(-1, -2), vh.swapaxes(-1, -2)
        value = value + (polar * step).sum((-2, -1))
        inner = ut @ step @ v
        turn = (inner - inner.swapaxes(-1, -2)) / (s[..., :, None] + s[..., None, :])
        polar = polar + u @ turn @ vh
        polar = polar + (step @ v - u @ inner) / s[..., None, :] @ vh
        polar = polar + u @ ((ut @ step - inner @ vh) / s[..., :, None])
    y = np.expand_dims(value, sorted(over)) if keepdim else value
    return y, lambda g: np.moveaxis(g.reshape(value.shape)[..., None, None] * polar, (-2, -1), over)


def nuclear_room(input, p="fro", dim=None, keepdim=False):
    """The condition number, by which the rounding of the matrix turns its singular vectors; 0 for other norms."""
    if p != "nuc":
        return np.zeros(())
    s = np.linalg.svd(np.moveaxis(input, axes(dim, input.ndim), (-2, -1)), compute_uv=False)
    return (s[..., 0] / s[..., -1]).max()


def apart(x, dim):
    """x with its singular values moved apart, and away from zero."""
    a = np.moveaxis(x, dim, (-2, -1))
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    s = 1.0 + s.shape[-1] - np.arange(s.shape[-1]) + s / (1.0 + s) / 2.0
    return np.moveaxis((u * s[..., None, :]) @ vh, (-2, -1), dim)


def norm_cases(draw: Draw):
    if draw.choice("vector", "nuclear") == "nuclear":
        shape = draw.shape(2, 3, min_side=1)
        if draw.regime == "large":  # the SVD of matrices of some thousand columns takes too long
            shape = (9000, 2, 2)
        x = draw.reals(shape, distinct=True)
        dim = None if len(shape) == 2 else (1, 2) if draw.regime == "large" else draw.permutation(3)[:2]
        if draw.complex:  # their second derivatives are differences, to which a singular value of zero must not be near
            x = apart(x + 1j * draw.reals(shape), dim or (0, 1))
        return Case((x, "nuc"), dict(dim=dim, keepdim=draw.boolean()))
    case = vector_norm_cases(draw)
    if len(case.args) == 1:
        kinds = (None, 2) if refused("fro", case.kwargs.get("dim")) else ("fro", None, 2)
        return Case(case.args, dict(p=draw.choice(*kinds), **case.kwargs))
    return case


def refused(p, dim):
    """The Frobenius norm is not taken over three dimensions or more, as torch documents; the same with p=2 is."""
    return p == "fro" and isinstance(dim, (tuple, list)) and len(dim) > 2


@rule(
    "norm",
    cases=norm_cases,
    errors=lambda draw: [*wrong_dim(draw), (Case((draw.reals((2, 3, 1)), "fro", (0, 1, 2))), RuntimeError)],
    complex=True,
    waivers=[
        Waiver(
            CURVATURE.reason,
            room=lambda input, p="fro", dim=None, keepdim=False: norm_room(input, p, dim, keepdim),
            checks=HIGHER_ORDER,
        ),
        *iterated(
            [Waiver("singular vectors have the digits of the whole matrix", room=nuclear_room, checks=DERIVATIVES)]
        ),
    ],
)
def norm(input: Array, p="fro", dim=None, keepdim=False, dtype=None):
    """The vector norm of order p ("fro" and None mean 2), or with p="nuc" the nuclear norm of matrices.

    Nuclear norm: the sum of the singular values, over the two dimensions `dim`.
    input: (*), real or complex; output: real, as linalg.vector_norm.  Source: torch.norm.
    """
    if refused(p, dim):
        raise RuntimeError("the Frobenius norm is taken over one dimension, two, or all where dim is None")
    x = cast(input, dtype)
    over = axes(dim, x.ndim)
    if p == "nuc":
        y, back = nuclear(x, over, keepdim)
        return y, lambda g: (back(g),)
    y, back = p_norm(x, 2 if p in ("fro", None) else p, over, keepdim)

    def vjp(g, slip=0.0):
        return (None if p == 0 else back(g, slip),)

    return y, vjp


def normalize_cases(draw: Draw):
    x = draw.numbers(draw.shape(2, 3))
    if draw.complex:
        x = away_from_zero(x)
    elif draw.integer(0, 3) == 3 and draw.special:  # rows of zeros
        x = x * draw.bools(x.shape[:1]).reshape(-1, *[1] * (x.ndim - 1))
    options = draw.choice({}, dict(p=1.0), dict(p=3.0), dict(dim=-1), dict(dim=(0, 1)), dict(eps=6.0))
    if "eps" in options:  # at eps itself the derivative jumps
        norms = p_norm(x, 2.0, axes(1, x.ndim), True)[0]
        x = np.where(np.abs(norms - 6.0) < 0.5, x * 1.25, x)
    return Case((x,), options)


def normalize_room(power, times=1.0):
    """The largest 1 / |x|^power: as many times does a derivative of that order divide by the norm."""

    def room(input, p=2.0, dim=1, eps=1e-12):
        size = p_norm(np.abs(input), p, axes(dim, input.ndim), True)[0]
        return np.broadcast_to(times * inverse(np.where(size >= eps, size, 0.0)) ** power, input.shape)

    return room


PROJECTION = "the gradient is what is left of two terms when the part along x is subtracted"


@rule("nn.functional.normalize", cases=normalize_cases, errors=lambda draw: [
    (Case((draw.reals((2, 3)),), dict(dim=2)), IndexError),
    (Case((draw.reals((3,)),)), IndexError),
], complex=True, waivers=[
    Waiver(PROJECTION, room=normalize_room(1), checks=DERIVATIVES),
    Waiver(PROJECTION, room=normalize_room(2), checks=HIGHER_ORDER),
    # the reference takes it as a difference, whose step of 2^-9 brings as many times the rounding of the two terms
    Waiver(PROJECTION, room=normalize_room(2, 2.0**9), checks=HIGHER_ORDER, dtypes=("complex128",)),
])  # fmt: skip
def normalize(input: Array, p=2.0, dim=1, eps=1e-12):
    """x / max(|x|_p, eps), with the norm over `dim`; where both are equal see reference.conventions.

    input, output: (*), real or complex.  Source: torch.nn.functional.normalize.
    """
    size, back = p_norm(input, p, axes(dim, input.ndim), True)
    free = size.real > eps if ties_are_shared() else size.real >= eps
    divisor = np.where(free, size, eps)
    y = input / divisor

    def vjp(g):
        along = g * (y if is_stepping() else np.conj(y))
        along = along if is_stepping() else along.real
        inner = along.sum(axis=axes(dim, input.ndim), keepdims=True)
        return (g / divisor - back(free * inner / divisor),)

    return y, vjp


def cosine_cases(draw: Draw):
    left, right = draw.shapes(2)
    ndim = max(len(left), len(right))
    # rows of small norm turn fast; rows of zeros are drawn below
    x, y = draw.reals(left, avoid=(0.0,)), draw.reals(right, avoid=(0.0,))
    if draw.integer(0, 4) == 4 and draw.special:
        x = x * draw.integer(0, 1)
    options = {} if ndim > 1 and draw.boolean() else dict(dim=draw.dim(ndim))
    if draw.integer(0, 3) == 3:
        # where a norm is eps torch's two modes disagree: none of multiples of 1/4 is 1.1, or rounds to it in bfloat16
        options["eps"] = draw.choice(1e-6, 1.1)
    return Case((x, y), options)


def cosine_sizes(x1, x2, dim, eps):
    """1 / |x| of both, 0 where |x| is below eps; and 1 / (max(|x1|, eps) max(|x2|, eps))."""
    a, b = np.broadcast_arrays(x1, x2)
    left, right = (p_norm(x, 2, axes(dim, a.ndim), False)[0] for x in (a, b))
    mixed = 1.0 / (np.maximum(left, eps) * np.maximum(right, eps))
    return *(inverse(np.where(s >= eps, s, 0.0)) for s in (left, right)), mixed


def cosine_room(x1, x2, dim=1, eps=1e-8):
    return np.maximum(*cosine_sizes(x1, x2, dim, eps)[:2])


def cosine_second_room(x1, x2, dim=1, eps=1e-8):
    left, right, mixed = cosine_sizes(x1, x2, dim, eps)
    return np.maximum(np.maximum(left, right) ** 2, mixed)


@rule(
    "cosine_similarity",
    cases=cosine_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.reals((2, 4)))), RuntimeError)],
    aliases=("nn.functional.cosine_similarity",),
    method=False,
    waivers=[
        Waiver(PROJECTION, room=cosine_room, checks=DERIVATIVES),
        Waiver(PROJECTION, room=cosine_second_room, checks=HIGHER_ORDER),
        Waiver(
            "torch adds up the squares of a norm in float32, in each lane of a vector one after another",
            factor=4,
            dtypes=("float32",),
            checks=("parallel",),
        ),
    ],
)
def cosine_similarity(x1: Array, x2: Array, dim=1, eps=1e-8):
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`.

    x1, x2: (*), broadcast; output: without `dim`.  Source: torch.nn.CosineSimilarity.
    """
    a, b = np.broadcast_arrays(x1, x2)
    over = axes(dim, a.ndim)
    (u, by_u), (v, by_v) = normalized(a, over, eps), normalized(b, over, eps)
    y = (u * v).sum(axis=over)
    kept = kept_shape(a.shape, over)

    def vjp(g):
        g = g.reshape(kept)
        return unbroadcast(by_u(g * v), x1.shape), unbroadcast(by_v(g * u), x2.shape)

    return y, vjp


def normalized(x, over, eps):
    """x / max(|x|, eps) of real rows, and its vjp."""
    y, vjp = normalize.fn(x, 2.0, over, eps)
    return y, lambda g: vjp(g)[0]
