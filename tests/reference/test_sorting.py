"""Orders and quantiles against Python's own sorted(), NumPy's quantiles and the definitions."""

import collections

import numpy as np
import pytest

from reference import lookup

X = np.random.default_rng(0).integers(-3, 4, (3, 7)).astype(float)
Y = np.random.default_rng(1).standard_normal((4, 6))


@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable_as_pythons_is(descending):
    (values, indices), _ = lookup("sort")(X, stable=True, dim=1, descending=descending)
    for row, value, index in zip(X, values, indices):
        # reverse=True keeps the order of equal elements too
        want = sorted(range(7), key=lambda i: row[i], reverse=descending)
        assert index.tolist() == want and value.tolist() == [row[i] for i in want]


def test_the_cotangents_of_sort_go_back_where_the_elements_came_from():
    (_, indices), vjp = lookup("sort")(Y, 0)
    g = np.random.default_rng(2).standard_normal(Y.shape)
    want = np.zeros_like(Y)
    for i, j in np.ndindex(Y.shape):
        want[indices[i, j], j] = g[i, j]
    assert np.array_equal(vjp((g, None))[0], want)


def test_a_nan_is_greater_than_infinity():
    x = np.array([np.inf, np.nan, 1.0])
    assert lookup("argsort")(x)[0].tolist() == [2, 0, 1]
    assert lookup("argsort")(x, descending=True)[0].tolist() == [1, 0, 2]
    assert lookup("kthvalue")(x, 3)[0][1] == 1


def test_topk_is_the_head_of_the_order_from_either_end():
    (values, indices), _ = lookup("topk")(Y, 2, 0)
    assert np.array_equal(values, -np.sort(-Y, 0)[:2]) and np.array_equal(indices, np.argsort(-Y, 0)[:2])
    (values, _), _ = lookup("topk")(Y, 3, largest=False)
    assert np.array_equal(values, np.sort(Y, 1)[:, :3])


def test_the_mode_is_the_smallest_of_the_most_frequent_at_its_last_place():
    (values, indices), _ = lookup("mode")(X, 1)
    for row, value, index in zip(X, values, indices):
        counts = collections.Counter(row.tolist())
        assert value == min(v for v in counts if counts[v] == max(counts.values()))
        assert index == max(i for i in range(7) if row[i] == value)


def test_the_mode_of_the_documentation():
    b = np.array([[0, 0, 0, 2, 0, 0, 2], [0, 3, 0, 0, 2, 0, 1], [2, 2, 2, 0, 0, 0, 3]]
                 + [[2, 2, 3, 0, 1, 1, 0], [1, 1, 0, 0, 2, 0, 2]])  # fmt: skip
    (values, indices), _ = lookup("mode")(b, 0)
    assert values.tolist() == [0, 2, 0, 0, 0, 0, 2] and indices.tolist() == [1, 3, 4, 4, 2, 4, 4]


def test_running_extremes_name_the_last_place_so_far():
    (values, indices), _ = lookup("cummax")(X, 1)
    for row, value, index in zip(X, values, indices):
        for i in range(7):
            assert value[i] == max(row[: i + 1])
            assert index[i] == max(j for j in range(i + 1) if row[j] == value[i])
    low, high = lookup("cummin")(X, 0)[0], lookup("cummax")(-X, 0)[0]
    assert np.array_equal(low[0], -high[0]) and np.array_equal(low[1], high[1])


def test_a_nan_stays_in_a_running_extreme():
    (values, indices), _ = lookup("cummin")(np.array([2.0, np.nan, 1.0]), 0)
    assert np.isnan(values[1:]).all() and indices.tolist() == [0, 1, 1]


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0, np.array([0.75, 0.1])])
def test_quantiles_are_numpys(interpolation, q):
    for dim in (None, 0, -1):
        for keepdim in (False, True):
            got = lookup("quantile")(Y, q, dim, keepdim, interpolation=interpolation)[0]
            want = np.quantile(Y, q, axis=dim, keepdims=keepdim, method=interpolation)
            assert got.shape == want.shape and np.allclose(got, want, rtol=1e-14, atol=1e-14)


def test_nanquantile_is_the_quantile_of_the_numbers_and_quantile_of_a_row_with_a_nan_is_nan():
    x = np.where(np.random.default_rng(3).random(Y.shape) < 0.3, np.nan, Y)
    assert np.allclose(lookup("nanquantile")(x, 0.4, 1)[0], np.nanquantile(x, 0.4, axis=1), rtol=1e-14, atol=1e-14)
    assert np.array_equal(np.isnan(lookup("quantile")(x, 0.4, 1)[0]), np.isnan(x).any(1))
    assert np.isnan(lookup("nanquantile")(np.full((2,), np.nan), 0.5)[0])


def test_a_quantile_that_a_rounding_moves_beyond_1_is_the_last_element():
    x, beyond = np.array([3.0, 1.0, 2.0]), np.array([np.nextafter(1.0, 2.0)])
    for name in ("quantile", "nanquantile"):
        out, pull = lookup(name)(x, beyond)
        assert out == 3.0 and list(pull(np.ones(1))[0]) == [1.0, 0.0, 0.0]


def test_the_slope_of_a_quantile_by_q_is_that_of_the_line_between_its_neighbours():
    _, vjp = lookup("quantile")(np.array([1.0, 4.0, 2.0]), np.array([0.25, 0.5]))
    by_x, by_q = vjp(np.array([1.0, 10.0]))
    assert by_q.tolist() == [2.0, 0.0] and by_x.tolist() == [0.5, 0.0, 10.5]
