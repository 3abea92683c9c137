"""Solutions by factors that are at hand, and the forms of inverses and solutions that report failure."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.factors import eliminated_rows, none_failed, permutation, split
from reference.ops.linalg import (
    INVERTED,
    det_cases,
    herm,
    inv,
    inverse,
    inverse_cases,
    normal,
    not_square,
    sides,
    sign_and_log,
    sized,
    solve,
    solve_adjoint,
    solve_cases,
    solved,
    square,
    triangle,
    triangular_cases,
)
from reference.ops.matrices import cholesky, definite
from reference.ops.spectra import units
from reference.rule import Array, Case, is_stepping, rule, unbroadcast


def definite_cases(*options):
    return lambda draw: Case((definite(draw, *sized(draw)),), draw.choice({}, *options))


@rule(
    "linalg.cholesky_ex",
    cases=definite_cases(dict(upper=True), dict(check_errors=True)),
    errors=lambda draw: [*not_square(draw), (Case((-np.eye(2),), dict(check_errors=True)), RuntimeError)],
    complex=True,
    structure="hermitian",
)
def cholesky_ex(input: Array, *, upper=False, check_errors=False):
    """linalg.cholesky, and 0 for each matrix that is positive definite.

    input: (*, n, n); outputs: (*, n, n), (*) of int32.  Source: torch.linalg.cholesky_ex.
    """
    low, back = cholesky.fn(input, upper=upper)
    return (low, none_failed(input)), lambda gs: back(gs[0])


@rule(
    "cholesky",
    cases=definite_cases(dict(upper=True), dict(upper=False)),
    errors=lambda draw: [*not_square(draw), (Case((-np.eye(2),)), RuntimeError)],
    complex=True,
    structure="hermitian",
)
def old_cholesky(input: Array, upper=False):
    """linalg.cholesky.

    input, output: (*, n, n).  Source: torch.cholesky.
    """
    return cholesky.fn(input, upper=upper)


@rule(
    "linalg.inv_ex",
    cases=lambda draw: Case(inverse_cases(draw).args, draw.choice({}, dict(check_errors=True))),
    errors=lambda draw: [*not_square(draw), (Case((np.zeros((2, 2)),), dict(check_errors=True)), RuntimeError)],
    complex=True,
)
def inv_ex(A: Array, *, check_errors=False):
    """linalg.inv, and 0 for each matrix that is invertible.

    A: (*, n, n); outputs: (*, n, n), (*) of int32.  Source: torch.linalg.inv_ex.
    """
    y, back = inv.fn(A)
    return (y, none_failed(A)), lambda gs: back(gs[0])


def solve_ex_cases(draw: Draw):
    case = solve_cases(draw)
    return Case(case.args, dict(case.kwargs, **draw.choice({}, dict(check_errors=True))))


@rule("linalg.solve_ex", cases=solve_ex_cases, complex=True, errors=lambda draw: [
    (Case((draw.reals((2, 3)), draw.reals((2,)))), RuntimeError),
    (Case((np.zeros((2, 2)), draw.reals((2,))), dict(check_errors=True)), RuntimeError),
])  # fmt: skip
def solve_ex(A: Array, B: Array, *, left=True, check_errors=False):
    """linalg.solve, and 0 for each matrix that is invertible.

    A: (*, n, n); B: (*, n, k) or vectors; outputs: as linalg.solve, and (*) of int32.
    Source: torch.linalg.solve_ex.
    """
    x, back = solve.fn(A, B, left=left)
    return (x, none_failed(A)), lambda gs: back(gs[0])


def cholesky_solve_cases(draw: Draw):
    upper = draw.boolean()
    shape, n, b = sides(draw, True)
    low = np.linalg.cholesky(definite(draw, shape, n))
    return Case((b, herm(low) if upper else low), dict(upper=True) if upper else draw.choice({}, dict(upper=False)))


@rule("cholesky_solve", cases=cholesky_solve_cases, complex=True, structure="triangular second", errors=lambda draw: [
    (Case((draw.reals((2, 1)), draw.reals((3, 3)))), RuntimeError),
    (Case((draw.reals((2,)), draw.reals((2, 2)))), RuntimeError),
])  # fmt: skip
def cholesky_solve(input: Array, input2: Array, upper=False):
    """X of L L^H X = B for the lower triangle L, or of U^H U X = B for the upper.

    With g_B = (L L^H)^-1 g: g_L is the lower triangle of -(g_B X^H + X g_B^H) L.
    input, B: (*, n, k); input2: (*, n, n); output: (*, n, k), batches broadcast.  Source: torch.cholesky_solve.
    """
    low = herm(np.triu(input2)) if upper else np.tril(input2)

    def divided(b):
        return solved(herm(low), solved(low, b))

    x = divided(input)

    def vjp(g, slip=0.0):
        gb = divided(g)
        term = gb @ herm(x + slip)  # torch reads its rounded solution
        grad = np.tril(unbroadcast(-(term + herm(term)), low.shape) @ low)
        return unbroadcast(gb, input.shape), herm(grad) if upper else grad

    return x, vjp


def old_triangular_cases(draw: Draw):
    case = triangular_cases(draw)
    a, b = case.args
    if not case.kwargs["left"]:
        b = b.swapaxes(-1, -2)
    options = {k: v for k, v in case.kwargs.items() if k != "left"}
    return Case((b, a), dict(options, transpose=draw.boolean()))


@rule("triangular_solve", cases=old_triangular_cases, complex=True, errors=lambda draw: [
    (Case((draw.reals((3, 1)), draw.reals((2, 2)))), RuntimeError),
    (Case((draw.reals((2,)), draw.reals((2, 2)))), RuntimeError),
])  # fmt: skip
def triangular_solve(input: Array, A: Array, upper=True, transpose=False, unitriangular=False):
    """X of A X = B, or of A^T X = B, for one triangle of A, with ones on its diagonal if unitriangular; and A.

    input, B: (*, n, k); A: (*, n, n); outputs: (*, n, k), (*, n, n).
    Source: torch.triangular_solve.
    """
    a = triangle(A, upper, unitriangular)
    if unitriangular:
        a = a + np.eye(a.shape[-1], dtype=a.dtype)
    m = a.swapaxes(-1, -2) if transpose else a
    x = solved(m, input)
    adjoint = solve_adjoint(m, input, x, True)
    full = np.broadcast_shapes(x.shape[:-2], A.shape[:-2])

    def vjp(gs):
        ga, gb = adjoint(gs[0])
        ga = ga.swapaxes(-1, -2) if transpose else ga
        return gb, triangle(ga, upper, unitriangular) + unbroadcast(gs[1], A.shape)

    return (x, np.broadcast_to(A, (*full, *A.shape[-2:]))), vjp


def factored(lu, pivots):
    """A of its factors, and the gradient of the packed factors from that of A."""
    p, (low, up) = permutation(pivots, lu.shape[-2]), split(lu)

    def back(g):
        g = p.swapaxes(-1, -2) @ g
        return np.tril(g @ herm(up), -1) + np.triu(herm(low) @ g)

    return p @ low @ up, back


def lu_solve_of(lu, pivots, b, left, adjoint):
    a, back = factored(lu, pivots)
    m = herm(a) if adjoint else a
    x = solved(m, b, left)
    solution = solve_adjoint(m, b, x, left)

    def vjp(g, slip=0.0):
        gm, gb = solution(g, slip)
        return back(herm(gm) if adjoint else gm), gb

    return x, vjp


def square_pivoted(draw: Draw, shape, n):
    """The packed factors of matrices of moderate condition."""
    return eliminated_rows(square(draw, shape, n))


def lu_solve_cases(draw: Draw):
    left, adjoint = draw.choice(True, False), draw.boolean()
    shape, n, b = sides(draw, left)
    return Case((*square_pivoted(draw, shape, n), b), dict(left=left, adjoint=adjoint))


@rule("linalg.lu_solve", cases=lu_solve_cases, complex=True, errors=lambda draw: [
    (Case((draw.reals((2, 3)), np.ones(2, np.int32), draw.reals((2, 1)))), RuntimeError),
    (Case((draw.reals((2, 2)), np.ones(2, np.int32), draw.reals((3, 1)))), RuntimeError),
])  # fmt: skip
def lu_solve(LU: Array, pivots: Array, B: Array, *, left=True, adjoint=False):
    """X of A X = B, or of X A = B with left=False, for A or A^H, given as linalg.lu_factor gives it.

    With g_A as that of linalg.solve: g_L = tril(P^T g_A U^H, -1), g_U = triu(L^H P^T g_A).
    LU: (*, n, n); pivots: (*, n); B: (*, n, k); output: as B, batches broadcast.  Source: torch.linalg.lu_solve.
    """
    x, back = lu_solve_of(LU, pivots, B, left, adjoint)

    def vjp(g, slip=0.0):
        ga, gb = back(g, slip)
        return ga, None, gb

    return x, vjp


def old_lu_solve_cases(draw: Draw):
    shape, n, b = sides(draw, True)
    return Case((b, *square_pivoted(draw, shape, n)))


@rule("lu_solve", cases=old_lu_solve_cases, complex=True, errors=lambda draw: [
    (Case((draw.reals((3, 1)), draw.reals((2, 2)), np.ones(2, np.int32))), RuntimeError),
])  # fmt: skip
def old_lu_solve(input: Array, LU_data: Array, LU_pivots: Array):
    """X of A X = B for the A that linalg.lu_factor took apart.

    input, B: (*, n, k); LU_data: (*, n, n); LU_pivots: (*, n); output: (*, n, k).  Source: torch.lu_solve.
    """
    x, back = lu_solve_of(LU_data, LU_pivots, input, True, False)

    def vjp(g, slip=0.0):
        ga, gb = back(g, slip)
        return gb, ga, None

    return x, vjp


def logdet_cases(draw: Draw):
    """Determinants to the right of the cut of the logarithm."""
    a = det_cases(draw)
    if a.shape[-1] == 0:
        return Case((a,))
    turn = units(np.linalg.det(a)).conj()
    if draw.complex:
        turn = turn * np.exp(1j * draw.generator().uniform(-2.0, 2.0, turn.shape))
    a[..., 0, :] = a[..., 0, :] * turn[..., None]
    return Case((a,))


@rule("logdet", cases=logdet_cases, errors=not_square, complex=True, waivers=[INVERTED])
def logdet(input: Array):
    """log det(A): nan for a negative determinant of a real matrix. The gradient is g A^-H.

    input: (*, n, n); output: (*).  Source: Giles (2008), 2.2.4; torch.logdet.
    """
    sign, logabs = sign_and_log(input)
    if is_stepping():
        turn = np.where(sign.real < 0, np.nan, 1.0)
        y = turn * logabs + 1j * (sign * turn).imag
    else:
        y = logabs + np.log(sign) if input.dtype.kind == "c" else np.where(sign < 0, np.nan, logabs)
    return y, lambda g: (g[..., None, None] * herm(inverse(input)),)


def tensor_shape(draw: Draw):
    """Two shapes of one product."""
    left = draw.choice((6,), (2, 3), (1, 6), (4,), (2, 2), (1,), (0, 2) if draw.regime == "empty" else (2,))
    return left, draw.permutation(len(left))


def tensorinv_cases(draw: Draw):
    left, order = tensor_shape(draw)
    right = tuple(left[i] for i in order)
    if draw.regime in ("large", "edges"):
        side = draw.side(2) - (draw.regime == "large") * 100
        left, right = (side, 2), (2 * side,)
    n = math.prod(left)
    return Case((square(draw, (), n).reshape(*left, *right),), {} if len(left) == 2 else dict(ind=len(left)))


@rule("linalg.tensorinv", cases=tensorinv_cases, complex=True, errors=lambda draw: [
    (Case((draw.reals((2, 3, 4)),)), RuntimeError),
    (Case((draw.reals((2, 2)),), dict(ind=0)), RuntimeError),
])  # fmt: skip
def tensorinv(input: Array, ind=2):
    """The inverse of the tensor as a linear map from its last dimensions to its first `ind`.

    input: (*a, *b), of as many elements in each; output: (*b, *a).  Source: torch.linalg.tensorinv.
    """
    a, b = input.shape[:ind], input.shape[ind:]
    n = math.prod(a)
    y, back = inv.fn(input.reshape(n, n))

    def vjp(g, slip=0.0):
        slip = np.reshape(slip, (n, n)) if np.ndim(slip) else slip
        return (back(g.reshape(n, n), slip)[0].reshape(input.shape),)

    return y.reshape(*b, *a), vjp


def tensorsolve_cases(draw: Draw):
    left, order = tensor_shape(draw)
    right = tuple(left[i] for i in order)
    if draw.regime in ("large", "edges"):
        side = draw.side(2) - (draw.regime == "large") * 100
        left, right = (side, 2), (2 * side,)
    n = math.prod(left)
    a, b = square(draw, (), n).reshape(*left, *right), normal(draw, left)
    if draw.boolean():
        return Case((a, b))
    # the dimensions of the solution stand first, or between those of B
    first = np.moveaxis(a, range(len(left), a.ndim), range(len(right)))
    return Case((first, b), dict(dims=tuple(range(len(right)))))


@rule("linalg.tensorsolve", cases=tensorsolve_cases, complex=True, errors=lambda draw: [
    (Case((draw.reals((2, 3, 4)), draw.reals((2, 3)))), RuntimeError),
])  # fmt: skip
def tensorsolve(input: Array, other: Array, dims=None):
    """X of tensordot(A, X, X.ndim) = B, where the dimensions `dims` of A are first moved to its end.

    input, A: (*b, *x), of as many elements in each; other, B: (*b); output: (*x).  Source: torch.linalg.tensorsolve.
    """
    moved = [d % input.ndim for d in dims] if dims is not None else []
    order = [d for d in range(input.ndim) if d not in moved] + moved
    a = input.transpose(order)
    shape = a.shape[other.ndim :]
    n = math.prod(other.shape)
    flat, b = a.reshape(n, n), other.reshape(n, 1)
    x = solved(flat, b)
    adjoint = solve_adjoint(flat, b, x, True)

    def vjp(g, slip=0.0):
        ga, gb = adjoint(g.reshape(n, 1), np.reshape(slip, (n, 1)) if np.ndim(slip) else slip)
        return ga.reshape(a.shape).transpose(np.argsort(order)), gb.reshape(other.shape)

    return x.reshape(shape), vjp
