"""Indefinite factors: they multiply to the matrix, and solve."""

import numpy as np
import pytest
import scipy.linalg.lapack

from reference.ops.ldl import multiplied
from tests.reference.test_spectra import herm, matrices, value


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_ldl_multiplies_to_the_matrix_and_solves(complex, hermitian, n):
    a, b = matrices(complex, n, n), matrices(complex, n, 2)
    a = a + (herm(a) if hermitian else a.T)
    a[np.arange(n), np.arange(n)] *= 0.1  # asks for blocks of two
    packed, pivots = value("linalg.ldl_factor", a, hermitian=hermitian)
    assert np.allclose(multiplied(packed, pivots, hermitian), a, atol=1e-12, rtol=1e-12)
    assert np.allclose(a @ value("linalg.ldl_solve", packed, pivots, b, hermitian=hermitian), b, atol=1e-9, rtol=1e-09)
    assert np.array_equal(packed, np.tril(packed))


def test_a_matrix_with_a_large_diagonal_is_not_permuted():
    packed, pivots, info = value("linalg.ldl_factor_ex", np.array([[4.0, 2.0], [2.0, -3.0]]))
    assert pivots.tolist() == [1, 2] and info == 0
    assert packed.tolist() == [[4.0, 0.0], [0.5, -4.0]]


def test_a_zero_diagonal_gives_a_block_of_two():
    packed, pivots = value("linalg.ldl_factor", np.array([[0.0, 2.0], [2.0, 0.0]]))
    assert pivots.tolist() == [-2, -2] and packed.tolist() == [[0.0, 0.0], [2.0, 0.0]]


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("hermitian", [False, True])
def test_pivots_and_factors_are_those_of_lapack(complex, hermitian):
    """Of dsytrf, zsytrf and zhetrf, for small integers, whose comparisons are exact."""
    name = f"{'z' if complex else 'd'}{'he' if complex and hermitian else 'sy'}trf"
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a = rng.integers(-4, 5, (6, 6)) + (1j * rng.integers(-4, 5, (6, 6)) if complex else 0.0)
        a = a + (herm(a) if hermitian else a.T)
        a[np.arange(6), np.arange(6)] *= rng.choice([0.0, 0.25, 1.0])
        packed, pivots = value("linalg.ldl_factor", a, hermitian=hermitian)
        want, places, _ = getattr(scipy.linalg.lapack, name)(a, lower=1)
        # a place counts from 1, and is negative twice for a block of two, as in torch
        assert pivots.tolist() == places.tolist()
        assert np.allclose(packed, np.tril(want), atol=1e-11, rtol=1e-11)


def test_one_right_hand_side_serves_a_batch_of_matrices():
    a, b = matrices(False, 2, 3, 3), matrices(False, 3, 2)
    a = a + herm(a)
    packed, pivots = value("linalg.ldl_factor", a)
    assert np.allclose(a @ value("linalg.ldl_solve", packed, pivots, b), b, atol=1e-10, rtol=1e-10)
