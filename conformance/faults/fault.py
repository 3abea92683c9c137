"""What a fault is, and the ways to plant one in a healthy torch.

A plant breaks torch for the rest of the process, so each runs in a process of its own.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

Plant = Callable[[], None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A known way for a torch to be wrong.

    name      how it is called
    plant     the function that breaks this process's torch; its docstring says what is wrong
    subjects  the ops (or other subjects) that it makes wrong: each must turn red
    checks    the checks that are made to see it: every one must turn red in every subject
    models    the bug of a real release that it models (an issue), where there is one
    green     checks of the subjects that must stay green: why the ones above are needed
    dtypes    the dtypes in which the subjects are checked
    level     the level that sets the number of cases; cells of every level run
    mode      the execution mode
    wide      it sits in a transform, not in an op: any subject may turn red, in `checks` alone
    """

    name: str
    plant: Plant
    subjects: tuple[str, ...]
    checks: tuple[str, ...]
    models: str = ""
    green: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    level: int = 2
    mode: str = "eager"
    wide: bool = False

    @property
    def what(self) -> str:
        """What is wrong, in one line."""
        return (self.plant.__doc__ or "").strip().split("\n")[0]


FAULTS: dict[str, Fault] = {}


def fault(subject: str, *checks: str, **options: Any) -> Callable[[Plant], Plant]:
    """Register the decorated plant as a fault of one subject, seen by these checks. See Fault for options."""

    def register(plant: Plant) -> Plant:
        FAULTS[plant.__name__] = Fault(plant.__name__, plant, (subject,), checks, **options)
        return plant

    return register


# Libraries take their kernels back when they are collected.
_libraries: list[Any] = []


def kernel(op: str, key: str = "CPU") -> Callable[[Callable[..., Any]], None]:
    """Put ``wrong(original, *arguments)`` in the place of aten's kernel of an op for a dispatch key.

    Needs torch.library.get_kernel (torch 2.10 or later).
    """

    def install(wrong: Callable[..., Any]) -> None:
        kept = torch.library.get_kernel(f"aten::{op}", key)

        def impl(keys, *args, **kwargs):
            return wrong(lambda *a, **k: kept.call_boxed(keys, *a, **k), *args, **kwargs)

        library = torch.library.Library("aten", "IMPL")
        library.impl(op, impl, key, with_keyset=True)
        _libraries.append(library)

    return install


def skip_kernel(op: str, key: str) -> None:
    """Let calls of an op pass a dispatch key as if aten had no kernel there."""
    library = torch.library.Library("aten", "IMPL")
    library.impl(op, torch.library.fallthrough_kernel, key)
    _libraries.append(library)


def below(key: str) -> Any:
    """A context in which calls do not meet a dispatch key."""
    return torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key)))


def replace(path: str) -> Callable[[Callable[..., Any]], None]:
    """Put ``wrong(original, *arguments)`` in the place of the Python function torch.<path>."""

    def install(wrong: Callable[..., Any]) -> None:
        *outer, name = path.split(".")
        owner = torch
        for part in outer:
            owner = getattr(owner, part)
        original = getattr(owner, name)

        def replacement(*args, **kwargs):
            return wrong(original, *args, **kwargs)

        replacement.__doc__ = original.__doc__  # where a check reads what is promised
        setattr(owner, name, replacement)

    return install


def rewired(
    forward: Callable[..., Any], backward: Callable[..., Any], jvp: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """A function of tensors with derivatives of one's own.

    ``backward(gs, xs, needed)`` gives the gradients, where `gs` has None for a cotangent that is missing;
    ``jvp(vs, xs)`` the tangent. What either does to its tensors is differentiated again.
    """

    class Rewired(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*xs):
            return forward(*xs)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx, *gs):
            return backward(gs, ctx.saved_tensors, ctx.needs_input_grad)

        @staticmethod
        def jvp(ctx, *vs):
            assert jvp is not None
            xs = ctx.saved_tensors
            return jvp([torch.zeros_like(x) if v is None else v for x, v in zip(xs, vs)], xs)

    return Rewired.apply


def is_plain() -> bool:
    """Whether no transform of torch.func and no forward mode is at work."""
    return torch._C._functorch.maybe_current_level() is None and torch.autograd.forward_ad._current_level < 0


def innermost_transform() -> str:
    """The name of the innermost transform of torch.func at work: "Grad", "Jvp", "Vmap", or ""."""
    if torch._C._functorch.maybe_current_level() is None:
        return ""
    return str(torch._C._functorch.peek_interpreter_stack().key().name)
