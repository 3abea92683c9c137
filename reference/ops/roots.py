"""The Hermitian square root and the polar decomposition: both differentials solve a Lyapunov equation."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.linalg import herm, not_square
from reference.ops.singular import rectangle, singular, svd_of
from reference.ops.spectra import even, scaled, sizes, spaced, symmetric
from reference.rule import Array, Case, is_stepping, rule


def lyapunov(root, c):
    """X with root X + X root = c for a positive definite root, analytic in the step of either.

    In the basis of the root's eigenvectors X_ij = c_ij / (s_i + s_j); the step of the root moves c.
    """
    plain = root.real if is_stepping() else root
    s, v = np.linalg.eigh(plain)
    sums = s[..., :, None] + s[..., None, :]

    def solved(b):
        return v @ (herm(v) @ b @ v / sums) @ herm(v)

    x = solved(c)
    if is_stepping() and np.iscomplexobj(root):
        turn = 1j * root.imag
        x = x - solved(turn @ x + x @ turn)
    return x


def definite(draw: Draw):
    """Hermitian matrices with eigenvalues from 1 to 4, well apart: torch differentiates through its eigenvectors."""
    shape, n = sizes(draw)
    v = even(draw, shape, n)
    a = scaled(v, spaced(draw, shape, n, 1.0, 4.0)) @ herm(v)
    return Case(((a + herm(a)) / 2.0,))


@rule(
    "linalg.matrix_sqrth",
    cases=definite,
    errors=not_square,
    complex=True,
    structure="hermitian",
    waivers=symmetric,
)
def matrix_sqrth(A: Array):
    """The Hermitian positive definite X with X X = A; dX solves X dX + dX X = dA, a map that is its own adjoint.

    A, output: (*, n, n).  Source: Higham, Functions of Matrices (2008), section 3.1; torch.linalg.matrix_sqrth.
    """
    a = (A + herm(A)) / 2.0
    w, v = np.linalg.eigh(a.real if is_stepping() else a)
    root = scaled(v, np.sqrt(w)) @ herm(v)
    if is_stepping() and np.iscomplexobj(a):
        root = root + lyapunov(root, 1j * a.imag)

    def vjp(g):
        x = lyapunov(root, g)
        return ((x + herm(x)) / 2.0,)

    return root, vjp


def tall(draw: Draw):
    """Matrices of full column rank, with singular values of 1 to 3."""
    a = rectangle(draw)
    return Case((a if a.shape[-2] >= a.shape[-1] else np.ascontiguousarray(a.swapaxes(-1, -2)),))


def not_tall(draw: Draw):
    return [(Case((draw.reals(shape),)), RuntimeError) for shape in ((3,), (2, 3))]


@rule("linalg.polar", cases=tall, errors=not_tall, complex=True, waivers=singular)
def polar(A: Array):
    """U and H of A = U H: U with orthonormal columns, H Hermitian positive definite.

    With P = U^H dA, the skew W = U^H dU solves W H + H W = P - P^H; then dH = P - W H and
    dU = U W + (1 - U U^H) dA H^-1.  A, U: (*, m, n) with m >= n; H: (*, n, n).
    Source: Higham, Functions of Matrices (2008), chapter 8; torch.linalg.polar.
    """
    u, s, v = svd_of(A.real if is_stepping() else A)
    u, h = u @ herm(v), scaled(v, s) @ herm(v)
    if is_stepping() and np.iscomplexobj(A):
        step = 1j * A.imag
        p = herm(u) @ step
        w = lyapunov(h, p - herm(p))
        u, h = u + u @ w + (step - u @ p) @ np.linalg.inv(h), h + p - w @ h

    def vjp(gs):
        gu, gh = gs
        z = lyapunov(h, herm(u) @ gu - gh @ h)
        outside = (gu - u @ (herm(u) @ gu)) @ np.linalg.inv(h)
        return (u @ (gh + z - herm(z)) + outside,)

    return (u, h), vjp
