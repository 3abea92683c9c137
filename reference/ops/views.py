"""Views and copies: parts of a tensor by their place, the same elements in the form of another tensor."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.shape import moved, refusing
from reference.rule import Array, Case, rule


def any_shape(draw: Draw):
    return Case((draw.numbers(draw.shape()),))


def not_a_tensor(draw: Draw):
    return [(Case((None,)), TypeError)]


@rule("clone", cases=any_shape, errors=not_a_tensor, complex=True, special="ieee", elementwise=True)
def clone(input: Array, *, memory_format=None):
    """A copy.

    input, output: (*).  Source: torch.clone.
    """
    return input.copy(), lambda g: (g,)


@rule(
    "Tensor.contiguous",
    cases=any_shape,
    errors=lambda draw: [(Case((draw.reals((2,)), 1)), TypeError)],
    complex=True,
    special="ieee",
)
def contiguous(self: Array, *, memory_format=None):
    """The same elements, in one piece of memory.

    self, output: (*).  Source: torch.Tensor.contiguous.
    """
    return self, lambda g: (g,)


@rule(
    "positive",
    cases=any_shape,
    errors=lambda draw: [(Case((draw.bools((2,)),)), RuntimeError)],
    aliases=("alias_copy",),
    complex=True,
    special="ieee",
    elementwise=True,
)
def positive(input: Array):
    """The tensor as it is.

    input, output: (*).  Source: torch.positive.
    """
    return input, lambda g: (g,)


@rule("detach_copy", cases=any_shape, errors=not_a_tensor, method=False, complex=True, special="ieee")
def detach_copy(input: Array):
    """A copy through which no gradient flows.

    input, output: (*).  Source: torch.Tensor.detach.
    """
    return input.copy(), lambda g: (None,)


@rule("ravel", cases=any_shape, errors=not_a_tensor, complex=True, special="ieee")
def ravel(input: Array):
    """The elements in row-major order as a vector.

    input: (*); output: (size).  Source: torch.ravel.
    """
    return input.reshape(-1), lambda g: (g.reshape(input.shape),)


@rule(
    "swapaxes",
    cases=lambda draw: (lambda x: Case((x, draw.dim(x.ndim), draw.dim(x.ndim))))(draw.numbers(draw.shape())),
    errors=refusing((IndexError, 0, 2)),
    complex=True,
    special="ieee",
)
def swapaxes(input: Array, axis0, axis1):
    """The dimensions axis0 and axis1 exchanged.

    input, output: (*).  Source: torch.swapaxes.
    """
    if not input.ndim:
        return input, lambda g: (g,)
    return input.swapaxes(axis0, axis1), lambda g: (g.swapaxes(axis0, axis1),)


def select_cases(draw: Draw):
    shape = list(draw.shape(min_dims=1))
    dim = draw.dim(len(shape))
    shape[dim] = shape[dim] or 1  # of nothing, nothing can be selected
    n = shape[dim]
    return Case((draw.numbers(shape), dim, draw.integer(-n, n - 1)))


@rule(
    "select",
    cases=select_cases,
    errors=refusing((IndexError, 0, 2), (IndexError, 2, 0)),
    aliases=("select_copy",),
    complex=True,
    special="ieee",
)
def select(input: Array, dim, index):
    """The slice number `index` along `dim`, without it.

    input: (*, n, *); output: (*, *).  Source: torch.select.
    """
    return taken(input, dim, int(index))


def taken(x, dim, key):
    """x[..., key, ...] for an integer or slice in place `dim`, and its vjp."""
    at = (slice(None),) * (dim % x.ndim) + (key,)

    def vjp(g):
        grad = np.zeros(x.shape, g.dtype)
        grad[at] = g
        return (grad,)

    return np.asarray(x[at]), vjp


def narrow_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim = draw.dim(x.ndim)
    n = x.shape[dim]
    start = draw.integer(0, n)
    length = draw.integer(0 if draw.regime == "empty" else min(1, n - start), n - start)
    # counted from the end, where that is not the end itself
    return x, dim, start - n if start < n and draw.boolean() else start, length


def narrow_or_tensor(draw: Draw):
    x, dim, start, length = narrow_cases(draw)
    return Case((x, dim, draw.choice(start, start, np.array(start)), length))


@rule(
    "narrow",
    cases=narrow_or_tensor,
    errors=refusing((RuntimeError, 0, 1, 2), (IndexError, 0, 3, 0), (RuntimeError, 0, 0, -1)),
    complex=True,
    special="ieee",
)
def narrow(input: Array, dim, start: Array | int, length):
    """`length` slices along `dim` from number `start`, which may count from the end.

    input: (*, n, *); start: a number or an integer tensor (); output: (*, length, *).  Source: torch.narrow.
    """
    first = int(start)
    first += input.shape[dim] if first < 0 else 0
    out, vjp = taken(input, dim, slice(first, first + length))
    return out, lambda g: (*vjp(g), None)


@rule(
    "narrow_copy",
    cases=lambda draw: Case(narrow_cases(draw)),
    errors=refusing((RuntimeError, 0, 1, 2), (IndexError, 0, 3, 0), (RuntimeError, 0, 0, -1)),
    complex=True,
    lately=True,
    special="ieee",
)
def narrow_copy(input: Array, dim, start, length):
    """A copy of what narrow gives.

    input: (*, n, *); output: (*, length, *).  Source: torch.narrow_copy.
    """
    out, vjp = narrow.fn(input, dim, start, length)
    return out, lambda g: vjp(g)[:1]


def slice_arguments(draw: Draw, ndim):
    """dim, start, end and step of a slice, beyond both ends too."""
    dim = draw.dim(ndim)
    start, end = draw.choice(None, draw.integer(-6, 6)), draw.choice(None, draw.integer(-6, 6))
    return dim, start, end, draw.integer(1, 3)


def slice_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim, start, end, step = slice_arguments(draw, x.ndim)
    return draw.choice(Case((x, dim, start, end, step)), Case((x,), dict(dim=dim, start=start, end=end)), Case((x,)))


@rule(
    "slice_copy",
    cases=slice_cases,
    errors=refusing((RuntimeError, 0, 0, 2, 0), (IndexError, 2)),
    method=False,
    complex=True,
    special="ieee",
)
def slice_copy(input: Array, dim=0, start=None, end=None, step=1):
    """The slices number start, start + step, ... below end along `dim`, as Python counts them.

    input: (*, n, *); output: (*, k, *).  Source: torch.slice_copy; Python's slice.
    """
    return taken(input, dim, slice(start, end, step))


def unfold_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    dim = draw.dim(x.ndim)
    n = x.shape[dim] if x.ndim else 1
    size = draw.integer(0 if draw.regime == "empty" else 1, min(n, 4)) if n else 0
    return Case((x, dim, size, draw.integer(1, 3)))


@rule(
    "Tensor.unfold",
    cases=unfold_cases,
    errors=refusing((RuntimeError, 0, 3, 1), (RuntimeError, 0, 1, 0), (IndexError, 2, 1, 1)),
    aliases=("unfold_copy",),
    complex=True,
    special="ieee",
)
def unfold(self: Array, dimension, size, step):
    """Windows of `size` elements along `dimension`, each `step` after the one before, as a last dimension.

    self: (*, n, *); output: (*, (n - size) // step + 1, *, size).  Source: torch.Tensor.unfold.
    """

    def windows(a):
        if not a.ndim:  # a number is a window, or none
            return a.reshape(1)[:size]
        d = dimension % a.ndim
        at = np.arange(0, a.shape[d] - size + 1, step)[:, None] + np.arange(size)
        return np.moveaxis(a.take(at, axis=d), d + 1, -1)

    return moved(self, windows)


def strided_cases(draw: Draw):
    """Places inside the memory of a contiguous tensor; they may be read several times."""
    x = draw.numbers(draw.shape(min_side=1))
    offset = draw.integer(0, min(x.size - 1, 3))
    left = x.size - 1 - offset
    size, stride = [], []
    for i in range(draw.integer(0, 3)):
        n = draw.integer(0 if draw.regime == "empty" else 1, 3)
        n = 20_000 if draw.regime == "large" and not i else n
        stride.append(min(draw.integer(0, 4), left // max(n - 1, 1)))
        left -= max(n - 1, 0) * stride[-1]
        size.append(n)
    args = (x, tuple(size), tuple(stride))
    return Case((*args, offset)) if offset else Case(args)


def in_memory(shape, strides, offset):
    """The places of the elements of a strided view in a vector."""
    at = np.array(offset or 0)
    for n, step in zip(shape, strides):
        at = at[..., None] + step * np.arange(n)
    return at


@rule(
    "as_strided",
    cases=strided_cases,
    errors=refusing((RuntimeError, (2,), (1, 1)), (RuntimeError, (2,), (-1,)), (RuntimeError, (7,), (1,))),
    aliases=("as_strided_copy",),
    complex=True,
    special="ieee",
    any_strides=False,  # its arguments are places in memory
)
def as_strided(input: Array, size, stride, storage_offset=None):
    """The element number storage_offset + sum_d i_d stride_d in memory at each place (i_d).

    input: (*), contiguous; output: size.  Source: torch.as_strided.
    """
    at = in_memory(size, stride, storage_offset)
    return moved(input, lambda a: a.reshape(-1)[at])
