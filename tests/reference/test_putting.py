"""Writing and combining by index, against loops over the elements and NumPy's own assignments."""

import math

import numpy as np
import pytest

from conformance.draws import SeededDraw
from reference import lookup

RNG = np.random.default_rng(0)
X = RNG.integers(-6, 7, (3, 4)) / 2.0
INDEX = RNG.integers(0, 3, (5, 4))
SRC = RNG.integers(-6, 7, (5, 4)) / 2.0
TOGETHER = {"sum": sum, "prod": math.prod, "mean": lambda v: sum(v) / len(v), "amax": max, "amin": min}


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", TOGETHER)
def test_scatter_reduce_combines_what_meets_in_a_place(reduce, include_self):
    out, _ = lookup("scatter_reduce")(X, 0, INDEX, SRC, reduce, include_self=include_self)
    for i, j in np.ndindex(X.shape):
        met = [SRC[k, j] for k in range(5) if INDEX[k, j] == i]
        met += [X[i, j]] if include_self or not met else []
        assert math.isclose(out[i, j], TOGETHER[reduce](met), rel_tol=1e-15)


@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin"])
def test_index_reduce_is_scatter_reduce_of_whole_slices(reduce):
    index = np.array([2, 0, 2, 2, 1])
    (got, pull), g = lookup("index_reduce")(X, 0, index, SRC, reduce), RNG.standard_normal(X.shape)
    want, push = lookup("scatter_reduce")(X, 0, np.repeat(index[:, None], 4, 1), SRC, reduce)
    assert np.array_equal(got, want)
    by_input, _, by_source = pull(g)
    assert np.array_equal(by_input, push(g)[0]) and np.array_equal(by_source, push(g)[2])


def test_the_example_of_index_reduce_in_the_documentation():
    t, index = np.arange(1.0, 13.0).reshape(4, 3), np.array([0, 4, 2, 0])
    out, _ = lookup("index_reduce")(np.full((5, 3), 2.0), 0, index, t, "prod", include_self=False)
    assert out.tolist() == [[10, 22, 36], [2, 2, 2], [7, 8, 9], [2, 2, 2], [4, 5, 6]]


def test_ties_of_extremes_share_the_gradient_and_what_does_not_count_has_none():
    x, index, src = np.array([2.0, 3.0]), np.array([0, 0]), np.array([2.0, 7.0])
    for include_self, by_input, by_src in ((True, [0.5, 1.0], [0.5, 0.0]), (False, [0.0, 1.0], [1.0, 0.0])):
        _, vjp = lookup("scatter_reduce")(x, 0, index, src, "amin", include_self=include_self)
        got = vjp(np.ones(2))
        assert got[0].tolist() == by_input and got[2].tolist() == by_src


def test_a_zero_factor_has_the_product_of_the_others():
    x, index, src = np.array([2.0]), np.array([0, 0]), np.array([0.0, 7.0])
    by_input, _, by_src = lookup("scatter_reduce")(x, 0, index, src, "prod")[1](np.ones(1))
    assert by_input.tolist() == [0.0] and by_src.tolist() == [14.0, 0.0]


def test_index_put_is_an_assignment_and_adds_up_repeated_indices():
    rows, columns, values = np.array([0, -1, 0]), np.array([1, 2, 1]), np.array([1.0, 2.0, 3.0])
    out, vjp = lookup("index_put")(X, (rows, columns), values, accumulate=True)
    want = X.copy()
    np.add.at(want, (rows, columns), values)
    assert np.array_equal(out, want)
    g = RNG.standard_normal(X.shape)
    assert np.array_equal(vjp(g)[0], g) and np.array_equal(vjp(g)[2], g[rows, columns])
    out, vjp = lookup("index_put")(X, (np.array(2), np.array(1)), np.array(5.0))
    assert out[2, 1] == 5.0 and vjp(g)[2] == g[2, 1] and vjp(g)[0][2, 1] == 0.0
    mask = X > 0
    out, vjp = lookup("index_put")(X, [mask], np.array(9.0))
    assert np.array_equal(out, np.where(mask, 9.0, X)) and math.isclose(vjp(g)[2], g[mask].sum())


def test_put_counts_the_elements_in_row_major_order_and_from_the_end():
    x = np.array([[4.0, 3.0, 5.0], [6.0, 7.0, 8.0]])
    assert lookup("put")(x, np.array([1, 3]), np.array([9.0, 10.0]))[0].tolist() == [[4, 9, 5], [10, 7, 8]]
    assert lookup("put")(x, np.array([-1, -1]), np.array([1.0, 2.0]), True)[0][1, 2] == 11


def test_index_fill_takes_indices_from_the_end():
    assert lookup("index_fill")(X, 1, np.array([-1, 0]), 2.0)[0].tolist() == [[2, *r[1:3].tolist(), 2] for r in X]


def test_masked_scatter_reads_its_source_in_order():
    mask = np.array([[False, False, False, True, True], [True, True, False, True, True]])
    out, vjp = lookup("masked_scatter")(np.zeros((2, 5)), mask, np.arange(10.0))
    assert out.tolist() == [[0, 0, 0, 0, 1], [2, 3, 0, 4, 5]]
    assert vjp(np.ones((2, 5)))[2].tolist() == [1.0] * 6 + [0.0] * 4


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (4, 4), (3, 3, 3), (0, 2)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal_is_numpys(shape, wrap):
    want = np.zeros(shape)
    if want.size:
        np.fill_diagonal(want, 2.0, wrap=wrap)
    assert np.array_equal(lookup("Tensor.fill_diagonal_")(np.zeros(shape), 2.0, wrap)[0], want)


def assigned(x, at, values):
    out = x.copy()
    out[at] = values
    return out


def filled(x, fill_value, wrap=False):
    out = x.copy()
    if out.size:
        np.fill_diagonal(out, fill_value, wrap=wrap)
    return out


def put_in(x, index, source, accumulate=False):
    out = x.reshape(-1).copy()
    places = index.reshape(-1)
    np.add.at(out, places, source.reshape(-1)) if accumulate else np.put(out, places, source)
    return out.reshape(x.shape)


def put_at(x, indices, values, accumulate=False):
    out = x.copy()
    if accumulate:
        np.add.at(out, tuple(indices), values)
        return out
    return assigned(x, tuple(indices), values)


def scattered(x, mask, source):
    out = np.broadcast_to(x, np.broadcast_shapes(x.shape, mask.shape)).copy()
    mask = np.broadcast_to(mask, out.shape)
    out[mask] = source.reshape(-1)[: mask.sum()]
    return out


ASSIGNMENTS = {
    "Tensor.fill_diagonal_": filled, "put": put_in, "index_put": put_at, "masked_scatter": scattered,
    "masked_fill": lambda x, mask, value: np.where(mask, value, x),
}  # fmt: skip


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_what_is_written_replaces_what_was_there(name):
    """Numpy's own assignments, over all cases."""
    rule = lookup(name)
    for seed in range(40):
        case = rule.cases(SeededDraw(f"{name}/assigned/{seed}"))
        assert np.allclose(
            rule(*case.args, **case.kwargs)[0], ASSIGNMENTS[name](*case.args, **case.kwargs), rtol=1e-15, atol=1e-15
        )
