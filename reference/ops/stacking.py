"""Tensors brought to a common form and put side by side."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.joining import cat
from reference.ops.precision import common
from reference.ops.shape import refusing
from reference.rule import Array, Case, is_inexact, rule


def unpacked(tensors):
    """The tensors of a call f(a, b) or f([a, b]), and how to hand their gradients back."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        return list(tensors[0]), lambda grads: ([list(grads)],)
    return list(tensors), lambda grads: (list(grads),)


def at_least(tensors, shape):
    """One tensor or several in the form that `shape` gives them; and the vjp."""
    arrays, packed = unpacked(tensors)
    alone = len(tensors) == 1 and arrays[0] is tensors[0]
    outs = tuple(x.reshape(shape(x.shape)) for x in arrays)

    def vjp(gs):
        grads = [None if g is None else g.reshape(x.shape) for g, x in zip((gs,) if alone else gs, arrays)]
        return packed(grads)

    return (outs[0] if alone else outs), vjp


def one_or_several(draw: Draw):
    made = [draw.numbers(draw.shape()) for _ in range(draw.integer(1, 3))]
    return draw.choice(Case((made[0],)), Case(tuple(made)), Case((made,)), Case((tuple(made),)))


def not_a_tensor(draw: Draw):
    return [(Case((None,)), TypeError)]


def rows(shape):
    return (1, *shape) if len(shape) == 1 else shape or (1, 1)


def sheets(shape):
    return {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}.get(len(shape), shape)


@rule("atleast_1d", cases=one_or_several, errors=not_a_tensor, method=False, complex=True, special="ieee")
def atleast_1d(*tensors: Array):
    """A number as a vector of one element; what has dimensions as it is. For each of several tensors.

    tensors, outputs: (*).  Source: torch.atleast_1d.
    """
    return at_least(tensors, lambda shape: shape or (1,))


@rule("atleast_2d", cases=one_or_several, errors=not_a_tensor, method=False, complex=True, special="ieee")
def atleast_2d(*tensors: Array):
    """A number as (1, 1), a vector as (1, n).

    tensors, outputs: (*).  Source: torch.atleast_2d.
    """
    return at_least(tensors, rows)


@rule("atleast_3d", cases=one_or_several, errors=not_a_tensor, method=False, complex=True, special="ieee")
def atleast_3d(*tensors: Array):
    """A number as (1, 1, 1), a vector as (1, n, 1), a matrix as (m, n, 1).

    tensors, outputs: (*).  Source: torch.atleast_3d.
    """
    return at_least(tensors, sheets)


def joined(tensors, shape, dim):
    """The tensors, each in the form that `shape` gives it, one after the other along `dim`; and the vjp."""
    out, back = cat.fn([x.reshape(shape(x.shape)) for x in tensors], dim)

    def vjp(g):
        return ([None if p is None else p.reshape(x.shape) for p, x in zip(back(g)[0], tensors)],)

    return out, vjp


def side_by_side(dim):
    """Cases of tensors of one shape but for the dimension `dim(ndim)`, if there is one."""

    def cases(draw: Draw):
        shape = list(draw.shape())
        at, made = dim(len(shape)), []
        for _ in range(draw.integer(1, 3)):
            made.append(draw.numbers(shape))
            if at is not None:
                shape[at] = draw.integer(0 if draw.regime == "empty" else 1, 4)
        if draw.regime == "typical" and draw.integer(0, 5) == 5:  # kinds are promoted
            made.append(draw.integers(made[-1].shape, -3, 3))
        return Case((draw.choice(list, tuple)(made),))

    return cases


def refused(first, second):
    return lambda draw: [(Case(([draw.reals(first), draw.reals(second)],)), RuntimeError), (Case(([],)), RuntimeError)]


@rule(
    "hstack",
    cases=side_by_side(lambda ndim: min(ndim - 1, 1) if ndim else None),
    errors=refused((2, 3), (3, 3)),
    method=False,
    complex=True,
    special="ieee",
)
def hstack(tensors: list[Array]):
    """Vectors one after the other; what has more dimensions along the second. A number is a vector of one.

    tensors: (m, n_i, *); output: (m, sum n_i, *).  Source: torch.hstack.
    """
    dim = 0 if tensors[0].ndim < 2 else 1
    return joined(tensors, lambda shape: shape or (1,), dim)


@rule(
    "vstack",
    cases=side_by_side(lambda ndim: 0 if ndim > 1 else None),
    errors=refused((2, 3), (2, 4)),
    aliases=("row_stack",),
    method=False,
    complex=True,
    special="ieee",
)
def vstack(tensors: list[Array]):
    """The tensors one after the other along the first dimension; a vector is a row.

    tensors: (m_i, *); output: (sum m_i, *).  Source: torch.vstack.
    """
    return joined(tensors, rows, 0)


@rule(
    "dstack",
    cases=side_by_side(lambda ndim: 2 if ndim > 2 else None),
    errors=refused((2, 3), (2, 4)),
    method=False,
    complex=True,
    special="ieee",
)
def dstack(tensors: list[Array]):
    """The tensors one after the other along the third dimension; a matrix is (m, n, 1), a vector (1, n, 1).

    tensors: (m, n, k_i, *); output: (m, n, sum k_i, *).  Source: torch.dstack.
    """
    return joined(tensors, sheets, 2)


@rule(
    "column_stack",
    cases=side_by_side(lambda ndim: 1 if ndim > 1 else None),
    errors=refused((2, 3), (3, 3)),
    method=False,
    complex=True,
    special="ieee",
)
def column_stack(tensors: list[Array]):
    """Vectors as columns side by side; what has more dimensions along the second.

    tensors: (m) or (m, n_i, *); output: (m, sum n_i, *).  Source: torch.column_stack.
    """
    return joined(tensors, lambda shape: (int(np.prod(shape)), 1) if len(shape) < 2 else shape, 1)


def block_cases(draw: Draw):
    made = [draw.numbers(draw.shape(max_dims=2)) for _ in range(1 if draw.regime == "large" else draw.integer(1, 3))]
    if draw.regime == "typical" and draw.integer(0, 5) == 5:
        made.append(draw.integers((1, 2), -3, 3))
    return Case(tuple(made))


@rule(
    "block_diag",
    cases=block_cases,
    errors=refusing((TypeError, 2), shape=(2,)),
    method=False,
    complex=True,
    special="ieee",
)
def block_diag(*tensors: Array):
    """The matrices along the diagonal, zeros elsewhere; a vector is a row, a number a matrix of one.

    tensors: (m_i, n_i); output: (sum m_i, sum n_i).  Source: torch.block_diag.
    """
    blocks = [x.reshape(rows(x.shape)) for x in tensors]
    ends = np.cumsum([b.shape for b in blocks], axis=0).tolist() or [[1, 0]]
    places = [(slice(r - b.shape[0], r), slice(c - b.shape[1], c)) for (r, c), b in zip(ends, blocks)]
    out = np.zeros(ends[-1], common(blocks) if blocks else np.float64)
    for at, b in zip(places, blocks):
        out[at] = b
    return out, lambda g: ([g[at].reshape(x.shape) if is_inexact(x) else None for at, x in zip(places, tensors)],)
