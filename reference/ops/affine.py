"""A matrix product and something added: linear layers, and the addmm family with its two factors."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.matmul import blended, mismatched, outer, product
from reference.rule import Array, Case, rule, unbroadcast


def linear_cases(draw: Draw):
    n, out = draw.side(0), draw.side(0)
    lead = draw.choice((draw.side(0),), (), (2, 3), (1, 2, 2))
    vector = draw.integer(0, 4) == 4
    weight = (n,) if vector else (out, n)
    if draw.boolean():
        return Case((draw.numbers((*lead, n)), draw.numbers(weight)))
    bias = () if vector else (out,)
    return Case((draw.numbers((*lead, n)), draw.numbers(weight), draw.numbers(bias)))


@rule("nn.functional.linear", cases=linear_cases, errors=mismatched((2, 3), (4, 2)), complex=True)
def linear(input: Array, weight: Array, bias: Array | None = None):
    """x W^T + b.

    input: (*, n); weight: (m, n) or (n); bias: (m) or (); output: (*, m) or (*).
    Source: torch.nn.Linear.
    """
    y, back = product(input, weight.T)

    def vjp(g):
        grad_input, grad_weight = back(g)
        return grad_input, grad_weight.T, None if bias is None else unbroadcast(g, bias.shape)

    return y if bias is None else y + bias, vjp


def blend_cases(first, second, out):
    """Cases of beta x + alpha (a @ b): shapes are spelled with one letter for each dimension."""

    def cases(draw: Draw):
        sizes = {l: draw.integer(1, 3) if l == "b" else draw.side(0) for l in dict.fromkeys(first + second)}
        a, b = (draw.numbers([sizes[l] for l in letters]) for letters in (first, second))
        input = draw.numbers(draw.broadcast([sizes[l] for l in out]))
        options = {}
        if draw.boolean():
            options["beta"] = draw.choice(1, 2.0, 0, -0.5, *([0.5 + 1j] if draw.complex else []))
        if draw.boolean():
            options["alpha"] = draw.choice(1, 0.5, 0, -2, *([1 - 0.5j] if draw.complex else []))
        return Case((input, a, b), options)

    return cases


@rule("addmm", cases=blend_cases("nm", "mk", "nk"), errors=mismatched((2, 2), (2, 3), (2, 2)), complex=True)
def addmm(input: Array, mat1: Array, mat2: Array, out_dtype=None, *, beta=1, alpha=1):
    """beta input + alpha mat1 @ mat2; input is not read where beta = 0.

    input: broadcasts to (n, k); mat1: (n, m); mat2: (m, k); output: (n, k).  Source: torch.addmm.
    """
    return blended(input, beta, product(mat1, mat2), alpha)


@rule("addmv", cases=blend_cases("nm", "m", "n"), errors=mismatched((2,), (2, 3), (2,)), complex=True)
def addmv(input: Array, mat: Array, vec: Array, *, beta=1, alpha=1):
    """beta input + alpha mat @ vec; input is not read where beta = 0.

    input: broadcasts to (n); mat: (n, m); vec: (m); output: (n).  Source: torch.addmv.
    """
    return blended(input, beta, product(mat, vec), alpha)


@rule("addr", cases=blend_cases("n", "m", "nm"), errors=mismatched((2, 2), (3,), (2,)), complex=True)
def addr(input: Array, vec1: Array, vec2: Array, *, beta=1, alpha=1):
    """beta input + alpha vec1 vec2^T; input is not read where beta = 0.

    input: broadcasts to (n, m); vec1: (n); vec2: (m); output: (n, m).  Source: torch.addr.
    """
    return blended(input, beta, outer.fn(vec1, vec2), alpha)


@rule(
    "baddbmm",
    cases=blend_cases("bnm", "bmk", "bnk"),
    errors=mismatched((1, 2, 2), (1, 2, 3), (1, 2, 2)),
    complex=True,
)
def baddbmm(input: Array, batch1: Array, batch2: Array, out_dtype=None, *, beta=1, alpha=1):
    """beta input + alpha batch1 @ batch2; input is not read where beta = 0.

    input: broadcasts to (b, n, k); batch1: (b, n, m); batch2: (b, m, k); output: (b, n, k).
    Source: torch.baddbmm.
    """
    return blended(input, beta, product(batch1, batch2), alpha)


@rule(
    "addbmm",
    cases=blend_cases("bnm", "bmk", "nk"),
    errors=mismatched((2, 2), (1, 2, 3), (1, 2, 2)),
    complex=True,
)
def addbmm(input: Array, batch1: Array, batch2: Array, *, beta=1, alpha=1):
    """beta input + alpha sum_b batch1_b @ batch2_b; input is not read where beta = 0.

    input: broadcasts to (n, k); batch1: (b, n, m); batch2: (b, m, k); output: (n, k).
    Source: torch.addbmm.
    """
    y, back = product(batch1, batch2)
    # the cotangent of the sum serves every matrix of the batch
    return blended(input, beta, (y.sum(0), lambda g: back(np.broadcast_to(g, y.shape))), alpha)
