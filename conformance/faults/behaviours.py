"""Faults in what torch promises beside its numbers."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault, replace


@fault("autograd.no_grad", "modes_nest_and_are_restored", green=("results_need_no_gradient",))
def grad_mode_not_restored():
    """Leaving no_grad always enables gradients."""

    def leave(self, *raised):
        torch.set_grad_enabled(True)

    torch.no_grad.__exit__ = leave  # type: ignore[method-assign]


@fault(
    "autograd.inference_mode", "inference_tensors_are_not_recorded_later", "inference_tensors_are_changed_inside_alone",
    green=("results_need_no_gradient",),
)  # fmt: skip
def inference_mode_is_no_grad():
    """inference_mode disables gradients alone: its tensors are ordinary ones."""
    torch.inference_mode = torch.no_grad  # type: ignore[misc,assignment]


@fault("autograd.inference_mode", "inference_mode_can_be_switched_off", green=("results_need_no_gradient",))
def inference_mode_always_on():
    """inference_mode(False) is inference_mode(True)."""

    @replace("inference_mode.__enter__")
    def enter(original, self):
        self.mode = True
        return original(self)


@fault(
    "autograd.no_grad", "views_made_without_gradients_are_not_changed_with_them",
    green=("results_need_no_gradient",),
)  # fmt: skip
def slices_always_recorded():
    """Under no_grad a slice has a history, and can be changed in place afterwards."""

    @replace("Tensor.__getitem__")
    def recorded(getitem, self, index):
        with torch.enable_grad():
            return getitem(self, index)
