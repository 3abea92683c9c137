"""Faults in forward hooks of modules, and in the order of all hooks in random passes."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import weakref
from collections import OrderedDict

import torch
from torch.utils import hooks

from conformance.faults.fault import fault, replace

PASSES = "random_passes_follow_the_model"
PRE, POST = "hooks.nn.Module.register_forward_pre_hook", "hooks.nn.Module.register_forward_hook"
passes = fault("hooks.nn.Module", PASSES, level=3)


def options(name, **wrong):
    """Let a registering method of nn.Module have other options than those that it is given."""

    @replace(f"nn.Module.{name}")
    def register(original, self, hook, *given, **options):
        return original(self, hook, *given, **{**options, **wrong})


@fault(POST, "a_call_is_between_its_hooks", "a_deep_copy_has_the_hooks_and_its_own_list_of_them")
def prepend_is_ignored():
    """register_forward_hook puts every hook last."""
    options("register_forward_hook", prepend=False)


@fault(PRE, "a_call_is_between_its_hooks", green=("a_pre_hook_may_change_the_input",))
def everything_is_prepended():
    """register_forward_pre_hook puts every hook first."""

    @replace("nn.Module.register_forward_pre_hook")
    def register(original, self, hook, **options):
        return original(self, hook, **{**options, "prepend": len(self._forward_pre_hooks) != 1})


@fault(POST, "some_hooks_are_always_called", "the_exception_of_another_hook_calls_them_too")
def always_call_is_ignored():
    """register_forward_hook forgets always_call."""
    options("register_forward_hook", always_call=False)


@fault(POST, "a_hook_may_change_the_output", green=("a_shared_module_fires_at_every_call",))
def output_of_hooks_dropped():
    """What a forward hook returns is not used."""

    @replace("nn.Module.register_forward_hook")
    def register(original, self, hook, **options):
        return original(self, lambda *args: [hook(*args), None][1], **options)


@fault(PRE, "a_pre_hook_may_change_the_input", green=("a_call_is_between_its_hooks",))
def first_argument_alone():
    """Of the arguments that a pre-hook returns, the first alone is used."""

    @replace("nn.Module.register_forward_pre_hook")
    def register(original, self, hook, **options):
        if options.get("with_kwargs"):
            return original(self, hook, **options)

        def first(module, args):
            out = hook(module, args)
            return out[:1] if isinstance(out, tuple) else out

        return original(self, first, **options)


@fault(PRE, "a_pre_hook_may_see_and_change_keywords", green=("a_pre_hook_may_change_the_input",))
def keywords_of_pre_hooks_dropped():
    """The keyword arguments that a pre-hook returns are not used."""

    @replace("nn.Module.register_forward_pre_hook")
    def register(original, self, hook, **options):
        if not options.get("with_kwargs"):
            return original(self, hook, **options)

        def kept(module, args, kwargs):
            out = hook(module, args, kwargs)
            return (out[0], kwargs) if out is not None and len(out) == 2 else out

        return original(self, kept, **options)


@fault(POST, "a_removed_hook_does_not_fire", green=("a_call_is_between_its_hooks",))
def removal_takes_no_effect():
    """handle.remove() removes nothing."""
    hooks.RemovableHandle.remove = lambda self: None  # type: ignore[method-assign]


@fault(POST, "a_deep_copy_has_the_hooks_and_its_own_list_of_them", green=("a_call_is_between_its_hooks",))
def deepcopy_shares_hooks():
    """A deep copy of a module has the very list of hooks of the original."""

    @replace("nn.Module.__setstate__")
    def wrong(original, self, state):
        original(self, state)
        self._forward_hooks = _hooks.get(len(self._forward_hooks), self._forward_hooks)

    _hooks = {}

    @replace("nn.Module.register_forward_hook")
    def register(original, self, hook, **options):
        handle = original(self, hook, **options)
        _hooks[len(self._forward_hooks)] = self._forward_hooks
        return handle


@fault(POST, "recomputation_fires_again", green=("a_hook_may_change_the_output",))
def recomputation_without_hooks():
    """In the backward pass, where checkpoint runs a module again, forward hooks do not fire."""

    @replace("nn.Module.register_forward_hook")
    def register(original, self, hook, **options):
        return original(self, lambda *a: hook(*a) if torch._C._current_graph_task_id() == -1 else None, **options)


@fault(PRE, "a_change_in_place_is_seen_where_it_comes_in_time", green=("a_pre_hook_may_change_the_input",))
def pre_hooks_get_copies():
    """A pre-hook is called with copies of the arguments."""

    @replace("nn.Module.register_forward_pre_hook")
    def register(original, self, hook, **options):
        if options.get("with_kwargs"):
            return original(self, hook, **options)
        return original(self, lambda m, args: hook(m, tuple(torch.clone(a) for a in args)), **options)


@fault(POST, "a_shared_module_fires_at_every_call", green=("a_call_is_between_its_hooks",))
def second_call_in_a_row_is_silent():
    """A forward hook does not fire where the module is called with its own last output."""

    @replace("nn.Module.register_forward_hook")
    def register(original, self, hook, **options):
        last = [object()]

        def once(module, args, out):
            again, last[0] = args[0] is last[0], out
            return None if again else hook(module, args, out)

        return original(self, hook if options.get("with_kwargs") else once, **options)


@fault(POST, "outer_hooks_are_around_inner_ones", green=("a_call_is_between_its_hooks",))
def hooks_of_containers_come_early():
    """The forward hook of a container is called before the modules in it."""

    @replace("nn.Module.register_forward_hook")
    def register(original, self, hook, **options):
        if not list(self.children()):
            return original(self, hook, **options)
        return self.register_forward_pre_hook(lambda m, args: [hook(m, args, None), None][1])


@fault(PRE, "a_pickled_module_has_its_hooks", green=("a_deep_copy_has_the_hooks_and_its_own_list_of_them",))
def pre_hooks_not_pickled():
    """A module is pickled without its forward pre-hooks."""

    @replace("nn.Module.__getstate__")
    def wrong(original, self):
        return {**original(self), "_forward_pre_hooks": OrderedDict()}


@passes
def shared_module_fires_once():
    """A forward hook does not fire at a second call within a pass of its container."""

    @replace("nn.Sequential.forward")
    def wrong(original, self, x):
        seen = set()
        for module in self:
            x = module.forward(x) if module in seen and not module._backward_hooks else module(x)
            seen.add(module)
        return x


@passes
def prepended_backward_hook_goes_last():
    """register_full_backward_hook ignores prepend."""
    options("register_full_backward_hook", prepend=False)


@passes
def pre_hook_with_keywords_gets_copies():
    """A pre-hook with keywords is called with none of them."""

    @replace("nn.Module.register_forward_pre_hook")
    def register(original, self, hook, **options):
        if not options.get("with_kwargs"):
            return original(self, hook, **options)
        return original(self, lambda m, args, kw: hook(m, args, {}), **options)


@passes
def residual_gradient_forgotten():
    """Where a backward hook is on a module, gradients that reach its input otherwise are scaled by it too."""

    @replace("utils.hooks.BackwardHook._unpack_none")
    def wrong(original, self, indices, values):
        return original(self, indices, tuple(v if v is None else v * len(self.user_hooks) for v in values))


@passes
def hooks_of_all_modules_skip_the_shared():
    """Global pre-hooks are called once for each module, whatever it is called again."""
    seen: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()

    @replace("nn.modules.module.register_module_forward_pre_hook")
    def register(original, hook):
        def once(module, args):
            if module in seen:
                return None
            seen.add(module)
            return hook(module, args)

        return original(once)


@passes
def several_gradients_without_the_missing():
    """A hook that waits for several gradients gets those that there are, without None for the others."""

    @replace("autograd.graph.register_multi_grad_hook")
    def register(original, tensors, fn, **options):
        return original(tensors, lambda gs: fn([g for g in gs if g is not None]), **options)
