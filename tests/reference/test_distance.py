"""Distances against scipy and against naive loops, and vectors shortened to a norm."""

import math

import numpy as np
import pytest
from scipy.spatial import distance

from reference import lookup

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((5, 3)), RNG.standard_normal((4, 3))
ORDERS = [0.5, 1.0, 1.5, 2.0, 3.0]


def value(name, *args, **options):
    return lookup(name)(*args, **options)[0]


@pytest.mark.parametrize("p", ORDERS)
def test_distances_are_those_of_minkowski(p):
    want = distance.cdist(A, B, "minkowski", p=p)
    assert np.allclose(value("cdist", A, B, p), want, rtol=1e-13, atol=1e-13)
    assert np.allclose(value("pdist", A, p), distance.pdist(A, "minkowski", p=p), rtol=1e-13, atol=1e-13)
    assert value("dist", A[0], B[0], p) == pytest.approx(want[0, 0], rel=1e-13)
    assert np.allclose(value("pairwise_distance", A[:4], B, p, eps=0.0), np.diagonal(want), rtol=1e-13, atol=1e-13)


def test_distances_of_the_limiting_orders():
    assert np.allclose(value("cdist", A, B, math.inf), distance.cdist(A, B, "chebyshev"), rtol=1e-15, atol=1e-15)
    x, y = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 5.0, 4.0]])
    assert value("cdist", x, y, 0.0).tolist() == [[2.0]]
    assert value("dist", x, y, -math.inf) == 0.0 and value("dist", x, y, math.inf) == 3.0


def test_all_pairs_are_the_upper_triangle_of_all_distances():
    full = value("cdist", A, A)
    assert np.array_equal(value("nn.functional.pdist", A), full[np.triu_indices(5, 1)])


def test_batches_broadcast():
    x, y = RNG.standard_normal((2, 1, 3, 2)), RNG.standard_normal((4, 5, 2))
    out, vjp = lookup("cdist")(x, y)
    assert out.shape == (2, 4, 3, 5) and [d.shape for d in vjp(np.ones(out.shape))] == [x.shape, y.shape]
    assert np.allclose(out[1, 2], distance.cdist(x[1, 0], y[2]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"])
def test_the_mode_of_computing_changes_nothing(mode):
    assert np.array_equal(value("cdist", A, B, 2.0, mode), value("cdist", A, B))


@pytest.mark.parametrize("p", [*ORDERS, 0.0, math.inf])
def test_equal_points_are_at_distance_zero_and_have_no_gradient(p):
    x = np.array([[1.0, -2.0], [1.0, -2.0]])
    out, vjp = lookup("pdist")(x, p)
    assert out.tolist() == [0.0] and not vjp(np.ones(1))[0].any()


def test_the_gradient_of_the_largest_difference_is_shared_by_ties():
    dx, dy = lookup("cdist")(np.array([[2.0, -2.0, 1.0]]), np.zeros((1, 3)), math.inf)[1](np.ones((1, 1)))
    assert dx.tolist() == [[0.5, -0.5, 0.0]] and dy.tolist() == [[-0.5, 0.5, 0.0]]


def test_eps_is_added_to_the_difference():
    assert value("pairwise_distance", np.zeros((1, 4)), np.zeros((1, 4)), eps=0.5, keepdim=True).tolist() == [[1.0]]


def test_distances_of_nothing():
    assert value("cdist", np.zeros((2, 0)), np.zeros((3, 0))).tolist() == [[0.0] * 3] * 2
    assert value("pdist", np.zeros((0, 3))).shape == value("pdist", np.zeros((1, 3))).shape == (0,)


def test_renorm_shortens_long_slices_alone():
    x = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    out, vjp = lookup("renorm")(x, 2, 0, 1.0)
    assert out == pytest.approx(np.array([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]), rel=1e-7)
    # along a shortened slice nothing changes, across it the slope is 1 / norm
    assert vjp(x)[0][0] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert vjp(np.array([[-4.0, 3.0]] * 3))[0][0] == pytest.approx([-0.8, 0.6], rel=1e-6)
    assert vjp(np.ones((3, 2)))[0][1:].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_renorm_to_nothing_is_flat():
    out, vjp = lookup("renorm")(np.array([[0.0, 0.0], [1.0, 2.0]]), 2, 0, 0.0)
    assert not out.any() and not vjp(np.ones((2, 2)))[0].any()


def test_renorm_of_columns_and_complex_numbers():
    z = RNG.standard_normal((3, 2)) + 1j * RNG.standard_normal((3, 2))
    out = value("renorm", z, 1.0, -1, 0.25)
    assert np.allclose(np.abs(out).sum(0), 0.25, rtol=1e-6, atol=1e-06) and np.allclose(
        np.angle(out), np.angle(z), rtol=1e-12, atol=1e-12
    )
