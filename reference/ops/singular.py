"""Singular value decompositions, and what is made of them: pseudoinverses, least squares, condition and rank.

Singular vectors are unique up to a common phase of each pair: here the first element of the left one is positive
(conformance brings torch's to that form). The differentials are those of Wan and Zhang, "Automatic differentiation
for complex valued SVD" (2019), and of Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) for pseudoinverses.
"""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.linalg import herm
from reference.ops.spectra import (
    angle_adjoint,
    even,
    gap_rooms,
    inverse_gaps,
    is_complex,
    iterated,
    least_gap,
    scaled,
    sizes,
    spaced,
    units,
    unturned,
)
from reference.rule import Array, Case, is_stepping, rule


def svd_of(a):
    """U, S, V of a = U diag(S) V^H with the columns that belong to singular values, analytic in a real matrix."""
    u, s, vh = np.linalg.svd(a.real if is_stepping() else a, full_matrices=False)
    turn = units(u[..., :1, :]).conj() if u.size else 1.0
    u, v = u * turn, herm(vh) * turn
    if is_stepping():
        step, eye = 1j * a.imag, np.eye(s.shape[-1], dtype=bool)
        p = herm(u) @ step @ v
        gaps = inverse_gaps(s * s)
        du = u @ (gaps * (scaled(p, s) + s[..., None] * herm(p)))
        dv = v @ (gaps * (s[..., None] * p + scaled(herm(p), s)))
        if u.shape[-2] > s.shape[-1]:
            du = du + scaled(step @ v - u @ p, 1.0 / s)
        if v.shape[-2] > s.shape[-1]:
            dv = dv + scaled(herm(step) @ u - v @ herm(p), 1.0 / s)
        u, s, v = u + du, s + (p * eye).sum(-1), v + dv
    return u, s, v


def svd_adjoint(u, s, v, gu, gs, gv):
    """The gradient from those of the singular values and vectors."""
    if gu is None:
        return scaled(u, gs) @ herm(v)
    eye = np.eye(s.shape[-1], dtype=bool)
    if is_complex(u):
        gu = unturned(gu, angle_adjoint(gu, u) + angle_adjoint(gv, v), u)
    gaps = inverse_gaps(s * s)
    x, y = herm(u) @ gu, herm(v) @ gv
    left, right = gaps * x, gaps * y
    inner = gs[..., None] * eye + scaled(left + herm(left), s) + s[..., None] * (right + herm(right))
    if is_complex(u):
        turned = np.diagonal(x, 0, -2, -1).imag / s
        inner = inner + 1j * turned[..., None] * eye
    grad = u @ inner @ herm(v)
    if u.shape[-2] > s.shape[-1]:
        grad = grad + scaled(gu - u @ x, 1.0 / s) @ herm(v)
    if v.shape[-2] > s.shape[-1]:
        grad = grad + scaled(u, 1.0 / s) @ herm(gv - v @ y)
    return grad


def rest(basis):
    """The first columns of the projector on what is orthogonal to these: constant, as torch has no derivative of it."""
    q = basis.real if is_stepping() else basis
    m, k = q.shape[-2:]
    return (np.eye(m, dtype=q.dtype) - q @ herm(q))[..., : m - k]


def rectangle(draw: Draw, low=0, least=1.0):
    """Matrices with singular values from `least` to 3, well apart, and singular vectors with even first rows."""
    if draw.regime == "large":
        shape, (m, n) = draw.choice(((4000 + draw.integer(0, 9),), (3, 3)), ((), (190, 180)))
    else:
        shape, m = sizes(draw, low)
        n = draw.side(low, 3)
    return apart(draw, shape, m, n, least)


def apart(draw: Draw, shape, m, n, least=1.0):
    """(*shape, m, n) with singular values from `least` to 3, well apart, and singular vectors with even first rows."""
    k = min(m, n)
    u, v = even(draw, shape, m)[..., :k], even(draw, shape, n)[..., :k]
    return np.asarray(scaled(u, spaced(draw, shape, k, least, 3.0)) @ herm(v))


def singular_spectrum(A, *args, **options):
    s = np.linalg.svd(A, compute_uv=False)
    return s.max(initial=0.0), min(least_gap(s), s.min(initial=1.0))


singular = iterated(gap_rooms(singular_spectrum))


def no_matrix(draw: Draw):
    return [(Case((draw.reals((3,)),)), RuntimeError)]


def svd_cases(draw: Draw):
    a = rectangle(draw)
    full = draw.choice(False, True)
    # the reference's derivatives of complex matrices are differences, and would see the projector turn
    full = full and (a.shape[-2] == a.shape[-1] or not draw.complex)
    # the default is the full one
    return Case((a,), draw.choice({}, dict(driver=None)) if full else dict(full_matrices=False))


@rule("linalg.svd", cases=svd_cases, errors=no_matrix, complex=True, gauge="svd", waivers=singular)
def svd(A: Array, full_matrices=True, *, driver=None):
    """U, S and V^H of A = U diag(S) V^H, S descending, the first row of U positive.

    With P = U^H dA V: dS = Re diag P, and dU, dV turn pairs of vectors by (S_j P + P^H S_i) / (S_j^2 - S_i^2).
    The columns that full_matrices adds are those of any basis of what is orthogonal to the others: here the first
    columns of the projector on it stand for them, and torch takes no gradient from them.
    A: (*, m, n); outputs: (*, m, k), (*, k), (*, k, n) with k = min(m, n), or (*, m, m), (*, k), (*, n, n).
    Source: Wan and Zhang, arXiv:1909.02659; torch.linalg.svd.
    """
    u, s, v = svd_of(A)
    k = s.shape[-1]
    outs = (u, s, herm(v))
    if full_matrices:
        outs = (np.concatenate([u, rest(u)], -1), s, np.concatenate([herm(v), herm(rest(v))], -2))

    def vjp(gs):
        return (svd_adjoint(u, s, v, gs[0][..., :k], gs[1], herm(gs[2][..., :k, :])),)

    return outs, vjp


def old_svd_cases(draw: Draw):
    a = rectangle(draw)
    some = draw.choice(True, False) or (draw.complex and a.shape[-2] != a.shape[-1])
    return Case(
        (a,), draw.choice({}, dict(some=True)) if some else draw.choice(dict(some=False), dict(compute_uv=False))
    )


@rule("svd", cases=old_svd_cases, errors=no_matrix, complex=True, gauge="svd_v", waivers=singular)
def old_svd(input: Array, some=True, compute_uv=True):
    """U, S and V of A = U diag(S) V^H, as linalg.svd; U and V are square and zero with compute_uv=False.

    input: (*, m, n); outputs: (*, m, k), (*, k), (*, n, k) with k = min(m, n), square U and V with some=False.
    Source: torch.svd.
    """
    u, s, v = svd_of(input)
    k = s.shape[-1]
    if compute_uv:
        outs = (u, s, v) if some else (np.concatenate([u, rest(u)], -1), s, np.concatenate([v, rest(v)], -1))
    else:
        zeros = [np.zeros((*x.shape[:-1], x.shape[-2]), u.dtype) for x in (u, v)]
        outs = (zeros[0], s, zeros[1])

    def vjp(gs):
        if not compute_uv:
            return (svd_adjoint(u, s, v, None, gs[1], None),)
        return (svd_adjoint(u, s, v, gs[0][..., :k], gs[1], gs[2][..., :k]),)

    return outs, vjp


@rule("linalg.svdvals", cases=lambda draw: Case((rectangle(draw),)), errors=no_matrix, complex=True, waivers=singular)
def svdvals(A: Array, *, driver=None):
    """The singular values in descending order; the gradient is U diag(g) V^H.

    A: (*, m, n); output: (*, min(m, n)), real.  Source: torch.linalg.svdvals.
    """
    u, s, v = svd_of(A)
    return s, lambda g: (svd_adjoint(u, s, v, None, g, None),)
