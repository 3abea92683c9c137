"""What a change of one line can reach: the definitions of `reference/` that use it, directly or not.

Read from the source alone: a definition uses the names that stand in it, through the imports of its module.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Definition = tuple[str, str]  # module, name of a function, class or constant at its top


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def reached(path: str, line: int) -> set[Definition]:
    """The definitions whose value may depend on this line, its own included."""
    found = _at(path, line)
    new = found
    while new:
        new = {user for user, used in _uses(bodies=False).items() if used & new} - found
        found = found | new
    return found


def matters(path: str, line: int) -> bool:
    """Whether what is registered uses this line, and not only what draws its cases or gives waivers their room."""
    found = _at(path, line)
    new = found
    while new:
        if any(_is_registered(*d) for d in new):
            return True
        new = {user for user, used in _uses(bodies=True).items() if used & new} - found
        found = found | new
    return False


def _at(path: str, line: int) -> set[Definition]:
    module = module_of(path)
    return {(module, name) for name, (first, last, _, _) in _definitions(path).items() if first <= line <= last}


@functools.cache
def _is_registered(module: str, name: str) -> bool:
    """A decorated function, a class, or a statement that is not an assignment."""
    found = _statement(module, name)
    return not isinstance(found, (ast.FunctionDef, ast.Assign, ast.AnnAssign)) or bool(
        getattr(found, "decorator_list", [])
    )


def made_at_import(reach: set[Definition]) -> bool:
    """Whether any of these is a table or another statement, which a function may have made when it was imported."""
    return any(not isinstance(_statement(*d), (ast.FunctionDef, ast.ClassDef)) for d in reach)


@functools.cache
def _statement(module: str, name: str) -> ast.stmt:
    path = module.replace(".", "/")
    file = next(f for f in (f"{path}.py", f"{path}/__init__.py") if (ROOT / f).exists())
    return next(s for s in ast.parse((ROOT / file).read_text()).body if name in _defined(s))


@functools.cache
def _uses(bodies: bool) -> dict[Definition, set[Definition]]:
    """What each definition names; with `bodies` without its decorators, and nothing for what draws cases."""
    paths = [str(p.relative_to(ROOT)) for p in sorted((ROOT / "reference").rglob("*.py"))]
    return {
        (module_of(path), name): inside if bodies else used
        for path in paths
        for name, (_, _, used, inside) in _definitions(path).items()
    }


@functools.cache
def _definitions(path: str) -> dict[str, tuple[int, int, set[Definition], set[Definition]]]:
    """Of each top-level definition its first and last line, the definitions that it names, and those in its body."""
    tree, module = ast.parse((ROOT / path).read_text()), module_of(path)
    imported = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip

    def named(nodes: list[ast.stmt]) -> set[Definition]:
        inside = [n for node in nodes for n in ast.walk(node)]
        plain = {imported.get(n.id, (module, n.id)) for n in inside if isinstance(n, ast.Name)}
        return plain | {  # a name of an imported module: descent.sgd
            (".".join(imported[n.value.id]), n.attr)
            for n in inside
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in imported
        }

    found: dict[str, tuple[int, int, set[Definition], set[Definition]]] = {}
    for statement in tree.body:
        body = statement.body if isinstance(statement, ast.FunctionDef) else [statement]
        draws = isinstance(statement, ast.FunctionDef) and any(a.arg == "draw" for a in statement.args.args)
        inside = set() if draws else named(body)
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
        for name in _defined(statement):
            own = {(module, name)}
            found[name] = (first, statement.end_lineno or first, named([statement]) - own, inside - own)
    return found


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    targets = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return sorted(targets) or [f"line {statement.lineno}"]
