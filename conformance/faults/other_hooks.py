"""Faults in hooks of all modules, of state dicts and of optimizers."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

from collections import OrderedDict

import torch
from torch.nn.modules import module as everywhere
from torch.optim import optimizer as optimizers
from torch.optim.optimizer import register_optimizer_step_pre_hook

from conformance.faults.fault import fault, replace


@fault("hooks.nn.modules.module.register_module_forward_hook", "they_fire_before_the_hooks_of_every_module")
def global_hooks_last():
    """Global forward hooks fire behind those of the module."""

    @replace("nn.Module.__call__")
    def wrong(original, self, *args, **kwargs):
        kept = dict(everywhere._global_forward_hooks)
        everywhere._global_forward_hooks.clear()
        try:
            out = original(self, *args, **kwargs)
        finally:
            everywhere._global_forward_hooks.update(kept)
        for hook in kept.values():
            changed = hook(self, args, out)
            out = out if changed is None else changed
        return out


@fault("hooks.nn.modules.module.register_module_forward_hook", "an_exception_calls_those_that_are_always_called",
       green=("they_fire_before_the_hooks_of_every_module",))  # fmt: skip
def global_always_call_is_ignored():
    """register_module_forward_hook forgets always_call."""
    original = everywhere.register_module_forward_hook

    def register(hook, *, with_kwargs=False, always_call=False):
        return original(hook, with_kwargs=with_kwargs)

    everywhere.register_module_forward_hook = register


@fault("hooks.nn.modules.module.register_module_full_backward_hook",
       "backward_hooks_fire_before_the_hooks_of_every_module")  # fmt: skip
def global_backward_hooks_last():
    """Global backward hooks fire behind those of the module."""

    @replace("nn.Module._get_backward_hooks")
    def wrong(original, self):
        return tuple(found[::-1] for found in original(self))


@fault("hooks.nn.modules.module.register_module_parameter_registration_hook", "registration_can_be_watched_and_changed")
def registration_hooks_only_watch():
    """What a hook of registration returns is not registered."""

    @replace("nn.Module.register_parameter")
    def wrong(original, self, name, param):
        original(self, name, param)
        self._parameters[name] = param


@fault("hooks.nn.Module.register_state_dict_pre_hook", "saving_a_module_is_between_its_hooks")
def state_hooks_exchanged():
    """Pre-hooks of state_dict() of a module fire only where it is the outermost."""

    @replace("nn.Module.state_dict")
    def wrong(original, self, *args, destination=None, prefix="", keep_vars=False):
        kept = dict(self._state_dict_pre_hooks)
        if prefix:
            self._state_dict_pre_hooks.clear()
        try:
            return original(self, *args, destination=destination, prefix=prefix, keep_vars=keep_vars)
        finally:
            self._state_dict_pre_hooks.update(kept)


@fault("hooks.nn.Module.register_state_dict_post_hook", "a_post_hook_of_saving_returns_nothing",
       green=("saving_a_module_is_between_its_hooks",))  # fmt: skip
def other_state_dicts_ignored():
    """A state_dict that a post-hook returns is ignored without a word."""

    @replace("nn.Module.register_state_dict_post_hook")
    def register(original, self, hook):
        return original(self, lambda *args: [hook(*args), None][1])


@fault("hooks.nn.Module.register_load_state_dict_post_hook", "inner_modules_are_loaded_before_the_outer_hook",
       green=("a_post_hook_decides_what_is_missing",))  # fmt: skip
def containers_are_done_first():
    """The post-hook of a container's load_state_dict() is called before the modules in it are loaded."""

    @replace("nn.Module.register_load_state_dict_post_hook")
    def register(original, self, hook):
        if not list(self.children()):
            return original(self, hook)
        return self.register_load_state_dict_pre_hook(lambda m, *rest: hook(m, everywhere._IncompatibleKeys([], [])))


@fault("hooks.nn.Module.register_load_state_dict_post_hook", "a_post_hook_decides_what_is_missing",
       green=("inner_modules_are_loaded_before_the_outer_hook",))  # fmt: skip
def post_hook_gets_copies():
    """A post-hook of load_state_dict() gets copies of the lists of keys."""

    @replace("nn.Module.register_load_state_dict_post_hook")
    def register(original, self, hook):
        return original(self, lambda m, keys: hook(m, type(keys)(list(keys[0]), list(keys[1]))))


@fault("hooks.nn.Module.register_load_state_dict_pre_hook", "a_pre_hook_may_rename_what_is_loaded")
def pre_hook_changes_the_given():
    """A pre-hook of load_state_dict() works on the caller's own state dict."""

    @replace("nn.Module.load_state_dict")
    def wrong(original, self, state_dict, *args, **options):
        found = original(self, state_dict, *args, **options)
        for module in self.modules():
            for hook in module._load_state_dict_pre_hooks.values():
                hook(state_dict, "0.", {}, True, [], [], [])
        return found


@fault("hooks.optim.Optimizer.register_step_pre_hook", "a_pre_hook_may_change_the_arguments",
       green=("a_step_is_between_its_hooks",))  # fmt: skip
def arguments_of_step_hooks_dropped():
    """What a pre-hook of a step returns is not used."""

    @replace("optim.Optimizer.register_step_pre_hook")
    def register(original, self, hook):
        return original(self, lambda *args: [hook(*args), None][1])


@fault("hooks.optim.Optimizer.register_step_pre_hook", "an_exception_before_the_step_prevents_it",
       green=("a_step_is_between_its_hooks",))  # fmt: skip
def exceptions_before_the_step_are_swallowed():
    """What a pre-hook of a step raises is ignored, and the step taken."""

    @replace("optim.Optimizer.register_step_pre_hook")
    def register(original, self, hook):
        def quiet(*args):
            try:
                return hook(*args)
            except ArithmeticError:
                return None

        return original(self, quiet)


@fault("hooks.optim.Optimizer.register_step_pre_hook", "global_hooks_are_called_for_every_optimizer",
       green=("the_optimizers_own_hooks_are_inside_the_global_ones",))  # fmt: skip
def global_step_hooks_know_one_optimizer():
    """A global pre-hook of steps is called for the optimizer that steps first, and no other."""

    class First(OrderedDict):  # type: ignore[type-arg]
        def __setitem__(self, key, hook):
            known = []

            def once(optimizer, *args):
                known.append(optimizer)
                return hook(optimizer, *args) if optimizer is known[0] else None

            super().__setitem__(key, once)

    optimizers._global_optimizer_pre_hooks = First()


@fault("hooks.optim.Optimizer.register_step_pre_hook", "the_optimizers_own_hooks_are_inside_the_global_ones",
       green=("a_pre_hook_may_change_the_arguments",))  # fmt: skip
def own_step_hooks_among_the_global():
    """A pre-hook of one optimizer takes its turn among the global ones."""

    def register(self, hook):
        return register_optimizer_step_pre_hook(lambda o, *rest: hook(o, *rest) if o is self else None)

    torch.optim.Optimizer.register_step_pre_hook = register  # type: ignore[method-assign]


@fault("hooks.optim.Optimizer.register_step_post_hook", "a_step_is_between_its_hooks")
def post_hooks_before_the_step():
    """Post-hooks of a step are called before it."""

    def register(self, hook):
        return self.register_step_pre_hook(lambda *args: [hook(*args), None][1])

    torch.optim.Optimizer.register_step_post_hook = register  # type: ignore[method-assign]


@fault("hooks.optim.Optimizer.register_load_state_dict_pre_hook", "loading_an_optimizer_is_between_its_hooks")
def loaded_what_was_given():
    """What a pre-hook of an optimizer's load_state_dict() returns is not loaded."""

    @replace("optim.Optimizer.register_load_state_dict_pre_hook")
    def register(original, self, hook, prepend=False):
        return original(self, lambda *args: [hook(*args), None][1], prepend)


@fault("hooks.optim.Optimizer.register_state_dict_pre_hook", "saving_an_optimizer_is_between_its_hooks")
def saved_hooks_in_reverse():
    """prepend is ignored for the pre-hooks of an optimizer's state_dict()."""

    @replace("optim.Optimizer.register_state_dict_pre_hook")
    def register(original, self, hook, prepend=False):
        return original(self, hook)
