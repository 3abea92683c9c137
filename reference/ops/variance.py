"""Variances and standard deviations over some or all dimensions, alone and with their means."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.reduce import axes, kept_shape, reduction, spread, squared, wrong_dims
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, is_stepping, rule


def moments(x, over, correction):
    """Mean, variance, deviations from the mean, divisor of the variance, and where all deviations are 0."""
    n = math.prod(x.shape[d] for d in over)
    shift = x[tuple(slice(0, 1) if i in over else slice(None) for i in range(x.ndim))] if n else 0.0
    moved = x - shift  # so that equal elements have variance 0 exactly, and large means do not cancel
    offset = moved.sum(axis=over, keepdims=True) / n
    deviation = moved - offset
    divisor = float(max(n - correction, 0.0))
    seen = deviation.real if is_stepping() else deviation
    flat = ~np.any(seen != 0, axis=over, keepdims=True)
    variance = squared(deviation).sum(axis=over, keepdims=True) / divisor
    return shift + offset, variance, deviation, divisor, flat


def freedom(dim, unbiased, correction):
    """The overloads: var(x, unbiased) and var(x, dim, unbiased) against var(x, dim, correction=...)."""
    if isinstance(dim, (bool, np.bool_)):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return dim, correction


def moments_of(input, dim, unbiased, correction):
    """The moments of a call with these arguments."""
    dim, correction = freedom(dim, unbiased, correction)
    return moments(input, axes(dim, input.ndim), correction)


def var_cases(draw: Draw):
    x, options = reduction(draw, defined_on_nothing=False)
    n = math.prod(x.shape[d] for d in axes(options.get("dim"), x.ndim))
    form = draw.choice("correction", "unbiased", "positional", "default")
    if n < 2 or x.size == 0:  # no degree of freedom is left of one element, nor of none
        form = draw.choice("correction", "unbiased")
    if form == "unbiased":
        options["unbiased"] = n > 1 and draw.boolean()
    elif form == "correction":
        options["correction"] = draw.choice(0, -1, 0.5) if n < 2 else draw.choice(0, 1, 0.5, None, -1)
    elif form == "positional":
        return Case((x, draw.boolean()))
    if "dim" in options:
        options["keepdim"] = draw.boolean()
    return Case((x,), options)


def reduced_variance(input, dim, unbiased, keepdim, correction):
    """Variance, its mean, and the vjps of both; shared by the four rules."""
    dim, correction = freedom(dim, unbiased, correction)
    over = axes(dim, input.ndim)
    middle, variance, deviation, divisor, flat = moments(input, over, correction)
    fit = (lambda v: v) if keepdim else (lambda v: np.squeeze(v, over))
    kept = kept_shape(input.shape, over)

    def by_variance(g):
        if divisor == 0:  # torch defines the limit: no degree of freedom is left
            return g.reshape(kept) * np.where(deviation == 0, np.nan, np.inf).astype(deviation.real.dtype)
        return 2.0 * g.reshape(kept) * deviation / divisor

    def by_mean(g):
        return spread(g / math.prod(input.shape[d] for d in over), input.shape, over)

    root = np.where(flat, 0.0, np.sqrt(np.where(flat, 1.0, variance))) if divisor else np.sqrt(variance)

    def by_deviation(g, slip=0.0):
        slope = np.where(flat, 0.0, 0.5 / np.where(flat, 1.0, root))
        # torch divides by its rounded standard deviation
        error = np.reshape(slip, kept) / np.where(flat, 1.0, root) if np.any(slip) else 0.0
        return by_variance(g.reshape(kept) * slope * (1.0 - error))

    return fit, middle, variance, root, by_mean, by_variance, by_deviation


def deviation_room(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """One over the standard deviation, and the rounding of the mean beside it."""
    mean, variance, _, _, flat = moments_of(input, dim, unbiased, correction)
    inverse = np.where(flat, 0.0, 1.0 / np.sqrt(np.where(flat, 1.0, variance)))
    return np.broadcast_to(inverse * (1.0 + np.abs(mean) * inverse), input.shape)


# of two elements, for example, the standard deviation is linear, and nothing is left of the two terms
DEVIATION = Waiver(
    "the two terms of the second derivative, each of the size of 1 / std, cancel",
    room=deviation_room,
    checks=HIGHER_ORDER,
)


def centre_room(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The size of the mean beside that of the deviations from it."""
    mean, variance, _, divisor, flat = moments_of(input, dim, unbiased, correction)
    size = np.abs(mean) / np.where(flat, np.inf, np.sqrt(variance)) / max(divisor, 1.0)
    return np.broadcast_to(size, input.shape)


# the gradient of the deviation of two elements, for example, does not move with them
CENTRED = Waiver(
    "torch subtracts the rounded mean, where a gradient may not depend on the spread",
    room=centre_room,
    checks=DERIVATIVES,
)


def turned_room(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """What the rounding of the mean is multiplied by in the variance's tangent, over that tangent's size."""
    mean, _, _, divisor, _ = moments_of(input, dim, unbiased, correction)
    return np.broadcast_to(2.0 * np.abs(mean) / max(divisor, 1.0), input.shape)


def curved_room(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The same of the mean of one tangent, beside another."""
    return np.asarray(turned_room(np.ones_like(input), dim, unbiased, keepdim, correction=correction))


# where the elements move alike, nothing of the mean is left in the sum
ALIKE = "torch sums tangents times deviations from a rounded mean, where the variance does not move with equal tangents"
TURNED = Waiver(ALIKE, room=turned_room, checks=("jvp", "func_jvp"))
CURVED = Waiver(ALIKE, room=curved_room, checks=("forward_over_forward",))


# 32 times 8 eps is about sqrt(n) eps for the 33,000 elements of a large case; 8 times are that for 4,000
RECURRENCE = "Welford's recurrence rounds once for each element, and float64 has no wider accumulator"
WELFORD = (
    Waiver(RECURRENCE, factor=32, dtypes=("float64",), checks=("parallel",)),
    Waiver(RECURRENCE, factor=8, dtypes=("float64",), checks=("edges",)),
)


@rule("var", cases=var_cases, errors=wrong_dims, complex=True, waivers=[TURNED, CURVED, *WELFORD])
def var(input: Array, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """sum |x - mean(x)|^2 / max(n - correction, 0); correction 1 (Bessel) unless unbiased is False.

    input: (*), real or complex; output: real, as sum.  Source: torch.var.
    """
    fit, _, variance, _, _, by_variance, _ = reduced_variance(input, dim, unbiased, keepdim, correction)
    return fit(variance), lambda g: (by_variance(g),)


@rule("std", cases=var_cases, errors=wrong_dims, complex=True, waivers=[DEVIATION, CENTRED, *WELFORD])
def std(input: Array, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """sqrt(var(x)); the derivative is 0 where all elements are equal.

    input: (*), real or complex; output: real, as sum.  Source: torch.std.
    """
    fit, _, _, root, _, _, by_deviation = reduced_variance(input, dim, unbiased, keepdim, correction)

    def vjp(g, slip=0.0):
        return (by_deviation(g, slip),)

    return fit(root), vjp


@rule("var_mean", cases=var_cases, errors=wrong_dims, complex=True, method=False, waivers=[TURNED, CURVED, *WELFORD])
def var_mean(input: Array, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(var(x), mean(x)).

    input: (*), real or complex; outputs: as sum.  Source: torch.var_mean.
    """
    fit, middle, variance, _, by_mean, by_variance, _ = reduced_variance(input, dim, unbiased, keepdim, correction)
    return (fit(variance), fit(middle)), lambda g: (by_variance(g[0]) + by_mean(g[1]),)


@rule(
    "std_mean", cases=var_cases, errors=wrong_dims, complex=True, method=False, waivers=[DEVIATION, CENTRED, *WELFORD]
)
def std_mean(input: Array, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(std(x), mean(x)).

    input: (*), real or complex; outputs: as sum.  Source: torch.std_mean.
    """
    fit, middle, _, root, by_mean, _, by_deviation = reduced_variance(input, dim, unbiased, keepdim, correction)
    return (fit(root), fit(middle)), lambda g: (by_deviation(g[0]) + by_mean(g[1]),)
