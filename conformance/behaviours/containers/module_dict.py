"""nn.ModuleDict: a dictionary whose modules are registered."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

FAMILY, PATH = "containers", "nn.ModuleDict"


@promise(FAMILY, PATH, levels={"float32": 1})
def it_is_a_dictionary_of_registered_modules(device: torch.device, dtype: torch.dtype) -> None:
    """It is indexed like a Python dictionary, in the order of insertion, and its modules are seen by all methods of
    Module."""
    conv, pool = nn.Linear(1, 2), nn.Linear(2, 3, bias=False)
    m = nn.ModuleDict({"pool": pool, "conv": conv})
    same((list(m), list(m.keys()), len(m)), (["pool", "conv"], ["pool", "conv"], 2))
    same([m["conv"] is conv, list(m.values()) == [pool, conv], "conv" in m, "norm" in m], [True, True, True, False])
    same([(k, v is w) for (k, v), w in zip(m.items(), (pool, conv))], [("pool", True), ("conv", True)])
    same([n for n, _ in m.named_parameters()], ["pool.weight", "conv.weight", "conv.bias"])
    same((list(nn.ModuleDict([("b", conv), ("a", pool)])), list(nn.ModuleDict())), (["b", "a"], []))


@promise(FAMILY, PATH)
def keys_are_set_and_taken_out(device: torch.device, dtype: torch.dtype) -> None:
    """A key can be assigned, again too, which keeps its place; del and pop take it out, clear takes all; a key that is
    missing raises KeyError."""
    m = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()})
    m["a"] = last = nn.Sigmoid()
    m["c"] = nn.ReLU()
    same((list(m), m["a"] is last), (["a", "b", "c"], True))
    del m["b"]
    same((m.pop("a") is last, list(m)), (True, ["c"]))
    for wrong in (lambda: m["a"], lambda: m.pop("a"), lambda: m.__delitem__("a")):
        raises(KeyError, wrong)
    same((m.clear(), len(m), list(m.modules()) == [m]), (None, 0, True))


@promise(FAMILY, PATH)
def an_update_adds_and_overwrites(device: torch.device, dtype: torch.dtype) -> None:
    """update takes a mapping or pairs, overwrites keys that are there, and keeps the order of what it is given."""
    m = nn.ModuleDict({"a": nn.ReLU()})
    tanh = nn.Tanh()
    m.update(OrderedDict([("z", nn.ReLU()), ("a", tanh)]))
    m.update(nn.ModuleDict({"y": nn.ReLU(), "b": nn.ReLU()}))
    m.update([("x", nn.ReLU())])
    same((list(m), m["a"] is tanh), (["a", "z", "y", "b", "x"], True))
    raises(TypeError, lambda: m.update(3), "iterable")
    raises(ValueError, lambda: m.update([("w",)]), "2 is required")


@promise(FAMILY, PATH)
def names_that_are_none_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """A key is a string without a dot, not empty, and not the name of an attribute; a value is a module."""
    raises(TypeError, lambda: nn.ModuleDict({1: nn.ReLU()}), "string")
    for key in ("a.b", "", "keys"):
        raises(KeyError, lambda key=key: nn.ModuleDict({key: nn.ReLU()}))
    raises(TypeError, lambda: nn.ModuleDict({"a": 3}), "not a Module")
