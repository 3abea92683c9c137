"""A small device in Python: ``toy:0`` holds its tensors on the CPU and computes there.

Every op that reaches the device is unwrapped, run on the CPU and wrapped again. The files beside this
one make it wrong, each in one way: they are given as a second ``--setup``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._mode_utils import no_dispatch
from torch.utils._pytree import tree_map

NAME = "toy"
# By the name of an op: what runs in its place, given the op and its arguments on the CPU.
KERNELS: dict[str, Callable[..., Any]] = {}
# Ops whose results stay behind on the CPU.
LEFT_BEHIND: set[str] = set()
# Called with the name of every op before it runs.
WATCHERS: list[Callable[[str], None]] = []


class ToyTensor(torch.Tensor):
    """A tensor of the device; `inner` holds its elements, with the same strides."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> ToyTensor:
        made: ToyTensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )  # fmt: skip
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"toy({self.inner!r})"


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an op on the CPU; its results are on the device unless it was told otherwise."""
    name = str(func)
    for watcher in WATCHERS:
        watcher(name)
    place = kwargs.get("device")
    here = name not in LEFT_BEHIND and (place is None or torch.device(place).type == NAME)
    if place is not None:
        kwargs = {**kwargs, "device": "cpu"}
    inside = tree_map(_unwrap, (list(args), kwargs))
    out = KERNELS.get(name, _plain)(func, *inside[0], **inside[1])
    if torch.Tag.inplace_view in func.tags:  # the wrapper's own shape follows
        with no_dispatch():
            func(*args, **kwargs)
    written = _written(func, args, kwargs)
    if written:
        return written[0] if len(written) == 1 else written
    return tree_map(_wrap, out) if here else out


def _plain(func: Any, *args: Any, **kwargs: Any) -> Any:
    return func(*args, **kwargs)


def _unwrap(value: Any) -> Any:
    return value.inner if isinstance(value, ToyTensor) else value


def _wrap(value: Any) -> Any:
    if not isinstance(value, torch.Tensor) or isinstance(value, ToyTensor):
        return value
    return ToyTensor(value.resolve_conj().resolve_neg())  # the wrapper has no bit for a conjugate to come


def _written(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments that an in-place op or one with out= returns: themselves, not new tensors."""
    if not any(r.alias_info and r.alias_info.is_write for r in func._schema.returns):
        return ()
    given = {a.name: v for a, v in zip(func._schema.arguments, args)} | kwargs
    return tuple(given[a.name] for a in func._schema.arguments if a.alias_info and a.alias_info.is_write)


class Module(backend_registration._DummyBackendModule):
    """torch.toy."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Module())
# ops without a tensor of the device among their arguments: factories
library = torch.library.Library("_", "IMPL")
library.fallback(lambda func, *args, **kwargs: run(func, args, kwargs), "PrivateUse1")
