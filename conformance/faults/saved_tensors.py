"""Faults in hooks of tensors that are saved for the backward pass."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import contextlib
import functools
from typing import Any

import torch
from torch.autograd import graph

from conformance.faults.fault import fault, replace

SAVED = "hooks.autograd.graph.saved_tensors_hooks"


@fault(SAVED, "what_is_unpacked_is_what_is_used", "saving_packs_and_the_backward_pass_unpacks")
def unpacking_is_skipped():
    """What was saved is used as it was: unpack_hook is not called."""
    original = graph.saved_tensors_hooks
    graph.saved_tensors_hooks = lambda pack, unpack: original(  # type: ignore[misc,assignment]
        lambda t: [pack(t), t][1], lambda t: t
    )


@fault(SAVED, "the_innermost_pair_applies", green=("what_is_unpacked_is_what_is_used",))
def outer_pairs_apply_too():
    """Where contexts are nested, the pack hooks of outer ones are called too."""
    original = graph.saved_tensors_hooks
    stack: list[Any] = []

    class Nested(original):  # type: ignore[misc,valid-type]
        def __init__(self, pack, unpack):
            self.pack = pack
            super().__init__(lambda t: [[p(t) for p in stack[:-1]], pack(t)][1], unpack)

        def __enter__(self):
            stack.append(self.pack)
            return super().__enter__()

        def __exit__(self, *raised):
            stack.pop()
            return super().__exit__(*raised)

    graph.saved_tensors_hooks = Nested  # type: ignore[misc]


@fault(SAVED, "every_pass_unpacks_again", green=("saving_packs_and_the_backward_pass_unpacks",))
def unpacked_once():
    """What unpack_hook returned is kept for the next pass."""
    original = graph.saved_tensors_hooks

    def once(held, unpack):
        return functools.cache(lambda: unpack(held))

    graph.saved_tensors_hooks = lambda pack, unpack: original(  # type: ignore[misc,assignment]
        lambda t: once(pack(t), unpack), lambda get: get()
    )


@fault("hooks.autograd.graph.disable_saved_tensors_hooks", "it_refuses_saved_tensor_hooks_with_a_message")
def saved_tensor_hooks_cannot_be_disabled():
    """disable_saved_tensors_hooks() does nothing."""
    graph.disable_saved_tensors_hooks = lambda message: contextlib.nullcontext()  # type: ignore[assignment,return-value]


@fault(SAVED, "derivatives_of_derivatives_are_right_under_it", green=("what_is_unpacked_is_what_is_used",))
def packed_in_a_pass_by_shape():
    """Of tensors of one shape that a backward pass saves, the first is packed for all."""
    original = graph.saved_tensors_hooks

    def hooks(pack, unpack):
        packed: dict[Any, Any] = {}

        def by_shape(t):
            return packed.setdefault(t.shape, pack(t)) if torch._C._current_graph_task_id() != -1 else pack(t)

        return original(by_shape, unpack)

    graph.saved_tensors_hooks = hooks  # type: ignore[misc,assignment]


@fault(SAVED, "nothing_is_packed_where_nothing_is_recorded", green=("saving_packs_and_the_backward_pass_unpacks",))
def packed_before_it_is_known():
    """The pack hook is called for the operand of an operation that is not recorded."""
    original = graph.saved_tensors_hooks
    inside: list[Any] = []

    class Eager(original):  # type: ignore[misc,valid-type]
        def __enter__(self):
            inside.append(self.pack_hook)
            return super().__enter__()

        def __exit__(self, *raised):
            inside.pop()
            return super().__exit__(*raised)

    @replace("Tensor.square")
    def square(compute, self):
        if inside and not (self.requires_grad and torch.is_grad_enabled()):
            inside[-1](self)
        return compute(self)

    graph.saved_tensors_hooks = Eager  # type: ignore[misc]


@fault(SAVED, "what_the_hooks_raise_is_raised", green=("what_is_unpacked_is_what_is_used",))
def exceptions_of_packing_are_swallowed():
    """Where pack_hook raises, the tensor is saved as it is."""
    original = graph.saved_tensors_hooks

    def quiet(pack):
        def packed(t):
            try:
                return pack(t)
            except ArithmeticError:
                return t

        return packed

    graph.saved_tensors_hooks = lambda pack, unpack: original(quiet(pack), unpack)  # type: ignore[misc,assignment]


@fault("hooks.autograd.graph.save_on_cpu", "it_brings_tensors_back_to_their_device")
def copy_is_not_waited_for():
    """save_on_cpu() brings back memory to which nothing has been copied yet."""
    graph.save_on_cpu = lambda *options: graph.saved_tensors_hooks(torch.zeros_like, lambda t: t)  # type: ignore
