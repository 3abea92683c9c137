"""What stands around the steps of a training, as formulas: averages of models, clipping, loss scales, accumulation.

Each takes what its form in torch takes (conformance.loops.forms), as arrays, and returns the same list of numbers. The
model, where there is one, is tanh(x W1^T + b1) W2^T + b2 under the mean of squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.programs import models
from reference.programs.rounding import EXACT
from reference.rule import Array
from reference.tape import Node

RATE, MOMENTUM = 0.5, 0.9


def gradients(x: Array, y: Array, p: Sequence[Array], low: Callable[[Array], Array] = lambda a: a) -> list[Array]:
    """Of the mean of (h W2^T + b2 - y)^2 with h = tanh(x W1^T + b1), in W1, b1, W2, b2, by the chain rule:

        g = 2 (p - y) / count;   dW2 = g^T h,   db2 = sum g;   e = (g W2) (1 - h^2);   dW1 = e^T x,   db1 = sum e

    x: (N, 4); y: (N, 3); W1: (5, 4); W2: (3, 5). `low` is what becomes of matrix products and of what goes into them.
    """
    w1, b1, w2, b2 = p
    h = np.tanh(low(low(x) @ low(w1).T + b1))
    g = 2.0 * (low(low(h) @ low(w2).T + b2) - y) / y.size
    e = low(low(g) @ low(w2)) * (1.0 - h * h)
    return [low(low(e).T @ low(x)), low(e.sum(0)), low(low(g).T @ low(h)), low(g.sum(0))]


def _descend(p: Sequence[Array], g: Sequence[Array], buffers: list[Any]) -> list[Array]:
    """A step of gradient descent with momentum; `buffers` are changed, and empty at first."""
    buffers[:] = [MOMENTUM * b + a for b, a in zip(buffers, g)] if buffers else list(g)
    return [a - RATE * b for a, b in zip(p, buffers)]


def large_batch(x: Array, y: Array, p: Sequence[Array], sizes: Sequence[int]) -> list[Array]:
    """Three steps on all samples at once."""
    buffers: list[Any] = []
    for _ in range(3):
        p = _descend(p, gradients(x, y, p), buffers)
    return list(p)


def clipped(x: Array, y: Array, p: Sequence[Array], kind: Any, most: float, foreach: bool | None) -> list[Array]:
    """Three steps with the gradients scaled to a norm of at most `most` (by most / (norm + 1e-6)), or, where `kind` is
    "value", cut to +-most; and the norms before."""
    buffers: list[Any] = []
    norms = []
    for _ in range(3):
        g = gradients(x, y, p)
        if kind == "value":
            g = [np.clip(a, -most, most) for a in g]
        else:
            sizes = np.abs(np.concatenate([a.ravel() for a in g]))
            norm = sizes.max() if kind == np.inf else (sizes**kind).sum() ** (1.0 / kind)
            norms.append(np.asarray(norm))
            g = [a * min(1.0, most / (norm + 1e-6)) for a in g]
        p = _descend(p, g, buffers)
    return [*p, *norms]


def scaled(
    x: Array, y: Array, p: Sequence[Array], bad: Sequence[int], most: float, interval: int, saved: int
) -> list[Array]:
    """Six steps under a loss scale that begins at 1024, doubles after `interval` good steps in a row, and halves at a
    bad one, whose step is left out: the parameters, and the scale after each. Scaling changes no gradient."""
    buffers: list[Any] = []
    scale, good, shown = 1024.0, 0, []
    for t in range(6):
        if t in bad:
            scale, good = scale / 2.0, 0
        else:
            g = gradients(x, y, p)
            norm = sum((a * a).sum() for a in g) ** 0.5
            p = _descend(p, [a * min(1.0, most / (norm + 1e-6)) for a in g], buffers)
            good += 1
            scale, good = (scale * 2.0, 0) if good == interval else (scale, good)
        shown.append(np.asarray(scale, x.dtype))
    return [*p, *shown]


def low_precision(x: Array, y: Array, p: Sequence[Array], low: Callable[[Array], Array] = lambda a: a) -> list[Array]:
    """Three steps whose matrix products are done in lower precision."""
    buffers: list[Any] = []
    for _ in range(3):
        p = _descend(p, gradients(x, y, p, low), buffers)
    return list(p)


def averaged(x: Array, how: str, decay: float, use_buffers: bool, saved: int) -> list[Array]:
    """The average of models whose weight is a row of x and whose buffer is its double, after each row.

    "swa": the mean so far, a + (p - a) / (n + 1). "ema": decay a + (1 - decay) p, the first row as it is. Buffers are
    averaged where `use_buffers`, else those of the last model. x: (N, C).
    """
    weight = buffer = x[0]
    shown = []
    for n, row in enumerate(x):
        share = 1.0 / (n + 1) if how.startswith("swa") else 1.0 if n == 0 else 1.0 - decay
        weight = weight + share * (row - weight)
        buffer = buffer + share * (2.0 * row - buffer) if use_buffers else 2.0 * row
        shown += [weight, buffer]
    return [*shown, np.asarray(float(len(x)))]


def normalized(x: Array, p: Sequence[Array], sizes: Sequence[int]) -> list[Array]:
    """Means and unbiased variances of x W^T + b for each channel: averages over batches, every batch counting alike."""
    ends = np.cumsum(sizes)
    batches = [x[end - size : end] @ p[0].T + p[1] for end, size in zip(ends, sizes)]
    mean, var = np.zeros_like(p[1]), np.zeros_like(p[1])
    for batch in batches:
        mean = mean + batch.mean(0) / len(batches)
        var = var + batch.var(0, ddof=1) / len(batches)
    return [mean, var]


def lenet(x: Array, p: Sequence[Array]) -> list[Array]:
    """The outputs of LeNet-5."""
    return [models.lenet(models.Pass(EXACT), [Node(a) for a in p], x, [], False).value]


def parallel(x: Array, y: Array, p: Sequence[Array], part: str) -> list[Array]:
    """What two processes have of the model: the gradients of all samples, half of them in each; or the parameters
    after three steps (0.5) of which the second process takes part in the first alone, counting 0 in the mean after."""
    halves = len(x) // 2
    first, second = (x[:halves], y[:halves]), (x[halves:], y[halves:])
    if part == "gradients":
        return [g for _ in range(2) for g in gradients(x, y, p)]
    if part == "buffers":
        return [x[0], x[0]]
    for t in range(3):
        parts = [gradients(*first, p), *([gradients(*second, p)] if t == 0 else [])]
        p = [a - RATE * sum(gs) / 2.0 for a, *gs in zip(p, *parts)]
    return list(p)
