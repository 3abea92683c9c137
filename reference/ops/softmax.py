"""Softmax and its relatives."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.reduce import cast, wrong_dim
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, rule


def stable(x, dim):
    """exp(x - max), its sum along `dim`, and x - max. A 0-d array is one row of one element."""
    over = dim if x.ndim else None
    shifted = x - x.real.max(axis=over, keepdims=True, initial=-np.inf)
    e = np.exp(shifted)
    return e, e.sum(axis=over, keepdims=True), shifted, over


def softmax_of(x, dim, dtype):
    x = cast(x, dtype)
    e, total, _, over = stable(x, dim)
    y = e / total

    def vjp(g, slip=0.0):
        mean = (g * y).sum(axis=over, keepdims=True)
        grad = y * (g - mean)
        if np.ndim(slip):  # torch reads its rounded output in both places
            grad = grad + slip * (g - mean) - y * (g * slip).sum(axis=over, keepdims=True)
        return (grad,)

    return y, vjp


def log_softmax_of(x, dim, dtype):
    x = cast(x, dtype)
    e, total, shifted, over = stable(x, dim)

    def vjp(g, slip=0.0):
        # torch takes exp of its rounded output
        return (g - e / total * (1.0 + slip) * g.sum(axis=over, keepdims=True),)

    return shifted - np.log(total), vjp


def default_dim(dim, ndim):
    """What nn.functional takes where no dim is given: 0 for 0, 1 and 3 dimensions, else 1."""
    return dim if dim is not None else 0 if ndim in (0, 1, 3) else 1


SUM_NEAR_ONE = Waiver(
    "torch rounds the sum of exponentials, near 1, before it takes the logarithm, near 0",
    room=lambda input, *args, **kwargs: np.ones_like(input),
)


LONG_SUM = Waiver(
    "float64 has no wider type to add up tens of thousands of exponentials in",
    factor=4,
    dtypes=("float64",),
    checks=("parallel",),
)


# of two equal classes, for example, nothing is left of them
CURVATURE = Waiver(
    "the terms of the second derivative, each of the size of the softmax, cancel",
    room=lambda input, *args, **kwargs: np.ones(()),
    checks=HIGHER_ORDER,
)


def one_dim(draw: Draw):
    x = draw.reals(draw.shape())
    return Case((x, draw.dim(x.ndim)))


def functional(draw: Draw):
    x = draw.reals(draw.shape())
    return Case((x,), draw.choice(dict(dim=draw.dim(x.ndim)), {}))


@rule(
    "softmax",
    cases=one_dim,
    errors=wrong_dim,
    aliases=("special.softmax",),
    special="nonfinite",
    waivers=[LONG_SUM, CURVATURE],
)
def softmax(input: Array, dim, dtype=None):
    """exp(x) / sum exp(x) along `dim`.

    input, output: (*).  Source: torch.nn.Softmax.
    """
    return softmax_of(input, dim, dtype)


@rule(
    "log_softmax",
    cases=one_dim,
    errors=wrong_dim,
    aliases=("special.log_softmax",),
    special="nonfinite",
    waivers=[SUM_NEAR_ONE],
)
def log_softmax(input: Array, dim, dtype=None):
    """x - log sum exp(x) along `dim`.

    input, output: (*).  Source: torch.nn.LogSoftmax.
    """
    return log_softmax_of(input, dim, dtype)


@rule("nn.functional.softmax", cases=functional, errors=wrong_dim, special="nonfinite", waivers=[LONG_SUM, CURVATURE])
def functional_softmax(input: Array, dim=None, _stacklevel=3, dtype=None):
    """exp(x) / sum exp(x) along `dim`; left out, it is 0 for 0, 1 and 3 dimensions, else 1.

    input, output: (*).  Source: torch.nn.functional.softmax.
    """
    return softmax_of(input, default_dim(dim, input.ndim), dtype)


@rule(
    "nn.functional.log_softmax",
    cases=functional,
    errors=wrong_dim,
    special="nonfinite",
    waivers=[SUM_NEAR_ONE],
)
def functional_log_softmax(input: Array, dim=None, _stacklevel=3, dtype=None):
    """x - log sum exp(x) along `dim`; left out, it is as in softmax.

    input, output: (*).  Source: torch.nn.functional.log_softmax.
    """
    return log_softmax_of(input, default_dim(dim, input.ndim), dtype)


@rule("nn.functional.softmin", cases=functional, errors=wrong_dim, special="nonfinite", waivers=[LONG_SUM, CURVATURE])
def softmin(input: Array, dim=None, _stacklevel=3, dtype=None):
    """exp(-x) / sum exp(-x) along `dim`; left out, it is as in softmax.

    input, output: (*).  Source: torch.nn.Softmin.
    """
    y, back = softmax_of(-input, default_dim(dim, input.ndim), dtype)

    def vjp(g, slip=0.0):
        return (-back(g, slip)[0],)

    return y, vjp
