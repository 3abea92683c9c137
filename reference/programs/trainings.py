"""The classic trainings: every loss of every step, and the final parameters."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.optim import State, adam, sgd
from reference.programs import data, networks
from reference.programs.rounding import EXACT, Exact
from reference.rule import Array

Start = list[Array]  # x, y, then the parameters
Loss = Callable[[Sequence[Array], int], tuple[float, list[Any]]]
Update = Callable[[Sequence[Array], Sequence[Any], State], tuple[list[Array], State]]


@dataclasses.dataclass(frozen=True)
class Training:
    """losses: (steps,), before each update; parameters: after the last. In float64."""

    losses: Array
    parameters: list[Array]


def train(start: Start, steps: int, loss: Loss, update: Update, fl: Exact) -> Training:
    """Gradient descent: in every step the loss and its gradients, then the update of the parameters."""
    parameters, losses = start[2:], []
    state: State = []
    for step in range(steps):
        value, gradients = loss(parameters, step)
        losses.append(value)
        moved, state = update(parameters, gradients, state)
        parameters = [new if new is old else fl(new) for new, old in zip(moved, parameters)]
    return Training(np.array(losses, np.float64), [np.asarray(p, np.float64) for p in parameters])


def two_layer(start: Start, steps: int, lr: float = 1e-6, fl: Exact = EXACT) -> Training:
    """relu(x w1) w2 by plain gradient descent: w <- w - lr dL/dw."""
    x, y = start[:2]
    return train(start, steps, lambda p, _: networks.two_layer(x, y, p[0], p[1], fl), functools.partial(sgd, lr=lr), fl)


def linear(start: Start, steps: int, update: Update, fl: Exact = EXACT) -> Training:
    """Two linear layers with biases, under an optimizer."""
    x, y = start[:2]
    return train(start, steps, lambda p, _: networks.linear(x, y, p, fl), update, fl)


def dynamic(start: Start, depths: Sequence[int], update: Update, fl: Exact = EXACT) -> Training:
    """Three linear layers, of which step i uses the middle one depths[i] times."""
    x, y = start[:2]
    return train(start, len(depths), lambda p, i: networks.dynamic(x, y, p, depths[i], fl), update, fl)


@dataclasses.dataclass(frozen=True)
class Program:
    """A training as the mathematics has it; several spellings in torch share one.

    start     (seed, *options) -> x, y, parameters, floating ones in float32
    run       (start, seed, steps, fl) -> Training
    composed  its network is made of rules (reference.programs.of_rules)
    coarse    some of its numbers are published in bfloat16
    buffers   so many buffers follow the parameters
    outputs   the outputs for samples that were held out come last
    """

    start: Callable[..., Start]
    options: tuple[Any, ...]
    run: Callable[[Start, int, int, Exact], Training]
    composed: bool = False
    coarse: bool = False
    buffers: int = 0
    outputs: bool = False

    def begin(self, seed: int) -> Start:
        """x, y and the initial parameters."""
        return self.start(seed, *self.options)

    def trained(self, seed: int, steps: int, fl: Exact = EXACT) -> Training:
        """The training from this seed, in the precision of `fl`."""
        start = [a.astype(fl.dtype) if a.dtype.kind == "f" else a for a in self.begin(seed)]
        return self.run(start, seed, steps, fl)


def _linear(update: Update) -> Program:
    return Program(data.layers, (data.TWO,), lambda start, _, steps, fl: linear(start, steps, update, fl))


def _dynamic(update: Update) -> Program:
    def run(start: Start, seed: int, steps: int, fl: Exact) -> Training:
        return dynamic(start, data.choices(seed)[:steps], update, fl)

    return Program(data.layers, (data.THREE,), run)


PROGRAMS = {
    "raw": Program(data.normal, (), lambda start, _, steps, fl: two_layer(start, steps, fl=fl)),
    "sgd": _linear(functools.partial(sgd, lr=1e-4)),
    "adam": _linear(functools.partial(adam, lr=1e-4)),
    "dynamic": _dynamic(functools.partial(sgd, lr=1e-4, momentum=0.9)),
}
