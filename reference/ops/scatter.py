"""Elements put into a tensor where an index or a mask says.

`places` are the numbers of the elements of the target, in row-major order, that the index names.
"""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.arithmetic import to
from reference.ops.indexing import index_for, named, one_dim, raised
from reference.ops.shape import moved
from reference.rule import Array, Case, is_array, is_inexact, rule


def numbered(x):
    """The numbers of the elements of x, in its shape."""
    return np.arange(x.size).reshape(x.shape)


def put(x, places, values, how=None):
    """x with the values written at the places or, with `how`, combined with what is there."""
    out = np.array(x, np.result_type(x, values)).reshape(-1)
    flat = np.broadcast_to(values, places.shape).reshape(-1)
    if how is None:
        out[places.reshape(-1)] = flat
    else:
        how.at(out, places.reshape(-1), flat)
    return out.reshape(x.shape)


def read(src, shape):
    """The part of src that an index of this shape reads, and its vjp; 0-d and 1-d pass for each other."""
    part = tuple(slice(n) for n in shape or (1,))
    return moved(src, lambda s: raised(s)[part].reshape(shape))


def index_once(draw: Draw, x, dim):
    """As index_for, but naming no element twice: the beginning of a permutation along `dim`."""
    order = np.argsort(draw.generator().random(raised(x).shape), axis=dim)
    part = tuple(slice(n if draw.boolean() else draw.integer(0, 4)) for n in x.shape)
    return order[part] if x.ndim else order.reshape(())


def scatter_cases(draw: Draw):
    x, dim, _ = one_dim(draw)
    index = index_once(draw, x, dim)
    return draw.choice(
        Case((x, dim, index, draw.numbers(index.shape))),
        Case((x, dim, index, -2)),
        Case((x, dim, index), dict(value=1.5)),
    )


def wrong_index(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x, 1, np.array([[3]]), x)), RuntimeError),
        (Case((x, 0, np.array([[0, 0]]), draw.reals((1, 1)))), RuntimeError),
    ]


@rule("scatter", cases=scatter_cases, errors=wrong_index, complex=True, special="ieee")
def scatter(input: Array, dim, index: Array, src: Array | float | None = None, *, value=None, reduce=None):
    """input with src[i, j, k] (or the number `value`) at [i, index[i, j, k], k] for dim = 1, and so on.

    With reduce="add" or "multiply" it is combined with what is there, and has no gradient in torch.
    Where an index repeats without `reduce`, which value stays is not defined.
    input, output: (*); index: as many dimensions, none larger but `dim`; src: no dimension smaller (torch has
    a gradient only for a src in the shape of the index).  Source: torch.scatter.
    """
    places = named(numbered(input), dim, index)
    src = value if src is None else src
    values, back = read(src, index.shape) if is_array(src) else (src, lambda g: (None,))
    if reduce is not None:
        how = {"add": np.add, "multiply": np.multiply}[reduce]
        return put(input, places, values, how), lambda g: (None, None, None)

    def vjp(g):
        grad = back(np.take(g, places))[0] if is_inexact(src) else None
        return put(g, places, 0.0), None, grad

    return put(input, places, values), vjp


def scatter_add_cases(draw: Draw):
    x, dim, n = one_dim(draw)
    index = index_for(draw, x, dim, n)
    return Case((x, dim, index, draw.numbers(index.shape)))


@rule("scatter_add", cases=scatter_add_cases, errors=wrong_index, complex=True, special="nonfinite")
def scatter_add(input: Array, dim, index: Array, src: Array):
    """input with src[i, j, k] added at [i, index[i, j, k], k] for dim = 1, and so on; indices may repeat.

    input, output: (*); index: as many dimensions, none larger but `dim`; src: no dimension smaller.
    Source: torch.scatter_add.
    """
    places = named(numbered(input), dim, index)
    values, back = read(src, index.shape)
    return put(input, places, values, np.add), lambda g: (g, None, back(np.take(g, places))[0])


def along(x, dim, index):
    """The places of the slices along `dim` that the index names."""
    return np.take(numbered(raised(x)), index.reshape(-1), axis=dim)


def slices(draw: Draw, repeats):
    """A tensor, a dimension, an index into it and as many slices; a 0-d tensor is a single slice of one."""
    x, dim, n = one_dim(draw)
    count = 1 if x.ndim == 0 else draw.integer(0, 5) if n else 0
    index = draw.integers((count,), 0, max(n, 1) - 1)
    if not repeats:
        index = draw.generator().permutation(n)[:count]
    shape = list(x.shape)
    if shape:
        shape[dim] = len(index)
    if len(index) == 1 and draw.boolean():
        index = index.reshape(())
    return x, dim, index, draw.numbers(shape)


def wrong_slices(error):
    """The calls that index_add and index_copy must refuse, with the exception for an index out of bounds."""
    return lambda draw: [
        (Case((draw.reals((2, 3)), 1, np.array([3]), draw.reals((2, 1)))), error),
        (Case((draw.reals((2, 3)), 1, np.array([1, 0]), draw.reals((2, 3)))), error),
    ]


@rule(
    "index_add",
    cases=lambda draw: Case(slices(draw, True), draw.choice({}, dict(alpha=draw.choice(0.5, -2)))),
    errors=wrong_slices(RuntimeError),
    complex=True,
    special="nonfinite",
)
def index_add(input: Array, dim, index: Array, source: Array, *, alpha=1):
    """input with alpha times the slices of `source` added to the slices along `dim` that the index names.

    input, output: (*, n, *); index: (m) or (), may repeat; source: (*, m, *).  Source: torch.index_add.
    """
    places = along(input, dim, index)
    out = put(input, places, (alpha * source).reshape(places.shape), np.add)
    return out, lambda g: (g, None, alpha.conjugate() * np.take(g, places).reshape(source.shape))


@rule(
    "index_copy",
    cases=lambda draw: Case(slices(draw, False)),
    errors=wrong_slices(IndexError),
    complex=True,
    special="ieee",
)
def index_copy(input: Array, dim, index: Array, source: Array):
    """input with the slices along `dim` that the index names replaced by those of `source`.

    Where an index repeats, which slice stays is not defined.
    input, output: (*, n, *); index: (m) or (); source: (*, m, *).  Source: torch.index_copy.
    """
    places = along(input, dim, index)

    def vjp(g):
        return put(g, places, 0.0), None, np.take(g, places).reshape(source.shape)

    return put(input, places, source.reshape(places.shape)), vjp


def masked_fill_cases(draw: Draw):
    left, right = draw.shapes(2)
    value = draw.choice(-1.5, 2, draw.numbers(()))
    return Case((draw.numbers(left), draw.bools(right), value))


@rule(
    "masked_fill",
    cases=masked_fill_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.bools((2,)), 1.0)), RuntimeError),
        (Case((draw.reals((2,)), draw.bools((2,)), draw.reals((1,)))), RuntimeError),
        (Case((draw.reals((2,)), draw.integers((2,), 0, 1), 1.0)), RuntimeError),
    ],
    complex=True,
    special="ieee",
)
def masked_fill(input: Array, mask: Array, value: Array | float):
    """`value` where the mask is true, else input.

    input, mask: broadcast together; value: a number or a 0-d tensor.  Source: torch.masked_fill.
    """

    def vjp(g):
        return to(input, np.where(mask, 0.0, g)), None, to(np.asarray(value), np.where(mask, g, 0.0))

    return np.where(mask, value, input), vjp
