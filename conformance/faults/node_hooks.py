"""Faults in hooks of nodes of the graph, and of one saved tensor of a node."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import contextlib
import functools
from collections import OrderedDict
from typing import Any

import torch
from torch.utils import hooks

from conformance.faults.fault import fault

BEFORE, AFTER = "hooks.autograd.graph.Node.register_prehook", "hooks.autograd.graph.Node.register_hook"


def nodes(**wrong):
    """Let the nodes of tensors have ``wrong(node, tensor)`` for these attributes of theirs.

    A node that is reached from another one has None for its tensor. Nodes are of types that Python cannot change: what
    is changed is the way to them.
    """

    class Node:
        def __init__(self, node, tensor=None):
            self.node, self.tensor = node, tensor

        def __getattr__(self, name):
            if name in wrong:
                return wrong[name](self.node, self.tensor)
            found = getattr(self.node, name)
            return tuple((n and Node(n), i) for n, i in found) if name == "next_functions" else found

    inside: Any = torch._C.TensorBase.grad_fn

    def grad_fn(t):
        node = inside.__get__(t)
        return node and Node(node, t)

    torch.Tensor.grad_fn = property(grad_fn)  # type: ignore[method-assign,assignment]


@fault(BEFORE, "a_node_is_between_its_hooks", "the_node_of_a_leaf_accumulates_between_its_hooks",
       green=("a_node_that_is_not_executed_fires_nothing",))  # fmt: skip
def pre_hooks_behind_the_node():
    """Pre-hooks of a node are called when it has been executed."""
    nodes(register_prehook=lambda node, t: lambda hook: node.register_hook(lambda gi, go: [hook(go), None][1]))


@fault(AFTER, "what_a_post_hook_returns_goes_on", green=("a_node_is_between_its_hooks",))
def gradients_of_post_hooks_dropped():
    """What a post-hook of a node returns is not used."""
    nodes(register_hook=lambda node, t: lambda hook: node.register_hook(lambda gi, go: [hook(gi, go), None][1]))


@fault(BEFORE, "a_hook_of_a_node_is_removed", green=("a_node_is_between_its_hooks",))
def pre_hooks_of_nodes_stay():
    """The handle of a pre-hook of a node removes nothing."""

    def register(node, hook):
        node.register_prehook(hook)
        return hooks.RemovableHandle(OrderedDict())

    nodes(register_prehook=lambda node, t: functools.partial(register, node))


@fault(BEFORE, "a_node_that_is_not_executed_fires_nothing",
       green=("the_node_of_a_leaf_accumulates_between_its_hooks",))  # fmt: skip
def pre_hooks_fire_with_the_gradient():
    """A pre-hook of a node is called when the gradient of its tensor is there, whether or not the node is executed."""

    def register(node, t, hook):
        if t is None:
            return node.register_prehook(hook)
        return t.register_hook(lambda g: (hook((g,)) or (None,))[0])

    nodes(register_prehook=lambda node, t: functools.partial(register, node, t))


@fault("hooks.autograd.graph.saved_tensors_hooks", "one_saved_tensor_may_have_its_own",
       green=("saving_packs_and_the_backward_pass_unpacks",))  # fmt: skip
def second_pair_ignored():
    """A second pair of hooks of one saved tensor is ignored without a word."""

    class Lax:
        def __init__(self, saved):
            self.saved = saved

        def register_hooks(self, pack, unpack):
            with contextlib.suppress(RuntimeError):
                self.saved.register_hooks(pack, unpack)

    nodes(_raw_saved_self=lambda node, t: Lax(node._raw_saved_self))
