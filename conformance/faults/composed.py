"""Faults that no single op shows: they need two that follow each other, or share something."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault, replace


@fault("composed.changes", "edges", green=("value",), level=3)
def change_of_a_view_not_recorded():
    """A view that is multiplied in place changes its base, and autograd does not hear of it."""

    @replace("Tensor.mul_")
    def mul_(original, self, other):
        if self._is_view():
            with torch.no_grad():
                original(self.detach(), other)
            return self
        return original(self, other)


@fault("composed.calls", "vjp", "reverse_over_reverse", green=("value",), level=3)
def operand_twice_counts_once():
    """A product of a tensor with itself has the gradient of one factor."""

    @replace("mul")
    def mul(original, input, other):
        return original(input, other.detach() if other is input else other)


@fault("composed.views", "vjp", green=("value",), level=3)
def view_of_a_view_counts_twice():
    """The gradient of an unsqueezed view is twice what it should be."""

    @replace("unsqueeze")
    def unsqueeze(original, input, dim):
        out = original(input, dim)
        if input._is_view() and out.requires_grad:
            out.register_hook(lambda g: 2 * g)
        return out
