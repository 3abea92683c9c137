"""What stands around the steps of a training: averages, clipping, loss scales, accumulation, parallel processes."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance import literal, script
from conformance.bridge import array, tensor
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.compare import Mismatch, Tally, compare
from conformance.dtypes import DTYPES, Dtype
from conformance.loops import forms
from conformance.loops.table import LOOPS, Loop
from conformance.optimizers.bounds import inner_noise, mapped, near, signs, sizes
from conformance.optimizers.trial import number_lines
from conformance.session import Options, Result, failed
from conformance.target import Target, holds, synchronize
from conformance.tolerance import STEP, Quantity
from reference.rule import Case

CHECKS = tuple(dict.fromkeys(loop.check for loop in LOOPS))
DRAWS = {1: 1, 2: 1, 3: 3, 4: 3}  # how often the data are drawn, by level


def loop_cells(target: Target) -> Iterator[Cell]:
    """Every check in its dtypes, eagerly."""
    if target.mode == "eager":
        for loop in LOOPS:
            for dtype in loop.dtypes:
                yield Cell("loop", loop.subject, "loops", loop.check, target.device, target.mode, dtype, loop.level)


class LoopSession:
    """The checks of one subject on one target."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.loops = {loop.check: loop for loop in LOOPS if loop.subject == subject}
        self.target, self.options, self.clock = target, options, clock
        self._parts: dict[str, Any] = {}  # what a form gave that serves several checks

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell."""
        loop, started = self.loops[cell.check], time.perf_counter()
        if not holds(self.target.device, cell.dtype):
            return Result("unsupported", detail=f"{self.target.device} has no {cell.dtype}")
        for outcome, reason in (("unsupported", loop.needs(self.target)), ("not_exercised", loop.lacks(self.target))):
            if reason:
                return Result(outcome, detail=reason)
        result = self._outcome(cell, loop)
        result.seconds, result.seed = time.perf_counter() - started, self.options.seed
        self.clock.add("torch", started)
        return result

    def _outcome(self, cell: Cell, loop: Loop) -> Result:
        tally, dtype, examples = Tally(check=cell.check), DTYPES[cell.dtype], 0
        # two processes and an export take seconds each
        for draw in range(DRAWS[self.options.level] if loop.level < 3 else 1):
            data = cell.subject if loop.part else f"{cell.subject}/{cell.check}"
            seed = zlib.crc32(f"{self.options.seed}/{data}/{draw}".encode())
            drawn = [mapped(_doubles(a), dtype.round) for a in loop.draw(np.random.default_rng(seed))]
            for options in loop.options:
                case, examples = Case(tuple(drawn), dict(options)), examples + 1
                end: list[str] = ["print(got)"]
                try:
                    self._compare(loop, case, dtype, tally, seed, end)
                except Exception as error:
                    text = script.headed(cell.id, error, "\n".join([*self._script(loop, case, dtype), *end]))
                    return failed(
                        error, tally, literal.write(case), text, True, examples=examples, device=self.target.device
                    )
        return Result(
            "pass", examples, tally.elements, self.target.device, tally.ratio, tally.ulp, farthest=tally.farthest
        )

    def _compare(self, loop: Loop, case: Case, dtype: Dtype, tally: Tally, seed: int, end: list[str]) -> None:
        """Raise Mismatch of the first wrong number; `end` becomes the end of a script that shows it."""
        got = self._run(loop, case, dtype)
        quantity = expected(loop, case, dtype, seed)
        if len(got) != len(quantity.wants):
            raise Mismatch(f"{len(got)} numbers, expected {len(quantity.wants)}")
        for i, value in enumerate(got):
            if str(value.dtype) != f"torch.{dtype.name}":
                raise Mismatch(f"number {i}: dtype {value.dtype}, expected torch.{dtype.name}")
            try:
                compare(f"number {i}", array(value), quantity, i, tally)
            except Mismatch as wrong:
                end[:] = number_lines(wrong, f"got[{i}]")
                raise

    def _run(self, loop: Loop, case: Case, dtype: Dtype) -> list[Any]:
        if loop.part and loop.part in self._parts:
            return self._parts[loop.part]  # type: ignore[no-any-return]
        got: Any = loop.form(*(self._tensors(a, dtype) for a in case.args), **case.kwargs)
        synchronize(self.target.torch_device)
        if not loop.part:
            return got  # type: ignore[no-any-return]
        self._parts = got
        return got[loop.part]  # type: ignore[no-any-return]

    def _tensors(self, a: Any, dtype: Dtype) -> Any:
        if isinstance(a, list):
            return [self._tensors(v, dtype) for v in a]
        return tensor(a, dtype, self.target.torch_device)

    def _script(self, loop: Loop, case: Case, dtype: Dtype) -> list[str]:
        def text(a: Any) -> str:
            if isinstance(a, list):
                return f"[{', '.join(map(text, a))}]"
            made = self._tensors(a, dtype)
            return script.tensor_text(a, made.dtype, repr(str(self.target.torch_device)))

        lines = ["import copy, pathlib, subprocess, sys, tempfile", "import numpy as np", "import torch"]
        lines += [script.source(s) for s in (*loop.sources, loop.form)]
        if loop.form is forms.distributed:
            lines.append(f"PROCESS = {forms.PROCESS!r}")
        options = [f"{k}={v!r}".replace("=inf", "=float('inf')") for k, v in case.kwargs.items()]
        call = f"{loop.form.__name__}({', '.join([*map(text, case.args), *options])})"
        return [*lines, f"got = {call}" + (f"[{loop.part!r}]" if loop.part else "")]


def expected(loop: Loop, case: Case, dtype: Dtype, seed: int) -> Quantity:
    """What the formula says, and how far it moves with its data and its roundings (conformance.tolerance)."""

    def numbers(args: Any, **more: Any) -> list[Any]:
        part = {"part": loop.part} if loop.part else {}
        return [np.asarray(a, np.float64) for a in loop.formula(*args, **case.kwargs, **part, **more)]

    base = numbers(case.args)

    def moves(k: int) -> list[Any]:
        rng = np.random.default_rng((seed, k))
        moved = numbers([mapped(a, lambda v: v * (1.0 + STEP * signs(rng, v))) for a in case.args])
        close = [mapped(a, lambda v: near(rng, v)) for a in case.args]
        single = numbers([mapped(a, lambda v: v.astype(np.float32)) for a in close])
        return sizes(base, moved, numbers(close), single)

    noise = inner_noise(base, lambda low: numbers(case.args, low=low), seed) if loop.coarse else None
    return Quantity(base, [dtype] * len(base), moves, noise)


def _doubles(a: Any) -> Any:
    return [_doubles(v) for v in a] if isinstance(a, list) else np.asarray(a, np.float64)


__all__ = [
    "CHECKS",
    "LoopSession",
    "loop_cells",
]
