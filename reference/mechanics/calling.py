"""Calling a module: its hooks around `forward`, and those around its part of the backward pass.

Order: pre-hooks, forward, hooks; each as registered, prepended ones before.  Backward hooks hang at two identities: one
behind the output, where the cotangents of the outputs arrive, and one before the input.  Source: the register_*_hook
pages of torch.nn.Module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from reference.mechanics.handles import EVERYWHERE, Handle, Registry, registered
from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Mode, Node, Tensor


@dataclasses.dataclass
class Call:
    """One call, as far as it has come."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any = None
    done: list[Any] = dataclasses.field(default_factory=list)

    def after(self, module: Any, hook: Any) -> None:
        """Let one forward hook see the output, and change it."""
        self.done.append(hook)
        changed = hook.call(module, self.args, *([self.kwargs] if hook.with_kwargs else []), self.out)
        self.out = self.out if changed is None else changed


def call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The output, after all hooks; hooks that are always called are so where anything before them raises."""
    made = Call(args, kwargs)
    try:
        return _call(module, made)
    except OutOfScope:
        raise
    except Exception:
        before = len(_hooks(module, "forward"))
        for hook in _hooks(module, "forward").values():
            if hook.always and hook not in made.done:
                made.after(module, hook)
                if len(_hooks(module, "forward")) != before:
                    raise OutOfScope("torch cannot take a hook away here") from None
        raise


def _call(module: Any, made: Call) -> Any:
    for hook in _hooks(module, "forward_pre").values():
        if hook.with_kwargs:
            changed = hook.call(module, made.args, made.kwargs)
            made.args, made.kwargs = (made.args, made.kwargs) if changed is None else changed
        else:
            changed = hook.call(module, made.args)
            changed = made.args if changed is None else changed
            made.args = changed if isinstance(changed, tuple) else (changed,)
    before, after = _frozen(module, "full_backward_pre"), _frozen(module, "full_backward")
    gate = Gate(module, before, after) if before or after else None
    if gate:
        made.args = gate.enter(made.args)
    made.out = module.forward(*made.args, **made.kwargs)
    for hook in _hooks(module, "forward").values():
        made.after(module, hook)
    return gate.leave(made.out) if gate else made.out


def _hooks(module: Any, kind: str) -> Registry:
    """The hooks of all modules, and behind them those of this one."""
    return {**EVERYWHERE[kind], **module._hooks[kind]}


def _frozen(module: Any, kind: str) -> list[Callable[..., Any]]:
    """The backward hooks of one call are those that the module has when it is called."""

    def alive(number: int, hook: Callable[..., Any]) -> Callable[..., Any]:
        def fire(*args: Any) -> Any:
            if number not in _hooks(module, kind):
                raise OutOfScope("a backward hook that was removed between the passes")
            return hook(*args)

        return fire

    return [alive(number, hook.call) for number, hook in _hooks(module, kind).items()]


class Gate:
    """The two identities around a module of one input and one output."""

    def __init__(self, module: Any, before: list[Any], after: list[Any]):
        self.module, self.before, self.after = module, before, after
        self.outer: tuple[Tensor | None, ...] = ()
        self.open = False  # whether an input needs a gradient, so that the hooks wait for it

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        (x,) = args
        self.open = Mode.grad and x.requires_grad
        if not self.open or not self.after:
            return args
        node = Node([x], lambda g: (g,))
        node.register_hook(lambda inner, outer: self._fire(inner))
        return (Tensor(x.value, node),)

    def leave(self, out: Tensor) -> Tensor:
        if not (Mode.grad and out.requires_grad):
            return out
        node = Node([out], lambda g: (g,))
        node.register_hook(lambda inner, outer: self._arrive(outer))
        return Tensor(out.value, node)

    def _arrive(self, outer: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        for hook in self.before:
            changed = hook(self.module, outer)
            outer = outer if changed is None else changed if isinstance(changed, tuple) else (changed,)
        self.outer = outer
        if not self.open:
            self._fire((None,))
        return outer

    def _fire(self, inner: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        for hook in self.after:
            changed = hook(self.module, inner, self.outer)
            inner = inner if changed is None else changed if isinstance(changed, tuple) else (changed,)
        return inner


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> Handle:
    return registered(EVERYWHERE["forward_pre"], hook)


def register_module_forward_hook(hook: Callable[..., Any]) -> Handle:
    return registered(EVERYWHERE["forward"], hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> Handle:
    return registered(EVERYWHERE["full_backward_pre"], hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> Handle:
    return registered(EVERYWHERE["full_backward"], hook)
