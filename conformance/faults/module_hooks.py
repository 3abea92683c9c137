"""Faults in hooks of modules and optimizers."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import weakref

import torch
from torch.nn.modules import module as everywhere
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils import hooks

from conformance.faults.fault import fault, replace

PASSES = "random_passes_follow_the_model"
PRE, POST = "hooks.nn.Module.register_forward_pre_hook", "hooks.nn.Module.register_forward_hook"
FULL_PRE, FULL = "hooks.nn.Module.register_full_backward_pre_hook", "hooks.nn.Module.register_full_backward_hook"
passes = fault("hooks.nn.Module", PASSES)


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
