"""Sums, means and maxima of bags of rows of a table."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.embedding import shares, shorten
from reference.rule import Array, Case, is_stepping, rule

MODES = ("sum", "mean", "max")


def bags(weight, index, offsets, mode, scale_grad_by_freq, factors, include_last_offset, padding_idx):
    """The bags index[offsets[i] : offsets[i + 1]] reduced, and what torch keeps of them.

    (output, bag of each index, size of each bag, chosen rows of a maximum), vjp -> (weight, factors).
    """
    rows, width = weight.shape
    count = len(offsets) - bool(include_last_offset)
    bag = np.searchsorted(offsets[:count], np.arange(len(index)), side="right") - 1
    kept = np.ones(len(index), bool) if padding_idx is None else index != padding_idx % rows
    places, home = index[kept], bag[kept]
    sizes = np.bincount(home, minlength=count)
    share = shares(index, rows, scale_grad_by_freq, weight.real.dtype)[:, None]
    table = weight
    if is_stepping() and scale_grad_by_freq:  # so that the tangent has the same shares
        table = weight.real + 1j * weight.imag * share
    if mode == "max":
        y, chosen = greatest(table, places, home, count)

        def pull(g):
            grad = np.zeros((rows, width), g.dtype)
            np.add.at(grad, (chosen, np.arange(width)), np.where(sizes[:, None] > 0, g, 0.0))
            return grad, None

        return (y, bag, sizes, np.where(sizes[:, None] > 0, chosen, 0)), pull
    seen = table[places]
    factor = np.ones((len(places), 1), weight.real.dtype) if factors is None else factors[kept][:, None]
    if mode == "mean":
        factor = 1.0 / sizes[home][:, None].astype(weight.real.dtype)
    scaled = seen * factor
    y = np.zeros((count, width), scaled.dtype)
    np.add.at(y, home, scaled)

    def vjp(g):
        spread = g[home]
        grad = np.zeros((rows, width), np.result_type(g, factor))
        np.add.at(grad, places, spread * factor)
        by_factor = None
        if factors is not None:
            inside = (spread * seen).sum(1)
            by_factor = np.zeros(len(index), inside.dtype)
            by_factor[kept] = inside
        return grad * share, by_factor

    return (y, bag, sizes, np.zeros((count, width), np.int64)), vjp


def greatest(table, places, home, count):
    """The greatest element of each bag in each column (0 for an empty bag), and the row of the first such."""
    width = table.shape[1]
    y, chosen = np.zeros((count, width), table.dtype), np.zeros((count, width), np.int64)
    filled, starts = np.unique(home, return_index=True)
    if len(filled):
        seen = table[places]
        top = np.maximum.reduceat(seen.real, starts)
        own = np.searchsorted(filled, home)
        order = np.where(seen.real == top[own], np.arange(len(places))[:, None], len(places))
        chosen[filled] = places[np.minimum.reduceat(order, starts)]
        y[filled] = table[chosen[filled], np.arange(width)]
    return y, chosen


def drawn(draw: Draw):
    """weight, index, offsets with the last one, and a padding_idx."""
    large = draw.regime == "large"
    rows, width = 200 if large else draw.integer(1, 5), draw.side(0)
    count = draw.side(0, 4)
    sizes = draw.integers((count,), 0, 3)
    index = draw.integers((int(sizes.sum()),), 0, rows - 1)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return draw.reals((rows, width)), index, offsets, draw.choice(None, None, draw.integer(-rows, rows - 1))


def bag_cases(draw: Draw):
    case = bags_drawn(draw)
    return Case(case.args[::-1], case.kwargs) if draw.integer(0, 7) == 7 else case  # in the old order


def bags_drawn(draw: Draw):
    weight, index, offsets, padding = drawn(draw)
    mode = draw.choice("mean", "sum", "max")
    options = dict(mode=mode)
    if draw.boolean():
        options["padding_idx"] = padding
    if mode != "max" and draw.integer(0, 3) == 3:
        options["scale_grad_by_freq"] = True
    if draw.integer(0, 2) == 2:  # bags of one length
        index = draw.integers((len(offsets), draw.integer(0 if draw.regime == "empty" else 1, 3)), 0, len(weight) - 1)
    else:
        last = draw.boolean()
        options.update(offsets=offsets if last else offsets[:-1], include_last_offset=last)
    if mode == "sum" and draw.boolean():
        options["per_sample_weights"] = draw.reals(index.shape)
    return Case((index, weight), options)


def bag_errors(draw: Draw):
    weight, index = draw.reals((2, 3)), np.array([0, 1, 1])
    return [
        (Case((index, weight)), ValueError),
        (Case((index, weight, np.array([1, 2]))), RuntimeError),  # the first bag begins at 0
        (Case((np.array([0, 2]), weight, np.array([0]))), RuntimeError),
        (Case((index, weight, np.array([0])), dict(mode="max", scale_grad_by_freq=True)), ValueError),
    ]


@rule("nn.functional.embedding_bag", cases=bag_cases, errors=bag_errors, mutates=("weight",))
def embedding_bag(input: Array, weight: Array, offsets: Array | None = None, max_norm=None, norm_type=2,
                  scale_grad_by_freq=False, mode="mean", sparse=False, per_sample_weights: Array | None = None,
                  include_last_offset=False, padding_idx=None):  # fmt: skip
    """The sum, mean or maximum of the rows that each bag names; 0 for an empty bag.

    A bag is a row of a two-dimensional input, or input[offsets[i] : offsets[i + 1]], the last one to the end.
    Entries padding_idx are left out, of the mean's count too. Of equal greatest elements the first has the
    gradient. In a sum each row may be multiplied by its per_sample_weights. max_norm and scale_grad_by_freq:
    as in embedding.  input: (B, N), or (N) with offsets (B) or (B + 1); weight: (n, m); output: (B, m).
    Source: torch.nn.functional.embedding_bag.
    """
    swapped = weight.dtype.kind in "iu"  # the old order of the arguments: torch takes it with a warning
    table, index = (input, weight) if swapped else (weight, input)
    if max_norm is not None:
        shorten(table, index, max_norm, norm_type)
    if index.ndim == 2:
        starts = np.arange(len(index)) * index.shape[1]
        include_last_offset = False
    else:
        starts = offsets
    factors = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    outs, vjp = bags(
        table, index.reshape(-1), starts, mode, scale_grad_by_freq, factors, include_last_offset, padding_idx
    )

    def gradients(g):
        to_table, to_factors = vjp(g)
        to_factors = None if to_factors is None else to_factors.reshape(index.shape)
        return (to_table, None, None, to_factors) if swapped else (None, to_table, None, to_factors)

    return outs[0], gradients


def builtin_cases(draw: Draw):
    # what a sum leaves in the other outputs depends on the kernel that was taken
    weight, index, offsets, padding = drawn(draw)
    mode, last = draw.choice(1, 2), draw.boolean()
    by_frequency = mode == 1 and draw.integer(0, 3) == 3
    args = (weight, index, offsets if last else offsets[:-1], by_frequency, mode, False, None, last)
    return Case((*args, padding) if draw.boolean() else args)


@rule(
    "embedding_bag",
    cases=builtin_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), np.array([0, 1]), np.array([1]))), RuntimeError)],
    method=False,
)
def embedding_bag_builtin(weight: Array, indices: Array, offsets: Array, scale_grad_by_freq=False, mode=0,
                          sparse=False, per_sample_weights: Array | None = None, include_last_offset=False,
                          padding_idx=None):  # fmt: skip
    """As nn.functional.embedding_bag, with mode 0, 1, 2 for sum, mean, max, and three outputs more.

    They are the bag of each index, the size of each bag, and the rows that a maximum chose (else the sizes).
    weight: (n, m); indices: (N); offsets: (B) or (B + 1); output: (B, m), (N), (B), (B, m) or (B).
    Source: torch.nn.functional.embedding_bag.
    """
    outs, vjp = bags(
        weight, indices.reshape(-1), offsets, MODES[mode], scale_grad_by_freq, per_sample_weights,
        include_last_offset, padding_idx,
    )  # fmt: skip
    y, bag, sizes, chosen = outs

    def gradients(g):
        to_weight, to_factors = vjp(g[0])
        return to_weight, None, None, to_factors

    return (y, bag, sizes, chosen if mode == 2 else sizes), gradients
