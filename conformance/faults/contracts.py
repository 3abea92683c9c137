"""Faults against promises: in-place methods, out=, aliases, refusals, autocast."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import below, fault, kernel, replace, skip_kernel
from conformance.faults.kernels import ISSUE, dense_strides


@fault("sigmoid", "inplace", models=ISSUE + "24413", green=("value", "vjp"))
def version_not_bumped():
    """An in-place method does not raise its tensor's version."""
    skip_kernel("sigmoid_", "ADInplaceOrView")


@fault("log", "inplace", models=ISSUE + "136662", green=("value", "vjp", "spellings"))
def never_written_back():
    """An in-place method computes in a copy that is never written back."""

    @kernel("log_")
    def log_(original, x):
        original(x.clone())
        return x


@fault("sqrt", "out", models=ISSUE + "60492", green=("value", "vjp", "spellings"))
def out_strides_ignored():
    """out= writes into a strided tensor as if it were contiguous."""

    @kernel("sqrt.out")
    def sqrt(original, x, *, out):
        original(x, out=out.as_strided(x.shape, dense_strides(x)))
        return out


@fault("atan2", "spellings", green=("value", "vjp"))
def alias_swaps_arguments():
    """An alias takes its arguments in the other order."""

    @replace("arctan2")
    def arctan2(original, input, other):
        return original(other, input)


@fault("remainder", "promotion", green=("value", "vjp", "broadcast"))
def first_dtype_wins():
    """The result of operands of two dtypes has the first one's, not the wider."""

    @replace("remainder")
    def remainder(original, input, other):
        return original(input, other.to(input.dtype) if isinstance(other, torch.Tensor) else other)


@fault("dot", "errors", green=("value", "vjp"))
def lengths_not_compared():
    """An illegal call is accepted: of two vectors of different lengths, the longer is cut off."""

    @replace("dot")
    def dot(original, input, tensor):
        n = min(len(input), len(tensor)) if input.dim() == tensor.dim() == 1 else None
        return original(input[:n], tensor[:n]) if n is not None else original(input, tensor)


@fault("mm", "autocast", green=("value", "vjp"))
def autocast_to_float16():
    """Autocast to bfloat16 computes in float16."""

    @kernel("mm", "AutocastCPU")
    def mm(original, a, b):
        with below("AutocastCPU"):
            return torch.mm(a.half(), b.half())
