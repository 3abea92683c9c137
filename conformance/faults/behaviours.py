"""Faults in what torch promises beside its numbers."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault


@fault("autograd.no_grad", "modes_nest_and_are_restored", green=("results_need_no_gradient",))
def grad_mode_not_restored():
    """Leaving no_grad always enables gradients."""

    def leave(self, *raised):
        torch.set_grad_enabled(True)

    torch.no_grad.__exit__ = leave  # type: ignore[method-assign]


@fault("autograd.inference_mode", "inference_tensors_are_not_recorded_later", green=("results_need_no_gradient",))
def inference_mode_is_no_grad():
    """inference_mode disables gradients alone: its tensors are ordinary ones."""
    torch.inference_mode = torch.no_grad  # type: ignore[misc,assignment]
