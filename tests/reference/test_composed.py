"""Networks of rules: their gradients are those of their losses, and their trainings learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reference.programs import composed, data, models
from reference.programs.rounding import EXACT, Shaken
from reference.programs.spread import measure

NETWORKS = {
    "two_layer": (composed.TWO_LAYER, data.regression, models.TWO_LAYER),
    "residual": (
        composed.Network(models.residual, buffers=models.residual_buffers), data.patterns, models.RESIDUAL
    ),
    "lstm": (composed.Network(models.lstm), data.sentences, models.LSTM),
    "transformer": (composed.Network(models.transformer), data.sentences, models.TRANSFORMER),
}  # fmt: skip


def images(seed: int, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.uniform(-1, 1, (404, 3, 32, 32)).astype(np.float32),
        rng.integers(0, 10, 404),
        *data.uniform(rng, shapes),
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_says_how_the_loss_changes(name: str) -> None:
    network, draw, shapes = NETWORKS[name]
    x, y, *parameters = [a.astype(float) if a.dtype.kind == "f" else a for a in draw(3, shapes)]
    x, y = x[:16], y[:16]
    rng = np.random.default_rng(0)
    ways = [rng.standard_normal(p.shape) for p in parameters]

    def loss(step: float) -> float:
        moved = [p + step * w for p, w in zip(parameters, ways)]
        return float(network.value(moved, x, y, network.buffers(), EXACT)[0])

    _, gradients = network.value(parameters, x, y, network.buffers(), EXACT)
    slope = sum(float((g * w).sum()) for g, w in zip(gradients, ways))
    step = 1e-8  # so small that no relu turns
    assert (loss(step) - loss(-step)) / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", ["residual", "lstm", "transformer"])
def test_a_network_learns(name: str) -> None:
    losses = composed.PROGRAMS[name].trained(0, 30).losses
    assert losses[-5:].mean() < 0.9 * losses[:5].mean()


@pytest.mark.parametrize("name", [*composed.OPTIONS, "LBFGS"])
def test_every_optimizer_trains_the_two_layer_network(name: str) -> None:
    losses = composed.PROGRAMS[f"two_layer {name}"].trained(0, 10).losses
    assert losses[-1] < losses[0]


def test_lenet_has_61706_and_some_parameters_and_learns_a_single_batch() -> None:
    program = composed.LENET_PROGRAM(images)
    assert sum(np.prod(s) for s in models.LENET) == 62006  # 61706 of one channel, 25 x 6 more for each other one
    held = program.trained(0, 3).parameters[-1]
    assert held.shape == (400, 10)
    one = dataclasses.replace(composed.LENET, held=400)
    losses = composed.train(program.begin(0), 60, one, composed.LENET_UPDATE, EXACT).losses
    assert losses[-4:].mean() < losses[:4].mean()  # 404 images less the 400 held out: one batch again and again


def test_running_statistics_follow_the_batches_alone_in_training() -> None:
    buffers = models.residual_buffers()
    network, draw, shapes = NETWORKS["residual"]
    x, _, *parameters = draw(0, shapes)
    for training in (False, True):
        network.forward(models.Pass(EXACT), [models.Node(p) for p in parameters], x[:8], buffers, training)
        moved = [not np.array_equal(b, a) for a, b in zip(models.residual_buffers(), buffers)]
        assert moved == [training] * 10


def test_a_parameter_group_has_its_own_rate() -> None:
    update = composed.in_groups((1, 1), ({"lr": 1.0}, {"lr": 2.0}))
    moved, _ = update([np.zeros(1), np.zeros(1)], [np.ones(1), np.ones(1)], None, 0, EXACT)
    assert [float(p[0]) for p in moved] == [-1.0, -2.0]


def test_clipping_keeps_the_direction_and_limits_the_norm() -> None:
    update = composed.clipped(0.5, lr=1.0)
    moved, _ = update([np.zeros(2)], [np.array([3.0, 4.0])], None, 0, EXACT)
    np.testing.assert_allclose(moved[0], [-0.3, -0.4], rtol=1e-6)


def test_a_run_in_float32_stays_within_the_measured_spread() -> None:
    program = composed.PROGRAMS["lstm"]
    measured, got = measure(program, 5, 20), program.trained(5, 20, Shaken(99, 2.0**-24, np.float32))
    want = measured.training.losses
    assert np.all(np.abs(got.losses - want) <= 8 * 2.0**-23 * (want + measured.turning.losses))


def test_relus_in_doubt_are_opened_and_closed() -> None:
    h, wanted = np.array([1e-9, -1e-9, 1.0]), np.array([1e-9, -1e-9, 1.0], np.float32)
    kept = Shaken(0, 0.0, np.float64, [wanted + np.float32(1e-7)])
    assert kept.doubt(h) is None and kept.errors[0] == pytest.approx(1e-7, rel=0.1)
    for lean in (1, -1):
        shift = Shaken(0, 0.0, np.float64, [wanted], lean, kept.errors).doubt(h)
        assert shift is not None and np.array_equal(h + shift > 0, [lean == 1, lean == 1, True])
