"""Runs the cells of one optimizer on one target."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conformance import literal, script
from conformance.cells import Cell
from conformance.checks.check import Clock, Unsupported, capability_reason
from conformance.compare import Tally
from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES
from conformance.optimizers import bounds
from conformance.optimizers.checks import REGISTRY, Check
from conformance.optimizers.shrinking import smaller
from conformance.optimizers.trial import Trial, torch_class
from conformance.session import CASE_TEXT, Options, Result, failed, holds_for
from conformance.target import Target, holds
from reference.optim import ALL, OPTIMIZERS
from reference.rule import Case

EXAMPLES = {1: 2, 2: 4, 3: 20, 4: 40}
SHRINK_SECONDS = 1.0
# Missing here, a step is a deviation; elsewhere it is a capability.
CORE = {("steps", "float32"), ("steps", "float64")}


def optimizer_cells(target: Target) -> Iterator[Cell]:
    """Every check of every optimizer in its dtypes, eagerly."""
    if target.mode == "eager":
        for name in OPTIMIZERS:
            for check in REGISTRY.values():
                for dtype, level in check.levels.items():
                    yield Cell(
                        "optimizer", f"optim.{name}", "optim", check.name, target.device, target.mode, dtype, level
                    )


class OptimizerSession:
    """One optimizer on one target."""

    checks: Mapping[str, Check] = REGISTRY
    smaller: Callable[[Case], Iterator[Case]] = staticmethod(smaller)
    arguments: tuple[str, ...] = ("parameters", "gradients", "groups")

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.optimizer = ALL[subject.removeprefix("optim.")]
        self.target, self.options, self.clock = target, options, clock
        self.seed = zlib.crc32(f"{options.seed}/{subject}".encode())

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell."""
        started = time.perf_counter()
        result = self._outcome(cell, self.checks[cell.check])
        result.seconds, result.seed = time.perf_counter() - started, self.options.seed
        self.clock.add("torch", started)
        return result

    def _outcome(self, cell: Cell, check: Check) -> Result:
        if not holds(self.target.device, cell.dtype):
            return Result("unsupported", detail=f"{self.target.device} has no {cell.dtype}")
        name = self.optimizer.name
        if torch_class(name) is None:
            return Result("unsupported", detail=f"this torch has no torch.optim.{name}")
        reason = check.needs(self.optimizer)
        if reason:
            return Result("unsupported", detail=reason)
        tally, examples, missing, device = Tally(check=check.name), 0, "", None
        for case, pinned in self._cases(cell, check):
            trial = self._trial(cell, case, Tally(check=check.name) if pinned else tally)
            before = tally.farthest
            error = attempt(check, trial)
            device = trial.device or device
            if isinstance(error, Unsupported):
                missing = str(error)
                continue
            examples += 1
            if error is not None:
                return self._failed(cell, check, trial, error, examples, pinned)
            if tally.farthest != before:
                tally.farthest += f" in {literal.beginning(case, CASE_TEXT)}"
        if not tally.comparisons:
            return Result("unsupported" if missing or not examples else "not_exercised", examples, detail=missing)
        return Result(
            "pass", examples, tally.elements, device or self.target.device, tally.ratio, tally.ulp,
            farthest=tally.farthest,
        )  # fmt: skip

    def _cases(self, cell: Cell, check: Check) -> Iterator[tuple[Case, bool]]:
        """Pinned cases of known deviations first, those that say where they deviate last."""
        pinned = [(case, where) for id, case, where in self.options.pinned if id == cell.id]
        yield from ((literal.read(case), True) for case, where in pinned if not where)
        for i in range(max(1, round(check.examples * EXAMPLES[self.options.level]))):
            draw = SeededDraw(f"{self.seed}/{check.name}/{i}", complex=check.complex)
            case = check.prepare(self.optimizer.cases(draw, check.kind))
            if not self._kept_out(cell, case):
                yield case, False
        yield from ((literal.read(case), True) for case, where in pinned if where)

    def _kept_out(self, cell: Cell, case: Case) -> bool:
        names = {**self.optimizer.defaults, **case.kwargs}
        names |= dict(zip(self.arguments, case.args))
        return any(where and holds_for(where, names) for id, _, where in self.options.pinned if id == cell.id)

    def _trial(self, cell: Cell, case: Case, tally: Tally) -> Any:
        dtype = DTYPES[cell.dtype]
        return Trial(self.optimizer, bounds.rounded(case, dtype), dtype, self.target, tally, self._known(cell))

    def _known(self, cell: Cell) -> Any:
        def known(case: Case, tensors: bool = False, derivative: bool = False) -> bounds.Expected:
            dtype = DTYPES[cell.dtype]
            eps = case.kwargs.get("eps", self.optimizer.defaults.get("eps"))
            if isinstance(eps, tuple) and eps[0] is None:  # Adafactor's default: that of the dtype
                case = Case(case.args, {**case.kwargs, "eps": (dtype.eps, eps[1])})
            with np.errstate(all="ignore"):
                if derivative:
                    return bounds.derivatives(self.optimizer, case, dtype, self.seed)
                return bounds.expected(self.optimizer, case, dtype, self.seed, tensors)

        return known

    def _failed(self, cell: Cell, check: Check, trial: Trial, error: Exception, examples: int, pinned: bool) -> Result:
        if self.options.shrink and not pinned:
            trial, error = self._shrunk(cell, check, trial, error)
        text = script.headed(cell.id, error, trial.script)
        return failed(
            error, trial.tally, literal.write(trial.case), text, pinned or self.options.shrink,
            examples=examples, device=trial.device, pinned_alone=pinned,
        )  # fmt: skip

    def _shrunk(self, cell: Cell, check: Check, trial: Trial, error: Exception) -> tuple[Trial, Exception]:
        """The smallest run that fails alike, found greedily."""
        deadline = time.monotonic() + SHRINK_SECONDS
        found = True
        while found and time.monotonic() < deadline:
            found = False
            for case in self.smaller(trial.case):
                if self._kept_out(cell, case) or time.monotonic() > deadline:
                    continue
                next_trial = self._trial(cell, case, Tally(check=check.name))
                again = attempt(check, next_trial)
                if again is not None and type(again) is type(error):
                    trial, error, found = next_trial, again, True
                    break
        return trial, error


def attempt(check: Check, trial: Trial) -> Exception | None:
    """The exception by which a run fails, Unsupported where torch says that it has not; None where it passes."""
    try:
        check.run(trial)
    except Unsupported as absent:
        return absent
    except Exception as error:
        if isinstance(error, AssertionError) or (check.name, trial.dtype.name) in CORE:
            return error
        reason = capability_reason(error)
        return error if reason is None else Unsupported(reason)
    return None
