"""A reproduction script for a failure: torch and NumPy alone, inputs as literals, exit code 1 while it deviates."""

from __future__ import annotations

import base64
import inspect
import zlib
from typing import Any

import numpy as np
import torch

from conformance import literal
from conformance.bridge import array, dtype_of
from conformance.checks import forms
from conformance.checks.check import Evidence, Trial, arguments_read
from conformance.compare import Mismatch
from conformance.tolerance import MANY

# Above this many elements a literal is packed: nobody reads a thousand numbers.
READABLE = 400


def write(cell_id: str, trial: Trial, error: Exception) -> str:
    """The script for a trial that failed with `error`; "" where the check left nothing to write it from."""
    if trial.evidence is None:
        return headed(cell_id, error, trial.script) if trial.script else ""
    return _numeric(cell_id, trial, trial.evidence, error)


def headed(cell_id: str, error: Exception, text: str) -> str:
    """A script below the cell and the error that it is about."""
    return f"# {cell_id}\n# {_first_line(error)}\n{text}"


def source(thing: Any) -> str:
    """The source without its docstring, which a script need not repeat."""
    text = inspect.getsource(thing).rstrip()
    return text.replace(f'    """{thing.__doc__}"""\n', "", 1) if thing.__doc__ else text


def refused(setup: str, call: str, kind: str) -> tuple[str, list[str]]:
    """What is wrong with how torch refuses a call ("" where it raises this kind of error), and a script of it."""
    lines = ["import sys, torch", setup, "try:", f"    {call}", f"except {kind}:", "    sys.exit(0)", "sys.exit(1)"]
    names: dict[str, Any] = {"torch": torch}
    exec(setup, names)
    try:
        eval(call, names)
    except Exception as error:
        right = kind in {c.__name__ for c in type(error).__mro__}
        return "" if right else f"{call}: {type(error).__name__} ({error}), expected {kind}", lines
    return f"{call}: accepted, expected {kind}", lines


def _numeric(cell_id: str, trial: Trial, evidence: Evidence, error: Exception) -> str:
    bound, oracle = evidence.bound, evidence.bound.oracle
    device = repr(str(trial.place))
    layout = bound.layout
    lines = [f"# {cell_id}", f"# {_first_line(error)}", "import sys, numpy as np, torch"]
    if _uses_forward(evidence.form):
        lines.append("from torch.autograd import forward_ad as fwAD")
    lines += [inspect.getsource(source).rstrip() for source in _sources(evidence.form)]
    if layout is not None:
        lines.append(inspect.getsource(layout).rstrip())
    if bound.spelling.preamble:
        lines.append(bound.spelling.preamble)
    for i, t in enumerate(bound.tensors):
        made = tensor_text(array(t), t.dtype, device)
        lines.append(f"t{i} = {f'{layout.__name__}({made})' if layout is not None else made}")
    lines.append(bound.source())
    wanted = ", ".join(f"t{i}" for i in bound.places)
    lines.append(f"xs = [{wanted}]")
    for name, values, places in (
        ("gs", oracle.cotangents, oracle.ys),
        ("vs", oracle.tangents, oracle.xs),
        ("us", oracle.others, oracle.xs),
    ):
        if name not in arguments_read(evidence.form):
            lines.append(f"{name} = None")
            continue
        made_all = ", ".join(tensor_text(values[i], _dtype_of(values[i], oracle), device) for i in places)
        lines.append(f"{name} = [{made_all}]")
        if name == "gs" and layout is not None:
            lines.append(f"gs = [{layout.__name__}(g) for g in gs]")
    what, quantity, i = evidence.wants[evidence.place]
    call = f"{evidence.form.__name__}(f, xs, gs, vs, us)[{evidence.place}]"
    lines.append(f"got = {call}.detach().cpu().resolve_conj().resolve_neg()")
    if not isinstance(error, Mismatch):
        lines.append(f"print({what!r}, got)")
        return "\n".join(lines)
    want, dtype = np.asarray(quantity.wants[i]), quantity.dtypes[i]
    allowed = np.zeros(want.shape) if dtype is None else quantity.allowed(i, MANY)
    lines.append(f"want = {_array(want)}  # {what}, by the reference")
    lines.append(f"allowed = {_array(np.broadcast_to(allowed, want.shape))}")
    lines.append("print('got', got, 'want', want, sep='\\n')")
    # another shape would broadcast in the comparison, another dtype vanish in it: judge them first
    expected = want.dtype.name if dtype is None else dtype.name
    lines.append(f"sys.exit(1) if got.shape != want.shape or got.dtype != torch.{expected} else None")
    lines.append("got = got.to(torch.complex128 if got.is_complex() else torch.float64).numpy()")
    lines.append("close = (got == want) | (np.abs(got - want) <= allowed) | (np.isnan(got) & np.isnan(want))")
    if error.worst is not None and "-0.0" in (error.worst.got, error.worst.want):  # signs of zeros count here
        lines.append("close &= (got != 0) | (want != 0) | (np.signbit(got) == np.signbit(want))")
    lines.append("sys.exit(0 if np.all(close) else 1)")
    return "\n".join(lines)


def _first_line(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}" if not isinstance(error, AssertionError) else str(error)
    return text.splitlines()[0][:200] if text else type(error).__name__


def _sources(form: Any) -> list[Any]:
    """The form and every helper of its module that it uses, those first that others use."""
    needed: list[Any] = []

    def visit(function: Any) -> None:
        for name in sorted(arguments_read(function)):
            helper = getattr(forms, name, None)
            if inspect.isfunction(helper) and helper.__module__ == forms.__name__ and helper is not function:
                visit(helper)
        if function not in needed:
            needed.append(function)

    visit(form)
    return needed


def _uses_forward(form: Any) -> bool:
    return any("fwAD" in arguments_read(f) for f in _sources(form))


def _dtype_of(a: Any, oracle: Any) -> torch.dtype:
    return dtype_of(oracle.dtype.of(a).name)


def tensor_text(a: Any, dtype: torch.dtype, device: str) -> str:
    """A tensor as Python; `device` is its name in quotes."""
    where = "" if device == "'cpu'" else f", device={device}"
    if a.size > READABLE:
        return f"torch.from_numpy({_array(a)}).to({dtype}){where and f'.to({device})'}"
    body = f"{_list(a)}, dtype={dtype}{where}"
    if a.size == 0:
        return f"torch.zeros({tuple(a.shape)}, dtype={dtype}{where})"
    return f"torch.tensor({body})"


def _list(a: np.ndarray) -> str:
    text = literal._write(a.tolist())
    return text


def _array(a: np.ndarray) -> str:
    if a.size > READABLE:
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(a).tobytes(), 9)).decode()
        return (
            f"np.frombuffer(__import__('zlib').decompress(__import__('base64').b64decode({packed!r})),"
            f" {a.dtype.name!r}).reshape({a.shape}).copy()"
        )
    return f"np.array({_list(a)})" if a.size else f"np.zeros({a.shape})"
