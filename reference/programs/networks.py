"""Loss and gradients of the classic networks, the backward pass by hand.

All are of one loss, the sum of squares L = sum((p - y)^2), so that every backward pass starts with
dL/dp = 2 (p - y). The one rule of matrix calculus that they need: where C = A B and G = dL/dC,

    dL = <G, dA B + A dB> = <G B^T, dA> + <A^T G, dB>,   so that dL/dA = G B^T and dL/dB = A^T G.

Source: Petersen and Pedersen, The Matrix Cookbook (2012), section 2.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.programs.rounding import EXACT, Exact
from reference.rule import Array


def two_layer(x: Array, y: Array, w1: Array, w2: Array, fl: Exact = EXACT) -> tuple[float, list[Array]]:
    """The loss of p = relu(x w1) w2, and its gradients with respect to w1 and w2.

        h = x w1,  r = max(h, 0),  p = r w2,  L = sum((p - y)^2)
        dL/dp = 2 (p - y) =: g,   dL/dw2 = r^T g,   dL/dr = g w2^T,
        dL/dh = dL/dr where h > 0, else 0,   dL/dw1 = x^T dL/dh

    x: (N, D_in); y: (N, D_out); w1: (D_in, H); w2: (H, D_out).
    """
    h = fl.dot(x, w1)
    on = fl.positive(h)
    r = np.where(on, h, 0)
    p = fl.dot(r, w2)
    off = fl(p - y)
    g = 2 * off
    dh = np.where(on, fl.dot(g, w2.T), 0)
    return fl.total(fl(off * off)), [fl.dot(x.T, dh), fl.dot(r.T, g)]


def chain(
    x: Array, y: Array, layers: Sequence[tuple[Array, Array]], fl: Exact = EXACT
) -> tuple[float, list[tuple[Array, Array]]]:
    """The loss of linear layers with a relu between each two, and its gradients for every layer.

    With a_0 = x, layer l computes h_l = a_{l-1} W_l^T + b_l, and a_l = max(h_l, 0); p is the last h.
    With G_l = dL/dh_l, which is 2 (p - y) for the last,

        dL/dW_l = G_l^T a_{l-1},   dL/db_l = sum of the rows of G_l,
        G_{l-1} = G_l W_l where h_{l-1} > 0, else 0

    x: (N, n_0); W_l: (n_l, n_{l-1}); b_l: (n_l,); y: (N, n_L).
    """
    activations, gates = [x], []
    for weight, bias in layers[:-1]:
        h = fl(fl.dot(activations[-1], weight.T) + bias)
        gates.append(fl.positive(h))
        activations.append(np.where(gates[-1], h, 0))
    weight, bias = layers[-1]
    off = fl(fl(fl.dot(activations[-1], weight.T) + bias) - y)
    g, gradients = 2 * off, []
    for i in reversed(range(len(layers))):
        gradients.append((fl.dot(g.T, activations[i]), fl.rows(g)))
        if i:
            g = np.where(gates[i - 1], fl.dot(g, layers[i][0]), 0)
    return fl.total(fl(off * off)), gradients[::-1]


def linear(x: Array, y: Array, parameters: Sequence[Array], fl: Exact = EXACT) -> tuple[float, list[Array]]:
    """The loss of a chain of different layers; parameters and gradients are W_1, b_1, W_2, b_2, ..."""
    loss, gradients = chain(x, y, list(zip(parameters[::2], parameters[1::2])), fl)
    return loss, [g for pair in gradients for g in pair]


def dynamic(x: Array, y: Array, parameters: Sequence[Array], depth: int, fl: Exact = EXACT) -> tuple[float, list[Any]]:
    """The loss of a chain whose middle layer is used `depth` times, with one set of weights.

    A weight that is used several times has the sum of the gradients of its uses; one that is not used has
    None. parameters: weight and bias of the first, the middle and the last layer.
    """
    first, middle, last = zip(parameters[::2], parameters[1::2])
    loss, gradients = chain(x, y, [first, *[middle] * depth, last], fl)
    shared: list[Any] = [None, None]
    for use in gradients[1:-1]:
        shared = [g if s is None else fl(s + g) for s, g in zip(shared, use)]
    return loss, [*gradients[0], *shared, *gradients[-1]]
