"""Convolutions and patches against loops over their definitions, scipy, and each other."""

import itertools

import numpy as np
import pytest
from scipy import signal

from reference import lookup

RNG = np.random.default_rng(0)


def value(name, *args, **options):
    return lookup(name)(*args, **options)[0]


def by_definition(x, w, stride, padding, dilation, groups):
    """The sum of weight times input over every channel and tap, one output element at a time."""
    n = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * n)
    out = [(s - dilation * (k - 1) - 1) // stride + 1 for s, k in zip(x.shape[2:], w.shape[2:])]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    each_in, each_out = w.shape[1], w.shape[0] // groups
    for b, o, *at in itertools.product(*map(range, y.shape)):
        for c, *tap in itertools.product(*map(range, w.shape[1:])):
            place = [stride * i + dilation * k for i, k in zip(at, tap)]
            y[(b, o, *at)] += w[(o, c, *tap)] * x[(b, o // each_out * each_in + c, *place)]
    return y


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (3, 1, 2, 2)])
def test_conv_is_its_definition(n, stride, padding, dilation, groups):
    x = RNG.standard_normal((2, 4, *(5, 6, 5)[:n]))
    w = RNG.standard_normal((4, 4 // groups, *(2, 3, 2)[:n]))
    bias = RNG.standard_normal(4)
    got = value(f"conv{n}d", x, w, bias, stride, padding, dilation, groups)
    want = by_definition(x, w, stride, padding, dilation, groups) + bias.reshape(4, *(1,) * n)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def test_conv_is_the_correlation_of_scipy():
    x, w = RNG.standard_normal((7, 9)), RNG.standard_normal((3, 2))
    got = value("conv2d", x[None, None], w[None, None])[0, 0]
    np.testing.assert_allclose(got, signal.correlate2d(x, w, "valid"), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kernel, dilation", [(2, 1), (3, 2), (4, 3)])
def test_same_padding_keeps_the_size_and_puts_the_odd_zero_right(kernel, dilation):
    x, w = RNG.standard_normal((1, 1, 12)), RNG.standard_normal((1, 1, kernel))
    total = dilation * (kernel - 1)
    padded = np.pad(x, [(0, 0), (0, 0), (total // 2, total - total // 2)])
    got = value("conv1d", x, w, padding="same", dilation=dilation)
    assert got.shape == x.shape
    np.testing.assert_array_equal(got, value("conv1d", padded, w, dilation=dilation))


def test_an_input_without_a_batch_gives_an_output_without_one():
    x, w = RNG.standard_normal((2, 5, 5)), RNG.standard_normal((3, 2, 2, 2))
    np.testing.assert_array_equal(value("conv2d", x, w), value("conv2d", x[None], w)[0])
    np.testing.assert_array_equal(
        value("conv_transpose2d", x, w.swapaxes(0, 1)),
        value("conv_transpose2d", x[None], w.swapaxes(0, 1))[0],
    )


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 1, 2, 1), (3, 0, 2, 2)])
def test_a_transposed_convolution_is_the_gradient_of_a_convolution(n, stride, padding, dilation, groups):
    x = RNG.standard_normal((2, 4, *(7, 6, 7)[:n]))
    w = RNG.standard_normal((4, 4 // groups, *(2, 3, 2)[:n]))
    y, vjp = lookup(f"conv{n}d")(x, w, None, stride, padding, dilation, groups)
    g = RNG.standard_normal(y.shape)
    extra = tuple(
        s - ((o - 1) * stride - 2 * padding + dilation * (k - 1) + 1)
        for s, o, k in zip(x.shape[2:], y.shape[2:], w.shape[2:])
    )
    got = value(f"conv_transpose{n}d", g, w, None, stride, padding, extra, groups, dilation)
    np.testing.assert_allclose(got, vjp(g)[0], rtol=1e-13, atol=1e-13)


def test_unfold_and_a_product_are_a_convolution():
    x, w = RNG.standard_normal((2, 3, 6, 5)), RNG.standard_normal((4, 3, 2, 3))
    columns = value("nn.functional.unfold", x, (2, 3), padding=1, stride=2)
    got = (w.reshape(4, -1) @ columns).reshape(2, 4, 4, 3)
    np.testing.assert_allclose(got, value("conv2d", x, w, padding=1, stride=2), rtol=1e-13, atol=1e-13)


def test_fold_of_unfold_counts_how_often_each_element_is_seen():
    x = RNG.standard_normal((1, 2, 5, 4))
    options = dict(kernel_size=3, padding=1)
    seen = value("nn.functional.fold", value("nn.functional.unfold", np.ones_like(x), **options), (5, 4), **options)
    again = value("nn.functional.fold", value("nn.functional.unfold", x, **options), (5, 4), **options)
    assert seen[0, 0, 0].tolist() == [4, 6, 6, 4]
    np.testing.assert_allclose(again, seen * x, rtol=1e-14)
