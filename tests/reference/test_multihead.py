"""Multi-head attention against a loop over batches, heads and queries."""

import numpy as np
import pytest

from conformance.draws import SeededDraw
from reference import lookup
from reference.laws import Law
from reference.nn import LAYERS

RNG = np.random.default_rng(23)
L, S, N, E, H = 3, 4, 2, 6, 3
QUERY, KEY, VALUE = RNG.standard_normal((L, N, E)), RNG.standard_normal((S, N, E)), RNG.standard_normal((S, N, E))
W, B, OUT, OUT_B = (RNG.standard_normal(s) for s in ((3 * E, E), (3 * E,), (E, E), (E,)))


def attention(**options):
    forward = lookup("nn.functional.multi_head_attention_forward")
    args = (QUERY, KEY, VALUE, E, H, W, B, options.pop("bias_k", None), options.pop("bias_v", None))
    return forward(*args, options.pop("zero", False), 0.0, OUT, OUT_B, **options)


def by_loops(hidden=None, added=None, extra=None):
    y, shares = np.zeros((L, N, E)), []
    for n in range(N):
        q, k, v = (x[:, n] @ w.T + b for x, w, b in zip((QUERY, KEY, VALUE), np.split(W, 3), np.split(B, 3)))
        if extra is not None:
            k, v = np.vstack([k, extra[0]]), np.vstack([v, extra[1]])
        parts = []
        for h in range(H):
            at = slice(h * E // H, (h + 1) * E // H)
            scores = q[:, at] @ k[:, at].T / np.sqrt(E / H)
            if added is not None:
                scores = scores + added
            if hidden is not None:
                scores = np.where(hidden[n], -np.inf, scores)
            e = np.exp(scores)
            parts.append(e / e.sum(1, keepdims=True) @ v[:, at])
            shares.append(e / e.sum(1, keepdims=True))
        y[:, n] = np.hstack(parts) @ OUT.T + OUT_B
    return y, np.reshape(shares, (N, H, L, -1))


def test_heads_attend_each_on_its_part():
    want, shares = by_loops()
    (y, mean), _ = attention()
    assert np.allclose(y, want, rtol=1e-13, atol=1e-13) and np.allclose(mean, shares.mean(1), rtol=1e-12, atol=1e-12)
    (_, each), _ = attention(average_attn_weights=False)
    assert np.allclose(each, shares, rtol=1e-12, atol=1e-12)
    (alone,), _ = attention(need_weights=False)
    assert np.allclose(alone, want, rtol=1e-13, atol=1e-13)


def test_masks_hide_or_add():
    hidden = np.zeros((N, 1, S), bool)
    hidden[1, :, 2:] = True
    added = RNG.standard_normal((L, S))
    want, _ = by_loops(hidden, added)
    (y, _), _ = attention(key_padding_mask=hidden[:, 0], attn_mask=added)
    assert np.allclose(y, want, rtol=1e-13, atol=1e-13)
    causal = np.arange(S) > np.arange(L)[:, None]
    want, _ = by_loops(np.stack([causal] * N))
    for options in ({}, dict(is_causal=True), dict(is_causal=True, need_weights=False)):
        assert np.allclose(attention(attn_mask=causal, **options)[0][0], want, rtol=1e-13, atol=1e-13)


def test_more_keys_come_last():
    extra = RNG.standard_normal((2, 1, 1, E))
    want, shares = by_loops(extra=extra[:, 0])
    (y, mean), _ = attention(bias_k=extra[0], bias_v=extra[1])
    assert np.allclose(y, want, rtol=1e-13, atol=1e-13) and np.allclose(mean, shares.mean(1), rtol=1e-12, atol=1e-12)
    want, _ = by_loops(extra=np.zeros((2, 1, E)))
    assert np.allclose(attention(zero=True)[0][0], want, rtol=1e-13, atol=1e-13)


def test_separate_projections_are_the_packed_ones():
    forward = lookup("nn.functional.multi_head_attention_forward")
    q, k, v = np.split(W, 3)
    (y, _), _ = forward(
        QUERY, KEY, VALUE, E, H, None, B, None, None, False, 0.0, OUT, OUT_B,
        use_separate_proj_weight=True, q_proj_weight=q, k_proj_weight=k, v_proj_weight=v,
    )  # fmt: skip
    assert np.allclose(y, attention()[0][0], rtol=1e-14, atol=1e-14)


def test_static_keys_stand_for_projected_ones():
    k = KEY @ W[E : 2 * E].T + B[E : 2 * E]
    static = k.reshape(S, N * H, E // H).swapaxes(0, 1)
    assert np.allclose(attention(static_k=static)[0][0], attention()[0][0], rtol=1e-13, atol=1e-13)


def test_dropout_in_training_is_random():
    forward = lookup("nn.functional.multi_head_attention_forward")
    args = (QUERY, KEY, VALUE, E, H, W, B, None, None, False, 0.1, OUT, OUT_B)
    with pytest.raises(ValueError, match="random"):
        forward(*args)
    assert np.allclose(forward(*args, training=False)[0][0], attention()[0][0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kdim, vdim", [(None, None), (3, None), (4, 5)])
def test_attention_begins_by_glorots_laws(kdim, vdim):
    """Glorot and Bengio (2010): the variance 2 / (rows + columns); what comes out is uniform as in a linear layer."""
    parameters = LAYERS["nn.MultiheadAttention"].describe(6, 2, add_bias_kv=True, kdim=kdim, vdim=vdim).parameters
    want = {"bias_k": 1 / 6, "bias_v": 1 / 6, "out_proj.weight": 1 / 18}
    if kdim is None:
        want["in_proj_weight"] = 2 / (18 + 6)
    else:
        want |= {f"{c}_proj_weight": 2 / (6 + n) for c, n in zip("qkv", (6, kdim, vdim or 6))}
    laws = {k: p.initial for k, p in parameters.items() if isinstance(p.initial, Law)}
    assert {k: law.variance for k, law in laws.items()} == pytest.approx(want)
    assert {k: law.mean for k, law in laws.items()} == pytest.approx(dict.fromkeys(want, 0.0))


def test_of_weights_that_are_all_dropped_the_bias_is_left():
    layer = LAYERS["nn.MultiheadAttention"]
    for seed in range(60):
        inputs, parameters, buffers, args, kwargs, places, _ = layer.rule.cases(SeededDraw(f"dropped/{seed}")).args
        options = {**kwargs, "dropout": 1.0}
        names = list(layer.describe(*args, **options).parameters)
        out, _ = layer.rule(inputs, parameters, buffers, args, options, places, True)
        y, *weights = out if isinstance(out, tuple) else (out,)
        bias = dict(zip(names, parameters)).get("out_proj.bias", 0.0)
        assert np.array_equal(y, np.broadcast_to(bias, y.shape)) and not np.any([w.any() for w in weights])


@pytest.mark.parametrize("bias", [False, True])
def test_every_matrix_of_a_transformer_begins_by_glorots_law(bias):
    parameters = LAYERS["nn.Transformer"].describe(6, 2, 2, 1, 5, bias=bias).parameters
    matrices = {k: p for k, p in parameters.items() if len(p.shape) == 2}
    assert len(matrices) == 2 * 4 + 6  # of attention two, and two linear maps; a decoder has attention twice
    for p in matrices.values():
        assert p.initial.variance == pytest.approx(2 / sum(p.shape)) and abs(p.initial.mean) < 1e-15
