"""Runs lines of Python beside each other on torch and on the reference's model, and shrinks what differs to a script.

A program is a list of lines that name what both sides have: `m1 = Module()`.  After every line both sides must agree on
what it gave or raised, and on everything that `looks` shows: expressions, so that they too print as they are.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any

from reference import mechanics

SHRINK_SECONDS = 3.0
Names = dict[str, Any]
IMPORTS = {
    "torch": ("no_grad", "tensor"),
    "torch.autograd.graph": ("register_multi_grad_hook", "saved_tensors_hooks"),
    "torch.nn": ("Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList", "Sequential"),
    "torch.nn.modules.module": (
        "register_module_forward_hook", "register_module_forward_pre_hook",
        "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    ),
}  # fmt: skip


class Differs(AssertionError):
    """torch and the model differ; `script` shows it with torch alone."""

    def __init__(self, text: str, script: str):
        super().__init__(text)
        self.script = script


@dataclasses.dataclass(frozen=True)
class Machine:
    """A kind of program.

    prelude   what lines may use, by name: the source of each
    moves     one line after another, given a random source and the model's names; a line may be one that fails
    looks     groups of expressions to compare, given the model's names
    events    what to ask of `log`, which holds what happened in the last line
    """

    prelude: dict[str, str]
    moves: Callable[[random.Random, Names], Iterator[str]]
    looks: Callable[[Names], list[list[str]]]
    events: tuple[str, ...] = ("log[:]",)


@dataclasses.dataclass(frozen=True)
class Difference:
    """The lines that lead there, what was asked then ("" for the last line itself), and both answers."""

    lines: list[str]
    raising: dict[int, str]
    of: str
    got: Any
    want: Any


def check(machine: Machine, seed: int, length: int, device: str = "cpu") -> None:
    """Run the random program of this seed. Raises Differs."""
    rng = random.Random(seed)

    found = difference(machine, lambda names: itertools.islice(machine.moves(rng, names), length), device)
    if found is None:
        return
    found = shrunk(machine, found, device)
    asked = found.of or found.lines[-1]
    text = f"{asked}: got {found.got!r}, want {found.want!r}, after {len(found.lines)} lines"
    raise Differs(text, script(machine, found, device))


def difference(machine: Machine, moves: Callable[[Names], Iterable[str]], device: str) -> Difference | None:
    """The first thing on which both sides differ."""
    ours: Names = {}
    theirs: Names = {}
    try:
        return _compared(machine, moves, device, ours, theirs)
    finally:  # hooks of all modules would outlive the program
        for name, handle in [*ours.items(), *theirs.items()]:
            if re.fullmatch(r"h\d+", name):
                handle.remove()


def _compared(
    machine: Machine, moves: Callable[[Names], Iterable[str]], device: str, ours: Names, theirs: Names
) -> Difference | None:
    _outcome(_header(device), theirs)
    for source in machine.prelude.values():
        _outcome(source, theirs)
    lines: list[str] = []
    _model(machine, lines, ours)
    raising: dict[int, str] = {}
    for line in moves(ours):
        ours["log"].clear()
        theirs["log"].clear()
        try:
            want = _outcome(line, ours)
        except mechanics.OutOfScope:
            _model(machine, lines, ours)  # the line may have done half of its work
            continue
        got = _outcome(line, theirs)
        lines.append(line)
        if repr(got) != repr(want):
            return Difference(lines, raising, "", got, want)
        if isinstance(want, Raised):
            raising[len(lines) - 1] = want.kind
        for looks in [machine.events, *machine.looks(ours)]:
            together = f"({', '.join(looks)},)"  # at once is quicker; one by one only where they differ
            if repr(_outcome(together, theirs)) == repr(_outcome(together, ours)):
                continue
            for look in looks:
                want, got = _outcome(look, ours), _outcome(look, theirs)
                if repr(got) != repr(want):
                    return Difference(lines, raising, look, got, want)
    return None


def _model(machine: Machine, lines: list[str], names: Names) -> None:
    """Make these the names of the model after these lines."""
    names.clear()
    for table in mechanics.EVERYWHERE.values():
        table.clear()
    names.update({name: getattr(mechanics, name) for name in mechanics.__all__}, copy=copy)
    for source in [*machine.prelude.values(), *lines]:
        _outcome(source, names)


@dataclasses.dataclass(frozen=True)
class Raised:
    """What a line gave that raised an exception."""

    kind: str

    def __repr__(self) -> str:
        return f"raises {self.kind}"


@functools.lru_cache(maxsize=10_000)
def _compiled(line: str) -> tuple[CodeType, bool]:
    try:
        return compile(line, "<line>", "eval"), True
    except SyntaxError:
        return compile(line, "<line>", "exec"), False


def _outcome(line: str, names: Names) -> Any:
    code, is_expression = _compiled(line)
    try:
        return eval(code, names) if is_expression else exec(code, names)
    except mechanics.OutOfScope:
        raise
    except Exception as error:
        return Raised(type(error).__name__)


def shrunk(machine: Machine, found: Difference, device: str) -> Difference:
    """A difference after fewer lines: no single one of them can be left out (or time is over)."""
    until = time.monotonic() + SHRINK_SECONDS
    size = len(found.lines) // 2
    while size:
        start = 0
        while start < len(found.lines) and time.monotonic() < until:
            fewer = found.lines[:start] + found.lines[start + size :]
            smaller = difference(machine, lambda _names, fewer=fewer: fewer, device)  # type: ignore[misc]
            if smaller is not None and len(smaller.lines) < len(found.lines):
                found = smaller
            else:
                start += size
        size //= 2
    return found


def _header(device: str, text: str = "") -> str:
    """Imports of what the text uses; of everything, without one."""
    lines = ["import contextlib, copy, torch"]
    for module, known in IMPORTS.items():
        names = [name for name in known if not text or re.search(rf"\b{name}\b", text)]
        lines += [f"from {module} import {', '.join(names)}"] * bool(names)
    if device != "cpu":
        lines.append(f"tensor = lambda values: torch.tensor(values, device={device!r})")
    return "\n".join(lines)


def script(machine: Machine, found: Difference, device: str) -> str:
    """The lines on torch alone; it fails while torch answers as it did."""
    body = [_guarded(line, found.raising.get(i)) for i, line in enumerate(found.lines)]
    asks = [body[-1], f"got = {found.of}"] if found.of else [_asked(found.lines[-1])]
    text = "\n".join([*body[:-1], "log.clear()", *asks])
    for name, source in reversed(machine.prelude.items()):
        if re.search(rf"\b{name}\b", text):
            text = f"{source}\n{text}"
    want = found.want.kind if isinstance(found.want, Raised) else found.want
    return f"{_header(device, text)}\n{text}\nwant = {want!r}\nprint('got ', got, '\\nwant', want)\nassert got == want"


def _guarded(line: str, kind: str | None) -> str:
    """A line that both sides refuse."""
    return line if kind is None else f"with contextlib.suppress({kind}):\n    {line}"


def _asked(line: str) -> str:
    """The last line, with what it gives or raises in `got`."""
    gives = f"got = {line}" if _compiled(line)[1] else f"{line}\n    got = None"
    return f"try:\n    {gives}\nexcept Exception as error:\n    got = type(error).__name__"
