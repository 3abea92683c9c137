"""A case as one line of Python, and back: ``f(array([1.0, 2.0]), dim=0)``."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.rule import Case, is_array


def write(case: Case) -> str:
    """The case as a call; arrays as ``array([...])``, with a dtype where it is not float64."""
    words = [_write(a) for a in case.args] + [f"{k}={_write(v)}" for k, v in case.kwargs.items()]
    return f"f({', '.join(words)})"


def _write(value: Any) -> str:
    if is_array(value):
        a = np.asarray(value)
        body = _write(a.tolist())
        if a.size == 0:
            return f"empty({tuple(a.shape)}, {a.dtype.name!r})"
        return f"array({body})" if a.dtype == np.float64 else f"array({body}, {a.dtype.name!r})"
    if isinstance(value, list):
        return f"[{', '.join(map(_write, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_write, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, complex):
        return f"complex({_write(value.real)}, {_write(value.imag)})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return "..." if value is Ellipsis else repr(value)


def read(text: str) -> Case:
    """The case that `write` wrote. Raises ValueError where the text is something else; runs no code."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError("not a call")
        return Case(tuple(map(_read, call.args)), {str(k.arg): _read(k.value) for k in call.keywords})
    except (SyntaxError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a case: {text[:80]!r} ({error})") from error


_CALLS: dict[str, Callable[..., Any]] = {
    "array": lambda values, dtype="float64": np.array(values, dtype=dtype),
    "empty": lambda shape, dtype="float64": np.empty(shape, dtype=dtype),
    "float": float,
    "complex": complex,
    "slice": slice,
}


def _read(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _CALLS[node.func.id](*map(_read, node.args))
    if isinstance(node, ast.List):
        return [_read(v) for v in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_read(v) for v in node.elts)
    return ast.literal_eval(node)
