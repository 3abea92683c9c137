"""The classic trainings, in torch beside the reference: every loss of every step, and the final parameters.

How far a loss may be off is derived as everywhere (conformance.tolerance),

    allowed = K eps (|loss| + S),

elementwise for each step, where S is how far the loss moves, in units of eps, when the reference runs
with random roundings in every intermediate result: reference.programs.spread says how that is measured
and what it rests on (first-order propagation of roundings: Higham, Accuracy and Stability, ch. 2-3;
stochastic arithmetic: Vignes 1993). It stops being meaningful where the trajectory has forgotten where
it came from: from the first step on at which eps S exceeds 10 % of the loss, losses are not compared,
and the result says so. In float32 this happens (a relu's decision turns, and momentum carries it on, or
the loss has fallen to what float32 can resolve); in float64 all steps are compared.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from conformance.bridge import array, tensor
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.compare import Mismatch, Tally, Worst, compare
from conformance.dtypes import DTYPES, Dtype
from conformance.images import NoImages
from conformance.journal import failure, traced
from conformance.script import source
from conformance.session import Options, Result
from conformance.spellings import PROGRAMS, SHORT, SPELLINGS, program_of
from conformance.target import Target, holds, synchronize
from conformance.tolerance import K, Quantity
from reference.programs import data
from reference.programs.spread import Measured, Spread, measure
from reference.programs.trainings import Program

MEANINGFUL = 0.1  # a number whose spread is a larger part of it is not compared
CHECKS, PROGRAM_DTYPES = ("losses", "parameters", "accuracy"), ("float64", "float32")


def program_cells(target: Target) -> Iterator[Cell]:
    """The checks of every program in both dtypes; only eagerly. Accuracy is of those that hold samples out."""
    if target.mode == "eager":
        for subject, spelling in SPELLINGS.items():
            for check in CHECKS if PROGRAMS[spelling.mathematics].outputs else CHECKS[:2]:
                for dtype in PROGRAM_DTYPES:
                    yield Cell("program", subject, "programs", check, target.device, target.mode, dtype, spelling.level)


@dataclasses.dataclass(frozen=True)
class _Trained:
    """What torch delivered: one loss for each step, and the final parameters; or why it did not."""

    steps: int
    losses: list[float]
    parameters: list[torch.Tensor]
    error: Exception | None = None


class ProgramSession:
    """One program on one target. Its cells share the reference, and those of one dtype the run in torch."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.spelling, self.target, self.clock = SPELLINGS[subject], target, clock
        self.seed, self.options = options.seed % 2**32, options
        self._trained: dict[tuple[str, int], _Trained] = {}

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell."""
        if not holds(self.target.device, cell.dtype):
            return Result("unsupported", detail=f"{self.target.device} has no {cell.dtype}")
        if self.spelling.absent:
            return Result("unsupported", detail=self.spelling.absent)
        started = time.perf_counter()
        try:
            self.program = program_of(self.spelling, self.options)
            steps = self.spelling.count(self.options.level)
            result = self._outcome(cell, steps)
            if result.outcome == "not_exercised" and steps > SHORT:
                result = self._outcome(cell, SHORT)
                result.detail = f"after {SHORT} steps: {steps} leave no digit to compare"
        except (NoImages, ImportError) as missing:
            result = Result("not_exercised", detail=_missing(missing))
        result.seconds, result.seed = time.perf_counter() - started, self.seed
        return result

    def _outcome(self, cell: Cell, steps: int) -> Result:
        since = time.perf_counter()
        measured = measure(self.program, self.seed, steps)
        since = self.clock.add("reference", since)
        trained = self._train(cell.dtype, steps)
        since = self.clock.add("torch", since)
        result = self._error(cell, trained) if trained.error else self._compared(cell, measured, trained)
        self.clock.add("compare", since)
        return result

    def _train(self, name: str, steps: int) -> _Trained:
        if (name, steps) not in self._trained:
            device = self.target.torch_device
            start = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in self.program.begin(self.seed)]
            x, y, *parameters = [tensor(a, DTYPES[name], device) for a in start]
            dynamic = data.choices in self.spelling.sources
            plan = data.choices(self.seed)[:steps] if dynamic else steps
            try:
                with torch.enable_grad():
                    trained = _Trained(steps, *self.spelling.train(x, y, parameters, plan, *self.spelling.arguments))
                synchronize(device)
            except Exception as error:
                trained = _Trained(steps, [], [], error)
            self._trained[name, steps] = trained
        return self._trained[name, steps]

    def _compared(self, cell: Cell, measured: Measured, trained: _Trained) -> Result:
        dtype, tally = DTYPES[cell.dtype], Tally(check=cell.check)
        # only a float32 run comes so close to a kink that a relu may decide otherwise than the reference
        spread = measured.smooth if dtype.digits > 24 else measured.turning
        try:
            if cell.check == "losses":
                left_out = _compare_losses(trained, measured, spread, dtype, tally)
            elif cell.check == "accuracy":
                left_out = self._accuracy(trained, measured, spread, dtype, tally)
            else:
                left_out = _compare_parameters(trained, measured, spread, dtype, tally, self.program)
        except Mismatch as wrong:
            message = str(wrong)
            told = self._failure(cell, trained, message, wrong.worst)
            return Result("fail", 1, tally.elements, None, tally.ratio, tally.ulp, detail=message[:400], failure=told)
        outcome = "pass" if tally.comparisons else "not_exercised"
        device = str(trained.parameters[0].device)
        return Result(outcome, 1, tally.elements, device, tally.ratio, tally.ulp, detail=left_out)

    def _accuracy(self, trained: _Trained, measured: Measured, spread: Spread, dtype: Dtype, tally: Tally) -> str:
        """Say how many samples that were held out both sides name rightly, overall and by class.

        Raises Mismatch where torch names a sample otherwise than the reference, whose two greatest outputs are
        further apart than the errors that are allowed.
        """
        want, place = measured.training.parameters[-1], len(measured.training.parameters) - 1
        got = array(trained.parameters[-1])
        if got.shape != want.shape:
            raise Mismatch(f"outputs {place}: shape {got.shape}, expected {want.shape}")
        allowed = _quantity(want, dtype, spread.parameters[-1]).allowed(0, 0)
        answers, right = (a.argmax(1) for a in (got, want))
        rows = np.arange(len(want))
        margin = want[rows, right] - want[rows, answers]
        within = margin <= allowed[rows, right] + allowed[rows, answers]
        if not within.all():
            i = int(np.argmin(within))
            k = max(right[i], answers[i], key=lambda n: abs(got[i, n] - want[i, n]) / allowed[i, n])
            numbers = [_text(a[i, k]) for a in (got, want, np.abs(got - want), allowed)]
            worst = Worst(f"outputs {place}", [i, int(k)], *numbers, int((~within).sum()), len(want))  # type: ignore
            answer = f"sample {i} is of class {answers[i]} for torch, {right[i]} for the reference"
            raise Mismatch(f"outputs {place}: {answer}", worst)
        tally.comparisons += 1
        tally.elements += len(want)
        labels = self.program.begin(self.seed)[1]
        labels = labels.reshape(len(labels), -1)[-(len(want) // max(1, labels[0].size)) :].reshape(-1)
        return f"right: {_shares(answers == labels, labels)} (torch); {_shares(right == labels, labels)} (reference)"

    def _error(self, cell: Cell, trained: _Trained) -> Result:
        assert trained.error is not None
        message = f"{type(trained.error).__name__}: {trained.error}"
        told = {**self._failure(cell, trained, message, None), "traceback": traced(trained.error)}
        return Result("error", 1, detail=message.splitlines()[0][:400], failure=told)

    def _failure(self, cell: Cell, trained: _Trained, message: str, worst: Worst | None) -> dict[str, Any]:
        case = f"seed {self.seed}, {trained.steps} steps"
        return failure(message, case, self._script(cell, trained, message, worst), worst, shrunk=worst is not None)

    def _script(self, cell: Cell, trained: _Trained, message: str, worst: Worst | None) -> str:
        """The training with its data, and the one number that is wrong, of as few steps as show it."""
        program, train = self.program, self.spelling.train
        losses = cell.check == "losses"
        steps: int | str = worst.index[0] + 1 if worst and losses else trained.steps
        if data.choices in self.spelling.sources:
            steps = f"choices({self.seed})[:{steps}]"
        given = ", ".join(repr(v) for v in (self.seed, *program.options))
        lines = [f"# {cell.id}", f"# {message.splitlines()[0][:200]}", "import sys, numpy as np, torch"]
        lines += [source(s) for s in (program.start, *self.spelling.sources)]
        dtypes = f"dtype=torch.{cell.dtype} if a.dtype.kind == 'f' else None"
        lines.append(f"start = [torch.from_numpy(a).to(device={self.target.device!r}, {dtypes}, copy=True)")
        lines.append(f"         for a in {program.start.__name__}({given})]")
        more = "".join(f", {a!r}" for a in self.spelling.arguments)
        lines.append(f"losses, parameters = {train.__name__}(*start[:2], start[2:], {steps}{more})")
        if worst is None:
            lines.append("print(len(losses), [(p.shape, p.dtype) for p in parameters])")
            lines.append(f"right = len(losses) == {trained.steps} and all(")
            lines.append("    (p.shape, p.dtype) == (q.shape, q.dtype) for p, q in zip(parameters, start[2:]))")
            return "\n".join([*lines, "sys.exit(0 if right else 1)"])
        place = int(worst.what.rsplit(" ", 1)[-1])
        got = f"losses[{worst.index[0]}]" if losses else f"parameters[{place}][{tuple(worst.index)}].item()"
        lines.append(f"got, want, allowed = {got}, {worst.want}, {worst.allowed}  # {worst.what}")
        lines.append("print('got', got, 'want', want, 'allowed error', allowed)")
        lines.append("sys.exit(0 if abs(got - want) <= allowed else 1)")
        return "\n".join(lines)


def _compare_losses(trained: _Trained, measured: Measured, spread: Spread, dtype: Dtype, tally: Tally) -> str:
    """Raise Mismatch, of the first wrong step; else say from which step on nothing was compared, or ""."""
    want = measured.training.losses
    if len(trained.losses) != len(want):
        raise Mismatch(f"{len(trained.losses)} losses of {len(want)} steps")
    lost = np.flatnonzero(dtype.eps * spread.losses > MEANINGFUL * want)
    end = int(lost[0]) if lost.size else len(want)
    if not end:
        return "no step is compared: rounding moves even the first loss by more than a tenth"
    got = np.array(trained.losses[:end], dtype=np.float64)
    quantity = _quantity(want[:end], dtype, spread.losses[:end])
    try:
        compare("losses", got, quantity, 0, tally)
    except Mismatch as wrong:
        raise _first_step(got, quantity, wrong) from None
    return f"not compared: from step {end} on rounding moves the loss by over a tenth" if lost.size else ""


def _first_step(got: np.ndarray, quantity: Quantity, wrong: Mismatch) -> Mismatch:
    """The same deviation, told by the first step that shows it: later ones only follow from it."""
    assert wrong.worst is not None
    want, allowed = quantity.wants[0], quantity.allowed(0, 0)
    error = np.abs(got - want)
    i = int(np.argmax(~(error <= allowed)))
    worst = dataclasses.replace(
        wrong.worst, what=f"loss of step {i}", index=[i], got=_text(got[i]), want=repr(float(want[i])),
        error=_text(error[i]), allowed=repr(float(allowed[i])),
    )  # fmt: skip
    return Mismatch(
        f"loss of step {i}: got {worst.got}, want {worst.want}, error {worst.error}, allowed {worst.allowed}"
        f" (the first wrong step; {worst.count} of {worst.size} are)",
        worst,
    )


def _text(number: np.floating) -> str:
    return repr(float(number))


def _compare_parameters(
    trained: _Trained, measured: Measured, spread: Spread, dtype: Dtype, tally: Tally, program: Program
) -> str:
    """Raise Mismatch; else say which of the final parameters were not compared, or ""."""
    wants, left_out = measured.training.parameters, []
    if len(trained.parameters) != len(wants):
        raise Mismatch(f"{len(trained.parameters)} parameters, expected {len(wants)}")
    for i, (got, want, moves) in enumerate(zip(trained.parameters, wants, spread.parameters)):
        if str(got.dtype) != f"torch.{dtype.name}":
            raise Mismatch(f"{_name(program, i, len(wants))}: dtype {got.dtype}, expected torch.{dtype.name}")
        if dtype.eps * np.sqrt(np.mean(moves * moves)) > MEANINGFUL * np.sqrt(np.mean(want * want)):
            left_out.append(str(i))
            continue
        compare(_name(program, i, len(wants)), array(got), _quantity(want, dtype, moves), 0, tally)
    return f"not compared: parameters {', '.join(left_out)}, moved by rounding by over a tenth" if left_out else ""


def _name(program: Program, i: int, count: int) -> str:
    """What the i-th of so many final tensors is."""
    if program.outputs and i == count - 1:
        return f"outputs {i}"
    return f"{'buffer' if i >= count - program.buffers - program.outputs else 'parameter'} {i}"


def _shares(hits: np.ndarray, labels: np.ndarray) -> str:
    """How many are right of how many, overall and by class."""
    classes = (f"{hits[labels == c].sum()}/{(labels == c).sum()}" for c in range(labels.max() + 1))
    return f"{hits.sum()}/{hits.size}, by class {' '.join(classes)}"


def _missing(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"needs scikit-learn, whose digits are the images: pip install 'torch-conformance[data]' ({error})"
    return str(error)


def _quantity(want: np.ndarray, dtype: Dtype, moves: np.ndarray) -> Quantity:
    """What is expected, with all of its spread at once: it has been measured, nothing is saved by stages."""
    room: list[Any] = [K * dtype.eps * moves]
    return Quantity([want], [dtype], None, noise=room)
