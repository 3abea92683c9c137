"""Triangular factors, and solutions by them, by the identities that define them."""

import numpy as np
import pytest

from reference import lookup
from tests.reference.test_spectra import herm, is_positive, is_unitary, matrices, value


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5), (5, 3), (3, 3)])
def test_qr_multiplies_to_the_matrix(complex, shape):
    a = matrices(complex, *shape)
    q, r = value("linalg.qr", a)
    assert np.allclose(q @ r, a, atol=1e-13, rtol=1e-13) and is_unitary(q) and np.array_equal(r, np.triu(r))
    assert is_positive(np.diagonal(r, 0, -2, -1))
    assert np.array_equal(value("linalg.qr", a, "r")[1], r)
    whole, tall = value("linalg.qr", a, "complete")
    assert np.allclose(whole @ tall, a, atol=1e-13, rtol=1e-13) and whole.shape[-1] == tall.shape[-2] == shape[-2]
    assert np.array_equal(value("qr", a, False)[0], whole)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5), (5, 3), (3, 3)])
def test_lu_multiplies_to_the_matrix(complex, shape):
    a = matrices(complex, *shape)
    p, low, up = value("linalg.lu", a)
    assert np.allclose(p @ low @ up, a, atol=1e-13, rtol=1e-13)
    assert np.array_equal(up, np.triu(up)) and np.array_equal(low, np.tril(low))
    assert np.all(np.diagonal(low, 0, -2, -1) == 1) and np.all(p.sum(-1) == 1)
    packed = value("linalg.lu_factor", a)
    for got, want in zip(value("lu_unpack", *packed), (p, low, up)):
        assert np.array_equal(got, want)
    assert value("linalg.lu_factor_ex", a)[2].tolist() == np.zeros(shape[:-2]).tolist()


def test_lu_reports_a_zero_pivot():
    assert value("linalg.lu_factor_ex", np.array([[1.0, 2.0], [2.0, 4.0]]))[2] == 2


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("left", [False, True])
def test_lu_solve_solves(complex, adjoint, left):
    a, b = matrices(complex, 2, 4, 4), matrices(complex, 2, 4, 4)
    x = value("linalg.lu_solve", *value("linalg.lu_factor", a), b, left=left, adjoint=adjoint)
    m = herm(a) if adjoint else a
    assert np.allclose(m @ x if left else x @ m, b, atol=1e-11, rtol=1e-11)
    assert np.allclose(a @ value("lu_solve", b, *value("linalg.lu_factor", a)), b, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_factors_of_definite_matrices_solve(complex, upper):
    a, b = matrices(complex, 2, 4, 4), matrices(complex, 4, 2)
    a = a @ herm(a) + np.eye(4)
    f = value("cholesky", a, upper)
    assert np.allclose(a @ value("cholesky_solve", b, f, upper), b, atol=1e-11, rtol=1e-11)
    low, info = value("linalg.cholesky_ex", a, upper=upper)
    assert np.array_equal(low, f) and not info.any()


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_triangular_solve_reads_one_triangle(upper, transpose):
    a, b = matrices(True, 3, 3) + 2 * np.eye(3), matrices(True, 3, 2)
    t = np.triu(a) if upper else np.tril(a)
    x, same = value("triangular_solve", b, a, upper, transpose)
    assert np.allclose((t.T if transpose else t) @ x, b, atol=1e-12, rtol=1e-12) and np.array_equal(same, a)


def test_logdet_is_the_logarithm_of_the_determinant():
    assert np.isclose(value("logdet", np.array([[2.0, 1.0], [1.0, 3.0]])), np.log(5.0))
    assert np.isnan(value("logdet", np.array([[-2.0]]))) and value("logdet", np.zeros((0, 0))) == 0
    assert np.isclose(value("logdet", np.array([[2j]])), np.log(2j))


def test_tensors_are_inverted_as_matrices():
    a, b = matrices(False, 2, 3, 6), matrices(False, 2, 3)
    y = value("linalg.tensorinv", a)
    assert np.allclose(np.tensordot(y, a, 2), np.eye(6), atol=1e-12, rtol=1e-12)
    x = value("linalg.tensorsolve", a, b)
    assert np.allclose(np.tensordot(a, x, 1), b, atol=1e-12, rtol=1e-12)
    assert np.allclose(value("linalg.tensorsolve", np.moveaxis(a, 2, 0), b, dims=(0,)), x, rtol=1e-12, atol=1e-12)
    assert np.allclose(x, np.linalg.tensorsolve(a, b), atol=1e-12, rtol=1e-12)


def test_what_may_fail_reports_that_it_did_not():
    a, b = matrices(False, 2, 3, 3), matrices(False, 2, 3)
    y, info = value("linalg.inv_ex", a)
    assert np.allclose(y @ a, np.eye(3), atol=1e-12, rtol=1e-12) and info.tolist() == [0, 0]
    x, info = value("linalg.solve_ex", a, b)
    assert np.array_equal(x, lookup("linalg.solve")(a, b)[0]) and info.tolist() == [0, 0]


def test_what_is_not_unpacked_is_empty():
    packed, pivots = value("linalg.lu_factor", matrices(False, 3, 3))
    p, low, up = value("lu_unpack", packed, pivots, unpack_data=False)
    assert p.shape == (3, 3) and low.size == up.size == 0
    p, low, up = value("lu_unpack", packed, pivots, unpack_pivots=False)
    assert p.size == 0 and low.shape == up.shape == (3, 3)
