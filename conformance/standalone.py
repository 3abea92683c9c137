"""A function of this project as a script of its own: its source, that of all it uses here, and the imports."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

OURS = ("conformance", "reference")
# decorators that register a function here, and mean nothing in a script
REGISTERING = ("promise",)


def standalone(function: Callable[..., Any], call: str) -> str:
    """A script that makes this call of the function; it fails with the exception of the call."""
    imports, texts = {"import torch": None}, {}

    def visit(thing: Any) -> None:
        text, names = _text(thing)
        texts[thing] = text
        scope = vars(sys.modules[thing.__module__])
        for name in names:
            if name not in scope or scope[name] is thing:
                continue
            found = scope[name]
            home = str(getattr(found, "__module__", None))
            if isinstance(found, ModuleType):
                imports[_import(found.__name__, name)] = None
            elif not (inspect.isfunction(found) or inspect.isclass(found)):
                texts.setdefault(name, f"{name} = {found!r}")
            elif not home.startswith(OURS):
                imports[f"from {home} import {found.__name__}" + (f" as {name}" * (name != found.__name__))] = None
            elif found not in texts:
                visit(found)
        texts[thing] = texts.pop(thing)  # behind what it uses

    visit(function)
    return "\n".join(["from __future__ import annotations", *sorted(imports), *texts.values(), call])


def _import(module: str, name: str) -> str:
    if name == module:
        return f"import {module}"
    outer, _, last = module.rpartition(".")
    return f"from {outer} import {last}" if name == last else f"import {module} as {name}"


def _text(thing: Any) -> tuple[str, list[str]]:
    """The source without registration and docstring, and the names that it reads, annotations apart."""
    source = textwrap.dedent(inspect.getsource(thing)).rstrip()
    node = ast.parse(source).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
    lines = source.splitlines()
    dropped: set[int] = set()
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") in REGISTERING:
            dropped |= set(range(decorator.lineno, (decorator.end_lineno or 0) + 1))
    if ast.get_docstring(node) and len(node.body) > 1:
        dropped |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    kept = [line for i, line in enumerate(lines, 1) if i not in dropped]
    return "\n".join(kept), list(dict.fromkeys(_read(node)))


def _read(node: ast.AST) -> Iterator[str]:
    """Names in a tree, without those of annotations and of registering decorators."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Call) and getattr(child.func, "id", "") in REGISTERING:
                continue
            if isinstance(child, ast.Name):
                yield child.id
            if isinstance(child, ast.AST):
                yield from _read(child)
