"""Elements picked by index or mask. As in shape.py, `moved` gives each its adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.shape import moved
from reference.rule import Array, Case, is_array, rule


def raised(x):
    """x with at least one dimension: torch takes a 0-d tensor for a vector of one element."""
    return x.reshape(1) if x.ndim == 0 else x


def getitem_cases(draw: Draw):
    x = draw.numbers(draw.shape(max_dims=4))
    if draw.integer(0, 4) == 4:
        mask = draw.bools(x.shape[: draw.integer(0, x.ndim)])
        return Case((x, draw.choice(mask, (mask, ...), True, None, (), [] if x.ndim else ...)))
    # arrays of indices in one key must broadcast together, and each mask must name as many elements
    count = draw.integer(1, 4)
    key: list[Any] = []
    left, dots = list(x.shape), False
    while left:
        n = left.pop(0)
        kind = draw.choice("slice", "index", "integer", "None", "mask", "list", "...")
        if kind == "index" and n:
            shape = draw.choice((count,), (2, count), (1,), (2, 1), ())
            key.append(draw.integers(shape, -n, n - 1))
        elif kind == "integer" and n:
            key.append(draw.integer(-n, n - 1))
        elif kind == "mask" and n >= count:
            mask = np.zeros(n, bool)
            mask[draw.generator().permutation(n)[:count]] = True
            key.append(mask)
        elif kind == "list" and n:
            key.append([draw.integer(-n, n - 1) for _ in range(count)])
        elif kind == "None":
            key.append(None)
            left.insert(0, n)
        elif kind == "..." and not dots:
            dots = True
            key.append(...)
            left = left[draw.integer(0, len(left)) :]
        else:
            start, stop = sorted((draw.integer(0, n), draw.integer(0, n)))
            stop = draw.choice(stop, stop - n if stop < n else None)
            key.append(slice(draw.choice(start, None), stop, draw.choice(None, 1, 2, 3)))
        if not dots and draw.integer(0, 4) == 4:
            break
    return Case((x, key[0] if len(key) == 1 and draw.boolean() else tuple(key)))


@rule(
    "Tensor.__getitem__",
    cases=getitem_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 2)), IndexError),
        (Case((draw.reals((2, 3)), (0, 0, 0))), IndexError),
        (Case((draw.reals((2, 3)), np.array([True, False, True]))), IndexError),
        (Case((draw.reals((2, 3)), slice(None, None, -1))), ValueError),
    ],
    complex=True,
    special="ieee",
)
def getitem(self: Array, key: Array | None, /):
    """self[key]: integers, slices with positive steps, None, an ellipsis, arrays of indices, masks, mixtures.

    Arrays of indices broadcast together; their dimensions stand where the first of them stood if they are
    neighbours, else in front. Unlike in NumPy an integer is no array of indices: it only drops its dimension.
    self: (*); output: as the key says.  Source: torch.Tensor.__getitem__ (NumPy's indexing).
    """
    basic, advanced = taken_apart(key, self.shape)
    out, vjp = moved(self, lambda a: a[basic] if advanced is None else a[basic][advanced])
    return out, lambda g: (*vjp(g), [None] * len(key) if isinstance(key, (list, tuple)) else None)


def taken_apart(key, shape):
    """The key as a basic one (integers, slices, None) and, for what that leaves, one of slices and arrays."""
    if isinstance(key, list) and not all(isinstance(k, (int, np.integer)) for k in key):
        key = tuple(key)  # a list of more than numbers counts as several items
    items = [as_item(k) for k in (key if isinstance(key, tuple) else (key,))]
    used = sum(k.ndim if is_mask(k) else k is not None and k is not Ellipsis for k in items)
    basic: list[Any] = []
    advanced: list[Any] = []
    dim = 0
    for k in items:
        if k is Ellipsis:  # a second one stands for nothing
            count, used = len(shape) - used, len(shape)
            basic += [slice(None)] * count
            advanced += [slice(None)] * count
            dim += count
        elif k is None:
            basic.append(None)
            advanced.append(slice(None))
        elif is_mask(k) and k.ndim == 0:  # a new dimension, of size 1 or 0
            basic.append(None)
            advanced.append(np.zeros(int(k), np.int64))
        elif is_mask(k):
            if k.shape != shape[dim : dim + k.ndim]:
                raise IndexError(f"a mask of shape {k.shape} for a tensor of shape {shape}")
            basic += [slice(None)] * k.ndim
            advanced += k.nonzero()
            dim += k.ndim
        else:
            basic.append(slice(None) if is_array(k) else k)
            if not isinstance(k, int):
                advanced.append(k if is_array(k) else slice(None))
            dim += 1
    return tuple(basic), tuple(advanced) if any(is_array(k) for k in advanced) else None


def as_item(k):
    """An item of a key: lists and masks as arrays, indices without a dimension as integers."""
    if isinstance(k, (list, tuple, range)):
        return np.asarray(k) if len(k) else np.zeros(0, np.int64)
    if isinstance(k, (bool, np.bool_)):
        return np.asarray(k)
    if is_array(k) and k.ndim == 0 and not is_mask(k):
        return int(k)
    return k


def is_mask(k):
    return is_array(k) and k.dtype == bool


def one_dim(draw: Draw):
    """A tensor, a dimension of it and the size there."""
    x = draw.numbers(draw.shape())
    dim = draw.dim(x.ndim)
    return x, dim, raised(x).shape[dim]


def index_select_cases(draw: Draw):
    x, dim, n = one_dim(draw)
    count = 0 if n == 0 else draw.integer(0, 6) if x.ndim else 1
    shape = () if count == 1 and draw.boolean() else (count,)
    return Case((x, dim, draw.integers(shape, 0, max(n, 1) - 1)))


@rule(
    "index_select",
    cases=index_select_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 1, np.array([3]))), RuntimeError),
        (Case((draw.reals((2, 3)), 2, np.array([0]))), IndexError),
        (Case((draw.reals((2, 3)), 0, np.array([[0]]))), IndexError),
    ],
    complex=True,
    special="ieee",
)
def index_select(input: Array, dim, index: Array):
    """The slices along `dim` that the index names.

    input: (*, n, *); index: (m) or (); output: (*, m, *).  Source: torch.index_select.
    """

    def select(a):
        taken = np.take(raised(a), index.reshape(-1), axis=dim)
        return taken if a.ndim else taken.reshape(())

    out, vjp = moved(input, select)
    return out, lambda g: (*vjp(g), None)


def named(a, dim, index):
    """a[.., index[..], ..] at `dim`, for an index of as many dimensions, none larger but `dim`.

    An index of no elements may have any shape, and 0-d and 1-d pass for each other.
    """
    if index.size == 0:
        return np.zeros(index.shape, a.dtype)
    a, at = raised(a), raised(index)
    dim %= a.ndim
    narrow = tuple(slice(None) if i == dim else slice(n) for i, n in enumerate(at.shape))
    return np.take_along_axis(a[narrow], at, dim).reshape(index.shape)


def index_for(draw: Draw, x, dim, n):
    """An index for `named`: any size along `dim`, in the other dimensions that of x or smaller."""
    at = dim % max(x.ndim, 1)
    sides = [
        (draw.integer(0, 5) if n else 0) if i == at else m if draw.boolean() else min(m, draw.integer(0, 4))
        for i, m in enumerate(x.shape)
    ]
    return draw.integers(sides, 0, max(n, 1) - 1)


def gather_cases(draw: Draw):
    x, dim, n = one_dim(draw)
    return Case((x, dim, index_for(draw, x, dim, n)))


@rule(
    "gather",
    cases=gather_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 1, np.array([[3]]))), RuntimeError),
        (Case((draw.reals((2, 3)), 0, np.array([0]))), RuntimeError),
        (Case((draw.reals((2, 3)), 0, np.zeros((1, 4), np.int64))), RuntimeError),
    ],
    complex=True,
    special="ieee",
)
def gather(input: Array, dim, index: Array, *, sparse_grad=False):
    """output[i, j, k] = input[i, index[i, j, k], k] for dim = 1, and so on.

    input: (*); index, output: as many dimensions, none larger but `dim`.  Source: torch.gather.
    """
    out, vjp = moved(input, lambda a: named(a, dim, index))
    return out, lambda g: (*vjp(g), None)


def take_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    n = max(x.size, 1)
    return Case((x, draw.integers(draw.shape(0, 2) if x.size else (0,), -n, n - 1)))


@rule(
    "take",
    cases=take_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), np.array([6]))), IndexError)],
    complex=True,
    special="ieee",
)
def take(input: Array, index: Array):
    """The elements that the index names, the input taken as flat; negative indices count from the end.

    input: (*); index, output: (*).  Source: torch.take.
    """
    out, vjp = moved(input, lambda a: a.reshape(-1)[index])
    return out, lambda g: (*vjp(g), None)


def take_along_dim_cases(draw: Draw):
    shape = draw.shape()
    x = draw.numbers(tuple(1 if draw.integer(0, 3) == 3 else n for n in shape))
    if not shape or draw.boolean():
        n = max(x.size, 1)
        return Case((x, draw.integers(draw.shape(0, 2) if x.size else (0,), 0, n - 1)))
    dim = draw.dim(len(shape))
    n = max(x.shape[dim], 1)
    sides = [1 if draw.integer(0, 3) == 3 else m for m in shape]
    sides[dim] = draw.integer(1, 5) if x.shape[dim] else 0
    return Case((x, draw.integers(sides, -n, n - 1)), dict(dim=dim))


@rule(
    "take_along_dim",
    cases=take_along_dim_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), np.array([0]), 1)), RuntimeError),
        (Case((draw.reals((2, 3)), np.array([6]))), RuntimeError),
    ],
    complex=True,
    special="ieee",
)
def take_along_dim(input: Array, indices: Array, dim=None):
    """As gather, with input and indices broadcast in the other dimensions; both flat where dim is None.

    input: (*); indices: as many dimensions; output: (*).  Source: torch.take_along_dim.
    """

    def along(a):
        if dim is None:
            return a.reshape(-1)[indices.reshape(-1)]
        at = dim % a.ndim
        rest = np.broadcast_shapes(*(s[:at] + (1,) + s[at + 1 :] for s in (a.shape, indices.shape)))
        a, index = (np.broadcast_to(v, rest[:at] + v.shape[at : at + 1] + rest[at + 1 :]) for v in (a, indices))
        return np.take_along_axis(a, index, at)

    out, vjp = moved(input, along)
    return out, lambda g: (*vjp(g), None)


def masked_select_cases(draw: Draw):
    left, right = draw.shapes(2)
    return Case((draw.numbers(left), draw.bools(right)))


@rule(
    "masked_select",
    cases=masked_select_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.bools((2,)))), RuntimeError)],
    complex=True,
    special="ieee",
)
def masked_select(input: Array, mask: Array):
    """The elements where the mask is true, in row-major order.

    input, mask: broadcast together; output: (count).  Source: torch.masked_select.
    """
    full = np.broadcast_shapes(input.shape, mask.shape)
    chosen = np.broadcast_to(mask, full)
    out, vjp = moved(input, lambda a: np.broadcast_to(a, full)[chosen])
    return out, lambda g: (*vjp(g), None)
