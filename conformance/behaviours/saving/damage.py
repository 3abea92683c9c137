"""Damaged files: cut short, with flipped bits, with records that lie. Each ends in an exception, or in tensors."""

from __future__ import annotations

import io
import random
import zipfile
from typing import Any

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.saving.safety import with_pickle
from conformance.behaviours.saving.through import written
from conformance.behaviours.say import same

LOAD = "generated/torch.load.html"
FORMAT = "notes/serialization.html#serialized-file-format-for-torch-save"


def outcome(content: bytes) -> Any:
    """What loading gives: a thing, or the exception, which may not be about memory that it asked for."""
    try:
        got = torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        text = str(error)
        assert not isinstance(error, (MemoryError, SystemError)) and "allocate" not in text, f"asked for memory: {text}"
        return error
    for t in got if isinstance(got, list) else []:
        if isinstance(t, torch.Tensor) and t.layout == torch.strided:
            size = t.untyped_storage().nbytes()
            assert size < 2**20, f"{size} bytes of storage from {len(content)} of file"
            t.clone()  # reads every element: memory that is not the tensor's would be touched here
    return got


def honest(zipped: bool) -> bytes:
    """A small file with two tensors, one of them a view, and something else."""
    return written([torch.arange(4.0)[1:], torch.ones(2, 2).t(), "text", 3], zipped).getvalue()


@promise("serialization", "load", link=LOAD)
def a_file_cut_short_raises(device: torch.device, dtype: torch.dtype) -> None:
    """Of a file that lacks any number of bytes at its end, as an interrupted save leaves it, nothing is loaded."""
    for zipped in (True, False):
        content = honest(zipped)
        for n in (*range(100), *range(100, len(content), 7), len(content) - 2, len(content) - 1):
            got = outcome(content[:n])
            assert isinstance(got, Exception), f"{n} of {len(content)} bytes loaded as {got!r}"


@promise("serialization", "load", link=LOAD)
def a_flipped_bit_is_survived(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """A flipped bit anywhere ends in an exception or in a thing that can be read; never in a crash."""
    draw = random.Random(seed)
    for zipped in (True, False):
        content = honest(zipped)
        for _ in range(40):
            damaged = bytearray(content)
            for _ in range(draw.choice((1, 1, 3))):
                damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
            outcome(bytes(damaged))


@promise("serialization", "load", link=LOAD)
def what_is_no_archive_raises(device: torch.device, dtype: torch.dtype) -> None:
    """Empty files, text, other pickles and other zips are refused."""
    empty, other = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(empty, "w"):
        pass
    with zipfile.ZipFile(other, "w") as z:
        z.writestr("a/readme.txt", "hello")
    for content in (
        b"",
        b"\n",
        b"PK\x03\x04",
        b"hello world\n" * 50,
        b"\x80\x02N.",
        empty.getvalue(),
        other.getvalue(),
    ):
        assert isinstance(outcome(content), Exception), content[:30]


def claiming(numel: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> bytes:
    """The pickle of a list of one tensor of 32-bit floats that claims a storage, a shape, strides and an offset."""
    long = lambda n: b"\x8a\x09" + n.to_bytes(9, "little", signed=True)  # noqa: E731
    shape = b"(" + b"".join(map(long, size)) + b"t" + b"(" + b"".join(map(long, stride)) + b"t"
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + long(numel)
    return (
        b"\x80\x02](ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQ" + long(offset) + shape
        + b"\x89ccollections\nOrderedDict\n)RtRe."
    )  # fmt: skip


IN_IT = [[1.0, -2.0], [3.0, 0.5]]  # the 16 bytes of data in `archive`, in little-endian order


def archive(code: bytes, **members: bytes) -> bytes:
    """A zip as torch.save writes it, around a pickle and 16 bytes of data."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, content in {
            "data.pkl": code,
            "byteorder": b"little",
            "data/0": bytes.fromhex("0000803f000000c0000040400000003f"),
            "version": b"3\n",
        }.items():
            z.writestr(f"archive/{name}", members.get(name.replace("/", "_"), content))
    return out.getvalue()


@promise("serialization", "load", link=FORMAT)
def a_tensor_beyond_its_storage_raises(device: torch.device, dtype: torch.dtype) -> None:
    """Shape, strides and offset that reach out of the storage in the file are refused, however large."""
    same(outcome(archive(claiming(4, (2, 2), (2, 1), 0))), [torch.tensor(IN_IT)])
    big = 2**62
    for size, stride, offset in [
        ((5,), (1,), 0), ((2, 2), (2, 1), 1), ((2,), (4,), 0), ((4,), (1,), -1), ((4,), (-1,), 3), ((-1,), (1,), 0),
        ((2**40,), (1,), 0), ((2,), (2**60,), 0), ((big, big), (1, 1), 0), ((2,), (1,), big), ((4, 4), (big, big), 0),
    ]:  # fmt: skip
        got = outcome(archive(claiming(4, size, stride, offset)))
        assert isinstance(got, Exception), f"size {size}, stride {stride}, offset {offset} loaded as {got!r}"


@promise("serialization", "load", link=FORMAT)
def a_storage_of_another_size_than_its_record_raises(device: torch.device, dtype: torch.dtype) -> None:
    """A storage that the pickle says is larger than the record in the zip is not read beyond that record."""
    for numel in (5, 2**20, 2**44, 2**61, -1):
        got = outcome(archive(claiming(numel, (numel,), (1,), 0)))
        assert isinstance(got, Exception), f"{numel} floats of 16 bytes loaded as {got!r}"


@promise("serialization", "load", link=FORMAT)
def the_old_format_asks_for_no_more_than_the_file_has(device: torch.device, dtype: torch.dtype) -> None:
    """A storage that claims terabytes is refused in the old format, too, before the memory is asked for."""
    code = claiming(2**44, (2,), (1,), 0)
    code = code.replace((2**44).to_bytes(9, "little") + b"t", (2**44).to_bytes(9, "little") + b"Nt", 1)
    assert isinstance(outcome(with_pickle(code, False).getvalue()), Exception)


def lying(content: bytes, field: int, value: int) -> bytes:
    """A zip in whose central directory one 32-bit field of every entry has another value."""
    out, at = bytearray(content), content.find(b"PK\x01\x02")
    while at >= 0:
        out[at + field : at + field + 4] = value.to_bytes(4, "little")
        at = content.find(b"PK\x01\x02", at + 4)
    return bytes(out)


@promise("serialization", "load", link=FORMAT)
def zip_records_that_lie_raise(device: torch.device, dtype: torch.dtype) -> None:
    """Sizes and offsets of a zip that point out of the file or into each other are refused, or not used."""
    content = archive(claiming(4, (2, 2), (2, 1), 0))
    for field in (20, 24, 42):  # compressed size, size, offset of the local header
        for value in (1, 2**16, 2**30, 2**31 - 1, 2**32 - 2):
            got = outcome(lying(content, field, value))
            assert isinstance(got, Exception) or got[0].tolist() == IN_IT, f"field {field} = {value} loaded as {got!r}"


@promise("serialization", "load", link=FORMAT)
def names_in_a_zip_stay_in_the_zip(device: torch.device, dtype: torch.dtype) -> None:
    """Members with absolute, climbing or repeated names are data or refused: no file is read or written for them."""
    with_names = archive(claiming(4, (2, 2), (2, 1), 0))
    for name in ("/etc/hostname", "../../outside", "archive/../x", "archive/data/0", "other/data.pkl", "archive/\\x"):
        out = io.BytesIO(with_names)
        with zipfile.ZipFile(out, "a") as z, __import__("warnings").catch_warnings():
            __import__("warnings").simplefilter("ignore")
            z.writestr(name, b"\x00" * 16)
        got = outcome(out.getvalue())
        if not isinstance(got, Exception):
            same(got, [torch.tensor(IN_IT)])
    for key in (b"/etc/hosts", b"../../x\x00aa", b"..//..//./"):
        code = claiming(4, (2, 2), (2, 1), 0)
        code = code.replace(b"X\x01\x00\x00\x000", b"X\x0a\x00\x00\x00" + key.ljust(10, b"/"))
        assert isinstance(outcome(archive(code)), Exception), key


@promise("serialization", "load", link=FORMAT)
def a_bomb_of_zeros_is_not_unpacked(device: torch.device, dtype: torch.dtype) -> None:
    """A compressed record that grows a thousandfold is refused, or read as the bytes that it says it is."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in {
            "data.pkl": claiming(4, (4,), (1,), 0),
            "data/0": bytes(2**24),
            "version": b"3\n",
        }.items():
            z.writestr(f"archive/{name}", content)
    got = outcome(out.getvalue())
    assert isinstance(got, Exception) or got[0].untyped_storage().nbytes() == 16, got


class Interrupted(io.RawIOBase):
    """A disk that is full after some bytes."""

    def __init__(self, room: int) -> None:
        self.kept, self.room = bytearray(), room

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        part = bytes(part)
        if len(self.kept) + len(part) > self.room:
            self.kept += part[: self.room - len(self.kept)]
            raise OSError(28, "No space left on device")
        self.kept += part
        return len(part)


@promise("serialization", "save", link="generated/torch.save.html")
def a_failed_write_is_told_and_leaves_no_archive(device: torch.device, dtype: torch.dtype) -> None:
    """Where the file cannot be written torch.save raises, and what it has left behind is refused by torch.load."""
    thing = [torch.arange(4.0), "text"]
    for zipped in (True, False):
        for room in (0, 50, 300, len(written(thing, zipped).getvalue()) - 1):
            disk = Interrupted(room)
            try:
                torch.save(thing, disk, _use_new_zipfile_serialization=zipped)
            except (OSError, RuntimeError):
                assert isinstance(outcome(bytes(disk.kept)), Exception), room
                continue
            raise AssertionError(f"torch.save is content with {room} bytes")


@promise("serialization", "save", link="generated/torch.save.html")
def a_thing_that_cannot_be_pickled_is_told(device: torch.device, dtype: torch.dtype) -> None:
    """torch.save of an object that pickle refuses raises that error, and later saves are not disturbed."""
    for zipped in (True, False):
        try:
            written([torch.ones(2), lambda: None], zipped)
        except Exception as error:
            assert "pickle" in str(error).lower(), error
        else:
            raise AssertionError("a lambda was saved")
        same(torch.load(written([torch.ones(2)], zipped), weights_only=True), [torch.ones(2)])
