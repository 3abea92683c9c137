"""Activations: elementwise functions of one tensor, as networks use them."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from reference.draw import Draw
from reference.rule import Array, Case, conj, rule


def sigma(z):
    """1 / (1 + exp(-z)) without overflow on either side; analytic."""
    e = np.exp(np.where(z.real >= 0, -z, z))
    return np.where(z.real >= 0, 1.0, e) / (1.0 + e)


def one_input(low=-8.0, high=8.0, avoid=()):
    """Cases of a function of one tensor of any shape."""
    return lambda draw: Case((draw.numbers(draw.shape(), low, high, avoid=avoid),))


def not_a_tensor(draw: Draw):
    """The call that every function of one tensor must refuse."""
    return [(Case((None,)), TypeError)]


@rule("relu", cases=one_input(), errors=not_a_tensor, aliases=("nn.functional.relu",), special="nonfinite")
def relu(input: Array, inplace=False):
    """max(x, 0); the derivative at 0 is 0.

    input, output: (*).  Source: torch.nn.ReLU.
    """
    on = ~(input.real <= 0)  # a nan passes through
    return np.where(on, input, 0.0), lambda g: (np.where(on, g, 0.0),)


@rule("tanh", cases=one_input(-5, 5), errors=not_a_tensor, aliases=("nn.functional.tanh",), complex=True, special="ieee")
def tanh(input: Array):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    input, output: (*).  Source: torch.tanh.
    """
    y = np.tanh(input)

    def vjp(g, slip=0.0):
        # 1 / cosh(x)^2 keeps its digits where 1 - y^2 cancels. Torch reads its rounded output: `slip`.
        return (g * conj(1.0 / np.cosh(input) ** 2 - 2.0 * y * slip),)

    return y, vjp


@rule(
    "sigmoid",
    cases=one_input(-10, 10),
    errors=not_a_tensor,
    aliases=("special.expit", "nn.functional.sigmoid"),
    special="nonfinite",
)
def sigmoid(input: Array):
    """1 / (1 + exp(-x)).

    input, output: (*).  Source: torch.special.expit.
    """
    y = sigma(input)

    def vjp(g, slip=0.0):
        # y (1 - y) as sigma(x) sigma(-x); torch computes it from its rounded output.
        return (g * (y * sigma(-input) + (1.0 - 2.0 * y) * slip),)

    return y, vjp


def softplus_cases(draw: Draw):
    beta = draw.choice(1.0, 0.5, 3.0)
    threshold = draw.choice(20.0, 2.0)
    return Case(
        (draw.reals(draw.shape(), -40, 40, avoid=(threshold / beta,)),), dict(beta=beta, threshold=threshold)
    )


@rule("nn.functional.softplus", cases=softplus_cases, errors=not_a_tensor)
def softplus(input: Array, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    input, output: (*).  Source: torch.nn.Softplus.
    """
    scaled = beta * input
    linear = scaled.real > threshold  # branch on the real part, so that the complex step passes through
    z = np.where(linear, 0.0, scaled)
    # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), which neither overflows nor cancels
    soft = np.where(z.real > 0, z, 0.0) + np.log1p(np.exp(np.where(z.real > 0, -z, z)))
    return np.where(linear, input, soft / beta), lambda g: (g * np.where(linear, 1.0, sigma(z)),)


def gelu_cases(draw: Draw):
    return Case((draw.reals(draw.shape(), -6, 6),), dict(approximate=draw.choice("none", "tanh")))


@rule("nn.functional.gelu", cases=gelu_cases, errors=not_a_tensor)
def gelu(input: Array, approximate="none"):
    """x Phi(x), or with approximate="tanh" x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.

    input, output: (*).  Source: Hendrycks and Gimpel, arXiv:1606.08415; torch.nn.GELU.
    """
    x = input
    if approximate == "none":
        cdf = special.erfc(-x / math.sqrt(2.0)) / 2.0
        density = np.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)
        return x * cdf, lambda g: (g * (cdf + x * density),)
    c = math.sqrt(2.0 / math.pi)
    # (1 + tanh u) / 2 is sigma(2 u)
    s, other = sigma(2.0 * c * (x + 0.044715 * x**3)), sigma(-2.0 * c * (x + 0.044715 * x**3))
    inner = 2.0 * c * (1.0 + 3 * 0.044715 * x * x)
    return x * s, lambda g: (g * (s + x * s * other * inner),)
