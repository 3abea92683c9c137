"""Activations: elementwise functions of one tensor, as networks use them.

Ranges end where a second derivative is a difference of numbers near 1 in torch: rounding alone is left of it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from reference.draw import Draw
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, conj, rule


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


@rule(
    "relu",
    cases=one_input(),
    errors=not_a_tensor,
    aliases=("nn.functional.relu",),
    special="nonfinite",
    elementwise=True,
)
def relu(input: Array, inplace=False):
    """max(x, 0); the derivative at 0 is 0.

    input, output: (*).  Source: torch.nn.ReLU.
    """
    on = ~(input.real <= 0)  # a nan passes through
    return np.where(on, input, 0), lambda g: (np.where(on, g, 0.0),)


@rule(
    "tanh",
    cases=lambda draw: one_input(-1, 1)(draw) if draw.complex else one_input(-5, 5)(draw),
    errors=not_a_tensor,
    aliases=("nn.functional.tanh",),
    complex=True,
    special="ieee",
    elementwise=True,
)
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
    cases=lambda draw: one_input(-2, 2)(draw) if draw.complex else one_input(-10, 10)(draw),
    errors=not_a_tensor,
    aliases=("special.expit", "nn.functional.sigmoid"),
    complex=True,  # between its poles at odd multiples of i pi
    special="nonfinite",
    elementwise=True,
)
def sigmoid(input: Array):
    """1 / (1 + exp(-x)).

    input, output: (*).  Source: torch.special.expit.
    """
    x = input if input.dtype.kind in "fc" else input.astype(np.float64)
    y = sigma(x)

    def vjp(g, slip=0.0):
        # y (1 - y) as sigma(x) sigma(-x); torch computes it from its rounded output.
        return (g * conj(y * sigma(-x) + (1.0 - 2.0 * y) * slip),)

    return y, vjp


def softplus_cases(draw: Draw):
    beta = draw.choice(1.0, 0.5, 3.0)
    threshold = draw.choice(20.0, 2.0)
    return Case((draw.reals(draw.shape(), -40, 40, avoid=(threshold / beta,)),), dict(beta=beta, threshold=threshold))


def softplus_room(input, beta=1.0, threshold=20.0):
    return beta * sigma(beta * input)


@rule(
    "nn.functional.softplus",
    cases=softplus_cases,
    errors=not_a_tensor,
    special="ieee",
    waivers=[
        Waiver(
            "torch computes s (1 - s) from the sigmoid s, which cancels for large beta x",
            room=softplus_room,
            checks=HIGHER_ORDER,
        )
    ],
    elementwise=True,
)
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


def lift(x, value, slope):
    """value(x); the step of a stepped x goes along slope(x), for functions that are less exact for complex numbers."""
    if not np.iscomplexobj(x):
        return value(x)
    return value(x.real) + 1j * (slope(x.real) * x.imag)


def density(x):
    """The density of the normal distribution."""
    return np.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)


def gelu_cases(draw: Draw):
    return Case((draw.reals(draw.shape(), -6, 6),), dict(approximate=draw.choice("none", "tanh")))


def gelu_room(input, *, approximate="none"):
    return 1.0 + np.abs(input)


@rule(
    "nn.functional.gelu",
    cases=gelu_cases,
    errors=not_a_tensor,
    waivers=[Waiver("torch computes 1 + erf (or 1 + tanh), which cancels for negative x", room=gelu_room)],
    special="ieee",
    elementwise=True,
)
def gelu(input: Array, *, approximate="none"):
    """x Phi(x), or with approximate="tanh" x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.

    input, output: (*).  Source: Hendrycks and Gimpel, arXiv:1606.08415; torch.nn.GELU.
    """
    x = input
    if approximate == "none":
        cdf = lift(x, special.ndtr, density)
        return x * cdf, lambda g: (g * (cdf + x * density(x)),)
    c = math.sqrt(2.0 / math.pi)
    # (1 + tanh u) / 2 is sigma(2 u)
    s, other = sigma(2.0 * c * (x + 0.044715 * x**3)), sigma(-2.0 * c * (x + 0.044715 * x**3))
    inner = 2.0 * c * (1.0 + 3 * 0.044715 * x * x)
    return x * s, lambda g: (g * (s + x * s * other * inner),)


@rule("nn.functional.silu", cases=one_input(-8, 4), errors=not_a_tensor, special="ieee", elementwise=True)
def silu(input: Array, inplace=False):
    """x sigmoid(x).

    input, output: (*).  Source: Elfwing et al., arXiv:1702.03118; torch.nn.SiLU.
    """
    x, s = input, sigma(input)
    return x * s, lambda g: (g * s * (1.0 + x * sigma(-x)),)


@rule("nn.functional.mish", cases=one_input(-8, 3), errors=not_a_tensor, special="ieee", elementwise=True)
def mish(input: Array, inplace=False):
    """x tanh(log(1 + exp(x))).

    input, output: (*).  Source: Misra, arXiv:1908.08681; torch.nn.Mish.
    """
    x = input
    right = x.real >= 0
    e = np.exp(np.where(right, -x, x))
    # with u = exp(x), tanh(log(1 + u)) is (u^2 + 2 u) / (u^2 + 2 u + 2); divided by u^2 on the right
    top, rest = np.where(right, 1.0 + 2.0 * e, e * (e + 2.0)), np.where(right, 2.0 * e * e, 2.0)
    t, left = top / (top + rest), rest / (top + rest)  # t and 1 - t
    return x * t, lambda g: (g * (t + x * left * (1.0 + t) * sigma(x)),)


@rule(
    "nn.functional.logsigmoid",
    cases=one_input(-5, 5),
    errors=not_a_tensor,
    special="ieee",
    waivers=[
        Waiver(
            "torch computes s (1 - s) from the sigmoid s, which cancels for large x",
            room=sigma,
            checks=HIGHER_ORDER,
        )
    ],
    elementwise=True,
)
def logsigmoid(input: Array):
    """log(1 / (1 + exp(-x))).

    input, output: (*).  Source: torch.nn.LogSigmoid.
    """
    x = input
    soft = np.log1p(np.exp(np.where(x.real > 0, -x, x)))
    return np.where(x.real > 0, 0.0, x) - soft, lambda g: (g * sigma(-x),)


def bent(x, above, scale, rate):
    """above x where x > 0, else scale (exp(rate x) - 1), whose derivative is the one at 0.

    The second derivative at 0 is 0, that of the straight piece.
    """
    on = x.real > 0
    below = np.where(on, 0.0, rate * x)
    curve = np.where(x.real == 0, 0.0, below)
    value = np.where(on, above * x, scale * np.expm1(below))
    return value, lambda g: (g * np.where(on, above, scale * rate * np.exp(curve)),)


@rule(
    "nn.functional.elu",
    cases=lambda draw: Case((draw.reals(draw.shape(), -6, 6), draw.choice(1.0, 0.5, 2, -1.0))),
    errors=not_a_tensor,
    special="nonfinite",
    elementwise=True,
)
def elu(input: Array, alpha=1.0, inplace=False):
    """x where x > 0, else alpha (exp(x) - 1).

    input, output: (*).  Source: Clevert et al., arXiv:1511.07289; torch.nn.ELU.
    """
    return bent(input, 1.0, alpha, 1.0)


@rule(
    "nn.functional.selu",
    cases=one_input(-6, 6),
    errors=not_a_tensor,
    aliases=("selu",),
    special="ieee",
    elementwise=True,
)
def selu(input: Array, inplace=False):
    """scale (x where x > 0, else alpha (exp(x) - 1)), with the constants that keep mean and variance.

    input, output: (*).  Source: Klambauer et al., arXiv:1706.02515; torch.nn.SELU.
    """
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return bent(input, scale, scale * alpha, 1.0)


@rule(
    "nn.functional.celu",
    cases=lambda draw: Case((draw.reals(draw.shape(), -6, 6), draw.choice(1.0, 0.8, 2, -1.0))),
    errors=lambda draw: [(Case((draw.reals((2,)), 0.0)), RuntimeError), (Case((None,)), TypeError)],
    aliases=("celu",),
    special="ieee",
    elementwise=True,
)
def celu(input: Array, alpha=1.0, inplace=False):
    """x where x > 0, else alpha (exp(x / alpha) - 1); alpha is not 0.

    input, output: (*).  Source: Barron, arXiv:1704.07483; torch.nn.CELU.
    """
    return bent(input, 1.0, alpha, 1.0 / alpha)


def glu_cases(draw: Draw):
    shape = draw.shape(min_dims=1)
    dim = draw.dim(len(shape))
    whole = list(shape)
    whole[dim] *= 2
    return Case((draw.reals(whole, -4, 4),), dict(dim=dim))


@rule(
    "nn.functional.glu",
    cases=glu_cases,
    errors=lambda draw: [(Case((draw.reals((3,)),)), RuntimeError), (Case((draw.reals(()),)), RuntimeError)],
    special="ieee",
)
def glu(input: Array, dim=-1):
    """a sigmoid(b), where a and b are the halves of the input along dim.

    input: (*, 2 n, *); output: (*, n, *).  Source: Dauphin et al., arXiv:1612.08083; torch.nn.GLU.
    """
    a, b = np.split(input, 2, axis=dim)
    s, other = sigma(b), sigma(-b)

    def vjp(g, slip=0.0):
        # torch rounds s as it rounds the output, then subtracts it from 1; a s moves by `slip` with s
        return (np.concatenate([g * s, g * (a * s * other + (1.0 - 2.0 * s) * slip)], axis=dim),)

    return a * s, vjp
