"""Tensor.retain_grad and Tensor.register_post_accumulate_grad_hook."""

from __future__ import annotations

from typing import Any

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

ORDER = "notes/autograd.html#the-order-in-which-the-different-hooks-are-fired"
RETAIN = "Tensor.retain_grad"
ADDED = "Tensor.register_post_accumulate_grad_hook"


@promise("hooks", RETAIN)
def a_result_has_its_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """retain_grad() lets a tensor that is no leaf have .grad after backward(); on a leaf it changes nothing."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    x.retain_grad()
    y.retain_grad()
    z = y * y + y
    same((x.retains_grad, y.retains_grad, z.retains_grad), (False, True, False))
    z.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(y.grad, torch.tensor([7.0, 11.0], device=device, dtype=dtype))
    same(x.grad, torch.tensor([21.0, 33.0], device=device, dtype=dtype))


@promise("hooks", RETAIN, link=ORDER)
def it_sees_what_all_hooks_made_of_the_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """.grad is filled behind the hooks of the tensor, whenever those were registered."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    y.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(y.grad, torch.tensor([10.0, -10.0], device=device, dtype=dtype))


@promise("hooks", RETAIN, link=ORDER)
def it_sees_what_pre_hooks_of_the_node_made(device: torch.device, dtype: torch.dtype) -> None:
    """The order is: hooks of the tensor, pre-hooks of the node, then .grad of tensors that retain it, then the node."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    y.retain_grad()
    assert y.grad_fn is not None
    y.grad_fn.register_prehook(lambda gs: (gs[0] * 2,))
    y.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(x.grad, torch.tensor([6.0, -6.0], device=device, dtype=dtype))
    same(y.grad, torch.tensor([2.0, -2.0], device=device, dtype=dtype), "y.grad")


@promise("hooks", RETAIN)
def a_tensor_without_gradient_retains_none(device: torch.device, dtype: torch.dtype) -> None:
    """retain_grad() of a tensor that does not require a gradient raises."""
    raises(RuntimeError, torch.ones(2, device=device, dtype=dtype).retain_grad, "requires_grad=False")


@promise("hooks", ADDED)
def it_runs_when_grad_has_its_new_value(device: torch.device, dtype: torch.dtype) -> None:
    """The hook gets the tensor after all gradients have been accumulated: .grad has those of earlier passes too."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append(g.tolist()) or g * 2)
    x.register_post_accumulate_grad_hook(lambda p: seen.append((p is x, p.grad is not None and p.grad.tolist())))
    for _ in range(2):
        (x * x + x).backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(seen, [[3.0, 3.0], (True, [6.0, 6.0]), [3.0, 3.0], (True, [12.0, 12.0])])


@promise("hooks", ADDED)
def it_may_step_and_clear(device: torch.device, dtype: torch.dtype) -> None:
    """The hook runs in no_grad mode and can modify its argument and .grad: a step of SGD inside the backward pass."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)

    def step(p: torch.Tensor) -> None:
        assert p.grad is not None
        p.add_(p.grad, alpha=-0.5)
        p.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    for _ in range(2):
        (x * x).backward(torch.tensor([1.0, 1.0], device=device, dtype=dtype))
        same(x.grad is None, True)
        x.data.add_(4.0)
    same(x.detach(), torch.tensor([4.0, 4.0], device=device, dtype=dtype))
    handle.remove()
    (x * 3).backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(x.grad, torch.tensor([3.0, -3.0], device=device, dtype=dtype))


@promise("hooks", ADDED)
def it_runs_with_gradients_where_a_graph_is_made(device: torch.device, dtype: torch.dtype) -> None:
    """It runs in no_grad mode unless create_graph is True."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    modes: list[bool] = []
    x.register_post_accumulate_grad_hook(lambda p: modes.append(torch.is_grad_enabled()))
    for graph in (False, True):
        torch.autograd.backward((x * x,), (torch.tensor([2.0], device=device, dtype=dtype),), create_graph=graph)
    x.grad = None
    same(modes, [False, True])


@promise("hooks", ADDED)
def they_fire_in_order_and_only_where_grad_is_accumulated(device: torch.device, dtype: torch.dtype) -> None:
    """Hooks fire as they were registered, whenever .grad is updated, and not for torch.autograd.grad."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[str] = []
    handles = [x.register_post_accumulate_grad_hook(lambda p, n=name: seen.append(n)) for name in "abc"]
    y, g = x * 2, torch.tensor([3.0], device=device, dtype=dtype)
    torch.autograd.grad(y, x, g, retain_graph=True)
    same(seen, [])
    y.backward(g, retain_graph=True)
    handles[0].remove()
    y.backward(g)
    same(seen, ["a", "b", "c", "b", "c"])


@promise("hooks", ADDED)
def leaves_alone_have_it(device: torch.device, dtype: torch.dtype) -> None:
    """Registering this hook on a tensor that is no leaf raises."""
    y = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True) * 2
    raises(RuntimeError, lambda: y.register_post_accumulate_grad_hook(lambda p: None), "leaf")


@promise("hooks", ADDED)
def an_exception_leaves_what_was_accumulated(device: torch.device, dtype: torch.dtype) -> None:
    """The hook runs after accumulation: what it raises backward() raises, and .grad has its new value already."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)

    def failing(p: torch.Tensor) -> None:
        raise ArithmeticError("mine")

    x.register_post_accumulate_grad_hook(failing)
    raises(ArithmeticError, lambda: (x * 3).backward(torch.tensor([2.0], device=device, dtype=dtype)), "mine")
    same(x.grad, torch.tensor([6.0], device=device, dtype=dtype))
