"""Tensors put together, taken apart, repeated and turned."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.precision import common
from reference.ops.shape import listed, parts, refusing
from reference.rule import Array, Case, is_inexact, rule, unbroadcast


def cat_cases(draw: Draw):
    shape = list(draw.shape(min_dims=1))
    dim = draw.dim(len(shape))
    made = []
    for _ in range(draw.integer(1, 3)):
        made.append(draw.numbers(shape))
        shape[dim] = draw.integer(0 if draw.regime == "empty" else 1, 4)
    if draw.integer(0, 5) == 5:  # torch passes over vectors of nothing
        made.insert(0, draw.numbers((0,)))
    if draw.regime == "typical" and draw.integer(0, 5) == 5:  # kinds are promoted
        made.append(draw.integers(made[-1].shape, -3, 3))
    return draw.choice(Case((made,), dict(dim=dim)), Case((tuple(made), dim)))


@rule(
    "cat",
    cases=cat_cases,
    errors=lambda draw: [
        (Case(([draw.reals((2, 3)), draw.reals((2, 2))],)), RuntimeError),
        (Case(([draw.reals(()), draw.reals(())],)), RuntimeError),
    ],
    aliases=("concat", "concatenate"),
    method=False,
    complex=True,
    special="ieee",
)
def cat(tensors: list[Array], dim=0):
    """The tensors one after the other along `dim`; vectors of no elements are passed over.

    tensors: (*, n_i, *); output: (*, sum n_i, *).  Source: torch.cat.
    """
    joined = [x for x in tensors if x.shape != (0,)] or list(tensors)
    sizes = np.cumsum([0 if x.shape == (0,) else x.shape[dim] for x in tensors])[:-1]

    def vjp(gs):
        pieces = np.split(gs, sizes, axis=dim)
        return ([p.reshape(x.shape) if is_inexact(x) else None for p, x in zip(pieces, tensors)],)

    return np.concatenate(joined, axis=dim, dtype=common(tensors)), vjp


def stack_cases(draw: Draw):
    shape = draw.shape()
    made = [draw.numbers(shape) for _ in range(draw.integer(1, 3))]
    return draw.choice(Case((made,)), Case((tuple(made), draw.dim(len(shape) + 1))))


@rule(
    "stack",
    cases=stack_cases,
    errors=lambda draw: [(Case(([draw.reals((2,)), draw.reals((3,))],)), RuntimeError)],
    method=False,
    complex=True,
    special="ieee",
)
def stack(tensors: list[Array], dim=0):
    """Tensors of one shape along a new dimension.

    tensors: (*); output: (*, count, *).  Source: torch.stack.
    """

    def vjp(g):
        return ([p if is_inexact(x) else None for p, x in zip(np.moveaxis(g, dim, 0), tensors)],)

    return np.stack(tensors, axis=dim), vjp


def cut(x, sizes, dim):
    """x in pieces of these sizes along `dim`."""
    ends = np.cumsum(sizes)[:-1]
    return parts(x, lambda a: tuple(np.split(a, ends, axis=dim)))


def equal(n, size):
    """Sizes of pieces of n: all `size`, the last what remains."""
    return [min(size, n - i) for i in range(0, n, size)] if n else [0]


def split_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim = draw.dim(x.ndim)
    n = x.shape[dim]
    if draw.boolean():
        size = draw.integer(1, 5) if n < 9 else n // draw.integer(1, 3) + 1
        return Case((x, size), draw.choice({}, dict(dim=dim)) if dim == 0 else dict(dim=dim))
    first = draw.integer(0, n)
    return Case((x, draw.choice([first, n - first], (first, 0, n - first), [n]), dim))


@rule(
    "split",
    cases=split_cases,
    errors=refusing((RuntimeError, 0), (RuntimeError, [1, 3], 1)),
    complex=True,
    special="ieee",
)
def split(tensor: Array, split_size_or_sections=None, dim=0, *, split_size=None):
    """Pieces along `dim`, of one size (the last may be smaller) or of the sizes in a list.

    tensor: (*, n, *); outputs: (*, n_i, *).  Source: torch.split.
    """
    sizes = split_size if split_size_or_sections is None else split_size_or_sections  # the method's name for it
    return cut(tensor, sizes if isinstance(sizes, (list, tuple)) else equal(tensor.shape[dim], sizes), dim)


def chunk_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    return Case((x, draw.integer(1, 5)), draw.choice({}, dict(dim=draw.dim(x.ndim))))


@rule(
    "chunk",
    cases=chunk_cases,
    errors=refusing((RuntimeError, 0), (IndexError, 1, 2)),
    aliases=("unsafe_chunk", "Tensor.unsafe_chunk"),
    complex=True,
    special="ieee",
)
def chunk(input: Array, chunks, dim=0):
    """At most `chunks` pieces along `dim`, all but the last of ceil(n / chunks).

    input: (*, n, *); outputs: (*, n_i, *).  Source: torch.chunk.
    """
    n = input.shape[dim]
    return cut(input, equal(n, -(-n // chunks)) if n else [0] * chunks, dim)


def unbind_cases(draw: Draw):
    shape = list(draw.shape(min_dims=1))
    dim = draw.dim(len(shape))
    shape[dim] = draw.integer(1, 4)
    return Case((draw.numbers(shape), dim)) if dim or draw.boolean() else Case((draw.numbers(shape),))


@rule(
    "unbind",
    cases=unbind_cases,
    errors=refusing((IndexError, 2)),
    aliases=("unbind_copy",),
    complex=True,
    special="ieee",
)
def unbind(input: Array, dim=0):
    """The slices along `dim`, without it.

    input: (*, n, *); outputs: n times (*, *).  Source: torch.unbind.
    """
    return parts(input, lambda a: tuple(np.moveaxis(a, dim, 0)))


def turned(x, dim):
    """Distinct dimensions of x, as torch.flip takes them: those of a 0-d tensor are ignored."""
    return tuple(d % x.ndim for d in dim) if x.ndim else ()


def flip_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    return Case((x, draw.choice(list, tuple)(draw.dims(x.ndim))))


@rule(
    "flip",
    cases=flip_cases,
    errors=refusing((RuntimeError, (0, 0)), (IndexError, (2,))),
    complex=True,
    special="ieee",
)
def flip(input: Array, dims, *more):
    """The elements in reverse order along each of `dims`.

    input, output: (*).  Source: torch.flip.
    """
    over = turned(input, listed(dims, more))
    return np.flip(input, over), lambda g: (np.flip(g, over),)


def roll_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    if not x.ndim or draw.boolean():
        return draw.choice(Case((x, draw.integer(-3, 7))), Case((x, (draw.integer(-3, 7),))))
    dims = tuple(draw.dim(x.ndim) for _ in range(draw.integer(1, 3)))  # may repeat
    shifts = tuple(draw.integer(-5, 7) for _ in dims)
    return Case((x, shifts[0], dims[0])) if len(dims) == 1 and draw.boolean() else Case((x, shifts, dims))


@rule(
    "roll",
    cases=roll_cases,
    errors=refusing((RuntimeError, (1, 2)), (RuntimeError, (1, 2), 0)),
    complex=True,
    special="ieee",
)
def roll(input: Array, shifts, dims=()):
    """The elements shifted along `dims`, out at one end and in at the other; all as if flat without `dims`.

    input, output: (*).  Source: torch.roll.
    """
    shifts, over = listed(shifts), listed(dims) or None
    if over is None:
        (shifts,) = shifts

    def shifted(a, sign):
        return np.roll(a, sign * np.asarray(shifts) if over else sign * shifts, over)

    return shifted(input, 1), lambda g: (shifted(g, -1),)


def expand_cases(draw: Draw):
    full = draw.shape()
    x = draw.numbers(draw.broadcast(full))
    lead = len(full) - x.ndim
    sizes = tuple(-1 if i >= lead and x.shape[i - lead] == n and draw.boolean() else n for i, n in enumerate(full))
    return Case((x, sizes))


@rule(
    "broadcast_to",
    cases=expand_cases,
    errors=refusing((RuntimeError, (2, 2)), (RuntimeError, (-1, 2, 3))),
    complex=True,
    special="ieee",
)
def broadcast_to(input: Array, size, *more):
    """The tensor repeated along dimensions of size 1 and along new leading ones; -1 keeps a size.

    input: (*); output: size.  Source: torch.broadcast_to.
    """
    size = listed(size, more)
    lead = len(size) - input.ndim
    shape = [input.shape[i - lead] if n == -1 else n for i, n in enumerate(size)]
    return np.broadcast_to(input, shape).copy(), lambda g: (unbroadcast(g, input.shape),)


@rule(
    "Tensor.expand",
    cases=expand_cases,
    errors=refusing((RuntimeError, (2, 2)), (RuntimeError, (-1, 2, 3))),
    aliases=("expand_copy",),
    complex=True,
    special="ieee",
)
def expand(self: Array, size, *more, implicit=False):
    """As broadcast_to.

    self: (*); output: size.  Source: torch.Tensor.expand.
    """
    return broadcast_to.fn(self, size, *more)


def repeated(x, counts):
    """x, with dimensions of size 1 in front as needed, `counts` times along each dimension; and its vjp."""
    counts = (1,) * (x.ndim - len(counts)) + counts
    sizes = (1,) * (len(counts) - x.ndim) + x.shape

    def vjp(g):
        # each dimension of the output is a count beside a size
        pairs = g.reshape([n for pair in zip(counts, sizes) for n in pair])
        return (pairs.sum(axis=tuple(range(0, 2 * len(counts), 2))).reshape(x.shape),)

    return np.tile(x, counts), vjp


def repeat_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    low = 0 if draw.regime == "empty" else 1
    high = 2 if draw.regime == "large" else 3
    return Case((x, tuple(draw.integer(low, high) for _ in range(x.ndim + draw.integer(0, 1)))))


@rule(
    "Tensor.repeat",
    cases=repeat_cases,
    errors=refusing((RuntimeError, (2,)), (RuntimeError, (-1, 2))),
    complex=True,
    special="ieee",
)
def repeat(self: Array, repeats, *more):
    """The tensor that many times along each dimension, which may be new ones in front.

    self: (n_i); output: (repeats_i n_i).  Source: torch.Tensor.repeat.
    """
    return repeated(self, listed(repeats, more))


def tile_cases(draw: Draw):
    case = repeat_cases(draw)
    x, counts = case.args
    return Case((x, counts[draw.integer(0, len(counts)) :]))


@rule("tile", cases=tile_cases, errors=refusing((RuntimeError, (-1,))), complex=True, special="ieee")
def tile(input: Array, dims, *more):
    """As Tensor.repeat; counts that are missing are 1, in front.

    input: (n_i); output: (dims_i n_i).  Source: torch.tile.
    """
    return repeated(input, listed(dims, more))
