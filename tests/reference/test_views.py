"""Parts, copies and replacements against Python's own indexing, element by element."""

import itertools

import numpy as np
import pytest

from reference import lookup

CUBE = np.arange(24.0).reshape(2, 3, 4)


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def gradients(name, g, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[1](g)


@pytest.mark.parametrize("start,end,step", [*itertools.product([None, -5, 0, 2], [None, -1, 3, 9], [1, 2])])
def test_slices_are_those_of_python(start, end, step):
    x = np.arange(5.0)
    assert value("slice_copy", x, 0, start, end, step).tolist() == list(x)[start:end:step]


def test_narrow_counts_from_either_end():
    assert np.array_equal(value("narrow", CUBE, 2, -3, 2), CUBE[:, :, 1:3])
    assert np.array_equal(value("narrow", CUBE, -1, np.array(1), 2), CUBE[:, :, 1:3])
    assert np.array_equal(value("narrow_copy", CUBE, 2, -1, 1), CUBE[:, :, 3:])


def test_the_gradient_of_a_part_is_zero_outside_it():
    assert gradients("narrow_copy", np.ones(2), np.arange(4.0), 0, -2, 2)[0].tolist() == [0, 0, 1, 1]
    assert gradients("select", np.array(5.0), np.arange(3.0), 0, -1)[0].tolist() == [0, 0, 5]


def test_windows_follow_the_documentation():
    # torch.Tensor.unfold: x = 1 .. 7, x.unfold(0, 2, 2)
    out = value("Tensor.unfold", np.arange(1.0, 8.0), 0, 2, 2)
    assert out.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert value("Tensor.unfold", CUBE, 1, 2, 1).shape == (2, 2, 4, 2)


def test_a_number_has_one_window_or_none():
    assert value("Tensor.unfold", np.array(3.0), 0, 1, 1).tolist() == [3]
    assert value("Tensor.unfold", np.array(3.0), 0, 0, 1).shape == (0,)


def test_the_gradient_of_overlapping_windows_adds_up():
    assert gradients("Tensor.unfold", np.ones((3, 2)), np.arange(4.0), 0, 2, 1)[0].tolist() == [1, 2, 2, 1]


def test_as_strided_reads_the_memory_of_a_contiguous_array():
    out = value("as_strided", CUBE, (2, 3), (5, 2), 1)
    assert all(out[i, j] == 1 + 5 * i + 2 * j for i in range(2) for j in range(3))


def test_as_strided_adds_the_gradients_of_a_place_read_twice():
    assert gradients("as_strided", np.ones((2, 2)), np.arange(3.0), (2, 2), (1, 1))[0].tolist() == [1, 2, 1]


def test_a_replaced_part_has_the_gradient_and_the_rest_of_the_input_keeps_its_own():
    x, src, g = np.arange(4.0), np.array([10.0, 20.0]), np.array([1.0, 2.0, 4.0, 8.0])
    for name, *where in (("slice_scatter", 0, 1, 3), ("as_strided_scatter", (2,), (1,), 1)):
        assert value(name, x, src, *where).tolist() == [0, 10, 20, 3]
        of_x, of_src = gradients(name, g, x, src, *where)
        assert of_x.tolist() == [1, 0, 0, 8]
        assert of_src.tolist() == [2, 4]


def test_a_part_put_in_is_the_part_that_is_read():
    row, lines = -np.arange(12.0).reshape(3, 4), -np.arange(8.0).reshape(4, 2)
    assert np.array_equal(value("select", value("select_scatter", CUBE, row, 0, 1), 0, 1), row)
    assert np.array_equal(value("diagonal", value("diagonal_scatter", CUBE, lines, 0, 1, 0), 0, 1, 0), lines)


@pytest.mark.parametrize("offset", range(-2, 3))
def test_diag_embed_puts_what_diagonal_takes(offset):
    out = value("diag_embed", CUBE, offset, 0, 2)
    assert out.shape == (4 + abs(offset), 2, 4 + abs(offset), 3)
    assert np.array_equal(value("diagonal", out, offset, 0, 2), CUBE)
    assert out.sum() == CUBE.sum()


def test_linalg_diagonal_takes_the_last_two_dimensions():
    assert np.array_equal(value("linalg.diagonal", CUBE, offset=1), value("diagonal", CUBE, 1, -2, -1))


def test_diagflat_is_diag_of_the_elements():
    assert np.array_equal(value("diagflat", CUBE[0], -1), np.diag(CUBE[0].reshape(-1), -1))


def test_sum_to_size_undoes_a_broadcast():
    assert value("Tensor.sum_to_size", CUBE, 3, 1).tolist() == CUBE.sum(axis=(0, 2)).reshape(3, 1).tolist()
    assert value("Tensor.sum_to_size", CUBE, ()) == CUBE.sum()


def test_the_kind_of_another_tensor_is_taken_over():
    x = np.array([1.5, -2.5])
    assert value("Tensor.type_as", x, np.array(1j)).dtype == np.complex128
    assert value("Tensor.type_as", x, np.array(1)).tolist() == [1, -2]
    assert value("Tensor.to", x + 1j, np.array(1.0)).tolist() == [1.5, -2.5]
    assert value("Tensor.to", x, "torch.bool").tolist() == [True, True]
    assert value("Tensor.to", x, dtype="torch.complex64").dtype == np.complex128
    assert gradients("Tensor.to", np.ones(2), x + 1j, np.array(1.0))[0].dtype == np.complex128


def test_the_other_tensor_gives_its_shape_alone():
    assert value("Tensor.expand_as", np.ones((3, 1)), CUBE).shape == CUBE.shape
    assert value("Tensor.reshape_as", CUBE, np.ones((6, 4))).shape == (6, 4)
    assert gradients("Tensor.expand_as", CUBE, np.ones((3, 1)), CUBE)[1] is None


def test_nothing_flows_through_a_detached_copy():
    assert gradients("detach_copy", np.ones(2), np.ones(2)) == (None,)


def test_fill_takes_the_gradient_to_its_value():
    out, vjp = lookup("fill")(CUBE, np.array(2.0))
    assert np.all(out == 2.0)
    of_x, of_value = vjp(CUBE)
    assert not of_x.any() and of_value == CUBE.sum()


def test_the_method_where_keeps_the_tensor_where_the_condition_holds():
    out = value("Tensor.where", np.array([1.0, 2.0]), np.array([True, False]), -1.0)
    assert out.tolist() == [1, -1]


def test_padding_with_a_constant_is_that_of_numpy():
    out = value("constant_pad_nd", CUBE, (1, 2, 0, 3), 7.0)
    assert np.array_equal(out, np.pad(CUBE, ((0, 0), (0, 3), (1, 2)), constant_values=7.0))
    assert np.array_equal(value("constant_pad_nd", CUBE, [-1, 0]), CUBE[:, :, 1:])
