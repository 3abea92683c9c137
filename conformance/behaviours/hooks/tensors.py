"""Tensor.register_hook."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

EXECUTION = "notes/autograd.html#backward-hooks-execution"
FIRED = "notes/autograd.html#whether-a-particular-hook-will-be-fired"


@promise("hooks", "Tensor.register_hook", levels={"float32": 1, "float64": 3, "bfloat16": 3})
def hooks_fire_in_order_and_see_what_those_before_them_made(device: torch.device, dtype: torch.dtype) -> None:
    """Hooks of one tensor fire as they were registered; a returned gradient is used in place of the one before."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * x).backward(torch.tensor([1.5, -1.0], device=device, dtype=dtype))
    same(seen, [[3.0, 4.0], [6.0, 8.0]])
    same(x.grad, torch.tensor([6.0, 8.0], device=device, dtype=dtype))


@promise("hooks", "Tensor.register_hook")
def it_fires_once_with_the_sum_over_all_uses(device: torch.device, dtype: torch.dtype) -> None:
    """The hook is called every time a gradient with respect to the tensor is computed: when all uses have spoken."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []
    y = x * 3
    y.register_hook(lambda g: seen.append(("y", g.tolist())))
    x.register_hook(lambda g: seen.append(("x", g.tolist())))
    z = y * 2 + y * y
    for _ in range(2):  # a second pass brings its own gradient, not the accumulated one
        z.backward(torch.tensor([0.5, 1.0], device=device, dtype=dtype), retain_graph=True)
    same(seen, [("y", [4.0, -10.0]), ("x", [12.0, -30.0])] * 2)
    same(x.grad, torch.tensor([24.0, -60.0], device=device, dtype=dtype))


@promise("hooks", "Tensor.register_hook", link=FIRED)
def it_fires_for_an_input_of_grad(device: torch.device, dtype: torch.dtype) -> None:
    """A hook of a tensor that is passed as inputs to torch.autograd.grad fires, and what it returns is the result."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    y.register_hook(lambda g: g * 2)
    (found,) = torch.autograd.grad(y * 5, y, torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(found, torch.tensor([10.0, -10.0], device=device, dtype=dtype))


@promise("hooks", "Tensor.register_hook")
def what_it_returns_is_the_gradient_whatever_else_is_asked_for(device: torch.device, dtype: torch.dtype) -> None:
    """A returned gradient is used in place of grad, also for a tensor of inputs behind which another one lies."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3
    y.register_hook(lambda g: g * 2)
    found = torch.autograd.grad(y * 5, (x, y), torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(found[0], torch.tensor([30.0, -30.0], device=device, dtype=dtype), "gradient of x")
    same(found[1], torch.tensor([10.0, -10.0], device=device, dtype=dtype), "gradient of y")


@promise("hooks", "Tensor.register_hook")
def a_removed_hook_does_not_fire(device: torch.device, dtype: torch.dtype) -> None:
    """handle.remove() removes the hook, once and for all; the others stay."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[str] = []
    handles = [x.register_hook(lambda g, n=name: seen.append(n)) for name in "abc"]
    y = x * 2
    handles[1].remove()
    handles[1].remove()
    y.backward(torch.tensor([1.0], device=device, dtype=dtype))
    same(seen, ["a", "c"])


@promise("hooks", "Tensor.register_hook")
def a_hook_may_remove_itself(device: torch.device, dtype: torch.dtype) -> None:
    """A hook that removes itself while it runs has fired for the last time, and those after it fire still."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[str] = []

    def once(g: torch.Tensor) -> None:
        seen.append("once")
        handle.remove()

    handle = x.register_hook(once)
    x.register_hook(lambda g: seen.append("always"))
    for _ in range(2):
        (x * 2).backward(torch.tensor([1.0], device=device, dtype=dtype))
    same(seen, ["once", "always", "always"])


@promise(
    "hooks",
    "Tensor.register_hook",
    link="notes/autograd.html#behavior-of-tensor-hooks-when-tensor-is-modified-in-place",
)
def hooks_belong_to_the_value_they_were_registered_at(device: torch.device, dtype: torch.dtype) -> None:
    """Hooks registered before an in-place change receive the gradient of the value before it, later ones of the new."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    seen: list[Any] = []
    t = x * 1
    t.register_hook(lambda g: seen.append(("before", g.tolist())))
    t.mul_(3)
    t.register_hook(lambda g: seen.append(("after", g.tolist())))
    (t * 2).backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(seen, [("after", [2.0, -2.0]), ("before", [6.0, -6.0])])


@promise("hooks", "Tensor.register_hook")
def a_tensor_without_gradient_takes_no_hook(device: torch.device, dtype: torch.dtype) -> None:
    """A hook cannot be registered on a tensor that does not require a gradient, such as one made under no_grad."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    with torch.no_grad():
        y = x * 2
    raises(RuntimeError, lambda: y.register_hook(lambda g: g), "require")


@promise("hooks", "Tensor.register_hook", link=EXECUTION)
def an_exception_ends_the_pass(device: torch.device, dtype: torch.dtype) -> None:
    """What a hook raises backward() raises; the gradient it was to give is not accumulated, and all can go on."""
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    y = x * 3

    def failing(g: torch.Tensor) -> None:
        raise ArithmeticError("mine")

    handle = y.register_hook(failing)
    g = torch.tensor([2.0], device=device, dtype=dtype)
    raises(ArithmeticError, lambda: y.backward(g, retain_graph=True), "mine")
    same(x.grad is None, True, "nothing was accumulated")
    handle.remove()
    y.backward(g)
    same(x.grad, torch.tensor([6.0], device=device, dtype=dtype))


@promise("hooks", "Tensor.register_hook", link=EXECUTION)
def it_is_differentiated_through_where_a_graph_is_made(device: torch.device, dtype: torch.dtype) -> None:
    """Hooks run without gradients, but with create_graph=True what a hook does is differentiated again."""
    x = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)
    modes: list[bool] = []

    def cubed(g: torch.Tensor) -> torch.Tensor:
        modes.append(torch.is_grad_enabled())
        return g * g * g

    y = x * x
    y.register_hook(cubed)
    g = torch.tensor([2.0], device=device, dtype=dtype, requires_grad=True)
    torch.autograd.grad(y, x, g, retain_graph=True)
    (first,) = torch.autograd.grad(y, x, g, create_graph=True)  # g^3 2x
    same(modes, [False, True])
    second = torch.autograd.grad(first, (x, g), torch.tensor([-1.0], device=device, dtype=dtype))
    same([t.tolist() for t in (first, *second)], [[32.0], [-16.0], [-48.0]])


@promise("hooks", "Tensor.register_hook", link="checkpoint.html#torch.utils.checkpoint.checkpoint")
def it_fires_once_under_checkpoint(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor hook of the checkpointed function fires once in the backward pass, in both forms of checkpoint."""
    for reentrant in (False, True):
        x = torch.tensor([2.0, -1.0], device=device, dtype=dtype, requires_grad=True)
        seen: list[Any] = []

        def function(x: torch.Tensor, seen: list[Any] = seen) -> torch.Tensor:
            y = x * x
            if y.requires_grad:  # the reentrant form runs it without gradients at first
                y.register_hook(lambda g: seen.append(g.tolist()) or g * 2)
            return y * 3

        checkpoint(function, x, use_reentrant=reentrant).backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
        same(seen, [[3.0, -3.0]], f"use_reentrant={reentrant}")
        same(x.grad, torch.tensor([24.0, 12.0], device=device, dtype=dtype))


@promise("hooks", "Tensor.register_hook", link="generated/torch.nn.parameter.Parameter.html")
def copies_have_no_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """A hook belongs to one tensor: a deep copy and a pickled one are without it (pickling says so in a warning)."""
    x = torch.nn.Parameter(torch.tensor([1.0], device=device, dtype=dtype))
    x.register_hook(torch.neg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        copies = [x, copy.deepcopy(x), pickle.loads(pickle.dumps(x))]
    for t, want in zip(copies, (-6.0, 6.0, 6.0)):
        (t * 3).backward(torch.tensor([2.0], device=device, dtype=dtype))
        same(t.grad, torch.tensor([want], device=device, dtype=dtype))


@promise("hooks", "Tensor.register_hook")
def an_output_that_nobody_uses_brings_no_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """A hook of an output that the result does not depend on sees no gradient but zero, and disturbs nobody."""
    x = torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    used, unused = x.unbind()
    seen: list[Any] = []
    unused.register_hook(lambda g: seen.append(None if g is None else g.item()))
    unused.retain_grad()
    (used * 3).backward(torch.tensor(2.0, device=device, dtype=dtype))
    same(x.grad, torch.tensor([6.0, 0.0], device=device, dtype=dtype))
    same([g for g in seen if g is not None and g != 0.0], [])
