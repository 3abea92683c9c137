"""Pseudoinverses and least squares, rank and condition.

The differential of a pseudoinverse is that of Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973), 413-432.
"""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.linalg import herm, inverse, normal, square
from reference.ops.matrices import matrix_norm
from reference.ops.singular import apart, no_matrix, rectangle, svd_adjoint, svd_of
from reference.ops.spectra import LOSS, even, iterated, scaled, sizes, spaced
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, is_stepping, rule, unbroadcast

EPS = float(np.finfo(np.float64).eps)


def cutoff(a, s, atol, rtol):
    """The size up to which singular values count as zero."""
    absolute = 0.0 if atol is None else np.asarray(atol)[..., None]
    given = atol is not None and (np.asarray(atol) > 0).all()
    relative = np.asarray(0.0 if given else EPS * max(a.shape[-2:])) if rtol is None else np.asarray(rtol)
    return np.maximum(absolute, relative[..., None] * s.max(-1, keepdims=True, initial=0.0))


def pinv_of(a, atol=None, rtol=None):
    """The pseudoinverse, analytic in a real matrix along those of its rank."""
    u, s, vh = np.linalg.svd(a.real if is_stepping() else a, full_matrices=False)
    large = s > cutoff(a, s, atol, rtol)
    y = scaled(herm(vh), np.where(large, 1.0 / np.where(large, s, 1.0), 0.0)) @ herm(u)
    return y + pinv_tangent(a.real, y, 1j * a.imag) if is_stepping() else y


def inverse_rooms():
    """Waivers for the normwise errors of an inverse, and of its derivatives."""

    def room(power):
        def size(input, *args, **options):
            s = np.linalg.svd(input, compute_uv=False)
            n = max(input.shape[-2:])
            return np.asarray(n**0.5 * s.max(initial=0.0) / s.min(initial=1.0) ** power) if s.size else np.zeros(())

        return size

    return [
        Waiver(LOSS, room=room(2)),
        Waiver(LOSS, room=room(3), checks=DERIVATIVES),
        Waiver(LOSS, room=room(4), checks=HIGHER_ORDER),
    ]


LOSSES = inverse_rooms()
inverted = iterated(LOSSES)


def differenced_room(input, *args, **options):
    """The rounding of the gradient's terms over the reference's step of 2^-9."""
    room = LOSSES[-1].room
    return 2.0**9 * room(input) if room and input.dtype.kind == "c" else np.zeros(())


DIFFERENCED = Waiver(
    "the reference's derivatives of complex gradients are differences",
    room=differenced_room,
    checks=HIGHER_ORDER,
)


def complement(projector):
    """The projector on what is left of the space."""
    return np.eye(projector.shape[-1], dtype=projector.dtype) - projector


def pinv_tangent(a, y, step):
    """dY of Y = A^+ for dA."""
    sh = herm(step)
    return -y @ step @ y + y @ herm(y) @ sh @ complement(a @ y) + complement(y @ a) @ sh @ herm(y) @ y


def pinv_adjoint(a, y, g):
    """-Y^H g Y^H + (1 - A Y) g^H Y Y^H + Y^H Y g^H (1 - Y A)."""
    yh, gh = herm(y), herm(g)
    return -yh @ g @ yh + complement(a @ y) @ gh @ y @ yh + yh @ y @ gh @ complement(y @ a)


def symmetric(draw: Draw):
    """Hermitian matrices with eigenvalues of both signs, away from zero."""
    shape, n = sizes(draw)
    q, w = even(draw, shape, n), spaced(draw, shape, n, 1.0, 3.0)
    a = scaled(q, w * np.where(np.arange(n) % 2, -1.0, 1.0)) @ herm(q)
    return (a + herm(a)) / 2.0


def pinv_cases(draw: Draw):
    kind = draw.choice("default", "float", "tensor", "rcond", "rcond tensor")
    options = {
        "default": {}, "float": draw.choice(dict(rtol=1e-3), dict(atol=1e-3), dict(atol=1e-3, rtol=1e-3)),
        "tensor": dict(rtol=np.asarray(1e-3), atol=np.asarray(1e-2)), "rcond": dict(rcond=1e-3),
        "rcond tensor": dict(rcond=np.asarray(1e-3)),
    }[kind]  # fmt: skip
    if draw.integer(0, 2) == 2:
        return Case((symmetric(draw),), dict(options, hermitian=True))
    return Case((rectangle(draw),), options)


def pinv_vjp(a, y, hermitian):
    def vjp(g, slip=0.0):
        grad = pinv_adjoint(a, y + slip, g)  # torch reads its rounded pseudoinverse
        return (grad + herm(grad)) / 2.0 if hermitian else grad

    return vjp


@rule("linalg.pinv", cases=pinv_cases, errors=no_matrix, complex=True, structure="optional", waivers=inverted)
def pinv(
    input: Array,
    rcond: Array | float | None = None,
    hermitian=False,
    *,
    atol: Array | float | None = None,
    rtol: Array | float | None = None,
):
    """Y = A^+, in which singular values of max(atol, rtol * the largest) and less count as zero.

    The gradient is -Y^H g Y^H + (1 - A Y) g^H Y Y^H + Y^H Y g^H (1 - Y A), along matrices of the rank of A.
    input: (*, m, n), with hermitian=True Hermitian, of which the lower triangle is read; atol, rtol and rcond (another
    name of rtol): numbers or (*); output: (*, n, m).  Source: Golub and Pereyra (1973); torch.linalg.pinv.
    """
    a = (input + herm(input)) / 2.0 if hermitian else input
    y = pinv_of(a, atol, rcond if rtol is None else rtol)
    back = pinv_vjp(a, y, hermitian)
    return y, lambda g, slip=0.0: (back(g, slip), None, None, None)


@rule(
    "pinverse",
    cases=lambda draw: Case((rectangle(draw),), draw.choice({}, dict(rcond=1e-3))),
    errors=no_matrix,
    complex=True,
    waivers=inverted,
)
def pinverse(input: Array, rcond=1e-15):
    """linalg.pinv with rtol = rcond.

    input: (*, m, n); output: (*, n, m).  Source: torch.pinverse.
    """
    y = pinv_of(input, None, rcond)
    back = pinv_vjp(input, y, False)
    return y, lambda g, slip=0.0: (back(g, slip),)


def rank_cases(draw: Draw):
    """Products of small integers, whose rank survives every rounding."""
    shape, n = sizes(draw, 1)
    m = n if draw.integer(0, 2) == 2 else draw.integer(1, 4)
    r = draw.integer(0, min(m, n, 3))
    left = draw.integers((*shape, m, r), -2, 2).astype(np.float64)
    if m == n and draw.boolean():
        return Case((left @ left.swapaxes(-1, -2),), dict(hermitian=True))
    right = draw.integers((*shape, r, n), -2, 2).astype(np.float64)
    a = left @ (right + 1j * draw.integers(right.shape, -2, 2) if draw.complex else right)
    options = draw.choice({}, dict(rtol=1e-3), dict(atol=1e-3), dict(tol=1e-3), dict(atol=np.asarray(1e-3)))
    return Case((a,), options)


@rule("linalg.matrix_rank", cases=rank_cases, errors=no_matrix, complex=True)
def matrix_rank(
    input: Array,
    tol: Array | float | None = None,
    hermitian=False,
    *,
    atol: Array | float | None = None,
    rtol: Array | float | None = None,
):
    """The number of singular values above max(atol, rtol * the largest); tol is another name of atol.

    input: (*, m, n); output: (*) of int64, without a gradient.  Source: torch.linalg.matrix_rank.
    """
    s = np.linalg.svd(input, compute_uv=False)
    return (s > cutoff(input, s, tol if atol is None else atol, 0.0 if tol is not None else rtol)).sum(-1), (
        lambda g: (None, None, None, None)
    )


def lstsq_cases(draw: Draw):
    # singular values are taken for constants, which the differences of a complex case are not
    driver = draw.choice(None, "gelsy", "gels", *(() if draw.complex else ("gelsd", "gelss")))
    a = rectangle(draw, low=1) if draw.regime != "empty" else rectangle(draw)
    m = a.shape[-2]
    if draw.integer(0, 3) == 3 and a.ndim == 2:
        b = normal(draw, (m,))
    else:
        b = normal(draw, (*a.shape[:-2], m, draw.integer(1, 3)))
    return Case((a, b), {} if driver is None else dict(driver=driver))


@rule("linalg.lstsq", cases=lstsq_cases, complex=True, gauge="solution", waivers=inverted, errors=lambda draw: [
    (Case((draw.reals((2, 3)), draw.reals((3, 1)))), RuntimeError),
    (Case((draw.reals((2, 2)), draw.reals((2, 1))), dict(driver="gel")), RuntimeError),
])  # fmt: skip
def lstsq(input: Array, b: Array, rcond=None, *, driver=None):
    """The X of least |A X - B| (of those of least norm); the squared residuals, the rank and the singular values.

    What is not there is empty: residuals but for more rows than columns of full rank and another driver than "gelsy",
    the rank for "gels", singular values but for "gelsd" and "gelss".
    input, A: (*, m, n); b, B: (*, m, k), or vectors (*, m) with the batch of A; outputs: (*, n, k), (*, k), (*) and
    (*, min(m, n)).  Source: Golub and Pereyra (1973); torch.linalg.lstsq.
    """
    driver = driver or "gelsy"
    m, n = input.shape[-2:]
    vector = input.ndim - 1 == b.ndim and input.shape[:-1] == b.shape
    rhs = b[..., None] if vector else b
    y = pinv_of(input, None, None if driver == "gels" else rcond)
    x = y @ rhs
    s = np.linalg.svd(input.real if is_stepping() else input, compute_uv=False)
    rank = (s > cutoff(input, s, None, rcond)).sum(-1)
    nothing = np.zeros(0, s.dtype)
    full = m > n and driver != "gelsy" and bool((rank == n).all())
    error = input @ x - rhs
    square_error = error * error if is_stepping() else np.abs(error) ** 2
    residuals = square_error.sum(-2) if full else nothing
    outs = (
        x[..., 0] if vector else x, residuals, np.zeros(0, np.int64) if driver == "gels" else rank,
        s if driver in ("gelsd", "gelss") else nothing,
    )  # fmt: skip

    def vjp(gs):
        g = gs[0][..., None] if vector else gs[0]
        ga, gb = pinv_adjoint(input, y, g @ herm(rhs)), herm(y) @ g
        if full:
            pushed = 2.0 * error * gs[1][..., None, :]
            ga, gb = ga + pushed @ herm(x), gb - pushed
        ga, gb = unbroadcast(ga, input.shape), unbroadcast(gb, rhs.shape)
        return ga, gb[..., 0] if vector else gb

    return outs, vjp


ORDERS = (None, 2, -2, "fro", "nuc", 1, -1, math.inf, -math.inf)


def cond_cases(draw: Draw):
    # a difference in a complex case may step over the tie of two sums
    p = draw.choice(*ORDERS[: 5 if draw.complex else None])
    if p in (None, 2, -2):
        return Case((rectangle(draw, 1),), {} if p is None else dict(p=p))
    shape, n = sizes(draw, 1)
    # torch takes the nuclear norm by singular vectors, which are as wrong as a gap is small
    a = apart(draw, shape, n, n) if p == "nuc" else square(draw, shape, n)
    return Case((a, p))


@rule("linalg.cond", cases=cond_cases, errors=lambda draw: [
    *((Case((draw.reals((2, 3)), p)), RuntimeError) for p in ("fro", 1)),
    (Case((np.eye(2), 3)), (RuntimeError, ValueError)),  # the first until torch 2.14
], complex=True, waivers=[*inverted, DIFFERENCED])  # fmt: skip
def cond(input: Array, p=None):
    """|A| |A^-1| in the matrix norm of order p; for 2 and None the largest singular value over the smallest.

    For -2 the smallest over the largest; these are defined for matrices of any shape.
    input: (*, m, n); output: (*), real.  Source: torch.linalg.cond.
    """
    if p in (None, 2, -2):
        u, s, v = svd_of(input)
        top, low = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        y = top / low

        def ratio_vjp(g):
            gs = np.zeros(s.shape, np.result_type(g, y, low))
            first, last = (-1, 0) if p == -2 else (0, -1)
            gs[..., first] = gs[..., first] + g / low
            gs[..., last] = gs[..., last] - g * y / low
            return (svd_adjoint(u, s, v, None, gs, None),)

        return y, ratio_vjp
    y = inverse(input)
    size, by_size = matrix_norm.fn(input, p)
    other, by_other = matrix_norm.fn(y, p)

    def vjp(g):
        yh = herm(y)
        return (by_size(g * other)[0] - yh @ by_other(g * size)[0] @ yh,)

    return size * other, vjp
