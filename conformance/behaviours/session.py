"""Runs the promises of one facility of torch on one target."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from typing import Any

import torch

from conformance.behaviours.promise import PROMISES, Promise
from conformance.bridge import dtype_of
from conformance.cells import Cell
from conformance.checks.check import Clock, Unsupported, capability_reason
from conformance.compare import Tally
from conformance.script import headed
from conformance.session import Options, Result, failed
from conformance.standalone import standalone
from conformance.target import Target, holds, synchronize

# How many seeds a random promise is asked with, by level.
SEEDS = {1: 3, 2: 10, 3: 50, 4: 50}


def behaviour_cells(target: Target) -> Iterator[Cell]:
    """Every promise in its dtypes and modes."""
    for p in PROMISES.values():
        if target.mode in p.modes:
            for dtype, level in p.levels.items():
                yield Cell("behaviour", p.subject, p.family, p.check, target.device, target.mode, dtype, level)


class BehaviourSession:
    """One facility on one target."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.subject, self.target, self.options, self.clock = subject, target, options, clock

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell."""
        promise = PROMISES[self.subject, cell.check]
        if not holds(self.target.device, cell.dtype):
            return Result("unsupported", detail=f"{self.target.device} has no {cell.dtype}")
        if absent := promise.missing():
            return Result("unsupported", detail=f"this torch has no torch.{absent}")
        started = time.perf_counter()
        result = self._outcome(cell, promise)
        result.seconds, result.seed = time.perf_counter() - started, self.options.seed
        self.clock.add("torch", started)
        return result

    def _outcome(self, cell: Cell, promise: Promise) -> Result:
        asked = self._seeds(cell) if promise.random else [None]
        for seed in asked:
            given = {**promise.given, **({} if seed is None else {"seed": seed})}
            state = torch.get_rng_state()
            try:
                with torch.enable_grad():
                    promise.run(self.target.torch_device, dtype_of(cell.dtype), **given)
                synchronize(self.target.torch_device)
            except Exception as error:
                reason = str(error) if isinstance(error, Unsupported) else capability_reason(error)
                if reason is not None:
                    return Result("unsupported", detail=reason)
                return self._failed(cell, promise, given, error)
            finally:
                torch.set_rng_state(state)
        return Result("pass", len(asked), len(asked), self.target.device)

    def _seeds(self, cell: Cell) -> list[int]:
        first = zlib.crc32(f"{self.options.seed}/{self.subject}/{cell.check}".encode()) & 0x3FFFFFFF
        return [first + i for i in range(SEEDS[self.options.level])]

    def _failed(self, cell: Cell, promise: Promise, given: dict[str, Any], error: Exception) -> Result:
        words = [
            f"torch.device({self.target.device!r})",
            f"torch.{cell.dtype}",
            *(f"{k}={v!r}" for k, v in given.items()),
        ]
        call = f"{promise.check}({', '.join(words)})"
        text = getattr(error, "script", "") if promise.searches else standalone(promise.run, call)
        return failed(error, Tally(check=cell.check), promise.text, headed(cell.id, error, text), shrunk=True)
