"""Tensors cut at places, turned by right angles, their slices repeated and shuffled."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.joining import cut, equal
from reference.ops.shape import parts, refusing
from reference.rule import Array, Case, is_array, rule


def sectioned(x, given, dim):
    """x in so many pieces, the first ones longer by one where it does not divide; or cut at these places."""
    if is_array(given):
        given = given.tolist()
    where = given if isinstance(given, int) else list(given)
    return parts(x, lambda a: tuple(np.array_split(a, where, axis=dim)))


def places(draw: Draw, n):
    """Where to cut n slices: in any order, counted from both ends, beyond them too."""
    return [draw.integer(-min(n, 9), min(n, 9) + 1) for _ in range(draw.integer(0, 3))]


def tensor_split_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim = draw.dim(x.ndim)
    at = places(draw, x.shape[dim])
    if draw.boolean():
        sections = draw.integer(1, 5)
        given = draw.choice(sections, sections, np.array(sections))
    else:
        given = draw.choice(at, tuple(at), np.array(at, dtype=np.int64))
    kinds = dict(sections=int) if isinstance(given, int) else dict(indices=(list, tuple))
    if draw.integer(0, 4) == 4 and not is_array(given):
        return Case((x,), {next(iter(kinds)): given, "dim": dim})
    return draw.choice(Case((x, given, dim)), Case((x, given), dict(dim=dim)))


@rule(
    "tensor_split",
    cases=tensor_split_cases,
    errors=refusing((RuntimeError, 0), (IndexError, 1, 2)),
    complex=True,
    special="ieee",
    host=True,
)
def tensor_split(
    input: Array, indices_or_sections: Array | int | None = None, dim=0, *,
    indices=None, sections=None, tensor_indices_or_sections: Array | None = None,
):  # fmt: skip
    """Pieces along `dim`: so many of nearly one size, or cut at these places (as Python slices between them).

    input: (*, n, *); outputs: (*, n_i, *).  Source: torch.tensor_split.
    """
    given = next(x for x in (indices_or_sections, indices, sections, tensor_indices_or_sections) if x is not None)
    outs, vjp = sectioned(input, given, dim)
    return outs, lambda gs: (*vjp(gs), None, None)


def even_cases(low, dim):
    def cases(draw: Draw):
        shape = list(draw.shape(min_dims=low))
        at = dim(len(shape))
        if draw.boolean():
            sections = draw.integer(1, 3)
            shape[at] *= sections if draw.regime != "large" else 1
            sections = sections if shape[at] % sections == 0 else 1
            x = draw.numbers(shape)
            return Case((x, sections)) if draw.boolean() else Case((x,), dict(sections=sections))
        given = draw.choice(list, tuple)(places(draw, shape[at]))
        x = draw.numbers(shape)
        return Case((x, given)) if draw.boolean() else Case((x,), dict(indices=given))

    return cases


def evenly(x, first, more, sections, indices, dim):
    given = next(v for v in (first, sections, indices) if v is not None)
    return sectioned(x, [given, *more] if more else given, dim)


@rule(
    "hsplit",
    cases=even_cases(1, lambda ndim: min(ndim - 1, 1)),
    errors=refusing((RuntimeError, 2), (RuntimeError, 0)),
    complex=True,
    special="ieee",
)
def hsplit(input: Array, indices_or_sections=None, *more, sections=None, indices=None):
    """As tensor_split, along the second dimension (the one of a vector); sections must be of one size.

    input: (n) or (m, n, *); outputs: (m, n_i, *).  Source: torch.hsplit.
    """
    return evenly(input, indices_or_sections, more, sections, indices, 0 if input.ndim == 1 else 1)


@rule(
    "vsplit",
    cases=even_cases(2, lambda ndim: 0),
    errors=refusing((RuntimeError, 3), (RuntimeError, 0)),
    complex=True,
    special="ieee",
)
def vsplit(input: Array, indices_or_sections=None, *more, sections=None, indices=None):
    """As tensor_split, along the first dimension; sections must be of one size.

    input: (m, n, *); outputs: (m_i, n, *).  Source: torch.vsplit.
    """
    return evenly(input, indices_or_sections, more, sections, indices, 0)


@rule(
    "dsplit",
    cases=even_cases(3, lambda ndim: 2),
    errors=refusing((RuntimeError, 3), (RuntimeError, 0), shape=(2, 2, 4)),
    complex=True,
    special="ieee",
)
def dsplit(input: Array, indices_or_sections=None, *more, sections=None, indices=None):
    """As tensor_split, along the third dimension; sections must be of one size.

    input: (m, n, k, *); outputs: (m, n, k_i, *).  Source: torch.dsplit.
    """
    return evenly(input, indices_or_sections, more, sections, indices, 2)


def with_sizes_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim = draw.dim(x.ndim)
    n = x.shape[dim]
    first = draw.integer(0, n)
    sizes = draw.choice([first, n - first], (first, 0, n - first), [n])
    return Case((x, sizes)) if dim == 0 else draw.choice(Case((x, sizes, dim)), Case((x, sizes), dict(dim=dim)))


@rule(
    "split_with_sizes",
    cases=with_sizes_cases,
    errors=refusing((RuntimeError, [1, 3], 1), (RuntimeError, [3, -1], 0)),
    aliases=("split_with_sizes_copy", "unsafe_split_with_sizes", "Tensor.unsafe_split_with_sizes"),
    complex=True,
    special="ieee",
)
def split_with_sizes(input: Array, split_sizes, dim=0):
    """Pieces of these sizes along `dim`.

    input: (*, n, *); outputs: (*, n_i, *).  Source: torch.split.
    """
    return cut(input, split_sizes, dim)


def of_one_size_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim = draw.dim(x.ndim)
    n = x.shape[dim]
    size = draw.integer(1, 5) if n < 9 else n // draw.integer(1, 3) + 1
    return Case((x, size)) if dim == 0 else Case((x, size), dict(dim=dim))


@rule(
    "split_copy",
    cases=of_one_size_cases,
    errors=refusing((RuntimeError, 0), (RuntimeError, -1)),
    aliases=("unsafe_split", "Tensor.unsafe_split"),
    method=False,
    complex=True,
    special="ieee",
)
def split_copy(input: Array, split_size, dim=0):
    """Copies of the pieces of one size along `dim`; the last may be smaller.

    input: (*, n, *); outputs: (*, n_i, *).  Source: torch.split.
    """
    return cut(input, equal(input.shape[dim], split_size), dim)


@rule(
    "fliplr",
    cases=lambda draw: Case((draw.numbers(draw.shape(min_dims=2)),)),
    errors=refusing((RuntimeError,), shape=(3,)),
    complex=True,
    special="ieee",
)
def fliplr(input: Array):
    """In reverse order along the second dimension.

    input, output: (m, n, *).  Source: torch.fliplr.
    """
    return np.fliplr(input), lambda g: (np.fliplr(g),)


@rule(
    "flipud",
    cases=lambda draw: Case((draw.numbers(draw.shape(min_dims=1)),)),
    errors=refusing((RuntimeError,), shape=()),
    complex=True,
    special="ieee",
)
def flipud(input: Array):
    """In reverse order along the first dimension.

    input, output: (m, *).  Source: torch.flipud.
    """
    return np.flipud(input), lambda g: (np.flipud(g),)


def rot90_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=2))
    first, second = draw.permutation(x.ndim)[:2]
    dims = draw.choice(list, tuple)((first, second - x.ndim if draw.boolean() else second))
    k = draw.integer(-5, 5)
    return draw.choice(Case((x,)), Case((x, k)), Case((x, k, dims)), Case((x,), dict(dims=dims)))


@rule(
    "rot90",
    cases=rot90_cases,
    errors=refusing((RuntimeError, 1, (0, 0)), (RuntimeError, 1, (0,)), ((IndexError, RuntimeError), 1, (0, 2))),
    complex=True,
    special="ieee",
)
def rot90(input: Array, k=1, dims=(0, 1)):
    """Turned by k right angles in the plane of two dimensions, from the first towards the second.

    input, output: (*).  Source: torch.rot90.
    """
    return np.rot90(input, k, dims), lambda g: (np.rot90(g, -k, dims),)


def repeat_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    if draw.regime == "typical" and draw.integer(0, 7) == 7:
        # by name: counts alone are no input of the method
        return Case((), dict(repeats=draw.integers((draw.integer(1, 4),), 0, 3)))
    dim = draw.choice(None, draw.dim(x.ndim)) if x.ndim else None
    n = x.size if dim is None else x.shape[dim]
    high = 2 if draw.regime == "large" else 3
    repeats = draw.choice(
        draw.integer(0 if draw.regime == "empty" else 1, high), draw.integers((n,), 0, high),
        draw.integers((1,), 1, high), draw.integers((), 1, high),
    )  # fmt: skip
    options = {} if dim is None else dict(dim=dim)
    if draw.integer(0, 3) == 3:
        options["output_size"] = int((np.zeros(n, np.int64) + repeats).sum())
    return Case((x, repeats), options)


@rule(
    "repeat_interleave",
    cases=repeat_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), np.array([1, 2])), dict(dim=1)), RuntimeError),
        (Case((draw.reals((2, 3)), -1)), RuntimeError),
        (Case((draw.reals((2, 3)), 1, 2)), IndexError),
    ],
    complex=True,
    special="ieee",
)
def repeat_interleave(
    input: Array | None = None, repeats: Array | int | None = None, dim=None, *, output_size=None
):  # fmt: skip
    """Each slice along `dim` (each element, in row-major order, without) so many times in a row.

    With counts alone: the number of the slice that each place of the output would have.
    input: (*, n, *); repeats: a number, () , (1) or (n); output: (*, sum of repeats, *).
    Source: torch.repeat_interleave.
    """
    if input is None or repeats is None:
        counts = np.asarray(input if repeats is None else repeats)
        return np.repeat(np.arange(counts.size), counts), lambda g: (None, None)
    x = input.reshape(-1) if dim is None else input
    axis = (dim or 0) % x.ndim
    origin = np.repeat(np.arange(x.shape[axis]), repeats)

    def vjp(g):
        grad = np.zeros(np.moveaxis(x, axis, 0).shape, g.dtype)
        np.add.at(grad, origin, np.moveaxis(g, axis, 0))
        return np.moveaxis(grad, 0, axis).reshape(input.shape), None

    return x.take(origin, axis=axis), vjp


def shuffle_cases(draw: Draw):
    groups = draw.integer(1, 3)
    n, c, *rest = draw.shape(min_dims=3, max_dims=4)
    return Case((draw.numbers((n, c * groups, *rest)), groups))


@rule(
    "channel_shuffle",
    cases=shuffle_cases,
    errors=refusing((RuntimeError, 2), (RuntimeError, 0), shape=(1, 3, 2)),
    aliases=("native_channel_shuffle", "nn.functional.channel_shuffle", "nn.functional.native_channel_shuffle"),
    method=False,
    complex=True,
    special="ieee",
)
def channel_shuffle(input: Array, groups):
    """The channels taken in turn from each of `groups` groups of neighbours.

    input, output: (N, C, *).  Source: Zhang et al., arXiv:1707.01083; torch.nn.ChannelShuffle.
    """
    n, c, *rest = input.shape

    def shuffled(a, rows):
        return a.reshape(n, rows, c // rows if rows else 0, *rest).swapaxes(1, 2).reshape(input.shape)

    return shuffled(input, groups), lambda g: (shuffled(g, c // groups) if c else g,)
