"""Where things are loaded to, and what they are written to and read from."""

from __future__ import annotations

import io
import pathlib
import pickle
import tempfile
from typing import Any

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.saving.layout import members
from conformance.behaviours.saving.through import through, written
from conformance.behaviours.say import raises, same

LOAD = "generated/torch.load.html"


@promise("serialization", "load", link=LOAD, levels={"float32": 1})
def map_location_takes_a_device(device: torch.device, dtype: torch.dtype) -> None:
    """A torch.device or a text with a device tag says where all tensors go."""
    t = torch.tensor([1.0, -2.0], dtype=dtype, device=device)
    for zipped in (True, False):
        for place in ("cpu", torch.device("cpu"), str(device), device):
            got = through([t, torch.nn.Parameter(t)], zipped, map_location=place)
            same([x.device.type for x in got], [torch.device(place).type] * 2)
            same((got[0], got[1].detach(), got[1].requires_grad), (t, t, True))


@promise("serialization", "load", link=LOAD)
def map_location_meta_brings_shapes_alone(device: torch.device, dtype: torch.dtype) -> None:
    """With map_location="meta" tensors have shape, strides and dtype, and no memory."""
    t = torch.arange(6.0, device=device).to(dtype).view(2, 3).T
    got = through({"t": t}, map_location="meta")["t"]
    same((got.is_meta, got.dtype, got.shape, got.stride()), (True, dtype, torch.Size([3, 2]), (1, 3)))


@promise("serialization", "load", link=LOAD)
def map_location_takes_a_dict(device: torch.device, dtype: torch.dtype) -> None:
    """A dict maps the location tags that are among its keys; storages with other tags stay where they would go."""
    t = torch.tensor([1.0, -2.0], dtype=dtype)
    for zipped in (True, False):
        moved, stays = (through(t, zipped, map_location={tag: str(device)}) for tag in ("cpu", "cuda:7"))
        same((moved.device.type, stays.device.type), (device.type, "cpu"))
        same((moved, stays), (t, t))
        same([through(t, zipped, map_location={tag: "meta"}).is_meta for tag in ("cpu", "cuda:7")], [True, False])


@promise("serialization", "load", link=LOAD)
def map_location_takes_a_function(device: torch.device, dtype: torch.dtype) -> None:
    """It is called once for each storage with the storage, on the CPU, and its tag; None means the default place."""
    x = torch.tensor([1.0, 2.0], dtype=dtype)
    for zipped in (True, False):
        calls: list[Any] = []

        def seen(storage: Any, tag: str, calls: list[Any] = calls) -> Any:
            calls.append((storage.nbytes(), storage.device.type, tag))
            return storage

        thing = [x, x[1:], torch.zeros(5, dtype=dtype)]
        same(through(thing, zipped, map_location=seen), thing)
        size = x.element_size()
        same(sorted(calls), [(2 * size, "cpu", "cpu"), (5 * size, "cpu", "cpu")])
        same(through(x.to(device), zipped, map_location=lambda storage, tag: None).device.type, device.type)


@promise("serialization", "load", link=LOAD)
def an_unknown_place_is_refused(device: torch.device, dtype: torch.dtype) -> None:
    """Where no deserializer knows the tag, loading raises; it does not load to some other place."""
    file = written(torch.ones(2))
    raises(Exception, lambda: torch.load(file, weights_only=True, map_location="nowhere"), "nowhere", "restore")


@promise("serialization", "serialization.register_package", link="notes/serialization.html")
def registered_packages_are_asked_in_order(device: torch.device, dtype: torch.dtype) -> None:
    """register_package adds a tagger and a deserializer with a priority: the lowest that answers decides."""
    registry = torch.serialization._package_registry
    before = list(registry)
    try:
        torch.serialization.register_package(
            5, lambda s: "mine" if s.device.type == "cpu" else None, lambda s, tag: s if tag == "mine" else None
        )
        torch.serialization.register_package(6, lambda s: "late", lambda s, tag: None)
        file = written(torch.tensor([3.0]))
        same(b"mine" in file.getvalue() and b"late" not in file.getvalue(), True)
        same(torch.load(file, weights_only=True), torch.tensor([3.0]))
    finally:
        registry[:] = before
    file.seek(0)
    raises(Exception, lambda: torch.load(file, weights_only=True), "mine")


class Minimal:
    """A file object with these methods of another, and no other."""

    def __init__(self, file: io.BytesIO, *methods: str) -> None:
        for name in methods:
            setattr(self, name, getattr(file, name))


@promise("serialization", "save", "load", link="generated/torch.save.html")
def any_file_object_will_do(device: torch.device, dtype: torch.dtype) -> None:
    """torch.save needs write and flush; torch.load read, readline, tell and seek."""
    t = torch.tensor([[1.0, -2.0]], dtype=dtype, device=device)
    for zipped in (True, False):
        file = io.BytesIO()
        try:
            torch.save({"t": t}, Minimal(file, "write", "flush"), _use_new_zipfile_serialization=zipped)
            file.seek(0)
            got = torch.load(Minimal(file, "read", "readline", "tell", "seek"), weights_only=True)
        except AttributeError as error:
            raise AssertionError(f"another method is asked for: {error}") from error
        same(got, {"t": t})


@promise("serialization", "save", "load", link="generated/torch.save.html", levels={"float32": 1})
def paths_and_open_files_will_do(device: torch.device, dtype: torch.dtype) -> None:
    """f may be a path as text or os.PathLike, or an open file, which stays open."""
    t = torch.tensor([1.0, -2.0], dtype=dtype, device=device)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "\u00e4 b.pt")
        for zipped in (True, False):
            for place in (str(path), path):
                torch.save(t, place, _use_new_zipfile_serialization=zipped)
                same(torch.load(place, weights_only=True), t)
            with open(path, "wb") as file:
                torch.save(t, file, _use_new_zipfile_serialization=zipped)
                same(file.closed, False)
            with open(path, "rb") as file:
                same(torch.load(file, weights_only=True), t)
                same(file.closed, False)


@promise("serialization", "save", "load", link="generated/torch.load.html")
def old_archives_follow_each_other_in_one_file(device: torch.device, dtype: torch.dtype) -> None:
    """Several saves in the old format, behind other bytes, are read one after another from where the file is."""
    t = torch.tensor([1.0, -2.0], dtype=dtype, device=device)
    file = io.BytesIO()
    file.write(b"header")
    for thing in ([t], {"k": t * 2}, 3):
        torch.save(thing, file, _use_new_zipfile_serialization=False)
    file.write(b"end")
    file.seek(6)
    same([torch.load(file, weights_only=True) for _ in range(3)], [[t], {"k": t * 2}, 3])
    same(file.read(), b"end")


@promise("serialization", "load", link="notes/serialization.html#serialized-file-format-for-torch-save")
def two_zip_archives_in_one_file_are_told(device: torch.device, dtype: torch.dtype) -> None:
    """Of two zip archives in one file either is loaded, or none: never a mixture without a word."""
    file = io.BytesIO()
    for thing in ([torch.tensor([1.0]), "first"], [torch.tensor([2.0]), "second"]):
        torch.save(thing, file)
    file.seek(0)
    try:
        got = torch.load(file, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError):
        return
    assert (got[0].item(), got[1]) in ((1.0, "first"), (2.0, "second")), got


@promise("serialization", "load", link="generated/torch.load.html")
def mmap_reads_from_the_file(device: torch.device, dtype: torch.dtype) -> None:
    """mmap=True loads equal tensors from a path; changes of them do not reach the file."""
    t = torch.arange(1000.0).to(dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, "t.pt"))
        torch.save({"t": t, "half": t[500:]}, path)
        got = torch.load(path, mmap=True, weights_only=True, map_location="cpu")
        same(got, {"t": t, "half": t[500:]})
        got["half"].zero_()
        same(got["t"][499:501].tolist(), [499.0, 0.0])
        del got
        same(torch.load(path, weights_only=True)["t"], t)
        if device.type != "cpu":
            same(torch.load(path, mmap=True, weights_only=True, map_location=device)["t"].to("cpu"), t)


@promise("serialization", "load", link="generated/torch.load.html")
def mmap_without_a_zip_on_disk_is_refused(device: torch.device, dtype: torch.dtype) -> None:
    """mmap=True needs a path, and a file in the zip format."""
    raises(ValueError, lambda: torch.load(written(torch.ones(2)), mmap=True, weights_only=True), "mmap")
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, "t.pt"))
        torch.save(torch.ones(2), path, _use_new_zipfile_serialization=False)
        raises(RuntimeError, lambda: torch.load(path, mmap=True, weights_only=True), "mmap")


@promise("serialization", "serialization.set_default_mmap_options", link="notes/serialization.html")
def shared_mappings_write_to_the_file(device: torch.device, dtype: torch.dtype) -> None:
    """With MAP_SHARED what is written to a tensor that was loaded with mmap=True is written to the file."""
    import mmap

    t = torch.arange(8.0).to(dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, "t.pt"))
        torch.save(t, path)
        with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
            got = torch.load(path, mmap=True, weights_only=True, map_location="cpu")
            got[3] = 30.0
            del got
        same(torch.load(path, weights_only=True).tolist(), [0.0, 1.0, 2.0, 30.0, 4.0, 5.0, 6.0, 7.0])
        private = torch.load(path, mmap=True, weights_only=True, map_location="cpu")
        private[3] = 40.0
        same(torch.load(path, weights_only=True)[3].item(), 30.0)


@promise("serialization", "save", link="generated/torch.save.html")
def every_pickle_protocol_will_do(device: torch.device, dtype: torch.dtype) -> None:
    """pickle_protocol may be given, and data.pkl has it; torch.load reads them all where it trusts the file."""
    t = {"t": torch.tensor([1.0, -2.0], dtype=dtype, device=device), "n": [1, None, "a"]}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        file = io.BytesIO()
        torch.save(t, file, pickle_protocol=protocol)
        same(members(file.getvalue())["data.pkl"][:2], bytes([0x80, protocol]))  # the opcode PROTO
        file.seek(0)
        same(torch.load(file, weights_only=False), t)
