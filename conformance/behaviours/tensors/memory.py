"""Views, storages and changes in place: what shares memory and what does not."""

from __future__ import annotations

import numpy as np
import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

VIEWS = "tensor_view.html"
DTYPES = {"float32": 2, "complex64": 3, "bfloat16": 3, "int64": 3, "bool": 3}


def counted(device: torch.device, dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """0, 1, 2, ... in a shape."""
    return torch.arange(int(np.prod(shape)), device=device).to(dtype).view(shape)


@promise("tensors", "Tensor.add_", link="notes/broadcasting.html#in-place-semantics", levels={"float32": 1})
def changes_in_place_keep_the_memory(device: torch.device, dtype: torch.dtype) -> None:
    """x[:] = ..., x += ... and names with an underscore write into the memory of x; x = x + y makes a new tensor."""
    x, y = counted(device, dtype, 3), torch.tensor([10.0, 20.0, 30.0], dtype=dtype, device=device)
    kept, place, alias = x, x.data_ptr(), x[1:]
    x += y
    x[:] = x * 2
    x -= 1
    x *= 2
    x.div_(2).add_(y, alpha=2)
    same((x is kept, x.data_ptr() == place), (True, True))
    same((x.tolist(), alias.tolist()), ([39.0, 81.0, 123.0], [81.0, 123.0]))
    x = x + y
    same((x is kept, x.data_ptr() == place, kept.tolist()), (False, False, [39.0, 81.0, 123.0]))
    raises(RuntimeError, lambda: torch.ones(2, device=device).add_(torch.ones(3, 2, device=device)), "shape")
    raises(RuntimeError, lambda: torch.ones(2, dtype=torch.int64, device=device).add_(1.5), "result type")


@promise(
    "tensors",
    "Tensor.view",
    "Tensor.reshape",
    "Tensor.contiguous",
    link=VIEWS,
    levels={"float32": 1, "complex64": 3, "int64": 3},
)
def views_share_and_copies_do_not(device: torch.device, dtype: torch.dtype) -> None:
    """view never copies, and refuses what strides cannot do; reshape copies only then; contiguous where it is not."""
    t = counted(device, dtype, 2, 3, 4)
    for view in (
        t.view(6, 4),
        t.view(-1),
        t.reshape(4, 6),
        t.contiguous(),
        t.view(2, 1, 12),
        t.transpose(0, 1).reshape(3, 2, 2, 2),
    ):
        same(view.data_ptr(), t.data_ptr())
    same((t.contiguous() is t, t.view(3, 8)), (True, counted(device, dtype, 3, 8)))
    turned = t.transpose(0, 2)
    raises(RuntimeError, lambda: turned.view(24), "view size is not compatible")
    raises(RuntimeError, lambda: t.view(5, 5), "invalid for input of size")
    for copied in (turned.reshape(24), turned.contiguous(), turned.flatten(), t.clone()):
        same(copied.data_ptr() == t.data_ptr(), False)
    same(turned.reshape(24), turned.contiguous().view(24))
    same((turned.stride(), turned.contiguous().stride(), turned.is_contiguous()), ((1, 4, 12), (6, 2, 1), False))


@promise("tensors", "Tensor.as_strided", link=VIEWS, levels={"float32": 1, "complex64": 3, "bfloat16": 3, "int64": 3})
def the_documented_views_share_memory(device: torch.device, dtype: torch.dtype) -> None:
    """Each operation on the page of views returns a view: a write is seen in the base, at the places NumPy says."""
    for op, like in [
        (lambda t: t[1:, 0], lambda a: a[1:, 0]), (lambda t: t.T, lambda a: a.T),
        (lambda t: t.mT, lambda a: a.T),
        (lambda t: t.t(), lambda a: a.T), (lambda t: t.diagonal(1), lambda a: a[np.arange(3), np.arange(1, 4)]),
        (lambda t: t.narrow(1, 1, 2), lambda a: a[:, 1:3]), (lambda t: t.permute(1, 0), lambda a: a.T),
        (lambda t: t.select(0, 1), lambda a: a[1]), (lambda t: t.unsqueeze(1), lambda a: a[:, None]),
        (lambda t: t[:1].squeeze(0), lambda a: a[0]), (lambda t: t.movedim(0, 1), lambda a: a.T),
        (lambda t: t.swapaxes(0, 1), lambda a: a.T), (lambda t: t.unfold(1, 2, 2)[:, 0], lambda a: a[:, :2]),
        (lambda t: t.split(2, 1)[1], lambda a: a[:, 2:]), (lambda t: t.chunk(2)[0], lambda a: a[:2]),
        (lambda t: t.unbind(1)[3], lambda a: a[:, 3]), (lambda t: t.view_as(t), lambda a: a),
        (lambda t: t.detach(), lambda a: a),
        (lambda t: t.tensor_split(3, 1)[0], lambda a: a[:, :2]), (lambda t: t.hsplit(2)[1], lambda a: a[:, 2:]),
        (lambda t: t.vsplit(3)[2], lambda a: a[2:]), (lambda t: t.unflatten(1, (2, 2))[:, 1], lambda a: a[:, 2:]),
        (lambda t: t.as_strided((2, 2), (5, 1), 1), lambda a: a.reshape(-1)[[[1, 2], [6, 7]]]),
        (lambda t: t.expand(2, 3, 4)[1], lambda a: a), (lambda t: t.ravel(), lambda a: a.reshape(-1)),
        (lambda t: t.positive(), lambda a: a),
    ]:  # fmt: skip
        t = counted(device, dtype, 3, 4)
        marks = np.arange(12).reshape(3, 4)
        view, where = op(t), like(marks)
        same((view.shape, view.untyped_storage().data_ptr()), (torch.Size(where.shape), t.untyped_storage().data_ptr()))
        same(view.tolist(), counted("cpu", dtype, 12)[torch.from_numpy(where.copy())].tolist())
        view.fill_(50)
        want = [50 if i in where else i for i in range(12)]
        same(t.flatten().tolist(), torch.tensor(want).to(dtype).tolist())


@promise(
    "tensors",
    "Tensor.real",
    "view_as_real",
    "view_as_complex",
    link="complex_numbers.html",
    levels={"complex64": 2, "complex128": 3},
)
def parts_of_complex_tensors_are_views(device: torch.device, dtype: torch.dtype) -> None:
    """real, imag, view_as_real and view_as_complex see the memory of their tensor; a conjugate is a view, too."""
    z = torch.tensor([1 + 2j, 3 - 4j], dtype=dtype, device=device)
    z.real[0], z.imag[1] = 10.0, 40.0
    torch.view_as_real(z)[0, 1] = 20.0
    same(z.tolist(), [10 + 20j, 3 + 40j])
    torch.view_as_complex(torch.view_as_real(z))[1] = 5j
    z.conj().imag[0] = 7.0
    same((z.tolist(), z.conj().is_conj(), z.conj().conj().is_conj()), ([10 - 7j, 5j], True, False))


@promise("tensors", "Tensor.view", link="generated/torch.Tensor.view.html", levels={"float32": 2})
def bits_are_seen_in_another_dtype(device: torch.device, dtype: torch.dtype) -> None:
    """view(dtype) reinterprets the memory: the last dimension changes by the ratio of sizes, or it is refused."""
    t = torch.tensor([[1.0, -2.0], [0.5, 3.0]], device=device)
    same(t.view(torch.int32).tolist(), np.array([[1.0, -2.0], [0.5, 3.0]], np.float32).view(np.int32).tolist())
    same(t.view(torch.int16).tolist(), np.array([[1.0, -2.0], [0.5, 3.0]], np.float32).view(np.int16).tolist())
    same(t.view(torch.int64).tolist(), np.array([[1.0, -2.0], [0.5, 3.0]], np.float32).view(np.int64).tolist())
    t.view(torch.uint8)[0, 3] = 0xC0  # the byte of sign and exponent, on a little-endian machine
    same(t[0].tolist(), [-4.0, -2.0])
    raises(RuntimeError, lambda: t[:, :1].view(torch.int64), "divisible")
    raises(RuntimeError, lambda: t.T.view(torch.int64), "stride")


@promise(
    "tensors", "Tensor.untyped_storage", "Tensor.storage_offset", "Tensor.set_", "UntypedStorage", link="storage.html"
)
def storages_are_shared_and_seen_from_offsets(device: torch.device, dtype: torch.dtype) -> None:
    """A storage is bytes; tensors see it from an offset in elements, by strides; set_ puts any tensor on it."""
    t = counted(device, torch.float32, 2, 3)
    s = t.untyped_storage()
    same((s.nbytes(), len(s), s.device.type, t[1, 1:].storage_offset()), (24, 24, device.type, 4))
    same(t[1].untyped_storage().data_ptr() == s.data_ptr(), True)
    other = torch.empty(0, device=device).set_(s, 1, (2, 2), (3, 1))
    same(other.tolist(), [[1.0, 2.0], [4.0, 5.0]])
    other[0, 0] = 10.0
    same(t[0, 1].item(), 10.0)
    copy = s.clone()
    s.fill_(0)
    same((t.sum().item(), bytes(copy.cpu().tolist()[4:8])), (0.0, np.float32(10).tobytes()))
    raises(RuntimeError, lambda: torch.empty(0, device=device).set_(s, -1, (2,), (1,)))


@promise("tensors", "Tensor.resize_", "UntypedStorage.resize_", link="generated/torch.Tensor.resize_.html")
def resizing_keeps_what_was_there(device: torch.device, dtype: torch.dtype) -> None:
    """resize_ grows the storage where it must and keeps what is in it; a smaller shape leaves the storage alone."""
    t = counted(device, dtype, 4)
    view = t[:2]
    same((t.resize_(2, 3).shape, t.flatten()[:4].tolist()), (torch.Size([2, 3]), [0.0, 1.0, 2.0, 3.0]))
    view[0] = 9.0
    same((t[0, 0].item(), t.untyped_storage().nbytes()), (9.0, 6 * t.element_size()))
    same((t.resize_(2).tolist(), t.untyped_storage().nbytes()), ([9.0, 1.0], 6 * t.element_size()))
    t.untyped_storage().resize_(0)
    same((t.untyped_storage().nbytes(), t.shape), (0, torch.Size([2])))
    array = torch.from_numpy(np.arange(3))
    raises(RuntimeError, lambda: array.resize_(100), "resiz")


@promise("tensors", "Tensor.share_memory_", "Tensor.is_shared", link="generated/torch.Tensor.share_memory_.html")
def shared_memory_is_kept_by_all_views(device: torch.device, dtype: torch.dtype) -> None:
    """share_memory_ moves the storage to shared memory in place: the tensor and what views it keep their numbers."""
    if device.type != "cpu":
        return same(torch.ones(2, device=device).is_shared(), True)
    t = counted(device, dtype, 4)
    view = t[2:]
    same((t.is_shared(), t.share_memory_() is t, t.is_shared(), view.is_shared()), (False, True, True, True))
    view[0] = 7.0
    return same(t.tolist(), [0.0, 1.0, 7.0, 3.0])


@promise("tensors", "add", "matmul", "cumsum", "cat", link="notes/broadcasting.html", levels={"float32": 1})
def out_is_written_and_returned(device: torch.device, dtype: torch.dtype) -> None:
    """out= is returned itself, keeps strides where it fits, is resized where empty; its dtype must hold the result."""
    a, b = counted(device, dtype, 2, 3), torch.ones(2, 3, dtype=dtype, device=device)
    out = torch.zeros(3, 2, dtype=dtype, device=device).T
    place = out.data_ptr()
    got = torch.add(a, b, out=out)
    same(
        (got is out, out.data_ptr() == place, out.stride(), out.tolist()),
        (True, True, (1, 2), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    )
    part = torch.zeros(4, 3, dtype=dtype, device=device)
    torch.matmul(a, b.T @ b, out=part[1:3])
    same(part.tolist(), [[0.0] * 3, [6.0] * 3, [24.0] * 3, [0.0] * 3])
    empty = torch.empty(0, dtype=dtype, device=device)
    same((torch.cumsum(a, 1, out=empty) is empty, empty.tolist()), (True, [[0.0, 1.0, 3.0], [3.0, 7.0, 12.0]]))
    same(torch.cat([a, b], out=torch.empty(0, dtype=dtype, device=device)).shape, torch.Size([4, 3]))
    raises(
        RuntimeError, lambda: torch.add(a, b, out=torch.empty(2, 3, dtype=torch.int64, device=device)), "result type"
    )
    wide = torch.empty(2, 3, dtype=torch.float64, device=device)
    same(torch.add(a, b, out=wide).dtype, torch.float64)


@promise(
    "tensors",
    "cat",
    "stack",
    link="generated/torch.cat.html",
    levels={"float32": 2, "bfloat16": 3, "complex64": 3, "int64": 3},
)
def joined_tensors_are_new(device: torch.device, dtype: torch.dtype) -> None:
    """cat joins along a dimension, stack along a new one; the result is always new memory, in the promoted dtype."""
    a, b = counted(device, dtype, 2, 3), counted(device, dtype, 2, 3) + 1
    for dim in (0, 1, -1):
        same(torch.cat([a, b], dim).tolist(), np.concatenate([numbers(a), numbers(b)], dim).tolist())
    for dim in (0, 1, 2, -1):
        same(torch.stack([a, b], dim).tolist(), np.stack([numbers(a), numbers(b)], dim).tolist())
    same((torch.cat([a]).data_ptr() == a.data_ptr(), torch.stack([a])[0].data_ptr() == a.data_ptr()), (False, False))
    same(torch.cat([a.to(torch.int8), b.to(torch.float64)]).dtype, torch.float64)
    same(torch.cat([torch.empty(0, device=device), a.float()]).shape, torch.Size([2, 3]))
    raises(RuntimeError, lambda: torch.stack([a, b[:1]]), "equal size")
    raises(RuntimeError, lambda: torch.cat([a, b[:, :1]]), "Sizes of tensors must match")


def numbers(t: torch.Tensor) -> np.ndarray:
    """As NumPy holds them; bfloat16 as float32."""
    return (t.float() if t.dtype == torch.bfloat16 else t).cpu().numpy()


@promise("tensors", "norm", "Tensor.norm", "linalg.vector_norm", link="generated/torch.norm.html")
def norms_of_known_vectors(device: torch.device, dtype: torch.dtype) -> None:
    """The norm of (3, 4) is 5, its 1-norm 7, its largest 4; of a matrix along a dimension each row has its own."""
    t = torch.tensor([[3.0, -4.0], [5.0, 12.0]], dtype=dtype, device=device)
    same(
        (t[0].norm().item(), t[0].norm(1).item(), t[0].norm(float("inf")).item(), t[0].norm(0).item()),
        (5.0, 7.0, 4.0, 2.0),
    )
    same(
        (torch.norm(t, dim=1).tolist(), torch.linalg.vector_norm(t, dim=1, keepdim=True).tolist()),
        ([5.0, 13.0], [[5.0], [13.0]]),
    )


@promise("tensors", "Tensor.is_contiguous", "Tensor.stride", link="tensor_attributes.html#torch-memory-format")
def memory_formats_are_strides(device: torch.device, dtype: torch.dtype) -> None:
    """channels_last puts channels innermost, with the same shape and numbers; operations keep the format."""
    x = counted(device, dtype, 2, 3, 4, 5)
    y = x.to(memory_format=torch.channels_last)
    same((y.shape, y.stride(), y.tolist() == x.tolist()), (x.shape, (60, 1, 15, 3), True))
    same(
        (y.is_contiguous(), y.is_contiguous(memory_format=torch.channels_last), x.is_contiguous()), (False, True, True)
    )
    same([t.stride() for t in (y + 1, y.relu(), y.clone(), y * y, torch.empty_like(y))], [y.stride()] * 5)
    same((y.contiguous().stride(), y.clone(memory_format=torch.contiguous_format).stride()), ((60, 20, 5, 1),) * 2)
    same(y.contiguous(memory_format=torch.channels_last) is y, True)
