"""Recurrent networks and their cells."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.laws import uniform
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.ops.recurrent import GATES, drawn_weights, gru_step, lstm_step, relu_step, share, tanh_step

STEPS = {"tanh": tanh_step, "relu": relu_step}


def gate_shapes(step, inputs, width, out, bias):
    """The shapes of what one layer has in one direction, by the beginning of its name."""
    gates = GATES[step] * width
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, inputs), "weight_hh": (gates, out)}
    if bias:
        shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
    return shapes if out == width else {**shapes, "weight_hr": (out, width)}


def network(step, rule, inputs, width, num_layers, bias, batch_first, dropout, bidirectional, projected=0):
    """What RNN, GRU and LSTM have in common; all numbers begin uniform within 1/sqrt(width)."""
    k, out = width**-0.5, projected or width
    directions = ("", "_reverse") if bidirectional else ("",)
    parameters: dict[str, Parameter] = {}
    for depth, direction in itertools.product(range(num_layers), directions):
        wide = inputs if depth == 0 else out * len(directions)
        for name, shape in gate_shapes(step, wide, width, out, bias).items():
            parameters[f"{name}_l{depth}{direction}"] = Parameter(shape, uniform(-k, k))
    rows, widths = num_layers * len(directions), (out, width) if step is lstm_step else (out,)

    def forward(tape, p, training, x, hx=None):
        packed, alone = isinstance(x, tuple), not isinstance(x, tuple) and x.value.ndim == 2
        sizes, order = (np.asarray(x[2]), x[3:]) if packed else (None, ())
        if alone:
            x = tape.apply("unsqueeze", x, 0 if batch_first else 1)
        batch = x[2][0] if packed else x.value.shape[0 if batch_first else 1]
        if hx is None:
            states = [np.zeros((rows, batch, n), (x[1] if packed else x).value.dtype) for n in widths]
        else:
            states = list(hx) if step is lstm_step else [hx]
            states = [tape.apply("unsqueeze", s, 1) for s in states] if alone else states
            states = [tape.apply("index_select", s, 1, np.argsort(order[0])) for s in states] if order else states
        state = states if step is lstm_step else states[0]
        options = ([p[n] for n in parameters], bias, num_layers, dropout, training, bidirectional)
        if packed:
            y, *last = tape.apply(rule, x[1], sizes, state, *options)
        else:
            y, *last = tape.apply(rule, x, state, *options, batch_first)
        if alone:
            y, last = tape.apply("squeeze", y, 0 if batch_first else 1), [tape.apply("squeeze", s, 1) for s in last]
        if order:
            last = [tape.apply("index_select", s, 1, np.asarray(order[0])) for s in last]
        # a packed output has its sizes and its order too
        return (y, *([sizes] if packed else []), *(f(o) for o in order for f in (np.argsort, np.asarray)), *last)

    return Described(parameters, forward)


def network_cases(described, kind):
    """`described` makes the layer of these arguments, `kind` names it: "rnn", "gru" or "lstm"."""

    def cases(draw: Draw) -> LayerCase:
        form = draw.choice("padded", "alone", "packed", "packed in another order")
        width, inputs, steps, batch = draw.integer(1, 4), draw.side(), draw.integer(1, 4), draw.side(0)
        if form == "alone" and draw.regime in ("large", "empty"):
            form = "padded"  # their sides are that of the batch
        options: dict[str, Any] = dict(num_layers=draw.choice(1, 2, 3), bias=draw.boolean(), batch_first=draw.boolean())
        if kind == "rnn" and draw.boolean():
            options["nonlinearity"] = "relu"
        step = {"rnn": STEPS[options.get("nonlinearity", "tanh")], "gru": gru_step, "lstm": lstm_step}[kind]
        options["bidirectional"] = draw.boolean()
        if kind == "lstm" and width > 1 and draw.integer(0, 2) == 2:
            options["proj_size"] = draw.integer(1, width - 1)
        training = draw.boolean()
        if options["num_layers"] > 1 and draw.boolean():
            options["dropout"] = 1.0 if training else 0.5
        found = described(inputs, width, **options)
        groups: dict[str, list[tuple[int, ...]]] = {}
        for name, parameter in found.parameters.items():
            groups.setdefault(name.partition("_l")[2], []).append(parameter.shape)
        parameters = [w for shapes in groups.values() for w in drawn_weights(draw, step, shapes)]

        extra: tuple[Any, ...] = ()
        shape: tuple[int, ...] = (batch, steps, inputs) if options["batch_first"] else (steps, batch, inputs)
        if form == "alone":
            shape, batch = (steps, inputs), 1
        elif form.startswith("packed"):
            sizes = np.sort(draw.integers((steps,), 1, max(batch, 1)))[::-1]
            shape, batch = (int(sizes.sum()), inputs), int(sizes[0])
            extra = (tuple(map(int, sizes)), *([draw.permutation(batch)] if form != "packed" else []))
        data = share(draw, step, shape, 1)
        x = ("packed", data, *extra) if extra else data
        rows = options["num_layers"] * (2 if options["bidirectional"] else 1)
        lead = (rows,) if form == "alone" else (rows, batch)
        widths = (options.get("proj_size", width), width)[: 1 + (kind == "lstm")]
        states = tuple(share(draw, step, (*lead, n), 1) for n in widths)
        hx: Any = (states if kind == "lstm" else states[0]) if draw.boolean() else None
        return LayerCase((inputs, width), options, (x,) if hx is None else (x, hx), training, parameters)

    return cases


def rnn_network(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
                bidirectional=False):  # fmt: skip
    options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
    return network(STEPS[nonlinearity], f"rnn_{nonlinearity}", *options)


@layer("nn.RNN", cases=network_cases(rnn_network, "rnn"), like=("rnn_tanh", "rnn_relu"))
def rnn(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
        bidirectional=False, device=None, dtype=None):  # fmt: skip
    """h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh) with f = tanh or max(., 0), in layers one upon the other.

    input: (T, N, I), (N, T, I) with batch_first, (T, I) or a packed sequence; h_0: (layers x directions, N, H);
    output: (T, N, directions x H) and so on, and the last h.  Source: torch.nn.RNN; Elman (1990).
    """
    return rnn_network(input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional)


def gru_network(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False):
    options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
    return network(gru_step, "gru", *options)


@layer("nn.GRU", cases=network_cases(gru_network, "gru"), like=("gru",))
def gru(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
        device=None, dtype=None):  # fmt: skip
    """As RNN, with r, z = sigmoid(.), n = tanh(W_in x + b_in + r (W_hn h + b_hn)) and h' = (1 - z) n + z h.

    input: (T, N, I), (N, T, I) with batch_first, (T, I) or a packed sequence; h_0: (layers x directions, N, H);
    output: (T, N, directions x H) and so on, and the last h.  Source: torch.nn.GRU; Cho et al., arXiv:1406.1078.
    """
    return gru_network(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)


def lstm_network(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
                 proj_size=0):  # fmt: skip
    options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
    return network(lstm_step, "lstm", *options)


@layer("nn.LSTM", cases=network_cases(lstm_network, "lstm"), like=("lstm",))
def lstm(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
         proj_size=0, device=None, dtype=None):  # fmt: skip
    """As RNN, with i, f, o = sigmoid(.), g = tanh(.), c' = f c + i g and h' = o tanh(c'), or W_hr times that.

    input: (T, N, I), (N, T, I) with batch_first, (T, I) or a packed sequence; h_0: (layers x directions, N, H or
    proj_size); c_0: (layers x directions, N, H); output: (T, N, directions x H) and so on, the last h, the last c.
    Source: torch.nn.LSTM; Hochreiter and Schmidhuber (1997); Sak et al., arXiv:1402.1128.
    """
    return lstm_network(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)


def cell(step, rule, inputs, width, bias):
    """What RNNCell, GRUCell and LSTMCell have in common; all numbers begin uniform within 1/sqrt(width)."""
    k, several = width**-0.5, step is lstm_step
    parameters = {n: Parameter(s, uniform(-k, k)) for n, s in gate_shapes(step, inputs, width, width, bias).items()}

    def forward(tape, p, training, x, hx=None):
        alone = x.value.ndim == 1
        x = tape.apply("unsqueeze", x, 0) if alone else x
        states = [np.zeros((x.value.shape[0], width), x.value.dtype)] * (1 + several)
        if hx is not None:
            states = [tape.apply("unsqueeze", s, 0) if alone else s for s in (hx if several else (hx,))]
        new = tape.apply(rule, x, states if several else states[0], *(p[n] for n in parameters))
        outs = tuple(tape.apply("squeeze", s, 0) if alone else s for s in (new if several else (new,)))
        return outs if several else outs[0]

    return Described(parameters, forward)


def cell_cases(kind):
    def cases(draw: Draw) -> LayerCase:
        batch, width, inputs = draw.side(0), draw.side(), draw.integer(1, 4)
        options: dict[str, Any] = dict(bias=draw.boolean())
        if kind == "rnn" and draw.boolean():
            options["nonlinearity"] = "relu"
        step = {"rnn": STEPS[options.get("nonlinearity", "tanh")], "gru": gru_step, "lstm": lstm_step}[kind]
        lead = () if draw.regime not in ("large", "empty") and draw.integer(0, 3) == 3 else (batch,)
        shapes = gate_shapes(step, inputs, width, width, options["bias"])
        x = share(draw, step, (*lead, inputs), 1)
        states = tuple(share(draw, step, (*lead, width), 1) for _ in range(1 + (kind == "lstm")))
        given: tuple[Any, ...] = (x, states if kind == "lstm" else states[0]) if draw.boolean() else (x,)
        return LayerCase(
            (inputs, width), options, given, draw.boolean(), drawn_weights(draw, step, list(shapes.values()))
        )

    return cases


@layer("nn.RNNCell", cases=cell_cases("rnn"), like=("rnn_tanh_cell", "rnn_relu_cell"), no_batch=1)
def rnn_cell(input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
    """f(W_ih x + b_ih + W_hh h + b_hh) with f = tanh or max(., 0); h is zeros where it is not given.

    input: (N, I) or (I); h, output: (N, H) or (H).  Source: torch.nn.RNNCell; Elman (1990).
    """
    return cell(STEPS[nonlinearity], f"rnn_{nonlinearity}_cell", input_size, hidden_size, bias)


@layer("nn.GRUCell", cases=cell_cases("gru"), like=("gru_cell",), no_batch=1)
def gru_cell(input_size, hidden_size, bias=True, device=None, dtype=None):
    """(1 - z) n + z h, with the gates r, z and the candidate n of GRU; h is zeros where it is not given.

    input: (N, I) or (I); h, output: (N, H) or (H).  Source: torch.nn.GRUCell; Cho et al., arXiv:1406.1078.
    """
    return cell(gru_step, "gru_cell", input_size, hidden_size, bias)


@layer("nn.LSTMCell", cases=cell_cases("lstm"), like=("lstm_cell",), no_batch=1)
def lstm_cell(input_size, hidden_size, bias=True, device=None, dtype=None):
    """c' = f c + i g and h' = o tanh(c'), with the gates of LSTM; h and c are zeros where they are not given.

    input: (N, I) or (I); h, c: (N, H) or (H); output: (h', c').
    Source: torch.nn.LSTMCell; Hochreiter and Schmidhuber (1997).
    """
    return cell(lstm_step, "lstm_cell", input_size, hidden_size, bias)
