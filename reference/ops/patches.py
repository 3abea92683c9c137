"""A tensor with a part of it replaced: the part that a view of the same name would show."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.resample import pad as pad_rule
from reference.ops.views import in_memory, select_cases, slice_arguments
from reference.rule import Array, Case, is_inexact, rule


def patched(x, src, view):
    """x with src in the places that `view` shows, each once; and its vjp."""
    at = view(np.arange(x.size).reshape(x.shape))
    kind = np.result_type(x, src) if is_inexact(x) and is_inexact(src) else x.dtype
    out = x.astype(kind).reshape(-1)
    out[at] = src

    def vjp(g):
        flat = g.reshape(-1)
        rest = flat.copy()
        rest[at] = 0.0
        return rest.reshape(x.shape), flat[at]

    return out.reshape(x.shape), vjp


def source(draw: Draw, shape):
    """What is put in: numbers, sometimes integers, which are promoted."""
    return draw.numbers(shape) if draw.integer(0, 5) else draw.integers(shape, -3, 3)


def select_scatter_cases(draw: Draw):
    x, dim, index = select_cases(draw).args
    shape = np.delete(x.shape, dim)
    return Case((x, source(draw, shape), dim, index))


def wrong_source(*rest, shape=(2, 3)):
    """`errors`: a source of the wrong shape, and what follows it in the call."""
    return lambda draw: [(Case((draw.reals(shape), draw.reals((5,)), *rest)), RuntimeError)]


@rule("select_scatter", cases=select_scatter_cases, errors=wrong_source(0, 1), complex=True, special="ieee")
def select_scatter(input: Array, src: Array, dim, index):
    """The tensor with its slice number `index` along `dim` replaced.

    input, output: (*, n, *); src: (*, *).  Source: torch.select_scatter.
    """
    at = (slice(None),) * (dim % input.ndim) + (int(index),)
    return patched(input, src, lambda a: a[at])


def slice_scatter_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim, start, end, step = slice_arguments(draw, x.ndim)
    kind = draw.integer(0, 2)
    if kind == 0:
        return Case((x, source(draw, x.shape)))
    step = step if kind == 1 else 1
    shape = list(x.shape)
    shape[dim] = len(range(x.shape[dim])[start:end:step])
    src = source(draw, shape)
    return Case(
        (x, src, dim, start, end, step) if kind == 1 else (x, src),
        {} if kind == 1 else dict(dim=dim, start=start, end=end),
    )


@rule("slice_scatter", cases=slice_scatter_cases, errors=wrong_source(), complex=True, special="ieee")
def slice_scatter(input: Array, src: Array, dim=0, start=None, end=None, step=1):
    """The tensor with its slices number start, start + step, ... below end along `dim` replaced.

    input, output: (*, n, *); src: (*, k, *).  Source: torch.slice_scatter; Python's slice.
    """
    at = (slice(None),) * (dim % input.ndim) + (slice(start, end, step),)
    return patched(input, src, lambda a: a[at])


def diagonal_scatter_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=2))
    first, second = draw.permutation(x.ndim)[:2]
    dims = dict(dim1=first, dim2=second - x.ndim)
    options = draw.choice({}, dims, dict(offset=draw.integer(-2, 2), **dims))
    shape = np.diagonal(x, options.get("offset", 0), options.get("dim1", 0), options.get("dim2", 1)).shape
    return Case((x, source(draw, shape)), options)


@rule("diagonal_scatter", cases=diagonal_scatter_cases, errors=wrong_source(), complex=True, special="ieee")
def diagonal_scatter(input: Array, src: Array, offset=0, dim1=0, dim2=1):
    """The tensor with the diagonal `offset` above the main one of the matrices in dim1 and dim2 replaced.

    input, output: (*, m, *, n, *); src: (*, k), as torch.diagonal gives it.  Source: torch.diagonal_scatter.
    """
    return patched(input, src, lambda a: np.diagonal(a, offset, dim1, dim2))


def as_strided_scatter_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_side=1))
    offset = draw.integer(0, min(x.size - 1, 3))
    room = x.size - offset
    layers, step = [], 1  # from the innermost out, each beyond the one before: no place twice
    for i in range(draw.integer(0, 3)):
        step *= draw.integer(1, 2)
        most = (room - 1) // step + 1
        n = 20_000 if draw.regime == "large" and not i else draw.integer(0 if draw.regime == "empty" else 1, 3)
        n = min(n, most)
        layers.append((n, step))
        room -= max(n - 1, 0) * step
        step *= max(n, 1)
    layers = [layers[i] for i in draw.permutation(len(layers))]
    size, stride = tuple(n for n, _ in layers), tuple(s for _, s in layers)
    return Case((x, source(draw, size), size, stride), dict(storage_offset=offset) if offset else {})


@rule(
    "as_strided_scatter",
    cases=as_strided_scatter_cases,
    errors=wrong_source((2,), (1,)),
    complex=True,
    special="ieee",
    any_strides=False,
)
def as_strided_scatter(input: Array, src: Array, size, stride, storage_offset=None):
    """The tensor with the elements replaced that as_strided shows; each may be shown once only.

    input, output: (*), contiguous; src: size.  Source: torch.as_strided_scatter.
    """
    at = in_memory(size, stride, storage_offset)
    return patched(input, src, lambda a: a.reshape(-1)[at])


def padded_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    widths = []
    for size in reversed(x.shape[draw.integer(0, x.ndim) :]):
        cut = min(size // 2, 2)
        widths += [draw.integer(-cut, 3), draw.integer(-cut, 3)]
    widths = draw.choice(tuple, list)(widths)
    return draw.choice(Case((x, widths)), Case((x, widths, 1.5)), Case((x, widths), dict(value=-2)))


@rule(
    "constant_pad_nd",
    cases=padded_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), (1,))), RuntimeError),
        (Case((draw.reals((3,)), (1, 1, 1, 1))), RuntimeError),
        (Case((draw.reals((3,)), (-2, -2))), RuntimeError),
    ],
    method=False,
    complex=True,
    special="nonfinite",
)
def constant_pad_nd(input: Array, pad, value=0):
    """The input with (left, right) further elements of one value on each axis, the last axis first; negative ones cut.

    input: (*); output: (*) with axis d larger by left + right.  Source: torch.nn.functional.pad.
    """
    return pad_rule.fn(input, pad, "constant", value)
