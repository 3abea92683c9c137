"""Factors of symmetric and Hermitian matrices that need not be definite: A = L D L^T with blocks of 1 and 2 in D.

Torch has no derivative of them.
"""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.factors import none_failed
from reference.ops.linalg import batch, normal, not_square
from reference.rule import Array, Case, rule

ALPHA = (1.0 + math.sqrt(17.0)) / 8.0  # bounds the growth of elements best


def size(z):
    """LAPACK's cheap modulus."""
    return np.abs(z.real) + np.abs(z.imag)


def turned(z, hermitian):
    return z.conj() if hermitian else z


def exchanged(a, i, j, hermitian):
    """Swaps rows and columns i < j of a symmetric matrix of which the lower triangle is held, from column i on."""
    a[j + 1 :, [i, j]] = a[j + 1 :, [j, i]]
    between = a[i + 1 : j, i].copy()
    a[i + 1 : j, i] = turned(a[j, i + 1 : j], hermitian)
    a[j, i + 1 : j] = turned(between, hermitian)
    a[j, i] = turned(a[j, i], hermitian)
    a[[i, j], [i, j]] = a[[j, i], [j, i]]


def pivot_of(a, k, hermitian):
    """Bunch and Kaufman's choice of what to eliminate by: a row, and whether it is a block of two."""
    n = len(a)
    own = np.abs(a[k, k].real) if hermitian else size(a[k, k])
    if k == n - 1:
        return k, 1
    i = k + 1 + int(np.argmax(size(a[k + 1 :, k])))
    below = size(a[i, k])
    if own >= ALPHA * below:
        return k, 1
    row = max(size(a[i, k:i]).max(), size(a[i + 1 :, i]).max(initial=0.0))
    if own * row >= ALPHA * below * below:
        return k, 1
    other = np.abs(a[i, i].real) if hermitian else size(a[i, i])
    return i, 1 if other >= ALPHA * row else 2


def block(a, k, step, hermitian):
    """The block of D that begins at k."""
    if step == 1:
        return a[k : k + 1, k : k + 1]
    return np.array([[a[k, k], turned(a[k + 1, k], hermitian)], [a[k + 1, k], a[k + 1, k + 1]]])


def bunch_kaufman(matrix, hermitian):
    """L and D in one lower triangle, and the rows (from 1) that were swapped, negative for blocks of two."""
    a, n, k = np.tril(matrix), len(matrix), 0
    if hermitian:
        a[np.arange(n), np.arange(n)] = np.diagonal(a).real
    pivots = np.zeros(n, np.int32)
    while k < n:
        p, step = pivot_of(a, k, hermitian)
        last = k + step - 1
        if p != last:
            exchanged(a, last, p, hermitian)
            if step == 2:
                a[[k + 1, p], k] = a[[p, k + 1], k]
        after = k + step
        d, below = block(a, k, step, hermitian), a[after:, k:after]
        if np.any(d != 0):
            factor = np.linalg.solve(d.T, below.T).T
            a[after:, after:] -= np.tril(factor @ d @ turned(factor, hermitian).T)
            a[after:, k:after] = factor
        pivots[k:after] = (p + 1) * (1 if step == 1 else -1)
        k = after
    return a, pivots


def multiplied(packed, pivots, hermitian):
    """A of its factors."""
    n = len(packed)
    ends = []
    k = 0
    while k < n:
        ends.append((k, 1 if pivots[k] > 0 else 2))
        k += ends[-1][1]
    a = np.zeros_like(packed)
    for k, step in reversed(ends):
        after = k + step
        d, factor = block(packed, k, step, hermitian), packed[after:, k:after]
        a[k:after, k:after] = d
        a[after:, k:after] = factor @ d
        a[k:after, after:] = d @ turned(factor, hermitian).T
        a[after:, after:] += factor @ d @ turned(factor, hermitian).T
        rows = np.arange(n)
        i, p = after - 1, abs(int(pivots[k])) - 1
        rows[[i, p]] = rows[[p, i]]
        a = a[np.ix_(rows, rows)]
    return a


def each(matrices, fn):
    """fn of every matrix of a batch."""
    shape, n = matrices.shape[:-2], matrices.shape[-1]
    found = [fn(a) for a in matrices.reshape(math.prod(shape), n, n)]
    packed = np.array([f[0] for f in found], matrices.dtype).reshape(matrices.shape)
    return packed, np.array([f[1] for f in found], np.int32).reshape(*shape, n)


def indefinite(draw: Draw):
    """Symmetric matrices (Hermitian ones in some complex cases) of eigenvalues of both signs, and which they are."""
    shape, n = ((), 190) if draw.regime == "large" else (batch(draw, 1), draw.side(0))
    hermitian = draw.boolean()
    q = np.linalg.qr(normal(draw, (*shape, n, n)))[0]
    signs = np.where(np.arange(n) % 2, -1.0, 1.0)
    a = (q * signs * draw.generator().uniform(0.7, 1.4, n)) @ turned(q, hermitian).swapaxes(-1, -2)
    return (a + turned(a, hermitian).swapaxes(-1, -2)) / 2.0, hermitian


def ldl_cases(*options):
    def made(draw: Draw):
        a, hermitian = indefinite(draw)
        return Case((a,), {**(dict(hermitian=True) if hermitian else {}), **draw.choice({}, *options)})

    return made


@rule("linalg.ldl_factor", cases=ldl_cases(), errors=not_square, complex=True)
def ldl_factor(input: Array, *, hermitian=False):
    """L and D of P^T A P = L D L^T (L^H if hermitian) in one lower triangle, and the rows that were swapped.

    Rows are counted from 1, and negative where D has a block of two.  The lower triangle is read.
    input: (*, n, n); outputs: (*, n, n), (*, n) of int32, without gradients.
    Source: Bunch and Kaufman, Math. Comp. 31 (1977); torch.linalg.ldl_factor.
    """
    return each(input, lambda a: bunch_kaufman(a, hermitian)), lambda gs: (None,)


@rule("linalg.ldl_factor_ex", cases=ldl_cases(dict(check_errors=True)), errors=not_square, complex=True)
def ldl_factor_ex(input: Array, *, hermitian=False, check_errors=False):
    """linalg.ldl_factor, and 0 for each matrix that is not singular.

    input: (*, n, n); outputs: (*, n, n), (*, n), (*), the latter of int32.  Source: torch.linalg.ldl_factor_ex.
    """
    (packed, pivots), back = ldl_factor.fn(input, hermitian=hermitian)
    return (packed, pivots, none_failed(input)), back


def ldl_solve_cases(draw: Draw):
    a, hermitian = indefinite(draw)
    packed, pivots = each(a, lambda m: bunch_kaufman(m, hermitian))
    b = normal(draw, (*a.shape[:-1], draw.integer(1, 3) if draw.regime != "large" else 180))
    return Case((packed, pivots, b), dict(hermitian=True) if hermitian else {})


@rule("linalg.ldl_solve", cases=ldl_solve_cases, complex=True, errors=lambda draw: [
    (Case((draw.reals((2, 3)), np.ones(2, np.int32), draw.reals((2, 1)))), RuntimeError),
    (Case((draw.reals((2, 2)), np.ones(2, np.int32), draw.reals((3, 1)))), RuntimeError),
])  # fmt: skip
def ldl_solve(LD: Array, pivots: Array, B: Array, *, hermitian=False):
    """X of A X = B for the A that linalg.ldl_factor took apart.

    LD: (*, n, n); pivots: (*, n); B: (*, n, k); output: (*, n, k), without gradients.  Source: torch.linalg.ldl_solve.
    """
    shape, n = LD.shape[:-2], LD.shape[-1]
    count = math.prod(shape)
    pairs = zip(LD.reshape(count, n, n), pivots.reshape(count, n))
    a = np.array([multiplied(m, p, hermitian) for m, p in pairs], LD.dtype).reshape(LD.shape)
    if B.ndim < a.ndim:
        B = B.reshape((1,) * (a.ndim - B.ndim) + B.shape)
    return np.linalg.solve(a, B), lambda g: (None, None, None)
