"""The containers of parameters: a list and a dict that may hold other things too.

Source: torch.nn.ParameterList, torch.nn.ParameterDict.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reference.mechanics.module import Module
from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Parameter, Tensor


def _held(value: Any) -> Any:
    """Tensors become parameters; other things stay what they are."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """Parameters, and other things, by position."""

    def __init__(self, values: Iterable[Any] = ()):
        super().__init__()
        self._size = 0
        self.extend(values)

    def __len__(self) -> int:
        size: int = self._size
        return size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ParameterList(self[i] for i in range(len(self))[index])
        return getattr(self, str(range(len(self))[index]))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, str(range(len(self))[index]), _held(value))

    def append(self, value: Any) -> ParameterList:
        self._size += 1
        self[len(self) - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        if isinstance(values, Tensor):
            raise TypeError("an iterable, and not a tensor")
        for value in list(values):
            self.append(value)
        return self

    __iadd__ = extend


class ParameterDict(Module):
    """Parameters, and other things, by key; a plain dict's keys are taken in sorted order."""

    def __init__(self, values: Any = None):
        super().__init__()
        self._keys: dict[str, None] = {}
        self.update({} if values is None else values)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._keys))

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._keys and hasattr(self, key):
            raise OutOfScope("a key that is an attribute already")
        self._keys[key] = None
        setattr(self, key, _held(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def keys(self) -> Any:
        return self._keys.keys()

    def values(self) -> Iterator[Any]:
        return (self[k] for k in self._keys)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((k, self[k]) for k in self._keys)

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key) if key in self else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        found = self[key]
        del self[key]
        return found

    def popitem(self) -> tuple[str, Any]:
        if not self._keys:
            raise KeyError("an empty dict has no last item")
        key = list(self._keys)[-1]
        return key, self.pop(key)

    def clear(self) -> None:
        for key in list(self._keys):
            del self[key]

    def copy(self) -> ParameterDict:
        return ParameterDict(list(self.items()))

    def update(self, values: Any) -> None:
        pairs = values.items() if isinstance(values, (Mapping, ParameterDict)) else values
        for key, value in sorted(pairs, key=operator.itemgetter(0)) if isinstance(values, Mapping) else pairs:
            self[key] = value

    def __or__(self, other: Any) -> ParameterDict:
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other: Any) -> ParameterDict:
        self.update(other)
        return self
