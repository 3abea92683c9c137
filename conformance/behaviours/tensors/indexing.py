"""Indexing as NumPy has it, read and written, and devices."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

INDEX = "tensors.html"
SHAPE = (4, 3, 5)
KINDS = ("number", "slice", "slice", "list", "grid", "mask")


def drawn(draw: random.Random, kinds: tuple[str, ...] = KINDS) -> tuple[Any, ...]:
    """An index of a tensor of SHAPE: numbers, slices, new axes, an ellipsis, lists of numbers that broadcast, masks."""
    index: list[Any] = []
    axis, many = 0, draw.choice((1, 2))
    while axis < draw.choice((1, 2, 3, 3)):
        n = SHAPE[axis]
        kind = draw.choice(kinds)
        if kind == "number":
            index.append(draw.randrange(-n, n))
        elif kind == "slice":
            ends = [None, *range(-n - 1, n + 2)]
            index.append(slice(draw.choice(ends), draw.choice(ends), draw.choice((None, 1, 2, 3))))
        elif kind == "list":
            index.append(np.array([draw.randrange(-n, n) for _ in range(many)]))
        elif kind == "grid":
            index.append(np.array([[draw.randrange(-n, n)] for _ in range(3)]))
        elif kind == "mask":
            mask = np.zeros(n, bool)
            mask[draw.sample(range(n), many)] = True
            index.append(mask)
        elif kind == "plane" and axis + 1 < 3:
            mask = np.zeros((n, SHAPE[axis + 1]), bool)
            mask.flat[draw.sample(range(mask.size), many)] = True
            index.append(mask)
            axis += 1
        else:
            index.append(slice(None))
        axis += 1
    for _ in range(draw.choice((0, 0, 1, 2))):
        index.insert(draw.randrange(len(index) + 1), None)
    if draw.random() < 0.4:  # what follows an ellipsis is about the last dimensions
        index.insert(draw.randrange(len(index) + 1) if axis == 3 else len(index), Ellipsis)
    return tuple(index)


def parted(index: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The numbers of an index, which torch applies first, and the rest; NumPy lets numbers broadcast with lists."""
    masks = {i: part.ndim for i, part in enumerate(index) if isinstance(part, np.ndarray) and part.dtype == np.bool_}
    used = sum(masks.get(i, 1) for i, part in enumerate(index) if part is not None and part is not Ellipsis)
    first: list[Any] = []
    rest: list[Any] = []
    for i, part in enumerate(index):
        whole = [slice(None)] * (len(SHAPE) - used if part is Ellipsis else 0 if part is None else masks.get(i, 1))
        first += [part] if isinstance(part, int) else whole
        rest += whole if part is Ellipsis else [] if isinstance(part, int) else [part]
    return (*first, Ellipsis), tuple(rest)


def asked(index: tuple[Any, ...], device: torch.device) -> tuple[Any, ...]:
    """The same index with tensors for arrays."""
    return tuple(torch.from_numpy(i).to(device) if isinstance(i, np.ndarray) else i for i in index)


@promise(
    "tensors",
    "Tensor.__getitem__",
    "Tensor.__setitem__",
    link=INDEX,
    levels={"float32": 1, "bool": 3, "complex64": 3, "bfloat16": 3},
)
def any_index_reads_and_writes_as_numpy_does(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """Contents are read and written by Python's indexing and slicing notation, basic and advanced, as in NumPy."""
    draw = random.Random(seed)
    for _ in range(8):
        index, whole = drawn(draw), np.arange(60).reshape(SHAPE)
        numbers, rest = parted(index)
        a = whole[numbers]
        base = torch.arange(60, device=device).to(dtype).view(SHAPE)
        try:
            want = np.asarray(a[rest])
        except IndexError:  # lists that do not broadcast
            continue
        got = base[asked(index, device)]
        same(
            (got.shape, got.tolist()),
            (torch.Size(want.shape), torch.from_numpy(want.copy()).to(dtype).tolist()),
            f"x[{index}]",
        )
        basic = not any(isinstance(i, np.ndarray) for i in index)
        same(
            got.untyped_storage().data_ptr() == base.untyped_storage().data_ptr(), basic or (got.numel() == 0 and basic)
        )
        value = np.arange(100, 100 + want.size).reshape(want.shape) % 2 if draw.random() < 0.5 else np.array(1)
        unique = want.size == np.unique(want).size
        if unique or value.ndim == 0:
            a[rest] = value
            base[asked(index, device)] = torch.from_numpy(np.asarray(value)).to(device).to(dtype)
            same(base.tolist(), torch.from_numpy(whole).to(dtype).tolist(), f"x[{index}] = {value.tolist()}")


@promise("tensors", "Tensor.__getitem__", link=INDEX, levels={"float32": 2, "bool": 3})
def masks_of_two_dimensions_take_two(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """A mask of two dimensions stands for two dimensions of the tensor, with anything before or behind it."""
    draw, base = random.Random(seed), torch.arange(60, device=device).to(dtype).view(SHAPE)
    for _ in range(8):
        numbers, rest = parted(index := drawn(draw, ("plane", "number", "slice")))
        want = np.arange(60).reshape(SHAPE)[numbers][rest]
        same(base[asked(index, device)].tolist(), torch.from_numpy(np.asarray(want)).to(dtype).tolist(), f"x[{index}]")


@promise("tensors", "Tensor.__getitem__", link=INDEX, levels={"float32": 2, "float64": 3})
def gradients_of_an_index_go_where_it_read(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """The gradient of what an index reads is added up where it was read from, once for each time that it was."""
    draw = random.Random(seed)
    for _ in range(4):
        index = drawn(draw)
        numbers, rest = parted(index)
        try:
            read = np.arange(60).reshape(SHAPE)[numbers][rest]
        except IndexError:
            continue
        x = torch.zeros(SHAPE, dtype=dtype, device=device, requires_grad=True)
        c = np.arange(1, read.size + 1).reshape(read.shape) % 8 - 3.0
        x[asked(index, device)].backward(torch.from_numpy(np.asarray(c)).to(device).to(dtype))
        want = np.zeros(60)
        np.add.at(want, read.reshape(-1), np.asarray(c).reshape(-1))
        same(x.grad.flatten().tolist(), want.tolist(), f"index {index}")


@promise("tensors", "Tensor.__getitem__", "Tensor.__setitem__", link=INDEX)
def illegal_indices_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """An index out of range, one too many, a mask of another shape, a step backwards or a float are errors."""
    x = torch.zeros(3, 4, dtype=dtype, device=device)
    for index in (3, -4, (0, 4), (0, 0, 0), torch.tensor([True, False]), torch.tensor([0, 3]), (0, torch.tensor([-5]))):
        if device.type == "cpu" or not isinstance(index, torch.Tensor):  # kernels of other devices assert later
            raises(IndexError, lambda i=index: x[i])
            raises(IndexError, lambda i=index: x.__setitem__(i, 1.0))
    raises(ValueError, lambda: x[::-1], "step must be greater than zero")
    raises((TypeError, IndexError), lambda: x[1.5])
    raises(IndexError, lambda: torch.tensor(1.0)[0], "0-dim")
    raises(RuntimeError, lambda: x.__setitem__(0, torch.ones(3)), "expand")


@promise("tensors", "Tensor.__setitem__", "Tensor.index_put_", link="generated/torch.Tensor.index_put_.html")
def writes_broadcast_cast_and_add_up(device: torch.device, dtype: torch.dtype) -> None:
    """What is assigned is broadcast and cast; index_put_ with accumulate adds up where an index repeats."""
    x = torch.zeros(2, 3, dtype=dtype, device=device)
    x[:, 1] = torch.tensor([1, 2], device=device)
    x[0] = torch.tensor([[[5.0, 6.0, 7.0]]], dtype=torch.float64, device=device)
    x[1, [0, 2]] = 9
    same(x.tolist(), [[5.0, 6.0, 7.0], [9.0, 2.0, 9.0]])
    x[x > 6] = -1
    same(x.tolist(), [[5.0, 6.0, -1.0], [-1.0, 2.0, -1.0]])
    where = (torch.tensor([0, 0, 1], device=device), torch.tensor([1, 1, 2], device=device))
    x.index_put_(where, torch.tensor([10.0, 20.0, 30.0], dtype=dtype, device=device), accumulate=True)
    same(x.tolist(), [[5.0, 36.0, -1.0], [-1.0, 2.0, 29.0]])
    whole = torch.zeros(3, dtype=torch.int64, device=device)
    whole[:] = torch.tensor([1.9, -1.9, 0.5], device=device)
    same(whole.tolist(), [1, -1, 0])
    x[...] = 3
    x[True] = 4
    x[False] = 5
    same(x.tolist(), [[4.0] * 3] * 2)


@promise("tensors", "Tensor.to", "Tensor.device", link="tensor_attributes.html#torch-device", levels={"float32": 1})
def devices_do_not_mix(device: torch.device, dtype: torch.dtype) -> None:
    """Operands on two devices are refused, but for a 0-d tensor of the CPU; to() copies, unless it is there already."""
    x = torch.ones(2, dtype=dtype, device=device)
    other = torch.device("meta") if device.type == "cpu" else torch.device("cpu")
    y = torch.ones(2, dtype=dtype, device=other)
    for mixed in (lambda: x + y, lambda: torch.cat([x, y]), lambda: torch.dot(x, y), lambda: torch.where(x > 0, x, y)):
        raises((RuntimeError, NotImplementedError), mixed, "device")
    same((x.to(device) is x, x.cpu() is x, (x + torch.tensor(2.0)).tolist()), (True, device.type == "cpu", [3.0, 3.0]))
    same((x.to("meta").is_meta, x.to("meta").shape), (True, x.shape))
    raises((RuntimeError, NotImplementedError), lambda: x.to("meta").cpu(), "meta")
    same(x.to("cpu").to(device), x)


@promise(
    "tensors",
    "nn.Module.to",
    "nn.Module.cpu",
    "nn.Module.double",
    link="generated/torch.nn.Module.html#torch.nn.Module.to",
)
def modules_move_in_place(device: torch.device, dtype: torch.dtype) -> None:
    """to, double, half and their like move a module in place: parameters stay the same objects, integers keep dtype."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    weight = net[0].weight
    weight.grad = torch.ones(2, 2)
    same((net.to(device) is net, net[0].weight is weight, weight.device.type), (True, True, device.type))
    net.double()
    same((weight.dtype, weight.grad.dtype, net[1].running_mean.dtype), (torch.float64,) * 3)
    same((net[0].weight is weight, net[1].num_batches_tracked.dtype), (True, torch.int64))
    same((net.half()[0].bias.dtype, net.to(dtype)[0].bias.dtype), (torch.float16, dtype))
    raises(TypeError, lambda: net.to(torch.int64), "floating point or complex")
    net.to("meta")
    raises(NotImplementedError, lambda: net.to(device), "meta")
    same((net.to_empty(device=device)[0].weight.device.type, net[0].weight.shape), (device.type, torch.Size([2, 2])))
