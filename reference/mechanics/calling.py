"""Calling a module: its hooks around `forward`, and those around its part of the backward pass.

Order: pre-hooks, forward, hooks; each as registered, prepended ones before.  Backward hooks hang at two identities: one
behind the output, where the cotangents of the outputs arrive, and one before the input.  Source: the register_*_hook
pages of torch.nn.Module.
"""

from __future__ import annotations

from typing import Any

from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Mode, Node, Tensor


def call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The output, after all hooks; hooks that are always called see an exception's None too."""
    done: list[Any] = []
    try:
        return _call(module, args, kwargs, done)
    except OutOfScope:
        raise
    except Exception:
        for hook in list(module._hooks["forward"].values()):
            if hook.always and hook not in done:
                hook.call(module, args, *([kwargs] if hook.with_kwargs else []), None)
        raise


def _call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], done: list[Any]) -> Any:
    for hook in list(module._hooks["forward_pre"].values()):
        if hook.with_kwargs:
            changed = hook.call(module, args, kwargs)
            args, kwargs = (args, kwargs) if changed is None else changed
        else:
            changed = hook.call(module, args)
            args = args if changed is None else changed if isinstance(changed, tuple) else (changed,)
    before, after = _frozen(module, "full_backward_pre"), _frozen(module, "full_backward")
    gate = Gate(module, before, after) if before or after else None
    if gate:
        args = gate.enter(args)
    out = module.forward(*args, **kwargs)
    for hook in list(module._hooks["forward"].values()):
        done.append(hook)
        changed = hook.call(module, args, *([kwargs] if hook.with_kwargs else []), out)
        out = out if changed is None else changed
    return gate.leave(out) if gate else out


def _frozen(module: Any, kind: str) -> list[Any]:
    """The backward hooks of one call are those that the module has when it is called."""
    return [hook.call for hook in module._hooks[kind].values()]


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
        node.register_prehook(self._arrive)
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
