"""Recurrent networks of several layers and both directions, over padded and packed sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.recurrent import (
    GATES,
    LOWERED,
    drawn_weights,
    gru_step,
    lowered,
    lstm_step,
    relu_step,
    scan,
    share,
    tanh_step,
)
from reference.rule import Array, Case, Rule, Waiver, rule

OPTIONS = ("has_biases", "num_layers", "dropout", "train", "bidirectional")
PADDED = ("input", "hx", "params", *OPTIONS, "batch_first")
PACKED = ("data", "batch_sizes", "hx", "params", *OPTIONS)


def layer(step, x, state, params, has_biases, sizes, reverse):
    """One layer in one direction: every h, the final state, vjp(g, gs) -> (g of x, of the state, of the params)."""
    w_ih, w_hh, *more = params
    gates = x @ w_ih.T + more[0] if has_biases else x @ w_ih.T
    # the bias of the input, if there is one, is before that of the state and the projection
    y, final, pull = scan(step, gates, state, (w_hh, *(more[1:] if has_biases else (None, *more))), sizes, reverse)

    def vjp(g, gs):
        dx, before, (to_hh, *others) = pull(g, gs)
        to_bias = [dx.sum(0)] if has_biases else []
        return dx @ w_ih, before, [dx.T @ x, to_hh, *to_bias, *others]

    return y, final, vjp


def layers(step, x, states, params, sizes, has_biases, num_layers, dropout, train, bidirectional):
    """All layers. states: (layers x directions, B, H) each, in order of layers and then of directions.

    vjp(g, gs) -> (gradient of x, those of the states, those of the params).
    """
    directions = 2 if bidirectional else 1
    each = len(params) // (num_layers * directions)
    if dropout and train and num_layers > 1 and dropout < 1:
        raise ValueError("a recurrent network with dropout is random")
    kept = 0.0 if train and dropout else 1.0
    finals: list[Any] = []
    pulls: list[list[Callable[..., Any]]] = []
    for depth in range(num_layers):
        outs = []
        pulls.append([])
        x = x if depth == 0 or kept else x * kept
        for d in range(directions):
            at = depth * directions + d
            weights = params[at * each : (at + 1) * each]
            y, final, pull = layer(step, x, tuple(s[at] for s in states), weights, has_biases, sizes, d == 1)
            outs.append(y)
            finals.append(final)
            pulls[-1].append(pull)
        x = np.concatenate(outs, -1) if directions == 2 else outs[0]

    def vjp(g, gs):
        to_states: list[Any] = [None] * len(finals)
        to_params: list[Array] = []
        for depth in range(num_layers)[::-1]:
            total, found = 0.0, []
            for d, (part, pull) in enumerate(zip(np.split(g, directions, -1), pulls[depth])):
                at = depth * directions + d
                dx, to_states[at], weights = pull(part, tuple(v[at] for v in gs))
                total = total + dx
                found += weights
            g, to_params = (total if depth == 0 else total * kept), found + to_params
        return g, [np.stack(parts) for parts in zip(*to_states)], to_params

    return x, [np.stack(parts) for parts in zip(*finals)], vjp


def network(step, operands, named):
    """The two overloads: (input, hx, params, ...) and (data, batch_sizes, hx, params, ...), in any mix of names."""
    fitting = [names for names in (PADDED, PACKED) if set(names[len(operands) :]) == set(named)]
    if len(operands) > len(PADDED) or not fitting:
        raise TypeError("arguments are missing, unknown or given twice")
    # both fit where none is named: the parameters are a list
    packed = fitting == [PACKED] or (len(fitting) == 2 and isinstance(operands[3], (list, tuple)))
    names = PACKED if packed else PADDED
    given = {**dict(zip(names, operands)), **named}
    states = given["hx"] if step is lstm_step else [given["hx"]]
    turned = not packed and given["batch_first"]
    if packed:
        x, sizes, flat = given["data"], given["batch_sizes"], given["data"]
    else:
        x = given["input"].swapaxes(0, 1) if turned else given["input"]
        sizes, flat = [x.shape[1]] * x.shape[0], x.reshape(-1, x.shape[2])
    y, finals, pull = layers(step, flat, states, given["params"], sizes, *(given[k] for k in OPTIONS))
    if not packed:
        y = y.reshape(*x.shape[:2], y.shape[-1])

    def vjp(gs):
        g, *rest = gs
        g = g.swapaxes(0, 1) if turned else g
        to_x, to_states, to_params = pull(g.reshape(-1, g.shape[-1]), rest)
        to_x = to_x.reshape(x.shape)
        found = {
            "data" if packed else "input": to_x.swapaxes(0, 1) if turned else to_x,
            "hx": to_states if step is lstm_step else to_states[0],
            "params": to_params,
        }
        by_name = [found.get(k) if k in named else None for k in ("input", "hx", "params", "data", "batch_sizes")]
        return ([found.get(k) for k in names[: len(operands)]], *by_name)

    return (y.swapaxes(0, 1) if turned else y, *finals), vjp


def network_cases(step):
    def cases(draw: Draw):
        kind = draw.choice("padded", "batch_first", "packed")
        count, bidirectional, biases = draw.choice(1, 2, 3), draw.boolean(), draw.boolean()
        # many sequences of a few steps: the reference takes the steps one by one
        batch, width, steps = draw.side(0), draw.integer(1, 4), draw.integer(1, 4)
        inputs = draw.side()
        projected = draw.integer(1, width - 1) if step is lstm_step and width > 1 and draw.integer(0, 2) == 2 else 0
        out, directions = projected or width, 2 if bidirectional else 1
        params: list[Array] = []
        for depth in range(count):
            wide = inputs if depth == 0 else out * directions
            shapes: list[tuple[int, ...]] = [(GATES[step] * width, wide), (GATES[step] * width, out)]
            shapes += [(GATES[step] * width,)] * 2 if biases else []
            shapes += [(out, width)] if projected else []
            for _ in range(directions):
                params += drawn_weights(draw, step, shapes)
        # a packed batch has a sequence at every step; a step has no more of them than the one before
        sizes = np.sort(draw.integers((steps,), 1, max(batch, 1)))[::-1].copy()
        if kind == "packed":
            batch = int(sizes[0])
        hx = [share(draw, step, (count * directions, batch, n), 1) for n in (out, width)[: 1 + (step is lstm_step)]]
        dropout, train = draw.choice((0.0, False), (0.5, False), (0.0, True), (1.0, True))
        options = (biases, count, dropout, train, bidirectional)
        state = hx if step is lstm_step else hx[0]
        if kind == "packed":
            return Case((share(draw, step, (int(sizes.sum()), inputs), 1), sizes, state, params, *options))
        first = kind == "batch_first"
        x = share(draw, step, (batch, steps, inputs) if first else (steps, batch, inputs), 1)
        return Case((x, state, params, *options, first))

    return cases


def network_errors(step):
    def errors(draw: Draw):
        gates, states = 2 * GATES[step], 2 if step is lstm_step else 1
        params = [draw.reals((gates, 3)), draw.reals((gates, 2))]

        def call(x, layers=1, weights=params):
            hx = [np.zeros((layers, 2, 2))] * states
            return Case((x, hx if states == 2 else hx[0], weights, False, layers, 0.0, False, False, False))

        return [
            (call(draw.reals((3, 2, 4))), RuntimeError),
            (call(draw.reals((0, 2, 3))), RuntimeError),  # a sequence has a step
            (call(draw.reals((3, 2, 3)), weights=params[:1]), RuntimeError),
        ]

    return errors


def network_room(*operands, **options):
    """As for a cell, over all layers."""
    params = operands[3] if isinstance(operands[3], list) else operands[2]
    return sum(lowered(operands[0], [w]) for w in params if w.ndim == 2)


def recurrent(name: str, step: Callable[..., Any]) -> Callable[[Callable[..., Any]], Rule]:
    waiver = Waiver(LOWERED, room=network_room, checks=("autocast",))
    return rule(
        name, cases=network_cases(step), errors=network_errors(step), method=False, host=True, waivers=[waiver]
    )  # fmt: skip


def call(step, operands, arrays, options):
    """The body that the networks share; an array that is not given by name stays out."""
    return network(step, operands, {**{k: v for k, v in arrays.items() if v is not None}, **options})


@recurrent("rnn_tanh", tanh_step)
def rnn_tanh(*operands: Array, input: Array | None = None, hx: Array | None = None, params: list[Array] | None = None,
             data: Array | None = None, batch_sizes: Array | None = None, **options):  # fmt: skip
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), in layers whose input is the h of the one before.

    (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or without batch_first
    and with (data, batch_sizes) for the input. The params are W_ih, W_hh and with has_biases b_ih, b_hh for each
    layer and each direction. Raises ValueError where dropout makes it random.
    input: (T, N, I) or (N, T, I) with batch_first; data: (rows, I); hx: (layers x directions, N, H);
    output: (T, N, directions x H) and so on, and the last h, as hx.  Source: torch.nn.RNN.
    """
    arrays = dict(input=input, hx=hx, params=params, data=data, batch_sizes=batch_sizes)
    return call(tanh_step, operands, arrays, options)


@recurrent("rnn_relu", relu_step)
def rnn_relu(*operands: Array, input: Array | None = None, hx: Array | None = None, params: list[Array] | None = None,
             data: Array | None = None, batch_sizes: Array | None = None, **options):  # fmt: skip
    """As rnn_tanh, with max(., 0) for tanh.

    input: (T, N, I) and so on; output: (T, N, directions x H) and the last h.  Source: torch.nn.RNN.
    """
    arrays = dict(input=input, hx=hx, params=params, data=data, batch_sizes=batch_sizes)
    return call(relu_step, operands, arrays, options)


@recurrent("gru", gru_step)
def gru(*operands: Array, input: Array | None = None, hx: Array | None = None, params: list[Array] | None = None,
        data: Array | None = None, batch_sizes: Array | None = None, **options):  # fmt: skip
    """As rnn_tanh, with the step of gru_cell.

    input: (T, N, I) and so on; output: (T, N, directions x H) and the last h.
    Source: Cho et al., arXiv:1406.1078; torch.nn.GRU.
    """
    arrays = dict(input=input, hx=hx, params=params, data=data, batch_sizes=batch_sizes)
    return call(gru_step, operands, arrays, options)


@recurrent("lstm", lstm_step)
def lstm(*operands: Array, input: Array | None = None, hx: list[Array] | None = None,
         params: list[Array] | None = None, data: Array | None = None, batch_sizes: Array | None = None,
         **options):  # fmt: skip
    """As rnn_tanh, with the step of lstm_cell; hx is (h, c). A last W_hr in each layer's params projects h.

    input: (T, N, I) and so on; output: (T, N, directions x H), the last h and the last c.
    Source: Hochreiter and Schmidhuber (1997); Sak et al., arXiv:1402.1128; torch.nn.LSTM.
    """
    arrays = dict(input=input, hx=hx, params=params, data=data, batch_sizes=batch_sizes)
    return call(lstm_step, operands, arrays, options)
