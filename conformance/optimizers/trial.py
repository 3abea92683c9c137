"""One check of an optimizer on one run in one dtype: how it is spelled in torch, run, compared and written down."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from conformance.bridge import array, dtype_of, tensor
from conformance.checks.check import Unsupported
from conformance.compare import Mismatch, Tally, compare
from conformance.dtypes import DTYPES, Dtype
from conformance.optimizers import forms
from conformance.optimizers.bounds import SCALARS, Expected
from conformance.script import source, tensor_text
from conformance.target import Target, synchronize
from reference.optim import Optimizer
from reference.rule import Case

# How torch says that a form is for other devices.
_DEVICES = re.compile(r"supported devices|must be CUDA or XLA tensors")


def torch_class(name: str) -> Any:
    """The class of this name, or None where this torch has none."""
    return getattr(torch.optim, name, None)


def parameters_of(name: str) -> tuple[str, ...]:
    """The names of the constructor's arguments in the installed torch."""
    found = torch_class(name)
    return tuple(inspect.signature(found).parameters) if found else ()


def words(options: dict[str, Any]) -> str:
    """Options as keyword arguments; tensors and arrays of one number as tensors."""
    return "".join(f", {k}={v if isinstance(v, Word) else repr(v)}" for k, v in options.items())


class Word(str):
    """An option that is an expression."""

    __slots__ = ()


def made(name: str, case: Case, extra: dict[str, Any]) -> str:
    """``def make(ps)`` and ``def add(opt, ps, t)``: the optimizer with its groups, in Python."""
    parameters, _, groups = case.args
    grouped = {i for members, _, _ in groups for i in members}
    first = [i for i in range(len(parameters)) if i not in grouped]
    sets = [f"{{'params': [{', '.join(f'ps[{i}]' for i in first)}]}}"] if groups and first else []
    late = []
    for members, start, options in groups:
        inside = "".join(f", {k!r}: {v!r}" for k, v in options)
        text = f"{{'params': [{', '.join(f'ps[{i}]' for i in members)}]{inside}}}"
        if start:
            late.append(f"    if t == {start}:\n        opt.add_param_group({text})")
        else:
            sets.append(text)
    given = f"[{', '.join(sets)}]" if groups else "ps"
    body = "\n".join(late) or "    pass"
    options = {**case.kwargs, **extra}
    return f"def make(ps):\n    return torch.optim.{name}({given}{words(options)})\n\n\ndef add(opt, ps, t):\n{body}"


@dataclasses.dataclass
class Trial:
    """A run of an optimizer; `case` is as the dtype holds it."""

    optimizer: Optimizer
    case: Case
    dtype: Dtype
    target: Target
    tally: Tally
    known: Callable[..., Expected]
    device: str | None = None
    _script: Callable[[], list[str]] = list
    _end: list[str] = dataclasses.field(default_factory=list)

    @property
    def script(self) -> str:
        """What shows the failure: torch alone, exit code 1. Written only where one is asked for."""
        return "\n".join([*self._script(), *self._end])

    def run(
        self, form: Callable[..., Any], extra: dict[str, Any] | None = None, more: str = "", first: str = ""
    ) -> Any:
        """What the form returns for the optimizer with extra options.

        `more` is Python that goes before, `first` are arguments of the form that follow `make`. Raises Unsupported
        where this torch has the form on other devices only.
        """
        text = "\n".join([made(self.optimizer.name, self.case, extra or {}), *([more] if more else [])])
        call = f"{form.__name__}(make, {first}add, ps, gs)"
        self._script = lambda: [*_sources(form), text, *self._data(), f"got = {call}"]
        self._end = ["print(got)", "sys.exit(1 if isinstance(got, str) and got else 0)"]
        names: dict[str, Any] = {"torch": torch, form.__name__: form, "ps": self._parameters(), "gs": self._gradients()}
        try:
            exec(text, names)
            found = eval(call, names)
        except (RuntimeError, AssertionError) as error:
            if _DEVICES.search(str(error)):
                raise Unsupported(str(error)) from None
            raise
        synchronize(self.target.torch_device)
        return found

    def match(self, found: list[dict[str, Any]], expected: Expected) -> None:
        """Compare all that torch showed with what is expected. Raises Mismatch of the first wrong number."""
        steps = sorted({t for t, _ in expected.labels})
        for t in steps:
            wanted = {name for s, name in expected.labels if s == t}
            # Adagrad's state is there before the first gradient: it shows in the first step
            found[t] = {k: v for k, v in found[t].items() if k in wanted or k.split(" of ")[-1] in _begun(wanted)}
            if set(found[t]) != wanted:
                extra, missing = sorted(set(found[t]) - wanted), sorted(wanted - set(found[t]))
                self._end = [f"print(sorted(got[{t}]))", f"sys.exit(0 if sorted(got[{t}]) == {sorted(wanted)} else 1)"]
                raise Mismatch(f"after step {t}: no {missing}" if missing else f"after step {t}: unexpected {extra}")
        for place, (t, name) in enumerate(expected.labels):
            self._one(found[t][name], expected, place, t, name)

    def _one(self, found: Any, expected: Expected, place: int, t: int, name: str) -> None:
        quantity = expected.quantity
        what = f"{name} after step {t}"
        dtype = quantity.dtypes[place]
        value = found if torch.is_tensor(found) else torch.tensor(float(found))
        item = f"torch.as_tensor(got[{t}][{name!r}])"
        if name.split(" ")[0] not in SCALARS:
            self.device = str(value.device)
            if dtype is not None and value.dtype != dtype_of(dtype.name):
                self._end = [f"print({item}.dtype)", f"sys.exit(0 if {item}.dtype == torch.{dtype.name} else 1)"]
                raise Mismatch(f"{what}: dtype {value.dtype}, expected torch.{dtype.name}")
        elif value.dtype == torch.float64 and dtype is not None:
            quantity.dtypes[place] = DTYPES["float64"]
        try:
            compare(what, array(value).astype(np.asarray(quantity.wants[place]).dtype), quantity, place, self.tally)
        except Mismatch as wrong:
            if wrong.worst is not None and expected.turns(place):
                raise Unsupported("the numbers turn on how the dtype rounds") from None
            self._end = number_lines(wrong, item)
            raise

    def said(self, wrong: str, script: list[str] | None = None) -> None:
        """Raise Mismatch where a form, or what `script` does, found something wrong."""
        self._end = self._end if script is None else script
        self.tally.comparisons += 1
        self.tally.elements += 1
        if wrong:
            raise Mismatch(wrong)

    def _data(self) -> list[str]:
        device = repr(str(self.target.torch_device))
        ps = ", ".join(f"{tensor_text(array(p), p.dtype, device)}.requires_grad_()" for p in self._parameters())
        rows = []
        for step in self._gradients():
            texts = []
            for g in step:
                if g is None:
                    texts.append("None")
                elif g.is_sparse:
                    values = tensor_text(array(g._values()), g.dtype, device)
                    texts.append(f"torch.sparse_coo_tensor({g._indices().tolist()}, {values}, {tuple(g.shape)})")
                else:
                    texts.append(tensor_text(array(g), g.dtype, device))
            rows.append(f"[{', '.join(texts)}]")
        return [f"ps = [{ps}]", f"gs = [{', '.join(rows)}]"]

    def _parameters(self) -> list[torch.Tensor]:
        return [self._tensor(p).requires_grad_() for p in self.case.args[0]]

    def _gradients(self) -> list[list[Any]]:
        shapes = [np.shape(p) for p in self.case.args[0]]
        return [[self._gradient(g, s) for g, s in zip(step, shapes)] for step in self.case.args[1]]

    def _gradient(self, g: Any, shape: tuple[int, ...]) -> Any:
        if not isinstance(g, tuple):
            return None if g is None else self._tensor(g)
        rows = torch.from_numpy(np.array(g[0]))[None].to(self.target.torch_device)
        return torch.sparse_coo_tensor(rows, self._tensor(g[1]), shape)

    def _tensor(self, a: Any) -> torch.Tensor:
        return tensor(np.asarray(a), self.dtype, self.target.torch_device)


def _sources(form: Callable[..., Any]) -> list[str]:
    """The form and what it uses, for a script."""
    text = source(form)
    used = [f for f in (forms.shown, forms.trained, forms.fresh) if f.__name__ + "(" in text or f is forms.shown]
    return ["import copy, io, pickle, sys", "import torch", *map(source, used), text]


def _begun(names: set[str]) -> set[str]:
    """The parameters of which a state is expected."""
    return {name.split(" of ")[1] for name in names if " of " in name}


def number_lines(wrong: Mismatch, item: str) -> list[str]:
    """The end of a script: exit code 1 while the worst number of `item` is wrong."""
    worst = wrong.worst
    if worst is None:
        return [f"print({item}.shape)", "sys.exit(1)"]
    place = "".join(f"[{i}]" for i in worst.index)
    return [
        f"got, want, allowed = {item}.detach(){place}.item(), {worst.want}, {worst.allowed}",
        "print('got', got, 'want', want, 'allowed error', allowed)",
        "sys.exit(0 if abs(got - want) <= allowed else 1)",
    ]
