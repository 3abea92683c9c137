"""Hooks by the order in which they run, and the handles that take them away."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

_numbers = itertools.count()


@dataclasses.dataclass
class Registered:
    """A hook and how it wants to be called."""

    call: Callable[..., Any]
    with_kwargs: bool = False
    always: bool = False


Registry = dict[int, Registered]


class Handle:
    """Takes one hook away; doing so again changes nothing."""

    def __init__(self, table: Registry, number: int):
        self._table, self._number = table, number

    def remove(self) -> None:
        self._table.pop(self._number, None)


# The hooks of all modules at once, by kind.
EVERYWHERE: dict[str, Registry] = {
    kind: {} for kind in ("forward_pre", "forward", "full_backward_pre", "full_backward")
}


def registered(
    table: Registry, hook: Callable[..., Any], prepend: bool = False, with_kwargs: bool = False, always: bool = False
) -> Handle:
    """Put a hook at the end of a table, or before all that are there."""
    number = next(_numbers)
    rest = dict(table) if prepend else {}
    if prepend:
        table.clear()
    table[number] = Registered(hook, with_kwargs, always)
    table.update(rest)
    return Handle(table, number)
