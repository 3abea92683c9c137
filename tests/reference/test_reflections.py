"""Reflections and the functions of matrices by their definitions."""

import math

import mpmath
import numpy as np
import pytest

from tests.reference.test_spectra import herm, is_unitary, matrices, value


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(2, 5, 3), (3, 3), (3, 5)])
def test_the_reflections_of_geqrf_make_the_factor_q(complex, shape):
    a = matrices(complex, *shape)
    packed, tau = value("geqrf", a)
    k = min(shape[-2:])
    q = value("linalg.householder_product", packed[..., :k], tau)
    assert is_unitary(q) and np.allclose(q @ np.triu(packed)[..., :k, :], a, atol=1e-12, rtol=1e-12)
    assert np.allclose(np.diagonal(packed, 0, -2, -1).imag, 0, rtol=1e-12, atol=1e-12) or shape[-2] <= shape[-1]


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_ormqr_multiplies_by_the_whole_of_q(complex, transpose):
    a, c = matrices(complex, 5, 3), matrices(complex, 5, 5)
    packed, tau = value("geqrf", a)
    q = value("ormqr", packed, tau, np.eye(5) + 0 * c)
    assert is_unitary(q) and np.allclose(
        q[:, :3], value("linalg.householder_product", packed, tau), rtol=1e-12, atol=1e-12
    )
    op = herm(q) if transpose else q
    assert np.allclose(value("ormqr", packed, tau, c, True, transpose), op @ c, rtol=1e-12, atol=1e-12)
    assert np.allclose(value("ormqr", packed, tau, c, False, transpose), c @ op, rtol=1e-12, atol=1e-12)


def test_a_reflection_is_one_minus_tau_v_v():
    a, tau = matrices(True, 3, 1), np.array([0.5 + 0.25j])
    v = np.concatenate([[[1.0]], a[1:]])
    assert np.allclose(
        value("linalg.householder_product", a, tau), (np.eye(3) - tau * v @ herm(v))[:, :1], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("size", [1e-3, 0.3, 3.0])
def test_matrix_exp_is_the_series(size):
    a = matrices(True, 4, 4) * size
    with mpmath.workdps(40):
        exact = mpmath.expm(mpmath.matrix(a.tolist()))
        want = np.array([[complex(exact[i, j]) for j in range(4)] for i in range(4)])
    assert np.allclose(value("linalg.matrix_exp", a), want, rtol=1e-12, atol=1e-13 * np.abs(want).max())


def test_the_exponential_of_a_rotation_turns():
    out = value("matrix_exp", np.array([[0.0, -0.5], [0.5, 0.0]]))
    c, s = math.cos(0.5), math.sin(0.5)
    assert np.allclose(out, [[c, -s], [s, c]], rtol=1e-15, atol=1e-15)


def test_a_chain_is_its_product():
    a, b, c = matrices(False, 2, 3), matrices(False, 3, 4), matrices(False, 4, 2)
    assert np.allclose(value("chain_matmul", a, b, c), a @ b @ c, rtol=1e-12, atol=1e-12) and np.array_equal(
        value("chain_matmul", a), a
    )
    assert np.allclose(value("chain_matmul", [a, b]), a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norms_are_numpys(order):
    a = matrices(True, 3, 4)
    assert np.isclose(value("linalg.norm", a, order), np.linalg.norm(a, order))
    if order not in ("fro", "nuc"):
        assert np.allclose(value("linalg.norm", a, order, 1), np.linalg.norm(a, order, 1), rtol=1e-12, atol=1e-12)


def test_the_norms_of_all_names():
    a = matrices(True, 2, 3, 4)
    assert np.isclose(value("frobenius_norm", a, ()), np.linalg.norm(a.ravel()))
    assert np.allclose(value("frobenius_norm", a, (1, 2)), np.linalg.norm(a, axis=(1, 2)), rtol=1e-12, atol=1e-12)
    assert np.allclose(
        value("nuclear_norm", a, (1, 2), True)[:, 0, 0], np.linalg.norm(a, "nuc", (1, 2)), rtol=1e-12, atol=1e-12
    )
    assert np.isclose(value("nuclear_norm", a[0]), np.linalg.norm(a[0], "nuc"))
