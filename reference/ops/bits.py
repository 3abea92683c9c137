"""Integers, bit by bit and by their divisors; no gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reference.draw import Draw
from reference.ops.rounding import no_gradient
from reference.rule import Array, Case, rule


def unmatched_integers(draw: Draw):
    x = draw.integers((2,), 0, 3)
    return [(Case((x, draw.integers((3,), 0, 3))), RuntimeError), (Case((x, None)), TypeError)]


def bit_cases(draw: Draw):
    """Integers or bools, two tensors or a tensor and a number on either side."""
    left, right = draw.shapes(2)
    kind = draw.choice("integers", "bools", "number", "first", "wide")
    if kind == "bools":
        return Case((draw.bools(left), draw.bools(right)))
    size = 2**40 if kind == "wide" else 15
    x, y = draw.integers(left, -size, size), draw.integers(right, -size, size)
    return Case((x, draw.choice(6, -1)) if kind == "number" else (draw.choice(5, -2), y) if kind == "first" else (x, y))


def bitwise(name: str, function: Callable[..., Array], text: str) -> None:
    """Register torch.bitwise_<name> of two tensors."""

    def made(input: Array | int, other: Array | int):
        return function(input, other), no_gradient(2)

    source = f"Source: torch.bitwise_{name}."
    made.__doc__ = f"{text}, bit by bit.\n\ninput, other: integers or bools, broadcast to the output.  {source}"
    rule(f"bitwise_{name}", cases=bit_cases, errors=unmatched_integers)(made)


bitwise("and", np.bitwise_and, "1 where both have a 1")
bitwise("or", np.bitwise_or, "1 where one or both have a 1")
bitwise("xor", np.bitwise_xor, "1 where one alone has a 1")


@rule(
    "bitwise_not",
    cases=lambda draw: Case((draw.choice(draw.integers, lambda s, *_: draw.bools(s))(draw.shape(), -15, 15),)),
    errors=lambda draw: [(Case((None,)), TypeError)],
)
def bitwise_not(input: Array):
    """Every bit turned: -1 - x for integers, `not` for bools.

    input, output: (*).  Source: torch.bitwise_not.
    """
    return np.invert(input), no_gradient()


def shift_cases(draw: Draw):
    left, right = draw.shapes(2)
    x, y = draw.integers(left, -15, 15), draw.integers(right, 0, 40)
    return Case(draw.choice((x, y), (x, y), (x, 3), (draw.choice(5, -3), y)))


@rule("bitwise_left_shift", cases=shift_cases, errors=unmatched_integers)
def bitwise_left_shift(input: Array | int, other: Array | int):
    """input 2^other; the shift is at least 0 and below the number of bits.

    input, other: integers, broadcast to the output.  Source: torch.bitwise_left_shift.
    """
    return np.left_shift(input, other), no_gradient(2)


@rule("bitwise_right_shift", cases=shift_cases, errors=unmatched_integers)
def bitwise_right_shift(input: Array | int, other: Array | int):
    """input 2^-other, rounded down; the shift is at least 0 and below the number of bits.

    input, other: integers, broadcast to the output.  Source: torch.bitwise_right_shift.
    """
    return np.right_shift(input, other), no_gradient(2)


def divisor_cases(draw: Draw):
    left, right = draw.shapes(2)
    return Case((draw.integers(left, -60, 60), draw.integers(right, -60, 60)))


@rule("gcd", cases=divisor_cases, errors=unmatched_integers)
def gcd(input: Array, other: Array):
    """The greatest common divisor, at least 0; 0 of 0 and 0.

    input, other: integers, broadcast to the output.  Source: torch.gcd.
    """
    return np.gcd(input, other), no_gradient(2)


@rule("lcm", cases=divisor_cases, errors=unmatched_integers)
def lcm(input: Array, other: Array):
    """The least common multiple, at least 0; 0 where either is 0.

    input, other: integers, broadcast to the output.  Source: torch.lcm.
    """
    return np.lcm(input, other), no_gradient(2)
