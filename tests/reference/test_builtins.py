"""Functions below nn.functional say what those above say; random ones say what does not depend on chance."""

import numpy as np
import pytest

from reference import lookup, rules

RNG = np.random.default_rng(17)
X = RNG.standard_normal((4, 6, 5))
W, B = RNG.standard_normal((2, 6))


def test_batch_norm_takes_its_arguments_in_another_order():
    mean, var = RNG.standard_normal(6), RNG.uniform(1, 2, 6)
    for training in (False, True):
        statistics = [(mean.copy(), var.copy()) for _ in range(3)]
        want, _ = lookup("nn.functional.batch_norm")(X, *statistics[0], W, B, training, 0.3, 1e-3)
        out, _ = lookup("batch_norm")(X, W, B, *statistics[1], training, 0.3, 1e-3, False)
        native, _ = lookup("native_batch_norm")(X, W, B, *statistics[2], training, 0.3, 1e-3)
        assert np.array_equal(out, want) and np.array_equal(native[0], want)
        assert np.array_equal(statistics[1], statistics[0]) and np.array_equal(statistics[2], statistics[0])
        if training:
            assert np.allclose(native[1], X.mean((0, 2)), rtol=1e-12, atol=1e-12) and np.allclose(
                native[2], (X.var((0, 2)) + 1e-3) ** -0.5, rtol=1e-12, atol=1e-12
            )
        else:
            assert native[1].shape == native[2].shape == (0,)


def test_native_norms_give_their_statistics_too():
    (y, mean, scale), _ = lookup("native_layer_norm")(X, (6, 5), None, None, 1e-3)
    assert mean.shape == scale.shape == (4, 1, 1)
    assert np.allclose(y, (X - mean) * scale, rtol=1e-12, atol=1e-12) and np.allclose(
        mean[:, 0, 0], X.mean((1, 2)), rtol=1e-12, atol=1e-12
    )
    (y, mean, scale), _ = lookup("native_group_norm")(X, W, B, 4, 6, 5, 3, 1e-3)
    want, _ = lookup("nn.functional.group_norm")(X, 3, W, B, 1e-3)
    assert np.allclose(y, want, rtol=1e-14, atol=1e-14) and mean.shape == (4, 3)
    assert np.allclose(scale, (X.reshape(4, 3, 10).var(2) + 1e-3) ** -0.5, rtol=1e-12, atol=1e-12)
    want, _ = lookup("nn.functional.instance_norm")(X, None, None, W, B)
    out, _ = lookup("instance_norm")(X, W, B, None, None, True, 0.1, 1e-5, False)
    assert np.array_equal(out, want)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_norm_except_dim_leaves_one_dimension(order):
    for dim in range(3):
        out, _ = lookup("norm_except_dim")(X, order, dim)
        rows = np.moveaxis(X, dim, 0).reshape(X.shape[dim], -1)
        assert out.shape == tuple(n if i == dim else 1 for i, n in enumerate(X.shape))
        assert np.allclose(out.reshape(-1), (np.abs(rows) ** order).sum(1) ** (1 / order), rtol=1e-12, atol=1e-12)
    whole, _ = lookup("norm_except_dim")(X, order, -1)
    assert whole.shape == () and np.isclose(whole, (np.abs(X) ** order).sum() ** (1 / order))


@pytest.mark.parametrize("name", [n for n in rules() if "dropout" in n])
def test_dropout_is_the_identity_or_nothing_or_random(name):
    drop = rules()[name]
    first = (lambda out: out[0]) if name == "native_dropout" else (lambda out: out)
    for p, training in ((0.5, False), (0.0, True)):
        out, vjp = drop(X, p, training)
        assert np.array_equal(first(out), X) and np.array_equal(vjp(X)[0], X)
    out, vjp = drop(X, 1.0, True)
    assert not first(out).any() and not vjp(X)[0].any()
    with pytest.raises(ValueError, match="random"):
        drop(X, 0.5, True)


def test_gumbel_softmax_finds_what_stands_out_and_is_random_otherwise():
    x = np.array([[0.0, 5000.0, 1.0], [9000.0, 0.0, 0.0]])
    for hard in (False, True):
        out, vjp = lookup("nn.functional.gumbel_softmax")(x, tau=2, hard=hard)
        assert out.tolist() == [[0, 1, 0], [1, 0, 0]] and not vjp(x)[0].any()
    with pytest.raises(ValueError, match="random"):
        lookup("nn.functional.gumbel_softmax")(x / 1000)


def test_one_hot_has_a_place_for_each_number():
    out, _ = lookup("nn.functional.one_hot")(np.array([[0, 2], [1, 0]]))
    assert out.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]]
    assert lookup("nn.functional.one_hot")(np.zeros((2, 0), np.int64), 3)[0].shape == (2, 0, 3)
