"""What several vectors or tensors span: grids, products, choices, a common shape."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from reference.draw import Draw
from reference.ops.shape import moved, refusing
from reference.ops.stacking import unpacked
from reference.rule import Array, Case, rule, unbroadcast


def broadcast_cases(draw: Draw):
    return Case(tuple(draw.numbers(shape) for shape in draw.shapes(draw.integer(1, 3))))


@rule(
    "broadcast_tensors",
    cases=broadcast_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), draw.reals((3,)))), RuntimeError)],
    method=False,
    complex=True,
    special="ieee",
)
def broadcast_tensors(*tensors: Array):
    """Each tensor repeated to the shape to which all of them broadcast.

    tensors: broadcast to the outputs.  Source: torch.broadcast_tensors.
    """
    shape = np.broadcast_shapes(*(x.shape for x in tensors))

    def vjp(gs):
        return ([None if g is None else unbroadcast(g, x.shape) for g, x in zip(gs, tensors)],)

    return tuple(np.broadcast_to(x, shape).copy() for x in tensors), vjp


def axes_cases(draw: Draw):
    made = [draw.numbers((draw.side(0),)) for _ in range(draw.integer(2 if draw.regime == "large" else 1, 3))]
    if draw.regime == "scalar" or draw.integer(0, 5) == 5:
        made[0] = draw.numbers(())
    return made


def meshgrid_cases(draw: Draw):
    made = axes_cases(draw)
    options = draw.choice({}, dict(indexing="ij"), dict(indexing="xy"))
    return draw.choice(Case(tuple(made), options), Case((made,), options))


@rule(
    "meshgrid",
    cases=meshgrid_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 2)),)), RuntimeError),
        (Case((draw.reals((2,)),), dict(indexing="ji")), RuntimeError),
        (Case((draw.reals((2,)), draw.integers((2,), 0, 3))), RuntimeError),
    ],
    method=False,
    complex=True,
    special="ieee",
)
def meshgrid(*tensors: Array, indexing=None):
    """The coordinates of the points of a grid: output k at (i_0, i_1, ...) is tensor k at i_k.

    With indexing="xy" the first two dimensions change places.
    tensors: (n_k) or (); outputs: (n_0, n_1, ...) each.  Source: torch.meshgrid.
    """
    arrays, packed = unpacked(tensors)
    shape = [x.size for x in arrays]
    swap = indexing == "xy" and len(shape) > 1

    def turned(a):
        return a.swapaxes(0, 1) if swap else a

    def spread(k):
        along = [1] * len(shape)
        along[k] = shape[k]
        return turned(np.broadcast_to(arrays[k].reshape(along), shape).copy())

    def vjp(gs):
        grads = []
        for k, (g, x) in enumerate(zip(gs, arrays)):
            others = tuple(i for i in range(len(shape)) if i != k)
            grads.append(None if g is None else turned(g).sum(axis=others).reshape(x.shape))
        return packed(grads)

    return tuple(spread(k) for k in range(len(arrays))), vjp


@rule(
    "cartesian_prod",
    cases=lambda draw: Case(tuple(x.reshape(-1) for x in axes_cases(draw))),
    errors=lambda draw: [(Case((draw.reals((2, 2)), draw.reals((2,)))), RuntimeError)],
    method=False,
    complex=True,
    special="ieee",
)
def cartesian_prod(*tensors: Array):
    """All ways to take one element of each vector, as rows, the last running quickest; one vector as it is.

    tensors: (n_k); output: (prod n_k, count).  Source: torch.cartesian_prod, after itertools.product.
    """
    if len(tensors) == 1:
        return tensors[0], lambda g: ([g],)
    grids, back = meshgrid.fn(*tensors)
    shape = grids[0].shape
    out = np.stack([grid.reshape(-1) for grid in grids], axis=1)
    return out, lambda g: back([column.reshape(shape) for column in g.T])


@functools.lru_cache(64)
def choices(n, r, with_replacement):
    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    found = list(pick(range(n), r))
    return np.array(found, dtype=np.int64).reshape(len(found), r)


def combinations_cases(draw: Draw):
    x = draw.numbers((draw.side(0, 5),))
    again = draw.boolean()
    if x.size > 40:
        return draw.choice(Case((x,)), Case((x, 2, again)), Case((x,), dict(r=1)))
    r = draw.integer(0, 3) if x.size < 10 else 2
    return draw.choice(Case((x,)), Case((x, r, again)), Case((x,), dict(r=r, with_replacement=again)))


@rule(
    "combinations",
    cases=combinations_cases,
    errors=refusing((RuntimeError, 2)),
    complex=True,
    special="ieee",
)
def combinations(input: Array, r=2, with_replacement=False):
    """The ways to take r elements in their order, each once or (with_replacement) any number of times, as rows.

    input: (n); output: (k, r), (0) for r = 0.  Source: torch.combinations, after itertools.
    """
    if r == 0:
        return input[:0].copy(), lambda g: (None,)  # which depends on nothing
    at = choices(input.size, r, bool(with_replacement))
    return moved(input, lambda a: a[at])
