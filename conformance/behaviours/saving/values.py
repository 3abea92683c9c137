"""What a tensor is after it has been saved and loaded: numbers, dtype, layout, strides, kind."""

from __future__ import annotations

import collections
import pickle
import re
import sys
import types

import numpy as np
import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.saving.through import through
from conformance.behaviours.say import raises, same

NOTES = "notes/serialization.html"
TENSORS = f"{NOTES}#saving-and-loading-tensors"


@promise(
    "serialization", "save", "load", link=TENSORS, levels={"float32": 1, "bfloat16": 3, "float64": 3, "complex64": 3}
)
def a_tensor_comes_back(device: torch.device, dtype: torch.dtype) -> None:
    """torch.save() and torch.load() let you easily save and load tensors, in either file format, on their device."""
    t = torch.tensor([1.5, -2.0, 0.0, float("inf")], dtype=dtype, device=device)
    for zipped in (True, False):
        for weights_only in (True, False):
            got = through(t, zipped, weights_only=weights_only)
            same(got, t)
            same((got.device, got.requires_grad), (t.device, False))


@promise("serialization", "save", link=TENSORS)
def every_dtype_comes_back_bit_for_bit(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors of every dtype are saved; those of less than a byte and quantized ones apart."""
    raw = torch.arange(1, 49, dtype=torch.uint8, device=device)
    for kind in {v for v in vars(torch).values() if isinstance(v, torch.dtype)}:
        if re.search(r"int[1-7]$|bits|q", str(kind)):
            continue
        if re.search("fnuz|complex32", str(kind)) and not hasattr(torch, "uint16"):
            continue  # before 2.3 these could not be saved, and nothing said that they can
        t = raw.clone().view(kind) if kind != torch.bool else raw % 2 == 0
        got = through(t)
        same((got.dtype, got.view(torch.uint8).tolist()), (kind, t.view(torch.uint8).tolist()), str(kind))


@promise("serialization", "save", link=TENSORS)
def the_old_format_keeps_the_dtypes_that_it_has(device: torch.device, dtype: torch.dtype) -> None:
    """The format before 1.6 has the dtypes with a typed storage; of any other it says so, and writes nothing wrong."""
    raw = torch.arange(1, 49, dtype=torch.uint8, device=device)
    typed = "float64 float32 float16 bfloat16 complex128 complex64 int64 int32 int16 int8 uint8"
    for name in typed.split():
        t = raw.clone().view(getattr(torch, name))
        got = through(t, False)
        same((got.dtype, got.view(torch.uint8).tolist()), (t.dtype, t.view(torch.uint8).tolist()), name)
    same(through(raw % 2 == 0, False), raw % 2 == 0)


@promise("serialization", "save", "load", link=TENSORS, levels={"float32": 2, "complex64": 3, "bfloat16": 3})
def shape_strides_and_offset_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor is saved with its metadata: size, stride and offset into its storage."""
    base = torch.arange(48, device=device).to(dtype).view(2, 3, 2, 4)
    views = [base.transpose(0, 3), base[:, 1:, :, ::2], base[1, 2], base[1, 2, 1, 3], base[:, :0], base.flatten()[5:6]]
    views += [base[:1].expand(5, 3, 2, 4), base.to(memory_format=torch.channels_last), base.diagonal(0, 1, 2)]
    views += [torch.empty(0, dtype=dtype, device=device), torch.empty(3, 0, 2, dtype=dtype, device=device)]
    for t in views:
        for zipped in (True, False):
            got = through(t, zipped)
            same((got.shape, got.stride(), got.storage_offset()), (t.shape, t.stride(), t.storage_offset()))
            same(got, t)


@promise("serialization", "save", link=TENSORS, levels={"complex64": 2})
def lazy_conjugates_and_negatives_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """A conjugated or negated view keeps its numbers and its bit."""
    z = torch.tensor([1 + 2j, -3 - 4j], dtype=dtype, device=device)
    for zipped in (True, False):
        got = through([z.conj(), z.clone().conj().imag, z], zipped)
        same(got, [torch.tensor([1 - 2j, -3 + 4j], dtype=dtype), torch.tensor([-2.0, 4.0]), z])
        same((got[0].is_conj(), got[1].is_neg(), got[2].is_conj()), (True, True, False))


@promise("serialization", "save", "load", link="sparse.html")
def sparse_tensors_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors of every sparse layout keep layout, indices, values and whether they are coalesced."""
    indices = torch.tensor([[0, 1, 1, 0], [2, 0, 0, 2]], device=device)
    values = torch.tensor([[3.0, 1.0], [4.0, 0.0], [5.0, -1.0], [6.0, 2.0]], dtype=dtype, device=device)
    coo = torch.sparse_coo_tensor(indices, values, (2, 3, 2))
    empty = torch.sparse_coo_tensor(size=(2, 3), dtype=dtype, device=device)
    for zipped in (True, False):
        for t in (coo, coo.coalesce(), empty):
            got = through(t, zipped)
            same((got.layout, got.shape, got.is_coalesced()), (torch.sparse_coo, t.shape, t.is_coalesced()))
            same((got._indices(), got._values()), (t._indices(), t._values()))
        dense = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 3.0, 4.0]], dtype=dtype, device=device)
        for kind, block in (("csr", ()), ("csc", ()), ("bsr", ((1, 2),)), ("bsc", ((2, 1),))):
            got = through(getattr(dense, f"to_sparse_{kind}")(*block), zipped)
            same((got.layout, got.to_dense()), (getattr(torch, f"sparse_{kind}"), dense), kind)


@promise("serialization", "save", needs=("quantize_per_tensor",), link="quantization.html")
def quantized_tensors_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """Quantized tensors keep their integers, scales and zero points, for a tensor or for each channel."""
    x = torch.tensor([[1.0, 2.0], [-3.0, 4.0]], device=device)
    one = torch.quantize_per_tensor(x, 0.5, 7, torch.quint8)
    scales, zeros = torch.tensor([0.5, 0.25], device=device), torch.tensor([1, 2], device=device)
    each = torch.quantize_per_channel(x, scales, zeros, 0, torch.qint8)
    for zipped in (True, False):
        got = through([one, each], zipped, weights_only=False)
        same((got[0].int_repr().tolist(), got[0].q_scale(), got[0].q_zero_point()), ([[9, 11], [1, 15]], 0.5, 7))
        same(got[1].int_repr().tolist(), [[3, 5], [-10, 18]])
        same(
            (got[1].q_per_channel_scales().tolist(), got[1].q_per_channel_zero_points().tolist()), ([0.5, 0.25], [1, 2])
        )
        same((got[0].dtype, got[1].dtype, got[1].q_per_channel_axis()), (torch.quint8, torch.qint8, 0))


@promise("serialization", "save", link="nested.html")
def nested_tensors_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """A nested tensor comes back with the same parts."""
    parts = [
        torch.tensor([1.0, -2.0], dtype=dtype, device=device),
        torch.tensor([3.0, 4.0, 5.0], dtype=dtype, device=device),
    ]
    got = through(torch.nested.nested_tensor(parts), weights_only=False)
    same(list(got.unbind()), parts)


@promise("serialization", "save", link="generated/torch.save.html")
def nested_tensors_come_back_from_the_old_format(device: torch.device, dtype: torch.dtype) -> None:
    """A nested tensor that torch.save has written in the old format comes back with the same parts."""
    parts = [torch.tensor([1.0, -2.0], device=device), torch.tensor([3.0, 4.0, 5.0], device=device)]
    got = through(torch.nested.nested_tensor(parts), False, weights_only=False)
    same(list(got.unbind()), parts)


@promise(
    "serialization", "save", "load", link=f"{NOTES}#saving-and-loading-tensors", levels={"float32": 2, "complex64": 3}
)
def parameters_and_requires_grad_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """A parameter comes back as one; requires_grad is kept, and what was computed becomes a leaf."""
    w = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=dtype, device=device))
    frozen = torch.nn.Parameter(torch.tensor([3.0], dtype=dtype, device=device), requires_grad=False)
    for zipped in (True, False):
        a, b, c = through([w, frozen, w * 2], zipped)
        same((type(a), type(b), type(c)), (torch.nn.Parameter, torch.nn.Parameter, torch.Tensor))
        same((a.requires_grad, b.requires_grad, c.requires_grad), (True, False, True))
        same((a.is_leaf, c.is_leaf, c.grad_fn), (True, True, None))
        same((a.detach(), c.detach()), (w.detach(), torch.tensor([2.0, 4.0], dtype=dtype)))


class Tagged(torch.Tensor):
    """A subclass with an attribute of its own."""


@promise("serialization", "save", "load", link="notes/extending.html#subclassing-torch-tensor")
def subclasses_and_attributes_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor of a subclass comes back in its class with its attributes."""
    Tagged.__module__ = "tagged"  # as if it were of a module that the reader can import
    module = types.ModuleType("tagged")
    module.Tagged = Tagged
    sys.modules["tagged"] = module
    try:
        t = torch.tensor([1.0, 2.0, 3.0], dtype=dtype, device=device)[1:].as_subclass(Tagged)
        t.tag = {"unit": "m"}
        for zipped in (True, False):
            got = through(t, zipped, weights_only=False)
            same((type(got), got.tag, got.storage_offset()), (Tagged, {"unit": "m"}, 1))
            same(got.as_subclass(torch.Tensor), torch.tensor([2.0, 3.0], dtype=dtype))
            raises(pickle.UnpicklingError, lambda z=zipped: through(t, z))
    finally:
        del sys.modules["tagged"]


@promise("serialization", "save", "load", link="generated/torch.save.html")
def containers_and_plain_values_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """Lists, tuples, dicts, numbers, texts and bytes around tensors come back as they were, in their order."""
    t = torch.tensor([1.0, -2.0], dtype=dtype, device=device)
    thing = {"b": [t, (t * 2, None, True)], "a": {1: "text \u00e9", 2.5: -(10**30)}, (3, "k"): torch.Size([2, 3])}
    plain = {"z": 1j, "y": b"\x00\xff", "x": {1, 2}, "w": torch.float16, "v": float("-inf"), "u": []}
    ordered = collections.OrderedDict([("second", t), ("first", 65536)])
    for zipped in (True, False):
        same(through(thing, zipped), thing)
        same(through(plain, zipped, weights_only=False), plain)
        got = through(ordered, zipped)
        same((type(got), got), (collections.OrderedDict, ordered))


@promise("serialization", "save", "load", link="generated/torch.Tensor.numpy.html")
def numpy_arrays_come_back_where_they_are_trusted(device: torch.device, dtype: torch.dtype) -> None:
    """Any picklable object is saved: an array of NumPy comes back, with weights_only=False."""
    a = np.arange(6.0).reshape(2, 3).T
    for zipped in (True, False):
        got = through({"a": a}, zipped, weights_only=False)["a"]
        same((got.tolist(), str(got.dtype), got.shape), (a.tolist(), "float64", (3, 2)))
