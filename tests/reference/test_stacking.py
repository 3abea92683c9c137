"""Tensors put together and cut, against NumPy's functions of the same names, itertools and the documentation."""

import itertools

import numpy as np
import pytest
import scipy.linalg

from reference import lookup

A, B, V = np.arange(6.0).reshape(2, 3), -np.arange(6.0).reshape(2, 3), np.arange(3.0)
CUBE = np.arange(24.0).reshape(2, 3, 4)


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def gradients(name, g, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[1](g)


@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack", "column_stack"])
@pytest.mark.parametrize("tensors", [[A, B], [V, V, V], [np.array(1.0), np.array(2.0)], [CUBE, CUBE]])
def test_stacks_are_those_of_numpy(name, tensors):
    assert np.array_equal(value(name, tensors), getattr(np, name)(tensors))


def test_a_vector_is_a_row_for_vstack_and_a_column_for_column_stack():
    assert value("vstack", [A, V]).shape == (3, 3)
    assert value("column_stack", [A.T, V]).shape == (3, 3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_at_least_so_many_dimensions(n):
    for x in (np.array(1.0), V, A, CUBE):
        assert np.array_equal(value(f"atleast_{n}d", x), getattr(np, f"atleast_{n}d")(x))
    several = value(f"atleast_{n}d", [V, np.array(1.0)])
    assert [s.ndim for s in several] == [n, n]


def test_a_list_gets_a_list_of_gradients():
    (grads,) = gradients("atleast_2d", (np.ones((1, 3)), np.ones((1, 1))), [V, np.array(1.0)])
    assert [g.shape for g in grads] == [(3,), ()]
    one, other = gradients("atleast_2d", (np.ones((1, 3)), np.ones((1, 1))), V, np.array(1.0))
    assert one.shape == (3,) and other.shape == ()


def test_blocks_stand_on_the_diagonal():
    out = value("block_diag", A, V, np.array(7.0))
    assert np.array_equal(out, scipy.linalg.block_diag(A, V, 7.0))
    assert [g.sum() for g in gradients("block_diag", np.ones_like(out), A, V, np.array(7.0))] == [6, 3, 1]


def test_meshgrid_is_that_of_numpy():
    for indexing in ("ij", "xy"):
        for ours, theirs in zip(
            value("meshgrid", V, A[0], B[1], indexing=indexing), np.meshgrid(V, A[0], B[1], indexing=indexing)
        ):
            assert np.array_equal(ours, theirs)


def test_products_and_choices_are_those_of_itertools():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])
    assert value("cartesian_prod", x, y).tolist() == [list(p) for p in itertools.product(x, y)]
    for r in (1, 2, 3):
        assert value("combinations", x, r).tolist() == [list(p) for p in itertools.combinations(x, r)]
        pairs = [list(p) for p in itertools.combinations_with_replacement(x, r)]
        assert value("combinations", x, r, True).tolist() == pairs


def test_sections_follow_the_documentation():
    # torch.tensor_split: arange(8) in 3, arange(7) in 3, arange(7) at (1, 6)
    assert [len(p) for p in value("tensor_split", np.arange(8.0), 3)] == [3, 3, 2]
    assert [len(p) for p in value("tensor_split", np.arange(7.0), 3)] == [3, 2, 2]
    assert [p.tolist() for p in value("tensor_split", np.arange(7.0), (1, 6))] == [[0], [1, 2, 3, 4, 5], [6]]
    assert [len(p) for p in value("tensor_split", np.arange(7.0), np.array([1, 6]))] == [1, 5, 1]


def test_pieces_that_overlap_add_their_gradients():
    # cut at 2 and then at 1: [0:2], [2:1], [1:3]
    pieces, vjp = lookup("tensor_split")(np.arange(3.0), [2, 1])
    assert [len(p) for p in pieces] == [2, 0, 2]
    assert vjp(tuple(np.ones_like(p) for p in pieces))[0].tolist() == [1, 2, 1]


@pytest.mark.parametrize("name,dim", [("vsplit", 0), ("hsplit", 1), ("dsplit", 2)])
def test_each_split_has_its_dimension(name, dim):
    for given in (1, [1], (1, 2)):
        for ours, theirs in zip(value(name, CUBE, given), getattr(np, name)(CUBE, given)):
            assert np.array_equal(ours, theirs)
    assert value("hsplit", V, 3)[1].tolist() == [1]


def test_pieces_of_given_sizes_make_up_the_whole():
    for name, sizes in (("split_with_sizes", [3, 0, 1]), ("split_copy", 3)):
        assert np.array_equal(np.concatenate(value(name, CUBE, sizes, 2), axis=2), CUBE)


def test_four_right_angles_are_none():
    assert np.array_equal(value("rot90", CUBE, 4, (0, 2)), CUBE)
    assert value("rot90", np.arange(4.0).reshape(2, 2)).tolist() == [[1, 3], [0, 2]]  # torch.rot90's documentation
    assert np.array_equal(value("rot90", A, 2), value("fliplr", value("flipud", A)))


def test_repeat_interleave_follows_the_documentation():
    y = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert value("repeat_interleave", y, 2).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert value("repeat_interleave", y, 3, dim=1).tolist() == [[1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]]
    assert value("repeat_interleave", y, np.array([1, 2]), dim=0).tolist() == [[1, 2], [3, 4], [3, 4]]
    assert value("repeat_interleave", np.array([1, 2])).tolist() == [0, 1, 1]


def test_channels_are_dealt_from_the_groups_in_turn():
    x = np.arange(6.0).reshape(1, 6, 1)
    assert value("channel_shuffle", x, 2).ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert np.array_equal(value("channel_shuffle", value("channel_shuffle", x, 2), 3), x)
