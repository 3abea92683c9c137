"""Systems of linear equations, inverses, determinants and factors of square matrices.

The formulas are those of Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), for complex matrices with the conjugate transpose, written ^H.
"""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.rule import DERIVATIVES, Array, Case, Waiver, conj, is_stepping, rule, unbroadcast


def herm(a):
    """The conjugate transpose of each matrix."""
    return conj(a.swapaxes(-1, -2))


def batch(draw: Draw, most=2):
    """A shape of batches that stays small; in the regime "empty" possibly of nothing."""
    shape = tuple(draw.integer(1, 3) for _ in range(draw.integer(0, most)))
    return (0, *shape[1:]) if draw.regime == "empty" and shape and draw.boolean() else shape


def normal(draw: Draw, shape):
    """Normal deviates, complex in a complex case."""
    rng = draw.generator()
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if draw.complex else x


def sized(draw: Draw, most=2):
    """A shape of batches, and the side of a square matrix. Large: many small matrices, or one of 190 rows."""
    if draw.regime != "large":
        return batch(draw, most), draw.side(0)
    return draw.choice(((4000 + draw.integer(0, 9),), 3), ((), 190 + draw.integer(0, 5)))


def square(draw: Draw, shape, n, spread=1.4):
    """Matrices with singular values of 1/spread to spread in random bases: of moderate condition and det."""
    bases = [np.linalg.qr(normal(draw, (*shape, n, n)))[0] for _ in range(2)]
    values = spread ** draw.generator().uniform(-1.0, 1.0, (*shape, 1, n))
    return np.asarray(bases[0] * values @ bases[1])


def eliminated(a, b):
    """The x of a x = b, and the pivots, whose product is det(a), by elimination in the arrays' own precision."""
    shape, n = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-1]
    m = np.concatenate([np.broadcast_to(a, (*shape, n, n)), np.broadcast_to(b, (*shape, n, b.shape[-1]))], -1).reshape(
        math.prod(shape), n, n + b.shape[-1]
    )
    rows, pivots = np.arange(len(m)), np.ones((len(m), n), m.dtype)
    for j in range(n):
        p = j + np.argmax(np.abs(m[:, j:, j]), axis=1)
        pivot = m[rows, p]
        m[rows, p], m[:, j] = m[:, j], pivot
        pivots[:, j] = np.where(p == j, pivot[:, j], -pivot[:, j])
        m[:, j + 1 :, j:] -= (m[:, j + 1 :, j] / pivot[:, j, None])[:, :, None] * pivot[:, None, j:]
    for j in reversed(range(n)):
        known = (m[:, j, None, j + 1 : n] @ m[:, j + 1 :, n:])[:, 0]
        m[:, j, n:] = (m[:, j, n:] - known) / m[:, j, j, None]
    return m[:, :, n:].reshape(*shape, n, b.shape[-1]), pivots.reshape(*shape, n)


def is_single(*arrays):
    """Whether arrays are of single precision: NumPy's own factorisations would compute in double all the same,
    and so hide the roundings that are measured by computing in single."""
    return all(a.dtype in (np.float32, np.complex64) for a in arrays)


def inverse(a):
    if not is_single(a):
        return np.linalg.inv(a)
    return eliminated(a, np.eye(a.shape[-1], dtype=a.dtype))[0]


def determinant(a):
    return np.asarray(eliminated(a, a[..., :0])[1].prod(-1) if is_single(a) else np.linalg.det(a))


def sign_and_log(a):
    """det(a) / |det(a)| and log|det(a)|."""
    if not is_single(a):
        return [np.asarray(v) for v in np.linalg.slogdet(a)]
    pivots = eliminated(a, a[..., :0])[1]
    sizes = np.abs(pivots)
    return [np.asarray((pivots / sizes).prod(-1)), np.asarray(np.log(sizes).sum(-1))]


def inverse_cases(draw: Draw):
    return Case((square(draw, *sized(draw)),))


def not_square(draw: Draw):
    return [(Case((draw.reals((2, 3)),)), RuntimeError), (Case((draw.reals((3,)),)), RuntimeError)]


def singular(draw: Draw):
    return [*not_square(draw), (Case((np.zeros((2, 2)),)), RuntimeError)]


@rule(
    "linalg.inv",
    cases=inverse_cases,
    errors=singular,
    aliases=("inverse", "Tensor.inverse"),
    complex=True,
)
def inv(A: Array):
    """Y = A^-1; the gradient is -Y^H g Y^H.

    A, output: (*, n, n).  Source: Giles (2008), 2.2.3; torch.linalg.inv.
    """
    y = inverse(A)

    def vjp(g, slip=0.0):
        yh = herm(y + slip)  # torch reads its rounded inverse
        return (-yh @ g @ yh,)

    return y, vjp


def solved(a, b, left=True):
    """X of a X = b, or of X a = b."""
    if b.ndim < a.ndim:  # NumPy 1 takes fewer dimensions for vectors
        b = b.reshape((1,) * (a.ndim - b.ndim) + b.shape)
    if not left:
        return solved(a.swapaxes(-1, -2), b.swapaxes(-1, -2)).swapaxes(-1, -2)
    return eliminated(a, b)[0] if is_single(a, b) else np.linalg.solve(a, b)


def solve_adjoint(a, b, x, left, only=None):
    """The vjp of x = solved(a, b, left), for a (of its part `only`) and b. Torch reads its rounded x."""

    def vjp(g, slip=0.0):
        gb = solved(herm(a), g, left)
        xh = herm(x + slip)
        ga = -(gb @ xh) if left else -(xh @ gb)
        return unbroadcast(only(ga) if only else ga, a.shape), unbroadcast(gb, b.shape)

    return vjp


def sides(draw: Draw, left):
    """Batch shapes that broadcast, n, and right-hand sides."""
    full, n = sized(draw)
    shapes = [draw.broadcast(full), draw.broadcast(full)]
    shapes[draw.integer(0, 1)] = full
    k = draw.side(0) if draw.regime != "large" else 3 if full else 180
    return shapes[0], n, normal(draw, (*shapes[1], n, k) if left else (*shapes[1], k, n))


def solve_cases(draw: Draw):
    if draw.integer(0, 2) == 2:
        shape, n = sized(draw)
        n = max(n, 1)
        a = square(draw, shape, n)
        return Case((a, normal(draw, (n,) if draw.boolean() else (*shape, n))))
    left = draw.choice(True, False)
    shape, n, b = sides(draw, left)
    if b.shape == (*shape, n):  # would be read as vectors
        b = b[None]
    return Case((square(draw, shape, n), b), draw.choice({}, dict(left=True)) if left else dict(left=False))


@rule(
    "linalg.solve",
    cases=solve_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), draw.reals((2,)))), RuntimeError),
        (Case((draw.reals((2, 2)), draw.reals((3, 1)))), RuntimeError),
        (Case((np.zeros((2, 2)), draw.reals((2,)))), RuntimeError),
    ],
    complex=True,
)
def solve(A: Array, B: Array, *, left=True):
    """X of A X = B, or with left=False of X A = B. The gradients: g_B = A^-H g, g_A = -g_B X^H.

    A: (*, n, n); B: (*, n, k), or vectors: (n), or (*, n) with the batch of A; output: as B, broadcast.
    Source: Giles (2008), 2.3.1; torch.linalg.solve.
    """
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and A.shape[:-1] == B.shape)
    b = B[..., None] if vector else B
    x = solved(A, b, left)
    adjoint = solve_adjoint(A, b, x, left)

    def vjp(g, slip=0.0):
        if not vector:
            return adjoint(g, slip)
        ga, gb = adjoint(g[..., None], slip[..., None] if np.ndim(slip) else slip)
        return ga, gb[..., 0]

    return (x[..., 0] if vector else x), vjp


def triangle(a, upper, strict=False):
    """The triangle of each matrix that is read, without the diagonal where that counts as ones."""
    return np.triu(a, int(strict)) if upper else np.tril(a, -int(strict))


def triangular_cases(draw: Draw):
    left, upper, ones = draw.boolean(), draw.boolean(), draw.boolean()
    shape, n, b = sides(draw, left)
    a = draw.numbers((*shape, n, n), -1.0, 1.0) / max(n, 1) ** 0.5  # the other triangle is not read
    a = a + (0.0 if ones else 1.5) * np.eye(n)
    if ones and n > 8:
        a = a / 4.0
    return Case((a, b), dict(upper=upper, left=left, unitriangular=ones))


@rule(
    "linalg.solve_triangular",
    cases=triangular_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 2)), draw.reals((3, 1))), dict(upper=True)), RuntimeError),
        (Case((draw.reals((2, 2)), draw.reals((2,))), dict(upper=True)), RuntimeError),
        (Case((draw.reals((2, 2)), draw.reals((2, 2)))), TypeError),
    ],
    complex=True,
)
def solve_triangular(input: Array, B: Array, *, upper, left=True, unitriangular=False):
    """As solve, for the upper or the lower triangle of the input, with ones on its diagonal if unitriangular.

    input: (*, n, n); B: (*, n, k), or (*, k, n) with left=False; output: as B, batches broadcast.
    Source: torch.linalg.solve_triangular.
    """
    a = triangle(input, upper, unitriangular)
    if unitriangular:
        a = a + np.eye(a.shape[-1], dtype=a.dtype)
    x = solved(a, B, left)
    return x, solve_adjoint(a, B, x, left, lambda g: triangle(g, upper, unitriangular))


def faddeev(a):
    """The adjugate of each matrix by the recursion of Faddeev and LeVerrier: a polynomial of its elements."""
    n = a.shape[-1]
    eye = np.eye(n, dtype=a.dtype)
    m = np.broadcast_to(eye, a.shape)
    for k in range(1, n):
        am = a @ m
        m = am - (np.trace(am, axis1=-2, axis2=-1) / k)[..., None, None] * eye
    return (-1.0) ** (n - 1) * m


def adjugate(a, det):
    """det(a) a^-1, which exists for singular matrices too."""
    if a.size == 0:
        return np.zeros_like(a)
    if a.shape[-1] == 1:
        return np.ones_like(a)
    values = np.linalg.svd(a.real if is_stepping() else a, compute_uv=False)
    bad = values[..., -1] <= 1e-10 * values[..., 0]
    regular = np.where(bad[..., None, None], np.eye(a.shape[-1], dtype=a.dtype), a)
    found = np.asarray(det)[..., None, None] * inverse(regular)
    return np.where(bad[..., None, None], faddeev(a), found) if bad.any() else found


def det_cases(draw: Draw):
    wide = draw.regime in ("edges", "large")  # a product of many singular values
    shape, n = sized(draw)
    return square(draw, shape, n, 1.1 if wide else 2.0)


def signed(draw: Draw):
    """Of either sign: that of `square` is positive, its two bases are made by equally many reflections."""
    a = det_cases(draw)
    if a.shape[-1]:
        a[..., 0, :] *= draw.generator().choice([1.0, -1.0], (*a.shape[:-2], 1))
    return a


def any_det_cases(draw: Draw):
    a = signed(draw)
    if draw.regime == "typical" and draw.integer(0, 7) == 7:  # exactly singular: two rows alike, or zero
        a[..., -1, :] = a[..., 0, :] if a.shape[-1] > 1 else 0.0
    return Case((a,))


def minors(A):
    """The largest minor of one row and column less (the product of all singular values but one), times condition and n.

    The condition counts up to 100: matrices that are nearer to singular than that are cases by themselves. The error of
    a factorisation grows with n (Higham, 2002, theorems 9.3 and 19.4); torch takes one of singular values where the
    gradient is differentiated again.
    """
    values = np.linalg.svd(A, compute_uv=False)
    last = values[..., -1:]
    condition = np.where(last > 0, np.minimum(values[..., :1] / np.where(last > 0, last, 1.0), 100.0), 100.0)
    return A.shape[-1] * values[..., :-1].prod(-1) * condition.max(-1, initial=1.0)


@rule(
    "linalg.det",
    cases=any_det_cases,
    errors=not_square,
    aliases=("det", "Tensor.det"),
    complex=True,
    waivers=[
        Waiver(
            "det(A) and A^-1 are of factors that were rounded differently: all elements of the gradient are as wrong",
            room=minors,
            checks=DERIVATIVES,
        )
    ],
)
def det(A: Array):
    """The determinant; its gradient is g adj(A)^H, where adj(A) = det(A) A^-1 also as A becomes singular.

    A: (*, n, n); output: (*).
    Source: Magnus and Neudecker, Matrix Differential Calculus, 8.3; torch.linalg.det.
    """
    y = determinant(A)

    def vjp(g, slip=0.0):
        # torch multiplies A^-H by its rounded determinant
        error = np.where(y == 0, 0.0, slip / np.where(y == 0, 1.0, y))
        return ((g * conj(1.0 + error))[..., None, None] * herm(adjugate(A, y)),)

    return y, vjp


def norm_of_inverse(A):
    return 1.0 / np.linalg.svd(A, compute_uv=False)[..., -1:].min(initial=1.0)


# Which rows lose most hangs on the algorithm (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 14.2).
INVERTED = Waiver(
    "the error of an inverse is bounded by its norm, not element by element", room=norm_of_inverse, checks=DERIVATIVES
)


@rule(
    "linalg.slogdet",
    cases=lambda draw: Case((signed(draw),)),
    errors=not_square,
    aliases=("slogdet", "Tensor.slogdet"),
    complex=True,
    waivers=[INVERTED],
)
def slogdet(A: Array):
    """sign and log|det|, where det = sign exp(logabsdet); a complex sign is of modulus 1.

    With T = A^-1 dA the differential of log|det| is Re tr T and that of a complex sign i sign Im tr T.
    A: (*, n, n); outputs: (*), (*).  Source: Giles (2008), 2.2.4; torch.linalg.slogdet.
    """
    sign, logabs = sign_and_log(A)
    if is_stepping():  # the step turned the sign: its angle is the step of log det
        turn = np.where(sign.real < 0, -1.0, 1.0)
        sign, logabs = turn + 0j, logabs + 1j * (sign * turn).imag

    def vjp(gs):
        weight = gs[1]
        if A.dtype.kind == "c" and not is_stepping():
            weight = weight + 1j * (gs[0] * np.conj(sign)).imag
        return (weight[..., None, None] * herm(inverse(A)),)

    return (sign, logabs), vjp


def power_cases(draw: Draw):
    # the factors of a power may be singular, those of an inverse not
    return Case((square(draw, *sized(draw)), draw.integer(-3, 5)))


@rule(
    "linalg.matrix_power",
    cases=power_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), 2)), RuntimeError),
        (Case((np.zeros((2, 2)), -1)), RuntimeError),
    ],
    aliases=("matrix_power", "Tensor.matrix_power"),
    complex=True,
)
def matrix_power(input: Array, n):
    """The product of n copies of each matrix, of its inverse for n < 0, the identity for n = 0.

    The gradient is sum_i (A^i)^H g (A^(n-1-i))^H, that of the inverse before it for n < 0.
    input, output: (*, m, m).  Source: torch.linalg.matrix_power.
    """
    base = inverse(input) if n < 0 else input
    powers = [np.broadcast_to(np.eye(input.shape[-1], dtype=input.dtype), input.shape)]
    for _ in range(abs(n)):
        powers.append(powers[-1] @ base)

    def vjp(g):
        grad = np.zeros(input.shape, np.result_type(g, base))
        for i in range(abs(n)):
            grad = grad + herm(powers[i]) @ g @ herm(powers[abs(n) - 1 - i])
        return (-herm(base) @ grad @ herm(base) if n < 0 else grad,)

    return powers[-1], vjp
