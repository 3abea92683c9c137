"""Eigenvalues, singular values and their vectors by the identities that define them."""

import numpy as np
import pytest

from reference import lookup
from reference.ops.spectra import iterated
from reference.rule import Waiver

RNG = np.random.default_rng(0)


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def matrices(complex, *shape):
    x = RNG.standard_normal(shape)
    return x + 1j * RNG.standard_normal(shape) if complex else x


def herm(a):
    return np.conj(a.swapaxes(-1, -2))


def is_unitary(q):
    return np.allclose(herm(q) @ q, np.eye(q.shape[-1]), atol=1e-13, rtol=1e-13)


def is_positive(z):
    return np.all(z.real > 0) and np.allclose(z.imag, 0, atol=1e-15, rtol=1e-15)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("uplo", ["L", "U"])
def test_eigh_diagonalises_in_ascending_order(complex, uplo):
    a = matrices(complex, 2, 4, 4)
    a = a + herm(a)
    w, v = value("linalg.eigh", a, uplo)
    assert is_unitary(v) and np.all(np.diff(w) > 0) and is_positive(v[..., 0, :])
    assert np.allclose(a @ v, v * w[:, None], atol=1e-12, rtol=1e-12)
    assert np.allclose(value("linalg.eigvalsh", a, uplo), w, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("uplo", ["L", "U", "l", "u"])
def test_eigh_reads_one_triangle(uplo):
    a = matrices(False, 4, 4)
    a = a + a.T
    other = a + 9 * (np.tril(np.ones((4, 4)), -1) if uplo in "Uu" else np.triu(np.ones((4, 4)), 1))
    assert np.allclose(value("linalg.eigvalsh", other, uplo), value("linalg.eigvalsh", a), rtol=1e-13, atol=1e-13)


def test_a_rotation_has_eigenvalues_on_the_unit_circle():
    w, v = value("linalg.eig", np.array([[0.0, -1.0], [1.0, 0.0]]))
    assert np.allclose(w, [-1j, 1j], rtol=1e-12, atol=1e-12) and np.allclose(
        v, np.array([[1, 1], [1j, -1j]]) / np.sqrt(2), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("complex", [False, True])
def test_eig_diagonalises(complex):
    a = matrices(complex, 2, 5, 5)
    w, v = value("linalg.eig", a)
    assert np.allclose(a @ v, v * w[:, None], atol=1e-12, rtol=1e-12)
    assert np.allclose(np.linalg.norm(v, axis=-2), 1, rtol=1e-12, atol=1e-12) and is_positive(v[..., 0, :])
    assert np.allclose(value("linalg.eigvals", a), w, rtol=1e-13, atol=1e-13)
    assert np.allclose(w.sum(-1), np.trace(a, axis1=-2, axis2=-1), rtol=1e-12, atol=1e-12) and np.allclose(
        w.prod(-1), np.linalg.det(a), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5), (5, 3), (3, 3)])
def test_the_singular_vectors_are_unitary_and_multiply_to_the_matrix(complex, shape):
    a = matrices(complex, *shape)
    u, s, vh = value("linalg.svd", a, full_matrices=False)
    assert is_unitary(u) and is_unitary(herm(vh)) and is_positive(u[..., 0, :]) and np.all(np.diff(s) < 0)
    assert np.allclose(u * s[..., None, :] @ vh, a, atol=1e-13, rtol=1e-13)
    old = value("svd", a)
    assert np.array_equal(old[0], u) and np.array_equal(old[2], herm(vh))
    assert np.allclose(value("linalg.svdvals", a), s, rtol=1e-14, atol=1e-14)
    assert [o.any() for o in value("svd", a, compute_uv=False)] == [False, True, False]


def test_full_matrices_add_a_part_of_the_projector_on_what_is_left():
    a = matrices(True, 5, 3)
    u = value("linalg.svd", a)[0]
    assert u.shape == (5, 5)
    assert np.allclose(u[:, 3:], (np.eye(5) - u[:, :3] @ herm(u[:, :3]))[:, :2], rtol=1e-12, atol=1e-12)


def blocks(complex):
    """Hermitian matrices of which many eigenvectors begin with a zero, without equal eigenvalues."""
    inner = matrices(complex, 2, 2)
    whole = np.zeros((5, 5), inner.dtype)
    whole[1:3, 1:3], whole[3:, 3:], whole[0, 0] = inner + herm(inner), [[7.0, 1.0], [1.0, 9.0]], -6.0
    return [np.diag([3.0, -1.0, 2.0, 5.0]), whole]


@pytest.mark.parametrize("complex", [False, True])
def test_vectors_that_begin_with_a_zero_are_of_unit_length_too(complex):
    for a in blocks(complex):
        w, v = value("linalg.eigh", a)
        assert is_unitary(v) and np.allclose(a @ v, v * w, atol=1e-12, rtol=1e-12)
        w, v = value("linalg.eig", a)
        assert np.allclose(np.linalg.norm(v, axis=0), 1, rtol=1e-12, atol=1e-12) and np.allclose(
            a @ v, v * w, atol=1e-12, rtol=1e-12
        )
        u, s, vh = value("linalg.svd", a)
        assert is_unitary(u) and is_unitary(herm(vh)) and np.allclose(u * s @ vh, a, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("complex", [False, True])
def test_a_matrix_of_less_than_full_rank_has_unitary_factors(complex):
    a = matrices(complex, 4, 3)
    a[:, 1] = 0.0
    q, r = value("linalg.qr", a)
    assert is_unitary(q) and np.allclose(q @ r, a, atol=1e-13, rtol=1e-13) and np.array_equal(r, np.triu(r))


def test_singular_values_are_iterated_to_49_eps_of_the_largest_in_double_precision_and_no_further():
    a = np.random.default_rng(0).standard_normal((20000, 3, 3))
    u, s, vh = np.linalg.svd(a)
    off = np.abs(u * s[:, None, :] @ vh - a).max((1, 2)) / s[:, 0] / np.finfo(np.float64).eps
    roundings = 8.0 * 3.0**0.5
    assert off.max() < 49.0 + roundings
    assert np.median(off) < roundings / 4
    wider = iterated([Waiver("", room=lambda a: np.ones(()))])[-1]
    assert wider.room is not None and 8.0 * wider.room(a[0]) == 48.0 and "float32" not in wider.dtypes
