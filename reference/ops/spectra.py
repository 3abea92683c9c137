"""Eigenvalues and eigenvectors.

Eigenvectors are unique up to a phase, a sign if they are real: here their first element is positive (conformance
brings torch's to that form). The differentials are those of Giles, "Collected matrix derivative results" (2008), with
the turn that keeps the first element real: Wan and Zhang, "Automatic differentiation for complex valued SVD" (2019).
LAPACK is not analytic: in a complex step the differentials themselves are added.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from reference.draw import Draw
from reference.ops.linalg import herm, normal, not_square, solved
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, is_stepping, rule


def sizes(draw: Draw, low=0):
    """A shape of batches and the side of a matrix: few numbers, as the reference's derivatives are by element."""
    if draw.regime != "large":
        shape = draw.choice((), (1,), (2,), *(((0,),) if draw.regime == "empty" else ()))
        return shape, draw.side(low, 3)
    return draw.choice(((4000 + draw.integer(0, 9),), 3), ((), 190))


def scaled(basis, values):
    """basis diag(values)."""
    return basis * values[..., None, :]


def units(z):
    """z / |z|, and 1 for 0."""
    size = np.abs(z)
    return np.where(size == 0, 1.0, z / np.where(size == 0, 1.0, size))


def even(draw: Draw, shape, n):
    """Random unitary matrices whose first row has elements of one modulus: no phase hangs on a small number."""
    q = np.linalg.qr(normal(draw, (*shape, n, n)))[0]
    if not q.size:
        return q
    row, target = q[..., :1, :], units(normal(draw, (*shape, 1, n))) / n**0.5
    target = target * units((target.conj() * row).sum(-1, keepdims=True))
    w = herm(row - target)  # the reflection that turns one into the other
    size = (np.abs(w) ** 2).sum((-2, -1), keepdims=True)
    small = size < 1e-12
    return np.where(small, q, q - 2.0 / np.where(small, 1.0, size) * (q @ w) @ herm(w))


def spaced(draw: Draw, shape, n, low, high):
    """n values of [low, high] in each row, in ascending order, no two nearer than half of their mean distance."""
    jitter = draw.generator().uniform(-0.25, 0.25, (*shape, n))
    return low + (high - low) * (np.arange(n) + 0.5 + jitter) / max(n, 1)


def inverse_gaps(values):
    """1 / (values_j - values_i), zero on the diagonal."""
    gaps = values[..., None, :] - values[..., :, None]
    same = np.eye(values.shape[-1], dtype=bool)
    return np.where(same, 0.0, 1.0 / np.where(same, 1.0, gaps))


def is_complex(x):
    """Whether x is complex by itself, and not by a step."""
    return x.dtype.kind == "c" and not is_stepping()


def unturned(g, angles, basis):
    """The adjoint of turning columns so that their first element stays real: `angles` is that of each turn."""
    if not is_complex(basis) or not basis.size:
        return g
    first = g[..., :1, :] - 1j * (angles / basis[..., 0, :].real)[..., None, :]
    return np.concatenate([first, g[..., 1:, :]], axis=-2)


def angle_adjoint(g, basis):
    """The derivative by the angles at which the columns of `basis` are turned."""
    return (g * basis.conj()).sum(-2).imag


def hermitian(a, upper):
    """The Hermitian part of each matrix, or what one triangle says of it where the other says something else."""
    whole = (a + herm(a)) / 2.0
    half = np.triu(a, 1) if upper else np.tril(a, -1)
    read = half + herm(half) + np.eye(a.shape[-1], dtype=bool) * (a if is_stepping() else a.real)
    if not (np.abs(read - whole) > np.abs(whole).max(initial=0.0) / 16.0).any():
        return whole
    return read.real + 1j * whole.imag if is_stepping() else read


def eigh_of(a):
    """Eigenvalues in ascending order and gauged eigenvectors of Hermitian matrices, analytic in a real one."""
    w, v = np.linalg.eigh(a.real if is_stepping() else a)
    if v.size:
        v = v * units(v[..., :1, :]).conj()
    if is_stepping():
        c = herm(v) @ (1j * a.imag) @ v
        w, v = w + np.diagonal(c, 0, -2, -1), v + v @ (inverse_gaps(w) * c)
    return w, v


def eigh_adjoint(w, v, gw, gv):
    """The gradient from those of eigenvalues and gauged eigenvectors."""
    if gv is None:
        return scaled(v, gw) @ herm(v)
    gv = unturned(gv, angle_adjoint(gv, v) if is_complex(v) else None, v)
    inner = inverse_gaps(w) * (herm(v) @ gv) + gw[..., None] * np.eye(w.shape[-1], dtype=bool)
    grad = v @ inner @ herm(v)
    return (grad + herm(grad)) / 2.0


LOSS = "LAPACK's errors are those of a matrix that differs by roundings of its norm, which the gaps magnify"


def gap_rooms(spectrum):
    """Waivers for the normwise errors of a decomposition, and of its first and second derivatives.

    `spectrum` gives, for the arguments of a call, the norm of the matrix with the condition of its vectors in it,
    and the smallest gap between its values.
    """

    def room(power):
        def size(*args, **options):
            norm, gap = spectrum(*args, **options)
            n = max(args[0].shape[-2:])  # as many roundings add up at random
            return np.asarray(n**0.5 * norm * max(1.0, 1.0 / gap) ** power)

        return size

    return [
        Waiver(LOSS, room=room(1)),
        Waiver(LOSS, room=room(2), checks=DERIVATIVES),
        Waiver(LOSS, room=room(3), checks=HIGHER_ORDER),
    ]


DOUBLE = ("float64", "complex128")
STOPS = "LAPACK's iteration for singular values stops at 49 eps of the largest in double precision"


def iterated(waivers):
    """The waivers of what is made of singular values, and in double precision the same with six times the room.

    dbdsqr and zbdsqr take an element beside the diagonal for 0 below max(10, min(100, u^(-1/8))) u of the largest, with
    u half of eps: 49 eps in double precision, 5 in single, where what roundings add up to is more (8 eps for each unit
    of room). One 3 x 3 matrix in a hundred is off by more than 12 eps, in OpenBLAS and MKL alike.
    Source: LAPACK's dbdsqr, the parameter TOLMUL.
    """

    def six_times(room):
        return lambda *args, **options: 6.0 * room(*args, **options)

    more = [dataclasses.replace(w, reason=STOPS, room=six_times(w.room), dtypes=DOUBLE) for w in waivers]
    return [*waivers, *more]


def least_gap(values):
    """The smallest distance of two values of a row; 1 where there are none."""
    gaps = np.abs(values[..., None, :] - values[..., :, None])[..., ~np.eye(values.shape[-1], dtype=bool)]
    return gaps.min(initial=1.0)


def symmetric_spectrum(input, UPLO="L"):
    w, _ = np.linalg.eigh(hermitian(input, UPLO in "Uu"))
    return np.abs(w).max(initial=0.0), least_gap(w)


def general_spectrum(input):
    w, v = np.linalg.eig(input)
    condition = np.linalg.cond(v).max(initial=1.0) if v.size else 1.0
    return np.linalg.norm(input, 2, (-2, -1)).max(initial=0.0) * condition if v.size else 0.0, least_gap(w)


symmetric, general = gap_rooms(symmetric_spectrum), gap_rooms(general_spectrum)


def eigh_cases(draw: Draw):
    shape, n = sizes(draw)
    q = even(draw, shape, n)
    a = scaled(q, spaced(draw, shape, n, -2.0, 2.0)) @ herm(q)
    a = (a + herm(a)) / 2.0
    uplo = draw.choice(None, "L", "U", "l", "u")
    # the other triangle is not read; a step of one alone is none that torch's derivative knows
    if uplo and not draw.complex and draw.integer(0, 3) == 3 and draw.special:
        a = a + 8.0 * (np.tril(np.ones((n, n)), -1) if uplo in "Uu" else np.triu(np.ones((n, n)), 1))
    return Case((a,), {} if uplo is None else dict(UPLO=uplo))


def wrong_eigh(draw: Draw):
    return [*not_square(draw), (Case((np.eye(2),), dict(UPLO="X")), RuntimeError)]


@rule(
    "linalg.eigh",
    cases=eigh_cases,
    errors=wrong_eigh,
    complex=True,
    structure="hermitian",
    gauge="eigh",
    waivers=symmetric,
)
def eigh(input: Array, UPLO="L"):
    """w and V of A = V diag(w) V^H, where w is ascending and V unitary, its first row positive.

    With C = V^H dA V: dw = Re diag C, dV = V (C / (w_j - w_i) off the diagonal) up to a turn of the columns.
    One triangle is read; the derivatives are those along Hermitian matrices.
    input: (*, n, n); outputs: (*, n), real, and (*, n, n).  Source: Giles (2008), 3.1; torch.linalg.eigh.
    """
    w, v = eigh_of(hermitian(input, UPLO in "Uu"))
    return (w, v), lambda gs: (eigh_adjoint(w, v, *gs),)


@rule("linalg.eigvalsh", cases=eigh_cases, errors=wrong_eigh, complex=True, structure="hermitian", waivers=symmetric)
def eigvalsh(input: Array, UPLO="L"):
    """The eigenvalues w of Hermitian matrices in ascending order; the gradient is V diag(g) V^H.

    input: (*, n, n), of which one triangle is read; output: (*, n), real.  Source: torch.linalg.eigvalsh.
    """
    w, v = eigh_of(hermitian(input, UPLO in "Uu"))
    return w, lambda g: (eigh_adjoint(w, v, g, None),)


def eig_of(a):
    """Eigenvalues in the order of Re w + Im w / 4, and eigenvectors of norm 1 with positive first elements."""
    w, v = np.linalg.eig(a + 0j)
    order = np.argsort(w.real + w.imag / 4.0, axis=-1)
    w = np.take_along_axis(w, order, -1)
    v = np.take_along_axis(v, order[..., None, :], -1)
    return w, (v * units(v[..., :1, :]).conj() if v.size else v)


def eig_adjoint(a, w, v, gw, gv=None):
    """The gradient from those of the eigenvalues and of the normalised eigenvectors."""
    inner = gw[..., None] * np.eye(w.shape[-1], dtype=bool)
    if gv is not None:
        free = (gv * v.conj()).sum(-2)  # by the factor of each column, which norm and gauge determine
        gv = unturned(gv - scaled(v, free.real), free.imag, v)
        inner = inner + inverse_gaps(w).conj() * (herm(v) @ gv)
    grad = solved(herm(v), inner @ herm(v))
    return grad if is_complex(a) else grad.real


def eig_tangents(input, tangent):
    """The tangents of eigenvalues and normalised eigenvectors: those of `eig`'s docstring."""
    w, v = eig_of(input)
    c = solved(v, tangent @ v)
    dv = v @ (inverse_gaps(w) * c)
    if v.size:
        norm, turn = (v.conj() * dv).sum(-2).real, dv[..., 0, :].imag / v[..., 0, :].real
        dv = dv - scaled(v, norm + 1j * turn)
    return np.diagonal(c, 0, -2, -1), dv


def eig_cases(draw: Draw):
    """Eigenvalues of which no two are near in the order; real matrices have pairs of conjugates among them."""
    shape, n = sizes(draw)
    centres = spaced(draw, shape, n, -1.0, 1.0) * max(n, 2) / 2.0  # a unit apart
    base = even(draw, shape, n)
    base[..., 1:, :] += 0.2 / max(n, 1) ** 0.5 * normal(draw, base[..., 1:, :].shape)  # they are not orthogonal
    inner = np.eye(n) * centres[..., None, :]
    if draw.complex:
        inner = inner + 1j * np.eye(n) * draw.generator().uniform(-1, 1, (*shape, 1, n))
    elif n > 1 and draw.boolean():
        for i in range(draw.integer(0, 1), n - 1, 2):
            inner[..., i + 1, i + 1] = inner[..., i, i] = (inner[..., i, i] + inner[..., i + 1, i + 1]) / 2.0
            inner[..., i, i + 1] = draw.generator().uniform(0.8, 1.2, shape)
            inner[..., i + 1, i] = -inner[..., i, i + 1]
    return Case((base @ inner @ np.linalg.inv(base),))


@rule(
    "linalg.eig",
    cases=eig_cases,
    errors=not_square,
    complex=True,
    analytic=False,
    forward=eig_tangents,
    gauge="eig",
    waivers=general,
)
def eig(input: Array):
    """w and V of A V = V diag(w), in the order of Re w + Im w / 4; the columns of V have norm 1, its first row is
    positive.

    With C = V^-1 dA V: dw = diag C, dV = V (C / (w_j - w_i) off the diagonal) + V diag(c), where c keeps the columns
    in norm and gauge.  input: (*, n, n), real or complex; outputs: (*, n) and (*, n, n), complex.
    Source: Giles (2008), 3.1; Boeddeker et al., arXiv:1701.00392; torch.linalg.eig.
    """
    w, v = eig_of(input)
    return (w, v), lambda gs: (eig_adjoint(input, w, v, *gs),)


@rule(
    "linalg.eigvals",
    cases=eig_cases,
    errors=not_square,
    complex=True,
    analytic=False,
    forward=lambda input, tangent: eig_tangents(input, tangent)[:1],
    gauge="eigvals",
    waivers=general[:1],
)
def eigvals(input: Array):
    """The eigenvalues w, in the order of Re w + Im w / 4; the gradient is V^-H diag(g) V^H.

    input: (*, n, n), real or complex; output: (*, n), complex.  Source: torch.linalg.eigvals.
    """
    w, v = eig_of(input)
    return w, lambda g: (eig_adjoint(input, w, v, g),)
