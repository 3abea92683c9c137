"""Diagonals and triangles of matrices."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.shape import moved, refusing
from reference.rule import Array, Case, rule


def diagonal_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=2))
    first, second = draw.permutation(x.ndim)[:2]
    dims = dict(dim1=first, dim2=second - x.ndim)
    return Case((x,), draw.choice({}, dims, dict(offset=draw.integer(-5, 5), **dims)))


@rule(
    "diagonal",
    cases=diagonal_cases,
    errors=refusing((RuntimeError, 0, 0, -2), (IndexError, 0, 0, 2)),
    aliases=("diagonal_copy",),
    complex=True,
    special="ieee",
)
def diagonal(input: Array, offset=0, dim1=0, dim2=1):
    """The diagonal `offset` above the main one of the matrices in dim1 and dim2, as the last dimension.

    input: (*, m, *, n, *); output: (*, min(m, n)).  Source: torch.diagonal.
    """
    return moved(input, lambda a: np.diagonal(a, offset, dim1, dim2))


@rule(
    "linalg.diagonal",
    cases=diagonal_cases,
    errors=lambda draw: [
        (Case((draw.reals((3,)),)), IndexError),
        (Case((draw.reals((2, 3)),), dict(dim1=0, dim2=-2)), RuntimeError),
    ],
    complex=True,
    special="ieee",
)
def linalg_diagonal(A: Array, *, offset=0, dim1=-2, dim2=-1):
    """As diagonal, of the last two dimensions where no others are given.

    A: (*, m, *, n, *); output: (*, min(m, n)).  Source: torch.linalg.diagonal.
    """
    return diagonal.fn(A, offset, dim1, dim2)


def diag_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=2, max_dims=2))
    if draw.boolean():
        x = draw.numbers((draw.side(0) if draw.regime != "large" else 180,))
    return Case((x,), draw.choice({}, dict(diagonal=draw.integer(-5, 5))))


@rule("diag", cases=diag_cases, errors=refusing((RuntimeError,), shape=(1, 2, 3)), complex=True, special="ieee")
def diag(input: Array, diagonal=0):
    """The diagonal of a matrix, or the matrix with this diagonal and zeros elsewhere.

    input: (n) or (m, n); output: (n + |diagonal|, n + |diagonal|) or (k).  Source: torch.diag.
    """
    if input.ndim == 2:
        return moved(input, lambda a: np.diagonal(a, diagonal))
    return np.diag(input, diagonal), lambda g: (np.diagonal(g, diagonal).copy(),)


def triangle_cases(draw: Draw):
    return Case((draw.numbers(draw.shape(min_dims=2)),), draw.choice({}, dict(diagonal=draw.integer(-5, 5))))


@rule(
    "tril",
    cases=triangle_cases,
    errors=refusing((RuntimeError,), shape=(3,)),
    complex=True,
    special="nonfinite",
    elementwise=True,
)
def tril(input: Array, diagonal=0):
    """The matrices with zeros above the given diagonal.

    input, output: (*, m, n).  Source: torch.tril.
    """
    return np.tril(input, diagonal), lambda g: (np.tril(g, diagonal),)


@rule(
    "triu",
    cases=triangle_cases,
    errors=refusing((RuntimeError,), shape=(3,)),
    complex=True,
    special="nonfinite",
    elementwise=True,
)
def triu(input: Array, diagonal=0):
    """The matrices with zeros below the given diagonal.

    input, output: (*, m, n).  Source: torch.triu.
    """
    return np.triu(input, diagonal), lambda g: (np.triu(g, diagonal),)


@rule(
    "trace",
    cases=lambda draw: Case((draw.numbers(draw.shape(min_dims=2, max_dims=2)),)),
    errors=lambda draw: [(Case((draw.reals((2, 3, 1)),)), RuntimeError)],
    complex=True,
)
def trace(input: Array):
    """The sum of the elements on the diagonal.

    input: (m, n); output: ().  Source: torch.trace.
    """
    return np.trace(input), lambda g: (g * np.eye(*input.shape, dtype=g.dtype),)


def embed_cases(draw: Draw):
    x = draw.numbers((9000, 4) if draw.regime == "large" else draw.shape(min_dims=1, max_dims=2))
    first, second = draw.permutation(x.ndim + 1)[:2]
    dims = dict(dim1=first, dim2=second - x.ndim - 1)
    return Case((x,), draw.choice({}, dims, dict(offset=draw.integer(-3, 3), **dims)))


@rule(
    "diag_embed",
    cases=embed_cases,
    errors=refusing((RuntimeError, 0, 0, 0), (IndexError, 0, 0, 3), shape=(3,)),
    complex=True,
    special="ieee",
)
def diag_embed(input: Array, offset=0, dim1=-2, dim2=-1):
    """Matrices in dim1 and dim2 with the last dimension as their diagonal `offset` above the main one.

    input: (*, n); output: (*, n + |offset|, *, n + |offset|, *), zero elsewhere.  Source: torch.diag_embed.
    """
    n, ndim = input.shape[-1] + abs(offset), input.ndim + 1
    row, column = dim1 % ndim, dim2 % ndim
    # torch.diagonal's places, once dim1 and dim2 are last
    at = (..., np.arange(input.shape[-1]) + max(-offset, 0), np.arange(input.shape[-1]) + max(offset, 0))
    square = np.zeros((*input.shape[:-1], n, n), input.dtype)
    square[at] = input
    return np.moveaxis(square, (-2, -1), (row, column)), lambda g: (np.moveaxis(g, (row, column), (-2, -1))[at],)


def diagflat_cases(draw: Draw):
    x = draw.numbers((190,) if draw.regime == "large" else draw.shape())
    return Case((x,), draw.choice({}, dict(offset=draw.integer(-5, 5))))


@rule(
    "diagflat",
    cases=diagflat_cases,
    errors=lambda draw: [(Case((None,)), TypeError)],
    complex=True,
    special="ieee",
)
def diagflat(input: Array, offset=0):
    """The matrix with the elements in row-major order as its diagonal `offset` above the main one.

    input: (*) of n elements; output: (n + |offset|, n + |offset|).  Source: torch.diagflat.
    """
    out, vjp = diag.fn(input.reshape(-1), offset)
    return out, lambda g: (vjp(g)[0].reshape(input.shape),)
