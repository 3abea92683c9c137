"""Hooks of nodes of the graph, and those that wait for several gradients."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.autograd import graph

from conformance.behaviours.promise import promise
from conformance.behaviours.say import same

ORDER = "notes/autograd.html#the-order-in-which-the-different-hooks-are-fired"
FIRED = "notes/autograd.html#whether-a-particular-hook-will-be-fired"
BEFORE, AFTER = "autograd.graph.Node.register_prehook", "autograd.graph.Node.register_hook"
MULTI = "autograd.graph.register_multi_grad_hook"
PAGE = "autograd.html#torch.autograd.graph.register_multi_grad_hook"


@promise("hooks", BEFORE, AFTER, link=ORDER)
def a_node_is_between_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """First hooks of the tensor, then pre-hooks of its node, the node, its post-hooks; each sees the changes before."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []
    y = x * 3
    node = y.grad_fn
    assert node is not None
    node.register_hook(lambda inner, outer: seen.append(("post", inner[0].tolist(), outer[0].tolist())))
    node.register_prehook(lambda outer: seen.append(("pre", outer[0].tolist())) or (outer[0] * 5,))
    y.register_hook(lambda g: seen.append(("tensor", g.tolist())) or g * 2)
    x.register_hook(lambda g: seen.append(("x", g.tolist())))
    y.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(seen, [("tensor", [1.0, -1.0]), ("pre", [2.0, -2.0]), ("post", [30.0, -30.0], [10.0, -10.0]),
                ("x", [30.0, -30.0])])  # fmt: skip


@promise("hooks", AFTER)
def what_a_post_hook_returns_goes_on(device: torch.device, dtype: torch.dtype) -> None:
    """A post-hook may return new gradients of the node's inputs; the next post-hook and the inputs see them."""
    a, b = (torch.tensor(v, device=device, dtype=dtype, requires_grad=True) for v in ([1.0, -2.0], [3.0, 5.0]))
    seen: list[Any] = []
    y = a * b
    assert y.grad_fn is not None
    y.grad_fn.register_hook(lambda inner, outer: (inner[1], inner[0]))
    y.grad_fn.register_hook(lambda inner, outer: seen.append([g.tolist() for g in inner]))
    y.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(seen, [[[1.0, 2.0], [3.0, -5.0]]])
    same([a.grad, b.grad], [torch.tensor(v, device=device, dtype=dtype) for v in ([1.0, 2.0], [3.0, -5.0])])


@promise("hooks", BEFORE, AFTER)
def a_hook_of_a_node_is_removed(device: torch.device, dtype: torch.dtype) -> None:
    """handle.remove() removes the hook; the same graph is gone through again without it."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    y = x.clone()
    assert y.grad_fn is not None
    handles = [
        y.grad_fn.register_prehook(lambda gs: (gs[0] * 2,)), y.grad_fn.register_hook(lambda gi, go: (gi[0] * 5,)),
    ]  # fmt: skip
    found = []
    for i in range(3):
        (g,) = torch.autograd.grad(y, x, torch.tensor([3.0], device=device, dtype=dtype), retain_graph=True)
        found.append(g.item())
        if i < 2:
            handles[i].remove()
    same(found, [30.0, 15.0, 3.0])


@promise("hooks", BEFORE, AFTER, link=FIRED)
def a_node_that_is_not_executed_fires_nothing(device: torch.device, dtype: torch.dtype) -> None:
    """Hooks of a node fire only if the node is executed: for torch.autograd.grad that of its input is not."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    assert y.grad_fn is not None
    seen: list[str] = []
    y.grad_fn.register_prehook(lambda gs: seen.append("pre"))
    y.grad_fn.register_hook(lambda gi, go: seen.append("post"))
    z, g = y * 5, torch.tensor([2.0], device=device, dtype=dtype)
    torch.autograd.grad(z, y, g, retain_graph=True)
    same(seen, [])
    torch.autograd.grad(z, x, g)
    same(seen, ["pre", "post"])


@promise("hooks", BEFORE, AFTER, link=ORDER)
def the_node_of_a_leaf_accumulates_between_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """What a pre-hook of the accumulating node makes of the gradient is what .grad takes; its post-hook comes after."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    assert y.grad_fn is not None
    accumulate = y.grad_fn.next_functions[0][0]
    assert accumulate is not None
    seen: list[Any] = []
    x.register_hook(lambda g: g * 2)
    accumulate.register_prehook(lambda gs: seen.append((gs[0].tolist(), x.grad is None)) or (gs[0] * 5,))
    accumulate.register_hook(lambda inner, outer: seen.append((outer[0].tolist(), x.grad is None)))
    y.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(seen, [([6.0, -6.0], True), ([30.0, -30.0], False)])
    same(x.grad, torch.tensor([30.0, -30.0], device=device, dtype=dtype))


@promise("hooks", MULTI, link=PAGE)
def it_waits_for_all_gradients_of_the_pass(device: torch.device, dtype: torch.dtype) -> None:
    """Called once, after every tensor that is part of the pass has its gradient; None stands for those that are not."""
    a, b = (torch.tensor(v, device=device, dtype=dtype, requires_grad=True) for v in ([2.0], [3.0]))
    c, d = a * b, a * b
    e = c * 1  # where the pass begins
    seen: list[Any] = []
    handle = graph.register_multi_grad_hook(
        (a, b, c, d), lambda gs: seen.append([g if g is None else g.item() for g in gs])
    )
    g = torch.tensor([5.0], device=device, dtype=dtype)
    e.backward(g, retain_graph=True)
    e.backward(g, inputs=(a,), retain_graph=True)
    (c + d).backward(g, retain_graph=True)
    same(seen, [[15.0, 10.0, 5.0, None], [15.0, None, 5.0, None], [30.0, 20.0, 5.0, 5.0]])
    handle.remove()
    e.backward(g)
    same(len(seen), 3)


@promise("hooks", MULTI, link=PAGE)
def it_counts_the_tensor_at_which_the_pass_begins(device: torch.device, dtype: torch.dtype) -> None:
    """Called after the gradients of all these tensors have been computed, that of backward() too."""
    a, b = (torch.tensor(v, device=device, dtype=dtype, requires_grad=True) for v in ([2.0], [3.0]))
    c = a * b
    seen: list[Any] = []
    graph.register_multi_grad_hook((a, b, c), lambda gs: seen.append([g if g is None else g.item() for g in gs]))
    c.backward(torch.tensor([5.0], device=device, dtype=dtype))
    same(seen, [[15.0, 10.0, 5.0]])


@promise("hooks", MULTI, link=PAGE)
def it_comes_with_the_last_hook_of_a_tensor(device: torch.device, dtype: torch.dtype) -> None:
    """It is made of tensor hooks and keeps their order: it sees what hooks registered before it made of a gradient."""
    x = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append("x before") or g * 2)
    graph.register_multi_grad_hook((x, y), lambda gs: seen.append([g.item() for g in gs if g is not None]))
    x.register_hook(lambda g: seen.append("x after"))
    y.register_hook(lambda g: seen.append("y"))
    (y * 1).backward(torch.tensor([5.0], device=device, dtype=dtype))
    same(seen, ["y", "x before", [30.0, 5.0], "x after"])


@promise("hooks", MULTI, link=PAGE)
def it_may_take_the_first_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """In mode "any" it is called once in a pass, with the first gradient that is computed (torch 2.4 and later)."""
    if "mode" not in inspect.signature(graph.register_multi_grad_hook).parameters:
        raise NotImplementedError("register_multi_grad_hook has no modes")
    x = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    seen: list[float] = []
    handle = graph.register_multi_grad_hook((x, y), lambda g: seen.append(g.item()), mode="any")
    for _ in range(2):
        y.backward(torch.tensor([5.0], device=device, dtype=dtype), retain_graph=True)
    handle.remove()
    y.backward(torch.tensor([5.0], device=device, dtype=dtype))
    same(seen, [5.0, 5.0])
