"""Tensors from Python, NumPy, buffers and DLPack, and back: dtypes, copies and shared memory."""

from __future__ import annotations

import array
import copy
import warnings

import numpy as np
import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same
from conformance.checks.check import Unsupported

# dtypes that have the same name in both
NUMPY = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex128", "complex64"]


@promise("tensors", "tensor", levels={"float32": 1})
def lists_become_tensors_of_the_dtype_that_fits(device: torch.device, dtype: torch.dtype) -> None:
    """The dtype is inferred: bool, int64, the default floating dtype or its complex one; a list is nested evenly."""
    for data, kind, shape in [
        ([True, False], torch.bool, (2,)), ([1, -2, 3], torch.int64, (3,)), ([[1.5, 2], [3, 4]], torch.float32, (2, 2)),
        ([1, 2j], torch.complex64, (2,)), (7, torch.int64, ()), ([], torch.float32, (0,)),
        ([[], []], torch.float32, (2, 0)),
        ((1, (2.0)), torch.float32, (2,)), ([True, 2], torch.int64, (2,)), (np.float64(1.5), torch.float64, ()),
        (np.array([1, 2], np.int16), torch.int16, (2,)), (range(3), torch.int64, (3,)),
    ]:  # fmt: skip
        t = torch.tensor(data, device=device)
        same(
            (t.dtype, t.shape, t.tolist()),
            (kind, torch.Size(shape), np.asarray(data).astype(str(kind)[6:]).tolist()),
        )
    same(torch.tensor([1, 0], dtype=dtype, device=device, requires_grad=True).requires_grad, True)
    raises(ValueError, lambda: torch.tensor([[1, 2], [3]]), "length")
    raises((TypeError, ValueError, RuntimeError), lambda: torch.tensor(["a"]))


@promise("tensors", "set_default_dtype", "get_default_dtype")
def the_default_dtype_decides_for_numbers(device: torch.device, dtype: torch.dtype) -> None:
    """Python floats become the default dtype, complex ones its complex dtype; integers and arrays do not follow it."""
    try:
        for kind, pair in ((torch.float64, torch.complex128), (torch.float32, torch.complex64)):
            torch.set_default_dtype(kind)
            made = [
                torch.tensor(1.5),
                torch.tensor(1j),
                torch.zeros(2),
                torch.rand(2),
                torch.arange(0.5),
                torch.tensor([1]) / 2,
            ]
            same([t.dtype for t in made], [kind, pair, kind, kind, kind, kind])
            same((torch.tensor(3).dtype, torch.tensor(np.float32(1)).dtype), (torch.int64, torch.float32))
        raises(TypeError, lambda: torch.set_default_dtype(torch.int64))
    finally:
        torch.set_default_dtype(torch.float32)


@promise("tensors", "set_default_device", "get_default_device", needs=("set_default_device",))
def the_default_device_decides_for_factories(device: torch.device, dtype: torch.dtype) -> None:
    """Factories make tensors on the default device, or that of the context; an explicit device wins."""
    with torch.device("meta"):
        same([torch.zeros(2).device.type, torch.zeros(2, device="cpu").device.type], ["meta", "cpu"])
    try:
        torch.set_default_device("meta")
        same((torch.ones(2).device.type, torch.tensor([1.0]).device.type), ("meta", "meta"))
    finally:
        torch.set_default_device(None)
    same(torch.ones(2).device.type, "cpu")


@promise("tensors", "from_numpy", "Tensor.numpy", link="generated/torch.from_numpy.html", levels={"float32": 1})
def arrays_and_tensors_share_memory(device: torch.device, dtype: torch.dtype) -> None:
    """from_numpy and numpy() share memory: dtype, shape and strides are kept, changes of either show in the other."""
    for name in NUMPY:
        a = np.arange(12).reshape(3, 4).astype(name)
        for view in (a, a.T, a[1:, ::2], a[2], a[0, 1:1]):
            t = torch.from_numpy(view)
            same((t.dtype, t.shape), (getattr(torch, name), torch.Size(view.shape)))
            same([s * t.element_size() for s in t.stride()], list(view.strides))
            same((t.tolist(), t.numpy().tolist(), t.numpy().dtype == a.dtype), (view.tolist(), view.tolist(), True))
        torch.from_numpy(a)[0, 0] = 1
        same(a[0, 0].item(), np.ones(1, name)[0].item())
        t = torch.zeros(3, dtype=getattr(torch, name))
        t.numpy()[1] = 1
        same(t.tolist(), np.array([0, 1, 0], name).tolist())
    raises(ValueError, lambda: torch.from_numpy(np.arange(3)[::-1]), "negative")
    raises(TypeError, lambda: torch.from_numpy(np.array(["a"])))


@promise("tensors", "Tensor.numpy")
def what_cannot_be_shared_is_refused_or_forced(device: torch.device, dtype: torch.dtype) -> None:
    """numpy() refuses what requires gradients, lazy conjugates and dtypes that NumPy lacks; force=True copies."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, requires_grad=True)
    raises(RuntimeError, x.numpy, "requires grad")
    z = torch.tensor([1 + 2j]).conj()
    raises(RuntimeError, z.numpy, "conj")
    raises(TypeError, torch.ones(2, dtype=torch.bfloat16).numpy, "BFloat16")
    same((x.numpy(force=True).tolist(), z.numpy(force=True).tolist()), ([1.0, -2.0], [1 - 2j]))
    same((x.detach().numpy().tolist(), np.asarray(x.detach()).dtype == np.float32), ([1.0, -2.0], True))
    same(np.array(torch.tensor([1, 2]), dtype=np.float64).tolist(), [1.0, 2.0])
    same(np.add(torch.tensor([1.0, 2.0]).numpy(), 1).tolist(), [2.0, 3.0])


@promise("tensors", "as_tensor", "asarray")
def data_is_copied_where_it_must_be(device: torch.device, dtype: torch.dtype) -> None:
    """as_tensor and asarray share with what fits, and copy for another dtype or where told; tensor always copies."""
    a, t = np.array([1.0, 2.0], np.float32), torch.tensor([1.0, 2.0])
    same(
        (torch.as_tensor(t) is t, torch.asarray(t) is t, torch.as_tensor(t, dtype=torch.float64) is t),
        (True, True, False),
    )
    torch.as_tensor(a)[0] = 5.0
    torch.asarray(a)[1] = 6.0
    torch.tensor(a)[0] = 9.0
    torch.asarray(a, copy=True)[0] = 9.0
    torch.as_tensor(a, dtype=torch.float64)[0] = 9.0
    same(a.tolist(), [5.0, 6.0])
    raises(ValueError, lambda: torch.asarray(a, dtype=torch.float64, copy=False))
    same(torch.asarray([1, 2], dtype=dtype, device=device), torch.tensor([1.0, 2.0], dtype=dtype))


@promise("tensors", "frombuffer", "asarray", link="generated/torch.frombuffer.html")
def buffers_are_read_in_place(device: torch.device, dtype: torch.dtype) -> None:
    """frombuffer sees the bytes of an object of the buffer protocol from an offset, without a copy."""
    raw = bytearray(np.array([1, 2, 3, 4], np.int32).tobytes())
    t = torch.frombuffer(raw, dtype=torch.int32)
    part = torch.frombuffer(raw, dtype=torch.int32, count=2, offset=4)
    same((t.tolist(), part.tolist()), ([1, 2, 3, 4], [2, 3]))
    part[0] = 20
    raw[0] = 10
    same(t.tolist(), [10, 20, 3, 4])
    same(torch.frombuffer(array.array("d", [1.5, -2.5]), dtype=torch.float64).tolist(), [1.5, -2.5])
    for wrong in (
        {"dtype": torch.int64, "offset": 4},
        {"dtype": torch.int32, "count": 5},
        {"dtype": torch.int32, "offset": 16},
    ):
        raises(ValueError, lambda w=wrong: torch.frombuffer(raw, **w))
    raises(ValueError, lambda: torch.frombuffer(bytearray(), dtype=torch.int32), "length")


@promise("tensors", "from_dlpack", "Tensor.__dlpack__", link="dlpack.html")
def dlpack_shares_memory_both_ways(device: torch.device, dtype: torch.dtype) -> None:
    """DLPack takes a tensor to another library and back without a copy, with dtype, shape and strides."""
    t = torch.arange(12.0, device=device).to(dtype).view(3, 4)
    for view in (t, t.T, t[1:, ::2], t[0, 0]):
        got = torch.from_dlpack(view)
        same((got.shape, got.stride(), got.data_ptr()), (view.shape, view.stride(), view.data_ptr()))
    torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(t))[0, 0] = 50.0
    same(t[0, 0].item(), 50.0)
    if device.type == "cpu":
        a = np.arange(6, dtype=np.int16).reshape(2, 3)
        torch.from_dlpack(a)[1, 2] = 60
        same((a[1, 2].item(), np.from_dlpack(t)[0, 0].item()), (60, 50.0))
    raises((RuntimeError, BufferError), lambda: torch.from_dlpack(t.clone().requires_grad_()), "require")
    raises((RuntimeError, BufferError), lambda: torch.from_dlpack(torch.tensor([1j], device=device).conj()), "conj")


@promise("tensors", "Tensor.tolist", "Tensor.item", link="generated/torch.Tensor.tolist.html")
def numbers_come_back_as_python_numbers(device: torch.device, dtype: torch.dtype) -> None:
    """tolist nests lists of Python numbers; item takes one element; a tensor of one element is a number or an index."""
    same(torch.tensor([[1, 2], [3, 4]], device=device).tolist(), [[1, 2], [3, 4]])
    same((torch.tensor(True).item(), torch.tensor([[1.5]], dtype=dtype, device=device).item()), (True, 1.5))
    same((torch.tensor(1j).item(), torch.empty(2, 0).tolist(), torch.tensor(3).tolist()), (1j, [[], []], 3))
    one = torch.tensor([2], device=device)
    same((int(one), float(one), [10, 20, 30][one], bool(one), complex(one)), (2, 2.0, 30, True, 2 + 0j))
    many = torch.ones(2, device=device)
    raises(RuntimeError, many.item)
    raises(RuntimeError, lambda: bool(many), "ambiguous")
    raises(TypeError, lambda: len(torch.tensor(1.0)), "0-d")
    same((len(many), [t.item() for t in many], 1.0 in many, 2.0 in many), (2, [1.0, 1.0], True, False))


@promise("tensors", "Tensor.to", "Tensor.type", link="generated/torch.Tensor.to.html")
def conversions_round_truncate_and_test(device: torch.device, dtype: torch.dtype) -> None:
    """To an integer a number loses its fraction, to bool zero alone is False, to a float it is rounded to even."""
    x = torch.tensor([-2.75, -0.5, 0.0, 0.5, 2.75, 100.0], dtype=torch.float64, device=device)
    for kind in (torch.int64, torch.int32, torch.int16, torch.int8):
        same(x.to(kind).tolist(), [-2, 0, 0, 0, 2, 100], str(kind))
    same(x.bool().tolist(), [True, True, False, True, True, True])
    same(torch.tensor([float("nan"), float("inf")], device=device).bool().tolist(), [True, True])
    same(torch.tensor([256 + 3, -1], device=device).to(torch.uint8).tolist(), [3, 255])
    fine = torch.tensor([1 + 2.0**-24, 1 + 3 * 2.0**-24, 1e300], dtype=torch.float64, device=device)
    same(fine.float().tolist(), [1.0, 1 + 2.0**-22, float("inf")])
    same(torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8], device=device).bfloat16().tolist(), [1.0, 1 + 2.0**-6])
    same((x.to(torch.float64) is x, x.to(torch.float64, copy=True) is x, x.to(device) is x), (True, False, True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(torch.tensor([3 + 4j], device=device).to(dtype).tolist(), [3.0])


ALIASES = {
    "float32": ("FloatTensor", "float"), "float64": ("DoubleTensor", "double"), "float16": ("HalfTensor", "half"),
    "bfloat16": ("BFloat16Tensor", "bfloat16"), "int64": ("LongTensor", "long"), "int32": ("IntTensor", "int"),
    "int16": ("ShortTensor", "short"), "int8": ("CharTensor", "char"), "uint8": ("ByteTensor", "byte"),
    "bool": ("BoolTensor", "bool"),
}  # fmt: skip


@promise("tensors", *(n for n, _ in ALIASES.values()), link="tensors.html#data-types", levels={"float32": 2})
def typed_aliases_make_and_name_tensors(device: torch.device, dtype: torch.dtype) -> None:
    """torch.FloatTensor and its like make tensors of a dtype from sizes or lists, test for it, and name it."""
    module = torch.cuda if device.type == "cuda" else torch
    for name, (alias, method) in ALIASES.items():
        kind, made = getattr(torch, name), getattr(module, alias)
        a, b = made([1, 0]), made(2, 3)
        same(
            (a.dtype, a.device.type, a.tolist() == [1, 0], b.shape),
            (kind, device.type, True, torch.Size([2, 3])),
            alias,
        )
        prefix = "torch.cuda." if device.type == "cuda" else "torch."
        same((a.type(), isinstance(a, made), isinstance(a.to(torch.complex64), made)), (prefix + alias, True, False))
        x = torch.tensor([1.0, 0.0], device=device)
        same((getattr(x, method)().dtype, x.type(made).dtype, x.type(prefix + alias).dtype), (kind,) * 3, alias)
    same(torch.tensor([1.0]).to(torch.int64).type(), "torch.LongTensor")


@promise("tensors", "Tensor.__deepcopy__", "Tensor.clone", link="generated/torch.clone.html")
def deep_copies_share_as_their_originals_do(device: torch.device, dtype: torch.dtype) -> None:
    """deepcopy copies storages once: copies share among themselves, not with the originals; copy.copy shares."""
    t = torch.arange(4.0, device=device).to(dtype)
    one, view, again = copy.deepcopy([t, t[1:], t])
    one[1] = 10.0
    same((view[0].item(), again is one, t.tolist(), view.storage_offset()), (10.0, True, [0.0, 1.0, 2.0, 3.0], 1))
    copy.copy(t)[0] = 7.0
    same(t[0].item(), 7.0)
    p = copy.deepcopy(torch.nn.Parameter(t, requires_grad=False))
    same((type(p), p.requires_grad, p.tolist()), (torch.nn.Parameter, False, [7.0, 1.0, 2.0, 3.0]))
    leaf = t.clone().requires_grad_()
    leaf.grad = t * 2
    same((copy.deepcopy(leaf).grad.tolist(), copy.deepcopy(leaf).requires_grad), ([14.0, 2.0, 4.0, 6.0], True))
    raises(RuntimeError, lambda: copy.deepcopy(leaf * 2), "leaves")


@promise("tensors", "zeros_like", "ones_like", "full_like", "Tensor.new_full", "full", "arange", "empty_strided",
         link="torch.html#creation-ops")  # fmt: skip
def factories_take_dtype_shape_and_strides_from_what_they_are_given(device: torch.device, dtype: torch.dtype) -> None:
    """_like factories keep dtype, device and strides, new_ ones dtype and device; full and arange infer the dtype."""
    x = torch.ones(2, 3, 4, 5, dtype=dtype, device=device).to(memory_format=torch.channels_last)
    same((torch.zeros_like(x).stride(), torch.zeros_like(x, dtype=torch.int64).dtype), (x.stride(), torch.int64))
    same(torch.ones_like(x, memory_format=torch.contiguous_format).stride(), (60, 20, 5, 1))
    for made, value in ((torch.zeros_like(x), 0.0), (torch.ones_like(x), 1.0), (torch.full_like(x, 2.5), 2.5)):
        same((made.shape, made.dtype, made.unique().tolist()), (x.shape, dtype, [value]))
    new = x.new_full((2,), 3.5)
    same((new.dtype, new.device.type, new.tolist()), (dtype, device.type, [3.5, 3.5]))
    same(
        (torch.full((1,), 2).dtype, torch.full((1,), True).dtype, torch.full((1,), 2.0).dtype),
        (torch.int64, torch.bool, torch.float32),
    )
    same((torch.arange(1, 7, 2).tolist(), torch.arange(1, 2.5, 0.5).tolist()), ([1, 3, 5], [1.0, 1.5, 2.0]))
    same((torch.arange(3, 0, -1).tolist(), torch.arange(0, 0).tolist()), ([3, 2, 1], []))
    t = torch.empty_strided((2, 3), (1, 4), dtype=dtype, device=device)
    same((t.shape, t.stride(), t.untyped_storage().nbytes()), (torch.Size([2, 3]), (1, 4), 10 * t.element_size()))


@promise("tensors", "Tensor.cuda", link="cuda.html")
def streams_order_work(device: torch.device, dtype: torch.dtype) -> None:
    """Work on a stream is done when it is synchronized, and a stream that waits for another sees its results."""
    if device.type != "cuda":
        raise Unsupported("streams belong to accelerators")
    first, second = torch.cuda.Stream(), torch.cuda.Stream()
    x = torch.zeros(2**20, device=device)
    first.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(first):
        for _ in range(100):
            x.add_(1)
        event = first.record_event()
    second.wait_event(event)
    with torch.cuda.stream(second):
        y = x * 2
    second.synchronize()
    same((event.query(), y[:2].tolist()), (True, [200.0, 200.0]))
