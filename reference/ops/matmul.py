"""Products of vectors and matrices."""

from __future__ import annotations

import itertools

import numpy as np

from reference.draw import Draw
from reference.rule import Array, Case, conj, rule, unbroadcast


def product(a, b):
    """np.matmul and its vjp: vectors are rows on the left and columns on the right, batches broadcast."""
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b

    def vjp(g):
        g = np.expand_dims(g, [-1, -2][: b.ndim == 1] + [-2] * (a.ndim == 1 and b.ndim > 1))
        g = g[..., None, :] if a.ndim == 1 and b.ndim == 1 else g
        grad_a = np.matmul(g, conj(right).swapaxes(-1, -2))
        grad_b = np.matmul(conj(left).swapaxes(-1, -2), g)
        return (
            unbroadcast(grad_a, left.shape).reshape(a.shape),
            unbroadcast(grad_b, right.shape).reshape(b.shape),
        )

    return np.matmul(a, b), vjp


def whole(x, factor):
    """`factor` for an array `x`: torch takes its whole part among integers."""
    return int(factor) if x.dtype.kind in "iu" else factor


def blended(input, beta, multiplied, alpha):
    """beta input + alpha y of a product (y, vjp); `input` broadcasts, and is not read at beta = 0."""
    y, back = multiplied
    alpha, beta = whole(y, alpha), whole(y, beta)
    out = alpha * y if beta == 0 else alpha * y + beta * input
    if y.dtype.kind == "b":  # sums and products of bools are "or" and "and"
        out = out != 0

    def vjp(g):
        return unbroadcast(beta.conjugate() * g, input.shape), *back(alpha.conjugate() * g)

    return out, vjp


def mismatched(*shapes):
    """The call with arrays of these shapes must be refused."""
    return lambda draw: [(Case(tuple(draw.reals(s) for s in shapes)), RuntimeError)]


def matmul_cases(draw: Draw):
    n, m, k = draw.side(0), draw.side(0), draw.side(0)
    kind = draw.choice("batched", "mm", "mv", "vm", "dot", "vector left", "vector right")
    batches = draw.choice(((), ()), ((2,), (2,)), ((), (3,)), ((2, 1), (3,)), ((1,), (2,)), ((2,), ()))
    left, right = batches if kind in ("batched", "vector left", "vector right") else ((), ())
    a = (m,) if kind in ("vm", "dot", "vector left") else (*left, n, m)
    b = (m,) if kind in ("mv", "dot", "vector right") else (*right, m, k)
    return Case((draw.numbers(a), draw.numbers(b)))


@rule(
    "matmul",
    cases=matmul_cases,
    errors=mismatched((2, 3), (2, 3)),
    aliases=("linalg.matmul",),
    complex=True,
)
def matmul(input: Array, other: Array):
    """The matrix product; a vector is a row on the left, a column on the right; batches broadcast.

    input: (*, n, m) or (m); other: (*, m, k) or (m); output: (*, n, k).  Source: torch.matmul.
    """
    return product(input, other)


def mm_cases(draw: Draw):
    n, m, k = draw.side(0), draw.side(0), draw.side(0)
    return Case((draw.numbers((n, m)), draw.numbers((m, k))))


@rule("mm", cases=mm_cases, errors=mismatched((2, 3), (2, 3)), complex=True)
def mm(input: Array, mat2: Array, out_dtype=None):
    """The product of two matrices.

    input: (n, m); mat2: (m, k); output: (n, k).  Source: torch.mm.
    """
    return product(input, mat2)


def bmm_cases(draw: Draw):
    b, n, m, k = draw.choice(1, 2, 3), draw.side(0), draw.side(0), draw.side(0)
    return Case((draw.numbers((b, n, m)), draw.numbers((b, m, k))))


@rule("bmm", cases=bmm_cases, errors=mismatched((2, 3, 4), (3, 4, 2)), complex=True)
def bmm(input: Array, mat2: Array, out_dtype=None):
    """The products of two equally long batches of matrices.

    input: (b, n, m); mat2: (b, m, k); output: (b, n, k).  Source: torch.bmm.
    """
    return product(input, mat2)


def mv_cases(draw: Draw):
    n, m = draw.side(0), draw.side(0)
    return Case((draw.numbers((n, m)), draw.numbers((m,))))


@rule("mv", cases=mv_cases, errors=mismatched((2, 3), (2,)), complex=True)
def mv(input: Array, vec: Array):
    """The product of a matrix and a vector.

    input: (n, m); vec: (m); output: (n).  Source: torch.mv.
    """
    return product(input, vec)


def pair_cases(draw: Draw):
    shape = draw.shape(1, 1)
    return Case((draw.numbers(shape), draw.numbers(shape)))


@rule("dot", cases=pair_cases, errors=mismatched((2,), (3,)), complex=True)
def dot(input: Array, tensor: Array):
    """sum x y, without conjugation.

    input, tensor: (n); output: ().  Source: torch.dot.
    """
    return product(input, tensor)


@rule("vdot", cases=pair_cases, errors=mismatched((2,), (3,)), complex=True)
def vdot(input: Array, other: Array):
    """sum conj(x) y.

    input, other: (n); output: ().  Source: torch.vdot.
    """
    return vecdot.fn(input, other)


def vecdot_cases(draw: Draw):
    left, right = draw.shapes(2, min_dims=1)
    n = draw.side(0) if draw.regime == "edges" else draw.integer(1, 4)
    dim = draw.choice(None, -1)
    return Case((draw.numbers((*left, n)), draw.numbers((*right, n))), {} if dim is None else dict(dim=dim))


@rule("linalg.vecdot", cases=vecdot_cases, errors=mismatched((2, 3), (2, 4)), complex=True)
def vecdot(x: Array, y: Array, *, dim=-1):
    """sum conj(x) y along `dim`.

    x, y: (*), broadcast; output: without `dim`.  Source: torch.linalg.vecdot.
    """

    def vjp(g):
        g = np.expand_dims(g, dim)
        return unbroadcast(conj(g) * y, x.shape), unbroadcast(g * x, y.shape)

    return (conj(x) * y).sum(axis=dim), vjp


def inner_cases(draw: Draw):
    if draw.integer(0, 4) == 4 or draw.regime == "scalar":
        return Case((draw.numbers(draw.shape()), draw.numbers()))
    n = draw.side(0)
    left, right = [[draw.side() for _ in range(draw.integer(0, 2))] for _ in range(2)]
    return Case((draw.numbers((*left, n)), draw.numbers((*right, n))))


@rule("inner", cases=inner_cases, errors=mismatched((2, 3), (2, 4)), complex=True)
def inner(input: Array, other: Array):
    """The sums of products over the last dimension of both; the plain product where one is 0-d.

    input: (*, n); other: (+, n); output: (*, +).  Source: torch.inner.
    """
    if input.ndim == 0 or other.ndim == 0:
        return input * other, lambda g: (
            unbroadcast(g * conj(other), input.shape),
            unbroadcast(g * conj(input), other.shape),
        )
    a, b = (x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1]) for x in (input, other))
    y, back = product(a, b.T)

    def vjp(g):
        left, right = back(g.reshape(len(a), len(b)))
        return left.reshape(input.shape), right.T.reshape(other.shape)

    return y.reshape((*input.shape[:-1], *other.shape[:-1])), vjp


def outer_cases(draw: Draw):
    return Case((draw.numbers((draw.side(0),)), draw.numbers((draw.side(0),))))


@rule("outer", cases=outer_cases, errors=mismatched((2, 3), (2,)), aliases=("ger",), complex=True)
def outer(input: Array, vec2: Array):
    """x_i y_j.

    input: (n); vec2: (m); output: (n, m).  Source: torch.outer.
    """
    return product(input[:, None], vec2[None, :])[0], lambda g: (
        np.matmul(g, conj(vec2)),
        np.matmul(conj(input), g),
    )


def multi_dot_cases(draw: Draw):
    sizes = [draw.side(0), *(draw.side() for _ in range(draw.integer(2, 4)))]
    arrays = [draw.numbers(s, -2, 2) for s in itertools.pairwise(sizes)]
    if draw.boolean():
        arrays[0] = arrays[0][:1].reshape(-1) if sizes[0] else draw.numbers((sizes[1],))
    if draw.boolean():
        arrays[-1] = arrays[-1][:, 0].copy()
    return Case((arrays,))


@rule("linalg.multi_dot", cases=multi_dot_cases, errors=lambda draw: [
    (Case(([draw.reals((2, 3))],)), RuntimeError),
    (Case(([draw.reals((2, 3)), draw.reals((2, 3))],)), RuntimeError),
], complex=True)  # fmt: skip
def multi_dot(tensors: list[Array]):
    """The product of two or more matrices; the first may be a row vector, the last a column vector.

    tensors: (n, m), (m, k), ...; output: (n, z).  Source: torch.linalg.multi_dot.
    """
    y, backs = tensors[0], []
    for x in tensors[1:]:
        y, back = product(y, x)
        backs.append(back)

    def vjp(g):
        grads = []
        for back in reversed(backs):
            g, grad = back(g)
            grads.append(grad)
        return ([g, *reversed(grads)],)

    return y, vjp
