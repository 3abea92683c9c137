"""What a layer is: constructor arguments, named parameters and buffers, modes, and rules that exist already.

A layer is a function with the signature of torch's constructor. It returns a `Described`: the parameters with
their initial laws, the buffers with their initial values, and `forward`, which composes rules on a tape; the
backward pass is the tape's. Every layer is a rule too, of its inputs and parameters, so that each check of an
op is one of a layer.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.laws import Law
from reference.rule import Array, Case, Rule, Waiver, is_array, is_inexact, lookup
from reference.tape import Node, Tape


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter's shape, and what it is at the beginning: a law of independent numbers, or one number.

    blank  the row that begins as zeros nevertheless
    """

    shape: tuple[int, ...]
    initial: Law | float
    blank: int | None = None


Values = Mapping[str, Any]  # nodes or arrays of parameters and buffers by name


@dataclasses.dataclass(frozen=True)
class Described:
    """A layer with its constructor's arguments settled.

    parameters  by name, in torch's order
    forward     (tape, values, training, *inputs) -> a node, or a tuple of them; values has the buffers too
    buffers     by name, in torch's order, at the beginning: arrays of float64, int64 or bool
    after       (values, *inputs) -> the buffers, and the parameters, that a call in training has changed
    """

    parameters: dict[str, Parameter]
    forward: Callable[..., Any]
    buffers: dict[str, Array] = dataclasses.field(default_factory=dict)
    after: Callable[..., dict[str, Array]] | None = None


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A constructor's arguments and a call: arrays may stand inside tuples, and None where a call leaves one out.

    A module among a constructor's arguments is ("module", name, args, kwargs).
    A packed sequence is the tuple ("packed", data, batch sizes) or ("packed", data, batch sizes, order), where the
    last two are tuples of integers, and the n-th sequence of the batch is the order[n]-th longest.
    parameters  in torch's order, where they may not be any numbers in [-1, 1]
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: tuple[Any, ...] = ()
    training: bool = True
    parameters: list[Array] | None = None


@dataclasses.dataclass(frozen=True)
class Layer:
    """A registered layer.

    name       "nn.Linear"
    describe   the decorated function
    rule       the layer as a rule of (inputs, parameters, buffers), with the rest as options
    no_batch   how many dimensions an input without a batch has (at least), 0 where the documentation asks for one
    """

    name: str
    describe: Callable[..., Any]
    rule: Rule
    no_batch: int

    @property
    def family(self) -> str:
        return self.rule.family

    @property
    def lazy(self) -> bool:
        """Whether the first call makes the parameters."""
        return self.name.startswith("nn.Lazy")


LAYERS: dict[str, Layer] = {}


def layer(name: str, **options: Any) -> Callable[[Callable[..., Any]], Layer]:
    """Register the decorated function as the layer torch.<name>. See `made` for the options, and Layer.

    A lazy layer's function returns, in place of a Described, a function of the first call's inputs that does.
    """

    def register(describe: Callable[..., Any]) -> Layer:
        LAYERS[name] = found = made(name, describe, **options)
        return found

    return register


def made(
    name: str,
    describe: Callable[..., Any],
    *,
    cases: Callable[[Draw], LayerCase],
    no_batch: int = 0,
    complex: bool = False,
    analytic: bool = True,
    second_order: bool = True,
    waivers: tuple[Waiver, ...] = (),
    like: tuple[str, ...] = (),
) -> Layer:
    """The layer that `describe` describes, and the rule that it is. See Rule for the options.

    `like` names rules that the layer applies, whose waivers hold for it too.
    """

    def drawn(draw: Draw) -> Case:
        return call_of(describe, cases(draw), draw, complex)

    def fn(
        inputs: list[Array], parameters: list[Array], buffers: list[Array],
        args: Any, kwargs: Any, places: Any, training: Any,
    ) -> Any:  # fmt: skip
        found = settled(describe, args, kwargs, placed(places, inputs))
        return evaluate(found, inputs, parameters, buffers, places, training)

    rule = Rule(
        name=name, fn=fn, cases=drawn, complex=complex, analytic=analytic, second_order=second_order,
        waivers=(*waivers, *(w for n in like for w in inherited(describe, n))),
        family=describe.__module__.rsplit(".", 1)[-1], signature=inspect.signature(fn),
        tensors=("inputs", "parameters", "buffers"),
    )  # fmt: skip
    return Layer(name, describe, rule, no_batch)


def settled(describe: Callable[..., Any], args: Any, kwargs: Any, inputs: Any) -> Described:
    """The layer that a constructor's arguments make, a lazy one after a first call on these inputs."""
    found = describe(*args, **kwargs)
    described: Described = found if isinstance(found, Described) else found(*inputs)
    return described


# the layer as a rule


def call_of(describe: Callable[..., Any], case: LayerCase, draw: Draw, complex: bool) -> Case:
    """The case of the rule: arrays in lists, the places of the inputs as names ("x0") in what is left."""
    described = settled(describe, case.args, case.kwargs, case.inputs)
    arrays: list[Array] = []

    def named(value: Any) -> Any:
        if is_array(value):
            at = next((i for i, a in enumerate(arrays) if a is value), len(arrays))  # one array may stand twice
            arrays.extend([value] if at == len(arrays) else [])
            return f"x{at}"
        return tuple(map(named, value)) if isinstance(value, tuple) else value

    places = tuple(map(named, case.inputs))
    drawn = draw.numbers if complex else draw.reals
    # of few values a stack of normalizations has rows of no variance, whose gradients overflow in float16
    parameters = case.parameters or [drawn(p.shape, -1.0, 1.0, few=False) for p in described.parameters.values()]
    buffers = [  # running statistics as after some training
        draw.reals(b.shape, 0.5, 2.0) if is_inexact(b) and n.rpartition(".")[2].startswith("running_") else b
        for n, b in described.buffers.items()
    ]
    return Case((arrays, parameters, buffers, case.args, case.kwargs, places, case.training))


def evaluate(
    described: Described,
    inputs: list[Array],
    parameters: list[Array],
    buffers: list[Array],
    places: Any,
    training: bool,
    tape: Tape | None = None,
) -> tuple[Any, Callable[..., Any]]:
    """The outputs and the vjp of a layer: gradients of the inputs and of the parameters, none of the buffers."""
    tape = tape or Tape()
    xs = [tape.variable(x) for x in inputs]
    ps = [tape.variable(p) for p in parameters]
    values: dict[str, Any] = {**dict(zip(described.parameters, ps)), **dict(zip(described.buffers, buffers))}
    outs = described.forward(tape, values, training, *placed(places, xs))
    many = isinstance(outs, tuple)
    nodes = [o if isinstance(o, Node) else Node(np.asarray(o)) for o in (outs if many else (outs,))]

    def vjp(g: Any, slip: Any = None) -> Any:
        pairs = [(n, c) for n, c in zip(nodes, g if many else (g,)) if c is not None and n.tracked]
        if not pairs:
            return [None] * len(xs), [None] * len(ps), [None] * len(buffers)
        found = tape.backward([n for n, _ in pairs], [c for _, c in pairs], slip=slip)

        def gradient(node: Node) -> Array | None:
            return found[node] if node.tracked else None  # none either where no rule passes one on, as to a target

        return [gradient(x) for x in xs], [gradient(p) for p in ps], [None] * len(buffers)

    values_out = tuple(n.value for n in nodes)
    return (values_out if many else values_out[0]), vjp if tape.reads_output else lambda g: vjp(g)


# what a layer has of the rules that it applies


class _Listening(Tape):
    """A tape that keeps the arguments with which one rule is called."""

    def __init__(self, name: str):
        super().__init__()
        self.name, self.heard = name, list[Case]()

    def apply(self, rule: Rule | str, *args: Any, **kwargs: Any) -> Any:
        if rule == self.name:
            self.heard.append(Case(plain(args), {k: plain(v) for k, v in kwargs.items()}))
        return super().apply(rule, *args, **kwargs)


def plain(value: Any) -> Any:
    """Nodes, also inside tuples and lists, as their values."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(plain, value))
    return value.value if isinstance(value, Node) else value


def inherited(describe: Callable[..., Any], name: str) -> list[Waiver]:
    """The waivers of a rule that a layer applies, their rooms for the arguments that it gets there."""
    rule = lookup(name)
    assert rule is not None, name

    def moved(room: Callable[..., Array]) -> Callable[..., Array]:
        def of_layer(
            inputs: list[Array], parameters: list[Array], buffers: list[Array],
            args: Any, kwargs: Any, places: Any, training: Any,
        ) -> Array:  # fmt: skip
            tape = _Listening(name)
            found = settled(describe, args, kwargs, placed(places, inputs))
            evaluate(found, inputs, parameters, buffers, places, training, tape)
            rooms = [np.asarray(room(*c.args, **c.kwargs)) for c in tape.heard]
            return rooms[0] if len(rooms) == 1 else np.max([r.max(initial=0.0) for r in rooms], initial=0.0)

        return of_layer

    return [w if w.room is None else dataclasses.replace(w, room=moved(w.room)) for w in rule.waivers]


def placed(places: Any, xs: list[Any]) -> Any:
    """The inputs in their places: "x1" stands for the second."""
    if isinstance(places, tuple):
        return tuple(placed(p, xs) for p in places)
    return xs[int(places[1:])] if isinstance(places, str) and places[:1] == "x" and places[1:].isdigit() else places
