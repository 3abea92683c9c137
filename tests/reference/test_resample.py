"""Interpolation, padding and sampling against NumPy, scipy, polynomials that they keep, and each other."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from reference import lookup
from reference.ops.resample import cubic, lanczos

RNG = np.random.default_rng(3)


def value(name, *args, **options):
    return lookup(f"nn.functional.{name}")(*args, **options)[0]


@pytest.mark.parametrize("size, out", [(4, 7), (7, 4), (5, 5), (1, 3), (6, 1)])
def test_linear_interpolation_is_numpy_interp_at_the_centres(size, out):
    x = RNG.standard_normal(size)
    half = np.interp((np.arange(out) + 0.5) * size / out - 0.5, np.arange(size), x)
    np.testing.assert_allclose(value("interpolate", x[None, None], out, mode="linear")[0, 0], half, rtol=1e-12)
    corner = np.interp(np.linspace(0, size - 1, out), np.arange(size), x)
    got = value("interpolate", x[None, None], out, mode="linear", align_corners=True)[0, 0]
    np.testing.assert_allclose(got, corner, rtol=1e-12, atol=1e-13)


def test_nearest_takes_the_pixel_below_and_nearest_exact_that_of_the_centre():
    x = np.arange(5.0)[None, None]
    assert value("interpolate", x, 3)[0, 0].tolist() == [0, 1, 3]
    assert value("interpolate", x, 3, mode="nearest-exact")[0, 0].tolist() == [0, 2, 4]
    assert value("interpolate", x, scale_factor=2.0)[0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_scale_factor_is_used_as_given_unless_it_is_recomputed():
    x = np.arange(5.0)[None, None]
    given = value("interpolate", x, scale_factor=1.5, mode="linear")[0, 0]
    again = value("interpolate", x, scale_factor=1.5, mode="linear", recompute_scale_factor=True)[0, 0]
    np.testing.assert_allclose(given, np.clip((np.arange(7) + 0.5) / 1.5 - 0.5, 0, 4), rtol=1e-14)
    np.testing.assert_allclose(again, np.clip((np.arange(7) + 0.5) * 5 / 7 - 0.5, 0, 4), rtol=1e-14, atol=1e-15)


def test_the_cubic_kernel_has_the_weights_of_keys_at_a_quarter():
    impulse = np.zeros((1, 1, 1, 8))
    impulse[..., 4] = 1.0
    got = value("interpolate", impulse, scale_factor=(1.0, 2.0), mode="bicubic")[0, 0, 0]
    # place 2 i + 1 lies a quarter behind pixel i: distances 1.75, 0.75, 0.25 and 1.25 of i = 2, 3, 4, 5
    weights = [-0.03515625, 0.26171875, 0.87890625, -0.10546875]
    assert sum(weights) == 1.0
    np.testing.assert_allclose(got[5:12:2], weights, rtol=1e-15)


def test_antialias_means_over_the_widened_triangle():
    x = np.arange(8.0)[None, None, None]
    got = value("interpolate", x, (1, 4), mode="bilinear", antialias=True)[0, 0, 0]
    weights = np.array([1, 3, 3, 1]) / 8
    np.testing.assert_allclose(got[1:3], [weights @ np.arange(1, 5), weights @ np.arange(3, 7)], rtol=1e-14)


def test_area_is_the_adaptive_mean():
    x = RNG.standard_normal((1, 2, 7, 5))
    np.testing.assert_array_equal(value("interpolate", x, (3, 4), mode="area"), value("adaptive_avg_pool2d", x, (3, 4)))


@pytest.mark.parametrize("mode, numpys", [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_padding_is_numpy_pad(mode, numpys):
    x = RNG.standard_normal((2, 3, 4, 5))
    want = np.pad(x, [(0, 0), (0, 0), (3, 1), (0, 4)], mode=numpys)
    np.testing.assert_array_equal(value("pad", x, (0, 4, 3, 1), mode), want)


def test_constant_padding_fills_and_negative_widths_cut():
    x = np.arange(4.0)
    assert value("pad", x, (1, -2), value=9.0).tolist() == [9, 0, 1]
    assert value("pad", x[None], (-1, 1), "circular").tolist() == [[1, 2, 3, 1]]
    assert value("pad", x[None], (-1, 1), "reflect").tolist() == [[1, 2, 3, 2]]


def test_pixel_shuffle_interleaves_and_pixel_unshuffle_undoes_it():
    x = np.arange(4.0).reshape(4, 1, 1)
    y = lookup("pixel_shuffle")(x, 2)[0]
    assert y.tolist() == [[[0, 1], [2, 3]]]
    np.testing.assert_array_equal(lookup("pixel_unshuffle")(y, 2)[0], x)


@pytest.mark.parametrize(
    "padding_mode, scipys", [("zeros", "grid-constant"), ("border", "nearest"), ("reflection", "mirror")]
)
def test_grid_sample_is_map_coordinates_of_scipy(padding_mode, scipys):
    x = RNG.standard_normal((1, 1, 5, 4))
    places = RNG.uniform(-2, 6, (2, 3, 7))  # rows, columns
    grid = np.stack([places[1] * 2 / 3 - 1, places[0] * 2 / 4 - 1], -1)[None]
    got = value("grid_sample", x, grid, "bilinear", padding_mode, True)[0, 0]
    want = ndimage.map_coordinates(x[0, 0], places, order=1, mode=scipys)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_sampling_at_the_identity_gives_the_image_back(mode, align_corners):
    x = RNG.standard_normal((2, 3, 4, 5))
    theta = np.broadcast_to(np.eye(2, 3), (2, 2, 3)).copy()
    grid = value("affine_grid", theta, x.shape, align_corners)
    np.testing.assert_allclose(value("grid_sample", x, grid, mode, "border", align_corners), x, rtol=1e-12, atol=1e-13)


def test_affine_grid_of_the_identity_holds_the_centres():
    theta = np.eye(2, 3)[None]
    assert value("affine_grid", theta, (1, 1, 1, 2), False).tolist() == [[[[-0.5, 0.0], [0.5, 0.0]]]]
    assert value("affine_grid", theta, (1, 1, 1, 2), True).tolist() == [[[[-1.0, 0.0], [1.0, 0.0]]]]


def test_a_clipped_place_has_no_slope():
    grid = np.array([[[[-3.0, 0.0], [0.1, 3.0]]]])
    _, vjp = lookup("nn.functional.grid_sample")(RNG.standard_normal((1, 1, 4, 4)), grid, padding_mode="border")
    slopes = vjp(np.ones((1, 1, 1, 2)))[1][0, 0]
    assert slopes[0, 0] == 0.0 and slopes[1, 1] == 0.0 and slopes[1, 0] != 0.0


def test_the_kernels_are_their_formulas():
    """Keys's cubic by its conditions, Lanczos's window by its sines, at places between the integers."""
    t = np.linspace(-3.5, 3.5, 57)
    off = t[t != np.rint(t)]
    sines = 3 * np.sin(np.pi * off) * np.sin(np.pi * off / 3) / (np.pi * off) ** 2
    assert np.allclose(lanczos(off), np.where(np.abs(off) < 3, sines, 0), atol=1e-15, rtol=1e-15)
    assert lanczos(np.arange(-4.0, 5.0)).tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert cubic(np.arange(-3.0, 4.0)).tolist() == [0, 0, 0, 1, 0, 0, 0]
    for a in (-0.75, -0.5):
        shifts = np.linspace(0, 1, 9)[:, None] + np.arange(-2, 2)
        assert np.allclose(cubic(shifts, a).sum(1), 1, atol=1e-15, rtol=1e-15)  # constants are kept
        h = 1e-6  # its slope at 1 is a, from either side
        for side in (h, -h):
            assert abs((cubic(np.array(1 + side), a) - cubic(np.array(1.0), a)) / side - a) < 1e-5


@pytest.mark.parametrize("mode, order", [("bilinear", 1), ("nearest", 0)])
def test_without_aligned_corners_a_mirror_stands_at_the_outer_edges(mode, order):
    x = RNG.standard_normal((1, 1, 5, 4))
    places = RNG.uniform(-7, 11, (2, 3, 40))
    grid = np.stack([(places[1] + 0.5) * 2 / 4 - 1, (places[0] + 0.5) * 2 / 5 - 1], -1)[None]
    got = value("grid_sample", x, grid, mode, "reflection", False)[0, 0]
    want = ndimage.map_coordinates(x[0, 0], places, order=order, mode="reflect")
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("factor", [1.5, 2.0, 0.5, 0.75])
def test_with_a_scale_factor_nearest_exact_reads_the_pixel_under_each_centre(factor):
    x = np.arange(7.0)
    out = int(7 * factor)
    want = [min(int((i + 0.5) / factor), 6) for i in range(out)]
    assert value("interpolate", x[None, None], scale_factor=factor, mode="nearest-exact")[0, 0].tolist() == want


KERNELS = {  # as Pillow has them: the triangle, Keys's cubic with a = -1/2, Lanczos's window of three lobes
    "bilinear": lambda t: max(0.0, 1.0 - abs(t)),
    "bicubic": lambda t: (1.5 * abs(t) ** 3 - 2.5 * t**2 + 1.0 if abs(t) <= 1.0
                          else (-0.5 * abs(t) ** 3 + 2.5 * t**2 - 4.0 * abs(t) + 2.0) * (abs(t) < 2.0)),
    "lanczos": lambda t: np.sinc(t) * np.sinc(t / 3.0) * (abs(t) < 3.0),
}  # fmt: skip


@pytest.mark.parametrize(
    "mode, corners", [*itertools.product(["bilinear", "bicubic"], [False, True]), ("lanczos", None)]
)
@pytest.mark.parametrize("size, out", [(11, 4), (13, 2), (12, 12), (17, 5), (5, 11), (3, 1), (1, 4), (29, 3)])
def test_antialias_weighs_every_pixel_by_the_kernel_as_wide_as_the_scale(mode, corners, size, out):
    x = RNG.standard_normal(size)
    scale = size / out if not corners else (size - 1) / (out - 1) if out > 1 else 0.0
    want = []
    for i in range(out):
        weights = [KERNELS[mode]((j + 0.5 - scale * (i + 0.5)) / max(scale, 1.0)) for j in range(size)]
        want.append(np.dot(weights, x) / sum(weights))
    got = value("interpolate", x[None, None, None], (1, out), mode=mode, antialias=True, align_corners=corners)
    np.testing.assert_allclose(got[0, 0, 0], want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_single_pixel_to_which_nothing_is_added_stays(mode):
    x = RNG.standard_normal((1, 2, 1, 3))
    want = np.pad(x, [(0, 0), (0, 0), (0, 0), (2, 1)], mode={"replicate": "edge", "circular": "wrap"}.get(mode, mode))
    np.testing.assert_array_equal(value("pad", x, (2, 1, 0, 0), mode), want)


def keys_weight(t):
    """Keys's cubic with a = -3/4."""
    t, a = abs(t), -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


@pytest.mark.parametrize("padding_mode, numpys", [("zeros", "constant"), ("border", "edge"), ("reflection", "mirror")])
@pytest.mark.parametrize("align_corners", [False, True])
def test_bicubic_sampling_weighs_sixteen_pixels_of_the_padded_image(padding_mode, numpys, align_corners):
    x = RNG.standard_normal((5, 4))
    mirror = "reflect" if align_corners else "symmetric"  # about the outer pixels, or their outer edges
    wide = np.pad(x, 12, mode=mirror if numpys == "mirror" else numpys)
    places = RNG.uniform(-3, 8, (2, 30))  # rows, columns
    scale = [(n - 1) / 2 if align_corners else n / 2 for n in x.shape]
    shift = 0.0 if align_corners else 0.5
    grid = np.stack([(places[i] + shift) / scale[i] - 1 for i in (1, 0)], -1)[None, None]
    got = value("grid_sample", x[None, None], grid, "bicubic", padding_mode, align_corners)[0, 0, 0]
    for (row, column), out in zip(places.T, got):
        top, left = int(np.floor(row)) - 1, int(np.floor(column)) - 1
        terms = [
            keys_weight(row - i) * keys_weight(column - j) * wide[i + 12, j + 12]
            for i in range(top, top + 4) for j in range(left, left + 4)
        ]  # fmt: skip
        np.testing.assert_allclose(out, sum(terms), rtol=1e-9, atol=1e-11)
