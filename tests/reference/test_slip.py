"""Backward formulas that read the output beside the inputs: an error of the output moves them as their derivative says.

The formula is written once more as a function of the inputs and of the output y. At y it is the gradient; its complex
step along an error of y is what `slip` adds. Where the gradient is a function of the output alone, test_proofs has it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from reference import lookup, rules
from reference.derive import STEP
from reference.rule import stepping
from tests.reference.proof import draw_call
from tests.reference.test_proofs import GRADIENT_OF_THE_OUTPUT_ALONE

RNG = np.random.default_rng(5)
X, Z = RNG.uniform(0.5, 2.0, (3, 4)) * RNG.choice([-1.0, 1.0], (3, 4)), RNG.uniform(0.5, 2.0, (3, 4))
A = RNG.standard_normal((2, 3, 3)) + 3.0 * np.eye(3)
B = RNG.standard_normal((2, 3, 2))
TALL = RNG.standard_normal((4, 3))
LOW = np.tril(A[0])
FOUR = A[0][:, None, :, None] * np.array([[3.0, 1.0], [-1.0, 2.0]])[None, :, None]  # (3, 2, 3, 2)
AT = np.array([0, 0, 3, 1])
LENGTHS = np.array([1, 2])
DEFINITE = LOW @ LOW.T
Q, K, V = (RNG.standard_normal((1, 1, n, 2)) for n in (2, 3, 3))


def t(a):
    return a.swapaxes(-1, -2)


def norm(order, axis=None):
    """d |x|_p / dx = sign(x) (|x| / y)^(p - 1), of which y is read."""

    def formula(y, g, x):
        whole = (y, g) if axis is None else (np.expand_dims(y, axis), np.expand_dims(g, axis))
        return [whole[1] * np.sign(x) * np.abs(x) ** (order - 1) * whole[0] ** (1 - order)]

    return formula


def solution(transposed=False):
    def formula(y, g, a, b):
        by_b = np.linalg.solve(a if transposed else t(a), g)
        return [-(y @ t(by_b) if transposed else by_b @ t(y)), by_b]

    return formula


def triangular(y, g, a, b):
    by_b = np.linalg.solve(t(np.triu(a)), g)
    return [np.triu(-by_b @ t(y)), by_b]


def definite(y, g, b, low):
    """X = (L L^T)^-1 B: the gradient of the product is that of a solution, and comes to L as (G + G^T) L."""
    by_b = np.linalg.solve(low @ low.T, g)
    inner = -by_b @ y.T
    return [by_b, np.tril((inner + inner.T) @ low)]


def factored(y, g, packed, pivots, b):
    """A = L U without exchanges, in one square: the gradient of A is taken apart as A is."""
    low, up = np.tril(packed, -1) + np.eye(len(packed)), np.triu(packed)
    by_b = np.linalg.solve((low @ up).T, g)
    by_a = -by_b @ y.T
    return [np.tril(by_a @ up.T, -1) + np.triu(low.T @ by_a), None, by_b]


def tensor_solution(y, g, a, b):
    by_b = np.linalg.tensorsolve(np.moveaxis(a, (0, 1), (2, 3)), g)
    return [-np.multiply.outer(by_b, y), by_b]


def segments(y, g, x):
    which = np.repeat([0, 1], LENGTHS)
    return [(g * y)[which] / x]


def multiplied(y, g, x, index, factors):
    """Places of dimension 1 hold the product of their own element and of the factors that the index sends there."""
    return [g * y / x, None, (g * y)[:, index] / factors]


def pseudoinverse(y, g, a):
    """Golub and Pereyra (1973)."""
    m, n = a.shape
    return [-y.T @ g @ y.T + (np.eye(m) - a @ y) @ g.T @ y @ y.T + y.T @ y @ g.T @ (np.eye(n) - y @ a)]


def attention(y, g, q, k, v):
    w = special.softmax(q @ t(k) / math.sqrt(2), -1)
    scores = w * (g @ t(v) - (g * y).sum(-1, keepdims=True)) / math.sqrt(2)
    return [scores @ k, t(scores) @ q, t(w) @ g]


def gated(y, g, x):
    """y = a s with s = sigmoid(b): a s (1 - s), in which both s are as far off as y is from a s, in place of s."""
    a, s = x[:, :2], special.expit(x[:, 2:])
    off = y - a * s
    return [np.concatenate([g * s, g * (a * s * (1 - s) + (1 - 2 * s) * off)], 1)]


def pairs(y, g, x):
    gap = x[:, None] - x[None]
    each, size = np.zeros(gap.shape, np.result_type(y, g)), np.ones(gap.shape[:2], np.result_type(y))
    above = np.triu_indices(len(x), 1)
    size[above] = y
    each[above] = g[:, None] * (gap / size[..., None])[above]
    return [each.sum(1) - each.sum(0)]


def across(y, g, a, b):
    each = g[..., None] * (a[:, None] - b[None]) / y[..., None]
    return [each.sum(1), -each.sum(0)]


FORMULAS: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    *((n, (X, p), {}, norm(p)) for n in ("linalg.vector_norm", "norm") for p in (2, 2.0, 3.0, 1.5, 0.5, -1.0)),
    *((n, (X, 3.0, 1), {}, norm(3.0, 1)) for n in ("linalg.vector_norm", "norm")),
    ("linalg.norm", (X, 2.5, 0), {}, norm(2.5, 0)), ("linalg.norm", (X,), {}, norm(2)),
    ("frobenius_norm", (X, (1,)), {}, norm(2, 1)),
    ("dist", (X, Z, 3.0), {}, lambda y, g, a, b: [d := norm(3.0)(y, g, a - b)[0], -d]),
    ("pairwise_distance", (X, Z, 2.0, 0.0), {}, lambda y, g, a, b: [d := norm(2, 1)(y, g, a - b)[0], -d]),
    ("cdist", (X, Z), {}, across), ("nn.functional.pdist", (X,), {}, pairs),
    ("hypot", (X, Z), {}, lambda y, g, a, b: [g * a / y, g * b / y]),
    ("prod", (X,), {}, lambda y, g, x: [g * y / x]),
    ("prod", (X, 0), {}, lambda y, g, x: [g * y / x]),
    ("cumprod", (X, 1), {}, lambda y, g, x: [np.cumsum((g * y)[:, ::-1], 1)[:, ::-1] / x]),
    ("logsumexp", (X, 1), {}, lambda y, g, x: [(g * np.exp(-y))[:, None] * np.exp(x)]),
    ("logcumsumexp", (X, 1), {}, lambda y, g, x: [np.cumsum((g * np.exp(-y))[:, ::-1], 1)[:, ::-1] * np.exp(x)]),
    ("std", (X, 1), {}, lambda y, g, x: [(g / y)[:, None] * (x - x.mean(1, keepdims=True)) / 3]),
    ("std", (X,), dict(correction=0), lambda y, g, x: [g / y * (x - x.mean()) / 12]),
    *((n, (Z, X), {}, lambda y, g, a, b: [g * b * a ** (b - 1), g * y * np.log(a)]) for n in ("pow", "float_power")),
    ("special.i0e", (X,), {}, lambda y, g, x: [g * (special.i1e(x) - np.sign(x) * y)]),
    ("special.i1e", (X,), {}, lambda y, g, x: [g * (special.i0e(x) - y * (np.sign(x) + 1 / x))]),
    ("special.erfcx", (X,), {}, lambda y, g, x: [g * (2 * x * y - 2 / math.sqrt(math.pi))]),
    ("nn.functional.glu", (X,), {}, gated),
    ("linalg.det", (A,), {}, lambda y, g, a: [(g * y)[:, None, None] * t(np.linalg.inv(a))]),
    ("linalg.solve", (A, B), {}, solution()), ("linalg.solve", (A[0], B[0]), {}, solution()),
    ("linalg.lu_solve", (A[0], np.arange(1, 4), B[0]), {}, factored),
    ("lu_solve", (B[0], A[0], np.arange(1, 4)), {}, lambda y, g, b, a, p: factored(y, g, a, p, b)[::-2] + [None]),
    ("linalg.tensorsolve", (FOUR, X[:, :2]), {}, tensor_solution),
    ("segment_reduce", (X, "prod"), dict(lengths=LENGTHS), segments),
    ("index_reduce", (X, 1, AT, Z, "prod"), {}, multiplied),
    (
        *("scatter_reduce", (X, 1, np.tile(AT, (3, 1)), Z, "prod"), {}),
        lambda y, g, x, index, factors: multiplied(y, g, x, index[0], factors),
    ),
    ("linalg.solve_triangular", (A, B), dict(upper=True), triangular),
    ("cholesky_solve", (B[0], LOW), {}, definite),
    ("cholesky_inverse", (LOW,), {}, lambda y, g, low: [np.tril(-y @ (g + g.T) @ y.T @ low)]),
    *((n, (TALL,), {}, pseudoinverse) for n in ("linalg.pinv", "pinverse")),
    ("nn.functional.scaled_dot_product_attention", (Q, K, V), {}, attention),
]  # fmt: skip


@pytest.mark.parametrize("name, args, options, formula", FORMULAS, ids=[f[0] for f in FORMULAS])
def test_the_gradient_moves_with_the_output_that_it_reads(name, args, options, formula):
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    y, vjp = lookup(name)(*args, **options)
    g, slip = RNG.standard_normal(y.shape), RNG.standard_normal(y.shape)
    assert vjp.reads_output
    for got, want in zip(vjp(g), formula(y, g, *arrays)):
        assert (got is None) == (want is None)
        assert got is None or np.allclose(got, want, rtol=1e-10, atol=1e-11)
    with stepping():
        slipped = vjp(g, 1j * STEP * slip)
    for got, want in zip(slipped, formula(y + 1j * STEP * slip, g, *arrays)):
        assert got is None or np.allclose(got.imag / STEP, want.imag / STEP, rtol=1e-9, atol=1e-10)


# test_recurrent has the first; in the second an error of h has no part
ELSEWHERE = {"rnn_tanh_cell", "lstm_cell"}


@pytest.mark.parametrize("name", sorted(set(rules()) - set(GRADIENT_OF_THE_OUTPUT_ALONE) - ELSEWHERE))
def test_every_formula_that_reads_its_output_is_here(name):
    proved = {f[0] for f in FORMULAS}
    for seed in range(3):
        call = draw_call(rules()[name], seed)
        assert name in proved or not call.run(call.arrays)[1].reads_output
