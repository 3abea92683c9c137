"""The recurrent networks against their equations, written out for one sequence at a time."""

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(7)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def step_of(kind, x, h, c, w_ih, w_hh, b_ih, b_hh):
    a, b = w_ih @ x + b_ih, w_hh @ h + b_hh
    if kind == "rnn_tanh":
        return np.tanh(a + b), c
    if kind == "rnn_relu":
        return np.maximum(a + b, 0), c
    if kind == "gru":
        (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
        z = logistic(az + bz)
        return (1 - z) * np.tanh(an + logistic(ar + br) * bn) + z * h, c
    i, f, u, o = np.split(a + b, 4)
    c = logistic(f) * c + logistic(i) * np.tanh(u)
    return logistic(o) * np.tanh(c), c


def by_hand(kind, sequence, h, c, weights, reverse):
    out = []
    for x in sequence[::-1] if reverse else sequence:
        h, c = step_of(kind, x, h, c, *weights)
        out.append(h)
    return (out[::-1] if reverse else out), h, c


GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}


def drawn(kind, inputs, width, layers, directions):
    gates = GATES[kind] * width
    params = []
    for depth in range(layers):
        wide = inputs if depth == 0 else width * directions
        for _ in range(directions):
            params += [RNG.standard_normal(s) for s in ((gates, wide), (gates, width), (gates,), (gates,))]
    return params


@pytest.mark.parametrize("kind", list(GATES))
@pytest.mark.parametrize("directions", [1, 2])
def test_packed_sequences_are_each_run_alone(kind, directions):
    lengths, inputs, width, layers = [4, 3, 1], 2, 3, 2
    params = drawn(kind, inputs, width, layers, directions)
    sequences = [RNG.standard_normal((n, inputs)) for n in lengths]
    h, c = RNG.standard_normal((2, layers * directions, len(lengths), width))
    data = np.concatenate([[s[t] for s in sequences if t < len(s)] for t in range(4)])
    sizes = np.array([3, 2, 2, 1])
    hx = [h, c] if kind == "lstm" else h
    (out, *last), _ = lookup(kind)(data, sizes, hx, params, True, layers, 0.0, False, directions == 2)
    for row, sequence in enumerate(sequences):
        for depth in range(layers):
            parts = []
            for d in range(directions):
                at = depth * directions + d
                part, end, cell = by_hand(kind, sequence, h[at, row], c[at, row], params[4 * at : 4 * at + 4], d == 1)
                parts.append(part)
                assert np.allclose(last[0][at, row], end, rtol=1e-13, atol=1e-13)
                if kind == "lstm":
                    assert np.allclose(last[1][at, row], cell, rtol=1e-13, atol=1e-13)
            sequence = [np.concatenate(p) for p in zip(*parts)]
        places = np.cumsum([0, *sizes])[: len(sequence)] + row
        assert np.allclose(out[places], sequence, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", list(GATES))
def test_a_padded_batch_is_a_packed_one_in_which_no_sequence_ends(kind):
    params = drawn(kind, 2, 3, 1, 1)
    x, h = RNG.standard_normal((4, 5, 2)), RNG.standard_normal((1, 5, 3))
    hx, network = [h, h] if kind == "lstm" else h, lookup(kind)
    padded, _ = network(x, hx, params, True, 1, 0.0, False, False, False)
    turned, _ = network(x.swapaxes(0, 1), hx, params, True, 1, 0.0, False, False, batch_first=True)
    packed, _ = network(x.reshape(20, 2), np.full(4, 5), hx, params, True, 1, 0.0, False, False)
    named, _ = network(
        data=x.reshape(20, 2), batch_sizes=np.full(4, 5), hx=hx, params=params, has_biases=True, num_layers=1,
        dropout=0.0, train=False, bidirectional=False,
    )  # fmt: skip
    assert np.array_equal(padded[0], turned[0].swapaxes(0, 1))
    assert np.array_equal(padded[0].reshape(20, 3), packed[0])
    assert np.array_equal(packed[0], named[0]) and np.array_equal(padded[1], named[1])


@pytest.mark.parametrize("kind", list(GATES))
def test_a_cell_is_a_network_of_one_step(kind):
    params = drawn(kind, 2, 3, 1, 1)
    x, h = RNG.standard_normal((5, 2)), RNG.standard_normal((5, 3))
    hx = [h, h] if kind == "lstm" else h
    wide = [v[None] for v in hx] if kind == "lstm" else h[None]
    out, _ = lookup(f"{kind}_cell")(x, hx, *params)
    (_, *last), _ = lookup(kind)(x[None], wide, params, True, 1, 0.0, False, False, False)
    for a, b in zip(out if kind == "lstm" else [out], last):
        assert np.allclose(a, b[0], rtol=1e-14, atol=1e-14)


def test_a_projected_lstm_carries_the_projection_on():
    w_ih, w_hh, w_hr = RNG.standard_normal((8, 3)), RNG.standard_normal((8, 1)), RNG.standard_normal((1, 2))
    x, h, c = RNG.standard_normal((2, 1, 3)), np.zeros((1, 1, 1)), np.zeros((1, 1, 2))
    (out, last, cell), _ = lookup("lstm")(x, [h, c], [w_ih, w_hh, w_hr], False, 1, 0.0, False, False, False)
    state, inner = np.zeros(1), np.zeros(2)
    for t in range(2):
        wide, inner = step_of("lstm", x[t, 0], state, inner, w_ih, w_hh, 0.0, 0.0)
        state = w_hr @ wide
        assert np.allclose(out[t, 0], state, rtol=1e-14, atol=1e-14)
    assert np.allclose(last[0, 0], state, rtol=1e-12, atol=1e-12) and np.allclose(
        cell[0, 0], inner, rtol=1e-12, atol=1e-12
    )


def test_dropout_between_layers_is_random_unless_it_drops_all_or_nothing():
    params = drawn("gru", 2, 3, 2, 1)
    x, h = RNG.standard_normal((4, 5, 2)), RNG.standard_normal((2, 5, 3))
    with pytest.raises(ValueError, match="random"):
        lookup("gru")(x, h, params, True, 2, 0.5, True, False, False)
    (out, _), _ = lookup("gru")(x, h, params, True, 2, 1.0, True, False, False)
    (alone, _), _ = lookup("gru")(np.zeros((4, 5, 3)), h[1:], params[4:], True, 1, 0.0, False, False, False)
    assert np.array_equal(out, alone)


def test_an_error_of_a_cell_of_tanh_moves_the_slope_that_is_read_off_it():
    """With h' = tanh(..) the slope is 1 - h'^2, whose change for that of h' is -2 h'."""
    x, h = RNG.standard_normal((4, 2)), RNG.standard_normal((4, 3))
    params = drawn("rnn_tanh", 2, 3, 1, 1)
    y, vjp = lookup("rnn_tanh_cell")(x, h, *params)
    g, slip = RNG.standard_normal(y.shape), RNG.standard_normal(y.shape)
    moved = -2 * y * slip * g
    want = [moved @ params[0], moved @ params[1], moved.T @ x, moved.T @ h, moved.sum(0), moved.sum(0)]
    for plain, slipped, change in zip(vjp(g), vjp(g, slip), want):
        assert np.allclose(slipped - plain, change, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", list(GATES))
@pytest.mark.parametrize("packed", [False, True])
def test_arguments_of_a_network_may_be_named_from_any_place_on(kind, packed):
    params = drawn(kind, 2, 3, 1, 1)
    x, h = RNG.standard_normal((4, 5, 2)), RNG.standard_normal((1, 5, 3))
    hx = [h, h] if kind == "lstm" else h
    first = {"data": x.reshape(20, 2), "batch_sizes": np.full(4, 5)} if packed else {"input": x}
    options = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": False, "bidirectional": False}
    given = {**first, "hx": hx, "params": params, **options, **({} if packed else {"batch_first": False})}
    want = [by_hand(kind, x[:, i], h[0, i], h[0, i], params, False)[0] for i in range(5)]
    for count in range(len(given) + 1):
        names = list(given)
        out, _ = lookup(kind)(*list(given.values())[:count], **{n: given[n] for n in names[count:]})
        assert np.allclose(out[0].reshape(4, 5, 3), np.swapaxes(want, 0, 1), rtol=1e-13, atol=1e-13)
