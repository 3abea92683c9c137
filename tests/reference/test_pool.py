"""Pooling against loops over its windows, and the corners that the documentation names."""

import itertools
import math

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(1)


def value(name, *args, **options):
    return lookup(f"nn.functional.{name}")(*args, **options)[0]


def windows(size, kernel, stride, padding, dilation, ceil_mode):
    """For each window of one axis the places of its elements, those outside included."""
    count = (math.ceil if ceil_mode else math.floor)((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
    found = [[i * stride - padding + dilation * k for k in range(kernel)] for i in range(count)]
    return [w for w in found if w[0] < size]  # one that begins in the right padding is left out


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("kernel, stride, padding, dilation", [(2, 2, 0, 1), (3, 2, 1, 1), (2, 1, 1, 2), (3, 3, 1, 2)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_max_pool_is_the_first_greatest_element(n, kernel, stride, padding, dilation, ceil_mode):
    x = RNG.integers(-2, 3, (2, *(7, 6, 8)[:n])) / 1.0  # with many ties
    axes = [windows(s, kernel, stride, padding, dilation, ceil_mode) for s in x.shape[1:]]
    got, places = value(f"max_pool{n}d", x, kernel, stride, padding, dilation, ceil_mode, return_indices=True)
    assert got.shape == (2, *map(len, axes))
    for c, *at in itertools.product(range(2), *(range(len(a)) for a in axes)):
        inside = [
            p
            for p in itertools.product(*(a[i] for a, i in zip(axes, at)))
            if all(0 <= q < s for q, s in zip(p, x.shape[1:]))
        ]
        best = max(inside, key=lambda p: x[(c, *p)])  # max keeps the first
        assert got[(c, *at)] == x[(c, *best)]
        assert places[(c, *at)] == np.ravel_multi_index(best, x.shape[1:])


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("kernel, stride, padding", [(2, 2, 0), (3, 2, 1), (2, 3, 1)])
@pytest.mark.parametrize("ceil_mode, count_include_pad", list(itertools.product([False, True], repeat=2)))
def test_avg_pool_is_the_mean_of_its_window(n, kernel, stride, padding, ceil_mode, count_include_pad):
    x = RNG.standard_normal((2, *(7, 6, 8)[:n]))
    axes = [windows(s, kernel, stride, padding, 1, ceil_mode) for s in x.shape[1:]]
    got = value(f"avg_pool{n}d", x, kernel, stride, padding, ceil_mode, count_include_pad)
    assert got.shape == (2, *map(len, axes))
    for c, *at in itertools.product(range(2), *(range(len(a)) for a in axes)):
        places = list(itertools.product(*(a[i] for a, i in zip(axes, at))))
        inside = [p for p in places if all(0 <= q < s for q, s in zip(p, x.shape[1:]))]
        padded = [p for p in places if all(q < s + padding for q, s in zip(p, x.shape[1:]))]
        count = len(padded if count_include_pad else inside)
        assert got[(c, *at)] == pytest.approx(sum(x[(c, *p)] for p in inside) / count, rel=1e-13, abs=1e-14)


def test_divisor_override_takes_the_place_of_the_count():
    x = RNG.standard_normal((1, 4, 4))
    np.testing.assert_allclose(value("avg_pool2d", x, 2, divisor_override=8), value("avg_pool2d", x, 2) / 2)


@pytest.mark.parametrize("name, reduce", [("avg", np.mean), ("max", np.max)])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_adaptive_windows_run_from_floor_to_ceil(name, reduce, n):
    x = RNG.standard_normal((2, *(7, 5, 4)[:n]))
    out = (3, 7, 2)[:n]
    got = value(f"adaptive_{name}_pool{n}d", x, out)
    for c, *at in itertools.product(range(2), *map(range, out)):
        window = tuple(slice(i * s // o, math.ceil((i + 1) * s / o)) for i, s, o in zip(at, x.shape[1:], out))
        assert got[(c, *at)] == pytest.approx(reduce(x[(c, *window)]), rel=1e-13, abs=1e-14)


def test_adaptive_pooling_keeps_an_axis_whose_size_is_none():
    x = RNG.standard_normal((2, 5, 3))
    assert value("adaptive_avg_pool2d", x, (None, 1)).shape == (2, 5, 1)
    np.testing.assert_array_equal(value("adaptive_max_pool2d", x, None), x)


def test_a_nan_is_the_greatest_element():
    assert np.isnan(value("max_pool1d", np.array([[1.0, np.nan, 2.0]]), 3)).all()


def test_the_power_mean_of_order_two_is_the_norm_of_the_window():
    x = RNG.standard_normal((1, 4, 6))
    blocks = x.reshape(2, 2, 3, 2).swapaxes(1, 2)
    np.testing.assert_allclose(value("lp_pool2d", x, 2, 2)[0], np.sqrt((blocks**2).sum((2, 3))), rtol=1e-14)


def test_a_partial_window_of_ceil_mode_has_the_norm_of_what_it_holds():
    assert value("lp_pool1d", np.array([[3.0, 4.0, 2.0]]), 2, 2, ceil_mode=True).tolist() == [[5.0, 2.0]]


def test_the_gradient_of_a_zero_norm_is_zero():
    _, vjp = lookup("nn.functional.lp_pool1d")(np.zeros((1, 4)), 2, 2)
    assert vjp(np.ones((1, 2)))[0].tolist() == [[0.0] * 4]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("p", [1, 1.0, 2, 3, 3.0, 4])
def test_where_the_powers_of_a_window_cancel_a_norm_has_no_gradient(n, p):
    """The first window has the sum 0, the second has not: sign(x) |x|^(p - 1) / norm^(p - 1)."""
    window = np.zeros((2,) * n)
    if p % 2:
        window.flat[:2] = 1.5, -1.5
    other = RNG.uniform(0.5, 2.0, window.shape)
    x = np.concatenate([window, other])[None]
    out, vjp = lookup(f"nn.functional.lp_pool{n}d")(x, p, 2)
    norm = (other**p).sum() ** (1 / p)
    assert np.allclose(out.reshape(-1), [0, norm], rtol=1e-14, atol=1e-14)
    (grad,) = vjp(np.ones_like(out))[:1]
    assert not grad[0, :2].any() and np.allclose(grad[0, 2:], (other / norm) ** (p - 1), rtol=1e-13, atol=1e-13)
