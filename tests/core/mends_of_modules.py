"""Mends of autograd, containers and modules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from conformance.behaviours.autograd.functions import Once
from tests.core.mending import mends


@mends(("autograd.function.once_differentiable", "a_second_derivative_is_never_left_out"))
def first_derivatives_lead_to_an_error(patch: pytest.MonkeyPatch) -> None:
    """Whatever the cotangent is, the way from the first derivative to what forward has saved is one that raises."""
    backward = Once.backward

    def guarded(ctx: Any, g: Any) -> Any:
        return Refused.apply(backward(ctx, g), *ctx.saved_tensors)

    patch.setattr(Once, "backward", staticmethod(guarded))


class Refused(torch.autograd.Function):
    """The first argument, whose derivative is an error."""

    @staticmethod
    def forward(ctx: Any, value: Any, saved: Any) -> Any:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        raise RuntimeError("differentiated twice")


def renumbered(container: Any, modules: list[Any]) -> Any:
    """The container with these modules, named by their numbers."""
    container._modules.clear()
    container._modules.update({str(i): module for i, module in enumerate(modules)})
    return container


@mends(
    ("containers.nn.Sequential", "a_slice_grows_at_its_end"),
    ("containers.nn.Sequential", "a_cascade_with_names_is_inserted_into"),
    ("containers.nn.ModuleList", "insertion_counts_like_that_of_a_list"),
    ("modules.nn.Sequential", "a_module_appended_to_a_slice_comes_last"),
    ("modules.nn.Sequential", "a_list_is_extended_by_itself"),
    ("modules.nn.ModuleList", "an_index_counts_from_the_end_where_it_is_negative"),
)
def containers_are_lists(patch: pytest.MonkeyPatch) -> None:
    """Edits are those of the list of modules."""

    def edit(name: str) -> Callable[..., Any]:
        def edited(self: Any, *given: Any) -> Any:
            modules = list(self)
            getattr(modules, name)(*given)
            return renumbered(self, modules)

        return edited

    for kind in (nn.Sequential, nn.ModuleList):
        for name in ("append", "insert", "extend"):
            patch.setattr(kind, name, edit(name))
        patch.setattr(kind, "__iadd__", edit("extend"))


@mends(("containers.nn.ParameterDict", "a_missing_key_is_a_key_error"))
def missing_keys_are_told(patch: pytest.MonkeyPatch) -> None:
    """Keys are looked for before attributes are."""
    getitem = nn.ParameterDict.__getitem__

    def told(self: Any, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getitem(self, key)

    patch.setattr(nn.ParameterDict, "__getitem__", told)


@mends(("modules.nn.Module.load_state_dict", "a_plain_load_copies_whatever_was_loaded_before"))
def loads_leave_the_metadata(patch: pytest.MonkeyPatch) -> None:
    """What is loaded is a copy, with its metadata."""
    load = nn.Module.load_state_dict

    def copied(self: Any, state: Any, *args: Any, **options: Any) -> Any:
        given = state.copy()
        given._metadata = {name: dict(kept) for name, kept in state._metadata.items()}
        return load(self, given, *args, **options)

    patch.setattr(nn.Module, "load_state_dict", copied)


@mends(("modules.nn.Module.load_state_dict", "keys_of_no_module_are_unexpected"))
def children_that_are_none_expect_nothing(patch: pytest.MonkeyPatch) -> None:
    """A child that is None is left out where keys are looked for."""
    load = nn.Module._load_from_state_dict

    @functools.wraps(load)
    def looked(self: Any, *args: Any) -> None:
        whole = self._modules
        self._modules = {name: child for name, child in whole.items() if child is not None}
        try:
            load(self, *args)
        finally:
            self._modules = whole

    patch.setattr(nn.Module, "_load_from_state_dict", looked)


@mends(("autograd.Tensor.narrow", "a_view_of_what_became_differentiable_may_change"))
def views_ask_for_their_history_first(patch: pytest.MonkeyPatch) -> None:
    """What is to be changed is asked for its grad_fn, which brings a view's history up to date."""
    multiply = torch.Tensor.mul_
    patch.setattr(torch.Tensor, "mul_", lambda t, other: (t.grad_fn, multiply(t, other))[1])


@mends(("autograd.Tensor.neg_", "what_became_dual_in_place_may_change_again"))
def changes_are_copied_in(patch: pytest.MonkeyPatch) -> None:
    """The product is computed beside the tensor, and copied into it."""
    patch.setattr(torch.Tensor, "mul_", lambda t, other: t.copy_(t * other))
