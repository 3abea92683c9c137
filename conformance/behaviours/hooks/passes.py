"""Hooks of all kinds together, in random programs beside the model."""

from __future__ import annotations

import warnings

import torch

from conformance.behaviours.machines import driver
from conformance.behaviours.machines.passes import PASSES
from conformance.behaviours.promise import promise

PROGRAMS, LINES = 6, 30


@promise("hooks", "nn.Module", link="notes/autograd.html#backward-hooks-execution", searches=True)
def random_passes_follow_the_model(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """Whatever hooks there are, passes fire them in the documented order, with the gradients that are right by hand."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hook that fires at the output says so
        for i in range(PROGRAMS):
            driver.check(PASSES, seed * PROGRAMS + i, LINES, str(device))
