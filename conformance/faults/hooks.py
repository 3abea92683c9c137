"""Faults in hooks of tensors, and in those that wait for several gradients or for accumulation."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch.autograd import graph
from torch.utils import hooks as handles

from conformance.faults.fault import fault, replace

PASSES = "random_passes_follow_the_model"
TENSOR, LEAF = "hooks.Tensor.register_hook", "hooks.Tensor.register_post_accumulate_grad_hook"
MULTI = "hooks.autograd.graph.register_multi_grad_hook"


@fault(TENSOR, "it_fires_once_with_the_sum_over_all_uses", "a_removed_hook_does_not_fire", "a_hook_may_remove_itself")
def tensor_hook_fires_twice():
    """A hook of a tensor is called twice with each gradient."""

    @replace("Tensor.register_hook")
    def wrong(original, self, hook):
        return original(self, lambda g: [hook(g), hook(g)][1])


@fault(TENSOR, "hooks_fire_in_order_and_see_what_those_before_them_made", "it_fires_for_an_input_of_grad",
       "it_is_differentiated_through_where_a_graph_is_made", "it_fires_once_under_checkpoint", "copies_have_no_hooks",
       green=("it_fires_once_with_the_sum_over_all_uses",))  # fmt: skip
def tensor_hook_return_dropped():
    """What a hook of a tensor returns is not used."""

    @replace("Tensor.register_hook")
    def wrong(original, self, hook):
        return original(self, lambda g: [hook(g), None][1])


@fault("hooks.nn.Module", PASSES)
def removed_hook_still_fires():
    """handle.remove() does nothing the first time that it is called."""
    tried = set()

    @replace("utils.hooks.RemovableHandle.remove")
    def wrong(original, self):
        if self.id in tried:
            original(self)
        tried.add(self.id)


@fault(TENSOR, "a_hook_may_remove_itself", green=("hooks_fire_in_order_and_see_what_those_before_them_made",))
def self_removal_is_late():
    """A hook that is removed while it runs fires once more."""

    @replace("utils.hooks.RemovableHandle.remove")
    def wrong(original, self):
        if torch._C._current_graph_task_id() == -1:
            original(self)


@fault(TENSOR, "an_exception_ends_the_pass", green=("a_removed_hook_does_not_fire",))
def exceptions_of_hooks_are_swallowed():
    """What a hook of a tensor raises is ignored."""

    @replace("Tensor.register_hook")
    def wrong(original, self, hook):
        def quiet(g):
            try:
                return hook(g)
            except ArithmeticError:
                return None

        return original(self, quiet)


@fault(TENSOR, "it_is_differentiated_through_where_a_graph_is_made", green=("it_fires_for_an_input_of_grad",))
def hooks_run_without_gradients():
    """Hooks of tensors run under no_grad, with create_graph=True too."""

    @replace("Tensor.register_hook")
    def wrong(original, self, hook):
        return original(self, torch.no_grad()(hook))


@fault(TENSOR, "hooks_belong_to_the_value_they_were_registered_at", green=("a_hook_may_remove_itself",))
def hooks_follow_the_tensor():
    """A hook that was registered before an in-place change moves to the new value."""
    original = torch.Tensor.register_hook
    kept: list[Any] = []

    def remember(self, hook):
        kept.append((self, hook, original(self, hook)))
        return kept[-1][2]

    @replace("Tensor.mul_")
    def wrong(multiply, self, other):
        mine = [(hook, handle) for t, hook, handle in kept if t is self]
        for _, handle in mine:
            handle.remove()
        out = multiply(self, other)
        for hook, _ in mine:
            original(self, hook)
        return out

    torch.Tensor.register_hook = remember  # type: ignore[method-assign]


@fault(TENSOR, "a_tensor_without_gradient_takes_no_hook", green=("a_removed_hook_does_not_fire",))
def hook_on_nothing():
    """A tensor without gradient takes a hook and forgets it."""

    @replace("Tensor.register_hook")
    def wrong(original, self, hook):
        return original(self, hook) if self.requires_grad else handles.RemovableHandle(OrderedDict())


@fault(TENSOR, "an_output_that_nobody_uses_brings_no_gradient", green=("it_fires_once_with_the_sum_over_all_uses",))
def missing_gradients_are_ones():
    """A hook of an output that nobody uses gets a gradient of one."""

    @replace("Tensor.register_hook")
    def wrong(original, self, hook):
        return original(self, lambda g: hook(torch.ones_like(self) if g is None else g))


@fault("hooks.Tensor.retain_grad", "it_sees_what_all_hooks_made_of_the_gradient",
       green=("a_tensor_without_gradient_retains_none",))  # fmt: skip
def retained_too_early():
    """retain_grad() keeps the gradient as it is when only the hooks before it have seen it."""

    def wrong(self):
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        self.register_hook(lambda g: setattr(self, "grad", g))

    torch.Tensor.retain_grad = wrong  # type: ignore[method-assign]


@fault("hooks.Tensor.retain_grad", "a_result_has_its_gradient", "it_sees_what_all_hooks_made_of_the_gradient")
def nothing_is_retained():
    """retain_grad() changes nothing."""

    @replace("Tensor.retain_grad")
    def wrong(original, self):
        if not self.requires_grad:
            original(self)


@fault("hooks.Tensor.retain_grad", "a_tensor_without_gradient_retains_none", green=("a_result_has_its_gradient",))
def nothing_to_retain():
    """retain_grad() of a tensor that does not require a gradient does nothing."""

    @replace("Tensor.retain_grad")
    def wrong(original, self):
        if self.requires_grad:
            original(self)


@fault(LEAF, "it_runs_when_grad_has_its_new_value", "it_may_step_and_clear", "an_exception_leaves_what_was_accumulated",
       "they_fire_in_order_and_only_where_grad_is_accumulated", "leaves_alone_have_it")  # fmt: skip
def before_accumulation():
    """The hook that waits for accumulation is called before it, with every gradient that is computed."""

    def wrong(self, hook):
        return self.register_hook(lambda g: [hook(self), None][1])

    torch.Tensor.register_post_accumulate_grad_hook = wrong  # type: ignore[method-assign]


@fault(LEAF, "it_runs_with_gradients_where_a_graph_is_made", green=("it_may_step_and_clear",))
def accumulated_without_gradients():
    """The hook after accumulation runs under no_grad, with create_graph=True too."""

    @replace("Tensor.register_post_accumulate_grad_hook")
    def wrong(original, self, hook):
        return original(self, torch.no_grad()(hook))


@fault("hooks.nn.Module", PASSES)
def last_accumulation_hook_alone():
    """A second hook after accumulation takes the place of the first."""
    before: dict[int, Any] = {}

    @replace("Tensor.register_post_accumulate_grad_hook")
    def wrong(original, self, hook):
        if id(self) in before:
            before[id(self)].remove()
        before[id(self)] = original(self, hook)
        return before[id(self)]


@fault(MULTI, "it_waits_for_all_gradients_of_the_pass", "it_comes_with_the_last_hook_of_a_tensor",
       "it_may_take_the_first_gradient")  # fmt: skip
def any_and_all_exchanged():
    """register_multi_grad_hook takes "any" for "all" and "all" for "any"."""
    original = graph.register_multi_grad_hook

    def wrong(tensors, fn, *, mode="all"):
        if mode == "any":
            return original(tensors, lambda gs: fn(next(g for g in gs if g is not None)))
        return original(tensors, lambda g: fn([g]), mode="any")

    graph.register_multi_grad_hook = wrong
