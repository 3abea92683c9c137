"""Draws programs: some small tensors, and steps that are legal on what the steps before have left.

Only smooth rules are composed, on values of moderate size: where a rule decides (a relu, a maximum), rounding in
what came before may turn the decision, and nothing could be said of what comes after.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.composed.memory import Memory, Step, carried_out
from reference.draw import Draw
from reference.rule import Array, Case
from reference.tape import Tape

SMALL = 64  # elements beyond which nothing grows
LARGEST = 4.0  # values beyond are brought back before anything else is done with them
# Beyond, 1 - y^2 and y (1 - y) cancel in the derivatives that torch takes from its rounded outputs: of a single op the
# tolerance knows that, of a program it does not.
UNSATURATED = 1.5
SATURATING = ("tanh", "sigmoid", "softmax", "log_softmax", "logsumexp", "erf")

# The derivative of these needs neither inputs nor outputs: nothing is saved that a change in place could spoil.
LINEAR = (
    "clone", "neg", "add", "sub", "sum", "mean", "cat", "stack", "flip", "roll", "cumsum", "tril", "triu",
    "index_select", "diff",
)  # fmt: skip
# The derivative of these needs inputs alone: their own result may change.
OWN_RESULT_FREE = (*LINEAR, "mul", "matmul", "sin", "cos", "square", "lerp", "addcmul", "nn.functional.linear")
BRINGING_BACK = ("sin", "cos", "atan")
UNARY = (
    "tanh", "sigmoid", *BRINGING_BACK, "neg", "clone", "square", "erf", "nn.functional.softplus", "nn.functional.silu",
    "nn.functional.gelu", "exp",
)  # fmt: skip
BINARY = ("mul", "add", "sub", "logaddexp")


@dataclasses.dataclass
class _Writing:
    """A program as far as it is written, its values, and which bases may still change in place."""

    draw: Draw
    memory: Memory
    steps: list[Step]
    frozen: set[int]  # bases that a derivative will read, that a constant shares, or that are inputs

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.memory.value(name).value.shape)

    def array(self, name: str) -> Array:
        return self.memory.value(name).value

    def names(self) -> list[str]:
        """Every variable, the youngest first: programs that go deep are worth more than wide ones."""
        return [f"v{i}" for i in reversed(range(len(self.memory.variables)))]

    def base(self, name: str) -> int:
        return self.memory.variables[int(name[1:])].base

    def take(self, step: Step) -> None:
        """Write a step down and carry it out."""
        kind, rule, args, _ = step
        self.steps.append(step)
        read = [a for arg in args for a in (arg if isinstance(arg, list) else [arg]) if isinstance(a, str)]
        others = read[1:] if kind == "inplace" else read
        if kind != "view" and (kind == "detach" or rule not in LINEAR):
            self.frozen |= {self.base(a) for a in others}
        self.memory.run(step)
        made = self.base(read[0] if kind == "inplace" else f"v{len(self.memory.variables) - 1}")
        if kind not in ("view", "detach", "no_grad") and rule not in OWN_RESULT_FREE:
            self.frozen.add(made)

    def saturates(self, rule: str, x: str) -> bool:
        """Whether an output of the rule would be so near its limit that little is left of the derivative."""
        return rule in SATURATING and bool(np.abs(self.array(x)).max(initial=0.0) > UNSATURATED)

    def any(self, names: list[str] | None = None) -> str:
        return str(self.draw.choice(*(self.names() if names is None else names)))

    def fitting(self, shape: tuple[int, ...], into: bool = False) -> list[str]:
        """Variables that broadcast with this shape; `into`: without making it larger."""
        found = []
        for name in self.names():
            try:
                both = np.broadcast_shapes(shape, self.shape(name))
            except ValueError:
                continue
            if both == shape or (not into and np.prod(both) <= SMALL):
                found.append(name)
        return found


def call(w: _Writing, kind: str = "call") -> Step:
    """A rule that makes a new tensor."""
    x = w.any()
    shape = w.shape(x)
    if np.abs(w.array(x)).max(initial=0.0) > LARGEST:
        return (kind, w.draw.choice(*BRINGING_BACK), (x,), {})
    sort = w.draw.integer(0, 4)
    if sort == 0 or not shape:
        rule = w.draw.choice(*(UNARY if np.max(w.array(x), initial=0.0) <= 1.5 else UNARY[:-1]))
        return (kind, "sin" if w.saturates(rule, x) else rule, (x,), {})
    if sort == 1:
        return (kind, w.draw.choice(*BINARY), (x, w.any(w.fitting(shape))), {})
    if sort == 2:
        return (kind, *_along(w, x, shape))
    if sort == 3:
        partners = [n for n in w.names() if len(shape) > 0 and shape[-1:] == w.shape(n)[-2:-1] == w.shape(n)[:1]]
        if partners:
            return (kind, "matmul", (x, w.any(partners)), {})
    y = w.any(w.fitting(shape))
    return (kind, "lerp", (x, y, 0.25), {}) if w.draw.boolean() else (kind, w.draw.choice(*BINARY), (x, y), {})


def _along(w: _Writing, x: str, shape: tuple[int, ...]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    dim = w.draw.dim(len(shape))
    rule = w.draw.choice("sum", "mean", "softmax", "logsumexp", "log_softmax", "cumsum", "flip", "roll", "cat", "stack")
    # the softmax of one element is a constant: of its derivatives rounding alone would be left
    if w.saturates(rule, x) or (rule in ("softmax", "log_softmax") and shape[dim] == 1):
        return "sin", (x,), {}
    if rule in ("sum", "mean", "logsumexp"):
        return rule, (x, dim), dict(keepdim=w.draw.boolean())
    if rule in ("softmax", "log_softmax", "cumsum"):
        return rule, (x, dim), {}
    if rule == "flip":
        return rule, (x, (dim,)), {}
    if rule == "roll":
        return rule, (x, 1, dim), {}
    alike = [n for n in w.names() if w.shape(n) == shape and w.array(n).size <= 32]
    return (rule, ([x, w.any(alike or [x])], dim), {}) if w.array(x).size <= 32 else ("clone", (x,), {})


def view(w: _Writing) -> Step:
    """Another look at the memory of a variable."""
    x = w.any()
    shape = w.shape(x)
    if not shape:
        return ("view", "unsqueeze", (x, 0), {})
    dim = w.draw.dim(len(shape))
    rule = w.draw.choice("narrow", "select", "transpose", "unsqueeze", "diagonal", "Tensor.expand")
    if rule == "narrow":
        start = w.draw.integer(0, shape[dim] - 1)
        return ("view", rule, (x, dim, start, w.draw.integer(1, shape[dim] - start)), {})
    if rule == "select":
        return ("view", rule, (x, dim, w.draw.integer(0, shape[dim] - 1)), {})
    if rule == "transpose":
        return ("view", rule, (x, dim, w.draw.dim(len(shape))), {})
    if rule == "diagonal" and len(shape) > 1:
        return ("view", rule, (x,), {})
    if rule == "Tensor.expand" and np.prod(shape) <= 16:
        return ("view", rule, (x, (2, *shape)), {})
    return ("view", "unsqueeze", (x, dim), {})


def change(w: _Writing) -> Step:
    """A change in place of what may change, else a copy that may."""
    free = [n for n in w.names() if w.base(n) not in w.frozen and not _overlaps(w.memory.places(n))]
    if not free:
        return ("call", "clone", (w.any(),), {})
    x = w.any(free)
    # not from its own memory: what is read while it is being written depends on the order
    others = [n for n in w.fitting(w.shape(x), into=True) if w.base(n) != w.base(x)]
    rule = w.draw.choice("mul", "add", "neg", "sub", "sin", "tanh", "lerp")
    if rule in ("neg", "sin", "tanh"):
        return ("inplace", "sin" if w.saturates(rule, x) else rule, (x,), {})
    if not others or np.abs(w.array(x)).max(initial=0.0) > LARGEST:
        return ("inplace", "mul", (x, 0.5), {})
    return ("inplace", rule, (x, w.any(others), *([0.25] if rule == "lerp" else [])), {})


def _overlaps(places: Array) -> bool:
    return len(np.unique(places)) < places.size


def constant(w: _Writing) -> Step:
    """The values of a variable without its gradient, now and then."""
    return ("detach", "clone", (w.any(),), {}) if w.draw.integer(0, 3) == 3 else call(w)


def aside(w: _Writing) -> Step:
    """A part through which no gradient flows, or flows on another way."""
    kind = w.draw.choice("no_grad", "checkpoint", "function")
    if kind == "function":
        x = w.any()
        if w.saturates("tanh", x):
            return call(w)
        return ("function", *w.draw.choice(("tanh", (x,)), ("pow", (x, 3))), {})
    return call(w, kind)


Kind = Callable[[_Writing], Step]


def program(draw: Draw, kinds: tuple[Kind, ...]) -> Case:
    """Two or three tensors, two to eight steps of these kinds, and one or two results that depend on them."""
    n, m = draw.side(), draw.side()
    shapes = draw.choice(((n, m), (n, m)), ((n, m), (m, n)), ((n, m), (m,), (n, 1)), ((m,), (n, m), ()))
    inputs = [draw.reals(shape, -2, 2) for shape in shapes]
    tape = Tape()
    w = _Writing(draw, Memory([tape.variable(x) for x in inputs], tape), [], set(range(len(inputs))))
    for _ in range(draw.integer(2, 8)):
        w.take(draw.choice(*kinds)(w))
    made = w.names()[: -len(inputs)]
    if not any(w.memory.value(name).tracked for name in made):
        w.take(("call", "square", ("v0",), {}))
    found = [name for name in w.names()[: -len(inputs)] if w.memory.value(name).tracked]
    last, other = found[0], w.any(found)
    outs = (last,) if other == last else (last, other)
    if any(kind == "inplace" for kind, *_ in w.steps):
        outs = (*outs, *_of_the_others(w, inputs, outs))
    return Case((inputs, tuple(w.steps), outs))


def _of_the_others(w: _Writing, inputs: list[Array], outs: tuple[str, ...]) -> list[str]:
    """One result more for each input that the others do not depend on.

    Torch is given such an input as a constant. What a constant becomes when it is changed in place by what has a
    gradient is asked by promises of its own (conformance/behaviours/autograd/inplace.py), which torch breaks.
    """
    values, vjp = carried_out(inputs, w.steps, outs)
    (gradients,) = vjp([np.ones(v.shape) for v in values])
    more = []
    for i, gradient in enumerate(gradients):
        if gradient is None:
            w.take(("call", "sin", (f"v{i}",), {}))
            more.append(f"v{len(w.memory.variables) - 1}")
    return more
