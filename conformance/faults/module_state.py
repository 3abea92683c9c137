"""Faults in how modules are saved and loaded."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

from collections import OrderedDict

import torch

from conformance.faults.fault import fault, replace
from conformance.faults.mechanics import modules


@modules()
def keys_are_never_refused():
    """load_state_dict never refuses keys."""

    @replace("nn.Module.load_state_dict")
    def wrong(original, self, state_dict, strict=True, assign=False):
        return original(self, state_dict, False, assign)


@modules()
def passing_buffer_saved():
    """register_buffer forgets persistent=False."""

    @replace("nn.Module.register_buffer")
    def wrong(original, self, name, tensor, persistent=True):
        return original(self, name, tensor)


@modules()
def replaced_buffer_is_saved():
    """A non-persistent buffer becomes a persistent one when a tensor is assigned to it."""

    @replace("nn.Module.__setattr__")
    def wrong(original, self, name, value):
        original(self, name, value)
        if name in self.__dict__.get("_buffers", ()):
            self._non_persistent_buffers_set.discard(name)


@modules()
def failed_load_changes_nothing_else():
    """A load that fails leaves even the parameters that fit as they were."""

    @replace("nn.Module.load_state_dict")
    def wrong(original, self, state_dict, strict=True, assign=False):
        kept = [(t, t.detach().clone()) for t in (*self.parameters(), *self.buffers())]
        try:
            return original(self, state_dict, strict, assign)
        except RuntimeError:
            with torch.no_grad():
                for t, was in kept:
                    t.copy_(was)
            raise


@modules()
def assign_copies():
    """load_state_dict(assign=True) copies numbers into the module's own tensors."""

    @replace("nn.Module.load_state_dict")
    def wrong(original, self, state_dict, strict=True, assign=False):
        return original(self, state_dict, strict, False)


@modules()
def state_dict_is_a_copy():
    """state_dict() gives copies of tensors, and not references."""

    @replace("nn.Module.state_dict")
    def wrong(original, self, **options):
        made = original(self, **options)
        for key in made:
            made[key] = made[key].clone()
        return made


@modules()
def load_hook_of_children_skipped():
    """Only the module that load_state_dict is called of runs its post-hooks."""

    @replace("nn.Module.load_state_dict")
    def wrong(original, self, *args, **options):
        kept = [(m, OrderedDict(m._load_state_dict_post_hooks)) for m in self.modules() if m is not self]
        for m, _ in kept:
            m._load_state_dict_post_hooks.clear()
        try:
            return original(self, *args, **options)
        finally:
            for m, hooks in kept:
                m._load_state_dict_post_hooks.update(hooks)


@modules()
def state_dict_hook_fires_twice():
    """The pre-hooks of state_dict() fire twice."""

    @replace("nn.Module._save_to_state_dict")
    def wrong(original, self, destination, prefix, keep_vars):
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        original(self, destination, prefix, keep_vars)


@fault("modules.nn.Module.load_state_dict", "assigning_keeps_requires_grad", models="pytorch/pytorch#121157")
def assigned_parameters_need_gradients():
    """load_state_dict(assign=True) makes every parameter require a gradient."""

    @replace("nn.Module.load_state_dict")
    def wrong(original, self, state_dict, strict=True, assign=False):
        found = original(self, state_dict, strict, assign)
        if assign:
            self.requires_grad_()
        return found


@fault("modules.nn.Module.load_state_dict", "the_name_of_a_child_is_no_key")
def name_of_a_child_is_a_key():
    """A key that is the name of a child is not reported as unexpected."""

    @replace("nn.Module.load_state_dict")
    def wrong(original, self, state_dict, strict=True, assign=False):
        children = dict(self.named_children())
        return original(self, {k: t for k, t in state_dict.items() if k not in children}, strict, assign)
