"""Covariances and correlations of observed variables."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.precision import floating, matched
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, conj, is_stepping, rule


def observations(draw: Draw, low, **options):
    """A few variables with at least `low` observations of each; or one, as a vector."""
    count = draw.integer(0, 3)
    n = draw.side(1, 4) + low
    if draw.regime == "large":  # of many variables: long sums of products say more of matmul than of this
        count, n = 33_000 // 100 + draw.integer(0, 5), 100
    return draw.numbers((count, n) if count else (n,), -2.0, 2.0, **options)


def cov_cases(draw: Draw):
    if draw.regime == "scalar":
        return Case((draw.numbers(()),), dict(correction=0))
    x = observations(draw, 3)
    if draw.regime == "empty":
        x = x[:0] if x.ndim == 2 else x
    n = x.shape[-1]
    counts = draw.integers((n,), 0, 3)
    counts[:2] = 1, 2  # some degrees of freedom are left
    weights = draw.reals((n,), 0.5, 1.5)
    options = dict(correction=draw.integer(0, 1) if draw.boolean() else draw.choice(1, -1))
    kind = draw.integer(0, 3)
    return Case((x,), {
        **({} if draw.boolean() else options),
        **(dict(fweights=counts) if kind & 1 else {}), **(dict(aweights=weights) if kind & 2 else {}),
    })  # fmt: skip


def cov_errors(draw: Draw):
    return [
        (Case((draw.reals((2, 3, 1)),)), RuntimeError),
        (Case((draw.reals((2, 3)),), dict(fweights=draw.reals((3,)))), RuntimeError),
        (Case((draw.reals((2, 3)),), dict(aweights=draw.reals((2,), 0.5, 1.0))), RuntimeError),
    ]


SUMS = "of the sums of a hundred products the worst of 100,000 is further off than a few random roundings show"


def product_room(input, *, correction=1, fweights=None, aweights=None):
    far = np.abs(input - input.mean(axis=-1, keepdims=True))
    return far @ far.T / input.shape[-1]


@rule(
    "cov",
    cases=cov_cases,
    errors=cov_errors,
    complex=True,
    waivers=[Waiver(SUMS, room=product_room, checks=("parallel",))],
)
def cov(input: Array, *, correction=1, fweights: Array | None = None, aweights: Array | None = None):
    """sum_k w_k (x_ik - m_i) conj(x_jk - m_j) / (W - correction V), m the weighted means.

    w = fweights aweights, W their sum, V = 1, or sum_k w_k a_k / W with aweights.
    input: (n), or (v, n) with a variable in each row; fweights (how often), aweights: (n); output: (v, v), () for one.
    Source: torch.cov.
    """
    x = floating(input)
    x = x.reshape(1, -1) if x.ndim < 2 else x
    ones = np.ones(x.shape[1], x.real.dtype)
    f = ones if fweights is None else fweights.reshape(-1)
    a = ones if aweights is None else aweights.reshape(-1)
    x, f, a = matched(x, f, a)
    w = f * a
    total, square = w.sum(), (w * a).sum()
    freedom = total - correction * (1.0 if aweights is None else square / total)
    far = x - (x @ w / total)[:, None]
    c = (far * w) @ conj(far).T / freedom

    def vjp(g):
        g = g.reshape(c.shape)
        by_left, by_right = g @ far / freedom, conj(g).T @ far * w / freedom
        # the means move nothing: the weighted deviations from them add up to zero
        gx = (by_left * w + by_right).reshape(input.shape)
        if aweights is None:
            return gx, None, None
        gw = (conj(far) * by_left).sum(axis=0)
        inner = (conj(g) * c).sum()
        if not is_stepping():
            gw, inner = gw.real, inner.real
        # freedom = W - correction sum f a^2 / W
        slope = f - correction * (2.0 * w / total - square * f / total**2)
        return gx, None, (f * gw - inner / freedom * slope).reshape(aweights.shape)

    return c.reshape(c.shape if len(c) != 1 else ()), vjp


def corrcoef_cases(draw: Draw):
    # no variable may be constant
    x = observations(draw, 3, distinct=True)
    return Case((x[:0] if draw.regime == "empty" and x.ndim == 2 else x,))


def shares(input):
    """|d c_ii / d x_ik| / c_ii: what cancels in the derivatives of the correlations."""
    x = input.reshape(-1, input.shape[-1])
    far = np.abs(x - x.mean(axis=1, keepdims=True))
    return 2.0 * far / (far**2).sum(axis=1, keepdims=True) if x.size else np.zeros((1, 1))


JACOBIANS = ("func_jacrev", "func_jacfwd")
TANGENTS = ("jvp", "func_jvp", *JACOBIANS)
SAME = "the derivative of a variable's correlation with itself is c' / c - c' / c, and rounded"


@rule(
    "corrcoef",
    cases=corrcoef_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3, 1)),)), RuntimeError)],
    complex=True,
    waivers=[
        Waiver(SUMS, room=lambda input: np.ones(()), checks=("parallel",)),
        Waiver(SAME, room=lambda input: shares(input).sum(axis=1).max(initial=0.0), checks=TANGENTS),
        Waiver(SAME, room=lambda input: (shares(input).sum(axis=1) ** 2).max(initial=0.0), checks=HIGHER_ORDER),
        Waiver(
            "the reference's own difference cancels where the correlation is a variable's with itself",
            room=lambda input: 2.0**10 * (shares(input).sum(axis=1) ** 2).max(initial=0.0),
            dtypes=("complex128",),
            checks=HIGHER_ORDER,
        ),
        Waiver(
            SAME,
            room=lambda input: shares(input).max(initial=0.0),
            checks=tuple(c for c in DERIVATIVES if c not in (*TANGENTS, *HIGHER_ORDER)),
        ),
    ],
)
def corrcoef(input: Array):
    """cov(x)_ij / sqrt(cov(x)_ii cov(x)_jj); of one variable 1.

    input: (n), or (v, n) with a variable in each row; output: (v, v), () for one.  Source: torch.corrcoef.
    """
    c, back = cov.fn(input)
    square = c.reshape(1, 1) if not c.ndim else c
    variances = np.diagonal(square) if is_stepping() else np.diagonal(square).real
    deviations = np.sqrt(variances)
    scale = deviations[:, None] * deviations if c.ndim else variances[:, None]
    r = square / scale

    def vjp(g):
        g = g.reshape(r.shape)
        share = conj(g) * r
        share = share.sum(axis=0) + share.sum(axis=1)
        if not is_stepping():
            share = share.real
        gc = g / scale - np.diag(share / (2.0 * variances))
        return back(gc.reshape(c.shape))[:1]

    return r.reshape(c.shape), vjp


def vander_cases(draw: Draw):
    x = draw.numbers(draw.shape(), -1.5, 1.5)
    if draw.regime == "typical" and x.ndim and x.shape[-1] > 1 and draw.boolean():
        return Case((x,))
    return Case((x,), dict(N=draw.integer(2, 4)))


def divided_room(x, *, N=None):
    """The size of sum_k k^2 |x|^k / x^2, at each x but 0."""
    powers = np.arange(1, x.shape[-1] if N is None else N)
    size = np.where(x == 0, 1.0, np.abs(x))[..., None]
    return (powers**2 * size ** (powers - 2.0)).sum(axis=-1)


@rule(
    "linalg.vander",
    cases=vander_cases,
    errors=lambda draw: [(Case((draw.reals(()),)), RuntimeError), (Case((draw.reals((3,)),), dict(N=1)), RuntimeError)],
    complex=True,
    waivers=[
        Waiver(
            "torch takes the powers for a cumulative product, whose derivatives divide by x and cancel",
            room=divided_room,
            checks=HIGHER_ORDER,
        )
    ],
)
def vander(x: Array, *, N=None):
    """The powers x^0, x^1, ... x^(N-1) as a last dimension; N is the number of the last dimension where not given.

    x: (*, n), or a number, taken for a vector of it; output: (*, n, N).  Source: torch.linalg.vander.
    """
    wide = np.atleast_1d(x)
    wide, powers = matched(wide, np.arange(wide.shape[-1] if N is None else N))
    out = wide[..., None] ** powers

    def vjp(g):
        return ((g[..., 1:] * conj(powers[1:] * out[..., :-1])).sum(axis=-1).reshape(x.shape),)

    return out, vjp
