"""Transformers: blocks of attention and of two linear layers, each with a norm and a way around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.nn.attention import attention, hidden, modest
from reference.nn.layer import LAYERS, Described, LayerCase, Parameter, layer
from reference.nn.linear import linear
from reference.rule import Array

BLOCKS = "nn.TransformerEncoderLayer", "nn.TransformerDecoderLayer"
LIKE = ("nn.functional.multi_head_attention_forward", "nn.functional.layer_norm", "nn.functional.gelu")


def made(record: Any) -> Described:
    """The layer for which ("module", name, args, kwargs) stands in the arguments of another."""
    _, name, args, kwargs = record
    found: Described = LAYERS[name].describe(*args, **kwargs)
    return found


def norm(width, eps=1e-5, bias=True):
    return made(("module", "nn.LayerNorm", (width,), dict(eps=eps, bias=bias)))


def joined(parts: dict[str, Described]) -> dict[str, Parameter]:
    """The parameters of layers that are submodules of these names."""
    return {f"{name}.{n}": p for name, part in parts.items() for n, p in part.parameters.items()}


def within(tape, p, training, parts: dict[str, Described]) -> Callable[..., Any]:
    """f(name, *inputs), which calls a submodule with its share of the parameters."""

    def call(name, *inputs):
        mine = {n: v for n, v in p.items() if n.startswith(f"{name}.")}
        mine = {n[len(name) + 1 :]: v for n, v in mine.items()}
        return parts[name].forward(tape, mine, training, *inputs)

    return call


def block(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, crossed):
    """A layer of the encoder; or of the decoder, which attends to the memory as well (crossed)."""
    heads = attention(d_model, nhead, dropout, bias, batch_first=batch_first)
    parts = {
        "self_attn": heads, **({"multihead_attn": heads} if crossed else {}),
        "linear1": linear.describe(d_model, dim_feedforward, bias),
        "linear2": linear.describe(dim_feedforward, d_model, bias),
        **{f"norm{i + 1}": norm(d_model, layer_norm_eps, bias) for i in range(3 if crossed else 2)},
    }  # fmt: skip

    def forward(tape, p, training, x, *more):
        call = within(tape, p, training, parts)
        kept = 1.0 - dropout if training else 1.0  # all or nothing

        def attend(name, mask, padding, other=None):
            return lambda y: call(
                name, y, y if other is None else other, y if other is None else other, padding, False, mask
            )

        def forth(y):
            y = tape.apply("mul", active(tape, activation, call("linear1", y)), kept)
            return call("linear2", y)

        if crossed:
            memory, mask, memory_mask, padding, memory_padding = (*more, None, None, None, None)[:5]
            steps = [
                attend("self_attn", mask, padding), attend("multihead_attn", memory_mask, memory_padding, memory), forth
            ]  # fmt: skip
        else:
            mask, padding = (*more, None, None)[:2]
            steps = [attend("self_attn", mask, padding), forth]
        for i, step in enumerate(steps):
            name = f"norm{i + 1}"
            if norm_first:
                x = tape.apply("add", x, tape.apply("mul", step(call(name, x)), kept))
            else:
                x = call(name, tape.apply("add", x, tape.apply("mul", step(x), kept)))
        return x

    return Described(joined(parts), forward)


def active(tape, activation, y):
    if isinstance(activation, tuple):
        return made(activation).forward(tape, {}, True, y)
    return tape.apply("relu" if activation == "relu" else "nn.functional.gelu", y)


def stack(one: Described, num_layers, last: Described | None) -> Described:
    """The layer so many times, then the norm; all begin as copies of the one that is given."""
    parts = {f"layers.{i}": one for i in range(num_layers)} | ({} if last is None else {"norm": last})

    def forward(tape, p, training, x, *more):
        call = within(tape, p, training, parts)
        for i in range(num_layers):
            x = call(f"layers.{i}", x, *more)
        return x if last is None else call("norm", x)

    return Described(joined(parts), forward)


# cases


def tamed(draw: Draw, described: Described, width: int) -> list[Array]:
    """Modest numbers, the biases before a relu so far from 0 that rounding never decides on its side.

    What linear1 gets comes from a norm: no element is over sqrt(width) + 1. The weights of the norms are positive and
    not small: of rows without variance, two norms one upon the other make gradients that overflow in float16.
    """
    found = dict(zip(described.parameters, modest(draw, described.parameters)))
    for name, w in found.items():
        if name.endswith("linear1.weight"):
            found[name] = w / (math.sqrt(width) + 1)
        elif name.endswith("linear1.bias"):
            found[name] = (1.25 + 0.25 * np.abs(w)) * np.where(w < 0, -1.0, 1.0)
        elif w.ndim == 1 and name.endswith("weight"):
            found[name] = 0.25 + 0.75 * np.abs(w)
    return list(found.values())


def block_options(draw: Draw, training: bool) -> dict[str, Any]:
    options: dict[str, Any] = dict(
        dim_feedforward=draw.integer(1, 4), dropout=draw.choice(0.0, 0.0, 1.0) if training else draw.choice(0.0, 0.5),
        batch_first=draw.boolean(), norm_first=draw.boolean(), bias=draw.integer(0, 3) != 3,
    )  # fmt: skip
    # without a bias what a relu gets may be anywhere, and rounding may decide on its side of 0
    options["activation"] = draw.choice("relu", "gelu", ("module", "nn.Tanh", (), {})) if options["bias"] else "gelu"
    if draw.integer(0, 3) == 3:  # what fused kernels know, for the check fast_path
        options |= dict(batch_first=True, bias=True, activation=draw.choice("relu", "gelu"), norm_first=False)
    if draw.integer(0, 3) == 3:
        options["layer_norm_eps"] = 0.125
    return options


def widths(draw: Draw) -> tuple[int, int]:
    """d_model and nhead. Of two numbers or one the norm leaves only signs."""
    return draw.choice((4, 2), (4, 1), (3, 3), (6, 2))  # type: ignore[no-any-return]


class Sequences:
    """Sequences of one batch, with or without its dimension, and their masks."""

    def __init__(self, draw: Draw, width: int, heads: int, batch_first: bool):
        self.draw, self.width, self.heads, self.batch_first = draw, width, heads, batch_first
        self.alone = draw.regime not in ("large", "empty") and draw.integer(0, 3) == 3
        # with one key or two a large case is so by its batch
        self.batch = 1 if self.alone else draw.side(0)
        self.floating = draw.boolean()

    def one(self, length: int) -> Array:
        lead = (length,) if self.alone else (self.batch, length) if self.batch_first else (length, self.batch)
        return self.draw.reals((*lead, self.width), -2.0, 2.0, distinct=True)

    def mask(self, rows: int, columns: int, always: bool = False) -> tuple[Array | None, bool]:
        """A mask of scores, or none; and whether to say that it is causal."""
        kind = "causal" if always else self.draw.choice("none", "matrix", "each", "causal")
        if kind == "none":
            return None, False
        if kind == "causal" and not self.floating:
            return np.tri(rows, columns) == 0, self.draw.boolean()
        lead = (self.batch * self.heads,) if kind == "each" else ()
        mask = hidden(self.draw, (*lead, rows, columns), self.floating)
        if self.floating and mask.shape == (1, 1):  # a 0 is the causal mask, which torch leaves out: no gradient
            mask = np.where(mask == 0.0, 0.5, mask)
        return mask, False

    def padding(self, keys: int) -> Array | None:
        kind = self.draw.choice("none", "any", "last")
        if kind == "none":
            return None
        shape = (keys,) if self.alone else (self.batch, keys)
        if kind == "last" and not self.floating:
            last: Array = np.greater_equal(np.arange(keys), self.draw.integers((*shape[:-1], 1), 1, keys))
            return last
        return hidden(self.draw, shape, self.floating)


def lengths(draw: Draw) -> tuple[int, int]:
    # a few keys, and as many sequences as the regime asks for
    return (draw.integer(1, 3), draw.integer(1, 3)) if draw.regime != "large" else (13, 13)


def encoder_inputs(draw: Draw, width: int, heads: int, batch_first: bool) -> tuple[Any, ...]:
    s, (n, _) = Sequences(draw, width, heads, batch_first), lengths(draw)
    mask, causal = s.mask(n, n)
    return s.one(n), mask, s.padding(n), causal


def decoder_inputs(draw: Draw, width: int, heads: int, batch_first: bool) -> tuple[Any, ...]:
    s, (n, m) = Sequences(draw, width, heads, batch_first), lengths(draw)
    (mask, causal), (memory_mask, memory_causal) = s.mask(n, n), s.mask(n, m)
    return s.one(n), s.one(m), mask, memory_mask, s.padding(n), s.padding(m), causal, memory_causal


def block_cases(describe, inputs):
    def cases(draw: Draw) -> LayerCase:
        (width, heads), training = widths(draw), draw.boolean()
        options = block_options(draw, training)
        given = inputs(draw, width, heads, options["batch_first"])
        return LayerCase(
            (width, heads), options, given, training, tamed(draw, describe(width, heads, **options), width)
        )

    return cases


def stack_cases(name, inputs):
    def cases(draw: Draw) -> LayerCase:
        (width, heads), training = widths(draw), draw.boolean()
        options = block_options(draw, training)
        given = inputs(draw, width, heads, options["batch_first"])
        record, count = ("module", name, (width, heads), options), draw.integer(1, 2)
        last: Any = ("module", "nn.LayerNorm", (width,), {}) if draw.boolean() else None
        outer: dict[str, Any] = dict(norm=last)
        if name == BLOCKS[0]:
            # with a nested tensor what stands at padding is lost: the check fast_path compares the rest
            outer["enable_nested_tensor"] = given[2] is None and draw.boolean()
            outer["mask_check"] = draw.boolean()
        found = stack(made(record), count, None if last is None else made(last))
        return LayerCase((record, count), outer, given, training, tamed(draw, found, width))

    return cases


# layers


def encoder_block(d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu", layer_norm_eps=1e-5,
                  batch_first=False, norm_first=False, bias=True, crossed=False):  # fmt: skip
    return block(
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, crossed
    )


def decoder_block(d_model, nhead, **options):
    return encoder_block(d_model, nhead, **options, crossed=True)


@layer("nn.TransformerEncoderLayer", cases=block_cases(encoder_block, encoder_inputs), like=LIKE)
def transformer_encoder_layer(d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu",
                              layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True, device=None,
                              dtype=None):  # fmt: skip
    """y = norm1(x + attention(x)), then norm2(y + W_2 f(W_1 y + b_1) + b_2); with norm_first x + attention(norm1(x)),
    and so on.

    src, output: (L, N, E), (N, L, E) with batch_first, or (L, E); src_mask: (L, L) or (N heads, L, L);
    src_key_padding_mask: (N, L) or (L).  Source: torch.nn.TransformerEncoderLayer; Vaswani et al., arXiv:1706.03762.
    """
    options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
    return encoder_block(d_model, nhead, *options)


@layer("nn.TransformerDecoderLayer", cases=block_cases(decoder_block, decoder_inputs), like=LIKE)
def transformer_decoder_layer(d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu",
                              layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True, device=None,
                              dtype=None):  # fmt: skip
    """As a layer of the encoder, with attention to the memory between its two steps.

    tgt, output: (L, N, E), (N, L, E) with batch_first, or (L, E); memory: (S, N, E) and so on; masks as there.
    Source: torch.nn.TransformerDecoderLayer; Vaswani et al., arXiv:1706.03762.
    """
    options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
    return encoder_block(d_model, nhead, *options, crossed=True)


@layer("nn.TransformerEncoder", cases=stack_cases(BLOCKS[0], encoder_inputs), like=LIKE)
def transformer_encoder(encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
    """num_layers copies of the layer, one upon the other, then the norm.

    src, output: as of the layer, and its masks.  Source: torch.nn.TransformerEncoder; Vaswani et al. (2017).
    """
    return stack(made(encoder_layer), num_layers, None if norm is None else made(norm))


@layer("nn.TransformerDecoder", cases=stack_cases(BLOCKS[1], decoder_inputs), like=LIKE)
def transformer_decoder(decoder_layer, num_layers, norm=None):
    """num_layers copies of the layer, one upon the other, then the norm.

    tgt, memory, output: as of the layer, and its masks.  Source: torch.nn.TransformerDecoder; Vaswani et al. (2017).
    """
    return stack(made(decoder_layer), num_layers, None if norm is None else made(norm))
