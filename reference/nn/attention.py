"""Attention of several heads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.laws import normal, uniform
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.rule import Array


def modest(draw: Draw, parameters: dict[str, Parameter]) -> list[Array]:
    """Numbers in [-1, 1], in a matrix over its width: no score is so large that one key has all the weight."""
    shapes = [p.shape for p in parameters.values()]
    return [draw.reals(s, -1.0, 1.0, few=False) / (s[-1] if len(s) == 2 else 1.0) for s in shapes]


def attention(embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None,
              vdim=None, batch_first=False):  # fmt: skip
    """The layer itself, which the layers of transformers have inside."""
    kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
    together = kdim == vdim == embed_dim

    def glorot(rows, columns):
        k = math.sqrt(6 / (rows + columns))
        return Parameter((rows, columns), uniform(-k, k))

    if together:
        parameters = {"in_proj_weight": glorot(3 * embed_dim, embed_dim)}
    else:
        widths = zip("qkv", (embed_dim, kdim, vdim))
        parameters = {f"{c}_proj_weight": glorot(embed_dim, n) for c, n in widths}
    if bias:
        parameters["in_proj_bias"] = Parameter((3 * embed_dim,), 0.0)
    if add_bias_kv:
        law = normal(0.0, embed_dim**-0.5)
        parameters |= {"bias_k": Parameter((1, 1, embed_dim), law), "bias_v": Parameter((1, 1, embed_dim), law)}
    k = embed_dim**-0.5
    parameters["out_proj.weight"] = Parameter((embed_dim, embed_dim), uniform(-k, k))
    if bias:
        parameters["out_proj.bias"] = Parameter((embed_dim,), 0.0)

    def forward(
        tape, p, training, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
        average_attn_weights=True, is_causal=False,
    ):  # fmt: skip
        turned = batch_first and query.value.ndim == 3
        q, k, v = (tape.apply("transpose", x, 0, 1) if turned else x for x in (query, key, value))
        y, *weights = several(
            tape.apply(
                "nn.functional.multi_head_attention_forward", q, k, v, embed_dim, num_heads, p.get("in_proj_weight"),
                p.get("in_proj_bias"), p.get("bias_k"), p.get("bias_v"), add_zero_attn, 0.0, p["out_proj.weight"],
                p.get("out_proj.bias"), training, key_padding_mask, need_weights, attn_mask, not together,
                *(p.get(f"{c}_proj_weight") for c in "qkv"), None, None, average_attn_weights, is_causal,
            )
        )  # fmt: skip
        if training and dropout == 1:  # nothing is left of the weights
            nothing = tape.apply("mul", q, 0.0)
            y = tape.apply("nn.functional.linear", nothing, p["out_proj.weight"], p.get("out_proj.bias"))
            weights = [tape.apply("mul", w, 0.0) for w in weights]
        y = tape.apply("transpose", y, 0, 1) if turned else y
        return (y, *weights) if weights else y

    return Described(parameters, forward)


def several(outs):
    return outs if isinstance(outs, tuple) else (outs,)


def hidden(draw: Draw, shape: tuple[int, ...], floating: bool) -> Array:
    """A mask: of numbers, some so low that they hide, or of bools that leave the first key: without any the
    weights are 0/0.
    """
    if floating:
        deep: float = draw.choice(0.0, 32.0)
        return draw.reals(shape, -2.0, 2.0) - deep * draw.bools(shape)
    mask = draw.bools(shape)
    mask[..., :1] = False
    return mask


def attention_cases(draw: Draw) -> LayerCase:
    fast = draw.integer(0, 3) == 3  # what fused kernels know, for the check fast_path
    heads = 2 if fast else draw.choice(1, 2, 3)
    embed = heads * draw.integer(1, 3 if heads == 1 else 2)
    options: dict[str, Any] = dict(
        bias=fast or draw.boolean(), add_bias_kv=not fast and draw.integer(0, 3) == 3,
        add_zero_attn=not fast and draw.integer(0, 3) == 3, batch_first=fast or draw.boolean(),
    )  # fmt: skip
    form = "self" if fast else draw.choice("self", "self", "cross", "other widths")
    kdim = vdim = embed
    if form == "other widths":
        kdim, vdim = draw.integer(1, 4), draw.integer(1, 4)
        options |= dict(kdim=kdim, vdim=vdim)
    training, need_weights = draw.boolean(), draw.boolean()
    if draw.integer(0, 3) == 3:
        # with p = 1 nothing is left of the weights
        options["dropout"] = 0.5 if not training else 1.0 if need_weights else 0.0
    length = draw.side(0)
    alone = not fast and draw.regime not in ("large", "empty") and draw.integer(0, 3) == 3
    batch = 1 if alone or draw.regime == "large" else draw.integer(1, 3)
    keys = length if form == "self" else draw.side()

    def sequence(n, width):
        lead = (n,) if alone else (batch, n) if options["batch_first"] else (n, batch)
        return draw.reals((*lead, width), -1.0, 1.0)

    query = sequence(length, embed)
    key = query if form == "self" else sequence(keys, kdim)
    value = query if form == "self" else sequence(keys, vdim)
    floating, kind = not fast and draw.boolean(), draw.choice("none", "matrix", "each", "causal")
    attn_mask = None
    if kind == "causal":
        attn_mask, floating = np.tri(length, keys) == 0, False
    elif kind != "none":
        lead = () if kind == "matrix" else (batch * heads,)
        attn_mask = hidden(draw, (*lead, length, keys), floating)
    padding = hidden(draw, (keys,) if alone else (batch, keys), floating) if draw.boolean() else None
    causal = kind == "causal" and draw.boolean()
    inputs = (query, key, value, padding, need_weights, attn_mask, draw.boolean(), causal)
    found = attention(embed, heads, **options)
    return LayerCase((embed, heads), options, inputs, training, modest(draw, found.parameters))


@layer("nn.MultiheadAttention", cases=attention_cases, like=("nn.functional.multi_head_attention_forward",))
def multihead_attention(embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False,
                        kdim=None, vdim=None, batch_first=False, device=None, dtype=None):  # fmt: skip
    """W_o concat(head_1, ...) + b_o, with head_i = softmax(q k^T / sqrt(d) + mask) v, of projections of the inputs
    to d = embed_dim / num_heads numbers each: q = W_q query + b_q, and so on.

    add_bias_kv puts a learned pair behind the projected keys and values, add_zero_attn a pair of zeros; no mask
    hides them. Masks of bools hide where they are True, others are added to the scores.
    query: (L, N, E), key: (S, N, kdim), value: (S, N, vdim), all without N or with it first where batch_first;
    key_padding_mask: (N, S) or (S); attn_mask: (L, S) or (N heads, L, S); output: as query; weights: (N, L, S) or
    (N, heads, L, S).  Source: torch.nn.MultiheadAttention; Vaswani et al., arXiv:1706.03762.
    """
    return attention(embed_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first)
