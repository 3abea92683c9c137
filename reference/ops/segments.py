"""Reductions of consecutive segments of an axis."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.rule import Array, Case, rule

NEUTRAL = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf, "amax": -np.inf, "amin": np.inf}


def one_row(x, lengths, how, initial):
    """The segments of the first dimension of x, reduced; and the way back."""
    start = NEUTRAL[how] if initial is None else initial
    ends = np.cumsum(lengths)
    parts, pulls = [], []
    for end, n in zip(ends, lengths):
        y, pull = one_segment(x[end - n : end], how, start, initial)
        parts.append(y)
        pulls.append(pull)

    def vjp(g, slip):
        grad = np.zeros(x.shape, np.result_type(g, x, slip))
        for end, n, row, error, pull in zip(ends, lengths, g, slip, pulls):
            grad[end - n : end] = pull(row, error)
        return grad

    return (np.stack(parts) if parts else np.zeros((0, *x.shape[1:]), x.dtype)), vjp


def one_segment(x, how, start, initial):
    n = len(x)
    if not n:
        value = np.nan if how == "mean" and initial is None else start
        return np.full(x.shape[1:], value, x.dtype), lambda g, slip: np.zeros(x.shape)
    if how == "sum":
        return x.sum(0) + start, lambda g, slip: np.broadcast_to(g, x.shape)
    if how == "mean":
        return (x.sum(0) + start) / n, lambda g, slip: np.broadcast_to(g / n, x.shape)
    if how == "prod":

        def others(g, slip):  # the products of what is before and what is behind: no division by a zero
            ones = np.ones((1, *x.shape[1:]), x.dtype)
            before = np.cumprod(np.concatenate([ones, x]), axis=0)[:n]
            behind = np.cumprod(np.concatenate([ones, x[::-1]]), axis=0)[:n][::-1]
            # torch divides its rounded product by each element that is not 0
            error = np.where(x.real == 0, 0.0, slip / np.where(x.real == 0, 1.0, x))
            return g * (start * before * behind + error)

        return start * np.prod(x, axis=0), others
    sign = 1.0 if how in ("max", "amax") else -1.0
    top = (sign * x.real).max(0)
    won = sign * x.real == top
    count = won.sum(0, dtype=top.dtype)
    share = won / count * (top >= sign * start)
    # equal elements have equal parts of the gradient, and the value moves with their mean
    value = np.where(top >= sign * start, np.where(won, x, 0.0).sum(0) / count, start)
    return value, lambda g, slip: g * share


def segment_cases(draw: Draw):
    how = draw.choice("sum", "mean", "max", "min", "prod")
    axis = draw.choice(0, 0, 1)
    grown = draw.regime in ("edges", "large")
    count = draw.integer(1, 40 if grown else 4)
    rows = draw.integer(1, 3) if axis else 1
    total = draw.integer(0 if draw.regime == "empty" else 1, 40 if grown else 6)
    rng = draw.generator()
    cuts = np.sort(rng.integers(0, total + 1, (rows, count - 1)), axis=1)
    offsets = np.concatenate([np.zeros((rows, 1)), cuts, np.full((rows, 1), total)], 1).astype(np.int64)
    rest = draw.choice((), (draw.integer(1, 3),), (1, 2)) if not grown else (draw.side(low=190), 5)
    x = draw.reals((*((rows,) if axis else ()), total, *rest), -3, 3)
    if how == "prod":
        # a product of float16 that does not vanish unless a factor is 0
        x = np.where(np.abs(x) > 1.5, x / 2, np.where((x != 0) & (np.abs(x) < 0.25), 0.5, x))
    lengths = np.diff(offsets, axis=1)
    options = {} if axis == 0 and draw.boolean() else dict(axis=axis)
    if draw.boolean() or (how in ("mean", "max", "min") and np.any(lengths == 0)):
        options["initial"] = draw.choice(1.0, -2.5, 2)  # a segment of nothing is nan or infinite without one
    if draw.boolean():
        options["offsets"] = offsets if axis else offsets[0]
    else:
        options["lengths"] = lengths if axis else lengths[0]
        if draw.boolean():
            options["unsafe"] = True
    return Case((x, how), options)


@rule(
    "segment_reduce",
    cases=segment_cases,
    errors=lambda draw: [
        (Case((draw.reals((3,)), "sum")), RuntimeError),
        (Case((draw.reals((3,)), "sum"), dict(lengths=np.array([1, 1]))), RuntimeError),
        (Case((draw.reals((3,)), "median"), dict(lengths=np.array([1, 2]))), RuntimeError),
    ],
    method=False,
    second_order=False,
)
def segment_reduce(data: Array, reduce, *, lengths: Array | None = None, indices: Array | None = None,
                   offsets: Array | None = None, axis=0, unsafe=False, initial=None):  # fmt: skip
    """The sum, mean, prod, max or min of each segment of the axis and of `initial`.

    A mean is divided by the length of the segment alone; of nothing it is `initial`, or nan. Equal greatest
    elements have equal parts of the gradient.
    data: (*, n, *); lengths: (*, s), or offsets: (*, s + 1), with the dimensions up to the axis; output: (*, s, *).
    Source: torch.segment_reduce.
    """
    if offsets is not None:
        lengths = np.diff(offsets, axis=-1)
    if indices is not None or lengths is None:
        raise RuntimeError("segments are given by their lengths or offsets")
    axis = axis % max(data.ndim, 1)
    lead = data.shape[:axis]
    flat, counts = data.reshape(-1 if data.size else int(np.prod(lead)), *data.shape[axis:]), lengths
    counts = np.broadcast_to(counts, (*lead, lengths.shape[-1])).reshape(-1, lengths.shape[-1])
    found = [one_row(x, n, reduce, initial) for x, n in zip(flat, counts.tolist())]
    y = np.stack([out for out, _ in found])

    def vjp(g, slip=0.0):
        slip = np.asarray(slip, np.result_type(slip, g))
        errors = np.broadcast_to(slip, (*lead, *y.shape[1:])).reshape(y.shape)
        grads = [pull(row, error) for (_, pull), row, error in zip(found, g.reshape(y.shape), errors)]
        return np.stack(grads).reshape(data.shape), None, None, None

    return y.reshape(*lead, *y.shape[1:]), vjp
