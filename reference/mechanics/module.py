"""nn.Module without torch: what it holds, under which names, in which order, and what walks over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from reference.mechanics import calling, saving
from reference.mechanics.handles import Handle, Registry, registered
from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Parameter, Tensor

Named = Iterator[tuple[str, Any]]

HOOKS = (
    "forward_pre", "forward", "full_backward_pre", "full_backward",
    "state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post",
)  # fmt: skip


class Module:
    """Attributes, and apart from them parameters, buffers and modules, each in the order in which names came.

    A name is in one of the four at most.
    """

    def __init__(self) -> None:
        tables: dict[str, Any] = {"_parameters": {}, "_buffers": {}, "_modules": {}}
        self.__dict__.update(training=True, _passing=set(), _hooks={kind: {} for kind in HOOKS}, **tables)

    # names

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(table, {}):
                return self.__dict__[table][name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._forget(name, self._parameters)
            self._parameters[name] = value
        elif name in self._parameters:
            _must_be_none(value)
            self._parameters[name] = None
        elif isinstance(value, Module):
            self._forget(name, self._modules)
            self._adopt(name, value)
        elif name in self._modules:
            _must_be_none(value)
            self._modules[name] = None
        elif name in self._buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"{name} is a buffer")
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._passing.discard(name)
                return
        object.__delattr__(self, name)

    def _forget(self, name: str, but: dict[str, Any]) -> None:
        """Take a name away from wherever it is, but for one table, in which it keeps its place."""
        for table in (self.__dict__, self._parameters, self._buffers, self._modules):
            if table is not but:
                table.pop(name, None)
        self._passing.discard(name)

    def _adopt(self, name: str, child: Module | None) -> None:
        if child is not None and any(m is self for m in child.modules()):
            raise OutOfScope("a module inside itself")
        self._modules[name] = child

    def _free(self, name: Any, table: dict[str, Any]) -> None:
        """Raise unless something may be registered under the name."""
        if not isinstance(name, str):
            raise TypeError("a name is a string")
        if "." in name or not name:
            raise KeyError(f"{name!r} cannot be a name")
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute {name!r} already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        self._free(name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError("a Parameter or None")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        self._free(name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError("a Tensor or None")
        self._buffers[name] = tensor
        (self._passing.discard if persistent else self._passing.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        if module is not None and not isinstance(module, Module):
            raise TypeError("a Module or None")
        self._free(name, self._modules)
        self._adopt(name, module)

    register_module = add_module

    # walks

    def named_children(self) -> Named:
        yield from _once(self._modules.items())

    def children(self) -> Iterator[Module]:
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Named:
        """This module, and below it every other before those inside it."""
        walk = self._walk(prefix)
        yield from _once(walk) if remove_duplicate else walk

    def _walk(self, prefix: str) -> Named:
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child._walk(_joined(prefix, name))

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def _members(self, table: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Named:
        owners = self.named_modules(prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        found = ((_joined(path, name), t) for path, m in owners for name, t in getattr(m, table).items())
        yield from _once(found) if remove_duplicate else ((n, t) for n, t in found if t is not None)

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Named:
        return self._members("_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Named:
        return self._members("_buffers", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        module = self
        for name in target.split(".") if target else ():
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"{name} is not a module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        path, _, name = target.rpartition(".")
        found = getattr(self.get_submodule(path), name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"{name} is not a parameter")
        return found

    def get_buffer(self, target: str) -> Tensor | None:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if name not in owner._buffers:
            raise AttributeError(f"{name} is not a buffer")
        found: Tensor | None = owner._buffers[name]
        return found

    # changes of everything below

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """`fn` on every child's tree, and then on this module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Module:
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.parameters():
            if p.grad is not None:
                p.grad = None if set_to_none else Tensor(np.zeros_like(p.grad.value))

    def _cast(self, dtype: type) -> Module:
        """Parameters change and stay who they are, with their gradients; buffers are replaced, each by itself."""
        for module in self.modules():
            for p in module._parameters.values():
                if p is not None:
                    p.adopt(p.cast(np.dtype(dtype)))
                    p.grad = p.grad and p.grad.cast(np.dtype(dtype))
            for name, b in module._buffers.items():
                module._buffers[name] = b and b.cast(np.dtype(dtype))
        return self

    def double(self) -> Module:
        return self._cast(np.float64)

    def float(self) -> Module:
        return self._cast(np.float32)

    def half(self) -> Module:
        return self._cast(np.float16)

    # state

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        return saving.state_dict(self, saving.Saved() if destination is None else destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> saving.Incompatible:
        return saving.load_state_dict(self, state_dict, strict, assign)

    # calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return calling.call(self, args, kwargs)

    def _hook(self, kind: str, hook: Callable[..., Any], **options: Any) -> Handle:
        table: Registry = self._hooks[kind]
        return registered(table, hook, **options)

    def register_forward_pre_hook(self, hook: Any, *, prepend: bool = False, with_kwargs: bool = False) -> Handle:
        return self._hook("forward_pre", hook, prepend=prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Any, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Handle:
        return self._hook("forward", hook, prepend=prepend, with_kwargs=with_kwargs, always=always_call)

    def register_full_backward_pre_hook(self, hook: Any, prepend: bool = False) -> Handle:
        return self._hook("full_backward_pre", hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Any, prepend: bool = False) -> Handle:
        return self._hook("full_backward", hook, prepend=prepend)

    def register_state_dict_pre_hook(self, hook: Any) -> Handle:
        return self._hook("state_dict_pre", hook)

    def register_state_dict_post_hook(self, hook: Any) -> Handle:
        return self._hook("state_dict_post", hook)

    def register_load_state_dict_pre_hook(self, hook: Any) -> Handle:
        return self._hook("load_state_dict_pre", hook)

    def register_load_state_dict_post_hook(self, hook: Any) -> Handle:
        return self._hook("load_state_dict_post", hook)


def _must_be_none(value: Any) -> None:
    if value is not None:
        raise TypeError("the name is taken by another kind of thing")


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _once(items: Iterable[tuple[str, Any]]) -> Named:
    """Each thing under the first of its names; None is no thing."""
    seen = set()
    for name, thing in items:
        if thing is not None and id(thing) not in seen:
            seen.add(id(thing))
            yield name, thing
