"""Arithmetic: sums, products, quotients and powers, of tensors that broadcast and of numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.activation import not_a_tensor, one_input
from reference.ops.precision import floating, matched
from reference.rule import Array, Case, Rule, absolute, conj, is_inexact, is_stepping, rule, unbroadcast


def nonzero(draw: Draw, shape, low=0.5, high=4.0):
    """Numbers of any sign, or in any quadrant, at least `low` away from zero and from the axes."""
    turns = draw.integers(shape, 0, 3)
    x = draw.numbers(shape, low, high)
    return np.asarray(x * (np.array([1, 1j, -1, -1j])[turns] if draw.complex else 1.0 - 2.0 * (turns % 2)))


def second(draw: Draw, shape, low=-4.0, high=4.0):
    """A second operand: an array, an array of integers or reals where the first is complex, or a number."""
    kind = draw.choice("array", "array", "array", "integers", "reals", "number")
    if kind == "number":
        return draw.choice(1.5, 2, -0.75, *([0.5 - 1.5j] if draw.complex else []))
    if kind == "integers":
        return draw.integers(shape, -3, 3)
    return draw.reals(shape, low, high) if kind == "reals" else draw.numbers(shape, low, high)


def two_inputs(low=-4.0, high=4.0):
    """Cases of a function of two tensors that broadcast, or of a tensor and a number."""

    def cases(draw: Draw):
        left, right = draw.shapes(2)
        return Case((draw.numbers(left, low, high), second(draw, right, low, high)))

    return cases


def unmatched(draw: Draw):
    """The calls that every function of two tensors must refuse."""
    x = draw.reals((2,), 0.25, 1)
    return [(Case((x, draw.reals((3,), 0.25, 1))), RuntimeError), (Case((x, None)), TypeError)]


def unary(
    name: str, cases: Callable[[Draw], Case], *aliases: str, **flags: Any
) -> Callable[[Callable[..., Any]], Rule]:
    """Register a function of the elements of one tensor that takes integers and bools to reals."""

    def register(fn: Callable[..., Any]) -> Rule:
        @functools.wraps(fn)
        def promoted(input, *args, **options):
            return fn(floating(input), *args, **options)

        return rule(name, cases=cases, errors=not_a_tensor, aliases=aliases, elementwise=True, **flags)(promoted)

    return register


def to(x, g):
    """The gradient g of a broadcast argument as x wants it; None where x has no gradient."""
    return unbroadcast(g, x.shape) if is_inexact(x) else None


def scaled_cases(draw: Draw):
    left, right = draw.shapes(2)
    alpha = draw.choice(1, 2, -0.5, *([1 - 0.5j] if draw.complex else []))
    if draw.boolean():
        return Case((draw.numbers(left), draw.numbers(right)), dict(alpha=alpha))
    return Case((draw.numbers(left), second(draw, right)))


def weighted(alpha, other):
    return other if alpha is True or alpha == 1 else np.multiply(alpha, other)  # bools stay bools


@rule("add", cases=scaled_cases, errors=unmatched, complex=True, special="ieee")
def add(input: Array | float, other: Array | float, *, alpha=1):
    """input + alpha other; alpha is a number.

    input, other: broadcast to the output.  Source: torch.add.
    """
    a, b = matched(input, other)
    return np.add(a, weighted(alpha, b)), lambda g: (to(input, g), to(other, weighted(alpha.conjugate(), g)))


@rule("sub", cases=scaled_cases, errors=unmatched, aliases=("subtract",), complex=True, special="ieee")
def sub(input: Array | float, other: Array | float, *, alpha=1):
    """input - alpha other; alpha is a number.

    input, other: broadcast to the output.  Source: torch.sub.
    """
    a, b = matched(input, other)
    return np.subtract(a, weighted(alpha, b)), lambda g: (to(input, g), to(other, -weighted(alpha.conjugate(), g)))


@rule("rsub", cases=scaled_cases, errors=unmatched, method=False, complex=True, special="ieee")
def rsub(input: Array | float, other: Array | float, *, alpha=1):
    """other - alpha input; alpha is a number.

    input, other: broadcast to the output.  Source: torch.rsub.
    """
    a, b = matched(input, other)
    return np.subtract(b, weighted(alpha, a)), lambda g: (to(input, -weighted(alpha.conjugate(), g)), to(other, g))


@rule("mul", cases=two_inputs(), errors=unmatched, aliases=("multiply",), complex=True, special="ieee")
def mul(input: Array | float, other: Array | float):
    """input other.

    input, other: broadcast to the output.  Source: torch.mul.
    """
    a, b = matched(input, other)
    return np.multiply(a, b), lambda g: (to(input, g * conj(b)), to(other, g * conj(a)))


def quotient_cases(draw: Draw):
    left, right = draw.shapes(2)
    divisor = draw.choice(nonzero(draw, right), nonzero(draw, right), 1.5, -2)
    mode = {} if draw.complex else draw.choice({}, dict(rounding_mode=draw.choice(None, "trunc", "floor")))
    return Case((draw.numbers(left), divisor), mode)


def refused_rounding(draw: Draw):
    x = draw.reals((2,), 0.25, 1)
    return [*unmatched(draw), (Case((x, x), dict(rounding_mode="round")), RuntimeError)]


@rule("div", cases=quotient_cases, errors=refused_rounding, aliases=("divide",), complex=True, special="ieee")
def div(input: Array | float, other: Array | float, *, rounding_mode=None):
    """input / other, rounded towards zero ("trunc"), down ("floor") or not; a rounded one has gradient 0.

    input, other: broadcast to the output; integers stay integers when rounded.  Source: torch.div.
    """
    if rounding_mode is None:
        a, b = matched(input, other)
        out = np.true_divide(a, b)
        return out, lambda g: (to(input, g / conj(b)), to(other, -g * conj(out / b)))
    top, bottom = np.real(input), np.real(other)
    if rounding_mode == "floor" or np.result_type(top, bottom).kind in "iu":
        out = np.floor_divide(top, bottom)
        if rounding_mode == "trunc":  # one more than the floor where a negative quotient is not whole
            out = out + ((out < 0) & (np.fmod(top, bottom) != 0))
    else:
        out = np.trunc(np.true_divide(top, bottom))
    return out, lambda g: (to(input, np.zeros_like(g)), to(other, np.zeros_like(g)))


@rule(
    "true_divide",
    cases=lambda draw: Case(quotient_cases(draw).args),
    errors=unmatched,
    complex=True,
    special="ieee",
)
def true_divide(input: Array | float, other: Array | float):
    """input / other.

    input, other: broadcast to the output.  Source: torch.true_divide.
    """
    return div.fn(input, other)


@rule(
    "neg", cases=one_input(), errors=not_a_tensor, aliases=("negative",), complex=True, special="ieee", elementwise=True
)
def neg(input: Array):
    """-x.

    input, output: (*).  Source: torch.neg.
    """
    return -input, lambda g: (-g,)


def modulus_cases(draw: Draw):
    return Case((nonzero(draw, draw.shape()),)) if draw.complex else one_input()(draw)


@rule(
    "abs",
    cases=modulus_cases,
    errors=not_a_tensor,
    aliases=("absolute",),
    complex=True,
    special="ieee",
    elementwise=True,
)
def abs_(input: Array):
    """|x|, real; the derivative at 0 is 0.

    input, output: (*).  Source: torch.abs.
    """
    if input.dtype.kind not in "fc":
        return np.abs(input), lambda g: (None,)
    if is_stepping() or input.dtype.kind == "f":
        return (absolute(input) if is_stepping() else np.abs(input)), lambda g: (g * np.sign(input.real),)
    out = np.abs(input)
    # the gradient of |z| points along z
    return out, lambda g: (g * input / np.where(out == 0, 1.0, out),)


def lerp_cases(draw: Draw):
    start, end, weight = draw.shapes(3)
    number = draw.choice(0.25, 0.5, 0.75, 1.5, -1, *([0.5 + 0.5j] if draw.complex else []))
    return Case((draw.numbers(start), draw.numbers(end), draw.choice(draw.numbers(weight, -1.0, 2.0), number)))


def unmatched_three(draw: Draw):
    x = draw.reals((2,), 0.25, 1)
    return [(Case((x, x, draw.reals((3,), 0.25, 1))), RuntimeError)]


@rule("lerp", cases=lerp_cases, errors=unmatched_three, complex=True, special="nonfinite")
def lerp(input: Array, end: Array, weight: Array | float):
    """input + weight (end - input).

    input, end, weight: broadcast to the output; weight may be a number.  Source: torch.lerp.
    """
    way = end - input
    # from the nearer end, so that a weight of 1 gives `end` itself
    out = np.where(np.abs(weight.real) < 0.5, input + weight * way, end - (1 - weight) * way)
    return out, lambda g: (
        to(input, g * conj(1 - weight)),
        to(end, g * conj(weight)),
        to(weight, g * conj(way)),
    )


def three_cases(draw: Draw):
    a, b, c = draw.shapes(3)
    value = draw.choice(1, 2, -0.5, *([1 - 0.5j] if draw.complex else []))
    return Case((draw.numbers(a), draw.numbers(b), nonzero(draw, c)), dict(value=value))


@rule("addcmul", cases=three_cases, errors=unmatched_three, complex=True)
def addcmul(input: Array, tensor1: Array, tensor2: Array, *, value=1):
    """input + value tensor1 tensor2; value is a number.

    input, tensor1, tensor2: broadcast to the output.  Source: torch.addcmul.
    """
    return input + value * tensor1 * tensor2, lambda g: (
        to(input, g),
        to(tensor1, g * conj(value * tensor2)),
        to(tensor2, g * conj(value * tensor1)),
    )


@rule("addcdiv", cases=three_cases, errors=unmatched_three, complex=True)
def addcdiv(input: Array, tensor1: Array, tensor2: Array, *, value=1):
    """input + value tensor1 / tensor2; value is a number.

    input, tensor1, tensor2: broadcast to the output.  Source: torch.addcdiv.
    """
    return input + value * (tensor1 / tensor2), lambda g: (
        to(input, g),
        to(tensor1, g * conj(value / tensor2)),
        to(tensor2, -g * conj(value * tensor1 / (tensor2 * tensor2))),
    )
