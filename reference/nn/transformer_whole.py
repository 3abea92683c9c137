"""The transformer of an encoder and a decoder."""

from __future__ import annotations

import math
from typing import Any

from reference.draw import Draw
from reference.laws import uniform
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.nn.transformer import (
    LIKE,
    Sequences,
    block,
    block_options,
    joined,
    lengths,
    made,
    norm,
    stack,
    tamed,
    widths,
    within,
)


def whole(d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1,
          activation="relu", custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-5, batch_first=False,
          norm_first=False, bias=True):  # fmt: skip
    """The layer itself; every matrix begins uniform within sqrt(6 / (rows + columns))."""
    options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
    last = norm(d_model, layer_norm_eps, bias)

    def side(custom, count, crossed):
        return made(custom) if custom else stack(block(d_model, nhead, *options, crossed), count, last)

    parts = {
        "encoder": side(custom_encoder, num_encoder_layers, False),
        "decoder": side(custom_decoder, num_decoder_layers, True),
    }
    parameters = joined(parts)
    for name, p in parameters.items():
        if len(p.shape) == 2:
            k = math.sqrt(6 / sum(p.shape))
            parameters[name] = Parameter(p.shape, uniform(-k, k))

    def forward(tape, p, training, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None,
                src_key_padding_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
                *causal):  # fmt: skip
        call = within(tape, p, training, parts)
        memory = call("encoder", src, src_mask, src_key_padding_mask)
        paddings = tgt_key_padding_mask, memory_key_padding_mask
        return call("decoder", tgt, memory, tgt_mask, memory_mask, *paddings)

    return Described(parameters, forward)


def transformer_cases(draw: Draw) -> LayerCase:
    (width, heads), training = widths(draw), draw.boolean()
    options: dict[str, Any] = dict(num_encoder_layers=draw.integer(1, 2), num_decoder_layers=1)
    inner = block_options(draw, training)
    if draw.integer(0, 4) == 4:
        own = ("module", "nn.TransformerEncoderLayer", (width, heads), inner)
        options["custom_encoder"] = ("module", "nn.TransformerEncoder", (own, 1), dict(enable_nested_tensor=False))
    options |= inner
    s, (n, m) = Sequences(draw, width, heads, options["batch_first"]), lengths(draw)
    (mask, causal), (tgt_mask, tgt_causal), (memory_mask, memory_causal) = s.mask(n, n), s.mask(m, m), s.mask(m, n)
    # the encoder inside has nested tensors on, and these lose what stands at padding: in eval the memory
    # would differ there, and the decoder sees it
    padding = s.padding(n) if training else None
    masks = (mask, tgt_mask, memory_mask, padding, s.padding(m), s.padding(n))
    inputs = (s.one(n), s.one(m), *masks, causal or None, tgt_causal or None, memory_causal)
    return LayerCase((width, heads), options, inputs, training, tamed(draw, whole(width, heads, **options), width))


@layer("nn.Transformer", cases=transformer_cases, like=LIKE)
def transformer(d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1,
                activation="relu", custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-5, batch_first=False,
                norm_first=False, bias=True, device=None, dtype=None):  # fmt: skip
    """decoder(tgt, encoder(src)), each a stack of layers with a norm at its end.

    src: (S, N, E), (N, S, E) with batch_first, or (S, E); tgt, output: (T, N, E) and so on; masks as of the layers.
    Source: torch.nn.Transformer; Vaswani et al., arXiv:1706.03762.
    """
    options = (dim_feedforward, dropout, activation, custom_encoder, custom_decoder)
    more = (layer_norm_eps, batch_first, norm_first, bias)
    return whole(d_model, nhead, num_encoder_layers, num_decoder_layers, *options, *more)
