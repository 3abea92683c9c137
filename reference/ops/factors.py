"""Triangular factors: A = Q R with unitary Q, and A = P L U with a permutation P.

The differentials are those of Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2010),
and for QR of wide and complex matrices Roberts and Roberts, arXiv:2009.10071. The diagonal of R is positive here, which
makes its factors unique (conformance brings torch's to that form).
"""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.linalg import batch, herm, normal, solved, square
from reference.ops.singular import no_matrix, rest
from reference.ops.spectra import gap_rooms, is_complex, units
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, is_stepping, rule


def right_divided(a, r):
    """a r^-1."""
    return solved(r, a, left=False)


def strict(m):
    """The adjoint of C -> its part antihermitian with the same strict lower triangle and imaginary diagonal."""
    lower = np.tril(m - herm(m), -1)
    if is_complex(m):
        lower = lower + 1j * (np.eye(m.shape[-1], dtype=bool) * m.imag)
    return lower


def qr_of(a):
    """The reduced factors with a positive diagonal of R, analytic in a real matrix."""
    q, r = np.linalg.qr(a.real if is_stepping() else a)
    k = r.shape[-2]
    turn = units(np.diagonal(r, 0, -2, -1))
    q, r = q * turn[..., None, :], turn.conj()[..., None] * r
    if is_stepping():
        step, first = 1j * a.imag, r[..., :k]
        c = right_divided(herm(q) @ step[..., :k], first)
        turned = np.tril(c, -1) - herm(np.tril(c, -1))
        dq = q @ turned
        if q.shape[-2] > k:
            dq = dq + right_divided(step[..., :k], first) - q @ c
        q, r = q + dq, np.concatenate([(c - turned) @ first + first, r[..., k:]], -1)
        if r.shape[-1] > k:  # what is right of the square is Q^H A
            r = np.concatenate([r[..., :k], herm(q) @ a[..., k:]], -1)
    return q, r


def qr_adjoint(a, q, r, gq, gr):
    """The gradient from those of the reduced factors."""
    k = r.shape[-2]
    first, g1, g2 = r[..., :k], gr[..., :k], gr[..., k:]
    if r.shape[-1] > k:
        gq = gq + a[..., k:] @ herm(g2)
    scaled = g1 @ herm(first)
    inner = strict(herm(q) @ gq - scaled) + scaled
    left = q @ inner
    if q.shape[-2] > k:
        left = left + gq - q @ (herm(q) @ gq)
    grad = right_divided(left, herm(first))
    return np.concatenate([grad, q @ g2], -1)


def tall_or_wide(draw: Draw):
    """Matrices of full rank, those of their leading columns too, and of moderate condition."""
    if draw.regime == "large":
        shape, (m, n) = draw.choice(((4000 + draw.integer(0, 9),), (3, 3)), ((), (190, 180)))
    else:
        shape, m, n = batch(draw, 1), draw.side(0), draw.side(0)
    whole = square(draw, shape, max(m, n))
    if m < n:  # the leading square has full rank by itself
        whole[..., :m, :m] = square(draw, shape, m)
    return whole[..., :m, :n]


def leading(A, *args, **options):
    """The norm of matrices, and the smallest singular value of their leading squares."""
    k = min(A.shape[-2:])
    s = np.linalg.svd(A[..., :k] if k < A.shape[-1] else A, compute_uv=False)
    return np.linalg.norm(A, 2, (-2, -1)).max(initial=0.0) if k else 0.0, s.min(initial=1.0)


orthogonal = gap_rooms(leading)


def qr_cases(draw: Draw):
    a = tall_or_wide(draw)
    return Case((a,), draw.choice({}, dict(mode="reduced"), dict(mode="complete"), dict(mode="r")))


def wrong_qr(draw: Draw):
    return [*no_matrix(draw), (Case((np.eye(2),), dict(mode="full")), RuntimeError)]


@rule("linalg.qr", cases=qr_cases, errors=wrong_qr, complex=True, gauge="qr", waivers=orthogonal)
def qr(A: Array, mode="reduced"):
    """Q and R of A = Q R, where Q has orthonormal columns and R is upper triangular with a positive diagonal.

    With C = Q^H dA R^-1 and the antihermitian W of the same strict lower triangle: dR = (C - W) R and
    dQ = Q W + (1 - Q Q^H) dA R^-1. There is no derivative for mode="r", nor for "complete" of more rows than columns;
    in the latter the first columns of the projector on what is left stand for the added ones.
    A: (*, m, n); outputs: (*, m, k), (*, k, n) with k = min(m, n), k = m for "complete"; Q is empty for "r".
    Source: Roberts and Roberts (2020); torch.linalg.qr.
    """
    q, r = qr_of(A)
    m, k = q.shape[-2:]
    if mode == "r":
        return (np.zeros(0, q.dtype), r), lambda gs: (None,)
    if mode == "complete" and m > k:
        zeros = np.zeros((*r.shape[:-2], m - k, r.shape[-1]), r.dtype)
        return (np.concatenate([q, rest(q)], -1), np.concatenate([r, zeros], -2)), lambda gs: (None,)
    return (q, r), lambda gs: (qr_adjoint(A, q, r, *gs),)


@rule(
    "qr",
    cases=lambda draw: Case((tall_or_wide(draw),), draw.choice({}, dict(some=True), dict(some=False))),
    errors=no_matrix,
    complex=True,
    gauge="qr",
    waivers=orthogonal,
)
def old_qr(input: Array, some=True):
    """linalg.qr, "complete" with some=False.

    input: (*, m, n); outputs: as linalg.qr.  Source: torch.qr.
    """
    return qr.fn(input, "reduced" if some else "complete")


def eliminated_rows(a, pivot=True):
    """L (below the diagonal) and U in one matrix, and the row (from 1) that each step swaps with its own."""
    shape, (m, n) = a.shape[:-2], a.shape[-2:]
    lu, rows = a.reshape(math.prod(shape), m, n).copy(), np.arange(math.prod(shape))
    pivots = np.zeros((len(lu), min(m, n)), np.int32)
    for j in range(min(m, n)):
        # LAPACK goes by |Re| + |Im|
        size = np.abs(lu[:, j:, j].real) + (0.0 if is_stepping() else np.abs(lu[:, j:, j].imag))
        p = j + (np.argmax(size, axis=1) if pivot else 0 * rows)
        pivots[:, j] = p + 1
        chosen = lu[rows, p]
        lu[rows, p], lu[:, j] = lu[:, j], chosen
        zero = chosen[:, j] == 0
        lu[:, j + 1 :, j] /= np.where(zero, 1.0, chosen[:, j])[:, None]
        lu[:, j + 1 :, j + 1 :] -= lu[:, j + 1 :, j, None] * chosen[:, None, j + 1 :]
    return lu.reshape(a.shape), pivots.reshape(*shape, min(m, n))


def permutation(pivots, m):
    """The matrices P of A = P L U for the swaps of rows."""
    flat = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    order = np.broadcast_to(np.arange(m), (len(flat), m)).copy()
    rows = np.arange(len(flat))
    for j in range(flat.shape[1]):
        p = flat[:, j] - 1
        here = order[rows, p]
        order[rows, p], order[:, j] = order[:, j], here
    return np.eye(m, dtype=bool)[order].swapaxes(-1, -2).reshape(*pivots.shape[:-1], m, m)


def split(lu):
    """L with ones on its diagonal, and U."""
    m, n = lu.shape[-2:]
    k = min(m, n)
    return np.tril(lu[..., :k], -1) + np.eye(m, k, dtype=lu.dtype), np.triu(lu[..., :k, :])


def lu_adjoint(p, low, up, gl, gu):
    """The gradient of A = P L U from those of the factors; of gl the strict lower part counts, of gu the upper."""
    k = low.shape[-1]
    l1, u1 = low[..., :k, :], up[..., :k]
    gl1, gl2, gu1, gu2 = gl[..., :k, :], gl[..., k:, :], gu[..., :k], gu[..., k:]
    grad2 = right = None
    if gl2.shape[-2]:  # L2 = A2 U1^-1
        grad2 = right_divided(gl2, herm(u1))
        gu1 = gu1 - herm(low[..., k:, :]) @ grad2
    if gu2.shape[-1]:  # U2 = L1^-1 A2
        right = solved(herm(l1), gu2)
        gl1 = gl1 - right @ herm(up[..., k:])
    inner = np.tril(herm(l1) @ gl1, -1) + np.triu(gu1 @ herm(u1))
    grad = right_divided(solved(herm(l1), inner), herm(u1))
    grad = grad if right is None else np.concatenate([grad, right], -1)
    grad = grad if grad2 is None else np.concatenate([grad, grad2], -2)
    return p @ grad


def lu_adjoint_packed(lu, p):
    """The vjp of both factors in one matrix."""
    low, up = split(lu)
    k = low.shape[-1]
    pad = [(0, 0)] * (lu.ndim - 2)

    def vjp(g):
        gl = np.pad(g, [*pad, (0, 0), (0, 0)])[..., :k]
        return lu_adjoint(p, low, up, np.tril(gl, -1), np.triu(g[..., :k, :]))

    return vjp


def pivoted(draw: Draw):
    """Matrices whose pivots are clear: rows of a well conditioned L U, with small multipliers, in any order."""
    if draw.regime == "large":  # elimination goes by columns: few of them
        shape, (m, n) = (1500 + draw.integer(0, 9),), draw.choice((5, 5), (6, 4))
    else:
        shape, m, n = batch(draw, 1), draw.side(0), draw.side(0)
    k = min(m, n)
    small = (3.0 if draw.complex else 1.5) * (1.0 if k < 5 else k**0.5)
    low = np.tril(draw.numbers((*shape, m, k), -1, 1), -1) / small + np.eye(m, k)
    up = np.triu(draw.numbers((*shape, k, n), -1, 1), 1) / max(k, 1) ** 0.5
    size = 1.0 + draw.generator().uniform(0.0, 1.0, (*shape, k, 1))
    up = up + np.eye(k, n) * size * units(normal(draw, (*shape, k, 1)))
    order = draw.generator().permutation(m)
    return (low @ up)[..., order, :]


def leading_minor(A, *args, **options):
    k = min(A.shape[-2:])
    p = permutation(eliminated_rows(A)[1], A.shape[-2])
    s = np.linalg.svd((p.swapaxes(-1, -2) @ A)[..., :k, :k], compute_uv=False)
    return np.asarray(A.shape[-1] / s.min(initial=1.0) ** 2)


# a second derivative is a sum of products of such sizes, and may be zero
CURVED = Waiver(
    "the second derivative is a sum of terms with two inverses each", room=leading_minor, checks=HIGHER_ORDER
)


def lu_cases(draw: Draw):
    return Case((pivoted(draw),), draw.choice({}, dict(pivot=True)))


@rule("linalg.lu", cases=lu_cases, errors=no_matrix, complex=True, gauge="permuted", waivers=[CURVED])
def lu(A: Array, *, pivot=True):
    """P, L and U of A = P L U: a permutation, L with ones on its diagonal, and an upper triangular U.

    With F = L^-1 P^T dA U^-1: dL = L tril(F, -1) and dU = triu(F) U. P has no derivative, and is empty without pivots.
    A: (*, m, n); outputs: (*, m, m), (*, m, k), (*, k, n) with k = min(m, n).
    Source: Walter and Lehmann (2010); torch.linalg.lu.
    """
    packed, pivots = eliminated_rows(A, pivot)
    p, (low, up) = permutation(pivots, A.shape[-2]).astype(A.dtype), split(packed)
    return (p if pivot else p[:0].reshape(0), low, up), lambda gs: (lu_adjoint(p, low, up, gs[1], gs[2]),)


@rule("linalg.lu_factor", cases=lu_cases, errors=no_matrix, complex=True, waivers=[CURVED])
def lu_factor(A: Array, *, pivot=True):
    """L below the diagonal and U in one matrix, and the row (counted from 1) that each step swaps with its own.

    A: (*, m, n); outputs: (*, m, n), (*, min(m, n)) of int32.  Source: torch.linalg.lu_factor.
    """
    packed, pivots = eliminated_rows(A, pivot)
    adjoint = lu_adjoint_packed(packed, permutation(pivots, A.shape[-2]))
    return (packed, pivots), lambda gs: (adjoint(gs[0]),)


def none_failed(a):
    """The flags of a factorisation that went well."""
    return np.zeros(a.shape[:-2], np.int32)


def first_zero(lu):
    """Which pivot (from 1) is exactly zero, 0 for none."""
    zero = np.diagonal(lu, 0, -2, -1) == 0
    return np.where(zero.any(-1), zero.argmax(-1) + 1 if zero.shape[-1] else 0, 0).astype(np.int32)


@rule(
    "linalg.lu_factor_ex",
    cases=lambda draw: Case((pivoted(draw),), draw.choice({}, dict(check_errors=True))),
    errors=no_matrix,
    complex=True,
    waivers=[CURVED],
)
def lu_factor_ex(A: Array, *, pivot=True, check_errors=False):
    """lu_factor, and which pivot (counted from 1) is zero, 0 for none.

    A: (*, m, n); outputs: (*, m, n), (*, min(m, n)), (*), the latter of int32.  Source: torch.linalg.lu_factor_ex.
    """
    (packed, pivots), back = lu_factor.fn(A, pivot=pivot)
    return (packed, pivots, first_zero(packed)), back


@rule(
    "lu",
    cases=lambda draw: Case((pivoted(draw),), draw.choice({}, dict(pivot=True), dict(get_infos=True))),
    errors=no_matrix,
    complex=True,
    waivers=[CURVED],
)
def old_lu(A: Array, pivot=True, get_infos=False):
    """linalg.lu_factor, with get_infos linalg.lu_factor_ex.

    A: (*, m, n); outputs: as those.  Source: torch.lu.
    """
    return (lu_factor_ex if get_infos else lu_factor).fn(A, pivot=pivot)


def unpack_cases(draw: Draw):
    packed, pivots = eliminated_rows(pivoted(draw))
    return Case((packed, pivots), draw.choice({}, dict(unpack_data=False), dict(unpack_pivots=False)))


@rule("lu_unpack", cases=unpack_cases, complex=True, method=False, gauge="permuted", errors=lambda draw: [
    (Case((draw.reals((2, 2)), np.ones((2,)))), RuntimeError),
])  # fmt: skip
def lu_unpack(LU_data: Array, LU_pivots: Array, unpack_data=True, unpack_pivots=True):
    """P, L and U from the result of lu_factor; what is not asked for is empty.

    LU_data: (*, m, n); LU_pivots: (*, min(m, n)), int32; outputs: as linalg.lu.  Source: torch.lu_unpack.
    """
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    nothing = np.zeros(0, LU_data.dtype)
    low, up = split(LU_data) if unpack_data else (nothing, nothing)
    p = permutation(LU_pivots, m).astype(LU_data.dtype) if unpack_pivots else nothing

    def vjp(gs):
        if not unpack_data:
            return None, None
        g = np.zeros(LU_data.shape, np.result_type(gs[1], gs[2]))
        g[..., :k] = np.tril(gs[1], -1)
        g[..., :k, :] = g[..., :k, :] + np.triu(gs[2])
        return g, None

    return (p, low, up), vjp
