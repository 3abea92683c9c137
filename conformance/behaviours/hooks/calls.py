"""Forward hooks of modules: register_forward_pre_hook and register_forward_hook."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

PRE, POST = "nn.Module.register_forward_pre_hook", "nn.Module.register_forward_hook"
MODULE = "generated/torch.nn.Module.html"
PRE_PAGE, POST_PAGE = f"{MODULE}#torch.{PRE}", f"{MODULE}#torch.{POST}"


class Twice(nn.Module):
    def forward(self, x: Any, plus: Any = 0) -> Any:
        return x * 2 + plus


@promise("hooks", PRE, POST, link=MODULE, levels={"float32": 1})
def a_call_is_between_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """Pre-hooks fire before forward and see its arguments, hooks behind it and see the output; prepended ones first."""
    m, x = Twice(), torch.tensor([1.0, -2.0], device=device, dtype=dtype)
    seen: list[Any] = []
    m.register_forward_pre_hook(lambda m, args: seen.append(("pre 1", args[0].tolist())))
    m.register_forward_hook(lambda m, args, out: seen.append(("post 1", args[0].tolist(), out.tolist())))
    m.register_forward_pre_hook(lambda m, args: seen.append("pre 0"), prepend=True)
    m.register_forward_hook(lambda m, args, out: seen.append("post 0"), prepend=True)
    m.register_forward_pre_hook(lambda m, args: seen.append(m is not None and "pre 2"))
    same(m(x), torch.tensor([2.0, -4.0], device=device, dtype=dtype))
    same(seen, ["pre 0", ("pre 1", [1.0, -2.0]), "pre 2", "post 0", ("post 1", [1.0, -2.0], [2.0, -4.0])])
    m.forward(x)
    same(len(seen), 5, "calls of hooks after forward() alone")


@promise("hooks", PRE, link=PRE_PAGE)
def a_pre_hook_may_change_the_input(device: torch.device, dtype: torch.dtype) -> None:
    """A pre-hook returns a tuple of arguments or one value, which is made a tuple; the next one sees them."""
    m, x = Twice(), torch.tensor([1.0, -2.0], device=device, dtype=dtype)
    m.register_forward_pre_hook(lambda m, args: args[0] * 3)
    m.register_forward_pre_hook(lambda m, args: (args[0] + 1, 5))
    same(m(x), torch.tensor([13.0, -5.0], device=device, dtype=dtype))


@promise("hooks", PRE, link=PRE_PAGE)
def a_pre_hook_may_see_and_change_keywords(device: torch.device, dtype: torch.dtype) -> None:
    """With with_kwargs=True a pre-hook gets the keyword arguments too and returns both; without, it sees none."""
    m, x = Twice(), torch.tensor([1.0, -2.0], device=device, dtype=dtype)
    seen: list[Any] = []
    m.register_forward_pre_hook(lambda m, args: seen.append(len(args)))
    m.register_forward_pre_hook(lambda m, args, kw: ((args[0] * 3,), {"plus": kw["plus"] + 1}), with_kwargs=True)
    same(m(x, plus=4), torch.tensor([11.0, -7.0], device=device, dtype=dtype))
    same(seen, [1])
    m.register_forward_pre_hook(lambda m, args, kw: args, with_kwargs=True)
    raises(RuntimeError, lambda: m(x, plus=4), "forward pre-hook must return None or a tuple")


@promise("hooks", POST, link=POST_PAGE)
def a_hook_may_change_the_output(device: torch.device, dtype: torch.dtype) -> None:
    """What a forward hook returns is the output; the next one sees it; with with_kwargs=True it sees keywords."""
    m, x = Twice(), torch.tensor([1.0, -2.0], device=device, dtype=dtype, requires_grad=True)
    m.register_forward_hook(lambda m, args, out: out * 3)
    m.register_forward_hook(lambda m, args, kw, out: out + kw["plus"], with_kwargs=True)
    m.register_forward_hook(lambda m, args, out: None)
    y = m(x, plus=1)
    same(y.detach(), torch.tensor([10.0, -8.0], device=device, dtype=dtype))
    y.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
    same(x.grad, torch.tensor([6.0, -6.0], device=device, dtype=dtype))


@promise("hooks", PRE, POST, link=MODULE)
def a_change_in_place_is_seen_where_it_comes_in_time(device: torch.device, dtype: torch.dtype) -> None:
    """A pre-hook's in-place change of the input reaches forward, a forward hook's does not; that of an output stays."""
    m, x = Twice(), torch.tensor([1.0, -2.0], device=device, dtype=dtype)
    m.register_forward_pre_hook(lambda m, args: [args[0].add_(1), None][1])
    m.register_forward_hook(lambda m, args, out: [args[0].zero_(), out.sub_(1), None][2])
    same(m(x), torch.tensor([3.0, -3.0], device=device, dtype=dtype))
    same(x, torch.tensor([0.0, 0.0], device=device, dtype=dtype))


@promise("hooks", POST, link=POST_PAGE)
def some_hooks_are_always_called(device: torch.device, dtype: torch.dtype) -> None:
    """always_call=True: the hook runs whether or not an exception is raised in the call; it is raised all the same."""
    m, seen = Twice(), []
    m.register_forward_hook(lambda m, args, out: seen.append("ordinary"))
    m.register_forward_hook(lambda m, args, out: seen.append("always"), always_call=True)
    m.register_forward_hook(lambda m, args, kw, out: seen.append(list(kw)), always_call=True, with_kwargs=True)
    raises(TypeError, lambda: m(None, plus=1))
    same(seen, ["always", ["plus"]])
    m(torch.tensor([1.0], device=device, dtype=dtype), plus=1)
    same(seen, ["always", ["plus"], "ordinary", "always", ["plus"]])


@promise("hooks", POST, link=POST_PAGE)
def the_exception_of_another_hook_calls_them_too(device: torch.device, dtype: torch.dtype) -> None:
    """always_call=True: each such hook runs once, also where a pre-hook or a hook before or behind it raises."""

    def failing(*args: Any) -> None:
        raise ArithmeticError("mine")

    x = torch.tensor([1.0], device=device, dtype=dtype)
    for where in ("pre", "before", "behind"):
        m, seen = Twice(), []
        if where == "pre":
            m.register_forward_pre_hook(failing)
        if where == "before":
            m.register_forward_hook(failing)
        m.register_forward_hook(lambda m, args, out, seen=seen: seen.append(1), always_call=True)
        if where == "behind":
            m.register_forward_hook(failing)
        raises(ArithmeticError, lambda m=m: m(x), "mine")
        same(seen, [1], where)


@promise("hooks", POST, link=POST_PAGE)
def a_hook_that_is_always_called_may_remove_itself(device: torch.device, dtype: torch.dtype) -> None:
    """A hook that removes itself leaves the exception as it was, and the hooks behind it run."""
    m, seen = Twice(), []

    def once(m: nn.Module, args: Any, out: Any) -> None:
        handle.remove()
        seen.append("once")

    handle = m.register_forward_hook(once, always_call=True)
    m.register_forward_hook(lambda m, args, out: seen.append("always"), always_call=True)
    raises(TypeError, lambda: m(None))
    same(seen, ["once", "always"])


@promise("hooks", PRE, POST, link=MODULE)
def a_removed_hook_does_not_fire(device: torch.device, dtype: torch.dtype) -> None:
    """handle.remove() removes the hook, also while it runs; the other hooks of that call fire."""
    m, x = Twice(), torch.tensor([1.0], device=device, dtype=dtype)
    seen: list[str] = []
    handles = [m.register_forward_pre_hook(lambda m, args, n=name: seen.append(n)) for name in "ab"]
    once = m.register_forward_hook(lambda m, args, out: [seen.append("once"), once.remove()][1])
    m.register_forward_hook(lambda m, args, out: seen.append("post"))
    handles[0].remove()
    m(x)
    m(x)
    same(seen, ["b", "once", "post", "b", "post"])


@promise("hooks", PRE, POST, link=MODULE)
def a_shared_module_fires_at_every_call(device: torch.device, dtype: torch.dtype) -> None:
    """The hook is called every time forward is invoked: twice in a pass for a module that is there twice."""
    m, seen = Twice(), []
    m.register_forward_pre_hook(lambda m, args: seen.append(("in", args[0].item())))
    m.register_forward_hook(lambda m, args, out: seen.append(("out", out.item())))
    nn.Sequential(m, m)(torch.tensor([3.0], device=device, dtype=dtype))
    same(seen, [("in", 3.0), ("out", 6.0), ("in", 6.0), ("out", 12.0)])


@promise("hooks", POST, link=POST_PAGE)
def outer_hooks_are_around_inner_ones(device: torch.device, dtype: torch.dtype) -> None:
    """A container's pre-hook is before those of the modules in it, its hook behind theirs."""
    m, seen = nn.Sequential(Twice(), Twice()), []
    for name, part in (("outer", m), ("first", m[0]), ("second", m[1])):
        part.register_forward_pre_hook(lambda m, args, n=name: seen.append(f"{n} in"))
        part.register_forward_hook(lambda m, args, out, n=name: seen.append(f"{n} out"))
    with torch.no_grad():
        m(torch.tensor([3.0], device=device, dtype=dtype))
    same(seen, ["outer in", "first in", "first out", "second in", "second out", "outer out"])


@promise("hooks", PRE, POST, link=MODULE)
def a_deep_copy_has_the_hooks_and_its_own_list_of_them(device: torch.device, dtype: torch.dtype) -> None:
    """deepcopy copies a module with its hooks, order and options; removing one there does not remove it here."""
    m, x = Twice(), torch.tensor([1.0], device=device, dtype=dtype)
    seen: list[str] = []
    m.register_forward_hook(lambda m, args, kw, out: seen.append("second"), with_kwargs=True)
    handle = m.register_forward_hook(lambda m, args, out: seen.append("first"), prepend=True)
    made = copy.deepcopy(m)
    handle.remove()
    m(x)
    made(x)
    same(seen, ["second", "first", "second"])


@promise("hooks", PRE, link=MODULE)
def a_pickled_module_has_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """Hooks that can be pickled are pickled with the module."""
    m = nn.Identity()
    m.register_forward_pre_hook(operator.is_not)  # True, as the input: the module is not its arguments
    made = pickle.loads(pickle.dumps(m))
    same((m(3), made(3)), (True, True))


@promise("hooks", POST, link="checkpoint.html#torch.utils.checkpoint.checkpoint")
def recomputation_fires_again(device: torch.device, dtype: torch.dtype) -> None:
    """Under checkpoint the forward pass runs again in the backward pass, with its hooks; gradients are right."""
    for reentrant in (False, True):
        m, seen = Twice(), []
        m.register_forward_hook(lambda m, args, out, seen=seen: seen.append(out.tolist()))
        x = torch.tensor([1.0, -3.0], device=device, dtype=dtype, requires_grad=True)
        y = checkpoint(lambda x, m=m: m(x).square(), x, use_reentrant=reentrant)
        same(seen, [[2.0, -6.0]])
        y.backward(torch.tensor([1.0, -1.0], device=device, dtype=dtype))
        same(seen, [[2.0, -6.0]] * 2, f"use_reentrant={reentrant}")
        same(x.grad, torch.tensor([8.0, 24.0], device=device, dtype=dtype))
