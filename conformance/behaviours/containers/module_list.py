"""nn.ModuleList: a list whose modules are registered."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

FAMILY, PATH = "containers", "nn.ModuleList"


def listed(*sizes: int) -> Any:
    """Linear layers told apart by their number of inputs."""
    return nn.ModuleList([nn.Linear(n, 1) for n in sizes])


def same_list(m: Any, *sizes: int) -> None:
    """The layers, and the names under which they are registered."""
    same((type(m), [layer.in_features for layer in m], len(m)), (nn.ModuleList, list(sizes), len(sizes)))
    same([n for n, _ in m.named_children()], [str(i) for i in range(len(sizes))])


@promise(FAMILY, PATH, levels={"float32": 1})
def it_is_a_list_of_registered_modules(device: torch.device, dtype: torch.dtype) -> None:
    """It is indexed and gone through like a Python list, and its modules are seen by all methods of Module."""
    m = listed(1, 2, 3)
    same_list(m, 1, 2, 3)
    same([m[-1] is m[2], m[0] is next(iter(m)), m[1] in m], [True] * 3)
    same_list(m[1:], 2, 3)
    same_list(m[::-1], 3, 2, 1)
    same([n for n, _ in m.named_parameters()][:3], ["0.weight", "0.bias", "1.weight"])
    same((len(nn.ModuleList()), m.eval()[0].training), (0, False))
    for wrong in (3, -4):
        raises(IndexError, lambda wrong=wrong: m[wrong], "out of range")
    raises(NotImplementedError, lambda: m(torch.zeros(1)))


@promise(FAMILY, PATH)
def modules_are_appended_inserted_and_joined(device: torch.device, dtype: torch.dtype) -> None:
    """append adds at the end, extend and += what an iterable has, insert before an index; + makes a new list."""
    m = listed(1)
    before = m
    same(m.append(nn.Linear(2, 1)) is m, True)
    same(m.extend(iter(listed(3, 4))) is m, True)
    m += [nn.Linear(5, 1)]
    same(m is before, True)
    m.insert(0, nn.Linear(6, 1))
    m.insert(2, nn.Linear(7, 1))
    m.insert(7, nn.Linear(8, 1))
    same_list(m, 6, 1, 7, 2, 3, 4, 5, 8)
    a = listed(1)
    same_list(a + [nn.Linear(2, 1)], 1, 2)
    same_list(a, 1)
    raises(TypeError, lambda: m.extend(3), "iterable")
    raises(TypeError, lambda: m.append("layer"), "not a Module")


@promise(FAMILY, PATH)
def modules_are_replaced_and_taken_out(device: torch.device, dtype: torch.dtype) -> None:
    """An index can be assigned; del and pop take out a module or a slice, and the others are counted anew."""
    m = listed(1, 2, 3, 4, 5)
    m[0], m[-2] = nn.Linear(8, 1), nn.Linear(9, 1)
    same_list(m, 8, 2, 3, 9, 5)
    del m[1]
    same_list(m, 8, 3, 9, 5)
    del m[1:3]
    same_list(m, 8, 5)
    last = m[-1]
    same(m.pop(1) is last, True)
    same_list(m, 8)
    raises(IndexError, lambda: m.pop(1))


@promise(FAMILY, PATH)
def insertion_counts_like_that_of_a_list(device: torch.device, dtype: torch.dtype) -> None:
    """It can be indexed like a regular Python list: insert(-1) inserts before the last module, and behind the end means
    at the end."""
    m = listed(1, 2)
    m.insert(5, nn.Linear(3, 1))
    same_list(m, 1, 2, 3)
    try:
        m.insert(-1, nn.Linear(4, 1))
    except KeyError as error:
        raise AssertionError(f"cannot be inserted: KeyError {error}") from error
    same_list(m, 1, 2, 4, 3)


@promise(FAMILY, PATH)
def alike_modules_are_shown_once(device: torch.device, dtype: torch.dtype) -> None:
    """The representation shows modules that are alike once, with their number."""
    m = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()])
    same(repr(m), "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)")
    same(repr(nn.ModuleList()), "ModuleList()")


class Widening(nn.Module):
    """Uses the modules of its list by index and in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(1, 1, bias=False) for _ in range(3)])

    def forward(self, x: Any) -> Any:
        for i, layer in enumerate(self.linears):
            x = self.linears[i // 2](x) + layer(x)
        return x


@promise(FAMILY, PATH)
def a_loop_over_the_list_computes_by_hand(device: torch.device, dtype: torch.dtype) -> None:
    """The example of the page: x -> w[i // 2] x + w[i] x for i = 0, 1, 2, with the gradients of all."""
    m = Widening().to(device, dtype)
    for layer, value in zip(m.linears, (2.0, 3.0, -1.0)):
        layer.weight.data.fill_(value)
    x = torch.tensor([5.0], dtype=dtype, device=device, requires_grad=True)
    out = m(x)  # (w1 + w2) (w0 + w1) 2 w0 x = 2 * 5 * 4 * 5
    same(out.detach(), x.new_tensor([200.0]))
    out.backward(x.new_tensor([-1.0]))
    # d/dw0 = (w1 + w2) (4 w0 + 2 w1) x,  d/dw1 = 2 w0 (w0 + 2 w1 + w2) x,  d/dw2 = 2 w0 (w0 + w1) x
    same([layer.weight.grad.item() for layer in m.linears], [-140.0, -140.0, -100.0])
    same(x.grad, x.new_tensor([-40.0]))
