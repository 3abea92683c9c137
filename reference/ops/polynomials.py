"""Orthogonal polynomials, by the recurrence in their degree. Torch has their values alone, no gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reference.draw import Draw
from reference.ops.arithmetic import unmatched
from reference.ops.precision import floating, operand
from reference.ops.rounding import no_gradient
from reference.rule import Array, Case, Waiver, rule


def evaluated(x, n, first, following):
    """P_n(x) from P_0 = 1, P_1 = first(x) and P_(k+1) = following(k, x, P_k, P_(k-1)); 0 for a negative degree.

    The degree is cut to a whole number. Analytic in x.
    """
    x = floating(operand(x, n))
    degree = np.trunc(np.real(n)).astype(np.int64)
    before, now = np.ones_like(x), first(x)
    out = np.where(degree == 0, before, np.where(degree == 1, now, 0.0 * x))
    for k in range(1, int(degree.max(initial=0))):
        before, now = now, following(k, x, now, before)
        out = np.where(degree == k + 1, now, out)
    return out


def degree_cases(low, high, highest):
    """An argument and a degree, either of them a tensor or a number."""

    def cases(draw: Draw):
        left, right = draw.shapes(2)
        x, n = draw.reals(left, low, high), draw.integers(right, -1, highest)
        single = draw.choice(3, 0, 1, 2, highest, -1, 2.0)
        return Case(draw.choice((x, n.astype(float)), (x, single), (x, n), (draw.choice(0.5, 2), n.astype(float))))

    return cases


def angle_room(x, n):
    """What n arccos(x) is rounded by, over the sine by which it may be divided."""
    size = np.minimum(np.abs(x), 1.0)
    within = (np.abs(x) < 1) & (np.real(n) > 6)
    return np.where(within, (np.real(n) + 1.0) / np.sqrt(np.where(within, 1.0 - size * size, 1.0)), 0.0)


def polynomial(
    name: str,
    first: Callable[..., Array],
    following: Callable[..., Array],
    span: tuple[float, float, int],
    text: str,
    waivers: Sequence[Waiver] = (),
) -> None:
    """Register torch.special.<name>."""

    def made(x: Array | float, n: Array | float):
        return evaluated(x, n, first, following), no_gradient(2)

    made.__doc__ = (
        f"{text}\n\nx: the argument, n: the degree, 0 for a negative one; broadcast to the output.\n"
        f"No gradient.  Source: torch.special.{name}; DLMF 18.9."
    )
    rule(f"special.{name}", cases=degree_cases(*span), errors=unmatched, waivers=waivers)(made)


def chebyshev(k, x, now, before):
    return 2.0 * x * now - before


def shifted(following):
    """The same on [0, 1] in place of [-1, 1]."""
    return lambda k, x, now, before: following(k, 2.0 * x - 1.0, now, before)


ANGLE = "torch takes the cosine or sine of n arccos(x) for degrees above 6, which rounds the angle"
for _kind, _first, _text in (
    ("t", lambda x: x, "first kind, cos(n arccos(x))"),
    ("u", lambda x: 2.0 * x, "second kind, sin((n + 1) t) / sin(t) with x = cos(t)"),
    ("v", lambda x: 2.0 * x - 1.0, "third kind, cos((n + 1/2) t) / cos(t / 2) with x = cos(t)"),
    ("w", lambda x: 2.0 * x + 1.0, "fourth kind, sin((n + 1/2) t) / sin(t / 2) with x = cos(t)"),
):
    _what = f"Chebyshev polynomial of the {_text}."
    polynomial(
        f"chebyshev_polynomial_{_kind}", _first, chebyshev,
        (-1.25, 1.25, 9), f"The {_what}", [Waiver(ANGLE, room=angle_room)],
    )  # fmt: skip
    polynomial(
        f"shifted_chebyshev_polynomial_{_kind}", lambda x, _first=_first: _first(2.0 * x - 1.0), shifted(chebyshev),
        (-0.125, 1.125, 9), f"At 2 x - 1, the {_what}", [Waiver(ANGLE, room=lambda x, n: angle_room(2.0 * x - 1.0, n))],
    )  # fmt: skip
polynomial(
    "hermite_polynomial_h", lambda x: 2.0 * x, lambda k, x, now, before: 2.0 * (x * now - k * before),
    (-2.0, 2.0, 5), "The physicists' Hermite polynomial.",
)  # fmt: skip
polynomial(
    "hermite_polynomial_he", lambda x: x, lambda k, x, now, before: x * now - k * before,
    (-2.0, 2.0, 6), "The probabilists' Hermite polynomial.",
)  # fmt: skip
polynomial(
    "laguerre_polynomial_l", lambda x: 1.0 - x,
    lambda k, x, now, before: ((2 * k + 1 - x) * now - k * before) / (k + 1),
    (-2.0, 6.0, 7), "The Laguerre polynomial.",
)  # fmt: skip
polynomial(
    "legendre_polynomial_p", lambda x: x,
    lambda k, x, now, before: ((2 * k + 1) * x * now - k * before) / (k + 1),
    (-1.25, 1.25, 8), "The Legendre polynomial.",
)  # fmt: skip
