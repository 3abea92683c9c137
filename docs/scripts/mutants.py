"""The mutants of `reference/`: every change that cosmic-ray's operators make to its mathematics.

What is not mathematics is left out, by rule and not by list:

    what draws cases    functions with a parameter `draw`, classes made with one, and what only these use (see
                        reach.matters): a wrong generator is no wrong oracle
    what declares       registrations, waivers and their rooms, annotations; the signatures of what is registered,
                        which are torch's own and held against it by tests/core/test_signatures.py
    what refuses        raise, and an `if` that only raises: which calls are illegal is the matter of `errors`
    what is no fault    a shift or a bitwise operator for one of arithmetic (NumPy refuses it: such mutants would
                        only raise the share), `is` for `==`, removed decorators, other exceptions
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parents[2]
SCOPE = ("ops/*.py", "nn/*.py", "optim/*.py", "schedules/*.py", "tape.py", "derive.py")
NOT_MUTATED = {"drawing.py", "__init__.py"}  # these draw cases, or register
ARITHMETIC, BITWISE = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}, {"BitOr", "BitAnd", "BitXor"}
DECLARES = {"Waiver", "rule", "layer", "optimizer", "schedule"}
NO_FAULT = re.compile(r"RemoveDecorator|ExceptionReplacer|Variable|ComparisonOperator_(?!Is)\w+?_Is")

Span = tuple[tuple[int, int], tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change: the `occurrence`-th place of a file where the operator applies. Lines count from 1."""

    path: str
    operator: str
    occurrence: int
    line: int

    @property
    def source(self) -> str:
        """The text of the changed file."""
        text = (ROOT / self.path).read_text()
        changed = mutate_code(text, get_operator(self.operator)(), self.occurrence)
        assert changed is not None, self
        return str(changed)

    @property
    def compiles(self) -> bool:
        with contextlib.suppress(SyntaxError):
            return bool(compile(self.source, self.path, "exec"))
        return False

    @property
    def diff(self) -> str:
        lines = [text.splitlines() for text in ((ROOT / self.path).read_text(), self.source)]
        return "\n".join(list(difflib.unified_diff(*lines, self.path, self.path, n=1, lineterm=""))[2:])


def sources() -> list[str]:
    """The files of the reference that hold mathematics, relative to the root."""
    found = [p for part in SCOPE for p in sorted((ROOT / "reference").glob(part))]
    return [str(p.relative_to(ROOT)) for p in found if p.name not in NOT_MUTATED]


def mutants(path: str) -> list[Mutant]:
    text = (ROOT / path).read_text()
    excluded, nodes = _spans(ast.parse(text)), list(ast_nodes(get_ast(text)))
    found = []
    for name in filter(_is_fault, operator_names()):
        operator = get_operator(name)()
        places = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, (begin, end) in enumerate(places):
            if not any(a <= begin and end <= b for a, b in excluded):
                found.append(Mutant(path, name, occurrence, begin[0]))
    return found


def _is_fault(name: str) -> bool:
    if NO_FAULT.search(name):
        return False
    if "BinaryOperator" in name:
        before, after = name.split("_")[1:]
        return {before, after} <= ARITHMETIC or {before, after} <= BITWISE
    return True


def _spans(tree: ast.Module) -> list[Span]:
    """Where nothing is mutated."""
    rooms = {n.id for k in _of(tree, ast.keyword) if k.arg == "room" for n in _of(k.value, ast.Name)}
    signatures = [
        ((f.lineno, f.col_offset), (f.body[0].lineno, f.body[0].col_offset))
        for f in _of(tree, ast.FunctionDef) if f.decorator_list
    ]  # fmt: skip
    return [*signatures, *(_span(node) for parent in ast.walk(tree) for node in _excluded(parent, rooms))]


def _excluded(node: ast.AST, rooms: set[str]) -> Iterator[ast.AST]:
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        parameters = [*node.args.args, *node.args.kwonlyargs]
        makes_waivers = any(getattr(c.func, "id", "") == "Waiver" for c in _of(node, ast.Call))
        name = getattr(node, "name", "")
        if any(p.arg == "draw" for p in parameters) or name in {*rooms, "__repr__"} or makes_waivers:
            yield node
        if isinstance(node, ast.FunctionDef):
            yield from node.decorator_list
            yield from (a for a in (node.returns, *(p.annotation for p in parameters)) if a is not None)
    elif isinstance(node, ast.ClassDef):
        draws = any(p.arg == "draw" for f in _of(node, ast.FunctionDef) for p in f.args.args)
        yield from [node] if draws else node.decorator_list
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in DECLARES:
        yield node
    elif isinstance(node, ast.AnnAssign):
        yield node.annotation
    elif isinstance(node, (ast.Raise, ast.Assert)):
        yield node
    elif isinstance(node, ast.If) and len(node.body) == 1 and isinstance(node.body[0], ast.Raise):
        yield node.test
    elif isinstance(node, ast.Module):  # names of types: Number = Array | float
        yield from (s for s in node.body if isinstance(s, ast.Assign) and _is_type(s.value))


def _is_type(value: ast.expr) -> bool:
    return (
        isinstance(value, (ast.BinOp, ast.Subscript))
        and all(
            isinstance(n, (ast.BinOp, ast.BitOr, ast.Name, ast.Load, ast.Constant, ast.Subscript, ast.Tuple))
            for n in ast.walk(value)
        )
        and any(n.id in {"Array", "Callable", "tuple", "list", "dict"} for n in _of(value, ast.Name))
    )


def _of(tree: ast.AST, kind: type) -> Iterator:
    return (n for n in ast.walk(tree) if isinstance(n, kind))


def _span(node: ast.AST) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
