"""Scaled dot product attention."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, rule, unbroadcast


def attention_cases(draw: Draw):
    rows, columns = draw.side(0), draw.side(0)
    width, depth = draw.integer(1, 4), draw.integer(1, 4)
    batch = draw.choice((), (1,), (2,), (2, 2), (1, 3), (2, 1, 2))
    grouped = len(batch) > 0 and draw.integer(0, 3) == 3
    repeats = draw.integer(1, 3) if grouped else 1
    heads = (*batch[:-1], batch[-1] * repeats) if grouped else batch
    query = draw.reals((*heads, rows, width))
    key, value = draw.reals((*batch, columns, width)), draw.reals((*batch, columns, depth))
    args, options = [query, key, value], {}
    kind = draw.choice("none", "causal", "bool", "float", "hidden rows")
    shape = (*heads[draw.integer(0, len(heads)) :], rows, columns)
    if draw.integer(0, 2) == 2:
        shape = (*shape[:-2], 1, columns)
    if kind == "causal":
        options["is_causal"] = True
    elif kind == "bool":
        args.append(draw.bools(shape))
    elif kind == "float":
        args.append(draw.reals(shape))
    elif kind == "hidden rows":  # every key hidden from some queries
        args.append(np.broadcast_to(draw.bools((*shape[:-1], 1)), shape).copy())
    if draw.boolean():
        options["scale"] = draw.choice(0.5, 1.0, 0.0, -0.25)
    if grouped:
        options["enable_gqa"] = True
    return Case(tuple(args), options)


def attention_errors(draw: Draw):
    q = draw.reals((2, 3, 4))
    return [
        (Case((q, q, q, draw.bools((3, 3))), dict(is_causal=True)), RuntimeError),
        (Case((q, draw.reals((2, 3, 5)), q)), RuntimeError),
        (Case((draw.reals((4,)), q, q)), RuntimeError),
    ]


def shared(x, heads):
    """The heads (third dimension from the end) repeated for grouped queries, and the adjoint of it."""
    own = x.shape[-3]
    repeats = heads // own

    def back(g):
        return g.reshape(*g.shape[:-3], own, repeats, *g.shape[-2:]).sum(-3)

    return np.repeat(x, repeats, -3), back


def attention_room(power):
    """max |v| times (1 + the largest change of a score)^power: what is weighted, then subtracted."""

    def room(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, enable_gqa=False):
        width = max(query.shape[-1], 1)
        scale = 1.0 / math.sqrt(width) if scale is None else scale
        largest = [np.abs(x).max(initial=0.0) for x in (query, key, value)]
        return np.asarray(largest[2] * (1.0 + abs(scale) * width * max(largest[:2])) ** power)

    return room


CENTRED = "a derivative of softmax subtracts the mean, which cancels where one weight is near 1"


@rule(
    "nn.functional.scaled_dot_product_attention",
    cases=attention_cases,
    errors=attention_errors,
    waivers=[
        Waiver(CENTRED, room=attention_room(1), checks=("jvp", "func_jvp", "func_jacfwd", "func_jacrev")),
        Waiver(CENTRED, room=attention_room(2), checks=HIGHER_ORDER),
    ],
)
def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p=0.0,
    is_causal=False,
    *,
    scale=None,
    enable_gqa=False,
):
    """softmax(scale q k^T + mask) v, with scale 1 / sqrt(E) unless given.

    A mask of bools hides the keys where it is False, `is_causal` those after the query's own place.
    A query from which every key is hidden has output 0. With `enable_gqa` each head of key and value
    serves several heads of query in turn.
    query: (..., Hq, L, E); key: (..., H, S, E); value: (..., H, S, Ev); attn_mask: broadcasts to
    (..., Hq, L, S); output: (..., Hq, L, Ev).  Raises ValueError for dropout_p > 0, which is random.
    Source: Vaswani et al., arXiv:1706.03762; Ainslie et al., arXiv:2305.13245; the torch documentation.
    """
    if dropout_p > 0:
        raise ValueError("attention with dropout is random")
    scale = (1.0 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0) if scale is None else scale
    k, by_k = shared(key, query.shape[-3]) if enable_gqa else (key, lambda g: g)
    v, by_v = shared(value, query.shape[-3]) if enable_gqa else (value, lambda g: g)
    scores = np.matmul(scale * query, k.swapaxes(-1, -2))
    additive = attn_mask is not None and attn_mask.dtype.kind != "b"
    if additive:
        scores = scores + attn_mask
    elif attn_mask is not None or is_causal:
        seen = np.tri(*scores.shape[-2:]) > 0 if attn_mask is None else attn_mask
        scores = np.where(seen, scores, -np.inf)
    top = scores.real.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isneginf(top), 0.0, top))
    total = e.sum(axis=-1, keepdims=True)
    weights = e / np.where(total == 0, 1.0, total)
    y = np.matmul(weights, v)

    def vjp(g, slip=0.0):
        by_weights = np.matmul(g, v.swapaxes(-1, -2))
        # sum(weights * by_weights) = g . y, which flash kernels take from their rounded output
        mean = (weights * by_weights).sum(-1, keepdims=True) + (g * slip).sum(-1, keepdims=True)
        by_scores = weights * (by_weights - mean)
        grad_query = scale * np.matmul(by_scores, k)
        grad_key = scale * np.matmul(by_scores.swapaxes(-1, -2), query)
        grad_value = np.matmul(weights.swapaxes(-1, -2), g)
        return (
            unbroadcast(grad_query, query.shape),
            unbroadcast(by_k(unbroadcast(grad_key, (*grad_key.shape[:-3], *k.shape[-3:]))), key.shape),
            unbroadcast(by_v(unbroadcast(grad_value, (*grad_value.shape[:-3], *v.shape[-3:]))), value.shape),
            unbroadcast(by_scores, attn_mask.shape) if attn_mask is not None and additive else None,
        )

    return y, vjp
