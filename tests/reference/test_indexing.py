"""Indexing and scattering against loops over their definitions."""

import numpy as np
import pytest

from reference import lookup

CUBE = np.arange(24.0).reshape(2, 3, 4)
RNG = np.random.default_rng(0)


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def gradients(name, g, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[1](g)


def at(index, dim, new):
    return (*index[:dim], new, *index[dim + 1 :])


@pytest.mark.parametrize(
    "key",
    [
        1,
        (slice(None), slice(1, None, 2)),
        (..., -1),
        None,
        (0, ..., None),
        [1, 0],
        (np.array([1, 0, 1]),),
        (slice(None), np.array([[0, 2]]), np.array([[1], [3]])),
        (np.array([1, 0]), slice(None), np.array([3, 2])),
        CUBE > 5,
        (slice(None), CUBE[0] > 5),
        (CUBE[:, :, 0] > 5, np.array([3])),
        (np.array([0, 1]), None, np.array([2, 2])),
        True,
        (slice(None), True, np.array([0, 1])),
        (),
    ],
)
def test_getitem_is_numpys_where_no_integer_stands_beside_an_array(key):
    assert np.array_equal(value("Tensor.__getitem__", CUBE, key), CUBE[key])


def test_an_integer_beside_an_array_of_indices_only_drops_its_dimension():
    out = value("Tensor.__getitem__", CUBE, (0, slice(None), [1, 2]))
    assert out.shape == (3, 2)  # NumPy counts the 0 as an array, and gives (2, 3)
    assert np.array_equal(out, CUBE[0][:, [1, 2]])


def test_a_list_of_sequences_counts_as_a_tuple():
    assert value("Tensor.__getitem__", CUBE, [[0, 1], [1, 0]]).shape == (2, 4)


def test_repeated_indices_add_up_in_the_gradient():
    g = np.arange(1.0, 5.0)
    (grad,) = gradients("Tensor.__getitem__", g, np.zeros(3), ([0, 2, 0, 0],))
    assert grad.tolist() == [1 + 3 + 4, 0, 2]
    assert gradients("take", g, np.zeros((1, 3)), np.array([0, -1, 0, 0]))[0].tolist() == [[8, 0, 2]]


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_gather_and_scatter_add_are_their_definitions(dim):
    index = RNG.integers(0, CUBE.shape[dim], (2, 2, 3))
    src = RNG.standard_normal((2, 2, 3))
    picked, total = value("gather", CUBE, dim, index), value("scatter_add", CUBE, dim, index, src)
    want = CUBE.copy()
    for place in np.ndindex(index.shape):
        there = at(place, dim % 3, index[place])
        assert picked[place] == CUBE[there]
        want[there] += src[place]
    assert np.allclose(total, want, rtol=1e-15, atol=1e-15)


def test_the_gradient_of_gather_is_scatter_add():
    index, g = RNG.integers(0, 4, (2, 3, 5)), RNG.standard_normal((2, 3, 5))
    assert np.allclose(
        gradients("gather", g, CUBE, 2, index)[0], value("scatter_add", 0 * CUBE, 2, index, g), rtol=1e-12, atol=1e-12
    )


def test_scatter_replaces_and_passes_no_gradient_to_what_it_replaced():
    x, index = np.arange(4.0), np.array([2, 0])
    out, vjp = lookup("scatter")(x, 0, index, np.array([7.0, 8.0]))
    assert out.tolist() == [8, 1, 7, 3]
    gx, _, gs = vjp(np.array([1.0, 2.0, 3.0, 4.0]))
    assert gx.tolist() == [0, 2, 0, 4] and gs.tolist() == [3, 1]
    assert value("scatter", x, 0, index, value=-1.0).tolist() == [-1, 1, -1, 3]
    assert value("scatter", x, 0, np.array([1, 1]), 2.0, reduce="multiply").tolist() == [0, 4, 2, 3]


def test_index_add_adds_slices_and_index_copy_replaces_them():
    x, source = np.zeros((2, 3)), np.array([[1.0, 2.0], [3.0, 4.0]])
    out = value("index_add", x, 1, np.array([0, 0]), source, alpha=2)
    assert out.tolist() == [[6, 0, 0], [14, 0, 0]]
    out, vjp = lookup("index_copy")(x, 1, np.array([2, 0]), source)
    assert out.tolist() == [[2, 0, 1], [4, 0, 3]]
    gx, _, gs = vjp(np.arange(6.0).reshape(2, 3))
    assert gx.tolist() == [[0, 1, 0], [0, 4, 0]] and gs.tolist() == [[2, 0], [5, 3]]


def test_masked_select_and_fill_take_the_same_elements():
    mask = CUBE % 3 == 0
    assert value("masked_select", CUBE, mask).tolist() == [x for x in CUBE.reshape(-1) if x % 3 == 0]
    out, vjp = lookup("masked_fill")(CUBE, mask, np.array(-1.0))
    assert (out == -1).sum() == mask.sum()
    gx, _, gv = vjp(np.ones_like(CUBE))
    assert gv == mask.sum() and gx.sum() == CUBE.size - mask.sum()


def test_take_along_dim_sorts_by_what_argsort_found():
    x = RNG.standard_normal((3, 5))
    assert np.array_equal(value("take_along_dim", x, np.argsort(x, 1), 1), np.sort(x, 1))
    assert np.array_equal(value("take_along_dim", x, np.argsort(x, None)), np.sort(x, None))
    assert np.array_equal(value("index_select", x, 1, np.array([4, 4])), x[:, [4, 4]])


def test_an_embeddings_padding_row_has_a_value_and_no_gradient():
    table, rows = RNG.standard_normal((4, 2)), np.array([[1, 3], [1, 0]])
    out, vjp = lookup("nn.functional.embedding")(rows, table, padding_idx=-1)
    assert np.array_equal(out, table[rows])
    assert vjp(np.ones_like(out))[1].tolist() == [[1, 1], [2, 2], [0, 0], [0, 0]]
    grad = gradients("nn.functional.embedding", np.ones_like(out), rows, table, scale_grad_by_freq=True)[1]
    assert grad.tolist() == [[1, 1], [1, 1], [0, 0], [1, 1]]


def test_an_embedding_shortens_the_rows_it_names_in_place():
    table = np.array([[3.0, 4.0], [3.0, 4.0], [0.3, 0.4]])
    lookup("nn.functional.embedding")(np.array([0, 2]), table, max_norm=1.0)
    assert np.allclose(table, [[0.6, 0.8], [3, 4], [0.3, 0.4]], rtol=1e-7, atol=1e-07)
