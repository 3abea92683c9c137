"""Factors of definite matrices, norms of matrices, and cross products."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.extrema import extremum
from reference.ops.linalg import herm, inverse, is_single, normal, not_square, sized, solved, square
from reference.ops.reduce import cast
from reference.ops.spectra import iterated
from reference.ops.vector_norm import CURVATURE, apart, norm_room, nuclear, p_norm
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, conj, is_stepping, rule, unbroadcast


def definite(draw: Draw, shape, n):
    """Hermitian positive definite matrices, with eigenvalues of 1/2 to 2."""
    a = square(draw, shape, n)
    a = a @ np.conj(a.swapaxes(-1, -2))
    return (a + np.conj(a.swapaxes(-1, -2))) / 2.0  # exactly Hermitian, also once rounded


def factor(a):
    """The lower factor L of a = L L^H column by column: unlike LAPACK's, analytic in a stepped matrix."""
    low = np.zeros(a.shape, a.dtype)
    for j in range(a.shape[-1]):
        rest = a[..., j:, j] - (low[..., j:, :j] @ conj(low[..., j, :j, None]))[..., 0]
        low[..., j:, j] = rest / np.sqrt(rest[..., :1])
    return low


def lower_half(a):
    """The lower triangle with half of the diagonal."""
    return np.tril(a) - a * np.eye(a.shape[-1], dtype=a.dtype) / 2.0


@rule(
    "linalg.cholesky",
    cases=lambda draw: Case((definite(draw, *sized(draw)),), draw.choice({}, dict(upper=True), dict(upper=False))),
    errors=lambda draw: [*not_square(draw), (Case((-np.eye(2),)), RuntimeError)],
    complex=True,
    structure="hermitian",
)
def cholesky(input: Array, *, upper=False):
    """The lower triangular L with A = L L^H, or L^H, for the positive definite A = (input + input^H) / 2.

    The gradient is the Hermitian part of L^-H P L^-1, where P is the lower triangle of L^H g with half of its
    diagonal.  input, output: (*, n, n).
    Source: Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527; torch.linalg.cholesky.
    """
    a = (input + herm(input)) / 2.0
    low = factor(a) if is_stepping() or is_single(a) else np.linalg.cholesky(a)

    def vjp(g, slip=0.0):
        ell = low + (herm(np.asarray(slip)) if upper and np.ndim(slip) else slip)  # torch reads its rounded factor
        p = lower_half(herm(ell) @ (herm(g) if upper else g))
        s = herm(solved(herm(ell), herm(solved(herm(ell), p))))
        return ((s + herm(s)) / 2.0,)

    return (herm(low) if upper else low), vjp


def factor_cases(draw: Draw):
    upper = draw.boolean()
    low = np.linalg.cholesky(definite(draw, *sized(draw)))
    return Case(
        (np.conj(low.swapaxes(-1, -2)) if upper else low,),
        draw.choice({}, dict(upper=upper)) if not upper else dict(upper=True),
    )


@rule("cholesky_inverse", cases=factor_cases, errors=not_square, complex=True, structure="triangular")
def cholesky_inverse(input: Array, upper=False):
    """Y = (L L^H)^-1 for the lower triangle L of the input, or (U^H U)^-1 for its upper triangle U.

    The gradient for L is the lower triangle of -Y (g + g^H) Y L.
    input: (*, n, n), the other triangle is not read; output: (*, n, n).  Source: torch.cholesky_inverse.
    """
    low = herm(np.triu(input)) if upper else np.tril(input)
    half = inverse(low)
    y = herm(half) @ half

    def vjp(g, slip=0.0):
        inverse = y + slip  # torch reads its rounded inverse
        grad = np.tril(-inverse @ (g + herm(g)) @ herm(inverse) @ low)
        return (herm(grad) if upper else grad,)

    return y, vjp


def extreme(x, keepdim, largest):
    """The largest or smallest singular value of matrices in the last dimensions; its gradient is u v^H."""
    real = is_stepping()
    u, s, vh = np.linalg.svd(x.real if real else x)
    i = 0 if largest else s.shape[-1] - 1
    value, left, right = s[..., i], u[..., :, i], vh[..., i, :]
    if real:  # first-order changes of the value and its vectors, in closed form
        step = 1j * x.imag
        inner = u.swapaxes(-1, -2) @ step @ vh.swapaxes(-1, -2)
        value = value + inner[..., i, i]
        across, down = inner[..., i, :], inner[..., :, i]
        left = left + turn(u, s, i, down, across)
        right = right + turn(vh.swapaxes(-1, -2), s, i, across, down)
    polar = left[..., :, None] * right[..., None, :]
    tied = s == value.real[..., None]
    if not real and tied.sum() > value.size:  # equal extremes share the gradient, as those of amax do
        share = tied / tied.sum(axis=-1, keepdims=True, dtype=s.dtype)
        polar = (u[..., :, : s.shape[-1]] * share[..., None, :]) @ vh[..., : s.shape[-1], :]
    y = value[..., None, None] if keepdim else value
    return y, lambda g: g.reshape(value.shape)[..., None, None] * polar


def turn(basis, s, i, here, there):
    """The change of the i-th singular vector in `basis`, by u_j^T dA v_i (here) and u_i^T dA v_j (there)."""
    n = basis.shape[-1]
    other = np.zeros((*s.shape[:-1], n), s.dtype)
    other[..., : s.shape[-1]] = s
    padded = np.zeros(other.shape, there.dtype)
    m = min(n, there.shape[-1])
    padded[..., :m] = there[..., :m]
    mine = s[..., i : i + 1]
    gap = mine**2 - other**2
    gap[..., i] = 1.0
    weight = (mine * here + other * padded) / gap
    weight[..., i] = 0.0
    return (basis @ weight[..., None])[..., 0]


ORDERS = ("fro", "nuc", 1, -1, math.inf, -math.inf, 2, -2)


def matrix_norm_cases(draw: Draw):
    order = draw.choice(*ORDERS)
    shape = list(draw.shape(2, 3, min_side=0 if order in ("fro", "nuc") else 1))
    dim = draw.permutation(len(shape))[:2]
    if draw.regime == "large" and order in ("nuc", 2, -2):
        shape, dim = [9000, 2, 2], (1, 2)
    if order == "nuc" and draw.regime == "empty":
        shape = [max(n, 1) for n in shape]
    x = draw.reals(shape, distinct=True)
    x = x + 1j * draw.reals(shape, distinct=True) if draw.complex else x
    if order in ("nuc", 2, -2):
        x = apart(x, dim)
    elif order != "fro":
        # which sum is the extreme one must not turn on a rounding; and as the reference's derivatives of complex
        # cases are differences, no other sum and no modulus of zero may be near
        kept, summed = dim[::-1] if abs(order) == 1 else dim
        x = x + x / np.abs(x)
        size = 2.0 + np.arange(shape[kept])
        size[0], size[-1] = size[0] / 2.0, 1.5 * size[-1]
        size = np.moveaxis(size.reshape(-1, *(1,) * (x.ndim - 1)), 0, kept)
        x = x / np.abs(x).mean(summed, keepdims=True) * size
    dim = tuple(d - len(shape) if draw.boolean() else d for d in dim)
    options = {} if dim == (-2, -1) and draw.boolean() else dict(dim=dim)
    return Case((x,) if order == "fro" and draw.boolean() else (x, order), dict(keepdim=draw.boolean(), **options))


def matrix_room(input, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    return norm_room(input, 2, dim, keepdim)


GAPS = "singular vectors are as wrong as the largest value is above a gap"


def gap_room(input, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The largest singular value over the gaps between them, which the cases keep above 1/2."""
    if ord not in ("nuc", 2, -2) or not input.size:
        return np.zeros(())
    return 2.0 * np.linalg.norm(input, 2, tuple(dim)).max()


@rule(
    "linalg.matrix_norm",
    cases=matrix_norm_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 3)), RuntimeError),
        (Case((draw.reals((3,)),)), RuntimeError),
        (Case((draw.reals((2, 3)),), dict(dim=(0, 0))), RuntimeError),
    ],
    complex=True,
    waivers=[
        Waiver(CURVATURE.reason, room=matrix_room, checks=HIGHER_ORDER),
        # the reference's own are computed in double, also where roundings are measured in single
        *iterated([Waiver(GAPS, room=gap_room, checks=DERIVATIVES)]),
    ],
)
def matrix_norm(input: Array, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The root of the sum of squares ("fro"), the sum of the singular values ("nuc"), the largest or smallest
    of them (2, -2), or the largest or smallest sum of moduli of a column (1, -1) or of a row (inf, -inf).

    input: (*), real or complex, its matrices in the two dimensions `dim`; output: real, without these.
    Source: torch.linalg.matrix_norm.
    """
    x = cast(input, dtype)
    over = tuple(d % x.ndim for d in dim)
    if ord == "fro":
        y, back = p_norm(x, 2, over, keepdim)

        def vjp(g, slip=0.0):
            return (back(g, slip),)

        return y, vjp
    if ord == "nuc":
        y, back = nuclear(x, over, keepdim)
        return y, lambda g: (back(g),)
    a = np.moveaxis(x, over, (-2, -1))
    if a.shape[-1] == 0 or a.shape[-2] == 0:
        y, back = np.zeros(a.shape[:-2] + ((1, 1) if keepdim else ()), a.real.dtype), lambda g: np.zeros_like(a)
    elif ord in (2, -2):
        y, back = extreme(a, keepdim, ord > 0)
    else:
        summed, kept = (-2, -1) if ord in (1, -1) else (-1, -2)
        sums, by_sum = p_norm(a, 1, (summed % a.ndim,), True)
        y, by_row = extremum(sums, (kept % a.ndim,), True, np.max if ord > 0 else np.min)
        y, back = y if keepdim else y[..., 0, 0], lambda g: by_sum(by_row(g.reshape((*a.shape[:-2], 1, 1))))
    if keepdim:
        y = np.moveaxis(y, (-2, -1), over)
    return y, lambda g: (np.moveaxis(back(np.moveaxis(g, over, (-2, -1)) if keepdim else g), (-2, -1), over),)


def crossed(a, b, dim):
    """a x b along `dim`: c_i = a_j b_k - a_k b_j for (i, j, k) in cyclic order."""
    (a, a_next), (b, b_next) = ([np.take(v, order, axis=dim) for order in ((1, 2, 0), (2, 0, 1))] for v in (a, b))
    return a * b_next - a_next * b


def cross_of(a, b, dim):
    """The cross product and its vjp: the triple product <g, da x b> = <b x g, da> is cyclic."""

    def vjp(g):
        return unbroadcast(crossed(conj(b), g, dim), a.shape), unbroadcast(crossed(g, conj(a), dim), b.shape)

    return crossed(a, b, dim), vjp


def cross_arguments(draw: Draw):
    """Two tensors with as many dimensions, of size 3 in one, broadcast in the others."""
    shape = draw.shape(min_dims=1)
    dim = draw.dim(len(shape))
    made = []
    for _ in range(2):
        sides = [1 if draw.integer(0, 3) == 3 else n for n in shape]
        sides[dim] = 3
        made.append(normal(draw, sides))
    return (*made, dim)


def cross_cases(draw: Draw):
    a, b, dim = cross_arguments(draw)
    first = a.shape.index(3)
    found = first == dim % a.ndim and b.shape[first] == 3 and draw.boolean()
    return Case((a, b)) if found else Case((a, b, dim))


def not_three(draw: Draw):
    return [
        (Case((draw.reals((2, 2)), draw.reals((2, 2)))), RuntimeError),
        (Case((draw.reals((2, 3)), draw.reals((3,)))), RuntimeError),
    ]


@rule("cross", cases=cross_cases, errors=not_three, complex=True)
def cross(input: Array, other: Array, dim=None):
    """The cross products of the vectors of three along `dim`, by default the first dimension of size 3.

    input, other: (*, 3, *), of as many dimensions, broadcast; output: (*, 3, *).  Source: torch.cross.
    """
    return cross_of(input, other, input.shape.index(3) if dim is None else dim)


@rule(
    "linalg.cross",
    cases=lambda draw: (lambda a, b, dim: Case((a, b), {} if dim == -1 else dict(dim=dim)))(*cross_arguments(draw)),
    errors=not_three,
    complex=True,
)
def linalg_cross(input: Array, other: Array, *, dim=-1):
    """The cross products of the vectors of three along `dim`.

    input, other: (*, 3, *), of as many dimensions, broadcast; output: (*, 3, *).  Source: torch.linalg.cross.
    """
    return cross_of(input, other, dim)
