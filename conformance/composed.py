"""Random programs in torch: their text, and the checks of ops that are made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from conformance.bridge import Spelling
from conformance.cells import Cell
from conformance.checks import REGISTRY
from conformance.checks.check import Check, Clock
from conformance.session import OpSession, Options, rule_cells
from conformance.target import Target
from reference.composed import PROGRAMS, Step
from reference.derive import Call

# How many programs of the usual size, by level: there are many more of them than cases of an op.
CASES = {1: 4, 2: 15, 3: 120, 4: 120}
FIRST, LATER = {"float64": 2, "float32": 2}, {"float64": 3, "float32": 3}
REVERSE = {
    "value": FIRST, "vjp": FIRST, "reverse_over_reverse": {"float64": 2, "float32": 3}, "subset": LATER,
    "undefined_cotangents": LATER, "zero_cotangents": LATER, "accumulate": LATER, "func_vjp": LATER,
    "batched_grad": LATER, "vmap": LATER, "vmap_vjp": LATER, "checkpoint": LATER, "saved_tensor_hooks": LATER,
    "repeat": LATER, "edges": LATER,
    **{c.name: {"float64": 3, "float32": 3} for c in REGISTRY.values() if "aot_eager" in c.modes},
    **{c.name: {"float32": 4} for c in REGISTRY.values() if "inductor" in c.modes},
}  # fmt: skip
FORWARD = {
    "jvp": {"float64": 2, "float32": 3}, "forward_over_reverse": LATER, "reverse_over_forward": LATER,
    "forward_over_forward": LATER, "func_jvp": LATER,
}  # fmt: skip


def _chosen(levels: dict[str, dict[str, int]]) -> dict[str, Check]:
    return {name: dataclasses.replace(REGISTRY[name], levels=at) for name, at in levels.items()}


BOTH, BACKWARD = _chosen({**REVERSE, **FORWARD}), _chosen(REVERSE)


def checks_of(subject: str) -> dict[str, Check]:
    """The checks of a kind of program.

    no_grad does not stop forward mode, and a Function here has none. vmap documents that what is not batched cannot
    be changed in place by what is.
    """
    if subject == "composed.changes":
        return {name: check for name, check in BOTH.items() if not name.startswith("vmap")}
    return BACKWARD if subject == "composed.asides" else BOTH


def composed_cells(target: Target) -> Iterator[Cell]:
    """Every kind of random program x check x dtype."""
    for rule in PROGRAMS.values():
        yield from rule_cells("composed", rule, rule.family, checks_of(rule.name), target)


class ComposedSession(OpSession):
    """One kind of random program on one target."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.checks = checks_of(subject)
        super().__init__(subject, target, options, clock, PROGRAMS[subject])

    def absent(self) -> str:
        """Every torch has what a program needs."""
        return ""

    def _count(self, regime: str) -> int:
        return CASES[self.options.level] if regime == "typical" else super()._count(regime)

    def spell(self, call: Call) -> Spelling:
        return spelled(call)


FUNCTIONS = {
    "tanh": """class Tanh(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y * y)""",
    "pow": """class Cube(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, n):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x, None""",
}


def spelled(call: Call) -> Spelling:
    """The program of a case as a function of its inputs."""
    inputs, steps, outs = call.case.args
    names = [f"v{i}" for i in range(len(inputs))]
    lines = [f"    {', '.join(names)}, = inputs"]
    count = len(names)
    for step in steps:
        made = f"v{count}"
        count += step[0] != "inplace"
        lines += [f"    {line}" for line in line_of(step, made)]
    used = {name for kind, name, *_ in steps if kind == "function"}
    before = ["from torch.utils.checkpoint import checkpoint"] if any(s[0] == "checkpoint" for s in steps) else []
    text = [*before, *(FUNCTIONS[name] for name in sorted(used)), "def program(inputs, steps, outs):", *lines]
    return Spelling("program", "\n".join([*text, f"    return {', '.join(outs)},"]))


def line_of(step: Step, made: str) -> list[str]:
    """A step as Python, its result in the variable `made`."""
    kind, name, args, kwargs = step
    words = [*map(_word, args), *(f"{k}={_word(v)}" for k, v in kwargs.items())]
    if kind == "inplace":
        return [f"{words[0]}.{name}_({', '.join(words[1:])})"]
    if kind == "detach":
        return [f"{made} = {words[0]}.detach()"]
    if kind == "checkpoint":
        return [f"{made} = checkpoint(torch.{name}, {', '.join(words)}, use_reentrant=False)"]
    if kind == "function":
        return [f"{made} = {'Tanh' if name == 'tanh' else 'Cube'}.apply({', '.join(words)})"]
    line = f"{made} = torch.{name}({', '.join(words)})"
    return ["with torch.no_grad():", f"    {line}"] if kind == "no_grad" else [line]


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"[{', '.join(map(_word, value))}]" if isinstance(value, list) else repr(value)
