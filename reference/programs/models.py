"""Networks on a tape: their backward passes are those of the rules, each derived by hand.

Each takes the tape, the parameters in the order of the torch module's, the inputs, and the buffers with the mode where
it has any, and returns the outputs. Convolutions and pools are those of `reference.ops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.programs.rounding import Exact
from reference.rule import Array
from reference.tape import Node, Tape

Buffers = list[Array]

LENET = ((6, 3, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,))
TWO_LAYER = ((50, 200), (10, 50))
CHANNELS, CLASSES = 8, 5
RESIDUAL = (
    (8, 3, 3, 3), (8,), (8,),  # convolution, and the weight and bias of its batch norm
    (8, 8, 3, 3), (8,), (8,), (8, 8, 3, 3), (8,), (8,),
    (16, 8, 3, 3), (16,), (16,), (16, 16, 3, 3), (16,), (16,), (16, 8, 1, 1),
    (CLASSES, 16), (CLASSES,),
)  # fmt: skip
TOKENS, WIDTH, LENGTH, HEADS = 12, 16, 9, 2
LSTM = ((TOKENS, 8), (4 * WIDTH, 8), (4 * WIDTH, WIDTH), (4 * WIDTH,), (4 * WIDTH,), (TOKENS, WIDTH), (TOKENS,))
LAYER = (
    (3 * WIDTH, WIDTH), (3 * WIDTH,), (WIDTH, WIDTH), (WIDTH,), (2 * WIDTH, WIDTH), (2 * WIDTH,),
    (WIDTH, 2 * WIDTH), (WIDTH,), (WIDTH,), (WIDTH,), (WIDTH,), (WIDTH,),
)  # fmt: skip
TRANSFORMER = ((LENGTH, WIDTH), (TOKENS, WIDTH), *LAYER, *LAYER, (WIDTH,), (WIDTH,), (TOKENS, WIDTH), (TOKENS,))


class Pass(Tape):
    """A tape whose results are rounded by `fl`."""

    def __init__(self, fl: Exact) -> None:
        super().__init__(fl)
        self.fl = fl


def two_layer(t: Pass, p: Sequence[Node], x: Array, buffers: Buffers, training: bool) -> Node:
    """relu(x W1^T) W2^T. x: (N, 200); W1: (50, 200); W2: (10, 50)."""
    return _linear(t, _relu(t, _linear(t, x, p[0])), p[1])


def lenet(t: Pass, p: Sequence[Node], x: Array, buffers: Buffers, training: bool) -> Node:
    """Two convolutions of 5 x 5 with pools of 2 x 2, and three linear layers. x: (N, 3, 32, 32); output: (N, 10).

    Source: LeCun et al., Proc. IEEE 86, 1998, with relus and greatest values for pools.
    """
    h = t.apply("nn.functional.max_pool2d", _relu(t, t.apply("nn.functional.conv2d", x, p[0], p[1])), 2)
    h = t.apply("nn.functional.max_pool2d", _relu(t, t.apply("nn.functional.conv2d", h, p[2], p[3])), 2)
    h = _relu(t, _linear(t, t.apply("flatten", h, 1), p[4], p[5]))
    return _linear(t, _relu(t, _linear(t, h, p[6], p[7])), p[8], p[9])


def residual_buffers() -> Buffers:
    """Running mean and variance of each of the five batch norms."""
    return [made(n) for n in (8, 8, 8, 16, 16) for made in (np.zeros, np.ones)]


def residual(t: Pass, p: Sequence[Node], x: Array, buffers: Buffers, training: bool) -> Node:
    """A convolution, two blocks of two convolutions with a way round each, a mean over places, a linear layer.

    Every convolution has a batch norm, which moves its buffers in training; the second block halves the image, and its
    way round is a convolution of 1 x 1. x: (N, 3, 12, 12); output: (N, 5). Source: He et al., CVPR 2016.
    """

    def normed(h: Any, at: int, norm: int, stride: int = 1) -> Node:
        h = t.apply("nn.functional.conv2d", h, p[at], None, stride, 1)
        running: list[Any] = buffers[2 * norm : 2 * norm + 2]
        if training:
            _follow(running, h.value)
            running = [None, None]
        return t.apply("nn.functional.batch_norm", h, *running, p[at + 1], p[at + 2], training)  # type: ignore

    h = _relu(t, normed(x, 0, 0))
    inner = normed(_relu(t, normed(h, 3, 1)), 6, 2)
    h = _relu(t, t.apply("add", inner, h))
    inner = normed(_relu(t, normed(h, 9, 3, stride=2)), 12, 4)
    h = _relu(t, t.apply("add", inner, t.apply("nn.functional.conv2d", h, p[15], None, 2)))
    return _linear(t, t.apply("mean", h, (2, 3)), p[16], p[17])


def _follow(running: Buffers, h: Array, momentum: float = 0.1) -> None:
    """Running mean and (unbiased) variance go a tenth of the way to those of a batch. h: (N, C, H, W)."""
    count = h.size // h.shape[1]
    for held, now in zip(running, (h.mean((0, 2, 3)), h.var((0, 2, 3)) * (count / (count - 1)))):
        held += momentum * (now - held)


def lstm(t: Pass, p: Sequence[Node], x: Array, buffers: Buffers, training: bool) -> Node:
    """An embedding, a long short-term memory, a linear layer at every place. x: (N, T), integers; output: (N T, 12).

    With i, f, o = sigmoid and g = tanh of the four parts of W_ih e_t + b_ih + W_hh h_{t-1} + b_hh,

        c_t = f c_{t-1} + i g,   h_t = o tanh(c_t)

    Source: Hochreiter and Schmidhuber, Neural Computation 9, 1997; torch.nn.LSTM.
    """
    table, to_input, to_hidden, input_bias, hidden_bias, *head = p
    h = c = np.zeros((len(x), WIDTH), table.value.dtype)
    seen = []
    for column in x.T:
        e = _linear(t, t.apply("nn.functional.embedding", column, table), to_input, input_bias)
        i, f, g, o = t.apply("chunk", t.apply("add", e, _linear(t, h, to_hidden, hidden_bias)), 4, 1)
        kept = t.apply("mul", t.apply("sigmoid", f), c)
        c = t.apply("add", kept, t.apply("mul", t.apply("sigmoid", i), t.apply("tanh", g)))
        h = t.apply("mul", t.apply("sigmoid", o), t.apply("tanh", c))
        seen.append(h)
    return _linear(t, t.apply("flatten", t.apply("stack", seen, 1), 0, 1), *head)


def transformer(t: Pass, p: Sequence[Node], x: Array, buffers: Buffers, training: bool) -> Node:
    """Embeddings with places, two encoder layers that look back alone, a norm, a linear layer.

    x: (N, T), integers; output: (N T, 12). Source: Vaswani et al., NeurIPS 2017, with norms before each part.
    """
    h = t.apply("add", t.apply("nn.functional.embedding", x, p[1]), p[0])
    for start in (2, 2 + len(LAYER)):
        h = _encoder(t, p[start : start + len(LAYER)], h)
    h = t.apply("nn.functional.layer_norm", h, (WIDTH,), *p[-4:-2])
    return _linear(t, t.apply("flatten", h, 0, 1), *p[-2:])


def _encoder(t: Pass, p: Sequence[Node], h: Node) -> Node:
    batch, length, _ = h.value.shape
    a = t.apply("nn.functional.layer_norm", h, (WIDTH,), *p[8:10])
    split = [
        t.apply("transpose", t.apply("reshape", part, (batch, length, HEADS, WIDTH // HEADS)), 1, 2)
        for part in t.apply("chunk", _linear(t, a, p[0], p[1]), 3, -1)
    ]
    q, k, v = split
    scores = t.apply("matmul", q, t.apply("transpose", k, -1, -2))
    ahead = np.triu(np.full((length, length), -np.inf), 1)
    scores = t.apply("add", t.apply("mul", scores, np.asarray((WIDTH // HEADS) ** -0.5)), ahead)
    seen = t.apply("matmul", t.apply("softmax", scores, -1), v)
    joined = t.apply("reshape", t.apply("transpose", seen, 1, 2), (batch, length, WIDTH))
    h = t.apply("add", h, _linear(t, joined, p[2], p[3]))
    b = t.apply("nn.functional.layer_norm", h, (WIDTH,), *p[10:12])
    inner = t.apply("nn.functional.gelu", _linear(t, b, p[4], p[5]))
    return t.apply("add", h, _linear(t, inner, p[6], p[7]))  # type: ignore[no-any-return]


def _linear(t: Pass, x: Array | Node, *p: Node) -> Node:
    return t.apply("nn.functional.linear", x, *p)  # type: ignore[no-any-return]


def _relu(t: Pass, x: Node) -> Node:
    shift = t.fl.doubt(x.value)
    x = x if shift is None else t.apply("add", x, shift)
    return t.apply("nn.functional.relu", x)  # type: ignore[no-any-return]
