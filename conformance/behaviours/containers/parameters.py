"""nn.ParameterList and nn.ParameterDict: a list and a dictionary whose tensors become parameters."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

FAMILY, LIST, DICT = "containers", "nn.ParameterList", "nn.ParameterDict"


def kinds(values: Any) -> list[Any]:
    """Parameters as their numbers, other things as they are."""
    return [v.tolist() if isinstance(v, nn.Parameter) else v for v in values]


@promise(FAMILY, LIST, levels={"float32": 1})
def tensors_in_a_list_become_parameters(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors become parameters in the constructor, by assignment, append, extend and +=; a parameter stays itself, and
    other things are held as in a list."""
    own = nn.Parameter(torch.tensor(1.0, device=device, dtype=dtype))
    m = nn.ParameterList([own, torch.tensor(2.0, device=device, dtype=dtype), "text"])
    before = m
    same((m[0] is own, m.append(torch.tensor(3.0)) is m, m.extend([torch.tensor(4.0), 5]) is m), (True, True, True))
    m += [torch.tensor(6.0)]
    m[2] = torch.tensor(7.0)
    same((m is before, kinds(m), len(m)), (True, [1.0, 2.0, 7.0, 3.0, 4.0, 5, 6.0], 7))
    same(sorted(n for n, _ in m.named_parameters()), ["0", "1", "2", "3", "4", "6"])
    same(m[0].requires_grad and m[1].requires_grad, True)


@promise(FAMILY, LIST)
def a_list_of_parameters_is_indexed_like_a_list(device: torch.device, dtype: torch.dtype) -> None:
    """Indices count from either end, a slice is a ParameterList of the same parameters; out of range is an IndexError,
    what is no iterable a TypeError, and it cannot be called."""
    m = nn.ParameterList([torch.tensor(float(i)) for i in range(4)])
    same((m[-1] is m[3], type(m[1:3]), kinds(m[1:3]), m[1:3][0] is m[1]), (True, nn.ParameterList, [1.0, 2.0], True))
    m[-1] = torch.tensor(9.0)
    same((kinds(m), list(m.state_dict())), ([0.0, 1.0, 2.0, 9.0], ["0", "1", "2", "3"]))
    raises(IndexError, lambda: m[4], "out of range")
    raises(TypeError, lambda: m.extend(torch.zeros(2)), "iterable")
    raises(RuntimeError, lambda: m(), "should not be called")


@promise(FAMILY, DICT, levels={"float32": 1})
def tensors_in_a_dictionary_become_parameters(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors become parameters in the constructor, by assignment and update; a parameter stays itself, and other
    things are held as in a dictionary."""
    own = nn.Parameter(torch.tensor(1.0, device=device, dtype=dtype))
    m = nn.ParameterDict({"a": own, "b": torch.tensor(2.0, device=device, dtype=dtype), "c": "text"})
    m["d"] = torch.tensor(3.0)
    m.update({"a": torch.tensor(4.0)})
    same((list(m), kinds(m.values()), len(m)), (["a", "b", "c", "d"], [4.0, 2.0, "text", 3.0], 4))
    same(sorted(m.state_dict()), ["a", "b", "d"])
    same(nn.ParameterDict({"a": own})["a"] is own, True)


@promise(FAMILY, DICT)
def a_dictionary_of_parameters_is_ordered(device: torch.device, dtype: torch.dtype) -> None:
    """It keeps the order of insertion, and that of an OrderedDict or ParameterDict that it is updated with; keys,
    items, values and reversed follow it."""
    m = nn.ParameterDict(OrderedDict([("z", torch.tensor(1.0)), ("a", torch.tensor(2.0))]))
    m.update(nn.ParameterDict(OrderedDict([("y", torch.tensor(3.0)), ("b", torch.tensor(4.0))])))
    m["z"] = torch.tensor(5.0)
    same(
        (list(m), list(m.keys()), list(reversed(m))), (["z", "a", "y", "b"], ["z", "a", "y", "b"], ["b", "y", "a", "z"])
    )
    same((kinds(m.values()), [k for k, _ in m.items()]), ([5.0, 2.0, 3.0, 4.0], ["z", "a", "y", "b"]))
    same(("a" in m, "c" in m), (True, False))


@promise(FAMILY, DICT)
def methods_of_a_dictionary_work(device: torch.device, dtype: torch.dtype) -> None:
    """copy, get, setdefault, pop, popitem, clear, fromkeys, | and |= do what those of a Python dictionary do."""
    m = nn.ParameterDict(OrderedDict([("a", torch.tensor(1.0)), ("b", torch.tensor(2.0))]))
    other = m.copy()
    same((type(other), other is m, other["a"] is m["a"]), (nn.ParameterDict, False, True))
    same((m.get("a") is m["a"], m.get("c"), m.get("c", 3)), (True, None, 3))
    same((m.setdefault("a", 7) is m["a"], kinds([m.setdefault("c", torch.tensor(3.0))])), (True, [3.0]))
    same((kinds([m.pop("a")]), [m.popitem()[0]], list(m)), ([1.0], ["c"], ["b"]))
    same((list(m.fromkeys(["x", "y"], 1)), list(m)), (["x", "y"], ["b"]))
    joined = other | nn.ParameterDict({"b": torch.tensor(8.0), "d": torch.tensor(9.0)})
    same((list(joined), kinds(joined.values()), list(other)), (["a", "b", "d"], [1.0, 8.0, 9.0], ["a", "b"]))
    other |= nn.ParameterDict({"d": torch.tensor(9.0)})
    same(list(other), ["a", "b", "d"])
    del m["b"]
    same((len(m), other.clear(), len(other), list(other.parameters())), (0, None, 0, []))


@promise(FAMILY, DICT)
def a_missing_key_is_a_key_error(device: torch.device, dtype: torch.dtype) -> None:
    """It can be indexed like a regular Python dictionary: a key that is missing raises KeyError, by index, pop and
    del."""
    m = nn.ParameterDict({"a": torch.tensor(1.0)})
    for wrong in (lambda: m.__delitem__("b"), lambda: m["b"], lambda: m.pop("b")):
        try:
            raises(KeyError, wrong)
        except AttributeError as error:
            raise AssertionError(f"AttributeError where KeyError was promised: {error}") from error


@promise(FAMILY, DICT)
def keys_of_parameters_are_strings(device: torch.device, dtype: torch.dtype) -> None:
    """A key is a string: TypeError where it is not, and for an update with what is no iterable."""
    raises(TypeError, lambda: nn.ParameterDict({1: torch.zeros(1)}), "string")
    raises(TypeError, lambda: nn.ParameterDict().update(3), "iterable")
