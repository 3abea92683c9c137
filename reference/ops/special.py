"""Special functions: the error function and its kin, gamma, Bessel, entropies and logits."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from reference.draw import Draw
from reference.ops.activation import density, lift, one_input, sigma
from reference.ops.arithmetic import to, unary, unmatched
from reference.ops.pointwise import clog1p
from reference.ops.precision import operand
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, conj, is_stepping, rule

ROOT2, ROOT_PI = math.sqrt(2.0), math.sqrt(math.pi)


def bell(x):
    """The derivative of erf."""
    return (2.0 / ROOT_PI) * np.exp(-x * x)


@unary("erf", one_input(-4, 4), "special.erf", special="ieee")
def erf(input: Array):
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    input, output: (*).  Source: torch.special.erf.
    """
    return lift(input, special.erf, bell), lambda g: (g * bell(input),)


@unary("erfc", one_input(-4, 3), "special.erfc", special="ieee")
def erfc(input: Array):
    """1 - erf(x), with its digits where erf is near 1.

    input, output: (*).  Source: torch.special.erfc.
    """
    return lift(input, special.erfc, lambda x: -bell(x)), lambda g: (-g * bell(input),)


@unary("erfinv", one_input(-0.9375, 0.9375), "special.erfinv", special="nonfinite")
def erfinv(input: Array):
    """The x with erf(x) = input, for inputs in (-1, 1).

    input, output: (*).  Source: torch.special.erfinv.
    """
    y = lift(input, special.erfinv, lambda x: 1.0 / bell(special.erfinv(x)))

    def vjp(g, slip=0.0):
        return (g / bell(y + slip),)

    return y, vjp


def plain_polygamma(n, x):
    return special.polygamma(n, x).astype(x.dtype)  # scipy has it in double precision alone


def psi(x):
    return lift(x, special.psi, lambda t: plain_polygamma(1, t))


def gamma_cases(draw: Draw):
    """Arguments away from the poles of the gamma function, at 0 and the negative integers."""
    shape = draw.shape()
    kind = draw.choice("positive", "any sign", "large")
    if kind == "positive":
        return Case((draw.reals(shape, 0.125, 8.0),))
    if kind == "large":  # where torch's series for the second derivative is exact to rounding
        return Case((draw.reals(shape, 96.0, 192.0),))
    return Case((draw.reals(shape, -3.875, 6.0, avoid=(-4.0, -3.0, -2.0, -1.0, 0.0)),))


@unary("lgamma", gamma_cases, "special.gammaln")
def lgamma(input: Array):
    """log |Gamma(x)|, infinite at 0 and the negative integers.

    input, output: (*).  Source: torch.special.gammaln.
    """

    def value(x):
        return special.gammaln(np.where(x == -np.inf, np.inf, x))  # +inf on both sides, as C has it

    return lift(input, value, special.psi), lambda g: (g * psi(input),)


@unary("digamma", gamma_cases, "special.digamma", "special.psi", special="ieee")
def digamma(input: Array):
    """Gamma'(x) / Gamma(x).

    input, output: (*).  Source: torch.special.digamma.
    """
    slope = lift(input, lambda t: plain_polygamma(1, t), lambda t: plain_polygamma(2, t))
    return psi(input), lambda g: (g * slope,)


def product_cases(low, high):
    """A factor, its zeros too, and the argument of a logarithm; either of them may be a number."""

    def cases(draw: Draw):
        left, right = draw.shapes(2)
        x, y = draw.reals(left), draw.reals(right, low, high)
        return Case(draw.choice((x, y), (x, y), (x, 2.5), (1.5, y), (0, y), (x, 2)))

    return cases


def product(x, y, log, inside):
    """x log(y) and its vjp, where the logarithm is of inside(y); 0 times any logarithm but nan is 0."""
    x, y, given = operand(x, y), operand(y, x), (x, y)
    inner = inside(y)
    nothing = (x.real == 0) & ((inner.real <= 0) | np.isinf(inner.real))
    logarithm = np.where(nothing, 0.0, log(np.where(nothing, 1.0, y)))

    def vjp(g):
        return to(given[0], g * logarithm), to(given[1], g * x / inner)

    return x * logarithm, vjp


@rule(
    "xlogy",
    cases=product_cases(0.125, 8.0),
    errors=unmatched,
    aliases=("special.xlogy",),
    special="nonfinite",
)
def xlogy(input: Array | float, other: Array | float):
    """input log(other), and 0 where input is 0 and other no nan.

    input, other: broadcast to the output.  Source: torch.special.xlogy.
    """
    return product(input, other, np.log, lambda y: y)


@rule("special.xlog1py", cases=product_cases(-0.875, 8.0), errors=unmatched, special="nonfinite")
def xlog1py(input: Array | float, other: Array | float):
    """input log(1 + other), and 0 where input is 0 and other no nan.

    input, other: broadcast to the output.  Source: torch.special.xlog1py.
    """
    return product(input, other, clog1p, lambda y: 1.0 + y)


@unary("special.entr", one_input(0.0625, 4.0), special="ieee")
def entr(input: Array):
    """-x log(x) for x > 0, 0 at 0 and -inf below.

    input, output: (*).  Source: torch.special.entr.
    """
    x = input
    plain = ~(x.real <= 0)
    log = np.log(np.where(plain, x, 1.0))
    out = np.where(x.real < 0, -np.inf, np.where(plain, -x * log, 0.0))
    return out, lambda g: (g * (-np.where(plain, log, np.log(x.real)) - 1.0),)


@unary(
    "special.ndtr",
    one_input(-4.0, 4.0),
    special="ieee",
    waivers=[Waiver("torch computes (1 + erf) / 2, which cancels for negative x", room=np.ones_like)],
)
def ndtr(input: Array):
    """The normal distribution function, erfc(-x / sqrt(2)) / 2.

    input, output: (*).  Source: torch.special.ndtr.
    """
    return lift(input, special.ndtr, density), lambda g: (g * density(input),)


def mills(x):
    """The derivative of log_ndtr, density over distribution; its own derivative is -r (x + r)."""

    def ratio(t):
        return math.sqrt(2.0 / math.pi) / special.erfcx(-t / ROOT2)

    return lift(x, ratio, lambda t: -ratio(t) * (t + ratio(t)))


@unary(
    "special.log_ndtr",
    one_input(-5.0, 3.0),
    special="ieee",
    waivers=[
        Waiver(
            "the second derivative -r (x + r), with r near -x in the lower tail, cancels",
            room=lambda input: mills(input) * (np.abs(input) + 2.0 * mills(input)),
            checks=HIGHER_ORDER,
        )
    ],
)
def log_ndtr(input: Array):
    """log(ndtr(x)), with its digits in the lower tail.

    input, output: (*).  Source: torch.special.log_ndtr.
    """
    return lift(input, special.log_ndtr, mills), lambda g: (g * mills(input),)


def over(i1, x):
    """I1(x) / x, which is 1/2 at 0."""
    return np.where(x == 0, 0.5, i1 / np.where(x == 0, 1.0, x))


@unary("i0", one_input(-8, 8), "special.i0", special="ieee")
def i0(input: Array):
    """The modified Bessel function of the first kind, of order 0.

    input, output: (*).  Source: torch.special.i0.
    """
    slope = lift(input, special.i1, lambda x: special.i0(x) - over(special.i1(x), x))
    return lift(input, special.i0, special.i1), lambda g: (g * slope,)


@unary("special.i0e", one_input(-5, 5), special="ieee")
def i0e(input: Array):
    """exp(-|x|) I0(x); the derivative at the kink in 0 is 0.

    input, output: (*).  Source: torch.special.i0e.
    """

    def slope(x):
        return special.i1e(x) - np.sign(x) * special.i0e(x)

    def curvature(x):
        return special.i0e(x) - over(special.i1e(x), x) - np.sign(x) * (special.i1e(x) + slope(x))

    def vjp(g, slip=0.0):
        return (g * (lift(input, slope, curvature) - np.sign(input.real) * slip),)

    return lift(input, special.i0e, slope), vjp


def logit_cases(draw: Draw):
    if draw.boolean():
        return Case((draw.reals(draw.shape(), 0.0625, 0.9375),))
    return Case((draw.reals(draw.shape(), -0.5, 1.5, avoid=(0.25, 0.75)),), dict(eps=0.25))


@unary("logit", logit_cases, "special.logit", special="ieee")
def logit(input: Array, eps=None):
    """log(x / (1 - x)) of x clamped to [eps, 1 - eps]; without eps nan outside of [0, 1].

    input, output: (*).  Source: torch.special.logit.
    """
    x = input
    clamped = np.zeros((), bool)
    if eps is not None:
        low, high = x.real < eps, x.real > 1.0 - eps
        clamped = low | high
        x = np.where(low, eps, np.where(high, 1.0 - eps, x))
    out = lift(x, special.logit, lambda t: 1.0 / (t * (1.0 - t)))

    def vjp(g):
        outside = np.isnan(out.real) & ~np.isnan(x.real)
        return (np.where(clamped, 0.0, np.where(outside, np.nan, g / (x * (1.0 - x)))),)

    return out, vjp


def exponents(draw: Draw):
    left, right = draw.shapes(2)
    if draw.complex:  # near a difference of i pi the sum of the exponentials vanishes
        return Case((draw.numbers(left, -1.0, 1.0), draw.numbers(right, -1.0, 1.0)))
    return Case((draw.reals(left, -8.0, 8.0), draw.reals(right, -8.0, 8.0)))


@rule("logaddexp", cases=exponents, errors=unmatched, complex=True, special="ieee")
def logaddexp(input: Array, other: Array):
    """log(exp(input) + exp(other)) without overflow.

    input, other: broadcast to the output.  Source: torch.logaddexp.
    """
    top = np.where(input.real >= other.real, input, other)
    gap = np.where(input.real >= other.real, other - input, input - other)
    real = not is_stepping() and not np.iscomplexobj(gap)
    out = np.logaddexp(input, other) if real else top + clog1p(np.exp(gap))
    return out, lambda g: (
        to(input, g * conj(sigma(input - other))),
        to(other, g * conj(sigma(other - input))),
    )
