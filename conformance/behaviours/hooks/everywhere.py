"""Hooks of all modules at once; each promise takes its own away again."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as everywhere

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

AT = "nn.modules.module"
FORWARD_PRE, FORWARD = f"{AT}.register_module_forward_pre_hook", f"{AT}.register_module_forward_hook"
FULL_PRE, FULL = f"{AT}.register_module_full_backward_pre_hook", f"{AT}.register_module_full_backward_hook"
PARAMETER = f"{AT}.register_module_parameter_registration_hook"
BUFFER = f"{AT}.register_module_buffer_registration_hook"
MODULE = f"{AT}.register_module_module_registration_hook"


@contextlib.contextmanager
def registered(*handles: Any) -> Any:
    """Remove the hooks, whatever happens."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@promise("hooks", FORWARD_PRE, FORWARD)
def they_fire_before_the_hooks_of_every_module(device: torch.device, dtype: torch.dtype) -> None:
    """Global hooks are called for every module, before its own; what they return changes input and output."""
    m, seen = nn.Sequential(nn.Identity()), []
    m.register_forward_pre_hook(lambda m, args: seen.append("own pre"), prepend=True)
    m.register_forward_hook(lambda m, args, out: seen.append("own"), prepend=True)
    with registered(
        everywhere.register_module_forward_pre_hook(lambda m, args: seen.append(f"pre {len(list(m.children()))}")),
        everywhere.register_module_forward_pre_hook(lambda m, args: args[0] * 3),
        everywhere.register_module_forward_hook(lambda m, args, out: seen.append(f"{len(list(m.children()))}")),
        everywhere.register_module_forward_hook(lambda m, args, out: out + 1),
    ):
        y = m(torch.tensor([1.0, -2.0], device=device, dtype=dtype))
    same(seen, ["pre 1", "own pre", "pre 0", "0", "1", "own"])
    same(y, torch.tensor([11.0, -16.0], device=device, dtype=dtype))
    same(m(torch.tensor([1.0], device=device, dtype=dtype)), torch.tensor([1.0], device=device, dtype=dtype))


@promise("hooks", FULL_PRE, FULL)
def backward_hooks_fire_before_the_hooks_of_every_module(device: torch.device, dtype: torch.dtype) -> None:
    """Global backward hooks are called for every module, before its own; what they return goes on."""
    m, seen = nn.Sequential(nn.Identity()), []
    m.register_full_backward_pre_hook(lambda m, go: seen.append(("own pre", go[0].item())), prepend=True)
    m.register_full_backward_hook(lambda m, gi, go: seen.append(("own", gi[0].item())), prepend=True)
    x = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    with registered(
        everywhere.register_module_full_backward_pre_hook(lambda m, go: (go[0] * 3,)),
        everywhere.register_module_full_backward_hook(lambda m, gi, go: (gi[0] * 5,)),
    ):
        m(x).backward(torch.tensor([1.0], device=device, dtype=dtype))
        m[0](x).backward(torch.tensor([1.0], device=device, dtype=dtype))
    same(seen, [("own pre", 3.0), ("own", 225.0)])
    same(x.grad, torch.tensor([240.0], device=device, dtype=dtype))


@promise("hooks", FORWARD)
def an_exception_calls_those_that_are_always_called(device: torch.device, dtype: torch.dtype) -> None:
    """always_call=True: the hook runs whether or not an exception is raised, before the module's own (torch 2.3)."""
    if "always_call" not in inspect.signature(everywhere.register_module_forward_hook).parameters:
        raise NotImplementedError("global forward hooks have no always_call")
    m, seen = nn.Linear(2, 1, device=device, dtype=dtype), []
    m.register_forward_hook(lambda m, args, out: seen.append("own"), always_call=True)
    with registered(
        everywhere.register_module_forward_hook(lambda m, args, out: seen.append("ordinary")),
        everywhere.register_module_forward_hook(lambda m, args, out: seen.append("always"), always_call=True),
    ):
        raises(TypeError, lambda: m(None))
    same(seen, ["always", "own"])


@promise("hooks", FORWARD)
def one_that_is_always_called_gets_its_keywords(device: torch.device, dtype: torch.dtype) -> None:
    """With with_kwargs=True the hook is passed the keyword arguments, with always_call=True after an exception too."""
    if "with_kwargs" not in inspect.signature(everywhere.register_module_forward_hook).parameters:
        raise NotImplementedError("global forward hooks have no with_kwargs")
    seen: list[Any] = []
    with registered(
        everywhere.register_module_forward_hook(
            lambda m, args, kw, out: seen.append(list(kw)), with_kwargs=True, always_call=True
        )
    ), warnings.catch_warnings():  # fmt: skip
        warnings.simplefilter("ignore")
        nn.Identity()(input=3)
        raises(TypeError, lambda: nn.Linear(2, 1, device=device, dtype=dtype)(input=None))
    same(seen, [["input"], ["input"]])


@promise("hooks", PARAMETER, BUFFER, MODULE)
def registration_can_be_watched_and_changed(device: torch.device, dtype: torch.dtype) -> None:
    """The hook is called whenever such a thing is registered, by assignment too; what it returns is registered."""
    seen: list[Any] = []
    other = nn.Parameter(torch.tensor([7.0], device=device, dtype=dtype))
    with registered(
        everywhere.register_module_parameter_registration_hook(
            lambda m, name, p: seen.append(("parameter", name)) or (other if name == "b" else None)
        ),
        everywhere.register_module_buffer_registration_hook(lambda m, name, t: seen.append(("buffer", name)) or t * 2),
        everywhere.register_module_module_registration_hook(
            lambda m, name, c: seen.append(("module", name)) or (nn.Tanh() if name == "y" else None)
        ),
    ):
        m = nn.Module()
        m.a = nn.Parameter(torch.tensor([1.0], device=device, dtype=dtype))
        m.register_parameter("b", nn.Parameter(torch.tensor([2.0], device=device, dtype=dtype)))
        m.register_buffer("c", torch.tensor([3.0], device=device, dtype=dtype))
        m.x = nn.Identity()
        m.add_module("y", nn.Identity())
    m.d = nn.Parameter(torch.tensor([5.0], device=device, dtype=dtype))
    same(seen, [("parameter", "a"), ("parameter", "b"), ("buffer", "c"), ("module", "x"), ("module", "y")])
    same((m.a.item(), m.b is other, m.c.item(), type(m.x), type(m.y)), (1.0, True, 6.0, nn.Identity, nn.Tanh))
