"""Composes rules into programs and runs them backward by hand.

    tape = Tape()
    x, w = tape.variable(a), tape.variable(b)
    loss = tape.apply("sum", tape.apply("mul", x, w))
    tape.backward(loss)[x]                             # d loss / d x, which is b

A tape is a list of calls in the order in which they were made. Every call comes after the calls that
made its inputs, so walking the list backward meets each node only when all that uses it has spoken:
gradients need no sorting, and they are summed in one fixed order.

Source: Griewank and Walther, Evaluating Derivatives, 2nd ed. (2008), section 3.2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.derive import Call
from reference.rule import Array, Case, Rule, is_inexact, is_stepping, lookup


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """A value in a program; `tracked` where it depends on a variable in a way that has a derivative."""

    value: Array
    tracked: bool = False

    def __repr__(self) -> str:
        return f"<node {self.value.dtype}{list(self.value.shape)}{'' if self.tracked else ' constant'}>"


# Of every variable, in the order of their making; None where the result does not depend on it.
Gradients = dict[Node, Array | None]


@dataclasses.dataclass(frozen=True)
class _Record:
    """One call: the node behind each array argument (None for a plain array), the outputs, the way back."""

    inputs: list[Node | None]
    outputs: list[Node]
    vjp: Callable[..., list[Any]]


class Tape:
    """A program that is being written down while it runs.

    rounding  what becomes of every result and of every gradient; nothing where it is not given
    """

    def __init__(self, rounding: Callable[[Array], Array] | None = None) -> None:
        self.variables: list[Node] = []
        self._rounding = rounding
        self._records: list[_Record] = []

    def variable(self, value: Any) -> Node:
        """A node that `backward` gives the gradient of. Integers have none."""
        array = np.asarray(value)
        node = Node(array, tracked=is_inexact(array))
        self.variables.append(node)
        return node

    def detach(self, node: Node) -> Node:
        """The same value as a constant: no gradient flows back through it, no step forward."""
        stepped = is_stepping() and np.iscomplexobj(node.value)
        return Node(node.value.real + 0j if stepped else node.value)

    def apply(self, rule: Rule | str, *args: Any, **kwargs: Any) -> Any:
        """Call a rule (or torch's name of it) on nodes, arrays and options: a Node, or a tuple of them.

        Nodes may stand anywhere in the arguments, also inside lists and tuples.
        Raises LookupError where no rule has this name.
        """
        found = lookup(rule) if isinstance(rule, str) else rule
        if found is None:
            raise LookupError(f"no rule for torch.{rule}")
        behind: dict[int, Node] = {}  # by the identity of the array that stands for a node in this call

        def plain(value: Any) -> Any:
            if isinstance(value, Node):
                view = value.value.view()  # a fresh object: two nodes may share one array
                behind[id(view)] = value
                return view
            return type(value)(map(plain, value)) if type(value) in (list, tuple) else value

        call = Call(found, Case(tuple(map(plain, args)), {k: plain(v) for k, v in kwargs.items()}))
        values, vjp = call.run(call.arrays)
        inputs = [behind.get(id(a)) for a in call.arrays]
        tracked = any(n is not None and n.tracked for n in inputs)
        outputs = [Node(self._rounded(v), tracked and is_inexact(v)) for v in values]
        if tracked:
            self._records.append(_Record(inputs, outputs, vjp))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _rounded(self, a: Array) -> Array:
        return a if self._rounding is None or not is_inexact(a) else self._rounding(a)

    @property
    def reads_output(self) -> bool:
        """Whether the program is one call alone, of a rule whose backward pass reads its output."""
        return len(self._records) == 1 and bool(self._records[0].vjp.reads_output)  # type: ignore[attr-defined]

    def backward(
        self, result: Node | Sequence[Node], cotangent: Any = None, into: Gradients | None = None, slip: Any = None
    ) -> Gradients:
        """The gradient of <cotangent, result> with respect to every variable.

        result     a node, or several
        cotangent  in the shape of the result (one for each of several); ones where it is not given
        into       gradients of an earlier call, to which these are added
        slip       an error of the saved output, where `reads_output`
        Raises ValueError for a cotangent of another shape.
        """
        several = not isinstance(result, Node)
        results = list(result) if not isinstance(result, Node) else [result]
        cotangents = [None] * len(results) if cotangent is None else list(cotangent) if several else [cotangent]
        waiting: dict[Node, Array] = {}  # what the calls walked so far say of nodes not yet reached
        for node, g in zip(results, cotangents):
            g = np.ones_like(node.value) if g is None else np.asarray(g)
            if g.shape != node.value.shape:
                raise ValueError(f"a cotangent of shape {g.shape} for a result of shape {node.value.shape}")
            _add(waiting, node, g)
        for record in reversed(self._records):
            gs = [waiting.pop(o, None) for o in record.outputs]
            if all(g is None for g in gs):
                continue  # nothing that was asked for depends on this call
            for source, part in zip(record.inputs, record.vjp(gs) if slip is None else record.vjp(gs, slip)):
                if source is not None and part is not None:
                    _add(waiting, source, self._rounded(part))
        before = into or {}
        return {v: _sum(before.get(v), waiting.get(v)) for v in self.variables}


def _add(waiting: dict[Node, Array], node: Node, part: Array) -> None:
    if node.tracked:
        waiting[node] = waiting[node] + part if node in waiting else part


def _sum(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else a if b is None else np.asarray(a + b)
