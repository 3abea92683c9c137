"""Between arrays and tensors: the only place that converts one into the other."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES, Dtype
from conformance.oracle import Oracle
from reference import conventions
from reference.rule import Case, Rule, is_array

HOST = torch.device("cpu")


def dtype_of(name: str) -> torch.dtype:
    """torch's dtype of this name."""
    found = getattr(torch, name)
    assert isinstance(found, torch.dtype)
    return found


def tensor(array: Any, dtype: Dtype | None, device: torch.device) -> torch.Tensor:
    """The array on the device; floating and complex arrays in the dtype or its counterpart of their kind."""
    made = torch.from_numpy(np.array(array, order="C"))  # a copy: torch must not write into the case
    if not made.numel():  # NumPy's strides of nothing are all 0, which some views refuse
        made = torch.empty(made.shape, dtype=made.dtype)
    if dtype is not None and array.dtype.kind in "fc":
        wanted = dtype.of(array)
        assert wanted is not None
        made = made.to(dtype_of(wanted.name))
    return made if device.type == "cpu" else made.to(device)


def array(t: torch.Tensor) -> np.ndarray:
    """The tensor's values as float64, complex128, int64 or bool, on the CPU."""
    t = t.detach()
    if getattr(t, "_is_zerotensor", lambda: False)():  # a zero without memory, from forward mode
        t = t.clone()
    if t.device.type != "cpu":
        t = t.cpu()
    if t.is_complex():
        t = t.to(torch.complex128).resolve_conj()
    elif t.is_floating_point():
        t = t.to(torch.float64)
    return np.asarray(t.resolve_neg().numpy())


def convert(value: Any, dtype: Dtype, device: torch.device) -> Any:
    """An argument of a case as torch wants it: arrays inside tuples and lists too."""
    if is_array(value):
        return tensor(np.asarray(value), dtype, device)
    if isinstance(value, (list, tuple)):
        return type(value)(convert(v, dtype, device) for v in value)
    return value


@functools.cache
def resolve(path: str) -> Any:
    """The object at torch.<path>; None where there is none, or what is left of it says that it was removed."""
    found: Any = torch
    for part in path.split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return None if _says_removed(found) else found


def _says_removed(function: Any) -> bool:
    """Whether the body of a function is the message that torch no longer has it (torch.qr of 2.15)."""
    constants = getattr(getattr(function, "__code__", None), "co_consts", ())
    return any(isinstance(c, str) and "is now removed" in c for c in constants)


@functools.cache
def as_torch_has(rule: Rule) -> Rule:
    """The rule, without its derivative where this torch has not learnt it yet (see Rule.lately)."""
    function = resolve(rule.name)
    if not rule.lately or function is None or _carries_derivative(function, rule.cases(SeededDraw(rule.name))):
        return rule
    return dataclasses.replace(rule, fn=lambda *args, **kwargs: (rule.fn(*args, **kwargs)[0], None))


def _carries_derivative(function: Any, case: Case) -> bool:
    """Whether the output of a call has a gradient, and its backward pass does not say that it is not implemented."""
    args, kwargs = (convert(part, DTYPES["float64"], torch.device("cpu")) for part in (case.args, case.kwargs))
    xs = [x.requires_grad_() for x in args if isinstance(x, torch.Tensor) and x.is_floating_point()]
    try:
        out = function(*args, **kwargs)
        first = out if isinstance(out, torch.Tensor) else out[0]
        if first.requires_grad:
            torch.autograd.grad(first.sum(), xs, allow_unused=True)
        return bool(first.requires_grad)
    except RuntimeError as error:
        return "derivative for" not in str(error)


def _shares_ties() -> bool:
    """What this torch does at one tie: every cell is held to that."""
    x, y = (torch.ones((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    try:
        return [g.item() for g in torch.autograd.grad(torch.fmax(x, y), (x, y))] == [0.5, 0.5]
    except Exception:  # its own cells tell
        return False


conventions.share_ties(_shares_ties)


@dataclasses.dataclass(frozen=True)
class Spelling:
    """One way to write a call: `text` is an expression for the callable, after `preamble`, in Python."""

    text: str
    preamble: str = ""

    @functools.cached_property
    def function(self) -> Any:
        names: dict[str, Any] = {"torch": torch}
        exec(self.preamble, names)
        return eval(self.text, names)


class Bound:
    """A call in torch with everything fixed except its differentiable inputs.

    Calling it with those (in signature order) gives the tuple of differentiable outputs, or of all outputs
    where none is. `tensors` are all tensor arguments of the call, `xs` the differentiable ones, `places`
    where they stand.
    """

    def __init__(
        self,
        spelling: Spelling,
        oracle: Oracle,
        device: torch.device,
        tensors: list[torch.Tensor] | None = None,
    ):
        self.spelling, self.oracle, self.device = spelling, oracle, device
        self.function = spelling.function
        self.places, self.ys = oracle.xs, oracle.shown
        self.layout: Any = None  # how the tensors are held, where that is not contiguous
        held = _held(oracle, device)
        # copies: what torch writes into one call's tensors must not reach the next call
        self.tensors = tensors or [t.clone() for t in held.tensors]
        self._args, self._kwargs = held.args, held.kwargs

    @property
    def xs(self) -> list[torch.Tensor]:
        return [self.tensors[i] for i in self.places]

    def change(self, how: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Put how(t) in the place of every tensor t of the call, those inside keys and lists too."""
        self.tensors = [how(t) for t in self.tensors]
        self._args = [_changed(a, how) for a in self._args]
        self._kwargs = {k: _changed(v, how) for k, v in self._kwargs.items()}

    def outputs(self, *xs: torch.Tensor) -> list[Any]:
        """All outputs for these differentiable inputs, those of integers too."""
        now = list(self.tensors)
        for place, x in zip(self.places, xs):
            now[place] = x
        args = [_fill(a, now) for a in self._args]
        out = self.function(*args, **{k: _fill(v, now) for k, v in self._kwargs.items()})
        # an output that is None (attention weights that were not asked for) is none
        return [o for o in out if o is not None] if isinstance(out, (tuple, list)) else [out]

    def __call__(self, *xs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outs = self.outputs(*xs)
        return tuple(outs[i] for i in self.ys)

    def source(self) -> str:
        """``def f(x0, ...)`` in Python, reading the other tensors from the globals t0, t1, ..."""
        names = {place: f"x{i}" for i, place in enumerate(self.places)}
        words = [_text(a, names) for a in self._args]
        words += [f"{k}={_text(v, names)}" for k, v in self._kwargs.items()]
        lines = [
            f"def f({', '.join(names.values())}):",
            f"    out = {self.spelling.text}({', '.join(words)})",
        ]
        lines.append("    outs = list(out) if isinstance(out, (tuple, list)) else [out]")
        lines.append(f"    return ({''.join(f'outs[{i}], ' for i in self.ys).strip()})")
        return "\n".join(lines)

    def written(self) -> Any:
        """The function that `source` describes: a plain function, as a user would write it."""
        names: dict[str, Any] = {"torch": torch, **{f"t{i}": t for i, t in enumerate(self.tensors)}}
        exec(self.spelling.preamble + "\n" + self.source(), names)
        return names["f"]


@dataclasses.dataclass
class _Held:
    """An oracle's call on a device: its tensors, and its arguments with slots in their places."""

    tensors: list[torch.Tensor]
    args: list[Any]
    kwargs: dict[str, Any]


def _held(oracle: Oracle, device: torch.device) -> _Held:
    """Made once for each oracle, since every check of a case starts from it."""
    made: _Held | None = oracle.kept.get(device)
    if made is None:
        case = oracle.call.replaced([_Slot(i) for i in range(len(oracle.arrays))])
        made = oracle.kept[device] = _Held(
            [tensor(a, oracle.dtype, HOST if stays(oracle.call.rule, a.dtype.kind) else device) for a in oracle.arrays],
            [_prepare(a, oracle.dtype, device) for a in case.args],
            {k: _prepare(v, oracle.dtype, device) for k, v in case.kwargs.items()},
        )
    return made


def stays(rule: Rule, kind: str) -> bool:
    """Whether numbers of this NumPy kind stay in the host's memory, wherever the others of a call are."""
    return rule.host and kind in "iu"


class _Slot:
    """The place of a tensor in a prepared argument."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index


def _prepare(value: Any, dtype: Dtype, device: torch.device) -> Any:
    """Arrays that are not tensor parameters (indices in a tuple, say) become tensors once."""
    if isinstance(value, (list, tuple)):
        return type(value)(_prepare(v, dtype, device) for v in value)
    return tensor(np.asarray(value), dtype, device) if is_array(value) else value


def _changed(value: Any, how: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if type(value) in (list, tuple):
        return type(value)(_changed(v, how) for v in value)
    return how(value) if isinstance(value, torch.Tensor) else value


def _fill(value: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(value, _Slot):
        return tensors[value.index]
    if type(value) in (list, tuple):
        return type(value)(_fill(v, tensors) for v in value)
    return value


def _text(value: Any, names: dict[int, str]) -> str:
    """An argument as Python."""
    if isinstance(value, _Slot):
        return names.get(value.index, f"t{value.index}")
    if isinstance(value, torch.Tensor):
        return f"torch.tensor({value.tolist()!r}, dtype={value.dtype}, device={str(value.device)!r})"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_text(v, names) for v in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {_text(v, names)}' for k, v in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return f"torch.tensor({value.tolist()!r})" if is_array(value) else repr(value)
