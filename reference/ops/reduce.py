"""Sums, means and products over some or all dimensions."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.precision import floating
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, conj, is_stepping, rule


def axes(dim, ndim):
    """The dimensions that `dim` names, counted from the front; None and () name all of them."""
    if dim is None or ndim == 0:
        return tuple(range(ndim))
    if isinstance(dim, (tuple, list)):
        return tuple(d % ndim for d in dim) or tuple(range(ndim))
    return (dim % ndim,)


def kept_shape(shape, over):
    """The shape with ones in the dimensions that are reduced."""
    return tuple(1 if i in over else n for i, n in enumerate(shape))


def spread(g, shape, over):
    """A cotangent of the reduced result, repeated along the dimensions that were reduced."""
    return np.broadcast_to(g.reshape(kept_shape(shape, over)), shape).copy()


def cast(x, dtype):
    """`x` as `dtype` wants it. The reference has one precision throughout, so only the kind of number matters."""
    name = str(dtype)
    if dtype is None or (is_stepping() and x.dtype.kind == "c"):
        return x
    if "int" in name or "long" in name or "short" in name:
        return x.astype(np.int64)
    if "bool" in name:
        return x != 0
    x = floating(x)
    return x.astype(np.result_type(x.dtype, np.complex64)) if "complex" in name else x.real


def squared(x):
    """|x|^2, analytic in the step for real arrays."""
    return x * x if is_stepping() or x.dtype.kind != "c" else x.real**2 + x.imag**2


def reduction(draw: Draw, defined_on_nothing=True, tuples=True, low=-4.0, high=4.0, optional=True):
    """An array, and the dimensions to reduce: left out, None, one, several, none of them.

    Where the reduction of nothing has no value, the dimensions reduced are not empty.
    """
    shape = draw.shape()
    kinds = (["left out", "None"] if optional else []) + ["one"] + (["several", "()"] if tuples else [])
    kind = draw.choice(*kinds)
    dim = draw.dim(len(shape)) if kind == "one" else draw.dims(len(shape)) if kind == "several" else None
    options = {} if kind == "left out" else dict(dim=() if kind == "()" else dim)
    if not defined_on_nothing:
        over = axes(options.get("dim"), len(shape))
        shape = tuple(max(n, 1) if i in over else n for i, n in enumerate(shape))
    return draw.numbers(shape, low, high), options


def sum_cases(draw: Draw):
    x, options = reduction(draw)
    if draw.boolean() and "dim" in options:
        options["keepdim"] = draw.boolean()
    return Case((x,), options)


def mean_cases(draw: Draw):
    x, options = reduction(draw, defined_on_nothing=False)
    if draw.boolean() and "dim" in options:
        options["keepdim"] = draw.boolean()
    return Case((x,), options)


def nan_cases(base):
    """The cases of `base` with some elements nan, but one in each reduced row."""

    def cases(draw: Draw):
        case = base(draw)
        x = case.args[0]
        holes = np.asarray(draw.generator().random(x.shape) < 0.2)
        over = axes(case.kwargs.get("dim"), x.ndim)
        holes[tuple(slice(0, 1) if i in over else slice(None) for i in range(x.ndim))] = False
        return Case((np.where(holes, np.nan, x),), case.kwargs)

    return cases


def wrong_dims(draw: Draw):
    x = draw.reals((2, 3))
    return [(Case((x, 2)), IndexError), (Case((x,), dict(dim=(0, -2))), RuntimeError)]


def wrong_dim(draw: Draw):
    return [(Case((draw.reals((2, 3)),), dict(dim=-3)), IndexError)]


@rule("sum", cases=sum_cases, errors=wrong_dims, complex=True, special="nonfinite")
def sum(input: Array, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim`, all dimensions where it is None or empty; 0 for a sum of nothing.

    input: (*); output: without the reduced dimensions, or with ones there (keepdim).
    Source: torch.sum.
    """
    over = axes(dim, input.ndim)
    y = cast(cast(input, dtype).sum(axis=over, keepdims=keepdim), dtype)
    return y, lambda g: (spread(g, input.shape, over),)


@rule("mean", cases=mean_cases, errors=wrong_dims, complex=True, special="nonfinite")
def mean(input: Array, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim` divided by the number of summands; nan for a mean of nothing.

    input: (*); output: as sum.  Source: torch.mean.
    """
    over = axes(dim, input.ndim)
    n = math.prod(input.shape[d] for d in over)
    y = cast(input, dtype).sum(axis=over, keepdims=keepdim) / n
    return y, lambda g: (spread(g / n, input.shape, over),)


@rule("nansum", cases=nan_cases(sum_cases), errors=wrong_dims, special="nonfinite")
def nansum(input: Array, dim=None, keepdim=False, *, dtype=None):
    """The sum of the elements that are not nan; the others have gradient 0.

    input: (*); output: as sum.  Source: torch.nansum.
    """
    there = ~np.isnan(input.real)
    y, vjp = sum.fn(np.where(there, input, 0), dim, keepdim, dtype=dtype)
    return y, lambda g: (vjp(g)[0] * there,)


@rule("nanmean", cases=nan_cases(mean_cases), errors=wrong_dims, special="nonfinite")
def nanmean(input: Array, dim=None, keepdim=False, *, dtype=None):
    """The mean of the elements that are not nan; nan where there are none.

    input: (*); output: as sum.  Source: torch.nanmean.
    """
    there = ~np.isnan(input.real)
    y, vjp = nansum.fn(input, dim, keepdim, dtype=dtype)
    count = there.sum(axis=axes(dim, input.ndim), keepdims=keepdim).astype(y.real.dtype)
    return y / count, lambda g: vjp(g / count)


def factors(draw: Draw, shape, n):
    """Numbers whose products of n stay in range: 1 +- 4 / sqrt(n), with zeros where n is small."""
    widest = 2.0 if draw.special else 0.75
    return 1.0 + min(widest, 4.0 / math.sqrt(max(n, 1))) * draw.numbers(shape, -1, 1)


def prod_cases(draw: Draw):
    shape = draw.shape()
    if draw.boolean():
        return Case((factors(draw, shape, math.prod(shape)),))
    dim = draw.dim(len(shape))
    return Case((factors(draw, shape, shape[dim] if shape else 1), dim), dict(keepdim=draw.boolean()))


def rows(x, dim):
    """`x` with dimension `dim` last, and the way back. A 0-d array is one row of one element."""
    if x.ndim == 0:
        return x.reshape(1), lambda y: y.reshape(())
    return np.moveaxis(x, dim, -1), lambda y: np.moveaxis(y, -1, dim)


def others(x):
    """The product of all the other elements of each row, without a division."""
    one = np.ones_like(x[..., :1])
    before = np.cumprod(np.concatenate([one, x[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([one, x[..., :0:-1]], -1), -1)
    return before * after[..., ::-1]


def prod_room(input, dim=None, keepdim=False, *, dtype=None):
    """The largest |y / (x_i x_j)| of each product; 0 where a factor is 0: there torch multiplies the others."""
    size = np.abs(input)
    least = size.min(axis=axes(dim, size.ndim), keepdims=True, initial=np.inf)
    room = size.prod(axis=axes(dim, size.ndim), keepdims=True) / np.where(least == 0, np.inf, least**2)
    return room if keepdim else np.squeeze(room, axes(dim, size.ndim))


@rule(
    "prod",
    cases=prod_cases,
    errors=wrong_dim,
    complex=True,
    # special: not stated, since a product of small numbers may underflow before it meets an infinity
    waivers=[
        Waiver(
            "torch divides the product by each factor, and the derivative of the quotient by its own factor cancels",
            room=prod_room,
            checks=HIGHER_ORDER,
        )
    ],
)
def prod(input: Array, dim=None, keepdim=False, *, dtype=None):
    """The product over one dimension, or of all elements; 1 for a product of nothing.

    The derivative by an element is the product of the others, whether or not the element is zero.
    input: (*); output: as sum.  Source: torch.prod.
    """
    over = axes(dim, input.ndim)
    x = cast(input, dtype)
    y = cast(x.prod(axis=over, keepdims=keepdim), dtype)

    def vjp(g, slip=0.0):
        if x.size == 0:
            return (np.zeros_like(x),)
        row, back = (x.reshape(-1), lambda v: v.reshape(x.shape)) if dim is None else rows(x, dim)
        rest = back(others(row))
        if np.any(slip) and x.ndim and np.all(x != 0):  # then torch divides its rounded product
            rest = rest + np.reshape(slip, kept_shape(x.shape, over)) / x
        return (spread(g, x.shape, over) * conj(rest),)

    return y, vjp
