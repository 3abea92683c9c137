"""The zip format as documented: written by torch and read without it, written without it and read by torch."""

from __future__ import annotations

import contextlib
import importlib
import io
import pickle
import zipfile

import numpy as np
import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.saving.through import written
from conformance.behaviours.say import same

FORMAT = "notes/serialization.html#serialized-file-format-for-torch-save"
CONTROL = "notes/serialization.html#layout-control"

with contextlib.suppress(ImportError):  # an attribute of torch where somebody has imported it
    importlib.import_module("torch.utils.serialization.config")


def members(content: bytes) -> dict[str, bytes]:
    """The records of an archive without the folder that they are all in."""
    with zipfile.ZipFile(io.BytesIO(content)) as z:
        assert len({name.split("/")[0] for name in z.namelist()}) == 1, z.namelist()
        return {name.partition("/")[2]: z.read(name) for name in z.namelist()}


def starts(content: bytes) -> dict[str, int]:
    """Where the bytes of each record begin in the file."""
    with zipfile.ZipFile(io.BytesIO(content)) as z:
        found = {}
        for info in z.infolist():
            local = content[info.header_offset : info.header_offset + 30]
            names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
            found[info.filename.partition("/")[2]] = info.header_offset + 30 + names
        return found


@promise("serialization", "save", link=FORMAT, levels={"float32": 1, "complex64": 3, "float16": 3})
def a_saved_file_is_a_zip_that_others_can_read(device: torch.device, dtype: torch.dtype) -> None:
    """An uncompressed ZIP64: byteorder, version, data.pkl without storages, one record in data/ for each storage."""
    t = torch.tensor([1.5, -2.0, 3.0], device=device).to(dtype)
    content = written({"all": t, "last": t[1:], "int": torch.tensor([7], device=device)}).getvalue()
    got = members(content)
    with zipfile.ZipFile(io.BytesIO(content)) as z:
        same((z.testzip(), {info.compress_type for info in z.infolist()}), (None, {zipfile.ZIP_STORED}))
    same(sorted(name for name in got if name.startswith("data/")), ["data/0", "data/1"])
    if "byteorder" in got:
        same(got["byteorder"].decode(), __import__("sys").byteorder)
    same((got["version"].strip().isdigit(), b"_rebuild_tensor_v2" in got["data.pkl"]), (True, True))
    same(got["data/0"], t.cpu().numpy().tobytes())
    same(np.frombuffer(got["data/1"], np.int64).tolist(), [7])
    same({starts(content)[name] % 64 for name in ("data/0", "data/1")}, {0})


class Reads(pickle.Unpickler):
    """Reads data.pkl without torch's own reader: a tensor is (record, dtype, offset, size, stride)."""

    def find_class(self, module: str, name: str) -> object:
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, size, stride, *rest: (storage[2], storage[1], offset, size, stride)
        return name if module == "torch" else super().find_class(module, name)

    def persistent_load(self, pid: object) -> object:
        return pid


@promise("serialization", "save", link=FORMAT)
def the_pickle_names_record_offset_size_and_stride(device: torch.device, dtype: torch.dtype) -> None:
    """In data.pkl a tensor is its storage by a persistent id, with offset, size and stride."""
    base = torch.arange(12.0, device=device).to(torch.float64)
    content = written([base.view(3, 4)[1:, ::2].T, torch.ones(1, device=device)]).getvalue()
    first, second = Reads(io.BytesIO(members(content)["data.pkl"])).load()
    same(first, ("0", "DoubleStorage", 4, (2, 2), (2, 4)))
    same(second, ("1", "FloatStorage", 0, (1,), (1,)))


def packed(records: dict[str, bytes]) -> io.BytesIO:
    """An archive of these records, written without torch."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, content in records.items():
            z.writestr(f"archive/{name}", content)
    out.seek(0)
    return out


@promise("serialization", "load", link=FORMAT)
def bytes_of_either_order_are_read(device: torch.device, dtype: torch.dtype) -> None:
    """A file whose byteorder says big has its numbers the other way round, complex ones each part by itself."""
    tensors = [
        torch.tensor([1.5, -2.0]),
        torch.tensor([258, -3], dtype=torch.int32),
        torch.tensor([1 + 2j], dtype=torch.complex128),
    ]
    tensors += [
        torch.tensor([True, False]),
        torch.tensor([1.5], dtype=torch.bfloat16),
        torch.tensor([7], dtype=torch.int64),
    ]
    width = (4, 4, 8, 1, 2, 8)
    got = members(written(tensors).getvalue())
    for i, n in enumerate(width):
        raw = got[f"data/{i}"]
        got[f"data/{i}"] = b"".join(raw[at : at + n][::-1] for at in range(0, len(raw), n))
    got["byteorder"] = {"little": b"big", "big": b"little"}[__import__("sys").byteorder]
    same(torch.load(packed(got), weights_only=True), tensors)


@promise("serialization", "serialization.set_default_load_endianness", link="notes/serialization.html")
def the_default_order_serves_files_that_do_not_say(device: torch.device, dtype: torch.dtype) -> None:
    """Where there is no byteorder record the default decides, and native order is the default of the default."""
    order = torch.serialization.LoadEndianness
    got = members(written(torch.tensor([258, -3], dtype=torch.int32)).getvalue())
    native, swapped = got["data/0"], got["data/0"][3::-1] + got["data/0"][7:3:-1]
    del got["byteorder"]
    kept = torch.serialization.get_default_load_endianness()
    other = order.BIG if __import__("sys").byteorder == "little" else order.LITTLE
    try:
        for default, raw in ((None, native), (order.NATIVE, native), (other, swapped)):
            torch.serialization.set_default_load_endianness(default)
            got["data/0"] = raw
            same(torch.load(packed(got), weights_only=True), torch.tensor([258, -3], dtype=torch.int32))
    finally:
        torch.serialization.set_default_load_endianness(kept)


@promise(
    "serialization",
    "serialization.set_crc32_options",
    "serialization.get_crc32_options",
    link="notes/serialization.html",
)
def checksums_can_be_left_out(device: torch.device, dtype: torch.dtype) -> None:
    """With set_crc32_options(False) torch.load still reads the file; its checksums are not those of the bytes."""
    kept, t = torch.serialization.get_crc32_options(), torch.arange(100.0, device=device)
    try:
        for compute in (True, False):
            torch.serialization.set_crc32_options(compute)
            same(torch.serialization.get_crc32_options(), compute)
            file = written([t])
            same(torch.load(file, weights_only=True), [t])
            try:
                right = zipfile.ZipFile(file).testzip() is None
            except zipfile.BadZipFile:
                right = False
            same(right, compute)
    finally:
        torch.serialization.set_crc32_options(kept)


@promise("serialization", "serialization.skip_data", link=CONTROL)
def storages_can_be_filled_in_later(device: torch.device, dtype: torch.dtype) -> None:
    """Under skip_data the file has empty space where the bytes of storages go, to be filled in a separate pass."""
    t = torch.tensor([1.5, -2.0, 3.0], device=device).to(dtype)
    whole = written({"t": t}).getvalue()
    with torch.serialization.skip_data():
        hollow = bytearray(written({"t": t}).getvalue())
    at = starts(whole)["data/0"]
    same((len(hollow), at), (len(whole), starts(bytes(hollow))["data/0"]))
    raw = t.cpu().view(torch.uint8).numpy().tobytes()
    same(raw in hollow, False)
    hollow[at : at + len(raw)] = raw
    same(torch.load(io.BytesIO(hollow), weights_only=True), {"t": t})


@promise("serialization", "utils.serialization.config", link=CONTROL)
def storages_can_be_aligned(device: torch.device, dtype: torch.dtype) -> None:
    """The bytes of storages start at multiples of 64 in the file, or of what config.save.storage_alignment says."""
    from torch.utils.serialization import config

    if not hasattr(config.save, "storage_alignment"):
        raise NotImplementedError("storages have no alignment of one's own")
    for alignment in (64, 4096):
        with config.patch("save.storage_alignment", alignment):
            content = written([torch.ones(3), torch.ones(5), torch.ones(7)]).getvalue()
        same([starts(content)[f"data/{i}"] % alignment for i in range(3)], [0, 0, 0])
        same(torch.load(io.BytesIO(content), weights_only=True)[2], torch.ones(7))
