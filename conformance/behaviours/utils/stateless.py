"""A module called with other parameters and buffers than its own."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.nn.utils import stateless

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

PATH = "func.functional_call"


def call(*args: Any, **options: Any) -> Any:
    return torch.func.functional_call(*args, **options)


class Tied(nn.Module):
    """x a b, with b the same parameter as a."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(2.0))
        self.b = self.a

    def forward(self, x: Any) -> Any:
        return x * self.a * self.b


def linear(device: torch.device, dtype: torch.dtype) -> Any:
    """Weight [[2, -3]] and bias 1."""
    m = nn.Linear(2, 1, device=device, dtype=dtype)
    m.weight.data.copy_(torch.tensor([[2.0, -3.0]]))
    m.bias.data.fill_(1.0)
    return m


@promise("nn.utils.stateless", "nn.utils.stateless.functional_call")
def the_old_spelling_warns_and_does_the_same(device: torch.device, dtype: torch.dtype) -> None:
    """torch.nn.utils.stateless.functional_call is deprecated in favour of torch.func.functional_call, and does what it
    does."""
    m, x = linear(device, dtype), torch.tensor([1.0, 2.0], dtype=dtype, device=device)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        got = stateless.functional_call(m, {"bias": torch.tensor([5.0], dtype=dtype, device=device)}, x)
    same((got.detach(), any("deprecated" in str(s.message) for s in said)), (x.new_tensor([1.0]), True))


@promise("nn.utils.stateless", PATH)
def what_is_given_takes_the_place_of_parameters(device: torch.device, dtype: torch.dtype) -> None:
    """The call uses the tensors given by name, and the module's own for the rest; gradients pass to those that were
    given; the module is then as it was."""
    m = linear(device, dtype)
    before = dict(m.named_parameters())
    w = torch.tensor([[5.0, 7.0]], dtype=dtype, device=device, requires_grad=True)
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device)
    for args in (((x,),), (x,), ((), {"input": x})):
        out = call(m, {"weight": w}, *args)
        same(out.detach(), x.new_tensor([-8.0]))
        w.grad = None
        out.backward(x.new_tensor([3.0]))
        same(w.grad, x.new_tensor([[3.0, -6.0]]))
    same([(before[n] is p, p.grad is None) for n, p in m.named_parameters()], [(True, True), (True, False)])


@promise("nn.utils.stateless", PATH)
def changes_of_buffers_go_to_what_is_given(device: torch.device, dtype: torch.dtype) -> None:
    """In-place changes of a buffer during the call are made to the tensor that was given, not to the module's."""
    m = nn.BatchNorm1d(1, momentum=0.5, device=device, dtype=dtype)
    mean = torch.tensor([4.0], dtype=dtype, device=device)
    call(m, {"running_mean": mean}, (torch.tensor([[1.0], [3.0]], dtype=dtype, device=device),))
    same((mean, m.running_mean), (mean.new_tensor([3.0]), mean.new_tensor([0.0])))


@promise("nn.utils.stateless", PATH)
def tied_weights_stay_tied_unless_untied(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor that is given for one of several names of a parameter is used for all of them; tie_weights=False uses it
    for that name alone; two different tensors for tied names are refused."""
    m, x = Tied().to(device, dtype), torch.tensor(1.0, dtype=dtype, device=device)
    three, five = (torch.tensor(v, dtype=dtype, device=device) for v in (3.0, 5.0))
    same(call(m, {"a": three}, (x,)).detach(), x * 9)
    same(call(m, {"b": three}, (x,)).detach(), x * 9)
    same(call(m, {"a": three}, (x,), tie_weights=False).detach(), x * 6)
    same(call(m, {"a": three, "b": five}, (x,), tie_weights=False).detach(), x * 15)
    raises(ValueError, lambda: call(m, {"a": three, "b": five}, (x,)), "tied")
    same((m(x).detach(), m.a is m.b), (x * 4, True))


@promise("nn.utils.stateless", PATH)
def strict_wants_every_name(device: torch.device, dtype: torch.dtype) -> None:
    """With strict=True names that are missing or unknown raise RuntimeError."""
    m, x = linear(device, dtype), torch.ones(2, dtype=dtype, device=device)
    given = {n: p.detach() * 2 for n, p in m.named_parameters()}
    same(call(m, given, (x,), strict=True), x.new_tensor([0.0]))
    raises(RuntimeError, lambda: call(m, {"weight": given["weight"]}, (x,), strict=True), "bias")
    raises(RuntimeError, lambda: call(m, {**given, "strength": x}, (x,), strict=True), "strength")


@promise("nn.utils.stateless", PATH)
def several_dictionaries_are_one(device: torch.device, dtype: torch.dtype) -> None:
    """A tuple of dictionaries with different keys is taken as one; a key in two of them is refused."""
    m, x = linear(device, dtype), torch.ones(2, dtype=dtype, device=device)
    w, b = {"weight": x[None] * 4}, {"bias": x[:1] * 2}
    same(call(m, (w, b), (x,)), x.new_tensor([10.0]))
    raises(ValueError, lambda: call(m, (w, {**b, **w}), (x,)))


@promise("nn.utils.stateless", PATH)
def an_exception_leaves_the_module_as_it_was(device: torch.device, dtype: torch.dtype) -> None:
    """After a call that raises the module has its own parameters again."""
    m = linear(device, dtype)
    before = m.weight
    raises(RuntimeError, lambda: call(m, {"weight": torch.zeros(1, 5, dtype=dtype, device=device)}, (before[0],)))
    same((m.weight is before, list(m._parameters)), (True, ["weight", "bias"]))


@promise("nn.utils.stateless", PATH)
def per_sample_gradients_by_vmap_of_grad(device: torch.device, dtype: torch.dtype) -> None:
    """Under vmap of grad a functional call gives the gradient of every sample by itself."""
    m = linear(device, dtype)
    parameters = {n: p.detach() for n, p in m.named_parameters()}
    x = torch.tensor([[1.0, 2.0], [-3.0, 0.5]], dtype=dtype, device=device)

    def loss(given: Any, sample: Any) -> Any:
        return (call(m, given, (sample,)) ** 2).sum()

    got = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    out = torch.tensor([-3.0, -6.5], dtype=dtype, device=device)
    same(got["bias"], 2 * out[:, None])
    same(got["weight"], (2 * out[:, None] * x)[:, None])
