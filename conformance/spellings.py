"""Every program in torch: the mathematics that it shares with others, and its spellings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from conformance import images, models, trainings
from conformance.session import Options
from reference.programs import data, of_rules
from reference.programs import trainings as reference
from reference.programs.models import LENET
from reference.programs.trainings import Program

SHORT = 50
STEPS = {1: SHORT, 2: 500, 3: 500, 4: 500}


@dataclasses.dataclass(frozen=True)
class Spelling:
    """A program in torch.

    mathematics  its name in PROGRAMS
    sources      what its script prints, the training last
    arguments    of the training, after the number of steps
    steps        how many, where that does not depend on the level
    level        the lowest at which it runs
    """

    mathematics: str
    sources: tuple[Any, ...]
    arguments: tuple[Any, ...] = ()
    steps: int = 0
    level: int = 1

    @property
    def train(self) -> Callable[..., tuple[list[float], list[torch.Tensor]]]:
        return self.sources[-1]  # type: ignore[no-any-return]

    @property
    def absent(self) -> str:
        """What this torch has not, or ""."""
        name = self.arguments[0] if self.arguments else "SGD"
        return "" if hasattr(torch.optim, name) else f"this torch has no torch.optim.{name}"

    def count(self, level: int) -> int:
        """The number of steps at a level."""
        return self.steps or STEPS[level]


PROGRAMS: dict[str, Program] = {
    **reference.PROGRAMS, **of_rules.PROGRAMS, "lenet5 digits": of_rules.LENET_PROGRAM(images.digits),
    "lenet5 cifar10": of_rules.LENET_PROGRAM(images.cifar10),
}  # fmt: skip


def _optimizer(name: str) -> Spelling:
    options = of_rules.LBFGS_OPTIONS if name == "LBFGS" else of_rules.OPTIONS[name]
    sources = (data.uniform, trainings.start_from, models.two_layer)
    # L-BFGS takes four iterations in a step
    return Spelling(f"two_layer {name}", sources, (name, options), steps=6 if name == "LBFGS" else 25, level=3)


def _network(mathematics: str, steps: int, *sources: Any) -> Spelling:
    return Spelling(mathematics, (data.uniform, trainings.start_from, *sources), steps=steps, level=3)


SPELLINGS = {
    "programs.two_layer.tensors": Spelling("raw", (trainings.tensors,)),
    "programs.two_layer.autograd": Spelling("raw", (trainings.autograd,)),
    "programs.two_layer.function": Spelling("raw", (trainings.MyReLU, trainings.function)),
    "programs.two_layer.sequential": Spelling("sgd", (trainings.start_from, trainings.sequential)),
    "programs.two_layer.adam": Spelling("adam", (trainings.start_from, trainings.adam)),
    "programs.two_layer.module": Spelling("sgd", (trainings.start_from, trainings.TwoLayerNet, trainings.module)),
    "programs.two_layer.dynamic": Spelling(
        "dynamic", (trainings.start_from, trainings.DynamicNet, data.choices, trainings.dynamic)
    ),
    **{f"programs.optimized.{name}": _optimizer(name) for name in [*of_rules.OPTIONS, "LBFGS"]},
    "programs.lenet5.digits": _network("lenet5 digits", 480, models.LeNet, models.lenet),
    "programs.lenet5.cifar10": _network(
        "lenet5 cifar10", 480, images.NoImages, images._Unpickler, images.read_batch, models.LeNet, models.lenet
    ),
    "programs.residual": _network("residual", 24, models.Block, models.residual),
    "programs.lstm": _network("lstm", 40, models.Memory, models.lstm),
    "programs.transformer": _network("transformer", 40, models.Transformer, models.transformer),
}


def program_of(spelling: Spelling, options: Options) -> Program:
    """The program with the user's own data. Raises NoImages where there are none."""
    program = PROGRAMS[spelling.mathematics]
    if spelling.mathematics != "lenet5 cifar10":
        return program
    if not options.cifar10:
        raise images.NoImages("needs the Python version of CIFAR-10: --cifar10 DIR, with data_batch_1 and the others")
    return dataclasses.replace(program, options=(LENET, options.cifar10))
