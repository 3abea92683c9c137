"""Faults in backward hooks of modules."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

from collections import OrderedDict

import torch
from torch.utils import hooks

from conformance.faults.fault import fault, replace
from conformance.faults.module_hooks import options

FULL_PRE, FULL = "hooks.nn.Module.register_full_backward_pre_hook", "hooks.nn.Module.register_full_backward_hook"


@fault(FULL, "what_a_hook_returns_goes_on_to_the_inputs", "its_changes_are_differentiated_through",
       green=("they_see_the_gradients_of_outputs_and_inputs",))  # fmt: skip
def gradient_of_backward_hooks_dropped():
    """What a backward hook of a module returns is not used."""

    @replace("nn.Module.register_full_backward_hook")
    def register(original, self, hook, prepend=False):
        return original(self, lambda *args: [hook(*args), None][1], prepend)


@fault(FULL_PRE, "what_a_pre_hook_returns_is_the_gradient_of_the_output",
       "a_pre_hook_counts_where_no_input_needs_a_gradient",
       green=("they_see_the_gradients_of_outputs_and_inputs",))  # fmt: skip
def gradient_of_backward_pre_hooks_dropped():
    """What a backward pre-hook of a module returns is not used."""

    @replace("nn.Module.register_full_backward_pre_hook")
    def register(original, self, hook, prepend=False):
        return original(self, lambda *args: [hook(*args), None][1], prepend)


@fault(FULL, "it_fires_at_the_outputs_where_no_input_needs_a_gradient", models="pytorch/pytorch#57944",
       green=("they_see_the_gradients_of_outputs_and_inputs",))  # fmt: skip
def silent_without_input_gradients():
    """A backward hook does not fire where no input requires a gradient."""

    @replace("utils.hooks.BackwardHook.setup_input_hook")
    def wrong(original, self, args):
        out = original(self, args)
        if self.input_tensors_index is None:
            self.user_hooks = []
        return out


@fault(FULL, "grad_input_has_a_place_for_every_positional_argument", models="pytorch/pytorch#57944",
       green=("they_see_the_gradients_of_outputs_and_inputs",))  # fmt: skip
def places_without_tensors_left_out():
    """grad_input has no place for arguments that are no tensors."""

    @replace("nn.Module.register_full_backward_hook")
    def register(original, self, hook, prepend=False):
        return original(self, lambda m, gi, go: hook(m, tuple(g for g in gi if g is not None), go), prepend)


@fault(FULL, "a_wrong_number_of_gradients_is_refused", green=("what_a_hook_returns_goes_on_to_the_inputs",))
def extra_gradients_are_cut_off():
    """Of too many gradients that a backward hook returns, the last are ignored."""

    @replace("nn.Module.register_full_backward_hook")
    def register(original, self, hook, prepend=False):
        def cut(m, gi, go):
            out = hook(m, gi, go)
            return out if out is None else out[: len(gi)]

        return original(self, cut, prepend)


@fault(FULL, "changing_inputs_or_outputs_in_place_raises", models="pytorch/pytorch#61519",
       green=("they_see_the_gradients_of_outputs_and_inputs",))  # fmt: skip
def changes_in_place_pass():
    """Modules with backward hooks take and give tensors that can be changed in place."""

    @replace("utils.hooks.BackwardHook._apply_on_tensors")
    def wrong(original, self, fn, args):
        out, index = original(self, fn, args)
        return tuple(t.clone() if isinstance(t, torch.Tensor) else t for t in out), index


@fault(FULL, "old_and_full_hooks_do_not_mix")
def old_and_full_hooks_mix():
    """A module takes old and full backward hooks together."""
    for name in ("register_full_backward_hook", "register_backward_hook"):

        @replace(f"nn.Module.{name}")
        def register(original, self, hook, *options):
            self._is_full_backward_hook = None
            return original(self, hook, *options)


@fault(FULL, "they_see_the_gradients_of_outputs_and_inputs", green=("what_is_prepended_fires_first",))
def inputs_and_outputs_exchanged():
    """A backward hook gets the gradients of the outputs for those of the inputs, and the other way round."""

    @replace("nn.Module.register_full_backward_hook")
    def register(original, self, hook, prepend=False):
        return original(self, lambda m, gi, go: hook(m, go, gi), prepend)


@fault(FULL_PRE, "what_is_prepended_fires_first", green=("they_see_the_gradients_of_outputs_and_inputs",))
def prepended_backward_pre_hook_goes_last():
    """register_full_backward_pre_hook ignores prepend."""
    options("register_full_backward_pre_hook", prepend=False)


@fault(FULL, "it_does_not_fire_where_no_output_needs_a_gradient",
       green=("they_see_the_gradients_of_outputs_and_inputs",))  # fmt: skip
def hooks_enable_gradients():
    """A module with backward hooks runs with gradients, under no_grad too."""

    @replace("nn.Module.__call__")
    def wrong(original, self, *args, **kwargs):
        with torch.set_grad_enabled(torch.is_grad_enabled() or bool(self._backward_hooks)):
            return original(self, *args, **kwargs)


@fault(FULL, "it_fires_for_outputs_in_a_tuple", green=("they_see_the_gradients_of_outputs_and_inputs",))
def silent_for_tuples():
    """A module that returns a tuple fires no backward hook."""

    @replace("utils.hooks.BackwardHook.setup_output_hook")
    def wrong(original, self, out):
        return out if isinstance(out, tuple) else original(self, out)


@fault(FULL, "a_shared_module_fires_for_every_call_the_last_first",
       green=("they_see_the_gradients_of_outputs_and_inputs",))  # fmt: skip
def last_call_alone_fires():
    """Of several calls of a module before a backward pass, hooks fire for the last alone."""
    latest: dict[torch.nn.Module, hooks.BackwardHook] = {}

    @replace("utils.hooks.BackwardHook.__init__")
    def wrong(original, self, module, user_hooks, user_pre_hooks):
        original(self, module, user_hooks, user_pre_hooks)
        if before := latest.get(module):
            before.user_hooks = before.user_pre_hooks = []
        latest[module] = self


@fault(FULL, "it_fires_once_under_checkpoint", green=("a_shared_module_fires_for_every_call_the_last_first",))
def recomputation_registers_again():
    """Where checkpoint runs a module again, its backward hooks are there twice."""

    @replace("utils.hooks.BackwardHook.__init__")
    def wrong(original, self, module, user_hooks, user_pre_hooks):
        again = torch._C._current_graph_task_id() != -1
        original(self, module, list(user_hooks) * (2 if again else 1), user_pre_hooks)


@fault(FULL, "a_deep_copy_has_the_hooks", green=("they_see_the_gradients_of_outputs_and_inputs",))
def copies_lose_backward_hooks():
    """A deep copy of a module has no backward hooks."""

    @replace("nn.Module.__setstate__")
    def wrong(original, self, state):
        original(self, {**state, "_backward_hooks": OrderedDict()})
