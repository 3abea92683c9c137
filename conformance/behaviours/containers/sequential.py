"""nn.Sequential: a cascade, and a list that can be edited."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

FAMILY, PATH = "containers", "nn.Sequential"


class Step(nn.Module):
    """10 x + digit: what a cascade gives tells which steps were made, in their order."""

    def __init__(self, digit: int):
        super().__init__()
        self.digit = nn.Parameter(torch.tensor(float(digit), dtype=torch.float64))

    def forward(self, x: Any) -> Any:
        return 10 * x + self.digit


def cascade(*digits: int) -> Any:
    return nn.Sequential(*map(Step, digits))


def same_cascade(m: Any, names: str, number: int) -> None:
    """The names of the steps, their count, and what they make of 0."""
    found = " ".join(n for n, _ in m.named_modules(remove_duplicate=False) if n)
    same((type(m), found, len(m)), (nn.Sequential, names, len(names.split())))
    same(int(m(torch.tensor(0.0, dtype=torch.float64))), number)


@promise(FAMILY, PATH, levels={"float32": 1})
def outputs_are_chained_to_inputs(device: torch.device, dtype: torch.dtype) -> None:
    """Modules run in the order in which they were given, each on the output of the one before: as arguments, in an
    OrderedDict, or added by name; without any the input is given back."""
    same_cascade(cascade(1, 2, 3), "0 1 2", 123)
    same_cascade(nn.Sequential(OrderedDict(first=Step(4), second=Step(5))), "first second", 45)
    m = nn.Sequential()
    x = torch.zeros(2)
    same(m(x) is x, True)
    m.add_module("b", Step(6))
    m.add_module("a", Step(7))
    same_cascade(m, "b a", 67)
    same([n for n, _ in nn.Sequential(m, Step(1)).named_parameters()], ["0.b.digit", "0.a.digit", "1.digit"])


@promise(FAMILY, PATH)
def it_is_indexed_like_a_list(device: torch.device, dtype: torch.dtype) -> None:
    """Indices count from either end; a slice is a Sequential of the same modules under their names; out of range is an
    IndexError."""
    m = cascade(1, 2, 3, 4)
    same([m[0] is m.get_submodule("0"), m[-1] is m.get_submodule("3"), m[-4] is m[0]], [True] * 3)
    same_cascade(m[1:3], "1 2", 23)
    same_cascade(m[::2], "0 2", 13)
    same_cascade(m[::-1], "3 2 1 0", 4321)
    same((m[1:3][0] is m[1], [s is t for s, t in zip(m, m.children())]), (True, [True] * 4))
    for wrong in (4, -5):
        raises(IndexError, lambda wrong=wrong: m[wrong], "out of range")


@promise(FAMILY, PATH)
def it_grows(device: torch.device, dtype: torch.dtype) -> None:
    """append adds a module at the end, extend those of an iterable, insert one at an index; each gives the
    container."""
    m = cascade(1)
    same(m.append(Step(2)) is m, True)
    same(m.extend(cascade(3, 4)) is m, True)
    same_cascade(m, "0 1 2 3", 1234)
    same(m.insert(0, Step(5)) is m, True)
    m.insert(5, Step(6))
    m.insert(2, Step(7))
    m.insert(-1, Step(8))
    same_cascade(m, "0 1 2 3 4 5 6 7", 51723486)
    raises(IndexError, lambda: m.insert(9, Step(0)), "out of range")
    raises(TypeError, lambda: m.append(lambda x: x), "not a Module")


@promise(FAMILY, PATH)
def modules_are_replaced_and_deleted(device: torch.device, dtype: torch.dtype) -> None:
    """An index can be assigned; del and pop take out a module or a slice, and the others are counted anew."""
    m = cascade(1, 2, 3, 4, 5)
    m[1], m[-1] = Step(7), Step(8)
    same_cascade(m, "0 1 2 3 4", 17348)
    del m[0]
    same_cascade(m, "0 1 2 3", 7348)
    del m[1:3]
    same_cascade(m, "0 1", 78)
    last = m[-1]
    same(m.pop(-1) is last, True)
    same_cascade(m, "0", 7)
    raises(IndexError, lambda: m.pop(1))


@promise(FAMILY, PATH)
def cascades_are_added_and_multiplied(device: torch.device, dtype: torch.dtype) -> None:
    """a + b and a += b put b behind a; a * n and a *= n put the same modules n times behind one another."""
    a, b = cascade(1, 2), cascade(3)
    same_cascade(a + b, "0 1 2", 123)
    same_cascade(a * 2, "0 1 2 3", 1212)
    same_cascade(3 * b, "0 1 2", 333)
    same_cascade(a, "0 1", 12)
    double = b * 2
    same((double[0] is double[1], len(list(double.parameters()))), (True, 1))
    before = a
    a += b
    a *= 2
    same(a is before, True)
    same_cascade(a, "0 1 2 3 4 5", 123123)
    raises(ValueError, lambda: a + [Step(1)])
    raises(ValueError, lambda: a * 0)
    raises(TypeError, lambda: a * 1.5)


@promise(FAMILY, PATH)
def a_slice_grows_at_its_end(device: torch.device, dtype: torch.dtype) -> None:
    """append adds a module at the end of a slice as well, which is a Sequential too: it replaces none."""
    m = cascade(1, 2, 3)[1:]
    m.append(Step(4))
    same(int(m(torch.tensor(0.0))), 234)


@promise(FAMILY, PATH)
def a_cascade_with_names_is_inserted_into(device: torch.device, dtype: torch.dtype) -> None:
    """insert puts a module at an index also where modules have names of their own."""
    m = nn.Sequential(OrderedDict(first=Step(4), second=Step(5)))
    try:
        m.insert(1, Step(6))
    except KeyError as error:
        raise AssertionError(f"cannot be inserted: KeyError {error}") from error
    same(int(m(torch.tensor(0.0))), 465)


@promise(FAMILY, PATH)
def shared_modules_get_the_sum_of_gradients(device: torch.device, dtype: torch.dtype) -> None:
    """A module that stands twice is one module: its parameters are listed once and their gradients add up."""
    step = Step(3)
    m = nn.Sequential(step, Step(1), step).to(device, dtype)
    same([n for n, _ in m.named_parameters()], ["0.digit", "1.digit"])
    same(list(m.state_dict()), ["0.digit", "1.digit", "2.digit"])
    m(torch.tensor(0.0, dtype=dtype, device=device)).backward(torch.tensor(2.0, dtype=dtype, device=device))
    same([p.grad.item() for p in m.parameters()], [202.0, 20.0])
