"""Elements written where indices, masks or a diagonal say."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops import scatter
from reference.ops.arithmetic import to
from reference.ops.indexing import one_dim, taken_apart
from reference.ops.scatter import along, numbered
from reference.ops.shape import moved
from reference.rule import Array, Case, rule, unbroadcast


def written(input, places, values, accumulate):
    """The values, in the shape of the places, put or added there; and the vjp for the input and the values."""
    out = scatter.put(input, places, values, np.add if accumulate else None)
    return out, lambda g: (g if accumulate else scatter.put(g, places, 0.0), g.reshape(-1)[places])


def index_put_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    accumulate = draw.boolean()
    count = draw.integer(1, x.ndim)
    lead = x.shape[:count]
    if 0 in lead:
        indices = tuple(np.zeros(0, np.int64) for _ in lead)
        shape = (0, *x.shape[count:])
    elif draw.integer(0, 3) == 3:
        mask = draw.bools(lead)
        indices, shape = (mask,), (int(mask.sum()), *x.shape[count:])
    else:
        side = draw.integer(0, 4)
        n = math.prod(lead)
        if not accumulate:  # which of several values stays is not defined
            side = min(side, n)
        flat = draw.integers((side,), 0, n - 1) if accumulate else draw.generator().permutation(n)[:side]
        indices = tuple(draw.choice(i, i - m) for i, m in zip(np.unravel_index(flat, lead), lead))
        if side == 1:
            indices = tuple(i.reshape(draw.choice((1,), ())) for i in indices)
        elif count == 2 and draw.boolean():  # indices that broadcast together
            rows, columns = (draw.generator().permutation(m)[: draw.integer(1, 3)] for m in lead)
            indices = (rows[:, None], columns)
        shape = (*np.broadcast_shapes(*(i.shape for i in indices)), *x.shape[count:])
    values = draw.numbers(draw.broadcast(shape) if 0 not in shape else shape)
    indices = draw.choice(indices, list(indices))
    return Case((x, indices, values), dict(accumulate=True)) if accumulate else Case((x, indices, values))


@rule(
    "index_put",
    cases=index_put_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), (np.array([2]),), draw.reals(()))), IndexError),
        (Case((draw.reals((2, 3)), (np.array([0]),), draw.reals((2,)))), RuntimeError),
        (Case((draw.reals((2,)), (np.array([0]), np.array([0])), draw.reals(()))), IndexError),
    ],
    complex=True,
    special="nonfinite",
)
def index_put(input: Array, indices: list[Array], values: Array, accumulate=False):
    """input with input[indices] = values, or += where they accumulate.

    Indices are arrays of integers that broadcast together, or masks. Where an element is named twice and the
    values do not accumulate, which of them stays is not defined.
    input, output: (*); values: broadcast to input[indices].  Source: torch.Tensor.index_put_.
    """
    basic, advanced = taken_apart(tuple(indices), input.shape)
    places = np.asarray(numbered(input)[basic])
    places = places if advanced is None else places[advanced]
    out, vjp = written(input, places, np.broadcast_to(values, places.shape), accumulate)

    def whole(g):
        by_input, by_value = vjp(g)
        return by_input, [None] * len(indices), unbroadcast(by_value, values.shape)

    return out, whole


def put_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    accumulate = draw.boolean()
    count = draw.integer(0, 5) if x.size else 0
    n = max(x.size, 1)
    index = draw.integers((count,), -n, n - 1) if accumulate else draw.generator().permutation(x.size)[:count]
    shape = draw.choice(index.shape, (index.size, 1))
    if len(index) == 1:
        index = index.reshape(draw.choice((1,), ()))
    return Case((x, index, draw.numbers(shape)), draw.choice({}, dict(accumulate=False)) if not accumulate else dict(
        accumulate=True))  # fmt: skip


@rule(
    "put",
    cases=put_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), np.array([6]), draw.reals((1,)))), IndexError),
        (Case((draw.reals((2, 3)), np.array([0, 1]), draw.reals((1,)))), IndexError),
    ],
    complex=True,
    special="nonfinite",
)
def put(input: Array, index: Array, source: Array, accumulate=False):
    """input with the elements of `source` put, or added, at the places that the index names, all taken as flat.

    input, output: (*); index, source: as many elements each.  Source: torch.Tensor.put_.
    """
    out, vjp = written(input, index.reshape(-1) % max(input.size, 1), source.reshape(-1), accumulate)

    def whole(g):
        by_input, by_value = vjp(g)
        return by_input, None, by_value.reshape(source.shape)

    return out, whole


def index_fill_cases(draw: Draw):
    x, dim, n = one_dim(draw)
    count = 1 if x.ndim == 0 else draw.integer(0, 5) if n else 0
    shape = () if count == 1 and draw.boolean() else (count,)
    index = draw.integers(shape, draw.choice(0, -max(n, 1)), max(n, 1) - 1)
    return Case((x, dim, index, draw.choice(-1.5, 2, draw.numbers(()))))


@rule(
    "index_fill",
    cases=index_fill_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 1, np.array([3]), 1.0)), IndexError),
        (Case((draw.reals((2, 3)), 1, np.array([0]), draw.reals((1,)))), RuntimeError),
        (Case((draw.reals((2, 3)), 2, np.array([0]), 1.0)), IndexError),
    ],
    complex=True,
    special="ieee",
)
def index_fill(input: Array, dim, index: Array, value: Array | float):
    """input with `value` in the slices along `dim` that the index names.

    input, output: (*, n, *); index: (m) or (), may repeat; value: a number or ().  Source: torch.index_fill.
    """
    places = along(input, dim, index % max(input.shape[dim] if input.ndim else 1, 1))
    chosen = scatter.put(np.zeros(input.shape, bool), places, True)
    return np.where(chosen, value, input), lambda g: (
        np.where(chosen, 0.0, g),
        None,
        to(np.asarray(value), np.where(chosen, g, 0.0)),
    )


def masked_scatter_cases(draw: Draw):
    left, right = draw.shapes(2)
    mask = draw.bools(right)
    count = int(np.broadcast_to(mask, np.broadcast_shapes(left, right)).sum())
    more = draw.integer(0, 2)
    shape = draw.choice((count + more,), (count + more, 1), (1, count + more))
    return Case((draw.numbers(left), mask, draw.numbers(shape)))


@rule(
    "masked_scatter",
    cases=masked_scatter_cases,
    errors=lambda draw: [
        (Case((draw.reals((2,)), np.array([True, True]), draw.reals((1,)))), RuntimeError),
        (Case((draw.reals((2, 3)), draw.bools((2,)), draw.reals((6,)))), RuntimeError),
        (Case((draw.reals((2,)), np.array([1, 0]), draw.reals((2,)))), RuntimeError),
    ],
    complex=True,
    special="ieee",
)
def masked_scatter(input: Array, mask: Array, source: Array):
    """input with the elements of `source`, one after the other, where the mask is true.

    input, mask: broadcast to the output; source: any shape, no fewer elements than are true.
    Source: torch.Tensor.masked_scatter_.
    """
    shape = np.broadcast_shapes(input.shape, mask.shape)
    places = np.nonzero(np.broadcast_to(mask, shape).reshape(-1))[0]
    taken, back = moved(source, lambda s: s.reshape(-1)[: len(places)])
    out, vjp = written(np.broadcast_to(input, shape), places, taken, False)

    def whole(g):
        by_input, by_value = vjp(g)
        return unbroadcast(by_input, input.shape), None, back(by_value)[0]

    return out, whole


def fill_diagonal_cases(draw: Draw):
    cube = 33 if draw.regime == "large" else draw.integer(1, 3)
    shape = draw.choice((draw.side(0), draw.side(0)), (cube,) * 3, (cube,) * (3 if cube > 3 else 4))
    return Case((draw.numbers(shape), draw.choice(1.5, -2)), draw.choice({}, dict(wrap=draw.boolean())))


@rule(
    "Tensor.fill_diagonal_",
    cases=fill_diagonal_cases,
    errors=lambda draw: [
        (Case((draw.reals((3,)), 1.0)), RuntimeError),
        (Case((draw.reals((2, 2, 3)), 1.0)), RuntimeError),
    ],
    complex=True,
    special="ieee",
)
def fill_diagonal_(self: Array, fill_value, wrap=False):
    """self with `fill_value` on the diagonal [i, i, ...]; of a tall matrix with `wrap` on one after the other,
    a row apart.

    self: (n, m) or (n, n, n, ...).  Source: torch.Tensor.fill_diagonal_.
    """
    width = self.shape[-1]
    step = sum(math.prod(self.shape[i:]) for i in range(1, self.ndim)) + 1
    stop = self.size if wrap and self.ndim == 2 else min(self.shape) * step
    places = np.arange(0, min(stop, self.size), step) if width else np.zeros(0, np.int64)
    out, vjp = written(self, places, np.full(len(places), fill_value, np.result_type(self, fill_value)), False)
    return out, lambda g: vjp(g)[:1]
