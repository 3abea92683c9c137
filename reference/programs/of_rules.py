"""Trainings of networks that are made of rules: batches, an optimizer in groups, held out samples at the end."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference import optim, schedules
from reference.optim import lbfgs, moments
from reference.programs import data, models
from reference.programs.rounding import Exact
from reference.programs.trainings import Program, Start, Training
from reference.rule import Array
from reference.tape import Node

# (parameters, gradients, state, step, fl) -> (parameters, state)
Update = Callable[[list[Array], list[Array], Any, int, Exact], tuple[list[Array], Any]]


@dataclasses.dataclass(frozen=True)
class Network:
    """forward: see reference.programs.models; loss: the rule that compares outputs with y.

    batch  samples in a step (the next in order; after the last the first follows); 0 for all
    held   so many samples at the end are not trained on, but put through the network at last, in evaluation mode
    """

    forward: Callable[[models.Pass, Sequence[Node], Array, models.Buffers, bool], Node]
    loss: str = "nn.functional.cross_entropy"
    batch: int = 0
    held: int = 0
    buffers: Callable[[], models.Buffers] = list

    def value(self, p: Sequence[Array], x: Array, y: Array, buffers: models.Buffers, fl: Exact) -> tuple[Any, Any]:
        """The loss of a batch, and its gradients."""
        tape = models.Pass(fl)
        nodes = [tape.variable(a) for a in p]
        outputs = self.forward(tape, nodes, x, buffers, True)
        loss = tape.apply(self.loss, outputs, y.reshape(-1) if y.dtype.kind == "i" else y)
        gradients = tape.backward(loss)
        return loss.value, [gradients[n] for n in nodes]


def train(start: Start, steps: int, network: Network, update: Update, fl: Exact) -> Training:
    """Every loss; then the parameters, the buffers, and the outputs for what was held out."""
    x, y, *parameters = start
    buffers = [b.astype(fl.dtype) for b in network.buffers()]
    count = len(x) - network.held
    losses, state = [], None
    for step in range(steps):
        rows = np.arange(step * network.batch, (step + 1) * network.batch) % count if network.batch else slice(None)
        loss, gradients = network.value(parameters, x[rows], y[rows], buffers, fl)
        losses.append(float(loss))
        parameters, state = update(parameters, gradients, state, step, fl)
        parameters, buffers = [fl(p) for p in parameters], [fl(b) for b in buffers]
    found = [*parameters, *buffers]
    if network.held:
        tape = models.Pass(fl)
        outputs = network.forward(tape, [tape.variable(p) for p in parameters], x[-network.held :], buffers, False)
        found.append(outputs.value)
    return Training(np.array(losses), [np.asarray(a, np.float64) for a in found])


def program(draw: Callable[..., Start], shapes: Any, network: Network, update: Update, coarse: bool = False) -> Program:
    """The training as a program. `coarse`: the update rounds to bfloat16 inside."""
    return Program(
        draw, (shapes,), lambda start, _, steps, fl: train(start, steps, network, update, fl), composed=True,
        coarse=coarse, outputs=bool(network.held), buffers=len(network.buffers()),
    )  # fmt: skip


# updates


def in_groups(sizes: Sequence[int], groups: Sequence[dict[str, Any]]) -> Update:
    """SGD with momentum in parameter groups of so many parameters each."""

    def update(p: list[Array], g: list[Array], state: Any, step: int, fl: Exact) -> tuple[list[Array], Any]:
        state, begin = state or [[] for _ in sizes], 0
        made: list[Array] = []
        for i, (size, options) in enumerate(zip(sizes, groups)):
            part = slice(begin, begin + size)
            moved, state[i] = optim.sgd(p[part], g[part], state[i], **options)
            made, begin = made + moved, begin + size
        return made, state

    return update


def clipped(most: float, **options: Any) -> Update:
    """SGD with the gradients scaled down together, where their norm is larger than `most`, by most / (norm + 1e-6)."""

    def update(p: list[Array], g: list[Array], state: Any, step: int, fl: Exact) -> tuple[list[Array], Any]:
        norm = fl(sum((a * a).sum() for a in g) ** 0.5)
        factor = min(1.0, most / (norm + 1e-6))
        return optim.sgd(p, [fl(factor * a) for a in g], state, **options)

    return update


def warmed(schedule: str, lr: float, options: dict[str, Any], **others: Any) -> Update:
    """AdamW with a learning rate that follows a schedule."""
    curve = schedules.SCHEDULES[schedule].curve

    def update(p: list[Array], g: list[Array], state: Any, step: int, fl: Exact) -> tuple[list[Array], Any]:
        return optim.over(moments.adamw)(p, g, state, lr=curve(lr, step, **options), **others)

    return update


def by(name: str, **options: Any) -> Update:
    """The optimizer of this name, over all parameters."""
    chosen = optim.OPTIMIZERS[name]

    def update(p: list[Array], g: list[Any], state: Any, step: int, fl: Exact) -> tuple[list[Array], Any]:
        inner = {"inner": fl.coarse} if name == "Muon" else {}
        if chosen.sparse == "only":
            g = [(np.flatnonzero(a.any(1)), a) for a in g]
        return optim.over(chosen.update)(p, g, state, **options, **inner)

    return update


def by_lbfgs(start: Start, steps: int, fl: Exact, **options: Any) -> Training:
    """The two-layer network by L-BFGS, which evaluates it several times in a step."""
    x, y, *parameters = start
    ends = np.cumsum([p.size for p in parameters])[:-1]
    flat, losses = np.concatenate([p.ravel() for p in parameters]), []
    state: dict[str, Any] = {}

    def at(point: Array) -> tuple[Any, Array]:
        parts = [a.reshape(p.shape) for a, p in zip(np.split(point, ends), parameters)]
        loss, gradients = TWO_LAYER.value(parts, x, y, [], fl)
        return loss, np.concatenate([g.ravel() for g in gradients])

    for _ in range(steps):
        flat, state, loss = lbfgs.step(fl(flat), at, state, **options)
        losses.append(float(loss))
    moved = [np.asarray(a, np.float64).reshape(p.shape) for a, p in zip(np.split(flat, ends), parameters)]
    return Training(np.array(losses), moved)


TWO_LAYER = Network(models.two_layer, loss="nn.functional.mse_loss")
LENET = Network(models.lenet, batch=4, held=400)
# the rates of the features (two convolutions) and of the classifier (three linear layers)
LENET_UPDATE = in_groups((4, 6), ({"lr": 0.001, "momentum": 0.9}, {"lr": 0.002, "momentum": 0.9}))
LBFGS_OPTIONS = {"lr": 0.5, "max_iter": 4, "tolerance_grad": 0.0, "tolerance_change": 0.0}
# of each optimizer, options that train the two-layer network
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    "Adam": {"lr": 1e-3}, "AdamW": {"lr": 1e-3, "weight_decay": 0.1}, "Adamax": {"lr": 2e-3},
    "NAdam": {"lr": 1e-3}, "RAdam": {"lr": 1e-2, "betas": (0.9, 0.95)}, "SparseAdam": {"lr": 1e-3},
    "Adagrad": {"lr": 1e-2}, "RMSprop": {"lr": 1e-3, "momentum": 0.5, "centered": True}, "Adadelta": {"lr": 1.0},
    "Adafactor": {"lr": 1e-2, "eps": (1e-7, 1e-3)}, "Rprop": {"lr": 1e-4, "step_sizes": (1e-6, 1e-2)},
    "ASGD": {"lr": 0.1, "t0": 5}, "Muon": {"lr": 1e-2},
}  # fmt: skip


def _two_layer(name: str, options: dict[str, Any]) -> Program:
    return program(data.regression, models.TWO_LAYER, TWO_LAYER, by(name, **options), coarse=name == "Muon")


PROGRAMS: dict[str, Program] = {
    **{f"two_layer {name}": _two_layer(name, options) for name, options in OPTIONS.items()},
    "two_layer LBFGS": Program(
        data.regression, (models.TWO_LAYER,),
        lambda start, _, steps, fl: by_lbfgs(start, steps, fl, **LBFGS_OPTIONS), composed=True,
    ),
    "residual": program(
        data.patterns, models.RESIDUAL,
        Network(models.residual, batch=16, held=64, buffers=models.residual_buffers),
        in_groups((18,), ({"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},)),
    ),
    "lstm": program(
        data.sentences, models.LSTM, Network(models.lstm, batch=16, held=32), clipped(0.1, lr=1.0, momentum=0.9)
    ),
    "transformer": program(
        data.sentences, models.TRANSFORMER, Network(models.transformer, batch=16, held=32),
        warmed("LinearLR", 0.01, {"start_factor": 0.1, "total_iters": 10}, weight_decay=0.01),
    ),
}  # fmt: skip

LENET_PROGRAM = functools.partial(program, shapes=models.LENET, network=LENET, update=LENET_UPDATE)
