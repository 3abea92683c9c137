"""Faults in reading and writing by an index."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, valid-type, assignment, attr-defined"
from __future__ import annotations

import torch

from conformance.faults.fault import fault, kernel, replace


def is_index(index, kind):
    """Whether a part of an index is of this kind."""
    return any(isinstance(part, kind) for part in (index if isinstance(index, tuple) else (index,)))


@fault("tensors.Tensor.__getitem__", "any_index_reads_and_writes_as_numpy_does")
def steps_of_slices_ignored():
    """A slice with a step of three takes every second element."""

    @replace("Tensor.__getitem__")
    def stepless(getitem, self, index):
        if isinstance(index, tuple):
            index = tuple(
                slice(i.start, i.stop, 2) if isinstance(i, slice) and i.step == 3 else i for i in index
            )  # fmt: skip
        return getitem(self, index)


@fault("tensors.Tensor.__setitem__", "any_index_reads_and_writes_as_numpy_does", "writes_broadcast_cast_and_add_up")
def writes_through_lists_lost():
    """x[list] = value writes into a copy."""

    @replace("Tensor.__setitem__")
    def lost(setitem, self, index, value):
        if is_index(index, torch.Tensor) or is_index(index, list):
            return setitem(self.clone(), index, value)
        return setitem(self, index, value)


@fault(
    "tensors.Tensor.__getitem__",
    "masks_of_two_dimensions_take_two",
    green=("any_index_reads_and_writes_as_numpy_does",),
)
def masks_taken_transposed():
    """Elements under a mask of two dimensions come column by column."""

    @replace("Tensor.__getitem__")
    def columns(getitem, self, index):
        got = getitem(self, index)
        if isinstance(index, tuple) and any(getattr(i, "dtype", None) == torch.bool and i.dim() == 2 for i in index):
            return got.flip(0) if got.dim() else got
        return got


@fault("tensors.Tensor.__getitem__", "gradients_of_an_index_go_where_it_read", models="pytorch/pytorch#136662")
def repeated_indices_count_once():
    """The gradient of an element that is read twice is that of one reading."""

    @kernel("_index_put_impl_")
    def once(original, self, indices, values, accumulate=False, unsafe=False):
        return original(self, indices, values, False, unsafe)


@fault("tensors.Tensor.__getitem__", "illegal_indices_are_refused", green=("any_index_reads_and_writes_as_numpy_does",))
def indices_clamped():
    """A number beyond the end of a dimension reads the last element."""

    @replace("Tensor.__getitem__")
    def clamped(getitem, self, index):
        if type(index) is int and self.dim():
            index = min(index, self.shape[0] - 1)
        return getitem(self, index)
