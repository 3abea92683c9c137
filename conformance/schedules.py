"""Schedules: the whole trajectory of rates and momenta against the formula, resumed at every point.

A recursion that reaches step t in t products has rounded t times, each time by a unit of a number no larger than the
largest so far (Higham, Accuracy and Stability, ch. 3): allowed = K eps (t + 1) max(|rates so far|).
"""

from __future__ import annotations

import inspect
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from conformance import literal, script
from conformance import schedules_forms as forms
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.compare import Mismatch, Tally, compare
from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES, Dtype
from conformance.session import Options, Result, failed, holds_for
from conformance.target import Target
from conformance.tolerance import K, Quantity
from reference.rule import Case
from reference.schedules import SCHEDULES, momentum

EXAMPLES = {1: 4, 2: 8, 3: 40, 4: 80}
LEVELS = {"float64": 2}
MOMENTUM = 0.9


def place_of(name: str) -> str:
    """The path of a class below torch.optim."""
    return f"{'swa_utils' if name == 'SWALR' else 'lr_scheduler'}.{name}"


def torch_class(name: str) -> Any:
    """The class of this name, or None where this torch has none."""
    module, _, last = place_of(name).partition(".")
    return getattr(getattr(torch.optim, module, None), last, None)


def construct(name: str, options: dict[str, Any], more: str = "") -> str:
    """The constructor's call, in Python."""
    given = {k: v for k, v in options.items() if k != "metrics"}
    parts = given.pop("schedulers", None)
    words = "".join(f", {k}={v if k == 'lr_lambda' else repr(v)}" for k, v in given.items())
    if parts is None:
        return f"torch.optim.{place_of(name)}(opt{words}{more})"
    inside = "[" + ", ".join(construct(n, dict(o)) for n, o in parts) + "]"
    first = inside if name == "ChainedScheduler" else f"opt, {inside}"
    return f"torch.optim.{place_of(name)}({first}{words}{more})"


class Trial:
    """A run of a schedule, how it is spelled in torch, and what is wrong with it."""

    def __init__(self, name: str, case: Case, dtype: Dtype, tally: Tally):
        self.name, self.case, self.dtype, self.tally = name, case, dtype, tally
        self._lines: list[str] = []
        self._end: list[str] = []
        self.form: Callable[..., Any] = forms.curve

    @property
    def script(self) -> str:
        """What shows the failure: torch alone, exit code 1."""
        used = [script.source(f) for f in (forms.read, forms.advance, self.form)] if self._lines else []
        return "\n".join(["import copy, sys, warnings", "import torch", *used, *self._lines, *self._end])

    def run(self, form: Callable[..., Any], tensor: bool = False, extra: str = "", more: str = "") -> Any:
        """What the form returns; `extra` are arguments after its own, `more` Python that goes before."""
        (lrs, steps), options = self.case.args, self.case.kwargs
        dtype = f", dtype=torch.{self.dtype.name}"
        rates = [f"torch.tensor({lr!r}{dtype})" if tensor else repr(lr) for lr in lrs]
        sets = ", ".join(f"{{'params': [torch.ones(1, requires_grad=True)], 'lr': {lr}}}" for lr in rates)
        text = [
            "warnings.simplefilter('ignore')",
            f"def optimizer():\n    return torch.optim.SGD([{sets}], lr=0.1, momentum={MOMENTUM})",
            f"def make(opt):\n    return {construct(self.name, options)}",
            *([more] if more else []),
        ]
        remake = "remake, " if more else ""
        call = f"{form.__name__}(optimizer, make, {remake}{options.get('metrics')!r}, {steps}{extra})"
        self.form, self._lines = form, [*text, f"got = {call}"]
        self._end = ["print(got)", "sys.exit(1 if isinstance(got, str) and got else 0)"]
        names: dict[str, Any] = {"torch": torch, "warnings": warnings, form.__name__: form}
        with warnings.catch_warnings():
            exec("\n".join(text), names)
            return eval(call, names)

    def match(self, found: list[list[tuple[Any, Any]]], context: str = "") -> None:
        """Compare rates and momenta of all groups at all steps. Raises Mismatch of the first wrong one."""
        (lrs, steps), options = self.case.args, self.case.kwargs
        if len(found) != steps + 1:
            raise Mismatch(f"{len(found)} rates of {steps} steps{context}")
        for i, base in enumerate(lrs):
            rates = [SCHEDULES[self.name].curve(base, t, **options) for t in range(steps + 1)]
            momenta = [momentum(self.name, t, options) for t in range(steps + 1)]
            for t in range(steps + 1):
                self._one(
                    found[t][i][0], rates, t, f"lr of group {i} after step {t}{context}", f"got[{t}][{i}][0]", base
                )
                if momenta[0] is not None:
                    place = f"got[{t}][{i}][1]"
                    self._one(found[t][i][1], momenta, t, f"momentum of group {i} after step {t}{context}", place, 1.0)

    def _one(self, got: Any, wants: list[Any], t: int, what: str, place: str, base: float) -> None:
        size = max(abs(base), *(abs(w) for w in wants[: t + 1]))
        room = K * self.dtype.eps * (t + 1) * size
        quantity = Quantity([np.asarray(wants[t])], [self.dtype], None, noise=[room])
        try:
            compare(what, np.asarray(float(got)), quantity, 0, self.tally)
        except Mismatch as wrong:
            assert wrong.worst is not None
            self._end = [
                f"got, want, allowed = float({place}), {wrong.worst.want}, {wrong.worst.allowed}",
                "print('got', got, 'want', want, 'allowed error', allowed)",
                "sys.exit(0 if abs(got - want) <= allowed else 1)",
            ]
            raise

    def said(self, wrong: str, script: list[str] | None = None) -> None:
        """Raise Mismatch where a form, or what `script` does, found something wrong."""
        self.tally.comparisons += 1
        self.tally.elements += 1
        if script is not None:
            self._lines, self._end = [], script
        if wrong:
            raise Mismatch(wrong)


# checks: the number of groups, the dtypes, and what is done


def curve(t: Trial) -> None:
    """The rate, and the momentum where it is cycled, after every step."""
    t.match(t.run(forms.curve))


def resumed(t: Trial) -> None:
    """Saved after any step and loaded into a new schedule on a new optimizer, the curve goes on."""
    for at in range(t.case.args[1]):
        t.match(t.run(forms.resumed, extra=f", {at}"), f", resumed from a state dict after {at}")


def last_epoch(t: Trial) -> None:
    """Made anew with last_epoch on an optimizer as it was then, the curve goes on."""
    if "last_epoch" not in inspect.signature(torch_class(t.name)).parameters:
        return
    text = f"def remake(opt, at):\n    return {construct(t.name, t.case.kwargs, ', last_epoch=at')}"
    for at in range(t.case.args[1]):
        found = t.run(forms.from_last_epoch, extra=f", {at}", more=text)
        t.match(found, f", begun with last_epoch={at}")


def tensor_lr(t: Trial) -> None:
    """A rate that is a tensor is changed in place, along the same curve."""
    lrs, steps = t.case.args
    held = [float(t.dtype.round(np.asarray(lr))) for lr in lrs]
    t.case = Case((held, steps), t.case.kwargs)
    t.match(t.run(forms.same_tensor, tensor=True))


def last_lr(t: Trial) -> None:
    """get_last_lr() is the rate of every group, as a copy."""
    for tensor in (False, True):
        t.said(t.run(forms.last_lr, tensor=tensor))


def errors(t: Trial) -> None:
    """Illegal options raise."""
    setup = "opt = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1, momentum=0.9)"
    for options, kind in SCHEDULES[t.name].illegal:
        t.said(*script.refused(setup, construct(t.name, options), kind))


# name -> (what is done, groups, dtypes, part of the usual number of examples)
CHECKS: dict[str, tuple[Callable[[Trial], None], int, tuple[str, ...], float]] = {
    "curve": (curve, 1, ("float64",), 1.0),
    "groups": (curve, 2, ("float64",), 0.5),
    "resumed": (resumed, 2, ("float64",), 0.5),
    "last_epoch": (last_epoch, 1, ("float64",), 0.5),
    "tensor_lr": (tensor_lr, 2, ("float64", "float32"), 0.5),
    "last_lr": (last_lr, 2, ("float64",), 0.25),
    "errors": (errors, 1, ("float64",), 0.01),
}


def schedule_cells(target: Target) -> Iterator[Cell]:
    """Every check of every schedule, eagerly. Schedules are arithmetic on the host: float64 but for tensor rates."""
    if target.mode == "eager":
        for name in SCHEDULES:
            for check, (_, _, dtypes, _) in CHECKS.items():
                for dtype in dtypes:
                    yield Cell(
                        "schedule", f"optim.{place_of(name)}", "optim", check, target.device, target.mode, dtype, 2
                    )


class ScheduleSession:
    """One schedule on one target."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.name, self.target, self.options, self.clock = subject.rsplit(".", 1)[-1], target, options, clock
        self.seed = zlib.crc32(f"{options.seed}/{subject}".encode())

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell."""
        if torch_class(self.name) is None:
            return Result("unsupported", detail=f"this torch has no torch.optim.{place_of(self.name)}")
        started = time.perf_counter()
        result = self._outcome(cell)
        result.seconds, result.seed = time.perf_counter() - started, self.options.seed
        self.clock.add("torch", started)
        return result

    def _outcome(self, cell: Cell) -> Result:
        check, groups, _, part = CHECKS[cell.check]
        pinned = [(case, where) for id, case, where in self.options.pinned if id == cell.id]
        cases = [(literal.read(case), True) for case, where in pinned if not where]
        for i in range(max(1, round(part * EXAMPLES[self.options.level]))):
            case = SCHEDULES[self.name].cases(SeededDraw(f"{self.seed}/{cell.check}/{i}"), groups)
            names = {**case.kwargs, "lrs": case.args[0], "steps": case.args[1]}
            if not any(where and holds_for(where, names) for _, where in pinned):
                cases.append((case, False))
        cases += [(literal.read(case), True) for case, where in pinned if where]
        tally = Tally(check=cell.check)
        for i, (case, known) in enumerate(cases):
            trial = Trial(self.name, case, DTYPES[cell.dtype], Tally(check=cell.check) if known else tally)
            try:
                check(trial)
            except Exception as error:
                text = script.headed(cell.id, error, trial.script)
                return failed(
                    error, trial.tally, literal.write(case), text, known,
                    examples=i + 1, device="cpu", pinned_alone=known,
                )  # fmt: skip
        if not tally.comparisons:
            return Result("unsupported", len(cases), detail="the check does not apply to this schedule")
        return Result("pass", len(cases), tally.elements, "cpu", tally.ratio, tally.ulp, farthest=tally.farthest)
