"""Convolutions and sampling below nn.functional, and segments, against loops and their namesakes above."""

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(19)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_convolution_is_that_of_its_axes(n):
    x, w, b = RNG.standard_normal((2, 4, *(5,) * n)), RNG.standard_normal((6, 2, *(2,) * n)), RNG.standard_normal(6)
    out, _ = lookup("convolution")(x, w, b, [2] * n, [1] * n, [1] * n, False, [0] * n, 2)
    want, _ = lookup(f"conv{n}d")(x, w, b, 2, 1, 1, 2)
    assert np.array_equal(out, want)
    w = RNG.standard_normal((4, 3, *(2,) * n))
    out, _ = lookup("convolution")(x, w, b, [2] * n, [0] * n, [1] * n, True, [1] * n, 2)
    want, _ = lookup(f"conv_transpose{n}d")(x, w, b, 2, 0, 1, 2)
    assert np.array_equal(out, want)


def test_conv_tbc_sums_over_time_and_channels():
    x, w, b = RNG.standard_normal((5, 2, 3)), RNG.standard_normal((3, 3, 4)), RNG.standard_normal(4)
    out, _ = lookup("nn.functional.conv_tbc")(x, w, b, 1)
    want, _ = lookup("conv1d")(x.transpose(1, 2, 0), w.transpose(2, 1, 0), b, padding=1)
    assert np.allclose(out, want.transpose(2, 0, 1), rtol=1e-13, atol=1e-13)


def test_samplers_count_modes_and_paddings():
    image, grid = RNG.standard_normal((1, 2, 4, 4)), RNG.uniform(-1.2, 1.2, (1, 3, 3, 2))
    for m, mode in enumerate(("bilinear", "nearest", "bicubic")):
        for p, padding in enumerate(("zeros", "border", "reflection")):
            want, _ = lookup("nn.functional.grid_sample")(image, grid, mode, padding, True)
            for name in ("grid_sampler", "grid_sampler_2d"):
                assert np.array_equal(lookup(name)(image, grid, m, p, True)[0], want)
    theta = RNG.standard_normal((2, 2, 3))
    want, _ = lookup("nn.functional.affine_grid")(theta, (2, 1, 3, 4), False)
    assert np.array_equal(lookup("affine_grid_generator")(theta, (2, 1, 3, 4), False)[0], want)


REDUCTIONS = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "max": np.max, "min": np.min}


@pytest.mark.parametrize("how", list(REDUCTIONS))
def test_segments_are_reduced_one_by_one(how):
    x, lengths = RNG.standard_normal((6, 2)), np.array([1, 3, 2])
    parts = [x[:1], x[1:4], x[4:]]
    out, _ = lookup("segment_reduce")(x, how, lengths=lengths)
    assert np.allclose(out, [REDUCTIONS[how](p, axis=0) for p in parts], rtol=1e-14, atol=1e-14)
    same, _ = lookup("segment_reduce")(x, how, offsets=np.array([0, 1, 4, 6]))
    assert np.array_equal(out, same)
    turned, _ = lookup("segment_reduce")(x.T, how, lengths=np.stack([lengths] * 2), axis=1)
    assert np.allclose(turned, out.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how, nothing", [("sum", 0), ("prod", 1), ("max", -np.inf), ("min", np.inf), ("mean", np.nan)])
def test_a_segment_of_nothing_is_neutral_or_what_it_starts_from(how, nothing):
    x, lengths = np.array([2.0, 4.0]), np.array([0, 2])
    assert np.array_equal(lookup("segment_reduce")(x, how, lengths=lengths)[0][0], nothing, equal_nan=True)
    out, _ = lookup("segment_reduce")(x, how, lengths=lengths, initial=3.0)
    assert out[0] == 3.0
    assert out[1] == {"sum": 9, "prod": 24, "max": 4, "min": 2, "mean": 4.5}[how]


def test_equal_greatest_elements_share_the_gradient():
    _, vjp = lookup("segment_reduce")(np.array([3.0, 1.0, 3.0]), "max", lengths=np.array([3]))
    assert vjp(np.array([-1.0]))[0].tolist() == [-0.5, 0.0, -0.5]


@pytest.mark.parametrize("shape, axis", [((3, 0), 0), ((0, 2), 0), ((2, 0), 1), ((2, 3, 0), 1), ((2, 0, 2), 1)])
@pytest.mark.parametrize("how, start", [("sum", 0.0), ("prod", 1.0), ("max", -np.inf), ("min", np.inf)])
def test_segments_of_nothing_are_what_their_reduction_begins_with(shape, axis, how, start):
    x = np.zeros(shape)
    lengths = np.broadcast_to([shape[axis], 0], (*shape[:axis], 2))
    out, vjp = lookup("segment_reduce")(x, how, lengths=lengths, axis=axis)
    assert out.shape == (*shape[:axis], 2, *shape[axis + 1 :]) and np.all(out == start)
    assert vjp(np.ones(out.shape))[0].shape == shape


def test_the_axis_of_segments_may_count_from_the_end():
    x = RNG.standard_normal((4, 3))
    for axis in (0, 1):
        lengths = np.array([1, 2, x.shape[axis] - 3])
        lengths = np.broadcast_to(lengths, (*x.shape[:axis], 3))
        want = lookup("segment_reduce")(x, "sum", lengths=lengths, axis=axis)[0]
        assert np.array_equal(lookup("segment_reduce")(x, "sum", lengths=lengths, axis=axis - 2)[0], want)
    assert lookup("segment_reduce")(x[0], "sum", lengths=np.array([1, 2]), axis=-1)[0] == pytest.approx(
        [x[0, 0], x[0, 1:].sum()]
    )
