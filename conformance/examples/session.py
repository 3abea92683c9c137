"""Runs the examples: every spelling of a network in torch, beside its description in the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch

from conformance.bridge import Spelling, tensor
from conformance.cells import Cell
from conformance.checks import REGISTRY, forms
from conformance.checks.check import Check, Clock, Evidence, Trial
from conformance.checks.wants import wants_gradients, wants_outputs
from conformance.compare import Mismatch
from conformance.examples import modules
from conformance.layers.mechanics import flat
from conformance.layers.spelling import PLANTED
from conformance.script import source
from conformance.session import OpSession, Options, rule_cells
from conformance.target import Target
from reference.derive import Call
from reference.nn.layer import Described, Layer
from reference.programs import examples

IMPORTS = "from collections import OrderedDict\nimport torch.nn.functional as F\nfrom torch import nn"


@dataclasses.dataclass(frozen=True)
class Example:
    """A network: its mathematics, and what its script prints, the function that makes the module last."""

    layer: Layer
    sources: tuple[Any, ...]

    @property
    def build(self) -> Callable[[], torch.nn.Module]:
        return self.sources[-1]  # type: ignore[no-any-return]


def _example(name: str, described: Described, shape: tuple[int, ...], *sources: Any) -> tuple[str, Example]:
    return f"examples.{name}", Example(examples.example(name, described, shape), sources)


EXAMPLES: dict[str, Example] = dict(
    [
        _example("perceptron", examples.perceptron(), (2, 4), modules.Linear, modules.Perceptron, modules.perceptron),
        _example("sequential.add_module", examples.cascade(), (2, 2, 5, 5), modules.by_add_module),
        _example("sequential.positional", examples.cascade(), (2, 2, 5, 5), modules.by_position),
        _example("sequential.ordered_dict", examples.cascade(), (2, 2, 5, 5), modules.by_ordered_dict),
        _example("module_list", examples.chain(), (2, 3), modules.Listed, modules.listed),
        _example("lenet.modules", examples.lenet(), (1, 1, 14, 14), modules.LeNet, modules.of_modules),
        _example("lenet.functional", examples.lenet(), (1, 1, 14, 14), modules.FunctionalLeNet, modules.of_functions),
        _example("shared_layers", examples.shared(), (2, 3), modules.Shared, modules.shared),
        _example(
            "residual_with_hook", examples.residual(), (1, 1, 4, 4),
            modules.Block, modules.Residual, modules.Captured, modules.captured,
        ),
    ]
)  # fmt: skip

# The cases of an example differ by their numbers alone.
CASES = {1: 1, 2: 3, 3: 6, 4: 6}
LEVELS = {
    "value": {"float32": 1, "float64": 2}, "vjp": {"float32": 1, "float64": 2}, "jvp": {"float64": 2},
    "reverse_over_reverse": {"float64": 3}, "subset": {"float32": 3}, "batched_grad": {"float32": 3},
    "checkpoint": {"float32": 3}, "saved_tensor_hooks": {"float32": 3}, "repeat": {"float32": 3},
}  # fmt: skip


def through_module(trial: Trial) -> None:
    """The module called as a user calls it: its outputs, and .grad of input and parameters after backward(), which the
    next backward() doubles."""
    o, example = trial.oracle, EXAMPLES[trial.rule.name]
    bound = trial.bound()
    trial.evidence = Evidence(forms.value_and_vjp, bound, [*wants_outputs(o), *wants_gradients(o)])
    torch.manual_seed(0)
    m = example.build().to(trial.place, getattr(torch, trial.dtype)).train()
    given = trial.call.case.args[1]
    leaves = [tensor(o.arrays[0], o.dtype, trial.place).requires_grad_(), *m.parameters()]
    if len(leaves) != 1 + len(given):
        raise Mismatch(f"{len(leaves) - 1} parameters, expected {len(given)}")
    with torch.no_grad():
        for p, value in zip(leaves[1:], o.arrays[1:]):
            p.copy_(tensor(value, o.dtype, trial.place))
    gs = [tensor(o.cotangents[i], o.dtype, trial.place) for i in o.ys]
    for times in (1, 2):
        outs = flat(m(leaves[0]))
        for want in wants_outputs(o):
            trial.match(outs[want[2]], want)
        torch.autograd.backward([outs[i] for i in o.ys], gs)
        for place, want in zip(o.xs, wants_gradients(o)):
            grad = leaves[place].grad
            if grad is None:
                raise Mismatch(f"{want[0]}: there is none")
            trial.match(grad / times, want)


CHECKS: dict[str, Check] = {
    **{name: dataclasses.replace(REGISTRY[name], levels=levels) for name, levels in LEVELS.items()},
    "through_module": Check("through_module", through_module, {"float32": 1, "float64": 3}),
}


def example_cells(target: Target) -> Iterator[Cell]:
    """Every spelling of every example x check x dtype."""
    for example in EXAMPLES.values():
        yield from rule_cells("example", example.layer.rule, "examples", CHECKS, target)


class ExampleSession(OpSession):
    """One example on one target."""

    checks = CHECKS

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.example = EXAMPLES[subject]
        super().__init__(subject, target, options, clock, self.example.layer.rule)

    def _count(self, regime: str) -> int:
        return CASES[self.options.level]

    def absent(self) -> str:
        """Every torch has what an example needs."""
        return ""

    def spell(self, call: Call) -> Spelling:
        """The module as a function of its input and parameters."""
        lines = [
            IMPORTS,
            *map(source, self.example.sources),
            f"m = {self.example.build.__name__}()",
            f"m.train({call.case.args[6]})",
            "NAMES, BUFFERS = [n for n, _ in m.named_parameters()], [n for n, _ in m.named_buffers()]",
            PLANTED,
        ]
        return Spelling("layer", "\n".join(lines))
