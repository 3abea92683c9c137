"""Attention against its definition query by query, and its masks against each other."""

import math

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(0)
Q, K, V = (RNG.standard_normal(s) for s in ((2, 3, 4), (2, 5, 4), (2, 5, 6)))


def attention(*args, **kwargs):
    return lookup("nn.functional.scaled_dot_product_attention")(*args, **kwargs)


def test_each_query_averages_the_values_by_its_softmax():
    for b in range(2):
        for i in range(3):
            scores = [math.exp(Q[b, i] @ K[b, j] / 2.0) for j in range(5)]
            want = sum(s * V[b, j] for j, s in enumerate(scores)) / sum(scores)
            assert attention(Q, K, V)[0][b, i] == pytest.approx(want)


def test_the_masks_agree():
    seen = np.tri(3, 5) > 0
    causal = attention(Q, K, V, is_causal=True)[0]
    assert np.array_equal(attention(Q, K, V, seen)[0], causal)
    assert np.array_equal(attention(Q, K, V, np.where(seen, 0.0, -np.inf))[0], causal)
    assert causal[:, 0] == pytest.approx(V[:, 0])


def test_a_query_that_sees_no_key_gives_zeros_and_no_gradient():
    seen = np.array([[True] * 5, [False] * 5, [True] * 5])
    for mask in (seen, np.where(seen, 0.0, -np.inf)):
        out, vjp = attention(Q, K, V, mask)
        assert not out[:, 1].any()
        grads = vjp(np.ones_like(out))[:3]
        assert all(np.all(np.isfinite(g)) for g in grads) and not grads[0][:, 1].any()


def test_equal_scores_average_the_values():
    assert attention(Q, K, V, scale=0.0)[0] == pytest.approx(np.broadcast_to(V.mean(1, keepdims=True), (2, 3, 6)))
    assert attention(Q[..., :0], K[..., :0], V)[0][0, 0] == pytest.approx(V[0].mean(0))


def test_grouped_queries_share_the_heads_in_turn():
    heads = RNG.standard_normal((4, 3, 4))
    grouped, vjp = attention(heads, K, V, enable_gqa=True)
    plain, back = attention(heads, np.repeat(K, 2, 0), np.repeat(V, 2, 0))
    assert np.array_equal(grouped, plain)
    g = RNG.standard_normal(plain.shape)
    for shared, own in zip(vjp(g)[1:], back(g)[1:]):
        assert shared == pytest.approx(own.reshape(2, 2, *own.shape[1:]).sum(1))


def test_dropout_is_refused_because_it_is_random():
    with pytest.raises(ValueError, match="random"):
        attention(Q, K, V, dropout_p=0.5)
