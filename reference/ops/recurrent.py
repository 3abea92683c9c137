"""Recurrences, one step after the other, with their backward pass through time; and the cells of one step.

Sequences are held packed: a first dimension of rows, sizes[t] of them for step t. A padded batch is the case in
which every step has all rows. The state is a tuple: (h,), or (h, c) for an LSTM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.activation import lift, sigma
from reference.rule import Array, Case, Rule, Waiver, rule

# Each step takes the shares x of the input and h of the state in the gates, and the state. It gives the new
# state, and back(gs) -> (gradient of x, gradient of h, what reaches each part of the state past the gates).


# Slopes are taken from rounded values, as torch takes them, so that single precision shows what saturated gates lose.


def tanh(z):
    return lift(z, np.tanh, lambda x: tanh_slope(np.tanh(x)))


def tanh_slope(y):
    return (1.0 - y) * (1.0 + y)


def gate(z):
    """The sigmoid function."""
    return lift(z, sigma, lambda x: gate_slope(sigma(x)))


def gate_slope(y):
    return y * (1.0 - y)


def tanh_step(x, h, state):
    """h' = tanh(x + h)."""
    y = tanh(x + h)

    def back(gs, slip=0.0):
        d = gs[0] * (tanh_slope(y) - 2.0 * y * slip)
        return d, d, (0.0,)

    return (y,), back


def relu_step(x, h, state):
    """h' = max(x + h, 0)."""
    z = x + h
    on = ~(z.real <= 0)

    def back(gs, slip=0.0):
        d = np.where(on, gs[0], 0.0)
        return d, d, (0.0,)

    return (np.where(on, z, 0.0),), back


def gru_step(x, h, state):
    """r, z = sigmoid(x + h); n = tanh(x + r h); h' = n + z (h - n), with one third of x and h for each of r, z, n."""
    (xr, xz, xn), (hr, hz, hn) = np.split(x, 3, -1), np.split(h, 3, -1)
    r, z = gate(xr + hr), gate(xz + hz)
    n = tanh(xn + r * hn)

    def back(gs, slip=0.0):
        g = gs[0]
        dn = g * (1.0 - z) * tanh_slope(n)
        dz = g * (state[0] - n) * gate_slope(z)
        dr = dn * hn * gate_slope(r)
        return np.concatenate([dr, dz, dn], -1), np.concatenate([dr, dz, dn * r], -1), (g * z,)

    return (n + z * (state[0] - n),), back


def lstm_step(x, h, state):
    """i, f, o = sigmoid(x + h), u = tanh(x + h), in order i, f, u, o; c' = f c + i u; h' = o tanh(c')."""
    zi, zf, zu, zo = np.split(x + h, 4, -1)
    i, f, u, o = gate(zi), gate(zf), tanh(zu), gate(zo)
    c = f * state[1] + i * u
    t = tanh(c)

    def back(gs, slip=0.0):
        dc = gs[1] + gs[0] * o * tanh_slope(t)
        parts = (
            dc * u * gate_slope(i),
            dc * state[1] * gate_slope(f),
            dc * i * tanh_slope(u),
            gs[0] * t * gate_slope(o),
        )
        d = np.concatenate(parts, -1)
        return d, d, (0.0, dc * f)

    return (o * t, c), back


GATES = {tanh_step: 1, relu_step: 1, gru_step: 3, lstm_step: 4}


def advance(step, x, state, w_hh, b_hh=None, w_hr=None):
    """One step. x is the input's share of the gates; w_hr, where given, projects h.

    The new state, and back(gs) -> (gradient of x, those of the state, those of the weights that are given).
    """
    h = state[0] @ w_hh.T
    new, pull = step(x, h if b_hh is None else h + b_hh, state)
    wide = new[0]
    if w_hr is not None:
        new = (wide @ w_hr.T, *new[1:])

    def back(gs, slip=0.0):
        last = gs[0]
        if w_hr is not None:
            gs = (last @ w_hr, *gs[1:])
        dx, dh, direct = pull(gs, slip)
        weights = [dh.T @ state[0]]
        if b_hh is not None:
            weights.append(dh.sum(0))
        if w_hr is not None:
            weights.append(last.T @ wide)
        return dx, (direct[0] + dh @ w_hh, *direct[1:]), weights

    return new, back


def scan(step, x, state, weights, sizes, reverse=False):
    """All steps, from the last to the first with `reverse`: every h, the final state, and the way back.

    x: (rows, gates); state: (B, H) each; the sequences are sorted so that step t has the first sizes[t] of them,
    and those that a step does not have keep their state.
    vjp(g, gs) -> (gradient of x, those of the first state, those of the weights).
    """
    ends = np.cumsum(sizes)
    times = [(int(end) - int(n), int(n)) for end, n in zip(ends, sizes)]
    order = range(len(times))[::-1] if reverse else range(len(times))
    outs: dict[int, Array] = {}
    backs: list[Callable[..., Any]] = []
    for t in order:
        at, n = times[t]
        new, back = advance(step, x[at : at + n], tuple(s[:n] for s in state), *weights)
        outs[t], state = new[0], tuple(joined(a, s, n) for a, s in zip(new, state))
        backs.append(back)

    def vjp(g, gs):
        shares: dict[int, Array] = {}
        totals: list[Array] = []
        for t, back in zip(reversed(order), reversed(backs)):
            at, n = times[t]
            now = (gs[0][:n] + g[at : at + n], *(v[:n] for v in gs[1:]))
            shares[t], before, found = back(now)
            gs = tuple(joined(a, v, n) for a, v in zip(before, gs))
            totals = [a + b for a, b in zip(totals, found)] if totals else found
        return np.concatenate([shares[t] for t in range(len(times))]), gs, totals

    return np.concatenate([outs[t] for t in range(len(times))]), state, vjp


def joined(first, whole, n):
    """The first n rows new, the others as they were."""
    return first if n == len(whole) else np.concatenate([first, whole[n:]])


def one_step(step, input, hx, w_ih, w_hh, b_ih, b_hh):
    """A cell: the new state, and vjp(gs) -> the gradients of the six arguments."""
    x = input @ w_ih.T
    state = tuple(hx) if isinstance(hx, (list, tuple)) else (hx,)
    new, back = advance(step, x if b_ih is None else x + b_ih, state, w_hh, b_hh)

    def vjp(gs, slip=0.0):
        dx, before, (to_hh, *to_bias) = back(gs, slip)
        to_state = list(before) if isinstance(hx, (list, tuple)) else before[0]
        return (
            *(dx @ w_ih, to_state, dx.T @ input, to_hh),
            *(None if b_ih is None else dx.sum(0), to_bias[0] if to_bias else None),
        )

    return new, vjp


def share(draw: Draw, step, shape, fan=None, signs=1.0):
    """Numbers in [-1, 1] over about half of how many of them (`fan`) make a sum: no gate is far from its middle,
    where torch has 1 - y of a rounded y. For max all are positive but for the signs of whole rows of weights, so
    that rounding never decides on the side of 0.
    """
    fan = shape[-1] if fan is None and len(shape) > 1 else 1
    x = draw.reals(shape, -1, 1)
    if step is relu_step:
        x = (np.abs(x) + 0.125) * np.reshape(signs, (-1, *(1,) * (len(shape) - 1))) / 1.125
    return x / (0.5 + fan / 2)


def drawn_weights(draw: Draw, step, shapes):
    """The weights and biases of one layer in one direction."""
    signs = draw.bools((shapes[0][0],)) * 2.0 - 1.0
    return [share(draw, step, s, signs=signs if len(s) < 2 or s[0] == len(signs) else 1.0) for s in shapes]


LOWERED = "under autocast the products inside are in bfloat16, and what is made of them comes out in float32"


def lowered(x, weights):
    """2^16 times the largest sum in a gate: the roundings of bfloat16, in units of those of float32."""
    size = 1.0 + np.abs(x).max(initial=0.0)
    return np.asarray(2.0**16 * (1.0 + size * sum(np.abs(w).sum(-1).max(initial=0.0) for w in weights[:2])))


def cell_room(input, hx, *weights):
    return lowered(input, weights)


def cell_cases(step):
    def cases(draw: Draw):
        batch, width = draw.side(0), draw.side()
        inputs, gates = draw.integer(1, 4), GATES[step] * width
        state = [share(draw, step, (batch, width), 1) for _ in range(2 if step is lstm_step else 1)]
        shapes = [(gates, inputs), (gates, width), *[(gates,)] * (2 if draw.boolean() else 0)]
        w_ih, w_hh, *biases = drawn_weights(draw, step, shapes)
        hx = state if step is lstm_step else state[0]
        return Case((share(draw, step, (batch, inputs), 1), hx, w_ih, w_hh, *biases))

    return cases


def cell_errors(step):
    def errors(draw: Draw):
        gates = 2 * GATES[step]
        w_ih, w_hh = draw.reals((gates, 3)), draw.reals((gates, 2))

        def state(rows, width):
            h = draw.reals((rows, width))
            return [h, h] if step is lstm_step else h

        return [
            (Case((draw.reals((2, 4)), state(2, 2), w_ih, w_hh)), RuntimeError),
            (Case((draw.reals((2, 3)), state(2, 3), w_ih, w_hh)), RuntimeError),
        ]

    return errors


def cell(name: str, step: Callable[..., Any]) -> Callable[[Callable[..., Any]], Rule]:
    waiver = Waiver(LOWERED, room=cell_room, checks=("autocast",))
    return rule(name, cases=cell_cases(step), errors=cell_errors(step), method=False, waivers=[waiver])


def single(step, *args):
    """A cell whose state is h alone."""
    new, vjp = one_step(step, *args)
    return new[0], vjp


@cell("rnn_tanh_cell", tanh_step)
def rnn_tanh_cell(input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                  b_hh: Array | None = None):  # fmt: skip
    """tanh(W_ih x + b_ih + W_hh h + b_hh).

    input: (N, I); hx, output: (N, H); w_ih: (H, I); w_hh: (H, H); biases: (H,).
    Source: Elman, Cognitive Science 14 (1990); torch.nn.RNNCell.
    """
    y, back = single(tanh_step, input, hx, w_ih, w_hh, b_ih, b_hh)

    def vjp(g, slip=0.0):
        return back((g,), slip)

    return y, vjp


@cell("rnn_relu_cell", relu_step)
def rnn_relu_cell(input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                  b_hh: Array | None = None):  # fmt: skip
    """max(W_ih x + b_ih + W_hh h + b_hh, 0); the derivative at 0 is 0.

    input: (N, I); hx, output: (N, H); w_ih: (H, I); w_hh: (H, H); biases: (H,).
    Source: Le et al., arXiv:1504.00941; torch.nn.RNNCell.
    """
    y, back = single(relu_step, input, hx, w_ih, w_hh, b_ih, b_hh)
    return y, lambda g: back((g,))


@cell("gru_cell", gru_step)
def gru_cell(input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
             b_hh: Array | None = None):  # fmt: skip
    """n + z (h - n), with x' = W_ih x + b_ih, h' = W_hh h + b_hh, r, z = sigmoid(x' + h'), n = tanh(x' + r h').

    input: (N, I); hx, output: (N, H); w_ih: (3 H, I); w_hh: (3 H, H); biases: (3 H,), in order r, z, n.
    Source: Cho et al., arXiv:1406.1078; torch.nn.GRUCell.
    """
    y, back = single(gru_step, input, hx, w_ih, w_hh, b_ih, b_hh)
    return y, lambda g: back((g,))


@cell("lstm_cell", lstm_step)
def lstm_cell(input: Array, hx: list[Array], w_ih: Array, w_hh: Array, b_ih: Array | None = None,
              b_hh: Array | None = None):  # fmt: skip
    """c' = f c + i u and h' = o tanh(c'), with i, f, o = sigmoid and u = tanh of W_ih x + b_ih + W_hh h + b_hh.

    input: (N, I); hx = (h, c), output (h', c'): (N, H) each; w_ih: (4 H, I); w_hh: (4 H, H); biases: (4 H,), in
    order i, f, u, o.  Source: Hochreiter and Schmidhuber (1997); Gers et al. (2000); torch.nn.LSTMCell.
    """
    return one_step(lstm_step, input, hx, w_ih, w_hh, b_ih, b_hh)
