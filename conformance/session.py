"""Runs the cells of one op on one target: draws its cases once, tries every check on them, shrinks failures."""

from __future__ import annotations

import dataclasses
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conformance import literal, script
from conformance.bridge import Spelling, as_torch_has, resolve
from conformance.cases import draw_calls, shrink
from conformance.cells import Cell
from conformance.checks import REGISTRY, Check, Trial
from conformance.checks.check import Clock, Unsupported, capability_reason, missing_keyword, plain
from conformance.compare import Mismatch, Tally
from conformance.dtypes import DTYPES, Dtype, NoCounterpart
from conformance.journal import failure, traced
from conformance.oracle import Oracle
from conformance.target import Target, holds, synchronize, unwrap_compilers
from reference import rules
from reference.derive import Call
from reference.rule import Rule

# Cases for each cell by level: (typical, any other regime, the regime "large").
EXAMPLES = {1: (4, 1, 1), 2: (8, 3, 1), 3: (20, 4, 1), 4: (30, 6, 1)}
SHRINK_SECONDS = 1.5
# Characters of a case that the atlas of errors shows.
CASE_TEXT = 240
KEPT_OUT = "nothing was compared: a known deviation speaks of every case drawn, and its own case passes here"
# Missing here, a value or a gradient is a deviation; elsewhere it is a capability. (A keyword may be missing.)
CORE = {(check, dtype) for check in ("value", "vjp") for dtype in ("float32", "float64")}


@dataclasses.dataclass(frozen=True)
class Options:
    """What decides the inputs and the effort of a run; equal options give equal inputs."""

    level: int = 2
    seed: int = 0
    shrink: bool = True
    # (cell id, case, where) of known deviations: the case is tried, cases like it are kept out
    pinned: tuple[tuple[str, str, str], ...] = ()
    cifar10: str = ""  # the folder with the user's CIFAR-10 batches


@dataclasses.dataclass
class Result:
    """What became of a cell; its fields are those of the journal's `finish` line."""

    outcome: str
    examples: int = 0
    elements: int = 0
    device: str | None = None
    ratio: float | None = None
    ulp: float | None = None
    seconds: float = 0.0
    seed: int = 0
    detail: str = ""
    waiver: str | None = None
    farthest: str = ""  # of a pass: the element with the largest error in ulp, and the case that it is of
    failure: dict[str, Any] | None = None
    pinned_alone: bool = False  # only pinned cases of known deviations failed


def rule_cells(kind: str, rule: Rule, family: str, checks: Mapping[str, Check], target: Target) -> Iterator[Cell]:
    """Every check of a rule that the target's mode has, in the dtypes that the op has."""
    for check in checks.values():
        if target.mode in check.modes:
            for dtype, level in check.levels.items():
                if (rule.complex or not DTYPES[dtype].complex) and (not rule.dtypes or dtype in rule.dtypes):
                    yield Cell(kind, rule.name, family, check.name, target.device, target.mode, dtype, level)


def failed(error: Exception, tally: Tally, case: str, script: str, shrunk: bool, **more: Any) -> Result:
    """What an exception says of a cell: an assertion that torch is wrong, any other that it could not be asked.

    `more`: further fields of the result.
    """
    wrong = isinstance(error, AssertionError)
    message = str(error) if wrong else f"{type(error).__name__}: {error}"
    worst = error.worst if isinstance(error, Mismatch) else None
    told = failure(message, case, script, worst, shrunk, "" if wrong else traced(error))
    return Result(
        "fail" if wrong else "error", elements=tally.elements, ratio=tally.ratio if worst else None,
        ulp=tally.ulp if worst else None, detail=(message.splitlines() or [""])[0][:400], failure=told, **more,
    )  # fmt: skip


class OpSession:
    """One rule on one target."""

    checks: Mapping[str, Check] = REGISTRY

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock, rule: Rule | None = None):
        self.rule, self.target = rule or as_torch_has(rules()[subject]), target
        self.options, self.clock = options, clock
        self.seed = zlib.crc32(f"{options.seed}/{subject}".encode())
        self._pools: dict[tuple[str, bool], list[Call]] = {}
        self._oracles: dict[tuple[int, str], tuple[Call, Oracle]] = {}
        self.announce: Callable[[Trial], None] | None = None
        if target.mode != "eager":
            unwrap_compilers()

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell."""
        started = time.perf_counter()
        result = self._outcome(cell, self.checks[cell.check])
        result.seconds, result.seed = time.perf_counter() - started, self.options.seed
        return result

    def _outcome(self, cell: Cell, check: Check) -> Result:
        if not holds(self.target.device, cell.dtype):
            return Result("unsupported", detail=f"{self.target.device} has no {cell.dtype}")
        if absent := self.absent():
            return Result("unsupported", detail=absent)
        reason = check.needs(self.rule, self.target) if check.needs else None
        if reason:
            return Result("unsupported", detail=reason)
        tally, seen = Tally(check=check.name), _Seen()
        # a known deviation first; one that says which cases it is about last, so that the others are tried
        pinned = self._pinned(cell)
        first = [(self._read(case), True) for case, where in pinned if not where]
        last = [(self._read(case), True) for case, where in pinned if where]
        cases = [(call, False) for call in self._cases(cell, check)]
        for index, (call, known) in enumerate([*first, *cases, *last]):
            # what a check draws by the index must not change for a pinned case
            trial = self._trial(cell, call, Tally(check=check.name) if known else tally, 0 if known else index)
            before = tally.farthest
            error = self._try(check, trial, seen)
            if tally.farthest != before:
                tally.farthest += f" in {literal.beginning(call.case, CASE_TEXT)}"
            if error is not None:
                return self._failed(cell, check, trial, error, seen.examples, pinned=known)
        if not tally.comparisons:
            if seen.examples and not seen.missing:
                return Result("not_exercised", seen.examples, detail="nothing was compared" if cases else KEPT_OUT)
            return Result("unsupported", seen.examples, detail=seen.missing or check.absent)
        return Result(
            "pass", seen.examples, tally.elements, seen.device or self.target.device, tally.ratio, tally.ulp,
            waiver=tally.waiver, farthest=tally.farthest,
        )  # fmt: skip

    def absent(self) -> str:
        """Why this torch does not have the subject, "" where it has."""
        return "" if resolve(self.rule.name) is not None else f"this torch has no torch.{self.rule.name}"

    def _try(self, check: Check, trial: Trial, seen: _Seen) -> Exception | None:
        """Run a check on a case; the exception by which torch deviates, if it does."""
        try:
            if check.applies and not check.applies(trial):
                return None
            seen.examples += 1
            check.run(trial)
            synchronize(trial.place)
        except (Unsupported, NoCounterpart) as absent:
            seen.missing = str(absent)
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # until 2.9 a checkpoint inside them would keep its hooks
            core = (check.name, trial.dtype) in CORE
            reason = missing_keyword(error, trial) or (None if core else capability_reason(error))
            if isinstance(error, AssertionError) or reason is None:
                return error
            seen.missing = reason
        seen.device = trial.device or seen.device
        return None

    def _read(self, case: str) -> Call:
        return Call(self.rule, literal.read(case))

    def _pinned(self, cell: Cell) -> list[tuple[str, str]]:
        return [(case, where) for cell_id, case, where in self.options.pinned if cell_id == cell.id]

    def _cases(self, cell: Cell, check: Check) -> list[Call]:
        pool = self._pool(check.regime, DTYPES[cell.dtype].complex)[: self._share(check)]
        return [call for call in pool if not self._kept_out(cell, call)]

    def _kept_out(self, cell: Cell, call: Call) -> bool:
        """Whether a known deviation of this cell speaks of the case, or of another call that the check makes of it."""
        conditions = [where for _, where in self._pinned(cell) if where]
        if not conditions:
            return False
        return any(_holds(where, made) for where in conditions for made in self.made_of(cell, call))

    def made_of(self, cell: Cell, call: Call) -> list[Call]:
        """The calls that the cell's check makes of a case, as its dtype holds their numbers."""
        check, trial = self.checks[cell.check], self._trial(cell, call, Tally(check=cell.check), 0)
        try:
            calls = check.makes(trial) if check.makes else [call]
        except (Unsupported, NoCounterpart):  # the check will say so
            calls = [call]
        return [held(made, DTYPES[cell.dtype]) for made in calls]

    def _share(self, check: Check) -> int:
        """Compiling costs a hundred times what a case costs: there one case does."""
        return self._count(check.regime) if self.target.mode == "eager" else 1 + (self.options.level > 2)

    def _count(self, regime: str) -> int:
        typical, other, large = EXAMPLES[self.options.level]
        return {"typical": typical, "large": large}.get(regime, other)

    def _pool(self, regime: str, complex: bool) -> list[Call]:
        key = (regime, complex)
        if key not in self._pools:
            since = time.perf_counter()
            self._pools[key] = draw_calls(self.rule, regime, complex, self.seed, self._count(regime))
            self.clock.add("draw", since)
        return self._pools[key]

    def _oracle(self, call: Call, dtype: str) -> Oracle:
        key = (id(call), dtype)
        if key not in self._oracles:
            since = time.perf_counter()
            self._oracles[key] = (call, Oracle(call, dtype, self.seed & 0xFFFF))
            self.clock.add("reference", since)
        return self._oracles[key][1]

    def _trial(self, cell: Cell, call: Call, tally: Tally, index: int) -> Trial:
        return Trial(
            self.rule, self.target, cell.dtype, call, self._oracle, tally, self.clock, index,
            announce=self.announce, spell=self.spell,
        )  # fmt: skip

    def spell(self, call: Call) -> Spelling:
        """How torch is called."""
        return plain(self.rule)

    # failures

    def _failed(
        self, cell: Cell, check: Check, trial: Trial, error: Exception, examples: int, pinned: bool = False
    ) -> Result:
        since = time.perf_counter()
        shrunk = self._shrunk(cell, check, error) if self.options.shrink and not pinned else None
        if shrunk is not None:
            smaller = self._trial(cell, shrunk, Tally(check=check.name), trial.index)
            again = _attempt(check, smaller)
            if again is not None:
                trial, error = smaller, again
        self.clock.add("shrink", since)
        case = literal.write(trial.oracle.call.replaced(trial.oracle.arrays))
        text = script.write(cell.id, trial, error)
        return failed(
            error, trial.tally, case, text, pinned or shrunk is not None,
            examples=examples, device=trial.device, pinned_alone=pinned,
        )  # fmt: skip

    def _shrunk(self, cell: Cell, check: Check, error: Exception) -> Call | None:
        def fails(call: Call) -> bool:
            if self._kept_out(cell, call):
                return False
            trial = self._trial(cell, call, Tally(check=check.name), 0)
            found = _attempt(check, trial)
            self._oracles.pop((id(call), cell.dtype), None)
            return found is not None and isinstance(found, AssertionError) == isinstance(error, AssertionError)

        complex = DTYPES[cell.dtype].complex
        count = self._count(check.regime)
        return shrink(self.rule, check.regime, complex, self.seed, count, fails, SHRINK_SECONDS)


@dataclasses.dataclass
class _Seen:
    """What the cases of a cell have shown so far: how many were tried, and what torch said it has not."""

    examples: int = 0
    missing: str = ""
    device: str | None = None


def held(call: Call, dtype: Dtype) -> Call:
    """The call with its arrays rounded to the dtype: what differed may tie."""
    return Call(call.rule, call.replaced([dtype.hold(a) for a in call.arrays]))


def _holds(where: str, call: Call) -> bool:
    """Whether the expression is true of the case; one that cannot be evaluated is not."""
    bound = call.rule.signature.bind(*call.case.args, **call.case.kwargs)
    bound.apply_defaults()
    return holds_for(where, dict(bound.arguments))


def holds_for(where: str, names: dict[str, Any]) -> bool:
    """Whether the expression is true of these arguments; one that cannot be evaluated is not."""
    try:
        return bool(eval(where, {"np": np, "__builtins__": _BUILTINS, **names}))
    except NameError:
        raise  # the entry speaks of a parameter that there is not
    except Exception:
        return False


# What `where` may use; NumPy's methods import their implementation on first use, through the builtins of their caller.
_BUILTINS = {
    f.__name__: f
    for f in (all, any, len, isinstance, tuple, list, int, float, str, bool, min, max, abs, sum, range, zip, __import__)
}


def _attempt(check: Check, trial: Trial) -> Exception | None:
    """The exception by which a case fails; None where it passes, does not apply or is not supported."""
    try:
        if not check.applies or check.applies(trial):
            check.run(trial)
            synchronize(trial.place)
    except (Unsupported, NoCounterpart):
        return None
    except Exception as error:
        traceback.clear_frames(error.__traceback__)
        missing = missing_keyword(error, trial) or capability_reason(error)
        return error if isinstance(error, AssertionError) or missing is None else None
    return None
