"""Multi-head attention with its projections, as torch.nn.MultiheadAttention calls it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.affine import linear
from reference.ops.attention import CENTRED, attention_room
from reference.ops.softmax import softmax_of
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, rule, unbroadcast


def additive(mask, dtype):
    """What a mask adds to the scores: -inf where it is True, or itself."""
    return np.where(mask, -np.inf, 0.0).astype(dtype) if mask.dtype.kind == "b" else mask


def grown(x, count, axis=-1):
    """x with `count` zeros more at the end of the axis."""
    shape = list(x.shape)
    shape[axis] = count
    return np.concatenate([x, np.zeros(shape, x.dtype)], axis)


def split_heads(x, heads):
    """(L, N, E) -> (N heads, L, E / heads)."""
    length, batch, width = x.shape
    return x.reshape(length, batch * heads, width // heads).swapaxes(0, 1)


def join_heads(x, batch, width):
    """The way back, to E = width."""
    return x.swapaxes(0, 1).reshape(x.shape[1], batch, width)


def attend(q, k, v, mask):
    """softmax(q k^T + mask) v and the weights; vjp(g, by_weights) -> (q, k, v, mask)."""
    weights, pull = softmax_of(q @ k.swapaxes(1, 2) + mask, -1, None)

    def vjp(g, by_weights):
        (by_scores,) = pull(g @ v.swapaxes(1, 2) + by_weights)
        return by_scores @ k, by_scores.swapaxes(1, 2) @ q, weights.swapaxes(1, 2) @ g, by_scores

    return weights @ v, weights, vjp


def drawn_mask(draw: Draw, shape):
    """A mask of bools that hides no key of the first column, or numbers to add."""
    if draw.boolean():
        return draw.reals(shape, -1, 1)
    hidden = draw.bools(shape)
    hidden[..., 0] = False
    return hidden


def multihead_cases(draw: Draw):
    heads, batch = draw.choice(1, 2), draw.choice(1, 2)
    head = draw.integer(1, 2)
    width, rows, columns = heads * head, draw.side(), draw.side()
    separate, alone = draw.boolean(), batch == 1 and draw.boolean()
    widths = (width, draw.integer(1, 3), draw.integer(1, 3)) if separate else (width,) * 3
    made = [draw.reals((n, batch, w), -1, 1) for n, w in zip((rows, columns, columns), widths)]
    query, key, value = (x[:, 0] for x in made) if alone else made
    weights = [draw.reals((width, w), -1, 1) for w in widths]
    extra = draw.choice("none", "bias", "zero", "static")
    options: dict[str, Any] = dict(training=draw.boolean())
    if separate:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        options.update(use_separate_proj_weight=True, **dict(zip(names, weights)))
    biased = draw.boolean()
    bias_k, bias_v = (draw.reals((1, 1, width), -1, 1) if extra == "bias" else None for _ in range(2))
    if extra == "static":
        for name in ("static_k", "static_v"):
            if draw.boolean() or name == "static_v":
                options[name] = draw.reals((batch * heads, columns, head), -1, 1)
    if draw.boolean():
        options["key_padding_mask"] = drawn_mask(draw, (columns,) if alone else (batch, columns))
    kind = draw.choice("none", "flat", "heads", "causal")
    if kind == "causal":
        options["attn_mask"] = np.arange(columns) > np.arange(rows)[:, None]
        options["is_causal"] = extra == "none"  # the hint is of keys and queries alone
    elif kind != "none":
        options["attn_mask"] = drawn_mask(draw, (rows, columns) if kind == "flat" else (batch * heads, rows, columns))
    options.update(draw.choice({}, dict(average_attn_weights=False), dict(need_weights=False)))
    return Case(
        (
            *(query, key, value, width, heads),
            *(None if separate else np.concatenate(weights), draw.reals((3 * width,), -1, 1) if biased else None),
            *(bias_k, bias_v, extra == "zero", 0.0, draw.reals((width, width), -1, 1)),
            draw.reals((width,), -1, 1) if biased else None,
        ),
        options,
    )


def multihead_errors(draw: Draw):
    x, w, out = draw.reals((3, 1, 4)), draw.reals((12, 4)), draw.reals((4, 4))

    def call(width, heads, **options):
        return Case((x, x, x, width, heads, w, None, None, None, False, 0.0, out, None), options)

    return [
        (call(5, 1), AssertionError),
        (call(4, 3), AssertionError),
        (call(4, 2, attn_mask=draw.bools((2, 3))), RuntimeError),
        (call(4, 2, is_causal=True), RuntimeError),
    ]


def lowered_room(query, key, value, *rest, **options):
    """2^16 times the size of the scores: the roundings of bfloat16, in units of those of float32."""
    return np.asarray(2.0**16 * 8.0)


def projections(in_proj_weight, in_proj_bias, separate):
    """The weight and the bias (or None) for the query, the key and the value."""
    weights = separate or np.split(in_proj_weight, 3)
    return list(zip(weights, [None] * 3 if in_proj_bias is None else np.split(in_proj_bias, 3)))


def centred_room(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
    dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None,
    use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, *rest, **options,
):  # fmt: skip
    """What scaled_dot_product_attention has for second derivatives, of what is projected here."""
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    linears = projections(in_proj_weight, in_proj_bias, separate)
    q, k, v = (linear.fn(x, w, b)[0] for x, (w, b) in zip((query, key, value), linears))
    head = query.shape[-1] // num_heads
    return (1.0 + np.abs(out_proj_weight).max(initial=0.0)) * attention_room(2)(q, k, v, scale=math.sqrt(1.0 / head))


def vanishing_room(query, key, *rest, **options):
    """The size of what the queries add to the gradient of the key's bias."""
    return np.asarray(1.0 + query.shape[0] / 8.0)


@rule(
    "nn.functional.multi_head_attention_forward",
    cases=multihead_cases,
    errors=multihead_errors,
    waivers=[
        Waiver(
            "softmax does not see what every score has in common, so that the gradient of the key's bias is 0: only"
            " the rounding of its terms is left",
            room=vanishing_room,
            checks=DERIVATIVES,
        ),
        Waiver(CENTRED, room=centred_room, checks=HIGHER_ORDER),
        Waiver(
            "under autocast the products inside are in bfloat16, and the weights come out in float32",
            factor=2.0**16,  # the roundings of bfloat16, as far as the layers behind magnify them
            room=lowered_room,
            checks=("autocast",),
        ),
    ],
)
def multi_head_attention_forward(
    query: Array, key: Array, value: Array, embed_dim_to_check, num_heads, in_proj_weight: Array | None,
    in_proj_bias: Array | None, bias_k: Array | None, bias_v: Array | None, add_zero_attn, dropout_p,
    out_proj_weight: Array, out_proj_bias: Array | None, training=True, key_padding_mask: Array | None = None,
    need_weights=True, attn_mask: Array | None = None, use_separate_proj_weight=False,
    q_proj_weight: Array | None = None, k_proj_weight: Array | None = None, v_proj_weight: Array | None = None,
    static_k: Array | None = None, static_v: Array | None = None, average_attn_weights=True, is_causal=False,
):  # fmt: skip
    """W_o concat over heads of softmax(q k^T / sqrt(E / heads) + masks) v + b_o, for projected q, k, v; the weights.

    A mask of bools hides the keys where it is True, one of numbers is added. Keys that come last: bias_k and
    bias_v, then a zero; no mask hides them. static_k and static_v stand for projected ones. The weights, their
    mean over the heads unless average_attn_weights is False, are the second output, if need_weights.
    Raises ValueError for dropout, which is random.
    query: (L, N, E) or (L, E); key, value: (S, N, *) or (S, *); in_proj_weight: (3 E, E); attn_mask: (L, S) or
    (N heads, L, S); key_padding_mask: (N, S) or (S); static: (N heads, S, E / heads); output: as query, and
    (N, L, S), (N, heads, L, S), or without N.
    Source: Vaswani et al., arXiv:1706.03762; torch.nn.functional.multi_head_attention_forward.
    """
    if dropout_p and training:
        raise ValueError("attention with dropout is random")
    alone, heads = query.ndim == 2, num_heads
    inputs = [x[:, None] if alone else x for x in (query, key, value)]
    (length, batch, width), columns = inputs[0].shape, inputs[1].shape[0]
    head = width // heads
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    linears = projections(in_proj_weight, in_proj_bias, separate)
    projected = [linear.fn(x, w, b) for x, (w, b) in zip(inputs, linears)]
    q, k, v = (y for y, _ in projected)
    if bias_k is not None and bias_v is not None:
        k, v = (np.concatenate([x, np.broadcast_to(b, (1, batch, width))]) for x, b in ((k, bias_k), (v, bias_v)))
    scale = math.sqrt(1.0 / head)
    q, k, v = (split_heads(x, heads) for x in (q, k, v))
    k, v = k if static_k is None else static_k, v if static_v is None else static_v
    if add_zero_attn:
        k, v = grown(k, 1, 1), grown(v, 1, 1)
    more = k.shape[1] - columns
    dtype = query.real.dtype
    mask = np.zeros((1, 1, 1), dtype)
    if is_causal and key_padding_mask is None and not need_weights:
        mask = additive(np.arange(columns + more) > np.arange(length)[:, None], dtype)[None]
        attn_mask = None
    if attn_mask is not None:
        seen = additive(attn_mask, dtype)
        mask = grown(seen if seen.ndim == 3 else seen[None], more)
    if key_padding_mask is not None:
        padding = grown(additive(key_padding_mask, dtype).reshape(batch, columns), more)
        mask = mask + np.repeat(padding, heads, 0)[:, None]
    context, shares, pull = attend(scale * q, k, v, mask)
    y, pull_out = linear.fn(join_heads(context, batch, width), out_proj_weight, out_proj_bias)
    outs = [y[:, 0] if alone else y]
    if need_weights:
        each = shares.reshape(batch, heads, *shares.shape[1:])
        each = each.mean(1) if average_attn_weights else each
        outs.append(each[0] if alone else each)

    def vjp(gs):
        to_context, to_out, to_out_bias = pull_out(gs[0].reshape(y.shape))
        by_shares = np.zeros(1, dtype)
        if need_weights:
            g = gs[1].reshape(batch, 1 if average_attn_weights else heads, *shares.shape[1:])
            g = g / heads if average_attn_weights else g
            by_shares = np.broadcast_to(g, (batch, heads, *g.shape[2:])).reshape(shares.shape)
        dq, dk, dv, by_scores = pull(split_heads(to_context, heads), by_shares)
        static = [None if given is None else d[:, : given.shape[1]] for given, d in ((static_k, dk), (static_v, dv))]
        d = [join_heads(scale * dq, batch, width)]
        to_bias = []
        for given, dx in ((static_k, dk), (static_v, dv)):
            wide = np.zeros((1, batch, width), dx.dtype) if given is not None else join_heads(dx, batch, width)
            d.append(wide[:columns] if given is None else np.zeros((columns, batch, width), dx.dtype))
            to_bias.append(wide[columns : columns + 1].sum(1, keepdims=True))
        grads = [p(g) for (_, p), g in zip(projected, d)]
        to_inputs = [g[0][:, 0] if alone else g[0] for g in grads]
        to_weights = [g[1] for g in grads] if separate else [None] * 3
        for i, given in ((1, static_k), (2, static_v)):
            if given is not None:  # what it stands for is not read
                to_inputs[i] = to_weights[i] = None
        inner = by_scores[..., :columns]
        to_mask = to_padding = None
        if attn_mask is not None and attn_mask.dtype.kind != "b":
            to_mask = unbroadcast(inner, attn_mask.shape)
        if key_padding_mask is not None and key_padding_mask.dtype.kind != "b":
            to_padding = inner.reshape(batch, heads, length, columns).sum((1, 2)).reshape(key_padding_mask.shape)
        return (
            *to_inputs,
            None if separate else np.concatenate([g[1] for g in grads]),
            None if in_proj_bias is None else np.concatenate([g[2] for g in grads]),
            *(to_bias if bias_k is not None else (None, None)),
            *(to_out, to_out_bias, to_padding, to_mask, *to_weights, *static),
        )

    return tuple(outs), vjp
