"""The trainings of the reference: gradients by hand, first steps of optimizers, what rounding moves."""

from __future__ import annotations

import numpy as np
import pytest

from reference.derive import STEP
from reference.optim import adam, sgd
from reference.programs import data, networks, trainings
from reference.programs.rounding import EXACT, UNIT, Exact, Noisy
from reference.programs.spread import EPS, measure
from reference.rule import stepping
from reference.tape import Node, Tape

RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((6, 5)), RNG.standard_normal((6, 3))
W1, W2 = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3))
LAYERS = [RNG.standard_normal(s) for s in [(4, 5), (4,), (4, 4), (4,), (3, 4), (3,)]]


def derivative(loss, parameters, directions):
    """Of loss(parameters) in these directions, by the complex step."""
    with stepping():
        return loss([p + 1j * STEP * d for p, d in zip(parameters, directions)]).imag / STEP


def on_a_tape(parameters: list[np.ndarray], depth: int) -> tuple[float, list[np.ndarray | None]]:
    """The loss of the dynamic network and its gradients, composed of rules."""
    tape = Tape()
    nodes = [tape.variable(p) for p in parameters]
    first, middle, last = zip(nodes[::2], nodes[1::2])
    h: Node = tape.apply("nn.functional.linear", X, *first)
    for layer in [middle] * depth + [last]:
        h = tape.apply("nn.functional.linear", tape.apply("relu", h), *layer)
    loss = tape.apply("nn.functional.mse_loss", h, Y, reduction="sum")
    return float(loss.value), list(tape.backward(loss).values())


def test_the_two_layer_gradients_are_those_of_the_complex_step() -> None:
    _, grads = networks.two_layer(X, Y, W1, W2)
    for _ in range(5):
        vs = [RNG.standard_normal(w.shape) for w in (W1, W2)]
        want = derivative(lambda ws: networks.two_layer(X, Y, *ws)[0], [W1, W2], vs)
        assert sum(np.sum(g * v) for g, v in zip(grads, vs)) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize("depth", range(4))
def test_the_dynamic_gradients_are_those_of_the_complex_step(depth: int) -> None:
    _, grads = networks.dynamic(X, Y, LAYERS, depth)
    vs = [RNG.standard_normal(w.shape) for w in LAYERS]
    want = derivative(lambda ws: networks.dynamic(X, Y, ws, depth)[0], LAYERS, vs)
    assert sum(np.sum(g * v) for g, v in zip(grads, vs) if g is not None) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize("depth", range(4))
def test_the_dynamic_gradients_are_those_of_the_tape(depth: int) -> None:
    (loss, grads), (want, wants) = networks.dynamic(X, Y, LAYERS, depth), on_a_tape(LAYERS, depth)
    assert loss == pytest.approx(want, rel=1e-13)
    for g, w in zip(grads, wants, strict=True):
        assert (g is None) == (w is None)
        assert g is None or np.allclose(g, w, rtol=1e-12, atol=1e-12)


def test_a_middle_layer_that_is_not_used_has_no_gradient_and_stays() -> None:
    start = [X, Y, *LAYERS]
    done = trainings.dynamic(start, [0, 0], lambda p, g, s: sgd(p, g, s, lr=1e-3, momentum=0.9))
    np.testing.assert_array_equal(done.parameters[2], LAYERS[2])
    assert not np.array_equal(done.parameters[0], LAYERS[0])


def test_without_a_middle_layer_the_dynamic_network_is_the_linear_one() -> None:
    loss, grads = networks.dynamic(X, Y, LAYERS, 0)
    plain, wants = networks.linear(X, Y, [*LAYERS[:2], *LAYERS[4:]])
    assert loss == plain
    for g, w in zip([*grads[:2], *grads[4:]], wants, strict=True):
        np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("name", trainings.PROGRAMS)
def test_every_training_learns(name: str) -> None:
    losses = trainings.PROGRAMS[name].trained(0, 50).losses
    assert losses.shape == (50,) and losses[-1] < losses[0] / 2


@pytest.mark.parametrize("name", trainings.PROGRAMS)
def test_a_shorter_training_is_the_beginning_of_a_longer_one(name: str) -> None:
    np.testing.assert_array_equal(
        trainings.PROGRAMS[name].trained(1, 4).losses, trainings.PROGRAMS[name].trained(1, 7).losses[:4]
    )


def test_initial_weights_follow_the_law_of_linear_layers() -> None:
    _, _, w1, b1, w2, b2 = data.layers(0, data.TWO)
    for fan_in, a in ((1000, w1), (1000, b1), (100, w2), (100, b2)):
        assert np.abs(a).max() <= np.float32(fan_in**-0.5)
    assert w1.shape == (100, 1000) and b2.shape == (10,)
    assert w1.std() == pytest.approx(1000**-0.5 / 3**0.5, rel=0.01)


def test_every_number_to_start_from_is_one_of_float32() -> None:
    for name in trainings.PROGRAMS:
        assert all(a.dtype == np.float32 for a in trainings.PROGRAMS[name].begin(0))


def test_the_dynamic_network_uses_its_middle_layer_0_to_3_times() -> None:
    assert set(data.choices(0)) == {0, 1, 2, 3} and len(data.choices(0)) == 500
    assert data.choices(0) != data.choices(1)


def test_sgd_takes_the_steps_of_its_documentation() -> None:
    p, g = [np.array([1.0, -2.0])], [np.array([0.5, 4.0])]
    (moved,), _ = sgd(p, g, [], lr=0.1)
    np.testing.assert_allclose(moved, [0.95, -2.4], rtol=1e-15)

    once, state = sgd(p, g, [], lr=0.1, momentum=0.9, dampening=0.5)
    np.testing.assert_allclose(once[0], [0.95, -2.4], rtol=1e-15)  # the first buffer is the gradient, undamped
    twice, state = sgd(once, g, state, lr=0.1, momentum=0.9, dampening=0.5)
    np.testing.assert_allclose(state[0]["momentum_buffer"], [0.7, 5.6], rtol=1e-15)  # 0.9 g + 0.5 g
    np.testing.assert_allclose(twice[0], [0.88, -2.96], rtol=1e-15)

    (nesterov,), _ = sgd(p, g, [], lr=0.1, momentum=0.9, nesterov=True)
    np.testing.assert_allclose(nesterov, [1 - 0.1 * 0.95, -2 - 0.1 * 7.6], rtol=1e-15)  # g + 0.9 g
    (decayed,), _ = sgd(p, g, [], lr=0.1, weight_decay=0.5, maximize=True)
    np.testing.assert_allclose(decayed, [1 - 0.1 * (-0.5 + 0.5), -2 - 0.1 * (-4.0 - 1.0)], rtol=1e-15)


def test_adam_takes_the_steps_of_its_paper() -> None:
    p, g = [np.array([1.0, -2.0])], np.array([0.5, -4.0])
    first, state = adam(p, [g], [], lr=0.1)
    # the corrected moments of the first step are g and g^2: a step of lr against the sign of g
    np.testing.assert_allclose(first[0], [0.9, -1.9], rtol=1e-7)
    np.testing.assert_allclose(state[0]["exp_avg"], 0.1 * g, rtol=1e-14)
    np.testing.assert_allclose(state[0]["exp_avg_sq"], 0.001 * g * g, rtol=1e-13)
    assert state[0]["step"] == 1

    second, state = adam(first, [-g], state, lr=0.1)
    # m = 0.9 0.1 g - 0.1 g = -0.01 g, over 1 - 0.81; the corrected v is g^2 again
    step = 0.1 * (-0.01 / 0.19) * g / (np.abs(g) + 1e-8)
    np.testing.assert_allclose(second[0], first[0] - step, rtol=1e-13)
    assert state[0]["step"] == 2


def test_an_optimizer_changes_nothing_in_place_and_leaves_out_what_has_no_gradient() -> None:
    p, g = [np.ones(2), np.ones(3)], [np.ones(2), None]
    for optimizer in (sgd, adam):
        moved, state = optimizer(p, g, [], lr=0.1)
        np.testing.assert_array_equal(p[0], np.ones(2))
        assert moved[1] is p[1] and state[1] == {} and not np.array_equal(moved[0], p[0])


def test_the_noise_of_a_dot_product_is_that_of_a_running_sum() -> None:
    """Against float32 sums taken one term after another, of unrelated factors and of terms of one sign."""
    for shift in (0.0, 3.0):
        a = (RNG.standard_normal((30, 1000)) + shift).astype(np.float32)
        b = (RNG.standard_normal((1000, 30)) + shift).astype(np.float32)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        running = np.zeros((30, 30), np.float32)
        for k in range(1000):
            running += np.outer(a[:, k], b[k])
        real = np.sqrt(np.mean((running - exact) ** 2))
        modelled = np.sqrt(np.mean((Noisy(0, []).dot(a, b) - exact) ** 2))
        assert real < modelled < 5 * real


def test_an_elementwise_result_moves_by_one_unit_in_the_last_place() -> None:
    x = np.linspace(1.01, 1.99, 100, dtype=np.float32)
    np.testing.assert_array_equal(np.abs(Noisy(0, [])(x) - x), np.float32(2 * UNIT))


def test_a_decision_in_doubt_is_open_once_and_closed_once() -> None:
    h = np.array([1e-9, -1e-9, 1.0, -1.0], np.float32)
    assert Noisy(0, [h], 1, [1e-8]).positive(h).tolist() == [True, True, True, False]
    assert Noisy(0, [h], -1, [1e-8]).positive(h).tolist() == [False, False, True, False]
    assert Noisy(0, [-h]).positive(h).tolist() == [False, True, False, True]  # as the reference decided


@pytest.mark.parametrize("name", trainings.PROGRAMS)
def test_a_training_in_plain_float32_stays_within_the_measured_spread(name: str) -> None:
    plain = Exact()
    plain.dtype = np.float32
    measured, got = measure(trainings.PROGRAMS[name], 5, 50), trainings.PROGRAMS[name].trained(5, 50, plain)
    want = measured.training.losses
    assert np.all(np.abs(got.losses - want) <= 8 * EPS * (want + measured.turning.losses))


def test_the_reference_itself_is_float64() -> None:
    assert EXACT.dtype is np.float64 and not EXACT.decided
    assert all(p.dtype == np.float64 for p in trainings.PROGRAMS["raw"].trained(0, 2).parameters)
