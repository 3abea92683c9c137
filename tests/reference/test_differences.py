"""Differences, integrals, covariances against NumPy and against polynomials for which they are exact."""

import numpy as np
import pytest
import scipy.integrate

from reference import lookup

X = np.random.default_rng(5).normal(size=(3, 7))
W, F = np.array([0.5, 1.0, 2.0, 1.5, 0.25, 1.0, 3.0]), np.array([1, 2, 0, 3, 1, 1, 2])
AT = np.cumsum([0.5, 1.0, 0.25, 2.0, 1.0, 0.5, 1.5])


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


@pytest.mark.parametrize("n", range(5))
def test_differences_are_those_of_numpy(n):
    assert np.array_equal(value("diff", X, n, 0), np.diff(X, n, 0) if n < 3 else np.zeros((0, 7)))
    if n:  # without a difference nothing is put before or after
        assert np.allclose(
            value("diff", X, n, prepend=X[:, :2], append=X[:, :1]),
            np.diff(np.c_[X[:, :2], X, X[:, :1]], n),
            rtol=1e-12,
            atol=1e-12,
        )


def test_bools_differ_or_do_not():
    assert value("diff", np.array([True, True, False])).tolist() == [False, True]


def test_the_trapezoidal_rule_is_that_of_scipy():
    assert np.allclose(value("trapezoid", X, AT), scipy.integrate.trapezoid(X, AT), rtol=1e-12, atol=1e-12)
    assert np.allclose(
        value("trapezoid", X, dx=0.5, dim=0), scipy.integrate.trapezoid(X, dx=0.5, axis=0), rtol=1e-12, atol=1e-12
    )
    assert np.allclose(
        value("cumulative_trapezoid", X, AT), scipy.integrate.cumulative_trapezoid(X, AT), rtol=1e-12, atol=1e-12
    )


def test_the_integral_of_a_line_is_exact_on_any_grid():
    assert np.isclose(value("trapezoid", 3.0 * AT - 1.0, AT), 1.5 * (AT[-1] ** 2 - AT[0] ** 2) - (AT[-1] - AT[0]))


def test_of_no_sample_the_integral_is_zero():
    assert value("trapezoid", np.zeros((2, 0))).tolist() == [0, 0]
    assert value("cumulative_trapezoid", np.zeros((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("order", [1, 2])
def test_the_gradient_is_that_of_numpy(order):
    for ours, theirs in zip(value("gradient", X, edge_order=order), np.gradient(X, edge_order=order)):
        assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    (ours,) = value("gradient", X, spacing=[AT], dim=1, edge_order=order)
    assert np.allclose(ours, np.gradient(X, AT, axis=1, edge_order=order), rtol=1e-12, atol=1e-12)


def test_of_a_parabola_the_gradient_is_exact_to_the_edges():
    (slope,) = value("gradient", AT**2, spacing=[AT], edge_order=2)
    assert np.allclose(slope, 2.0 * AT, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("weights", [{}, dict(fweights=F), dict(aweights=W), dict(fweights=F, aweights=W)])
def test_covariances_are_those_of_numpy(correction, weights):
    for x in (X, X[0], X + 1j * X[::-1]):
        assert np.allclose(
            value("cov", x, correction=correction, **weights),
            np.cov(x, ddof=correction, **weights),
            rtol=1e-12,
            atol=1e-12,
        )


def test_frequencies_are_repetitions():
    assert np.allclose(value("cov", X, fweights=F), value("cov", np.repeat(X, F, axis=1)), rtol=1e-12, atol=1e-12)


def test_correlations_are_those_of_numpy():
    assert np.allclose(value("corrcoef", X), np.corrcoef(X), rtol=1e-12, atol=1e-12)
    assert np.allclose(value("corrcoef", X + 1j * X[::-1]), np.corrcoef(X + 1j * X[::-1]), rtol=1e-12, atol=1e-12)
    assert value("corrcoef", X[0]) == 1.0


def test_correlations_do_not_change_with_the_scale():
    _, vjp = lookup("corrcoef")(X)
    g = np.random.default_rng(1).normal(size=(3, 3))
    (grad,) = vjp(g)
    far = X - X.mean(axis=1, keepdims=True)
    assert np.allclose((grad * far).sum(axis=1), 0.0, atol=1e-14, rtol=1e-14)
    assert np.allclose(grad.sum(axis=1), 0.0, atol=1e-14, rtol=1e-14)


def test_powers_stand_beside_each_other():
    assert np.allclose(value("linalg.vander", AT), np.vander(AT, increasing=True), rtol=1e-12, atol=1e-12)
    out, vjp = lookup("linalg.vander")(np.array([0.0, 2.0]), N=4)
    assert out.tolist() == [[1, 0, 0, 0], [1, 2, 4, 8]]
    assert vjp(np.ones((2, 4)))[0].tolist() == [1, 1 + 4 + 12]


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_a_number_is_the_distance_of_all_samples(dim):
    want = np.gradient(X, 2.0, axis=dim)
    for spacing in (2.0, np.array(2.0)):
        for ours, theirs in zip(value("gradient", X, spacing=spacing, dim=dim), want if dim is None else [want]):
            assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12)
