"""Files that nobody should trust: weights_only=True runs none of their code."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from typing import Any

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.saving.through import through, written
from conformance.behaviours.say import raises, same

ONLY = "notes/serialization.html#torch-load-with-weights-only-true"


def with_pickle(code: bytes, zipped: bool) -> io.BytesIO:
    """A file of torch.save in which the pickle of the thing itself is replaced."""
    file = written([], zipped)
    if not zipped:
        return io.BytesIO(file.getvalue().replace(pickle.dumps([], 2), code, 1))
    out = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, code if name.endswith("data.pkl") else old.read(name))
    out.seek(0)
    return out


def call(function: str, text: str, how: str) -> bytes:
    """A pickle that calls `module function` with a text, by one of pickle's ways to call."""
    name, argument = function.replace(" ", "\n").encode(), b"X" + struct.pack("<I", len(text)) + text.encode()
    short = [b"\x8c" + bytes([len(part)]) + part for part in name.split(b"\n")]
    return {
        "reduce": b"\x80\x02c" + name + b"\n" + argument + b"\x85R.",
        "inside a list": b"\x80\x02](K\x01c" + name + b"\n" + argument + b"\x85Re.",
        "instance": b"\x80\x02(" + argument + b"i" + name + b"\n.",
        "object": b"\x80\x02(c" + name + b"\n" + argument + b"o.",
        "new object": b"\x80\x02c" + name + b"\n" + argument + b"\x85\x81.",
        "stack global": b"\x80\x04" + b"".join(short) + b"\x93" + argument + b"\x85R.",
        "protocol 0": b"c" + name + b"\n(V" + text.encode() + b"\ntR.",
        "persistent id": b"\x80\x02c" + name + b"\n" + argument + b"\x85RQ.",
    }[how]


RAN = "setattr(__import__('torch'), 'ran', True)"
WAYS = ("reduce", "inside a list", "instance", "object", "new object", "stack global", "protocol 0", "persistent id")


@promise("serialization", "load", link=ONLY, levels={"float32": 1})
def code_in_a_pickle_never_runs(device: torch.device, dtype: torch.dtype) -> None:
    """With weights_only=True any function that is not on the list is refused, however it is called, and not run."""
    functions = ["builtins exec", "__builtin__ eval", "builtins eval", "torch.jit.unsupported_tensor_ops execWrapper"]
    try:
        for zipped in (True, False):
            for function in functions:
                for way in WAYS:
                    file = with_pickle(call(function, RAN, way), zipped)
                    raises(pickle.UnpicklingError, lambda f=file: torch.load(f, weights_only=True))
                    assert not hasattr(torch, "ran"), (function, way)
        torch.load(with_pickle(call("builtins exec", RAN, "reduce"), True), weights_only=False)
        assert torch.ran, "the pickle is harmless: the promise has not been asked"
    finally:
        vars(torch).pop("ran", None)


@promise("serialization", "load", link=ONLY)
def commands_and_imports_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """Dynamic imports are not allowed while unpickling: no module is imported, no attribute fetched, no file opened."""
    names = ["os system", "posix system", "subprocess call", "builtins __import__", "importlib import_module"]
    names += ["builtins getattr", "builtins open", "__hello__ main", "torch.serialization os.system", "torch load"]
    names += [
        "torch._utils _import_dotted_name",
        "torch.hub load_state_dict_from_url",
        "numpy load",
        "torch.nn.Module eval",
    ]
    loaded = set(__import__("sys").modules)
    for name in names:
        for way in ("reduce", "stack global"):
            file = with_pickle(call(name, "/nowhere", way), True)
            raises(pickle.UnpicklingError, lambda f=file: torch.load(f, weights_only=True))
    same([m for m in ("__hello__",) if m in set(__import__("sys").modules) - loaded], [])


class Payload:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (RAN,)


@promise("serialization", "load", link=ONLY)
def code_beside_honest_tensors_never_runs(device: torch.device, dtype: torch.dtype) -> None:
    """A payload in a dict of tensors, in an attribute of a tensor or of a state_dict is refused before it runs."""
    t = torch.tensor([1.0, 2.0], dtype=dtype, device=device)
    tagged, state = t.clone(), torch.nn.Linear(1, 1).state_dict()
    tagged.tag = Payload()
    state._metadata[""]["x"] = Payload()
    try:
        for thing in ({"t": t, "x": Payload()}, [tagged], state, {Payload(): t}):
            for zipped in (True, False):
                raises(pickle.UnpicklingError, lambda th=thing, z=zipped: through(th, z))
        same(hasattr(torch, "ran"), False)
    finally:
        vars(torch).pop("ran", None)


@promise("serialization", "load", link=ONLY, needs=("serialization.skip_data",))
def weights_only_is_the_default(device: torch.device, dtype: torch.dtype) -> None:
    """Since 2.6 weights_only is True where it is not given, unless a pickle_module is."""
    kept = {k: os.environ.pop(k, None) for k in ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD")}
    try:
        raises(pickle.UnpicklingError, lambda: torch.load(written(Payload())), "weights_only")
        same(hasattr(torch, "ran"), False)
        same(torch.load(written({"t": torch.tensor([1.0])})), {"t": torch.tensor([1.0])})
        same(torch.load(written(slice(1, 2)), pickle_module=pickle), slice(1, 2))
    finally:
        vars(torch).pop("ran", None)
        os.environ.update({k: v for k, v in kept.items() if v is not None})


class Listed:
    """A class that a user has put on the list."""

    def __init__(self, n: int = 0) -> None:
        self.n = n


@promise("serialization", "serialization.safe_globals", "serialization.add_safe_globals", link=ONLY)
def listed_classes_are_loaded(device: torch.device, dtype: torch.dtype) -> None:
    """safe_globals allows classes within its block, add_safe_globals for good; get_safe_globals tells them."""
    library = __import__("types").ModuleType("listed")
    Listed.__module__, library.Listed = "listed", Listed
    __import__("sys").modules["listed"] = library
    kept = torch.serialization.get_safe_globals()
    try:
        file = written({"x": Listed(5)})
        load = lambda: (file.seek(0), torch.load(file, weights_only=True))[1]["x"].n  # noqa: E731
        raises(pickle.UnpicklingError, load, "listed.Listed")
        with torch.serialization.safe_globals([Listed]):
            same(load(), 5)
            same(Listed in torch.serialization.get_safe_globals(), True)
        raises(pickle.UnpicklingError, load, "listed.Listed")
        torch.serialization.add_safe_globals([Listed])
        same(load(), 5)
        torch.serialization.clear_safe_globals()
        raises(pickle.UnpicklingError, load, "listed.Listed")
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(kept)
        del __import__("sys").modules["listed"]


@promise("serialization", "serialization.get_unsafe_globals_in_checkpoint", link="notes/serialization.html")
def what_is_not_allowed_is_named_without_running_it(device: torch.device, dtype: torch.dtype) -> None:
    """get_unsafe_globals_in_checkpoint lists the globals of a file that are not allowed, as `module.name`."""
    t = torch.tensor([1.0], dtype=dtype, device=device)
    same(torch.serialization.get_unsafe_globals_in_checkpoint(written({"t": t, "x": Payload()})), ["builtins.exec"])
    same(torch.serialization.get_unsafe_globals_in_checkpoint(written({"t": t})), [])
    same(hasattr(torch, "ran"), False)


@promise("serialization", "load", link=ONLY)
def scripted_archives_are_not_weights(device: torch.device, dtype: torch.dtype) -> None:
    """An archive of TorchScript holds code: weights_only=True refuses it."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1)), file)
    file.seek(0)
    raises(Exception, lambda: torch.load(file, weights_only=True), "TorchScript")


@promise("serialization", "load", link=ONLY)
def only_the_module_that_was_given_unpickles(device: torch.device, dtype: torch.dtype) -> None:
    """pickle_module goes with weights_only=False alone: with True it is refused, so that it cannot run code."""
    file = written([torch.ones(2)])
    raises(RuntimeError, lambda: torch.load(file, pickle_module=pickle, weights_only=True), "pickle_module")
