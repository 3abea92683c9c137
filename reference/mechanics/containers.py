"""The containers of modules: lists and dicts whose entries are registered under their index or key.

"Can be indexed like a regular Python list/dict": what an edit does is what Python's list or dict does, and entries are
renamed by their new position.  What torch is known to do otherwise is OutOfScope.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

from reference.mechanics.module import Module
from reference.mechanics.scope import OutOfScope


class _Listed(Module):
    """Modules by position."""

    def _entries(self) -> list[Any]:
        if list(self._modules) != [str(i) for i in range(len(self._modules))]:
            raise OutOfScope("an edit of a list whose entries have other names than their positions")
        return list(self._modules.values())

    def _set(self, entries: Iterable[Any]) -> None:
        named = {str(i): m for i, m in enumerate(entries)}
        if any(m is self for e in named.values() if e is not None for m in e.modules()):
            raise OutOfScope("a module inside itself")
        self.__dict__["_modules"] = named

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def __getitem__(self, index: Any) -> Any:
        found = list(self._modules.values())[index if isinstance(index, slice) else operator.index(index)]
        return type(self)._of(found) if isinstance(index, slice) else found

    def __setitem__(self, index: int, module: Any) -> None:
        position = range(len(self._entries()))[index]
        setattr(self, str(position), module)

    def __delitem__(self, index: Any) -> None:
        entries = self._entries()
        del entries[index]
        self._set(entries)

    def append(self, module: Any) -> Any:
        return self.extend([module])

    def extend(self, modules: Iterable[Any]) -> Any:
        added = list(modules)
        if modules is self:
            raise OutOfScope("torch 2.6 and later does not extend a list by itself")
        if not all(isinstance(m, Module) for m in added):
            raise OutOfScope("what torch has added before it refuses an entry")
        self._set([*self._entries(), *added])
        return self

    def pop(self, index: int) -> Any:
        found = self[index]
        del self[index]
        return found

    @classmethod
    def _of(cls, modules: Iterable[Any]) -> Any:
        raise NotImplementedError


class Sequential(_Listed):
    """Modules that are called one after the other."""

    def __init__(self, *modules: Any):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(modules):
                self.add_module(str(i), module)

    @classmethod
    def _of(cls, modules: Iterable[Any]) -> Any:
        return cls(*modules)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) and list(self._modules)[index] != [str(i) for i in range(len(self))][: len(self)]:
            raise OutOfScope("a slice that does not begin at 0 keeps its names in torch")
        return super().__getitem__(index)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x

    def insert(self, index: int, module: Module) -> Sequential:
        entries = self._entries()
        if not -len(entries) <= index <= len(entries):
            raise IndexError("out of range")
        entries.insert(index, module)
        self._set(entries)
        return self

    def __add__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError("a Sequential")
        return Sequential(*self, *other)

    def __iadd__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError("a Sequential")
        self.extend(other)
        return self

    def __mul__(self, times: int) -> Sequential:
        if times <= 0:
            raise ValueError("a positive number of times")
        return Sequential(*(list(self) * times))

    def __imul__(self, times: int) -> Sequential:
        if times <= 0:
            raise ValueError("a positive number of times")
        self._set(self._entries() * times)
        return self


class ModuleList(_Listed):
    """Modules by position, without a forward."""

    def __init__(self, modules: Iterable[Any] = ()):
        super().__init__()
        self.extend(list(modules))

    @classmethod
    def _of(cls, modules: Iterable[Any]) -> Any:
        return cls(modules)

    def __getitem__(self, index: Any) -> Any:
        self._entries()  # a module under another name has no position
        return super().__getitem__(index)

    def insert(self, index: int, module: Module) -> None:
        if not 0 <= index <= len(self):
            raise OutOfScope("torch breaks the list for an index that is not in it")
        entries = self._entries()
        entries.insert(index, module)
        self._set(entries)

    def __add__(self, other: Iterable[Any]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Any]) -> Any:
        return self.extend(other)


class ModuleDict(Module):
    """Modules by key."""

    def __init__(self, modules: Any = None):
        super().__init__()
        self.update({} if modules is None else modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._modules))

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Any) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def keys(self) -> Any:
        return self._modules.keys()

    def values(self) -> Any:
        return self._modules.values()

    def items(self) -> Any:
        return self._modules.items()

    def clear(self) -> None:
        self._modules.clear()

    def pop(self, key: str) -> Any:
        return self._modules.pop(key)

    def update(self, modules: Any) -> None:
        for key, module in modules.items() if hasattr(modules, "items") else modules:
            self[key] = module
