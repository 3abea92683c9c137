"""Parametrizations: what is registered, evaluated, assigned, cached, removed, saved."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

FAMILY = "nn.utils.parametrize"
REGISTER = "nn.utils.parametrize.register_parametrization"


class Times(nn.Module):
    """x factor, and its inverse."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor, self.calls = factor, 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return x * self.factor

    def right_inverse(self, y: Any) -> Any:
        return y / self.factor


class Plus(nn.Module):
    """x + 1, and its inverse."""

    def forward(self, x: Any) -> Any:
        return x + 1

    def right_inverse(self, y: Any) -> Any:
        return y - 1


class Square(nn.Module):
    """x^2, without an inverse."""

    def forward(self, x: Any) -> Any:
        return x * x


class Sum(nn.Module):
    """x + y of two originals."""

    def forward(self, x: Any, y: Any) -> Any:
        return x + y

    def right_inverse(self, z: Any) -> Any:
        return z - 1, torch.ones_like(z)


def linear(device: torch.device, dtype: torch.dtype) -> Any:
    """Weight [[2, -3]], no bias."""
    m: Any = nn.Linear(2, 1, bias=False, device=device, dtype=dtype)
    m.weight.data.copy_(torch.tensor([[2.0, -3.0]]))
    return m


@promise(FAMILY, REGISTER, covers=("nn.utils.parametrize.ParametrizationList", "nn.utils.parametrize.is_parametrized"))
def the_attribute_is_the_parametrization_of_the_original(device: torch.device, dtype: torch.dtype) -> None:
    """The attribute gives parametrization(original), computed at every access; the original is the parameter that was
    there, below `parametrizations`; gradients pass to it."""
    m = linear(device, dtype)
    before = m.weight
    same(parametrize.is_parametrized(m), False)
    same(parametrize.register_parametrization(m, "weight", Square()) is m, True)
    same([parametrize.is_parametrized(m), parametrize.is_parametrized(m, "weight")], [True, True])
    same(parametrize.is_parametrized(m, "bias"), False)
    same(type(m.parametrizations.weight), parametrize.ParametrizationList)
    same(m.parametrizations.weight.original is before, True)
    same([n for n, _ in m.named_parameters()], ["parametrizations.weight.original"])
    same((m.weight.detach(), isinstance(m, nn.Linear)), (torch.tensor([[4.0, 9.0]], dtype=dtype, device=device), True))
    m(torch.tensor([1.0, -2.0], dtype=dtype, device=device)).backward(torch.tensor([3.0], dtype=dtype, device=device))
    same(before.grad, torch.tensor([[12.0, 36.0]], dtype=dtype, device=device))  # 3 x 2 w
    before.data.fill_(5.0)
    same(m.weight.detach(), torch.tensor([[25.0, 25.0]], dtype=dtype, device=device))


@promise(FAMILY, REGISTER)
def several_are_applied_in_their_order(device: torch.device, dtype: torch.dtype) -> None:
    """Several parametrizations of one tensor are applied one after another as they were registered; right_inverse of
    the first gives the original its value."""
    m = linear(device, dtype)
    for p in (Times(4.0), Plus(), Square()):
        parametrize.register_parametrization(m, "weight", p)
    same(m.parametrizations.weight.original.detach(), torch.tensor([[0.5, -0.75]], dtype=dtype, device=device))
    same(m.weight.detach(), torch.tensor([[9.0, 4.0]], dtype=dtype, device=device))
    m.weight.backward(torch.tensor([[1.0, -2.0]], dtype=dtype, device=device))
    # 4 x 2 (4 x + 1)
    same(m.parametrizations.weight.original.grad, torch.tensor([[24.0, 32.0]], dtype=dtype, device=device))


@promise(FAMILY, REGISTER)
def an_assignment_goes_through_the_inverses(device: torch.device, dtype: torch.dtype) -> None:
    """Assigning to the attribute calls right_inverse of all, from the last to the first, and stores the result in the
    original, which stays the same parameter; where one has no right_inverse it is refused."""
    m = linear(device, dtype)
    for p in (Times(4.0), Plus()):
        parametrize.register_parametrization(m, "weight", p)
    original = m.parametrizations.weight.original
    m.weight = torch.tensor([[9.0, -7.0]], dtype=dtype, device=device)
    same(original.detach(), torch.tensor([[2.0, -2.0]], dtype=dtype, device=device))
    same((m.parametrizations.weight.original is original, original.requires_grad), (True, True))
    same(m.weight.detach(), torch.tensor([[9.0, -7.0]], dtype=dtype, device=device))
    parametrize.register_parametrization(m, "weight", Square())
    raises(RuntimeError, lambda: setattr(m, "weight", torch.zeros(1, 2)), "right_inverse")


@promise(FAMILY, REGISTER)
def the_first_may_have_several_originals(device: torch.device, dtype: torch.dtype) -> None:
    """A right_inverse that gives several tensors makes them the parameters original0, original1, ...; they cannot be
    left without the parametrization."""
    m = linear(device, dtype)
    parametrize.register_parametrization(m, "weight", Sum())
    names = [n for n, _ in m.named_parameters()]
    same(names, ["parametrizations.weight.original0", "parametrizations.weight.original1"])
    same(m.parametrizations.weight.original0.detach(), torch.tensor([[1.0, -4.0]], dtype=dtype, device=device))
    same(m.weight.detach(), torch.tensor([[2.0, -3.0]], dtype=dtype, device=device))
    m.weight.backward(torch.tensor([[5.0, -7.0]], dtype=dtype, device=device))
    same([p.grad for p in m.parameters()], [torch.tensor([[5.0, -7.0]], dtype=dtype, device=device)] * 2)
    raises(ValueError, lambda: parametrize.remove_parametrizations(m, "weight", False))


@promise(FAMILY, "nn.utils.parametrize.cached")
def inside_cached_it_is_computed_once(device: torch.device, dtype: torch.dtype) -> None:
    """Inside cached() the tensor is computed at its first access and kept until the outermost context is left."""
    m, times = linear(device, dtype), Times(2.0)
    parametrize.register_parametrization(m, "weight", times)
    start = times.calls
    with parametrize.cached():
        first = m.weight
        with parametrize.cached():
            same(m.weight is first, True)
        same((m.weight is first, times.calls - start), (True, 1))
    same((m.weight is first, m.weight is first, times.calls - start), (False, False, 3))


@promise(FAMILY, "nn.utils.parametrize.remove_parametrizations")
def a_removal_leaves_the_value_or_the_original(device: torch.device, dtype: torch.dtype) -> None:
    """leave_parametrized=True leaves the present value as the parameter, False the original; the class is again that
    from before; what is not parametrized is refused."""
    for leave, want in ((True, [[4.0, 9.0]]), (False, [[2.0, -3.0]])):
        m = linear(device, dtype)
        parametrize.register_parametrization(m, "weight", Square())
        same(parametrize.remove_parametrizations(m, "weight", leave_parametrized=leave) is m, True)
        same((type(m), parametrize.is_parametrized(m)), (nn.Linear, False))
        same((type(m.weight), m.weight.requires_grad, list(m.state_dict())), (nn.Parameter, True, ["weight"]))
        same(m.weight.detach(), torch.tensor(want, dtype=dtype, device=device))
        raises(ValueError, lambda m=m: parametrize.remove_parametrizations(m, "weight"))


@promise(FAMILY, REGISTER)
def a_change_of_shape_or_dtype_is_refused(device: torch.device, dtype: torch.dtype) -> None:
    """A parametrization may not change shape or dtype unless it is unsafe, and must be of a tensor that there is; the
    module is then as it was."""

    class Flat(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.flatten()

    class Half(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.half()

    m = linear(device, dtype)
    raises(ValueError, lambda: parametrize.register_parametrization(m, "weight", Flat()), "shape")
    raises(ValueError, lambda: parametrize.register_parametrization(m, "weight", Half()), "dtype")
    raises(ValueError, lambda: parametrize.register_parametrization(m, "strength", Plus()), "strength")
    same((parametrize.is_parametrized(m), list(m.state_dict())), (False, ["weight"]))
    parametrize.register_parametrization(m, "weight", Flat(), unsafe=True)
    same(m.weight.shape, torch.Size([2]))


@promise(FAMILY, REGISTER)
def state_and_copies_are_those_of_the_original(device: torch.device, dtype: torch.dtype) -> None:
    """state_dict has the originals and loads them; a copy is parametrized alike and independent; pickling is refused
    with a hint at state_dict."""
    m, other = linear(device, dtype), nn.Linear(2, 1, bias=False, device=device, dtype=dtype)
    for each in (m, other):
        parametrize.register_parametrization(each, "weight", Square())
    same(list(m.state_dict()), ["parametrizations.weight.original"])
    other.load_state_dict(m.state_dict())
    same(other.weight.detach(), torch.tensor([[4.0, 9.0]], dtype=dtype, device=device))
    made = copy.deepcopy(m)
    made.parametrizations.weight.original.data.fill_(1.0)
    same(made.weight.detach(), torch.tensor([[1.0, 1.0]], dtype=dtype, device=device))
    same(m.weight.detach(), torch.tensor([[4.0, 9.0]], dtype=dtype, device=device))
    raises(RuntimeError, lambda: pickle.dumps(m), "state_dict")


@promise(FAMILY, REGISTER)
def buffers_and_modes_are_taken_along(device: torch.device, dtype: torch.dtype) -> None:
    """A buffer can be parametrized too; the parametrization gets the training mode of the module."""
    m = nn.BatchNorm1d(2, device=device, dtype=dtype).eval()
    m.running_mean.fill_(-3.0)
    p = Square()
    parametrize.register_parametrization(m, "running_mean", p)
    same((p.training, m.running_mean), (False, torch.full((2,), 9.0, dtype=dtype, device=device)))
    same("parametrizations.running_mean.original" in dict(m.named_buffers()), True)
    m.train()
    same(p.training, True)


@promise(FAMILY, "nn.utils.parametrize.transfer_parametrizations_and_params",
         covers=("nn.utils.parametrize.type_before_parametrizations",),
         link="generated/torch.nn.utils.parametrize.register_parametrization.html")  # fmt: skip
def parametrizations_are_transferred(device: torch.device, dtype: torch.dtype) -> None:
    """Parametrizations and their parameters are transferred to another module; type_before_parametrizations gives the
    class from before."""
    m, other = linear(device, dtype), nn.Linear(2, 1, bias=False, device=device, dtype=dtype)
    parametrize.register_parametrization(m, "weight", Square())
    same(parametrize.transfer_parametrizations_and_params(m, other) is other, True)
    same(other.weight.detach(), torch.tensor([[4.0, 9.0]], dtype=dtype, device=device))
    same([parametrize.type_before_parametrizations(x) for x in (m, nn.ReLU())], [nn.Linear, nn.ReLU])
    same(type(m) is nn.Linear, False)
