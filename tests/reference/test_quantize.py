"""Fake quantization and the randomized rectifier, by their definitions."""

import numpy as np
import pytest

from reference import lookup

X = np.array([-3.0, -0.25, 0.25, 0.3, 0.75, 1.25, 1.8, 9.0])


def test_levels_are_rounded_to_even_and_clamped():
    out, vjp = lookup("fake_quantize_per_tensor_affine")(X, 0.5, 0, -2, 3)
    assert out.tolist() == [-1.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 1.5]
    assert vjp(np.ones(8))[0].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_the_zero_point_moves_the_bounds():
    out, _ = lookup("fake_quantize_per_tensor_affine")(X, np.array(0.5), np.array([3], np.int32), 0, 5)
    assert out.tolist() == [-1.5, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0]


def test_each_channel_is_a_tensor_of_its_own():
    rng = np.random.default_rng(0)
    x, scale, zero = rng.standard_normal((2, 3, 4)), np.array([0.1, 0.25, 0.5]), np.array([0, 2, -1], np.int32)
    out, vjp = lookup("fake_quantize_per_channel_affine")(x, scale, zero, 1, -8, 7)
    gradient = vjp(np.ones(x.shape))[0]
    for c in range(3):
        want, back = lookup("fake_quantize_per_tensor_affine")(x[:, c], scale[c], int(zero[c]), -8, 7)
        assert np.array_equal(out[:, c], want) and np.array_equal(gradient[:, c], back(np.ones((2, 4)))[0])


def test_a_real_zero_point_is_rounded_with_the_input():
    out, _ = lookup("fake_quantize_per_channel_affine")(np.array([0.2]), np.array([1.0]), np.array([2.5]), 0, 0, 10)
    assert out == pytest.approx([0.5])


def test_the_randomized_rectifier_has_the_mean_slope_or_bounds_that_are_equal():
    out, vjp = lookup("rrelu")(np.array([-2.0, 0.0, 3.0]), 0.25, 0.75)
    assert out.tolist() == [-1.0, 0.0, 3.0] and vjp(np.ones(3))[0].tolist() == [0.5, 0.5, 1.0]
    assert lookup("nn.functional.rrelu")(np.array([-2.0]), 0.25, 0.25, True)[0].tolist() == [-0.5]
    with pytest.raises(ValueError, match="random"):
        lookup("rrelu")(np.array([-2.0]), training=True)
