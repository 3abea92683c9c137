"""Pseudoinverses by the Moore-Penrose conditions, least squares by the normal equations, rank and condition."""

import numpy as np
import pytest

from reference import lookup
from tests.reference.test_spectra import herm, matrices, value


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5), (5, 3), (3, 3)])
@pytest.mark.parametrize("rank", [2, 3])
def test_the_pseudoinverse_fulfils_the_conditions_of_moore_and_penrose(complex, shape, rank):
    a = matrices(complex, *shape[:-1], rank) @ matrices(complex, rank, shape[-1])
    y = value("linalg.pinv", a)
    for product in (a @ y, y @ a):
        assert np.allclose(product, herm(product), atol=1e-12, rtol=1e-12)
    assert np.allclose(a @ y @ a, a, atol=1e-12, rtol=1e-12) and np.allclose(y @ a @ y, y, atol=1e-12, rtol=1e-12)
    assert np.allclose(value("pinverse", a), y, atol=1e-12, rtol=1e-12)


def test_small_singular_values_count_as_zero():
    a = np.diag([4.0, 1.0, 0.25])
    assert np.array_equal(value("linalg.pinv", a, rtol=0.1), np.diag([0.25, 1, 0]))
    assert np.array_equal(value("linalg.pinv", a, 0.1), np.diag([0.25, 1, 0]))
    assert np.array_equal(value("linalg.pinv", a, atol=2.0, hermitian=True), np.diag([0.25, 0, 0]))
    assert value("linalg.matrix_rank", a) == 3 and value("linalg.matrix_rank", a, 0.5) == 2
    assert value("linalg.matrix_rank", a, rtol=0.1) == 2 and value("linalg.matrix_rank", a, atol=2.0) == 1
    assert value("linalg.matrix_rank", np.zeros((2, 3, 4))).tolist() == [0, 0]


@pytest.mark.parametrize("driver", [None, "gels", "gelsd", "gelss", "gelsy"])
def test_lstsq_solves_the_normal_equations(driver):
    a, b = matrices(True, 5, 3), matrices(True, 5, 2)
    x, residuals, rank, s = value("linalg.lstsq", a, b, driver=driver)
    assert np.allclose(herm(a) @ a @ x, herm(a) @ b, atol=1e-12, rtol=1e-12)
    if residuals.size:
        assert np.allclose(residuals, (np.abs(a @ x - b) ** 2).sum(0), rtol=1e-12, atol=1e-12)
    assert (residuals.size > 0) == (driver in ("gels", "gelsd", "gelss"))
    assert (s.size > 0) == (driver in ("gelsd", "gelss")) and (driver == "gels" or rank == 3)


def test_a_wide_system_has_the_solution_of_least_norm():
    a, b = matrices(False, 3, 5), matrices(False, 3)
    x = value("linalg.lstsq", a, b)[0]
    assert np.allclose(a @ x, b, atol=1e-12, rtol=1e-12) and np.allclose(
        x, np.linalg.pinv(a) @ b, atol=1e-12, rtol=1e-12
    )


@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, np.inf, -np.inf])
def test_cond_is_the_product_of_norms(p):
    a = matrices(False, 2, 4, 4)
    assert np.allclose(value("linalg.cond", a, p), np.linalg.cond(a, p), rtol=1e-11, atol=1e-11)


def test_gels_tells_no_rank():
    a, b = matrices(False, 5, 3), matrices(False, 5, 2)
    sizes = {d: value("linalg.lstsq", a, b, driver=d)[2].size for d in ("gels", "gelsy", "gelsd", "gelss")}
    assert sizes == {"gels": 0, "gelsy": 1, "gelsd": 1, "gelss": 1}


@pytest.mark.parametrize("driver", ["gelsy", "gelsd", "gelss"])
def test_singular_values_below_rcond_count_as_zero_in_lstsq(driver):
    a, b = np.diag([4.0, 1.0, 0.25]), np.ones((3, 1))
    x, _, rank, _ = value("linalg.lstsq", a, b, 0.1, driver=driver)
    assert np.allclose(x[:, 0], [0.25, 1, 0], rtol=1e-12, atol=1e-12) and rank == 2


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["linalg.pinv", "pinverse"])
def test_the_gradient_of_a_pseudoinverse_is_its_difference_along_matrices_of_its_rank(name, complex, shape, rank):
    left, right = matrices(complex, shape[0], rank), matrices(complex, rank, shape[1])
    down, across = matrices(complex, *left.shape), matrices(complex, *right.shape)

    def at(t):
        return np.linalg.pinv((left + t * down) @ (right + t * across), rcond=1e-8)

    y, vjp = lookup(name)(left @ right, rcond=1e-8)
    g, h = matrices(complex, *y.shape), 1e-4
    # the five-point difference, whose error is of order h^4
    slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    step = down @ right + left @ across
    got, want = (np.sum(np.conj(a) * b).real for a, b in ((vjp(g)[0], step), (g, slope)))
    assert got == pytest.approx(want, rel=1e-7, abs=1e-7 * np.sum(np.abs(g) * np.abs(slope)))
