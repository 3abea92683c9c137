"""Pools with the places of their maxima, unpooling, and fractional windows, by their definitions."""

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(13)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_places_are_those_of_the_values(n):
    x = RNG.standard_normal((2, 3, *(5,) * n))
    (y, at), _ = lookup(f"nn.functional.max_pool{n}d_with_indices")(x, 2, 1, 1)
    assert np.array_equal(np.take_along_axis(x.reshape(2, 3, -1), at.reshape(2, 3, -1), 2).reshape(y.shape), y)
    plain, _ = lookup(f"max_pool{n}d")(x, 2, 1, 1)
    assert np.array_equal(plain, y)
    (y, at), _ = lookup(f"nn.functional.adaptive_max_pool{n}d_with_indices")(x, 3)
    assert np.array_equal(np.take_along_axis(x.reshape(2, 3, -1), at.reshape(2, 3, -1), 2).reshape(y.shape), y)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_pooling_undoes_unpooling(n):
    x = RNG.uniform(1, 2, (2, 3, *(6,) * n))
    pool, unpool = lookup(f"nn.functional.max_pool{n}d_with_indices"), lookup(f"nn.functional.max_unpool{n}d")
    (y, at), _ = pool(x, 2)
    back, vjp = unpool(y, at, 2)
    assert back.shape == x.shape and back.sum() == pytest.approx(y.sum())
    (again, places), _ = pool(back, 2)
    assert np.array_equal(again, y) and np.array_equal(places, at)
    assert np.array_equal(vjp(x)[0], y)
    wider, _ = unpool(y, at, 2, output_size=(2, 3, *(6,) * (n - 1), 7))
    assert wider.shape[-1] == 7


def test_fractional_windows_begin_where_the_paper_says():
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    u = np.array([[[0.3, 0.6]]])
    (y, at), _ = lookup("nn.functional.fractional_max_pool2d")(x, 2, 3, return_indices=True, _random_samples=u)
    # a = (6 - 2) / 2 = 2: windows begin at 0, 2 and the end
    assert y[0, 0].tolist() == [[7, 9, 11], [19, 21, 23], [31, 33, 35]]
    assert np.array_equal(at, y)
    ratio, _ = lookup("nn.functional.fractional_max_pool2d")(x, 2, output_ratio=(0.5, 0.5), _random_samples=u)
    assert np.array_equal(ratio, y)
    # a = 4 / 3 along the width, u = 0.3: floor of 0.4, 1.73, 3.07 less 0, then the end
    wide, _ = lookup("nn.functional.fractional_max_pool2d")(x, 2, (1, 4), _random_samples=u)
    assert (wide[0, 0, 0] % 6).tolist() == [1, 2, 4, 5]


def test_without_its_numbers_a_fractional_pool_is_random():
    with pytest.raises(ValueError, match="random"):
        lookup("nn.functional.fractional_max_pool3d")(np.zeros((1, 1, 4, 4, 4)), 2, 2)
