"""Counts, places and memberships against definitions in plain Python."""

import bisect
import itertools

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(0)
X = RNG.integers(-2, 3, (3, 4)) * 0.5


def value(name, *args, **options):
    return lookup(name)(*args, **options)[0]


def test_the_place_of_an_extreme_is_the_first_one_and_that_of_a_nan_if_there_is_one():
    assert value("argmax", np.array([1.0, 3.0, 3.0])) == 1 and value("argmin", np.array([3.0, 1.0, 1.0])) == 1
    assert value("argmin", np.array([2.0, np.nan, 1.0])) == 1
    assert value("argmax", X, keepdim=True).shape == (1, 1) and value("argmax", np.array(2.0), 0).shape == ()


def test_truth_over_no_dimensions_is_that_of_each_element():
    assert np.array_equal(value("all", X, ()), X != 0) and np.array_equal(value("any", X), (X != 0).any())
    assert value("all", np.zeros((0, 2)), 0).tolist() == [True, True]
    assert value("count_nonzero", X, (0, -1)) == sum(x != 0 for x in X.flat) == value("count_nonzero", X, ())


def test_nonzero_lists_indices_in_row_major_order():
    want = [list(i) for i in np.ndindex(X.shape) if X[i] != 0]
    assert value("nonzero", X).tolist() == want == value("argwhere", X).tolist()
    assert [list(i) for i in zip(*value("nonzero", X, as_tuple=True))] == want
    assert value("nonzero", np.array(1.0)).shape == (1, 0)
    assert value("nonzero_static", X, size=2).tolist() == want[:2]
    assert value("nonzero_static", np.array([0.0, 5.0]), size=3, fill_value=7).tolist() == [[1], [7], [7]]


def test_bincount_sums_the_weights_of_each_number():
    x, w = RNG.integers(0, 4, 10), RNG.standard_normal(10)
    got = value("bincount", x, w, 6)
    assert np.allclose(got, [sum(w[i] for i in range(10) if x[i] == n) for n in range(6)], rtol=1e-12, atol=1e-12)
    assert value("bincount", np.zeros(0, np.int64), minlength=2).tolist() == [0, 0]


def test_the_last_bin_alone_holds_its_right_end():
    x = np.array([0.0, 1.0, 2.0, 2.0, 5.0, -1.0])
    assert value("histc", x, 2, 0, 2).tolist() == [1, 3]
    assert value("histc", np.ones(3), 4).tolist() == [0, 0, 3, 0]
    counts, edges = value("histogram", x, 2, range=(0.0, 2.0))
    assert counts.tolist() == [1, 3] and edges.tolist() == [0, 1, 2]


def test_the_examples_of_histogram_in_the_documentation():
    options = dict(range=(0.0, 3.0), weight=np.array([1.0, 2.0, 4.0]))
    x = np.array([1.0, 2.0, 1.0])
    assert value("histogram", x, 4, **options)[0].tolist() == [0, 5, 2, 0]
    density = value("histogram", x, 4, density=True, **options)[0]
    assert np.allclose(density, [0, 0.9524, 0.3810, 0], atol=1e-4, rtol=0.0001) and np.isclose(density.sum() * 0.75, 1)


@pytest.mark.parametrize("right", [False, True])
def test_a_search_is_pythons_bisection(right):
    rows, values = np.sort(RNG.integers(0, 5, (2, 6)) / 2.0, -1), RNG.integers(-1, 6, (2, 3)) / 2.0
    by = bisect.bisect_right if right else bisect.bisect_left
    want = [[by(rows[i].tolist(), v) for v in values[i]] for i in range(2)]
    assert value("searchsorted", rows, values, right=right).tolist() == want
    assert value("bucketize", values[0], rows[0], right=right).tolist() == want[0]
    order = np.argsort(RNG.random((2, 6)), -1)
    mixed = np.empty_like(rows)
    np.put_along_axis(mixed, order, rows, -1)
    assert value("searchsorted", mixed, values, right=right, sorter=order, out_int32=True).tolist() == want


def test_membership_takes_numbers_on_either_side():
    assert value("isin", X, 0.5).tolist() == (X == 0.5).tolist() and value("isin", 9.0, X, invert=True)


def test_unravel_index_is_its_definition():
    for n, i in enumerate(np.ndindex(2, 3, 4)):
        assert tuple(int(v) for v in value("unravel_index", np.array(n), (2, 3, 4))) == i


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_distinct_slices_are_numpys(dim):
    x = RNG.integers(0, 2, (6, 2) if dim == 0 else (2, 6)) * 1.0
    got = value("unique", x, return_inverse=True, return_counts=True, dim=dim)
    want = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    assert np.array_equal(got[0], want[0]) and np.array_equal(got[2], want[2])
    assert np.array_equal(got[1].reshape(-1), want[1].reshape(-1))


def test_consecutive_equals_are_pythons_groups():
    x = RNG.integers(0, 2, 12) * 0.5
    values, inverse, counts = value("unique_consecutive", x, True, True)
    groups = [(k, len(list(v))) for k, v in itertools.groupby(x.tolist())]
    assert list(zip(values.tolist(), counts.tolist())) == groups and np.array_equal(values[inverse], x)


def test_a_range_of_one_point_is_widened():
    """By one on either side for histc, by a half for histogram, as their documentation says."""
    x = np.full(3, 2.0)
    assert value("histc", x, 4).tolist() == [0, 0, 3, 0]
    counts, edges = value("histogram", x, 4)
    assert counts.tolist() == [0, 0, 3, 0] and edges.tolist() == [1.5, 1.75, 2.0, 2.25, 2.5]
