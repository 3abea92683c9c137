"""The backward pass of the model: who is called when, with which gradient.

The documented order for one tensor: its hooks as they were registered, each seeing what those before made of the
gradient; then its `.grad` if it retains it; then the node's pre-hooks, the node, the node's post-hooks.  A leaf adds to
`.grad` what its hooks left, and then calls those that wait for that.  A node runs when all its cotangents are complete.
(The notes put `.grad` behind the pre-hooks, torch does the opposite, and the model refuses a tensor with both.)
Source: torch's notes on autograd, "Backward Hooks execution".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from reference.mechanics.handles import Handle, Registry
from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Hook, Node, Tensor, no_grad


def run(root: Tensor, g: np.ndarray) -> None:
    """Carry the cotangent `g` of `root` to the leaves."""
    if not root.requires_grad:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    with no_grad():
        if root.grad_fn is None:
            _accumulate(root, g)
            return
        arrived: dict[Node, list[np.ndarray | None]] = {}
        leaves: dict[Tensor, np.ndarray] = {}
        _add(arrived.setdefault(root.grad_fn, _blank(root.grad_fn)), root.place, g)
        order = _consumers_first(root.grad_fn)
        if any(t.requires_grad != needed for node in order for t, needed in zip(node.inputs, node.needs)):
            raise OutOfScope("a leaf that was frozen or unfrozen after it was used")
        Pass.now = Pass(root.grad_fn, set(order))
        for node in order:
            for t, gradient in zip(node.inputs, _through(node, arrived.pop(node, _blank(node)))):
                if gradient is None or not t.requires_grad:
                    continue
                if t.grad_fn is None:
                    leaves[t] = leaves[t] + gradient if t in leaves else gradient
                else:
                    _add(arrived.setdefault(t.grad_fn, _blank(t.grad_fn)), t.place, gradient)
        for leaf, gradient in leaves.items():
            _accumulate(leaf, gradient)


def _blank(node: Node) -> list[np.ndarray | None]:
    return [None] * len(node.hooks)


def _add(slots: list[np.ndarray | None], place: int, g: np.ndarray) -> None:
    there = slots[place]
    slots[place] = g if there is None else there + g


def _consumers_first(root: Node) -> list[Node]:
    """Every node behind those that use its results."""
    order: list[Node] = []
    seen: set[Node] = set()

    def visit(node: Node) -> None:
        seen.add(node)
        for t in node.inputs:
            if t.grad_fn is not None and t.grad_fn not in seen:
                visit(t.grad_fn)
        order.append(node)

    visit(root)
    return order[::-1]


def _through(node: Node, gradients: list[np.ndarray | None]) -> list[np.ndarray | None]:
    """What a node makes of its cotangents, with all hooks."""
    for place, hooks in enumerate(node.hooks):
        given = gradients[place]
        if given is None:
            continue
        gradients[place] = given = _replaced(hooks, given)
        keeper = node.kept[place]
        if keeper is not None:
            keeper.grad = Tensor(given if keeper.grad is None else keeper.grad.value + given)
    outer = _tensors(gradients)
    for hook in list(node.before.values()):
        outer = outer if (changed := hook.call(outer)) is None else tuple(changed)
    inner = _tensors(g if needed else None for g, needed in zip(node.vjp(*_values(outer)), node.needs))
    for hook in list(node.after.values()):
        inner = inner if (changed := hook.call(inner, outer)) is None else tuple(changed)
    return _values(inner)


def _values(tensors: Iterable[Tensor | None]) -> list[np.ndarray | None]:
    return [None if t is None else t.value for t in tensors]


def _tensors(values: Iterable[np.ndarray | None]) -> tuple[Tensor | None, ...]:
    return tuple(None if v is None else Tensor(v) for v in values)


def _replaced(hooks: Registry, g: np.ndarray) -> np.ndarray:
    for hook in list(hooks.values()):
        changed = hook.call(Tensor(g))
        g = g if changed is None else changed.value
    return g


def _accumulate(leaf: Tensor, g: np.ndarray) -> None:
    g = _replaced(leaf._hooks, g)
    leaf.grad = Tensor(g.copy() if leaf.grad is None else leaf.grad.value + g)
    for hook in list(leaf._accumulated.values()):
        hook.call(leaf)


class Pass:
    """What a backward pass goes through; the last one is `now`."""

    now: Pass

    def __init__(self, root: Node, nodes: set[Node]):
        self.root, self.nodes = root, nodes
        self.leaves = {t for node in nodes for t, needed in zip(node.inputs, node.needs) if needed}

    def reaches(self, t: Tensor) -> bool:
        """Whether the gradient of a tensor is computed."""
        return t.grad_fn in self.nodes if t.grad_fn else t in self.leaves


def register_multi_grad_hook(tensors: Sequence[Tensor], hook: Hook) -> Handles:
    """hook(gradients) when every tensor that this pass reaches has its own; None for the others."""
    if not all(t.requires_grad for t in tensors):
        raise OutOfScope("a tensor among them that needs no gradient")
    arrived: dict[Pass, list[Tensor | None]] = {}

    def one(i: int) -> Hook:
        def collect(g: Tensor) -> None:
            now = Pass.now
            if any(t.grad_fn is now.root for t in tensors):
                raise OutOfScope("torch does not count the tensor at which the pass begins")
            found = arrived.setdefault(now, [None] * len(tensors))
            found[i] = g
            if sum(f is not None for f in found) == sum(map(now.reaches, tensors)):
                hook(found)

        return collect

    return Handles([t.register_hook(one(i)) for i, t in enumerate(tensors)])


class Handles:
    """Takes several hooks away."""

    def __init__(self, handles: Sequence[Handle]):
        self._handles = handles

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
