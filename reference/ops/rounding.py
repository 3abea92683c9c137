"""Rounding to whole numbers or decimals, the step function, and what is left of a number; gradients of steps are 0."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.activation import not_a_tensor, one_input
from reference.ops.arithmetic import nonzero, to, unary, unmatched
from reference.ops.precision import floating
from reference.rule import Array, Case, is_stepping, rule


def step(input, rounded):
    """A function of steps: `rounded` of floating numbers, whole numbers as they are; the gradient is 0."""
    x = input.real
    return (rounded(x) if x.dtype.kind == "f" else x), lambda g: (np.zeros_like(g),)


def stepped_cases(draw: Draw):
    """Reals, whole numbers and halves among them; or integers, which stay what they are."""
    shape = draw.shape()
    return Case((draw.choice(draw.reals(shape), draw.reals(shape), draw.integers(shape, -3, 3)),))


@rule("floor", cases=stepped_cases, errors=not_a_tensor, special="ieee")
def floor(input: Array):
    """The largest whole number that is not above x.

    input, output: (*).  Source: torch.floor.
    """
    return step(input, np.floor)


@rule("ceil", cases=stepped_cases, errors=not_a_tensor, special="ieee")
def ceil(input: Array):
    """The smallest whole number that is not below x.

    input, output: (*).  Source: torch.ceil.
    """
    return step(input, np.ceil)


@rule("trunc", cases=stepped_cases, errors=not_a_tensor, aliases=("fix",), special="ieee")
def trunc(input: Array):
    """The whole number next to x on the side of 0.

    input, output: (*).  Source: torch.trunc.
    """
    return step(input, np.trunc)


def round_cases(draw: Draw):
    shape = draw.shape()
    if draw.boolean():
        return stepped_cases(draw)
    decimals = draw.choice(0, 1, -1, 2, -2)
    unit = 10.0**-decimals
    # nearer to a multiple of the unit than to the middle between two, where rounding the input may decide
    # (and twice that, so that half of it is no tie either)
    near = 2 * draw.integers(shape, -5, 5) + draw.reals(shape, -0.375, 0.375)
    ties = draw.choice(0.0, unit / 2) if unit >= 10.0 else 0.0
    x = np.rint(near) * unit + ties if ties else near * unit
    return Case((x,), dict(decimals=decimals))


@rule(
    "round",
    cases=round_cases,
    errors=lambda draw: [*not_a_tensor(draw), (Case((draw.reals((2,)),), dict(decimals=0.5)), TypeError)],
    aliases=("special.round",),
    special="nonfinite",  # whether a number that decimals round to 0 keeps its sign is left open
)
def round(input: Array, *, decimals=0):
    """The whole number (or the multiple of 10^-decimals) nearest to x, the even one of two.

    input, output: (*).  Source: torch.round.
    """
    if decimals >= 0:
        scale = 10.0**decimals
        return step(input, lambda x: np.rint(x * scale) / scale)
    scale = 10.0**-decimals
    return step(input, lambda x: np.rint(x / scale) * scale)


@rule("frac", cases=one_input(), errors=not_a_tensor, special="nonfinite", elementwise=True)
def frac(input: Array):
    """x less the whole number next to it on the side of 0; the derivative is 1, at the jumps too.

    input, output: (*).  Source: torch.frac.
    """
    return input - np.trunc(input.real), lambda g: (g,)


def no_gradient(count=1):
    """The vjp of an op without a gradient."""
    return lambda g: (None,) * count


def floored(draw: Draw):
    left, right = draw.shapes(2)
    kind = draw.choice("reals", "integers", "number", "base")
    if kind == "integers":
        signs = 1 - 2 * draw.integers(right, 0, 1)
        return Case((draw.integers(left, -9, 9), draw.integers(right, 1, 4) * signs))
    if kind == "number":
        return Case((draw.reals(left), draw.choice(0.5, -2, 1.5)))
    return Case((draw.choice(2.5, -3) if kind == "base" else draw.reals(left), nonzero(draw, right)))


@rule("floor_divide", cases=floored, errors=unmatched)
def floor_divide(input: Array | float, other: Array | float):
    """The largest whole number that is not above input / other; torch has no gradient of it.

    input, other: broadcast to the output; integers stay integers.  Source: torch.floor_divide.
    """
    return np.floor_divide(np.real(input), np.real(other)), no_gradient(2)


def heaviside_cases(draw: Draw):
    left, right = draw.shapes(2)
    if draw.boolean():
        return Case((draw.reals(left), draw.reals(right)))
    return Case((draw.integers(left, -2, 2), draw.integers(right, -3, 3)))


@rule(
    "heaviside",
    cases=heaviside_cases,
    errors=lambda draw: [*unmatched(draw), (Case((draw.reals((2,)), draw.integers((2,), 0, 1))), RuntimeError)],
    special="ieee",
)
def heaviside(input: Array, values: Array):
    """0 below 0, 1 above it, `values` at 0; torch has no gradient of it.

    input, values: broadcast to the output, of one dtype.  Source: torch.heaviside.
    """
    x = input.real
    # torch compares with 0 alone, so that a nan is above it no more than below it
    out = np.where(x == 0, values.real, (x > 0).astype(x.dtype))
    return out, no_gradient(2)


def neighbours(draw: Draw):
    left, right = draw.shapes(2)
    return Case((draw.reals(left), draw.reals(right)))


@rule("nextafter", cases=neighbours, errors=unmatched, lately=True)
def nextafter(input: Array, other: Array):
    """The floating number next to input on the side of other; other itself where they are equal.

    It moves with the input, and neither has a gradient where they are equal.
    input, other: broadcast to the output.  Source: torch.nextafter.
    """
    a, b = floating(input), floating(other)
    moves = a.real != b.real
    out = np.nextafter(a.real, b.real)
    if a.dtype.kind == "c":
        out = out + np.where(moves, 1j * a.imag, 0.0)
    return out, lambda g: (to(input, np.where(moves, g, 0.0)), to(other, np.zeros_like(g)))


def hole_cases(draw: Draw):
    """Infinities only where a number is given for them: by default it depends on the dtype."""
    x = draw.reals(draw.shape())
    options = draw.choice({}, dict(nan=1.5), dict(nan=-2, posinf=3.0, neginf=-3.5), dict(posinf=0.25, neginf=2))
    holes = [np.nan] + [v for v, name in ((np.inf, "posinf"), (-np.inf, "neginf")) if name in options]
    rng = draw.generator()
    return Case((np.where(rng.random(x.shape) < 0.25, rng.choice(holes, x.shape), x),), options)


@rule("nan_to_num", cases=hole_cases, errors=not_a_tensor, elementwise=True)
def nan_to_num(input: Array, nan=None, posinf=None, neginf=None):
    """x, but other numbers for nan and the infinities, by default 0 and the largest of the dtype.

    The gradient of what is replaced is 0; complex numbers, part by part, have none.
    input, output: (*).  Source: torch.nan_to_num.
    """
    if input.dtype.kind not in "fc":
        return input, no_gradient()

    def replaced(x):
        low, high = np.finfo(x.dtype).min, np.finfo(x.dtype).max
        out = np.where(np.isnan(x), 0.0 if nan is None else nan, x)
        out = np.where(x == np.inf, high if posinf is None else posinf, out)
        return np.where(x == -np.inf, low if neginf is None else neginf, out)

    whole = np.isfinite(input.real)
    if input.dtype.kind == "c":
        if not is_stepping():
            return replaced(input.real) + 1j * replaced(input.imag), no_gradient()
        return np.where(whole, input, replaced(input.real)), lambda g: (np.where(whole, g, 0.0),)
    return replaced(input), lambda g: (np.where(whole, g, 0.0),)


@unary("deg2rad", one_input(-180.0, 180.0), special="ieee")
def deg2rad(input: Array):
    """x pi / 180.

    input, output: (*).  Source: torch.deg2rad.
    """
    scale = np.pi / 180.0
    return input * scale, lambda g: (g * scale,)


@unary("rad2deg", one_input(), special="ieee")
def rad2deg(input: Array):
    """x 180 / pi.

    input, output: (*).  Source: torch.rad2deg.
    """
    scale = 180.0 / np.pi
    return input * scale, lambda g: (g * scale,)
