"""Activations made of straight pieces, or of a straight line and something else."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.activation import not_a_tensor, one_input
from reference.ops.arithmetic import nonzero
from reference.ops.pointwise import horner, unit
from reference.ops.precision import precise
from reference.rule import DERIVATIVES, Array, Case, Waiver, conj, is_stepping, rule, unbroadcast


@rule(
    "nn.functional.leaky_relu",
    cases=lambda draw: Case((draw.reals(draw.shape()), draw.choice(0.01, 0.25, 0.0, -0.5))),
    errors=not_a_tensor,
    special="ieee",
    elementwise=True,
)
def leaky_relu(input: Array, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope x.

    input, output: (*).  Source: torch.nn.LeakyReLU.
    """
    slope = precise(np.where(input.real > 0, 1.0, negative_slope), input.real)
    return input * slope, lambda g: (g * slope,)


def too_many(draw: Draw):
    """For functions written in Python, which call a method of whatever they are given."""
    return [(Case((draw.reals((2,)), 1)), TypeError)]


def hardtanh_cases(draw: Draw):
    low, high = draw.choice((-1.0, 1.0), (-2, 2), (0.5, 0.75), (-0.25, 3.0))
    return Case((draw.reals(draw.shape()), low, high))


def bounded(input, low, high):
    """input between low and high; the derivative on a bound is 0."""
    x = input.real
    if x.dtype.kind in "iu":
        low, high = int(low), int(high)
    inside = ~((x <= low) | (x >= high))
    return np.where(x <= low, low, np.where(x >= high, high, input)), lambda g: (np.where(inside, g, 0.0),)


@rule(
    "nn.functional.hardtanh",
    cases=hardtanh_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), 1.0, -1.0)), ValueError), (Case((None,)), TypeError)],
    special="ieee",
    elementwise=True,
)
def hardtanh(input: Array, min_val=-1.0, max_val=1.0, inplace=False):
    """x between min_val and max_val; the derivative on a bound is 0.

    input, output: (*).  Source: torch.nn.Hardtanh.
    """
    return bounded(input, min_val, max_val)


@rule("nn.functional.relu6", cases=one_input(-4.0, 8.0), errors=not_a_tensor, special="nonfinite", elementwise=True)
def relu6(input: Array, inplace=False):
    """min(max(x, 0), 6); the derivative at 0 and at 6 is 0.

    input, output: (*).  Source: torch.nn.ReLU6.
    """
    return bounded(input, 0, 6)


@rule("nn.functional.hardsigmoid", cases=one_input(-5.0, 5.0), errors=not_a_tensor, special="ieee", elementwise=True)
def hardsigmoid(input: Array, inplace=False):
    """min(max(x + 3, 0), 6) / 6; the derivative at -3 and at 3 is 0.

    input, output: (*).  Source: torch.nn.Hardsigmoid.
    """
    out, vjp = bounded(input + 3.0, 0.0, 6.0)
    return out / 6.0, lambda g: (vjp(g)[0] / 6.0,)


def hardswish_cases(draw: Draw):
    x = draw.reals(draw.shape(), -5.0, 5.0)
    if draw.integer(0, 2) == 2 and draw.special:  # at the kinks
        x = np.where(draw.bools(x.shape), np.copysign(3.0, x), x)
    return Case((x,))


@rule("nn.functional.hardswish", cases=hardswish_cases, errors=not_a_tensor, special="ieee", elementwise=True)
def hardswish(input: Array, inplace=False):
    """x min(max(x + 3, 0), 6) / 6; the derivative is 0 at -3 and 1 at 3.

    input, output: (*).  Source: torch.nn.Hardswish; Howard et al., arXiv:1905.02244.
    """
    x = input
    low, high = x.real <= -3.0, x.real >= 3.0
    out = x * np.where(low, 0.0, np.where(high, 1.0, (x + 3.0) / 6.0))
    slope = np.where(low, 0.0, np.where(high, 1.0, x / 3.0 + 0.5))
    return out, lambda g: (g * slope,)


def shrink_cases(draw: Draw):
    return Case((draw.reals(draw.shape()), draw.choice(0.5, 0.0, 1.25, 2)))


@rule(
    "nn.functional.softshrink",
    cases=shrink_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), -1.0)), RuntimeError), (Case((None,)), TypeError)],
    special="nonfinite",
    elementwise=True,
)
def softshrink(input: Array, lambd=0.5):
    """x drawn towards 0 by lambd, and 0 within [-lambd, lambd], where the derivative is 0 too.

    input, output: (*).  Source: torch.nn.Softshrink.
    """
    x = input.real
    inside = (x >= -lambd) & (x <= lambd)
    out = np.where(inside, 0.0, np.where(x > lambd, input - lambd, input + lambd))
    return out, lambda g: (np.where(inside, 0.0, g),)


@rule(
    "hardshrink",
    cases=shrink_cases,
    errors=not_a_tensor,
    aliases=("nn.functional.hardshrink",),
    special="ieee",
    elementwise=True,
)
def hardshrink(input: Array, lambd=0.5):
    """x, and 0 within [-lambd, lambd], where the derivative is 0 too.

    input, output: (*).  Source: torch.nn.Hardshrink.
    """
    inside = (input.real >= -lambd) & (input.real <= lambd)
    return np.where(inside, 0.0, input), lambda g: (np.where(inside, 0.0, g),)


@rule(
    "nn.functional.threshold",
    cases=lambda draw: Case((draw.reals(draw.shape()), draw.choice(0.5, 0.0, -1, 1), draw.choice(-2.0, 0, 20))),
    errors=not_a_tensor,
    aliases=("threshold",),
    special="ieee",
    elementwise=True,
)
def threshold(input: Array, threshold, value, inplace=False):
    """x where x > threshold, else value, where the derivative is 0.

    input, output: (*).  Source: torch.nn.Threshold.
    """
    below = input.real <= threshold
    out = np.where(below, np.asarray(value).astype(input.dtype), input)
    return out, lambda g: (np.where(below, 0.0, g),)


@rule(
    "nn.functional.softsign",
    cases=lambda draw: Case((nonzero(draw, draw.shape()) if draw.complex else draw.reals(draw.shape()),)),
    errors=too_many,
    complex=True,
    special="ieee",
    elementwise=True,
)
def softsign(input: Array):
    """x / (1 + |x|).

    input, output: (*).  Source: torch.nn.Softsign.
    """
    if is_stepping() or input.dtype.kind != "c":
        size = 1.0 + input * np.sign(input.real)
        return input / size, lambda g: (g / (size * size),)
    direction, size = unit(input)

    def vjp(g):
        # the denominator grows along z alone
        return (g / (1.0 + size) - direction * (np.conj(input) * g).real / (1.0 + size) ** 2,)

    return input / (1.0 + size), vjp


# x cosh(x) - sinh(x) = x^3 (1/3 + x^2/30 + ...), by powers of x^2
_DIFFERENCE = [(2 * k + 2) / math.factorial(2 * k + 3) for k in range(11)]


@rule(
    "nn.functional.tanhshrink",
    cases=lambda draw: Case(
        (nonzero(draw, draw.shape(), 0.5, 3.0) if draw.complex else draw.reals(draw.shape(), -3, 3),)
    ),
    errors=too_many,
    complex=True,
    special="nonfinite",
    waivers=[
        Waiver("torch subtracts tanh(x) from x, which cancels near 0", room=np.abs),
        Waiver("torch subtracts 1 - tanh(x)^2 from 1, which cancels near 0", room=np.ones_like, checks=DERIVATIVES),
    ],
    elementwise=True,
)
def tanhshrink(input: Array):
    """x - tanh(x).

    input, output: (*).  Source: torch.nn.Tanhshrink.
    """
    x, y = input, np.tanh(input)
    near = x.real * x.real + x.imag * x.imag < 1.0
    small = np.where(near, x, 0.0)
    series = small**3 * horner(_DIFFERENCE, small * small) / np.cosh(small)

    return np.where(near, series, x - y), lambda g: (g * conj(y * y),)


def prelu_cases(draw: Draw):
    shape = draw.shape()
    channels = shape[1] if len(shape) > 1 else 1
    weight = draw.choice((channels,), (1,), ())
    return Case((draw.reals(shape), draw.reals(weight)))


@rule(
    "prelu",
    cases=prelu_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.reals((2,)))), RuntimeError)],
    aliases=("nn.functional.prelu",),
    special="ieee",
)
def prelu(input: Array, weight: Array):
    """x where x > 0, else weight x, with one weight for all or one for each channel (dimension 1).

    input, output: (N, C, *) or any shape with one weight; weight: (C), (1) or ().
    Source: torch.nn.PReLU; He et al., arXiv:1502.01852.
    """
    spread = weight.reshape(() if weight.size == 1 else (-1,) + (1,) * (input.ndim - 2))
    on = input.real > 0
    out = np.where(on, input, spread * input)

    def vjp(g):
        slopes = unbroadcast(np.where(on, 0.0, g * input), spread.shape)
        return np.where(on, g, g * spread), slopes.reshape(weight.shape)

    return out, vjp
