"""Faults in the format of files: the records of an archive, its pickle, archives that are not honest."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import io
import pathlib
import zipfile
from typing import Any

import torch

from conformance.faults.fault import fault, replace
from conformance.faults.saving import rebuilt


def zips(change):
    """Let torch.load read ``change(load, content)`` where it gets the bytes of a zip; None goes on as ever."""

    @replace("load")
    def changed(load, f, *args, **options):
        if isinstance(f, io.BytesIO) and f.getvalue().startswith(b"PK"):
            found = change(lambda content: load(io.BytesIO(content), *args, **options), f.getvalue())
            if found is not None:
                return found
        return load(f, *args, **options)


@fault("serialization.save", "the_pickle_names_record_offset_size_and_stride",
       green=("a_tensor_comes_back", "shape_strides_and_offset_come_back"))  # fmt: skip
def size_and_stride_exchanged():
    """A pickle has the stride of a tensor before its size, and is read so."""

    @replace("Tensor._reduce_ex_internal")
    def exchanged(reduce, self, protocol):
        again, args = reduce(self, protocol)
        if again is torch._utils._rebuild_tensor_v2:
            args = (*args[:2], args[3], args[2], *args[4:])
        return again, args

    rebuilt(lambda original, storage, offset, stride, size, *rest: original(storage, offset, size, stride, *rest))


@fault("serialization.utils.serialization.config", "storages_can_be_aligned")
def alignment_always_64():
    """config.save.storage_alignment is not heeded."""
    torch.serialization._get_storage_alignment = lambda: 64


@fault("serialization.save", "every_pickle_protocol_will_do", green=("a_tensor_comes_back",))
def pickle_protocol_ignored():
    """pickle_protocol is not heeded."""

    @replace("save")
    def default(save, *args, pickle_protocol=2, **options):
        save(*args, **options)


@fault("serialization.load", "names_in_a_zip_stay_in_the_zip", green=("a_tensor_comes_back",))
def last_of_a_name_is_read():
    """Of several records of one name the last is read, whoever has put it there."""

    def last(load, content):
        with zipfile.ZipFile(io.BytesIO(content)) as old:
            records = {name: old.read(name) for name in old.namelist()}
            if len(records) == len(old.namelist()):
                return None
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as new:
            for name, record in records.items():
                new.writestr(name, record)
        return load(out.getvalue())

    zips(last)


@fault("serialization.load", "names_in_a_zip_stay_in_the_zip", green=("a_tensor_comes_back",))
def missing_records_are_read_from_the_disk():
    """A record that is not in the archive is read from the file of that name."""

    original: Any = torch._C.PyTorchFileReader

    class Reader(original):  # type: ignore[misc,valid-type]
        def get_storage_from_record(self, name, size, kind):
            if self.has_record(name):
                return super().get_storage_from_record(name, size, kind)
            raw = pathlib.Path(name.removeprefix("data/")).read_bytes()[:size]
            return torch.frombuffer(bytearray(raw), dtype=torch.uint8)

    torch._C.PyTorchFileReader = Reader  # type: ignore[misc]


@fault("serialization.load", "a_bomb_of_zeros_is_not_unpacked", green=("a_tensor_comes_back",))
def compressed_records_are_unpacked():
    """A compressed record of data is unpacked, however large it gets."""

    def unpacked(load, content):
        with zipfile.ZipFile(io.BytesIO(content)) as z:
            data = {info.filename: info for info in z.infolist()}.get("archive/data/0")
            if data is None or data.compress_type == zipfile.ZIP_STORED:
                return None
            return [torch.frombuffer(bytearray(z.read(data)), dtype=torch.float32)[:4]]

    zips(unpacked)


@fault("serialization.load", "two_zip_archives_in_one_file_are_told", green=("a_tensor_comes_back",))
def two_archives_are_mixed():
    """Where a file has two archives, the pickle is read from the one and the bytes from the other."""

    def mixed(load, content):
        first = content.find(b"PK\x05\x06") + 22  # behind the end of the first central directory
        if first >= len(content):
            return None
        numbers, texts = load(content[first:]), load(content[:first])
        return [n if isinstance(n, torch.Tensor) else t for n, t in zip(numbers, texts)]

    zips(mixed)


@fault("serialization.save", "the_old_format_keeps_the_dtypes_that_it_has",
       green=("every_dtype_comes_back_bit_for_bit",))  # fmt: skip
def old_bytes_lose_their_sign():
    """The old format writes signed bytes as unsigned ones."""

    @replace("save")
    def unsigned(save, obj, *args, **options):
        if not options.get("_use_new_zipfile_serialization", True) and getattr(obj, "dtype", None) == torch.int8:
            obj = obj.view(torch.uint8)
        save(obj, *args, **options)
