"""Norms, what is divided by them, and softmax, against mpmath, closed forms and identities."""

import math

import mpmath
import numpy as np
import pytest

from reference import lookup

X = np.array([[3.0, -4.0, 0.5], [1.0, 2.0, -2.0]])


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def gradient(name, *args, **kwargs):
    out, vjp = lookup(name)(*args, **kwargs)
    return vjp(np.ones_like(out))[0]


@pytest.mark.parametrize("order", [0.5, 1.0, 1.5, 2.0, 3.0, -1.0, -2.5])
def test_a_norm_is_the_root_of_the_sum_of_powers(order):
    x = [3.0, -4.0, 0.5]
    with mpmath.workdps(40):
        want = mpmath.fsum(mpmath.mpf(abs(v)) ** order for v in x) ** (1 / mpmath.mpf(order))
        slopes = [float(mpmath.sign(v) * (abs(v) / want) ** (order - 1)) for v in x]
    assert value("linalg.vector_norm", np.array(x), order) == pytest.approx(float(want), rel=1e-15)
    assert gradient("linalg.vector_norm", np.array(x), order) == pytest.approx(slopes, rel=2e-15)


def test_norms_of_order_zero_and_infinity_count_and_compare():
    x = np.array([0.0, -2.0, 2.0, 1.0])
    assert value("linalg.vector_norm", x, 0) == 3
    assert gradient("linalg.vector_norm", x, 0) is None  # a count has none
    assert value("linalg.vector_norm", x, math.inf) == 2 and value("linalg.vector_norm", x, -math.inf) == 0
    assert gradient("linalg.vector_norm", x, math.inf).tolist() == [0, -0.5, 0.5, 0]


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 3.0, math.inf, -math.inf, -1.0])
def test_a_norm_is_flat_at_zero(order):
    assert value("linalg.vector_norm", np.zeros(3), order) == 0
    assert gradient("linalg.vector_norm", np.zeros(3), order).tolist() == [0, 0, 0]


def test_the_norm_of_complex_numbers_is_that_of_their_absolute_values():
    z = X + 1j * X[::-1]
    for order in (0.5, 1.0, 2.0, 3.0, math.inf):
        assert value("norm", z, order) == pytest.approx(value("norm", np.abs(z), order))


def test_fro_and_none_are_the_norm_of_order_two():
    assert value("norm", X) == value("norm", X, None) == value("norm", X, 2) == value("linalg.vector_norm", X)


def test_the_nuclear_norm_is_the_sum_of_singular_values():
    # singular values of an outer product: one, the product of the lengths
    u, v = np.array([3.0, 4.0]), np.array([1.0, 2.0, 2.0])
    assert value("norm", np.outer(u, v), "nuc") == pytest.approx(15.0)
    # of a symmetric positive definite matrix: its trace, with the identity as gradient
    a = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert value("norm", a, "nuc") == pytest.approx(5.0)
    assert gradient("norm", a, "nuc") == pytest.approx(np.eye(2), abs=1e-15)
    assert value("norm", np.stack([a, 2 * a], 1), "nuc", dim=(0, 2), keepdim=True).shape == (1, 2, 1)


def test_normalized_rows_have_norm_one_and_small_ones_are_divided_by_eps():
    y = value("nn.functional.normalize", X)
    assert value("norm", y, dim=1) == pytest.approx([1, 1])
    assert value("nn.functional.normalize", X, eps=10.0) == pytest.approx(X / 10)
    assert gradient("nn.functional.normalize", X, eps=10.0) == pytest.approx(np.full(X.shape, 0.1))
    assert value("nn.functional.normalize", np.zeros((1, 2))).tolist() == [[0, 0]]


def test_the_similarity_of_parallel_rows_is_one_and_does_not_see_their_length():
    out, vjp = lookup("cosine_similarity")(X, 2.5 * X)
    assert out == pytest.approx([1, 1])
    assert all(np.allclose(g, 0, atol=1e-15, rtol=1e-15) for g in vjp(np.ones(2)))
    assert value("cosine_similarity", X, -X) == pytest.approx([-1, -1])


def test_similarity_below_eps_is_the_product_over_eps():
    x, y = np.array([0.1, 0.2]), np.array([3.0, 4.0])
    out, vjp = lookup("cosine_similarity")(x, y, dim=0, eps=1.0)
    assert out == pytest.approx(1.1 / 5)
    assert vjp(np.ones(()))[0] == pytest.approx(y / 5)


@pytest.mark.parametrize("name", ["softmax", "nn.functional.softmax"])
def test_softmax_is_normalised_and_does_not_see_a_shift(name):
    y = value(name, X, 1)
    assert y.sum(1) == pytest.approx([1, 1]) and value(name, X + 1000.0, 1) == pytest.approx(y, rel=1e-12)
    assert np.log(y) == pytest.approx(value("log_softmax", X, 1))
    assert value("nn.functional.softmin", -X, 1) == pytest.approx(y)


def test_the_jacobian_of_softmax_is_diagonal_minus_outer_product():
    x = X[0]
    y, vjp = lookup("softmax")(x, 0)
    jacobian = np.stack([vjp(e)[0] for e in np.eye(3)])
    assert jacobian == pytest.approx(np.diag(y) - np.outer(y, y), abs=1e-16)
    _, vjp = lookup("log_softmax")(x, 0)
    assert np.stack([vjp(e)[0] for e in np.eye(3)]) == pytest.approx(np.eye(3) - y, abs=1e-15)


def test_log_softmax_keeps_its_digits_far_down():
    got = value("log_softmax", np.array([0.0, -750.0]), 0)
    assert got[1] == -750.0 and got[0] == pytest.approx(0.0, abs=1e-300)


def test_the_functional_softmax_chooses_a_dimension():
    for ndim, dim in ((1, 0), (2, 1), (3, 0), (4, 1)):
        x = np.arange(2.0**ndim).reshape([2] * ndim) ** 0.5
        assert np.array_equal(value("nn.functional.softmax", x), value("softmax", x, dim))


@pytest.mark.parametrize("name", ["linalg.vector_norm", "norm"])
@pytest.mark.parametrize("order", [-4.0, -2.0, -1.0, -0.5, -0.125])
def test_a_norm_of_negative_order_is_zero_where_an_element_is(name, order):
    """|x|^p grows without bound towards 0, so that its root goes to 0; the rows beside have their own."""
    x = np.array([[0.0, 2.0, -3.0], [-0.5, 1.0, 4.0], [0.0, 0.0, 0.0]])
    want = np.sum(np.abs(x[1]) ** order) ** (1 / order)
    for a in (x, x + 0j):
        out, vjp = lookup(name)(a, order, dim=1)
        assert out == pytest.approx([0, want, 0], rel=1e-14)
        slopes = np.sign(x[1]) * (np.abs(x[1]) / want) ** (order - 1)
        assert vjp(np.ones(3))[0] == pytest.approx(np.stack([np.zeros(3), slopes, np.zeros(3)]), rel=1e-13)


@pytest.mark.parametrize("order", [0.125, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0])
def test_a_zero_adds_nothing_to_a_norm_of_positive_order(order):
    x = np.array([0.0, 2.0, -3.0, 0.0])
    out, vjp = lookup("linalg.vector_norm")(x, order)
    want, pull = lookup("linalg.vector_norm")(x[1:3], order)
    assert out == pytest.approx(want, rel=1e-15)
    assert vjp(np.ones(()))[0] == pytest.approx([0, *pull(np.ones(()))[0], 0], rel=1e-15)
