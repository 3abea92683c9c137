"""Comparisons, tests of a number's kind, logic and integers bit by bit: values alone, none has a gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reference.draw import Draw
from reference.ops.activation import not_a_tensor
from reference.ops.arithmetic import unmatched
from reference.ops.rounding import no_gradient
from reference.rule import Array, Case, is_stepping, rule


def plain(x):
    """x, or the reals that carry a step."""
    return np.real(x) if is_stepping() else x


def compared(draw: Draw):
    """Two tensors, or a tensor and a number, of reals, integers, bools or both kinds; a quarter of them equal."""
    left, right = draw.shapes(2)
    kind = draw.choice("reals", "integers", "number", "mixed", "bools")
    if kind == "integers":
        return Case((draw.integers(left, -2, 2), draw.integers(right, -2, 2)))
    if kind == "bools":
        return Case((draw.bools(left), draw.bools(right)))
    x = np.rint(draw.numbers(left, -2.0, 2.0))
    if kind == "number":
        return Case((x, draw.choice(0, 1.0, -2)))
    return Case((x, draw.integers(right, -2, 2) if kind == "mixed" else np.rint(draw.numbers(right, -2.0, 2.0))))


def comparison(name: str, alias: str, function: Callable[..., Array], sign: str, complex: bool = False) -> None:
    """Register torch.<name>, with its longer name; torch orders no complex numbers."""

    def made(input: Array, other: Array | float):
        return function(plain(input), plain(other)), no_gradient(2)

    shapes = f"input, other: broadcast to the output, of bools.  Source: torch.{name}."
    made.__doc__ = f"input {sign} other, elementwise.\n\n{shapes}"
    rule(name, cases=compared, errors=unmatched, aliases=(alias,) if alias else (), complex=complex, special="ieee")(
        made
    )


comparison("eq", "", np.equal, "=", complex=True)
comparison("ne", "not_equal", np.not_equal, "!=", complex=True)
comparison("lt", "less", np.less, "<")
comparison("le", "less_equal", np.less_equal, "<=")
comparison("gt", "greater", np.greater, ">")
comparison("ge", "greater_equal", np.greater_equal, ">=")


def any_numbers(draw: Draw):
    """Reals (or complex numbers) with nans, infinities and negative zeros among them, integers, or bools."""
    shape = draw.shape()
    kind = draw.choice("numbers", "special", "special", "integers", "bools")
    if kind == "integers":
        return Case((draw.integers(shape, -2, 2),))
    if kind == "bools":
        return Case((draw.bools(shape),))
    x = draw.numbers(shape)
    if kind == "numbers":
        return Case((x,))
    rng = draw.generator()
    holes = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0], shape)
    return Case((np.where(rng.random(shape) < 0.5, holes, x),))


def question(name: str, function: Callable[..., Array], text: str, complex: bool = True) -> None:
    """Register torch.<name>, a test of each element."""

    def made(input: Array):
        return function(plain(input)), no_gradient()

    made.__doc__ = f"{text}\n\ninput: (*); output: (*), of bools.  Source: torch.{name}."
    rule(name, cases=any_numbers, errors=not_a_tensor, complex=complex, special="ieee")(made)


question("isnan", np.isnan, "Whether x, or a part of it, is nan.")
question("isinf", np.isinf, "Whether x, or a part of it, is infinite.")
question("isfinite", np.isfinite, "Whether x is neither nan nor infinite.")
question("isreal", np.isreal, "Whether x has no imaginary part.")
question("isposinf", lambda x: x == np.inf, "Whether x is positive infinity.", complex=False)
question("isneginf", lambda x: x == -np.inf, "Whether x is negative infinity.", complex=False)


def signed(draw: Draw):
    """Without a nan, whose sign is anything."""
    x = any_numbers(draw).args[0]
    return Case((np.where(np.isnan(x), -0.0, x) if x.dtype.kind == "f" else x,))


@rule("signbit", cases=signed, errors=not_a_tensor)
def signbit(input: Array):
    """Whether the sign is minus, that of -0 too.

    input: (*), real; output: (*), of bools.  Source: torch.signbit.
    """
    x = plain(input)
    return (np.signbit(x) if x.dtype.kind == "f" else x < 0), no_gradient()


def near_cases(draw: Draw):
    left, right = draw.shapes(2)
    if draw.integer(0, 3) == 3:
        return Case((draw.integers(left, -3, 3), draw.integers(right, -3, 3)), dict(atol=draw.choice(0.0, 1.5)))
    # the multiples of 1/4 are near or not whatever is rounded
    x, y = np.rint(draw.numbers(left) * 4) / 4, np.rint(draw.numbers(right) * 4) / 4
    options = draw.choice({}, dict(rtol=0.0, atol=0.375), dict(atol=0.625), dict(rtol=0.0, atol=0.0))
    if draw.complex or draw.boolean():
        return Case((x, y), options)
    rng = draw.generator()
    x = np.where(rng.random(x.shape) < 0.25, rng.choice([np.nan, np.inf, -np.inf], x.shape), x)
    y = np.where(rng.random(y.shape) < 0.25, rng.choice([np.nan, np.inf, -np.inf], y.shape), y)
    return Case((x, y), dict(options, equal_nan=draw.boolean()))


@rule(
    "isclose",
    cases=near_cases,
    errors=lambda draw: [
        (Case((draw.reals((2,)), draw.reals((3,)))), RuntimeError),
        (Case((draw.reals((2,)), draw.reals((2,))), dict(rtol=-1.0)), RuntimeError),
    ],
    complex=True,
)
def isclose(input: Array, other: Array, rtol=1e-05, atol=1e-08, equal_nan=False):
    """|input - other| <= atol + rtol |other|; what is not finite is close to its equal alone.

    input, other: of one dtype, broadcast to the output, of bools.  Source: torch.isclose.
    """
    a, b = plain(input), plain(other)
    close = a == b
    if equal_nan:
        close = close | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= atol + np.abs(rtol * b)
    return close | (np.isfinite(a) & np.isfinite(b) & near), no_gradient(2)


def truths(draw: Draw):
    left, right = draw.shapes(2)
    kind = draw.choice("bools", "numbers", "integers")
    if kind == "numbers":
        x, y = np.rint(draw.numbers(left, -1.0, 1.0)), np.rint(draw.numbers(right, -1.0, 1.0))
        return Case((x, draw.choice(y, draw.integers(right, 0, 1))))
    drawn = draw.bools if kind == "bools" else lambda shape: draw.integers(shape, -1, 1)
    return Case((drawn(left), drawn(right)))


def logical(name: str, function: Callable[..., Array], text: str) -> None:
    """Register torch.logical_<name> of two tensors."""

    def made(input: Array, other: Array):
        return function(plain(input) != 0, plain(other) != 0), no_gradient(2)

    shapes = f"input, other: broadcast to the output, of bools.  Source: torch.logical_{name}."
    made.__doc__ = f"{text}, where what is not 0 is true.\n\n{shapes}"
    rule(f"logical_{name}", cases=truths, errors=unmatched, complex=True, special="ieee")(made)


logical("and", np.logical_and, "Whether both are true")
logical("or", np.logical_or, "Whether one or both are true")
logical("xor", np.logical_xor, "Whether one alone is true")


@rule("logical_not", cases=lambda draw: Case(truths(draw).args[:1]), errors=not_a_tensor, complex=True, special="ieee")
def logical_not(input: Array):
    """Whether x is 0.

    input: (*); output: (*), of bools.  Source: torch.logical_not.
    """
    return plain(input) == 0, no_gradient()
