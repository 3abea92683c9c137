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
    complex=True,
    special="ieee",
)
def diagonal(input: Array, offset=0, dim1=0, dim2=1):
    """The diagonal `offset` above the main one of the matrices in dim1 and dim2, as the last dimension.

    input: (*, m, *, n, *); output: (*, min(m, n)).  Source: torch.diagonal.
    """
    return moved(input, lambda a: np.diagonal(a, offset, dim1, dim2))


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
    return np.trace(input), lambda g: (g * np.eye(*input.shape),)
