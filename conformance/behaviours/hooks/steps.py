"""Hooks of optimizers: of a step, and of state_dict and load_state_dict."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

AT = "optim.Optimizer.register_"
STEP_PRE, STEP = f"{AT}step_pre_hook", f"{AT}step_post_hook"
SAVED_PRE, SAVED = f"{AT}state_dict_pre_hook", f"{AT}state_dict_post_hook"
LOADED_PRE, LOADED = f"{AT}load_state_dict_pre_hook", f"{AT}load_state_dict_post_hook"
EVERY = ("optim.optimizer.register_optimizer_step_pre_hook", "optim.optimizer.register_optimizer_step_post_hook")


def descent(device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.optim.Optimizer]:
    """A parameter of 1 with a gradient of 2, and SGD with a rate of 0.5."""
    p = torch.tensor([1.0], device=device, dtype=dtype, requires_grad=True)
    p.grad = torch.tensor([2.0], device=device, dtype=dtype)
    return p, torch.optim.SGD([p], lr=0.5)


@promise("hooks", STEP_PRE, STEP)
def a_step_is_between_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """Pre-hooks are called before the step, post-hooks after it, as registered, with the optimizer and arguments."""
    p, optimizer = descent(device, dtype)
    seen: list[Any] = []
    for name in "ab":
        optimizer.register_step_pre_hook(lambda o, args, kw, n=name: seen.append((n, p.item(), o is optimizer)))
        last = optimizer.register_step_post_hook(lambda o, args, kw, n=name: seen.append((n, p.item(), list(kw))))
    optimizer.step(closure=None)
    same(seen, [("a", 1.0, True), ("b", 1.0, True), ("a", 0.0, ["closure"]), ("b", 0.0, ["closure"])])
    last.remove()
    optimizer.step()
    same(seen[4:], [("a", 0.0, True), ("b", 0.0, True), ("a", -1.0, [])])


@promise("hooks", STEP_PRE)
def a_pre_hook_may_change_the_arguments(device: torch.device, dtype: torch.dtype) -> None:
    """A pre-hook that changes the arguments returns a tuple of new args and kwargs; anything else is an error."""
    p, optimizer = descent(device, dtype)
    seen: list[str] = []
    handle = optimizer.register_step_pre_hook(
        lambda o, args, kw: (args, {**kw, "closure": lambda: seen.append("closure") or p.detach()})
    )
    optimizer.step()
    same(seen, ["closure"])
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kw: 3)
    raises(RuntimeError, optimizer.step, "must return None or a tuple")


@promise("hooks", STEP_PRE, STEP)
def an_exception_before_the_step_prevents_it(device: torch.device, dtype: torch.dtype) -> None:
    """A pre-hook is called before the step: where it raises there is none, and no post-hook."""
    p, optimizer = descent(device, dtype)
    seen: list[str] = []

    def failing(*args: Any) -> None:
        raise ArithmeticError("mine")

    optimizer.register_step_pre_hook(failing)
    optimizer.register_step_post_hook(lambda o, args, kw: seen.append("post"))
    raises(ArithmeticError, optimizer.step, "mine")
    same((seen, p.item()), ([], 1.0))


@promise("hooks", STEP_PRE, STEP, link="optim.html", covers=EVERY)
def global_hooks_are_called_for_every_optimizer(device: torch.device, dtype: torch.dtype) -> None:
    """A hook that is common to all optimizers is called for each of them, until it is removed."""
    seen: list[Any] = []
    handles = [
        register_optimizer_step_pre_hook(
            lambda o, args, kw: seen.append(("pre", o.param_groups[0]["params"][0].item()))
        ),
        register_optimizer_step_post_hook(
            lambda o, args, kw: seen.append(("post", o.param_groups[0]["params"][0].item()))
        ),
    ]
    try:
        for _ in range(2):
            descent(device, dtype)[1].step()
    finally:
        for handle in handles:
            handle.remove()
    descent(device, dtype)[1].step()
    same(seen, [("pre", 1.0), ("post", 0.0)] * 2)


@promise("hooks", STEP_PRE, STEP, link="optim.html", covers=EVERY)
def the_optimizers_own_hooks_are_inside_the_global_ones(device: torch.device, dtype: torch.dtype) -> None:
    """Around a step: global pre-hooks, the optimizer's, the step, the optimizer's post-hooks, global ones."""
    _, optimizer = descent(device, dtype)
    seen: list[str] = []
    optimizer.register_step_pre_hook(lambda o, args, kw: seen.append("own pre"))
    optimizer.register_step_post_hook(lambda o, args, kw: seen.append("own post"))
    handles = [
        register_optimizer_step_pre_hook(lambda o, args, kw: seen.append("global pre")),
        register_optimizer_step_post_hook(lambda o, args, kw: seen.append("global post")),
    ]
    try:
        optimizer.step()
    finally:
        for handle in handles:
            handle.remove()
    same(seen, ["global pre", "own pre", "own post", "global post"])


@promise("hooks", SAVED_PRE, SAVED)
def saving_an_optimizer_is_between_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """Pre-hooks are called before state_dict(), post-hooks after it, which may change it or return another."""
    _, optimizer = descent(device, dtype)
    seen: list[Any] = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: seen.append(sorted(state)))
    handle = optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    same(optimizer.state_dict()["more"], 1)
    same(seen, ["first", "second", ["param_groups", "state"]])
    handle.remove()
    same(sorted(optimizer.state_dict()), ["param_groups", "state"])


@promise("hooks", LOADED_PRE, LOADED)
def loading_an_optimizer_is_between_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """A pre-hook may return the state_dict to load in place of the given one; post-hooks find it loaded."""
    _, optimizer = descent(device, dtype)
    seen: list[Any] = []
    given = optimizer.state_dict()

    def changed(o: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        seen.append(o.param_groups[0]["lr"])
        return {**state, "param_groups": [{**group, "lr": 0.25} for group in state["param_groups"]]}

    optimizer.register_load_state_dict_pre_hook(changed)
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
    optimizer.load_state_dict(given)
    same(seen, [0.5, 0.25])
    same(given["param_groups"][0]["lr"], 0.5)
