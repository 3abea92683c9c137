"""Hooks of tensors that are saved for the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import graph

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

SAVED = "autograd.graph.saved_tensors_hooks"
PAGE = "autograd.html#torch.autograd.graph.saved_tensors_hooks"
NOTES = "notes/autograd.html#hooks-for-saved-tensors"


@promise("hooks", SAVED, link=PAGE, levels={"float32": 1})
def saving_packs_and_the_backward_pass_unpacks(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor that an operation saves is packed, and unpacked in the backward pass, behind the context too."""
    x = torch.tensor([2.0, -3.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []

    def pack(t: torch.Tensor) -> Any:
        seen.append(("pack", t.tolist()))
        return t.tolist()

    def unpack(held: Any) -> torch.Tensor:
        seen.append(("unpack", held))
        return torch.tensor(held, device=device, dtype=dtype)

    with graph.saved_tensors_hooks(pack, unpack):
        y = x.square()
    z = y * y  # saved outside: not packed
    same(seen, [("pack", [2.0, -3.0])])
    z.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(seen, [("pack", [2.0, -3.0]), ("unpack", [2.0, -3.0])])
    same(x.grad, torch.tensor([32.0, 108.0], device=device, dtype=dtype))  # 4 x^3 g


@promise("hooks", SAVED, link=PAGE)
def what_is_unpacked_is_what_is_used(device: torch.device, dtype: torch.dtype) -> None:
    """The tensor that unpack_hook returns takes the place of the one that was saved."""
    a, b = (torch.tensor([v], device=device, dtype=dtype, requires_grad=True) for v in (3.0, 5.0))
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t * 2):
        y = a * b
    y.backward(torch.tensor([1.5], device=device, dtype=dtype))
    same([a.grad, b.grad], [torch.tensor([v], device=device, dtype=dtype) for v in (15.0, 9.0)])


@promise("hooks", SAVED, link=PAGE)
def the_innermost_pair_applies(device: torch.device, dtype: torch.dtype) -> None:
    """Where contexts are nested, only the innermost pair of hooks is applied; the outer one is back afterwards."""
    x = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[str] = []

    def named(name: str) -> Any:
        return graph.saved_tensors_hooks(lambda t: seen.append(name) or t, lambda t: t)

    with named("outer"):
        with named("inner"):
            y = x.square()
        y.square()
    x.square()
    same(seen, ["inner", "outer"])


@promise("hooks", SAVED, link=NOTES)
def every_pass_unpacks_again(device: torch.device, dtype: torch.dtype) -> None:
    """unpack_hook is called each time the tensor is needed: in every pass over a retained graph."""
    x = torch.tensor([3.0], device=device, dtype=dtype, requires_grad=True)
    unpacked: list[int] = []
    with graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: unpacked.append(1) or t):
        y = x.square()
    g = torch.tensor([2.0], device=device, dtype=dtype)
    for _ in range(2):
        torch.autograd.grad(y, x, g, retain_graph=True)
    same(len(unpacked), 2)


@promise("hooks", SAVED, link=NOTES)
def derivatives_of_derivatives_are_right_under_it(device: torch.device, dtype: torch.dtype) -> None:
    """Packing and unpacking change no numbers: derivatives of x^3 up to the third, all made under the hooks."""
    x = torch.tensor([2.0, -3.0], device=device, dtype=dtype, requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t.tolist(), lambda v: torch.tensor(v, device=device, dtype=dtype)):
        y = x * x * x
        v = torch.tensor([1.0, -1.0], device=device, dtype=dtype)
        (first,) = torch.autograd.grad(y, x, v, retain_graph=True)
    same(first, torch.tensor([12.0, -27.0], device=device, dtype=dtype))
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x * x * x
        (first,) = torch.autograd.grad(y, x, v, create_graph=True)
        (second,) = torch.autograd.grad(first, x, v, create_graph=True)
        (third,) = torch.autograd.grad(second, x, v)
    same([first.detach(), second.detach(), third],
         [torch.tensor(w, device=device, dtype=dtype) for w in ([12.0, -27.0], [12.0, -18.0], [6.0, -6.0])],
         )  # fmt: skip


@promise("hooks", SAVED, link=NOTES)
def nothing_is_packed_where_nothing_is_recorded(device: torch.device, dtype: torch.dtype) -> None:
    """Under no_grad, and for inputs that need no gradient, no tensor is saved and no hook called."""
    x = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []
    with graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        with torch.no_grad():
            x.square()
        x.detach().square()
    same(seen, [])


@promise("hooks", SAVED, link=NOTES)
def what_the_hooks_raise_is_raised(device: torch.device, dtype: torch.dtype) -> None:
    """An exception of pack_hook ends the operation, one of unpack_hook the backward pass; later ones go well."""
    x = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)

    def failing(t: Any) -> Any:
        raise ArithmeticError("mine")

    def packing() -> None:
        with graph.saved_tensors_hooks(failing, lambda t: t):
            x.square()

    raises(ArithmeticError, packing, "mine")
    with graph.saved_tensors_hooks(lambda t: t, failing):
        y = x.square()
    raises(ArithmeticError, lambda: y.backward(torch.tensor([1.0], device=device, dtype=dtype)), "mine")
    x.square().backward(torch.tensor([1.5], device=device, dtype=dtype))
    same(x.grad, torch.tensor([6.0], device=device, dtype=dtype))


@promise("hooks", SAVED, link="notes/autograd.html#registering-hooks-for-a-saved-tensor")
def one_saved_tensor_may_have_its_own(device: torch.device, dtype: torch.dtype) -> None:
    """register_hooks() of a raw saved tensor packs that one at once; a second pair is refused."""
    x = torch.tensor([3.0], device=device, dtype=dtype, requires_grad=True)
    y: Any = x.square()
    seen: list[str] = []
    saved = y.grad_fn._raw_saved_self
    saved.register_hooks(lambda t: seen.append("pack") or t * 2, lambda t: seen.append("unpack") or t)
    same(seen, ["pack"])
    raises(RuntimeError, lambda: saved.register_hooks(lambda t: t, lambda t: t))
    y.backward(torch.tensor([1.5], device=device, dtype=dtype))
    same(seen, ["pack", "unpack"])
    same(x.grad, torch.tensor([18.0], device=device, dtype=dtype))


@promise("hooks", "autograd.graph.disable_saved_tensors_hooks",
         link="autograd.html#torch.autograd.graph.disable_saved_tensors_hooks")  # fmt: skip
def it_refuses_saved_tensor_hooks_with_a_message(device: torch.device, dtype: torch.dtype) -> None:
    """Inside the context saved tensor hooks raise with the given message; behind it they work again."""
    x = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []

    def hooked() -> None:
        with graph.saved_tensors_hooks(lambda t: seen.append(t.tolist()) or t, lambda t: t):
            x.square()

    with graph.disable_saved_tensors_hooks("not here"):
        raises(RuntimeError, hooked, "not here")
    hooked()
    same(seen, [[2.0]])


@promise("hooks", "autograd.graph.save_on_cpu", link="autograd.html#torch.autograd.graph.save_on_cpu")
def it_brings_tensors_back_to_their_device(device: torch.device, dtype: torch.dtype) -> None:
    """Saved tensors are kept on the CPU and are on their device again in the backward pass; no number changes."""
    a, b = (torch.tensor(v, device=device, dtype=dtype, requires_grad=True) for v in ([3.0, -1.0], [5.0, 2.0]))
    with graph.save_on_cpu():
        y: Any = a * b
    same(y.grad_fn._saved_other.device, a.device)
    y.backward(torch.tensor([2.0, -1.0], device=device, dtype=dtype))
    same([a.grad, b.grad], [torch.tensor(v, device=device, dtype=dtype) for v in ([10.0, -2.0], [6.0, 1.0])])
