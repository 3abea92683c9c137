"""What moves elements, against its definition element by element and examples in torch's documentation."""

import itertools

import numpy as np
import pytest

from reference import lookup, rules

CUBE = np.arange(24.0).reshape(2, 3, 4)
MOVES = [n for n, r in rules().items() if r.family in ("shape", "diagonals", "joining")]


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def gradient(name, g, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[1](g)[0]


def test_permute_takes_output_dimension_i_from_dims_i():
    out = value("permute", CUBE, (2, 0, 1))
    for i, j, k in itertools.product(range(2), range(3), range(4)):
        assert out[k, i, j] == CUBE[i, j, k]
    assert np.array_equal(value("permute", CUBE, (-1, 0, 1)), out)


def test_the_gradient_of_a_permutation_is_the_inverse_permutation():
    for dims in itertools.permutations(range(3)):
        assert np.array_equal(gradient("permute", CUBE.transpose(dims), CUBE, dims), CUBE)


def test_movedim_keeps_the_order_of_the_other_dimensions():
    assert value("movedim", CUBE, 0, 2).shape == (3, 4, 2)
    assert value("movedim", CUBE, (1, 2), (0, 1)).shape == (3, 4, 2)
    assert value("movedim", CUBE, (0, 1), (-1, 0)).shape == (3, 4, 2)


def test_sizes_of_minus_one_follow_from_the_others():
    assert value("reshape", CUBE, (-1, 8)).shape == (3, 8)
    assert value("Tensor.view", CUBE, 4, -1).shape == (4, 6)
    assert value("unflatten", CUBE, 2, (2, -1)).shape == (2, 3, 2, 2)
    assert value("Tensor.expand", np.ones((3, 1)), 2, -1, 4).shape == (2, 3, 4)


def test_a_view_as_another_dtype_reads_the_bits():
    assert value("Tensor.view", np.array([1.0]), "torch.int64")[0] == 0x3FF0000000000000


def test_flatten_makes_a_number_a_vector():
    assert value("flatten", np.array(3.0)).shape == (1,)
    assert value("flatten", CUBE, 1).shape == (2, 12)
    assert value("flatten", CUBE, 0, -2).shape == (6, 4)


def test_squeeze_drops_only_dimensions_of_size_one():
    x = np.ones((1, 2, 1, 3))
    assert value("squeeze", x).shape == (2, 3)
    assert value("squeeze", x, 1).shape == x.shape
    assert value("squeeze", x, (0, 1)).shape == (2, 1, 3)
    assert value("squeeze", x, ()).shape == x.shape


@pytest.mark.parametrize("offset", range(-4, 5))
def test_diag_puts_what_diagonal_takes(offset):
    v = np.arange(1.0, 4.0)
    square = value("diag", v, offset)
    assert square.sum() == v.sum()
    assert np.array_equal(value("diagonal", square, offset), v)
    assert np.array_equal(value("diag", square, offset), v)


def test_a_diagonal_of_batches_stands_last():
    out = value("diagonal", CUBE, 1, 0, 2)
    assert out.shape == (3, 2)
    assert all(out[j, i] == CUBE[i, j, i + 1] for j in range(3) for i in range(2))


@pytest.mark.parametrize("k", range(-3, 4))
def test_the_triangles_around_a_diagonal_make_up_the_matrix(k):
    lower, upper = value("tril", CUBE, k), value("triu", CUBE, k + 1)
    assert np.array_equal(lower + upper, CUBE)
    assert all(lower[b, i, j] == (CUBE[b, i, j] if j - i <= k else 0) for b, i, j in np.ndindex(CUBE.shape))


def test_the_trace_of_a_product_does_not_depend_on_its_order():
    a, b = CUBE[0], CUBE[1].T
    assert value("trace", a @ b) == value("trace", b @ a)


def test_cat_passes_over_vectors_of_nothing():
    x = np.ones((2, 3))
    out, vjp = lookup("cat")([np.zeros(0), x, x], 1)
    assert out.shape == (2, 6)
    (grads,) = vjp(np.arange(12.0).reshape(2, 6))
    assert [g.shape for g in grads] == [(0,), (2, 3), (2, 3)]
    assert grads[2].tolist() == [[3, 4, 5], [9, 10, 11]]


def test_pieces_put_together_are_the_whole():
    for name, size in (("split", 2), ("split", [1, 0, 2]), ("chunk", 2)):
        assert np.array_equal(value("cat", list(value(name, CUBE, size, 1)), 1), CUBE)
    assert np.array_equal(value("stack", list(value("unbind", CUBE, 2)), 2), CUBE)


def test_chunk_may_give_fewer_pieces_than_asked():
    # torch.chunk's documentation: torch.arange(11).chunk(6) has pieces of 2 2 2 2 2 1, arange(13) only five
    assert [len(p) for p in value("chunk", np.arange(11.0), 6)] == [2, 2, 2, 2, 2, 1]
    assert [len(p) for p in value("chunk", np.arange(12.0), 6)] == [2] * 6
    assert [len(p) for p in value("chunk", np.arange(13.0), 6)] == [3, 3, 3, 3, 1]


def test_roll_follows_the_documentation():
    x = np.arange(1.0, 9.0).reshape(4, 2)
    assert value("roll", x, 1).tolist() == [[8, 1], [2, 3], [4, 5], [6, 7]]
    assert value("roll", x, 1, 0).tolist() == [[7, 8], [1, 2], [3, 4], [5, 6]]
    assert value("roll", x, (2, 1), (0, 1)).tolist() == [[6, 5], [8, 7], [2, 1], [4, 3]]


def test_flip_reverses():
    out = value("flip", CUBE, (0, -1))
    assert all(out[1 - i, j, 3 - k] == CUBE[i, j, k] for i, j, k in np.ndindex(CUBE.shape))


def test_tile_and_repeat_differ_only_in_missing_counts():
    x = np.arange(3.0)
    assert value("Tensor.repeat", x, 4, 2).shape == (4, 6)
    assert np.array_equal(value("tile", CUBE, (2,)), value("Tensor.repeat", CUBE, 1, 1, 2))


def test_the_gradient_of_copies_is_their_sum():
    x = np.arange(3.0)
    assert gradient("Tensor.repeat", np.ones((4, 6)), x, (4, 2)).tolist() == [8, 8, 8]
    assert gradient("Tensor.expand", np.ones((5, 3)), x, (5, 3)).tolist() == [5, 5, 5]
    assert gradient("broadcast_to", np.ones((5, 3)), x[:1], (5, 3)).tolist() == [15]


@pytest.mark.parametrize("name", MOVES)
def test_every_move_is_there_and_takes_complex_numbers(name):
    assert lookup(name).complex


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 2), (2, 1), (1, 1, 3), (1, 2, 1)])
def test_squeeze_takes_a_side_of_one_counted_from_either_end(shape):
    x = np.arange(float(np.prod(shape))).reshape(shape)
    for dim in range(-len(shape), len(shape)):
        want = np.squeeze(x, dim) if shape[dim] == 1 else x
        assert np.array_equal(lookup("squeeze")(x, dim)[0], want) and lookup("squeeze")(x, dim)[0].shape == want.shape
