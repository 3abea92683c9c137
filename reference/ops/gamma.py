"""The incomplete, the multivariate and the derivatives of the gamma function, and the Hurwitz zeta function."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from reference.draw import Draw
from reference.ops.activation import lift
from reference.ops.arithmetic import to, unary, unmatched
from reference.ops.precision import floating, operand
from reference.ops.special import gamma_cases, plain_polygamma, psi
from reference.rule import Array, Case, is_array, rule

STEP = 2.0**-20


def slope_of_first(value, a, x):
    """The derivative by the first argument, by a central difference: torch has none, and rounding asks for its size."""
    h = STEP * (1.0 + np.abs(a))
    return (value(a + h, x) - value(a - h, x)) / (2.0 * h)


def lift_second(value, slope, a, x):
    """value(a, x) of two reals; the step goes along slope(a, x) in x, and along a difference in a."""
    if not (np.iscomplexobj(a) or np.iscomplexobj(x)):
        return value(a, x)
    out = value(a.real, x.real) + 1j * slope(a.real, x.real) * x.imag
    return out + 1j * slope_of_first(value, a.real, x.real) * a.imag if np.iscomplexobj(a) else out


def incomplete_cases(draw: Draw):
    left, right = draw.shapes(2)
    a = draw.reals(left, 0.25, 6.0)
    if draw.integer(0, 5) == 5:  # the boundary, where the density is 0, 1 or infinite with a
        return Case((np.maximum(np.rint(a), 1.0), draw.reals(right, 0.0, 4.0)))
    if draw.integer(0, 5) == 5:  # large ones, for which there is an expansion of its own
        return Case((draw.reals(left, 24.0, 64.0), draw.reals(right, 24.0, 64.0)))
    return Case((a, draw.reals(right, 0.0625, 8.0)))


def density(a, x):
    """x^(a-1) e^-x / Gamma(a), the derivative of gammainc by x: e^-x at a = 1, at x = 0 too."""
    power = np.where(a.real == 1, 0.0, a - 1.0)
    log = np.log(np.where((a.real == 1) & (x.real == 0), 1.0, x))
    return np.exp(power * log - x - lift(a, special.gammaln, special.psi))


def leading(a, x):
    """x^a e^-x / Gamma(a + 1); for large a as exp(-a (m - log(1 + m))) with m = x / a - 1 over Stirling's series."""
    m = x / a - 1.0
    correction = 1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * a * a)) / (a * a)) / (a * a)
    large = np.exp(-a * (m - np.log1p(m)) - correction / a) / np.sqrt(2.0 * np.pi * a)
    small = np.minimum(a, 20.0)
    return np.where(a > 20.0, large, x**small * np.exp(-x) / special.gamma(small + 1.0))


def by_series(a, x):
    """P(a, x) as leading(a, x) times the sum of x^n / ((a + 1) ... (a + n)), for x < a + 1."""
    term, total = np.ones_like(x), np.ones_like(x)
    for n in range(1, 400):
        term = term * x / (a + n)
        total = total + term
        if np.all(term <= 2.0**-56 * total):
            break
    return leading(a, x) * total


def by_fraction(a, x):
    """Q(a, x) as a leading(a, x) / (x + 1 - a + (a - 1) / (x + 3 - a + 2 (a - 2) / ...)) (DLMF 8.9.2)."""
    rest = 0.0
    for n in range(100, 0, -1):
        rest = n * (a - n) / (x + (2 * n + 1) - a + rest)
    return a * leading(a, x) / (x + 1.0 - a + rest)


def incomplete(upper):
    """gammaincc or gammainc: scipy's, but where those lose up to two digits, for some small a and above 20."""
    plain = special.gammaincc if upper else special.gammainc

    def value(a, x):
        out = plain(a, x)
        small = (np.abs(a - 0.5) < 0.03125) & (x > 0.25) | (a > 0.0625) & (a < 2.5) & (x > 0.75) & (x < 2.25)
        doubtful = (small | (a > 20.0)) & (a < 200.0) & (x > 0.25) & (x < 400.0)
        if not np.any(doubtful):
            return out
        a, x = (np.broadcast_to(v, out.shape)[doubtful] for v in (a, x))
        out = np.array(out)
        fraction = x >= np.where(a < 1.0, 1.0, a + 1.0)
        part = np.where(
            fraction, by_fraction(a, np.where(fraction, x, a + 1.0)), by_series(a, np.where(fraction, 0.5, x))
        )
        out[doubtful] = np.where(fraction == upper, part, 1.0 - part)
        return out

    return value


lower_value, upper_value = incomplete(False), incomplete(True)


@rule("igamma", cases=incomplete_cases, errors=unmatched, aliases=("special.gammainc",))
def igamma(input: Array, other: Array):
    """The regularized lower incomplete gamma function P(a, x), the integral of t^(a-1) e^-t / Gamma(a) up to x.

    input (a), other (x): at least 0, broadcast to the output; torch has no gradient of a.
    Source: torch.special.gammainc.
    """
    out = lift_second(lower_value, density, input, other)
    return out, lambda g: (None, to(other, g * density(input, other)))


@rule("igammac", cases=incomplete_cases, errors=unmatched, aliases=("special.gammaincc",))
def igammac(input: Array, other: Array):
    """The regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x), with its digits where P is near 1.

    input (a), other (x): at least 0, broadcast to the output; torch has no gradient of a.
    Source: torch.special.gammaincc.
    """
    out = lift_second(upper_value, lambda a, x: -density(a, x), input, other)
    return out, lambda g: (None, to(other, -g * density(input, other)))


def multivariate_cases(draw: Draw):
    p = draw.choice(1, 2, 3, 5)
    low = (p - 1) / 2
    kind = draw.choice((low + 0.25, low + 8.0), (100.0, 192.0))
    return Case((draw.reals(draw.shape(), *kind), p))


@unary("mvlgamma", multivariate_cases, "special.multigammaln")
def mvlgamma(input: Array, p):
    """log of the multivariate gamma function: p (p - 1) / 4 log(pi) + sum over j < p of lgamma(x - j / 2).

    input, output: (*), x > (p - 1) / 2; p: at least 1.  Source: torch.special.multigammaln.
    """
    if p < 1:
        raise ValueError(f"mvlgamma: p is {p}, and has to be at least 1")
    shifted = [input - j / 2.0 for j in range(p)]
    out = p * (p - 1) / 4.0 * math.log(math.pi) + sum(lift(x, special.gammaln, special.psi) for x in shifted)
    return out, lambda g: (g * sum(psi(x) for x in shifted),)


def derivative_of_psi(n, x):
    """polygamma(n, x), with the next one for its slope."""
    if n == 0:
        return psi(x)
    return lift(x, lambda t: plain_polygamma(n, t), lambda t: plain_polygamma(n + 1, t))


def polygamma_cases(draw: Draw):
    n = draw.choice(1, 0, 2, 3, 4)
    if n == 0:
        return Case((n, gamma_cases(draw).args[0]))
    # away from the poles, near which the derivatives leave float16's range
    ranges = ((0.25, 8.0), (0.25, 8.0), (-1.75, -1.25), (96.0, 192.0)) if n == 1 else ((0.5, 8.0),)
    return Case((n, draw.reals(draw.shape(), *draw.choice(*ranges))))


@rule(
    "polygamma",
    cases=polygamma_cases,
    errors=lambda draw: [
        (Case((-1, draw.reals((2,), 1.0, 2.0))), RuntimeError),
        (Case((1.5, draw.reals((2,), 1.0, 2.0))), TypeError),
    ],
    aliases=("special.polygamma",),
    method=False,  # the method has its arguments the other way round
    elementwise=True,
)
def polygamma(n, input: Array):
    """The n-th derivative of digamma: (-1)^(n+1) n! sum over k >= 0 of (x + k)^-(n+1), for n > 0.

    n: a number of derivatives, at least 0; input, output: (*).  Source: torch.special.polygamma.
    """
    if n < 0:
        raise ValueError(f"polygamma: n is {n}, and has to be at least 0")
    x = input if input.dtype.kind in "fc" else input.astype(np.float64)
    return derivative_of_psi(n, x), lambda g: (g * derivative_of_psi(n + 1, x),)


@rule("Tensor.polygamma", cases=lambda draw: Case(polygamma_cases(draw).args[::-1]), elementwise=True)
def polygamma_of(self: Array, n):
    """polygamma(n, self).

    self, output: (*); n: a number of derivatives, at least 0.  Source: torch.Tensor.polygamma.
    """
    return polygamma.fn(n, self)


def zeta_cases(draw: Draw):
    left, right = draw.shapes(2)
    s, q = draw.reals(left, 1.25, 6.0), draw.reals(right, 0.5, 6.0)
    return Case(draw.choice((s, q), (s, q), (2, q), (1.5, q), (s, 1), (s, 2.5)))


@rule("special.zeta", cases=zeta_cases, errors=unmatched)
def zeta(input: Array | float, other: Array | float):
    """The Hurwitz zeta function, the sum over k >= 0 of (k + other)^-input; torch has no gradient of the exponent.

    input, other: broadcast to the output.  Source: torch.special.zeta.
    """
    s, q = floating(operand(input, other)), floating(operand(other, input))
    out = hurwitz(s, q)
    return out, lambda g: (None, to(other, -g * s * hurwitz(s + 1.0, q)) if is_array(other) else None)


def hurwitz(s, q):
    return lift_second(special.zeta, lambda a, b: -a * special.zeta(a + 1.0, b), s, q)
