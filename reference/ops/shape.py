"""Operations that only move elements: another shape, another order, copies, parts of a tensor.

An output element is a copy of an input element or a constant zero. So one adjoint serves them all: the
cotangent of each output element is added to the input element that it came from. `moved` and `parts`
find out where each came from by sending the numbers of the elements through the operation itself.
"""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.rule import Array, Case, rule


def moved(x, move):
    """move(x), for a `move` that selects, copies and orders elements, and its vjp."""

    def vjp(g):
        origin = move(np.arange(x.size).reshape(x.shape))
        grad = np.zeros(x.size, g.dtype)
        np.add.at(grad, origin.reshape(-1), g.reshape(-1))
        return (grad.reshape(x.shape),)

    return move(x), vjp


def parts(x, cut):
    """The tuple cut(x) of parts of x, each without repetition, and its vjp."""

    def vjp(gs):
        origins = cut(np.arange(x.size).reshape(x.shape))
        grad = np.zeros(x.size, np.result_type(x.real.dtype, *gs))
        for origin, g in zip(origins, gs):
            grad[origin.reshape(-1)] += g.reshape(-1)  # pieces may overlap, a piece not itself
        return (grad.reshape(x.shape),)

    return cut(x), vjp


def listed(first, rest=()):
    """Sizes or dimensions as a tuple, given as one list or (to a method) as several integers."""
    return tuple(first) if isinstance(first, (tuple, list)) else (first, *rest)


def refusing(*calls, shape=(2, 3)):
    """`errors` of a function of one tensor, from (exception, arguments after a tensor of `shape`)."""
    return lambda draw: [(Case((draw.reals(shape), *arguments)), error) for error, *arguments in calls]


def regrouped(draw: Draw, shape):
    """A shape with as many elements, or one that leaves a size to be found (-1)."""
    flat = int(np.prod(shape))
    made = draw.choice((flat,), tuple(reversed(shape)), (1, *shape), (*shape, 1, 1), (flat, 1))
    if flat and made and draw.boolean():
        at = draw.integer(0, len(made) - 1)
        made = (*made[:at], -1, *made[at + 1 :])
    return made


def reshape_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    return Case((x, regrouped(draw, x.shape)))


@rule("reshape", cases=reshape_cases, errors=refusing((RuntimeError, (4, -1))), complex=True, special="ieee")
def reshape(input: Array, shape, *more):
    """The elements in row-major order as an array of `shape`; one size may be -1: it follows from the others.

    input: (*); output: shape.  Source: torch.reshape.
    """
    return input.reshape(listed(shape, more)), lambda g: (g.reshape(input.shape),)


@rule(
    "Tensor.view",
    cases=reshape_cases,
    errors=refusing((RuntimeError, (4, -1))),
    aliases=("view_copy",),
    complex=True,
    special="ieee",
    any_strides=False,
)
def view(self: Array, size=None, *more, dtype=None):
    """As reshape, for sizes that need no copy; with a dtype of the same width, the bits read as that dtype.

    self: (*); output: size.  Source: torch.Tensor.view.
    """
    kind = size if dtype is None else dtype
    if "torch." in str(kind) or isinstance(kind, (str, np.dtype, type)):
        return self.view(str(kind).removeprefix("torch.") if "torch." in str(kind) else kind), lambda g: (None,)
    return self.reshape(listed(size, more)), lambda g: (g.reshape(self.shape),)


def flatten_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    ends = sorted((draw.dim(x.ndim) % max(x.ndim, 1), draw.dim(x.ndim) % max(x.ndim, 1)))
    ends = [e - max(x.ndim, 1) if draw.boolean() else e for e in ends]
    return draw.choice(Case((x,)), Case((x, ends[0])), Case((x,), dict(start_dim=ends[0], end_dim=ends[1])))


@rule("flatten", cases=flatten_cases, errors=refusing((RuntimeError, 1, 0)), complex=True, special="ieee")
def flatten(input: Array, start_dim=0, end_dim=-1):
    """The dimensions from start_dim to end_dim as one. A 0-d tensor becomes one of one element.

    input: (*); output: (*, product, *).  Source: torch.flatten.
    """
    ndim = max(input.ndim, 1)
    first, last = start_dim % ndim, end_dim % ndim
    middle = int(np.prod(input.shape[first : last + 1]))
    shape = (*input.shape[:first], middle, *input.shape[last + 1 :])
    return input.reshape(shape), lambda g: (g.reshape(input.shape),)


def unflatten_cases(draw: Draw):
    shape = list(draw.shape(min_dims=1))
    dim, factor = draw.dim(len(shape)), draw.integer(1, 3)
    n = shape[dim]
    shape[dim] *= factor
    sizes = draw.choice((n, factor), (factor, n, 1), (-1, factor), [factor, -1])
    return Case((draw.numbers(shape), dim, sizes))


@rule(
    "unflatten",
    cases=unflatten_cases,
    errors=refusing((RuntimeError, 1, (2, 2))),
    complex=True,
    special="ieee",
)
def unflatten(input: Array, dim, sizes):
    """The dimension `dim` as several of `sizes`, one of which may be -1.

    input: (*, n, *); output: (*, sizes, *).  Source: torch.unflatten.
    """
    dim %= input.ndim
    known = int(np.prod([n for n in sizes if n != -1]))
    sizes = tuple(input.shape[dim] // known if n == -1 else n for n in sizes)
    shape = (*input.shape[:dim], *sizes, *input.shape[dim + 1 :])
    return input.reshape(shape), lambda g: (g.reshape(input.shape),)


def permute_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    dims = tuple(d - x.ndim if draw.boolean() else d for d in draw.permutation(x.ndim))
    return Case((x, dims))


@rule(
    "permute",
    cases=permute_cases,
    errors=refusing((RuntimeError, (0, 0)), (RuntimeError, (0,))),
    aliases=("permute_copy",),
    complex=True,
    special="ieee",
)
def permute(input: Array, dims, *more):
    """The dimensions in another order: output dimension i is dims[i].

    input, output: (*).  Source: torch.permute.
    """
    order = [d % input.ndim for d in listed(dims, more)]
    back = np.argsort(order) if order else ()
    return input.transpose(order), lambda g: (g.transpose(back),)


@rule(
    "transpose",
    cases=lambda draw: (lambda x: Case((x, draw.dim(x.ndim), draw.dim(x.ndim))))(draw.numbers(draw.shape())),
    errors=refusing((IndexError, 0, 2)),
    aliases=("swapdims", "Tensor.swapdims", "transpose_copy"),
    complex=True,
    special="ieee",
)
def transpose(input: Array, dim0, dim1):
    """The dimensions dim0 and dim1 exchanged.

    input, output: (*).  Source: torch.transpose.
    """
    if not input.ndim:
        return input, lambda g: (g,)
    return input.swapaxes(dim0, dim1), lambda g: (g.swapaxes(dim0, dim1),)


@rule(
    "t",
    cases=lambda draw: Case((draw.numbers(draw.shape(max_dims=2)),)),
    errors=refusing((RuntimeError,), shape=(2, 3, 1)),
    aliases=("t_copy",),
    complex=True,
    special="ieee",
)
def t(input: Array):
    """The transpose of a matrix; a vector or a number as it is.

    input: (), (n) or (m, n); output: (n, m).  Source: torch.t.
    """
    return input.T, lambda g: (g.T,)


def movedim_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    if draw.boolean() and x.ndim:
        return Case((x, draw.dim(x.ndim), draw.dim(x.ndim)))
    source = draw.dims(x.ndim)
    target = tuple(d - x.ndim if draw.boolean() else d for d in draw.permutation(x.ndim)[: len(source)])
    return Case((x,), dict(source=source, destination=target))


@rule(
    "movedim",
    cases=movedim_cases,
    errors=refusing((RuntimeError, (0, 0), (0, 1)), (IndexError, 0, 2)),
    aliases=("moveaxis", "Tensor.moveaxis"),
    complex=True,
    special="ieee",
)
def movedim(input: Array, source, destination):
    """The dimensions `source` moved to the places `destination`, the others in their order.

    input, output: (*).  Source: torch.movedim.
    """
    return np.moveaxis(input, source, destination), lambda g: (np.moveaxis(g, destination, source),)


def squeeze_cases(draw: Draw):
    shape = tuple(1 if draw.boolean() else n for n in draw.shape())
    x = draw.numbers(shape)
    return draw.choice(Case((x,)), Case((x, draw.dim(x.ndim))), Case((x,), dict(dim=draw.dims(x.ndim))), Case((x, ())))


@rule(
    "squeeze",
    cases=squeeze_cases,
    errors=refusing((IndexError, 2), (RuntimeError, (0, 0))),
    aliases=("squeeze_copy",),
    complex=True,
    special="ieee",
)
def squeeze(input: Array, dim=None, *more):
    """Without the dimensions of size 1, or those of them that are in `dim`.

    input: (*); output: (*).  Source: torch.squeeze.
    """
    over = range(input.ndim) if dim is None else [d % max(input.ndim, 1) for d in listed(dim, more)]
    shape = [n for i, n in enumerate(input.shape) if not (n == 1 and i in over)]
    return input.reshape(shape), lambda g: (g.reshape(input.shape),)


def unsqueeze_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    return Case((x, draw.dim(x.ndim + 1)))


@rule(
    "unsqueeze",
    cases=unsqueeze_cases,
    errors=refusing((IndexError, 3), (IndexError, -4)),
    aliases=("unsqueeze_copy",),
    complex=True,
    special="ieee",
)
def unsqueeze(input: Array, dim):
    """With a dimension of size 1 inserted at `dim`.

    input: (*); output: (*, 1, *).  Source: torch.unsqueeze.
    """
    return np.expand_dims(input, dim), lambda g: (g.reshape(input.shape),)
