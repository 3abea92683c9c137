"""The matrix exponential, and the norms and products that go by several names."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.linalg import herm, normal, not_square, sized
from reference.ops.matmul import multi_dot, multi_dot_cases
from reference.ops.matrices import GAPS, gap_room, matrix_norm, matrix_norm_cases
from reference.ops.spectra import iterated
from reference.ops.vector_norm import CURVATURE, apart, away_from_zero, norm_room, vector_norm, vector_norm_cases
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, rule

DEGREE = 20  # the first term of the series that is left out is below 2^-53 for a norm of 1


def exponential(a):
    """exp of each matrix: the series for a / 2^s, of norm 1 at most, squared s times; analytic."""
    largest = np.abs(a).sum(-2).max(initial=0.0)
    s = max(0, math.ceil(math.log2(largest))) if largest > 0 else 0
    eye = np.eye(a.shape[-1], dtype=a.dtype)
    small, y = a / 2.0**s, eye
    for k in range(DEGREE, 0, -1):
        y = eye + small @ y / k
    for _ in range(s):
        y = y @ y
    return np.broadcast_to(y, a.shape)


def exp_cases(draw: Draw):
    shape, n = sized(draw, 1)
    return Case((normal(draw, (*shape, n, n)) * draw.choice(1.0, 0.01, 2.0) / max(n, 1) ** 0.5,))


def exp_room(input):
    """e to the norm: the size of the terms of the series."""
    if not input.size:
        return np.zeros(())
    return np.exp(np.linalg.norm(input, 2, (-2, -1)).max())


@rule(
    "linalg.matrix_exp",
    cases=exp_cases,
    errors=not_square,
    aliases=("matrix_exp", "Tensor.matrix_exp"),
    complex=True,
    waivers=[
        Waiver("the terms of the series are as large as e to the norm of the matrix", room=exp_room),
        Waiver(
            "torch scales and squares by the norm of the cotangent also",
            room=lambda input: input.shape[-1] * exp_room(input),
            checks=DERIVATIVES,
        ),
    ],
)
def matrix_exp(input: Array):
    """The sum of A^k / k!; the gradient for g is the upper right block of exp([[A^H, g], [0, A^H]]).

    input, output: (*, n, n).  Source: Mathias, SIAM J. Matrix Anal. 17 (1996), theorem 2.1; torch.linalg.matrix_exp.
    """
    n = input.shape[-1]

    def vjp(g):
        ah = herm(input)
        top, low = np.concatenate([ah, g], -1), np.concatenate([np.zeros_like(ah), ah], -1)
        return (exponential(np.concatenate([top, low], -2))[..., :n, n:],)

    return exponential(input), vjp


def chain_cases(draw: Draw):
    (arrays,) = multi_dot_cases(draw).args
    arrays = [a for a in arrays if a.ndim == 2]
    return Case(tuple(arrays) or (draw.numbers((2, 2)),))


@rule("chain_matmul", cases=chain_cases, complex=True, method=False, errors=lambda draw: [
    (Case((draw.reals((2, 3)), draw.reals((2, 3)))), RuntimeError),
    (Case((draw.reals((2, 3)), draw.reals((3,)))), RuntimeError),
])  # fmt: skip
def chain_matmul(*matrices: Array):
    """The product of matrices; one alone is itself.

    matrices: (n, m), (m, k), ..., as arguments or as one list; output: (n, z).  Source: torch.chain_matmul.
    """
    as_list = isinstance(matrices[0], (list, tuple))
    y, back = multi_dot.fn(list(matrices[0] if as_list else matrices))
    return y, lambda g: ((back(g)[0],) if as_list else back(g)[0],)


def is_matrix_norm(input, ord, dim):
    over = input.ndim if dim is None else 1 if isinstance(dim, int) else len(dim)
    return ord is not None and over == 2


def norm_of(input, ord, dim, keepdim, dtype):
    """The vector or the matrix norm that linalg.norm means."""
    if is_matrix_norm(input, ord, dim):
        return matrix_norm.fn(input, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm.fn(input, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def nonzero(x):
    """x without the zeros at which a norm has no second derivative: linalg.vector_norm tests their first."""
    return away_from_zero(x) if x.dtype.kind == "c" else np.where(np.abs(x) < 0.5, 1.0, x)


def norm_cases(draw: Draw):
    if draw.boolean():
        case = matrix_norm_cases(draw)
        order = case.args[1] if len(case.args) > 1 else "fro"
        return Case((case.args[0], order), {**case.kwargs, "dim": case.kwargs.get("dim", (-2, -1))})
    x, *order = vector_norm_cases(draw).args
    dim = draw.choice(None, *range(-x.ndim, x.ndim))
    options = draw.choice({}, dict(dim=dim, keepdim=draw.boolean()))
    if order and (x.ndim if options.get("dim") is None else 1) != 1:  # an order asks for one dimension, or two
        return Case((nonzero(x),), options)
    if order and order[0] in (math.inf, -math.inf, -1.0) and 0 in x.shape:
        order = []
    return Case((nonzero(x), *order), options)


def any_room(input, ord=None, dim=None, keepdim=False, *, dtype=None):
    return norm_room(input, 2 if is_matrix_norm(input, ord, dim) or ord is None else ord, dim, keepdim)


def any_gap_room(input, ord=None, dim=None, keepdim=False, *, dtype=None):
    return gap_room(input, ord, (-2, -1) if dim is None else dim) if is_matrix_norm(input, ord, dim) else np.zeros(())


@rule(
    "linalg.norm",
    cases=norm_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 3)), RuntimeError),
        (Case((draw.reals((2, 3, 4)), 2)), RuntimeError),
        (Case((draw.reals((3,)), "nuc")), RuntimeError),
    ],
    complex=True,
    waivers=[
        Waiver(CURVATURE.reason, room=any_room, checks=HIGHER_ORDER),
        *iterated([Waiver(GAPS, room=any_gap_room, checks=DERIVATIVES)]),
    ],
)
def norm(input: Array, ord=None, dim=None, keepdim=False, *, dtype=None):
    """linalg.vector_norm over one dimension, linalg.matrix_norm over two; without an order 2, over any.

    input: (*); output: real, without the dimensions `dim` (all of them without it).  Source: torch.linalg.norm.
    """
    return norm_of(input, ord, dim, keepdim, dtype)


def frobenius_cases(draw: Draw):
    x = draw.numbers(draw.shape(2, 3, min_side=0))
    dim = draw.choice((), draw.permutation(x.ndim)[:2], draw.dim(x.ndim))
    return Case((nonzero(x), dim), dict(keepdim=draw.boolean()))


@rule(
    "frobenius_norm",
    cases=frobenius_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), 2)), IndexError)],
    complex=True,
    method=False,
    waivers=[
        Waiver(
            CURVATURE.reason,
            room=lambda input, dim, keepdim=False: norm_room(input, 2, dim, keepdim),
            checks=HIGHER_ORDER,
        )
    ],
)
def frobenius_norm(input: Array, dim, keepdim=False):
    """The root of the sum of squares over one dimension, two, or with dim=() all.

    input: (*); output: real, without these.  Source: torch.linalg.norm.
    """
    return vector_norm.fn(input, 2, None if isinstance(dim, (tuple, list)) and not dim else dim, keepdim)


def nuclear_cases(draw: Draw):
    shape = (9000, 2, 2) if draw.regime == "large" else tuple(max(n, 1) for n in draw.shape(2, 3))
    dim = (1, 2) if draw.regime == "large" else draw.permutation(len(shape))[:2]
    x = apart(draw.numbers(shape), dim)
    if dim == (0, 1) and len(shape) == 2:
        return Case((x,), draw.choice({}, dict(keepdim=True)))
    return Case((x, tuple(d - len(shape) if draw.boolean() else d for d in dim)), dict(keepdim=draw.boolean()))


def nuclear_room(input, dim=None, keepdim=False):
    return gap_room(input, "nuc", (-2, -1) if dim is None or isinstance(dim, bool) else dim)


@rule(
    "nuclear_norm",
    cases=nuclear_cases,
    errors=lambda draw: [(Case((draw.reals((3,)),)), RuntimeError)],
    complex=True,
    method=False,
    waivers=iterated([Waiver(GAPS, room=nuclear_room, checks=DERIVATIVES)]),
)
def nuclear_norm(input: Array, dim=None, keepdim=False):
    """The sum of the singular values of the matrices in two dimensions, by default the last; keepdim may stand second.

    input: (*); output: real, without these.  Source: torch.linalg.matrix_norm.
    """
    if isinstance(dim, bool):
        dim, keepdim = None, dim
    return matrix_norm.fn(input, "nuc", (-2, -1) if dim is None else dim, keepdim)
