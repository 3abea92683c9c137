"""What a program does to memory: variables that share it, views of them, and changes in place, carried out on a tape.

A variable is a view of a base: the base's elements that it shows, by their places. A view of a view is the same with
fewer places, whatever views led there, so that a change in place is one rule, `put`, on the base, and every other view
of it sees the change. The gradient of all this is the tape's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.rule import Array, lookup
from reference.tape import Node, Tape

# (kind, name of a rule, arguments, keyword arguments); a variable is its name, "v3".
Step = tuple[str, str, tuple[Any, ...], dict[str, Any]]
# call        a new variable, in memory of its own
# view        a new variable in the memory of the first argument
# inplace     the first argument changes
# detach      the same values, as a constant
# no_grad     a call whose result is a constant
# checkpoint  a call that is made again in the backward pass
# function    a call that torch spells as an autograd.Function
KINDS = ("call", "view", "inplace", "detach", "no_grad", "checkpoint", "function")


@dataclasses.dataclass
class Variable:
    """Where the values of a variable are: in a base, all of it or the elements at these places."""

    base: int
    places: Array | None = None


class Memory:
    """The variables of a program that is being carried out."""

    def __init__(self, inputs: Sequence[Node], tape: Tape):
        self.tape, self.bases = tape, list(inputs)
        self.variables = [Variable(i) for i in range(len(inputs))]

    def value(self, name: str) -> Node:
        """The node with a variable's present values."""
        v = self.variables[int(name[1:])]
        return self.bases[v.base] if v.places is None else self.tape.apply("take", self.bases[v.base], v.places)

    def places(self, name: str) -> Array:
        """The places in its base of a variable's elements, in its shape."""
        v = self.variables[int(name[1:])]
        shape = self.bases[v.base].value.shape
        return np.arange(np.prod(shape, dtype=int)).reshape(shape) if v.places is None else v.places

    def run(self, step: Step) -> None:
        """Carry out one step."""
        kind, name, args, kwargs = step
        if kind == "view":
            self._view(name, args, kwargs)
            return
        given = [self._read(a) for a in args]
        if kind == "detach":
            self._new(self.tape.detach(given[0]))
            return
        made = self.tape.apply(name, *given, **kwargs)
        if kind == "inplace":
            self._write(self.variables[int(args[0][1:])], made)
        else:
            self._new(self.tape.detach(made) if kind == "no_grad" else made)

    def _read(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.value(value)
        return [self._read(v) for v in value] if isinstance(value, list) else value

    def _new(self, node: Node) -> None:
        self.variables.append(Variable(len(self.bases)))
        self.bases.append(node)

    def _view(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rule = lookup(name)
        assert rule is not None, name
        places, _ = rule(self.places(args[0]), *args[1:], **kwargs)
        self.variables.append(Variable(self.variables[int(args[0][1:])].base, np.asarray(places)))

    def _write(self, v: Variable, made: Node) -> None:
        if v.places is not None:
            made = self.tape.apply("put", self.bases[v.base], v.places, made)
        self.bases[v.base] = made


def carried_out(inputs: Sequence[Array], steps: Sequence[Step], outs: Sequence[str]) -> tuple[Any, Any]:
    """The values of the variables `outs` after these steps, and their vjp with respect to the inputs."""
    tape = Tape()
    memory = Memory([tape.variable(x) for x in inputs], tape)
    for step in steps:
        memory.run(step)
    nodes = [memory.value(name) for name in outs]

    def vjp(gs: Any) -> Any:
        pairs = [(n, g) for n, g in zip(nodes, gs) if g is not None and n.tracked]
        if not pairs:
            return ([None] * len(inputs),)
        found = tape.backward([n for n, _ in pairs], [g for _, g in pairs])
        return ([found[v] for v in tape.variables],)

    return tuple(n.value for n in nodes), vjp
