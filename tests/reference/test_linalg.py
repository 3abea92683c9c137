"""Linear algebra by its defining identities, and determinants by exact arithmetic."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from reference import lookup
from reference.rule import stepping

RNG = np.random.default_rng(0)


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def gradient(name, g, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[1](g)[0]


def matrices(complex, *shape):
    x = RNG.standard_normal(shape)
    return x + 1j * RNG.standard_normal(shape) if complex else x


def leibniz(a):
    """The determinant as the sum over permutations, exactly."""
    n, total = len(a), Fraction(0)
    for p in itertools.permutations(range(n)):
        sign = (-1) ** sum(p[i] > p[j] for i in range(n) for j in range(i + 1, n))
        term = Fraction(sign)
        for i in range(n):
            term *= Fraction(float(a[i, p[i]]))
        total += term
    return total


@pytest.mark.parametrize("n", range(1, 6))
def test_det_is_the_sum_over_permutations(n):
    a = RNG.integers(-9, 10, (n, n)) / 4.0
    assert np.isclose(value("linalg.det", a), float(leibniz(a)), rtol=1e-13)


@pytest.mark.parametrize("rank", range(4))
def test_the_gradient_of_det_are_the_cofactors_also_of_singular_matrices(rank):
    a = (RNG.integers(-3, 4, (4, rank)) @ RNG.integers(-3, 4, (rank, 4))).astype(float)
    if rank == 3:
        a = RNG.integers(-3, 4, (4, 4)).astype(float)
        a[3] = a[0]
    grad = gradient("linalg.det", np.array(1.0), a)
    for i, j in np.ndindex(4, 4):
        minor = np.delete(np.delete(a, i, 0), j, 1)
        assert np.isclose(grad[i, j], (-1) ** (i + j) * float(leibniz(minor)), atol=1e-10)


def test_the_determinant_of_nothing_is_one():
    assert value("linalg.det", np.zeros((2, 0, 0))).tolist() == [1, 1]
    assert [v.item() for v in value("linalg.slogdet", np.zeros((0, 0)))] == [1, 0]


@pytest.mark.parametrize("complex", [False, True])
def test_slogdet_is_the_polar_form_of_det(complex):
    a = matrices(complex, 3, 4, 4)
    sign, log = value("linalg.slogdet", a)
    assert np.allclose(sign * np.exp(log), value("linalg.det", a), rtol=1e-13, atol=1e-13)
    assert np.allclose(np.abs(sign), 1, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("complex", [False, True])
def test_inverse_solution_and_power_belong_together(complex):
    a, b = matrices(complex, 3, 4, 4), matrices(complex, 3, 4, 2)
    y = value("linalg.inv", a)
    assert np.allclose(a @ y, np.eye(4), atol=1e-12, rtol=1e-12)
    assert np.allclose(value("linalg.solve", a, b), y @ b, atol=1e-12, rtol=1e-12)
    assert np.allclose(value("linalg.solve", a, b[..., 0]), (y @ b)[..., 0], atol=1e-12, rtol=1e-12)
    assert np.allclose(
        value("linalg.solve", a, b.swapaxes(1, 2), left=False) @ a, b.swapaxes(1, 2), atol=1e-12, rtol=1e-12
    )
    assert np.allclose(value("linalg.matrix_power", a, -2), y @ y, atol=1e-11, rtol=1e-11)
    assert np.allclose(value("linalg.matrix_power", a, 5), a @ a @ a @ a @ a, atol=1e-10, rtol=1e-10)
    assert np.array_equal(value("linalg.matrix_power", a, 0), np.broadcast_to(np.eye(4), a.shape))


def test_a_matrix_is_a_batch_of_vectors_where_its_shape_is_the_batchs():
    a, b = matrices(False, 2, 2, 2), matrices(False, 2, 2)
    x = value("linalg.solve", a, b)
    assert np.allclose((a @ x[..., None])[..., 0], b, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_gives_the_factor_with_a_positive_diagonal(complex, upper):
    a = matrices(complex, 2, 4, 4)
    a = a @ np.conj(a.swapaxes(1, 2)) + np.eye(4)
    f = value("linalg.cholesky", a, upper=upper)
    fh = np.conj(f.swapaxes(1, 2))
    assert np.allclose(fh @ f if upper else f @ fh, a, rtol=1e-13, atol=1e-13)
    assert np.array_equal(f, np.triu(f) if upper else np.tril(f))
    assert np.all(np.diagonal(f, 0, 1, 2).real > 0)
    assert np.allclose(value("cholesky_inverse", f, upper) @ a, np.eye(4), atol=1e-12, rtol=1e-12)
    grad = gradient("linalg.cholesky", matrices(complex, 2, 4, 4), a, upper=upper)
    assert np.allclose(grad, np.conj(grad.swapaxes(1, 2)), atol=1e-14, rtol=1e-14)


def test_the_factor_of_a_stepped_matrix_is_lapacks():
    a = matrices(False, 6, 6)
    a = a @ a.T + np.eye(6)
    with stepping():
        assert np.allclose(value("linalg.cholesky", a + 0j), np.linalg.cholesky(a), rtol=1e-12, atol=1e-12)


def test_what_a_triangular_routine_does_not_read_has_no_gradient():
    low, b = np.tril(matrices(False, 4, 4)) + 3 * np.eye(4), matrices(False, 4, 2)
    other = low + np.triu(np.ones((4, 4)), 1)
    for name, args, options in (
        ("linalg.solve_triangular", (b,), dict(upper=False)),
        ("cholesky_inverse", (), {}),
    ):
        out, vjp = lookup(name)(low, *args, **options)
        assert np.array_equal(out, value(name, other, *args, **options))
        assert not np.triu(vjp(np.ones_like(out))[0], 1).any()


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("ones", [False, True])
def test_solve_triangular_solves(upper, left, ones):
    a, b = matrices(True, 3, 3) + 2 * np.eye(3), matrices(True, 2, 3, 3)
    t = np.triu(a) if upper else np.tril(a)
    if ones:
        t = t - np.diag(np.diag(t)) + np.eye(3)
    x = value("linalg.solve_triangular", a, b, upper=upper, left=left, unitriangular=ones)
    assert np.allclose(t @ x if left else x @ t, b, atol=1e-12, rtol=1e-12)


def test_matrix_norms_are_their_definitions():
    a = matrices(True, 2, 3, 4)
    s, size = np.linalg.svd(a, compute_uv=False), np.abs(a)
    want = {
        "fro": (size**2).sum((1, 2)) ** 0.5, "nuc": s.sum(1), 2: s[:, 0], -2: s[:, -1],
        1: size.sum(1).max(1), -1: size.sum(1).min(1), np.inf: size.sum(2).max(1), -np.inf: size.sum(2).min(1),
    }  # fmt: skip
    for order, expected in want.items():
        assert np.allclose(value("linalg.matrix_norm", a, order), expected, rtol=1e-14, atol=1e-14)
        turned = np.moveaxis(a, 0, -1)
        assert np.allclose(
            value("linalg.matrix_norm", turned, order, (0, 1), True)[0, 0], expected, rtol=1e-14, atol=1e-14
        )


def test_the_cross_product_is_orthogonal_to_both_and_cyclic():
    a, b, c = matrices(False, 3, 5, 3)
    ab = value("linalg.cross", a, b)
    assert np.allclose((ab * a).sum(1), 0, atol=1e-13, rtol=1e-13) and np.allclose(
        (ab * b).sum(1), 0, atol=1e-13, rtol=1e-13
    )
    assert np.allclose((ab * c).sum(1), (value("linalg.cross", b, c) * a).sum(1), atol=1e-13, rtol=1e-13)
    assert value("cross", np.array([1.0, 0, 0]), np.array([0, 1.0, 0])).tolist() == [0, 0, 1]


def test_cross_looks_for_the_first_dimension_of_three():
    a, b = matrices(False, 2, 3, 3), matrices(False, 2, 3, 3)
    assert np.array_equal(value("cross", a, b), value("linalg.cross", a, b, dim=1))


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("order", [2, -2])
def test_tied_singular_values_share_the_gradient_of_a_norm(order, keepdim):
    """The singular vectors of a matrix with one element in each row and column are unit vectors: of the elements of
    extreme size each has its sign, divided by their number. The matrices of a batch have their own ties."""
    a = np.stack([np.diag([3.0, -3.0, 1.0])[[1, 0, 2]], np.diag([2.0, -1.0, 1.0])[[2, 0, 1]],
                  np.diag([-5.0, 5.0, 5.0])[[1, 2, 0]], np.diag([4.0, 2.0, 1.0])])  # fmt: skip
    for x in (a, np.pad(a, ((0, 0), (0, 1), (0, 0))), np.pad(a, ((0, 0), (0, 0), (0, 2)))):
        out, vjp = lookup("linalg.matrix_norm")(x, order, keepdim=keepdim)
        sizes = np.where(x == 0, np.nan, np.abs(x))
        best = (np.nanmax if order > 0 else np.nanmin)(sizes, axis=(1, 2), keepdims=True)
        tied = np.sign(x) * (sizes == best)
        assert np.array_equal(out, best if keepdim else best[:, 0, 0])
        g = np.array([1.0, -2.0, 3.0, 0.5])
        want = g[:, None, None] * tied / np.abs(tied).sum((1, 2), keepdims=True)
        assert np.allclose(vjp(g.reshape(out.shape))[0], want, atol=1e-15, rtol=1e-15)


def test_a_negative_determinant_has_no_real_logarithm():
    a = np.stack([np.diag([2.0, 3.0]), np.diag([2.0, -3.0])])
    plain = value("logdet", a)
    with stepping():
        moved = value("logdet", a + 0j)
    for out in (plain, moved.real):
        assert np.isclose(out[0], np.log(6.0)) and np.isnan(out[1])
    assert np.allclose(value("logdet", a + 0j), [np.log(6.0), np.log(6.0) + 1j * np.pi], rtol=1e-12, atol=1e-12)
