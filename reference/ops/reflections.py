"""Products of Householder reflections H = 1 - tau v v^H, and the factorisation that gives them."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.factors import tall_or_wide
from reference.ops.linalg import batch, herm, normal
from reference.ops.singular import no_matrix
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, conj, rule


def vectors(a, k):
    """The columns v: zeros, a one on the diagonal, and what stands below it."""
    m = a.shape[-2]
    return np.tril(a[..., :k], -1) + np.eye(m, k, dtype=a.dtype)


def reflected(v, tau, x, adjoint):
    """H_1 .. H_k x, or with `adjoint` (H_1 .. H_k)^H x; and its vjp, which gives the gradients of v, tau and x.

    Each step is y = x - t v (v^H x).
    """
    k = tau.shape[-1]
    steps = []
    for i in range(k) if adjoint else reversed(range(k)):
        column = v[..., i : i + 1]
        t = tau[..., i, None, None]
        t = conj(t) if adjoint else t
        row = herm(column) @ x
        steps.append((i, column, t, x, row))
        x = x - t * (column @ row)

    def vjp(g):
        gv = [np.zeros(())] * k
        gt = [np.zeros(())] * k
        for i, column, t, before, row in reversed(steps):
            back = herm(column) @ g
            gv[i] = -conj(t) * (g @ herm(row)) - t * (before @ herm(back))
            one = -(back * conj(row)).sum((-2, -1))
            gt[i] = conj(one) if adjoint else one
            g = g - conj(t) * (column @ back)
        return np.concatenate(gv, -1), np.stack(gt, -1), g

    return x, vjp


def placed(gv, shape):
    """The gradient of the matrix from that of its vectors."""
    gv = np.tril(gv, -1)
    return np.concatenate([gv, np.zeros((*shape[:-1], shape[-1] - gv.shape[-1]), gv.dtype)], -1)


def reflections(draw: Draw, square=False):
    """m, n, k, and vectors and scales of k reflections, none of them near to singular."""
    if draw.regime == "large":
        shape, (m, n, k) = draw.choice(((4000 + draw.integer(0, 9),), (3, 3, 2)), ((), (190, 180, 20)))
    else:
        shape, n = batch(draw, 1), draw.side(0)
        m = n + draw.integer(0, 2)
        k = draw.integer(0, min(n, 6))
    a = normal(draw, (*shape, m, n)) / max(m, 1) ** 0.5
    sizes = 1.0 + (np.abs(vectors(a, k)) ** 2).sum(-2) - 1.0
    # tau |v|^2 = 2 is a reflection, 1 a projection; the latter has no inverse, which torch's formula divides by
    tau = 2.0 * draw.generator().uniform(0.7, 1.3, sizes.shape) / np.maximum(sizes, 1.0)
    return a, tau + 0j if draw.complex else tau, (m, n, k)


def factor_room(input, tau, *rest, **options):
    """The product of the norms of the factors, inverses included: torch's formulas undo one factor after another."""
    sizes = (np.abs(vectors(input, tau.shape[-1])) ** 2).sum(-2)
    norms = np.maximum(np.abs(1.0 - tau * sizes), 1.0) / np.minimum(np.abs(1.0 - tau * sizes), 1.0)
    return np.asarray(norms.prod(-1).max(initial=1.0) * (1.0 + tau.shape[-1]))


UNDONE = (
    Waiver("torch's formulas undo one factor after another", room=factor_room, checks=DERIVATIVES),
    Waiver(
        "torch's formulas undo one factor after another, in second derivatives twice",
        room=lambda *args, **options: factor_room(*args, **options) ** 2,
        checks=HIGHER_ORDER,
    ),
)


@rule(
    "linalg.householder_product",
    cases=lambda draw: Case(reflections(draw)[:2]),
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.reals((2,)))), RuntimeError),
        (Case((draw.reals((3, 2)), draw.reals((3,)))), RuntimeError),
    ],
    aliases=("orgqr", "Tensor.orgqr"),
    complex=True,
    waivers=UNDONE,
)
def householder_product(input: Array, tau: Array):
    """The first n columns of H_1 .. H_k, where v_i has a one at i, below it what stands there in column i of A.

    input, A: (*, m, n) with m >= n; tau: (*, k) with k <= n; output: (*, m, n).
    Source: Golub and Van Loan, Matrix Computations, 5.1; torch.linalg.householder_product.
    """
    m, n = input.shape[-2:]
    v = vectors(input, tau.shape[-1])
    x, back = reflected(v, tau, np.broadcast_to(np.eye(m, n, dtype=input.dtype), input.shape), False)

    def vjp(g):
        if not input.size or not tau.shape[-1]:  # without reflections nothing is read
            return None, None
        gv, gt, _ = back(g)
        return placed(gv, input.shape), gt

    return x, vjp


def ormqr_cases(draw: Draw):
    left, transpose = draw.choice(True, False), draw.choice(False, True)
    a, tau, (m, _, k) = reflections(draw)
    a = a[..., :k]
    p = draw.integer(1, 3) if draw.regime != "large" else 3
    c = normal(draw, (*a.shape[:-2], m, p) if left else (*a.shape[:-2], p, m))
    return Case(
        (a, tau, c),
        draw.choice({}, dict(left=True)) if left and not transpose else dict(left=left, transpose=transpose),
    )


@rule("ormqr", cases=ormqr_cases, complex=True, waivers=UNDONE, errors=lambda draw: [
    (Case((draw.reals((3, 2)), draw.reals((2,)), draw.reals((2, 3)))), RuntimeError),
    (Case((draw.reals((3, 2)), draw.reals((3,)), draw.reals((3, 3)))), RuntimeError),
])  # fmt: skip
def ormqr(input: Array, input2: Array, input3: Array, left=True, transpose=False):
    """Q C, or C Q with left=False, for Q = H_1 .. H_k as in householder_product, of order m; Q^H for Q if transpose.

    input: (*, m, k); input2, tau: (*, k); input3, C: (*, m, p), or (*, p, m); output: as C.  Source: torch.ormqr.
    """
    v = vectors(input, input2.shape[-1])
    if left:
        x, back = reflected(v, input2, input3, transpose)
    else:
        x, back = reflected(v, input2, herm(input3), not transpose)

    def vjp(g):
        if not input.size or not input2.shape[-1]:
            return None, None, g
        gv, gt, gc = back(g if left else herm(g))
        return placed(gv, input.shape), gt, gc if left else herm(gc)

    return (x if left else herm(x)), vjp


@rule("geqrf", cases=lambda draw: Case((tall_or_wide(draw),)), errors=no_matrix, complex=True)
def geqrf(input: Array):
    """R of A = Q R on and above the diagonal, below it the vectors of the reflections of Q, and their scales.

    Each reflection turns the rest of a column into beta = -sign(Re alpha) |column|, alpha its first element: tau is
    (beta - alpha) / beta, and v the column over alpha - beta. A real column of one element is left as it is.
    input: (*, m, n); outputs: (*, m, n), (*, min(m, n)), without gradients.  Source: LAPACK's geqrf; torch.geqrf.
    """
    a = input.copy()
    m, n = a.shape[-2:]
    k = min(m, n)
    tau = np.zeros((*a.shape[:-2], k), a.dtype)
    for j in range(k):
        alpha, below = a[..., j, j], a[..., j + 1 :, j]
        rest = (np.abs(below) ** 2).sum(-1)
        size = np.sqrt(rest + np.abs(alpha) ** 2)
        idle = (rest == 0) & (alpha.imag == 0)
        beta = np.where(idle, alpha, np.where(alpha.real >= 0, -size, size))
        tau[..., j] = np.where(idle, 0.0, (beta - alpha) / np.where(idle, 1.0, beta))
        v = np.concatenate([np.ones_like(alpha)[..., None], below / np.where(idle, 1.0, alpha - beta)[..., None]], -1)
        right = a[..., j:, j + 1 :]
        row = (v.conj()[..., None, :] @ right)[..., 0, :]
        a[..., j:, j + 1 :] = right - tau[..., j, None, None].conj() * v[..., :, None] * row[..., None, :]
        a[..., j, j] = beta
        a[..., j + 1 :, j] = v[..., 1:]
    return (a, tau), lambda gs: (None,)
