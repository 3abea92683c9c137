"""Functions of two reals that choose one of them, bound them, take a remainder, a sign or an angle."""

from __future__ import annotations

import numpy as np

from reference.conventions import ties_are_shared
from reference.draw import Draw
from reference.ops.activation import not_a_tensor, one_input
from reference.ops.arithmetic import nonzero, to, unmatched
from reference.ops.precision import precise
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, is_stepping, rule


def pair(draw: Draw):
    """Two tensors that broadcast; multiples of 1/4 bring ties."""
    left, right = draw.shapes(2)
    return Case((draw.reals(left), draw.reals(right)))


def larger(input, other, sign, plain):
    """The one of two with the larger sign * value; where they tie, each has half of the gradient."""
    a, b = sign * input.real, sign * other.real
    share = precise(np.where(a > b, 1.0, np.where(a < b, 0.0, 0.5)), a)
    out = plain(input, other) if not is_stepping() else share * input + (1.0 - share) * other
    return out, lambda g: (to(input, g * share), to(other, g * (1.0 - share)))


@rule("maximum", cases=pair, errors=unmatched, special="nonfinite")  # of 0 and -0 either may come
def maximum(input: Array, other: Array):
    """The larger of both, nan where either is; where they tie, each has half of the gradient.

    input, other: broadcast to the output.  Source: torch.maximum.
    """
    return larger(input, other, 1.0, np.maximum)


@rule("minimum", cases=pair, errors=unmatched, special="nonfinite")  # of 0 and -0 either may come
def minimum(input: Array, other: Array):
    """The smaller of both, nan where either is; where they tie, each has half of the gradient.

    input, other: broadcast to the output.  Source: torch.minimum.
    """
    return larger(input, other, -1.0, np.minimum)


def part(share, g):
    """This share of g; nothing is 0 of what is not finite, too."""
    return np.where(share == 0, 0.0, share * g)


def first(input, other, chosen, plain):
    """`input` where chosen or where `other` is nan, else `other`; where they tie, see reference.conventions."""
    tie = 0.5 if ties_are_shared() else 1.0
    share = np.where(input.real == other.real, tie, np.where(chosen | np.isnan(other.real), 1.0, 0.0))
    share = precise(share, input.real)
    out = plain(input, other) if not is_stepping() else part(share, input) + part(1.0 - share, other)
    return out, lambda g: (to(input, part(share, g)), to(other, part(1.0 - share, g)))


@rule("fmax", cases=pair, errors=unmatched, special="nonfinite")
def fmax(input: Array, other: Array):
    """The larger of both, ignoring a nan beside a number; for ties see reference.conventions.

    input, other: broadcast to the output.  Source: torch.fmax.
    """
    return first(input, other, input.real >= other.real, np.fmax)


@rule("fmin", cases=pair, errors=unmatched, special="nonfinite")
def fmin(input: Array, other: Array):
    """The smaller of both, ignoring a nan beside a number; for ties see reference.conventions.

    input, other: broadcast to the output.  Source: torch.fmin.
    """
    return first(input, other, input.real <= other.real, np.fmin)


def clamp_cases(draw: Draw):
    shape, low, high = draw.shapes(3)
    kind = draw.choice("numbers", "tensors")
    if kind == "numbers":
        bounds = draw.choice((-1.0, 1.5), (None, 1.0), (-1, None), (-2, 2), (1.0, -1.0))
        return Case((draw.reals(shape), *bounds))
    # bounds that are equal have no gradient that is right for both, and are left out
    lows, highs = draw.reals(low, -3.0, 0.25), draw.reals(high, 0.75, 3.0)
    bounds = draw.choice((lows, highs), (None, highs), (lows, None), (highs, lows))
    return Case((draw.reals(shape),), dict(min=bounds[0], max=bounds[1]))


@rule(
    "clamp",
    cases=clamp_cases,
    errors=lambda draw: [
        (Case((draw.reals((2,)),)), RuntimeError),
        (Case((draw.reals((2,)), "a")), TypeError),
    ],
    aliases=("clip",),
    special="nonfinite",
)
def clamp(input: Array, min: Array | float | None = None, max: Array | float | None = None):
    """min(max(input, min), max): `max` wins where the bounds cross. For a value on a bound see reference.conventions.

    input, min, max: broadcast to the output; the bounds are tensors, numbers or absent.  Source: torch.clamp.
    """
    x = input.real
    low, high = beyond(x, min, -1.0), beyond(x, max, 1.0)
    if min is not None and max is not None:
        high = np.where((np.real(min) > np.real(max)) & ~np.isnan(x), 1.0, high)
        low = np.where(high == 1.0, 0.0, low)
        squeezed = (low == 0.5) & (high == 0.5)  # between bounds that are equal the input has it all
        low, high = np.where(squeezed, 0.0, low), np.where(squeezed, 0.0, high)
    kept = 1.0 - low - high
    out = input
    for share, bound in ((low, min), (high, max)):
        if bound is not None:
            out = np.where(share == 1.0, bound, np.where(share == 0.5, 0.5 * out + 0.5 * bound, out))
    for bound in (min, max):
        if isinstance(bound, (np.ndarray, np.generic)):  # the nan of a bound wins too, where it is a tensor
            out = np.where(np.isnan(np.real(bound)), bound, out)

    def vjp(g):
        return to(input, part(kept, g)), to(min, part(low, g)), to(max, part(high, g))

    return out, vjp


def beyond(x, bound, sign):
    """The share of the gradient that a bound has: all where x is beyond it; where x is on it, see conventions."""
    if bound is None:
        return np.zeros_like(x)
    on = 0.0
    if ties_are_shared():
        on = 0.5 if isinstance(bound, (np.ndarray, np.generic)) else 1.0
    edge = np.real(bound)
    return precise(np.where(sign * x > sign * edge, 1.0, np.where(x == edge, on, 0.0)), x)


def one_bound(draw: Draw):
    left, right = draw.shapes(2)
    return Case((draw.reals(left), draw.choice(draw.reals(right), 0.5, -1)))


@rule("clamp_min", cases=one_bound, errors=not_a_tensor, special="nonfinite")
def clamp_min(input: Array, min: Array | float):
    """max(input, min); for a value on the bound see reference.conventions.

    input, min: broadcast to the output.  Source: torch.clamp.
    """
    out, vjp = clamp.fn(input, min)
    return out, lambda g: vjp(g)[:2]


@rule("clamp_max", cases=one_bound, errors=not_a_tensor, special="nonfinite")
def clamp_max(input: Array, max: Array | float):
    """min(input, max); for a value on the bound see reference.conventions.

    input, max: broadcast to the output.  Source: torch.clamp.
    """
    out, vjp = clamp.fn(input, None, max)
    return out, lambda g: vjp(g)[::2]


def where_cases(draw: Draw):
    condition, left, right = draw.shapes(3)
    a, b = draw.numbers(left), draw.numbers(right)
    a, b = draw.choice((a, b), (a, b), (a, 1.5), (-0.5, b))
    return Case((draw.bools(condition), a, b))


@rule(
    "where",
    cases=where_cases,
    errors=lambda draw: [(Case((draw.bools((2,)), draw.reals((3,)), draw.reals((3,)))), RuntimeError)],
    method=False,
    complex=True,
    special="ieee",
)
def where(condition: Array, input: Array | float | None = None, other: Array | float | None = None):
    """input where the condition holds, else other; with the condition alone, where it holds, as indices.

    condition, input, other: broadcast to the output.  Source: torch.where.
    """
    if input is None:
        return np.nonzero(np.atleast_1d(condition)), lambda g: (None, None, None)
    assert other is not None
    condition = np.asarray(condition, dtype=bool)
    out = np.where(condition, input, other)
    return out, lambda g: (
        None,
        to(input, np.where(condition, g, 0.0)),
        to(other, np.where(condition, 0.0, g)),
    )


def away(draw: Draw):
    """Two tensors that broadcast, the second not near zero."""
    left, right = draw.shapes(2)
    return Case((draw.reals(left), nonzero(draw, right)))


@rule("hypot", cases=away, errors=unmatched, special="ieee")
def hypot(input: Array, other: Array):
    """sqrt(input^2 + other^2), without overflow on the way.

    input, other: broadcast to the output.  Source: torch.hypot.
    """
    r = np.sqrt(input * input + other * other) if is_stepping() else np.hypot(input, other)

    def vjp(g, slip=0.0):
        inverse = 1.0 / (r + slip)
        return to(input, g * input * inverse), to(other, g * other * inverse)

    return r, vjp


@rule("atan2", cases=away, errors=unmatched, aliases=("arctan2",), special="ieee")
def atan2(input: Array, other: Array):
    """The angle of the point (other, input); the gradient at the origin is 0.

    input, other: broadcast to the output.  Source: torch.atan2.
    """
    y, x = input, other
    out = np.arctan2(y.real, x.real)
    if is_stepping():  # rotated onto the axis, the step is the tangent of a small angle
        c, s = np.cos(out), np.sin(out)
        along, across = x * c + y * s, y * c - x * s
        out = out + np.where(along == 0, 0.0, across / np.where(along == 0, 1.0, along))

    def vjp(g):
        square = x * x + y * y
        inverse = np.where(square == 0, 0.0, 1.0 / np.where(square == 0, 1.0, square))
        return to(input, g * x * inverse), to(other, -g * y * inverse)

    return out, vjp


def division_cases(draw: Draw):
    left, right = draw.shapes(2)
    return Case((draw.reals(left), draw.choice(nonzero(draw, right), nonzero(draw, right), 1.5, -2)))


def remainder_of(input, other, plain):
    """plain(input, other) = input - other * quotient, where the quotient is constant between its jumps."""
    x, y = np.real(input), np.real(other)
    out = plain(x, y)
    quotient = np.rint((x - out) / y)
    if is_stepping():
        out = out + 1j * np.imag(input - other * quotient)
    return out, lambda g: (to(input, g), to(other, -g * quotient))


@rule("remainder", cases=division_cases, errors=unmatched)
def remainder(input: Array | float, other: Array | float):
    """input - other floor(input / other): of the sign of `other`.

    input, other: broadcast to the output.  Source: torch.remainder.
    """
    return remainder_of(input, other, np.remainder)


@rule("fmod", cases=division_cases, errors=unmatched)
def fmod(input: Array, other: Array | float):
    """input - other trunc(input / other): of the sign of `input`.

    The quotient of the gradient is the exact one, which fl(input / other) may miss where it is near whole.
    input, other: broadcast to the output.  Source: torch.fmod.
    """
    return remainder_of(input, other, np.fmod)


def signs(x):
    """-1, 0 or 1 in the dtype of x, and 0 for nan."""
    return x if x.dtype.kind == "b" else np.subtract(x > 0, x < 0, dtype=x.dtype)


@rule("sign", cases=one_input(-4, 4), errors=not_a_tensor, special="ieee", elementwise=True)
def sign(input: Array):
    """-1, 0 or 1; the derivative is 0 everywhere.

    input, output: (*).  Source: torch.sign.
    """
    return signs(input.real), lambda g: (np.zeros_like(g),)


def copysign_cases(draw: Draw):
    left, right = draw.shapes(2)
    return Case((draw.reals(left), draw.choice(draw.reals(right), -draw.reals(right), 1.5, -2, -0.0)))


def copysign_room(input, other):
    size = np.abs(input * np.ones_like(other))
    return np.where(size == 0, 0.0, 1.0 / np.where(size == 0, 1.0, size))


# no special values: a nan has a sign, which is lost when it is converted to bfloat16
@rule(
    "copysign",
    cases=copysign_cases,
    errors=unmatched,
    waivers=[
        Waiver(
            "torch divides the result by x; the derivative of the quotient cancels",
            room=copysign_room,
            checks=HIGHER_ORDER,
        )
    ],
)
def copysign(input: Array, other: Array | float):
    """|input| with the sign of `other`, that of its zeros too; the derivative at an input of 0 is 0.

    input, other: broadcast to the output.  Source: torch.copysign.
    """
    out = np.copysign(input.real, np.real(other))
    same = np.signbit(out) == np.signbit(input.real)
    flip = precise(np.where(input.real == 0, 0.0, np.where(same, 1.0, -1.0)), input.real)
    if is_stepping():
        out = out + 1j * np.imag(flip * input)
    return out, lambda g: (to(input, g * flip), to(other, np.zeros_like(g)))
