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


def beginning(case: Case, length: int) -> str:
    """The first characters of what `write` writes; of large arrays no more is written than they show."""
    args = tuple(_cut(a, length) for a in case.args)
    return write(Case(args, {k: _cut(v, length) for k, v in case.kwargs.items()}))[:length]


def _cut(value: Any, least: int) -> Any:
    """The same beginning of an array, of `least` elements or more: each takes a character at least."""
    if not is_array(value) or value.size <= least:
        return value
    each = value[0].size
    return _cut(value[0], least)[None] if each > least else value[: least // each + 1]


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
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {_write(v)}' for k, v in value.items())}}}"
    if isinstance(value, complex):
        return f"complex({_write(value.real)}, {_write(value.imag)})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return "..." if value is Ellipsis else repr(value)


def read(text: str) -> Case:
    """The case that `write` wrote. Raises ValueError where the text is something else; runs no code."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "f"):
            raise ValueError("not a call of f")
        kwargs = {k.arg: _read(k.value) for k in call.keywords if k.arg is not None}
        if len(kwargs) < len(call.keywords):
            raise ValueError("each keyword once, and none by **")
        return Case(tuple(map(_read, call.args)), kwargs)
    except (SyntaxError, ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a case: {text[:80]!r} ({error})") from error


def _array(values: Any, dtype: str = "float64") -> np.ndarray:
    if np.dtype(dtype).kind not in "biufc":
        raise ValueError(f"arrays of numbers, not of {dtype!r}")
    return np.array(values, dtype=dtype)


def _empty(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    if 0 not in shape:
        raise ValueError("an empty array has a side of 0")
    return _array(np.zeros(shape), dtype)


_CALLS: dict[str, Callable[..., Any]] = {
    "array": _array,
    "empty": _empty,
    "full": np.full,  # written by hand only: for a case that is large, and the same everywhere
    "float": float,
    "complex": complex,
    "slice": slice,
}


def _read(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _CALLS[node.func.id](*map(_read, node.args))
    if isinstance(node, ast.List):
        return [_read(v) for v in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_read(v) for v in node.elts)
    if isinstance(node, ast.Dict) and all(k is not None for k in node.keys):
        return {ast.literal_eval(k): _read(v) for k, v in zip(node.keys, node.values) if k is not None}
    return ast.literal_eval(node)
