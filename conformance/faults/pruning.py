"""Faults in parametrizations' edges and in pruning."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import contextlib
import copy

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from conformance.faults.fault import fault, replace

REGISTER = "nn.utils.parametrize.register_parametrization"
L1 = "nn.utils.prune.l1_unstructured"


@fault(REGISTER, "the_first_may_have_several_originals", green=("several_are_applied_in_their_order",))
def second_original_frozen():
    """Of several originals only the first gets a gradient."""

    @replace(REGISTER)
    def register(original, module, name, parametrization, *, unsafe=False):
        out = original(module, name, parametrization, unsafe=unsafe)
        second = getattr(module.parametrizations[name], "original1", None)
        if second is not None:
            second.register_hook(lambda g: g * 0)
        return out


@fault("nn.utils.parametrize.cached", "inside_cached_it_is_computed_once")
def cache_without_effect():
    """cached() has no effect."""
    parametrize.cached = contextlib.nullcontext  # type: ignore[assignment]


@fault("nn.utils.parametrize.remove_parametrizations", "a_removal_leaves_the_value_or_the_original")
def always_leaves_the_value():
    """leave_parametrized has no effect."""

    @replace("nn.utils.parametrize.remove_parametrizations")
    def remove(original, module, name, leave_parametrized=True):
        return original(module, name)


@fault(REGISTER, "a_change_of_shape_or_dtype_is_refused", green=("several_are_applied_in_their_order",))
def always_unsafe():
    """Every registration is unsafe."""

    @replace(REGISTER)
    def register(original, module, name, parametrization, *, unsafe=False):
        return original(module, name, parametrization, unsafe=True)


@fault(REGISTER, "state_and_copies_are_those_of_the_original", green=("several_are_applied_in_their_order",))
def copy_shares_the_original():
    """A copy of a parametrized module shares its originals."""

    original = copy.deepcopy

    def deepcopy(x, memo=None):
        made = original(x, memo)
        if isinstance(x, nn.Module) and parametrize.is_parametrized(x):
            made.parametrizations.weight.original = x.parametrizations.weight.original  # type: ignore[union-attr]
        return made

    copy.deepcopy = deepcopy  # type: ignore[assignment]


@fault(REGISTER, "buffers_and_modes_are_taken_along", green=("several_are_applied_in_their_order",))
def mode_not_taken_along():
    """A parametrization keeps its own training mode at registration."""

    @replace(REGISTER)
    def register(original, module, name, parametrization, *, unsafe=False):
        mode = parametrization.training
        out = original(module, name, parametrization, unsafe=unsafe)
        parametrization.train(mode)
        return out


@fault("nn.utils.parametrize.transfer_parametrizations_and_params", "parametrizations_are_transferred")
def parameters_not_transferred():
    """The parametrizations are transferred, their parameters are not."""

    @replace("nn.utils.parametrize.transfer_parametrizations_and_params")
    def transfer(original, module, target, tensor_name=None):
        kept = target.weight.detach().clone()
        out = original(module, target, tensor_name)
        out.parametrizations.weight.original.data.copy_(kept)
        return out


def _masks(method, change):
    """Let change(self, mask, t, default_mask) have the last word on a mask."""
    original = method.compute_mask

    def compute_mask(self, t, default_mask):
        return change(self, original(self, t, default_mask.clone()), t, default_mask)

    method.compute_mask = compute_mask


@fault(
    L1, "the_smallest_are_pruned", "pruned_elements_get_no_gradient", green=("amounts_that_make_no_sense_are_refused",)
)
def the_largest_are_pruned():
    """The elements with the largest absolute value are pruned."""

    def largest(self, mask, t, default_mask):
        k = int((mask == 0).sum())
        out = torch.ones_like(mask)
        out.view(-1)[t.abs().view(-1).topk(k).indices] = 0
        return out

    _masks(prune.L1Unstructured, largest)


@fault("nn.utils.prune.ln_structured", "the_channels_of_the_smallest_norm_are_pruned")
def norm_always_two():
    """n is not used: the 2-norm decides."""

    @replace("nn.utils.prune.ln_structured")
    def ln_structured(original, module, name, amount, n, dim, importance_scores=None):
        return original(module, name, amount, 2, dim, importance_scores)


@fault("nn.utils.prune.random_unstructured", "as_many_as_asked_for_are_pruned_at_random")
def the_first_are_pruned():
    """Not chance decides but the place."""

    def first(self, mask, t, default_mask):
        out = torch.ones_like(mask)
        out.view(-1)[: int((mask == 0).sum())] = 0
        return out

    _masks(prune.RandomUnstructured, first)


@fault("nn.utils.prune.random_structured", "whole_channels_are_pruned_at_random")
def one_element_of_a_channel_kept():
    """One element of every channel that is pruned is kept."""

    def kept(self, mask, t, default_mask):
        mask.view(-1)[-1] = 1
        return mask

    _masks(prune.RandomStructured, kept)


@fault("nn.utils.prune.custom_from_mask", "a_mask_that_is_given_is_used")
def mask_inverted():
    """What the mask keeps is pruned."""

    @replace("nn.utils.prune.custom_from_mask")
    def custom_from_mask(original, module, name, mask):
        return original(module, name, 1 - mask)


@fault("nn.utils.prune.global_unstructured", "elements_of_several_tensors_are_ranked_together")
def ranked_one_by_one():
    """Every tensor is pruned by its share."""

    @replace("nn.utils.prune.global_unstructured")
    def global_unstructured(original, parameters, pruning_method, importance_scores=None, **kwargs):
        share = kwargs["amount"] / 12 if isinstance(kwargs["amount"], int) else kwargs["amount"]
        for each in parameters:
            original([each], pruning_method, importance_scores, **{**kwargs, "amount": share})


@fault(L1, "pruning_goes_on_with_what_is_left", green=("the_smallest_are_pruned",))
def earlier_mask_forgotten():
    """Pruning again forgets the earlier mask."""

    def forget(self, mask, t, default_mask):
        return self[-1].compute_mask(t, torch.ones_like(mask))

    _masks(prune.PruningContainer, forget)


@fault("nn.utils.prune.BasePruningMethod", "a_method_of_ones_own")
def always_global():
    """The type of a method of one's own is not looked at."""

    def everywhere(self, mask, t, default_mask):
        return self[-1].compute_mask(t, default_mask)

    _masks(prune.PruningContainer, everywhere)


@fault(L1, "amounts_that_make_no_sense_are_refused", green=("the_smallest_are_pruned",))
def amount_cut():
    """An amount that is out of range is cut to it."""

    @replace(L1)
    def l1_unstructured(original, module, name, amount, importance_scores=None):
        size = getattr(module, name).numel() if isinstance(amount, int) else 1.0
        return original(module, name, min(max(amount, 0), size), importance_scores)


@fault(L1, "original_and_mask_take_the_place_of_the_parameter", green=("the_smallest_are_pruned",))
def original_copied():
    """The original is a copy of the parameter."""

    @replace(L1)
    def l1_unstructured(original, module, name, amount, importance_scores=None):
        setattr(module, name, nn.Parameter(getattr(module, name).detach().clone()))
        return original(module, name, amount, importance_scores)


@fault(L1, "pruned_elements_get_no_gradient", green=("the_smallest_are_pruned",))
def gradient_passes_the_mask():
    """The gradient of the original passes by the mask."""

    def apply_mask(self, module):
        mask, orig = (getattr(module, self._tensor_name + end) for end in ("_mask", "_orig"))
        return (mask * orig).detach() + orig - orig.detach()

    prune.BasePruningMethod.apply_mask = apply_mask  # type: ignore[method-assign]


@fault(L1, "the_hook_prunes_before_every_forward", green=("the_smallest_are_pruned",))
def pruned_once():
    """The weight is pruned at once and not before a forward."""
    prune.BasePruningMethod.__call__ = lambda self, module, inputs: None  # type: ignore[method-assign]


@fault("nn.utils.prune.remove", "a_removal_makes_it_permanent")
def pruning_undone():
    """A removal gives the original back."""

    @replace("nn.utils.prune.remove")
    def remove(original, module, name):
        kept = getattr(module, name + "_orig", torch.zeros(())).detach().clone()
        out = original(module, name)
        getattr(module, name).data.copy_(kept)
        return out


@fault("nn.utils.prune.is_pruned", "a_module_is_pruned_if_one_inside_is")
def looks_at_itself_alone():
    """is_pruned does not look inside."""

    @replace("nn.utils.prune.is_pruned")
    def is_pruned(original, module):
        return any(isinstance(h, prune.BasePruningMethod) for h in module._forward_pre_hooks.values())
