"""Rows of a table by their numbers."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.shape import moved
from reference.rule import Array, Case, is_stepping, rule


def embedding_cases(draw: Draw):
    rows, width = draw.integer(1, 5) if draw.regime != "large" else 200, draw.side(0)
    index = draw.integers(draw.shape(0, 2, min_side=0 if draw.regime != "large" else 1), 0, rows - 1)
    if index.size > 1000:
        index = index.reshape(-1)[:200]
    options = draw.choice({}, dict(padding_idx=draw.integer(-rows, rows - 1)), dict(scale_grad_by_freq=True))
    return Case((index, draw.reals((rows, width))), options)


def shorten(weight, index, max_norm, norm_type):
    """The rows named that are longer than max_norm, shortened to it in place."""
    rows = np.unique(index)
    size = (np.abs(weight[rows]) ** norm_type).sum(axis=1, keepdims=True) ** (1.0 / norm_type)
    weight[rows] *= np.where(size > max_norm, max_norm / (size + 1e-7), 1.0)


def shares(index, rows, by_frequency, dtype):
    """The share of its gradient that reaches each row: all, or one over how often it is named."""
    if not by_frequency:
        return np.ones(rows, dtype)
    return 1.0 / np.maximum(np.bincount(index.reshape(-1), minlength=rows), 1).astype(dtype)


@rule(
    "nn.functional.embedding",
    cases=embedding_cases,
    errors=lambda draw: [
        (Case((np.array([2]), draw.reals((2, 3)))), IndexError),
        (Case((np.array([1]), draw.reals((3,)))), RuntimeError),
        (Case((np.array([1]), draw.reals((2, 3)), 2)), AssertionError),
    ],
    mutates=("weight",),
    special="ieee",
)
def embedding(input: Array, weight: Array, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):  # fmt: skip
    """The rows of `weight` that the input names.

    The row padding_idx has no gradient; with scale_grad_by_freq the gradient of a row is divided by how often
    it is named. With max_norm, rows named that are longer are first shortened to it, in `weight` itself.
    input: (*) integers; weight: (n, m); output: (*, m).  Source: torch.nn.functional.embedding.
    """
    if max_norm is not None:
        shorten(weight, input, max_norm, norm_type)
    share = shares(input, len(weight), scale_grad_by_freq, weight.real.dtype)
    if padding_idx is not None:
        share[padding_idx] = 0.0
    plain = padding_idx is None and not scale_grad_by_freq
    out, vjp = moved(weight, lambda a: a[input])
    if is_stepping() and not plain:  # so that the tangent has the same shares
        out = out.real + 1j * out.imag * share[input][..., None]
    return out, lambda g: (None, vjp(g)[0] if plain else vjp(g)[0] * share[:, None])


def builtin_cases(draw: Draw):
    case = embedding_cases(draw)
    index, weight = case.args
    return Case((weight, index), case.kwargs)


@rule(
    "embedding",
    cases=builtin_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), np.array([2]))), IndexError),
        (Case((draw.reals((3,)), np.array([1]))), RuntimeError),
    ],
    method=False,
    special="ieee",
)
def embedding_builtin(weight: Array, indices: Array, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """As nn.functional.embedding, with the weight first; a negative padding_idx names no row.

    weight: (n, m); indices: (*) integers; output: (*, m).  Source: torch.nn.functional.embedding.
    """
    out, vjp = embedding.fn(indices, weight, padding_idx if padding_idx >= 0 else None, None, 2.0, scale_grad_by_freq)
    return out, lambda g: vjp(g)[::-1]


def one_hot_cases(draw: Draw):
    index = draw.integers(draw.shape(), 0, 4)
    # how many classes there are in an empty tensor must be said
    return Case((index, draw.choice(5, 7)) if index.size == 0 or draw.boolean() else (index,))


@rule(
    "nn.functional.one_hot",
    cases=one_hot_cases,
    errors=lambda draw: [
        (Case((np.array([0, 2]), 2)), RuntimeError),
        (Case((np.array([-1]),)), RuntimeError),
        (Case((np.zeros(0, np.int64),)), RuntimeError),
    ],
)
def one_hot(input: Array, num_classes=-1):
    """1 at the place that the number names and 0 elsewhere, in num_classes places; -1 for as many as needed.

    input: (*) integers; output: (*, num_classes) integers.  Source: torch.nn.functional.one_hot.
    """
    count = int(input.max()) + 1 if num_classes == -1 else num_classes
    return (input[..., None] == np.arange(count)).astype(np.int64), lambda g: (None,)
