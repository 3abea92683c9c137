"""Drives the workers: hands out units, watches the journal, blames the cell that killed or hung one.

The pool is Pebble's, which survives dead workers and can stop a busy one. What happened is read from
the journal alone, since every worker writes its outcomes there itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from conformance import known, worker
from conformance.cells import BASE, Cell, Unit
from conformance.journal import Journal, Tail, failure
from conformance.progress import Told

POLL = 0.05
LEFT_BEHIND = "ignore::UserWarning:multiprocessing.resource_tracker"
# A worker that dies before it has begun any cell of a unit gets this many more chances.
PATIENCE = 2


class TimeUp(Exception):
    """The time that the plan gives is over; what had finished is in the journal."""


class WorkersError(Exception):
    """No worker can be started; one sentence says what the last one said."""


@dataclasses.dataclass
class Plan:
    """What the pool needs to know of a run."""

    out: Path
    journal: Journal
    options: dict[str, Any]
    setup: list[str]
    known: list[known.Deviation]
    workers: int
    timeout: float
    pinned: dict[str, list[tuple[str, str, str]]]  # by unit
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)  # set from outside: end now
    until: float = math.inf  # on the monotonic clock: end then


@dataclasses.dataclass
class _Job:
    unit: Unit
    future: Any
    strikes: int = 0


class Watch:
    """What the journal has said so far: which cells ended how, and which one each unit is in."""

    def __init__(self, tail: Tail, told: Told):
        self._tail, self._told = tail, told
        self.outcomes: dict[str, str] = {}
        self.active: dict[str, tuple[str, float]] = {}  # unit -> (cell, since when)
        self.notes: list[str] = []

    def look(self) -> None:
        for line in self._tail.read():
            cell = str(line.get("cell"))
            if line.get("event") == "start":
                self.active[_unit_of(cell)] = (cell, time.monotonic())
            elif line.get("event") == "finish":
                self.outcomes[cell] = line["outcome"]
                if self.active.get(_unit_of(cell), ("", 0))[0] == cell:
                    del self.active[_unit_of(cell)]
                self._told(cell, line["outcome"], line["known"] is not None)
            elif line.get("event") == "note":
                self.notes.append(line["text"])


def _unit_of(cell_id: str) -> str:
    subject, _, target, _ = cell_id.split("::")
    return f"{subject}::{target}"


def run_units(units: Sequence[Unit], plan: Plan, watch: Watch) -> Counter[str]:
    """Run every unit to the end, whatever happens to the workers: the plumbing of the targets first.

    Where that fails, every other cell of the target is blocked. Returns seconds by stage. Raises WorkersError, TimeUp.
    """
    stages: Counter[str] = Counter()
    base = [u for u in units if u.cells[0].kind == "base"]
    rest = [u for u in units if u.cells[0].kind != "base"]
    strikes = 0
    while _left(base, watch) or _left(rest, watch):
        before = len(watch.outcomes)
        _drive(base, rest, plan, watch, stages)
        strikes = strikes + 1 if len(watch.outcomes) == before else 0
        if strikes > PATIENCE:
            raise WorkersError(f"the workers end at their start: {(watch.notes or ['they do not say why'])[-1]}")
    return stages


class _KeepsLocks(SpawnContext):
    """Holds the locks it makes: Pebble drops them as it closes, and a worker that then comes up looks for them."""

    def __init__(self) -> None:
        self._made: list[Any] = []

    def RLock(self) -> Any:  # noqa: N802  (multiprocessing calls it by this name)
        self._made.append(super().RLock())
        return self._made[-1]


def _drive(base: Sequence[Unit], rest: Sequence[Unit], plan: Plan, watch: Watch, stages: Counter[str]) -> None:
    """Run units in one pool: to the end, or until the pool breaks, as it does where every worker dies idle."""
    # one worker a core is the parallelism: NumPy's own threads would fight over the same cores
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # a worker that a kernel has killed leaves its semaphores: they are cleaned up, and nobody need read of it
    told = os.environ.get("PYTHONWARNINGS", "")
    if LEFT_BEHIND not in told:
        os.environ["PYTHONWARNINGS"] = f"{told},{LEFT_BEHIND}".lstrip(",")
    with ProcessPool(
        max_workers=max(1, min(plan.workers, len(base) + len(rest))), context=_KeepsLocks(),
        initializer=worker.prepare, initargs=(str(plan.out), plan.setup),
    ) as pool:  # fmt: skip
        try:
            _work_off(pool, _left(base, watch), plan, watch, stages)
            _block(rest, plan, watch)
            _work_off(pool, _left(rest, watch), plan, watch, stages)
        except BrokenProcessPool:
            pool.stop()
        except BaseException:
            pool.stop()
            raise
    watch.look()
    watch.active.clear()


def _work_off(pool: ProcessPool, units: Sequence[Unit], plan: Plan, watch: Watch, stages: Counter[str]) -> None:
    with _deaf_to_ctrl_c():  # the first unit starts the pool, whose threads start the workers
        jobs = [_Job(unit, _schedule(pool, unit, plan)) for unit in units]
    while jobs:
        if plan.stop.is_set():
            raise KeyboardInterrupt
        if time.monotonic() > plan.until:
            raise TimeUp
        watch.look()
        jobs = [kept for job in jobs if (kept := _step(pool, job, plan, watch, stages))]
        time.sleep(POLL)
    watch.look()


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Threads and processes that begin here never hear Ctrl-C, not even before they could say that they ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # once begun it leaves the mask alone; beginning, it would undo ours
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _block(units: Sequence[Unit], plan: Plan, watch: Watch) -> None:
    """The units of a device whose plumbing failed wait for the cell that did."""
    broken: dict[str, str] = {}
    for cell_id, outcome in watch.outcomes.items():
        subject, _, target, _ = cell_id.split("::")
        if subject == BASE and outcome not in ("pass", "unsupported"):
            broken.setdefault(target.split("+")[0], cell_id)
    for unit in _left(units, watch):
        device = unit.cells[0].device
        if device in broken:
            _give_up(plan, unit, watch, "blocked", f"waits for {broken[device]}")
    watch.look()


def _left(units: Sequence[Unit], watch: Watch) -> list[Unit]:
    """The units with the cells that have no outcome yet."""
    return [rest for unit in units if (rest := _rest(unit, watch))]


def _schedule(pool: ProcessPool, unit: Unit, plan: Plan) -> Any:
    options = {**plan.options, "pinned": tuple(plan.pinned.get(unit.id, ()))}
    near = [entry for entry in plan.known if entry.touches(unit.cells[0].subject)]
    try:
        return pool.schedule(worker.work, args=([c.record() for c in unit.cells], options, near))
    except RuntimeError as error:  # Pebble's word for a pool that broke since
        raise BrokenProcessPool(str(error)) from error


def _rest(unit: Unit, watch: Watch) -> Unit | None:
    """The cells of a unit that have no outcome yet."""
    left = tuple(c for c in unit.cells if c.id not in watch.outcomes)
    return Unit(unit.id, left) if left else None


def _step(pool: ProcessPool, job: _Job, plan: Plan, watch: Watch, stages: Counter[str]) -> _Job | None:
    """Look after one unit: None where it is done."""
    cell, since = watch.active.get(job.unit.id, ("", 0.0))
    if not job.future.done():
        if cell and time.monotonic() - since > plan.timeout:
            job.future.cancel()  # Pebble ends the worker that runs it
            _blame(plan, job.unit, cell, "timeout", f"did not end within {plan.timeout:g} s")
            return _again(pool, job, plan, watch)
        return job
    try:
        stages.update(job.future.result())
        return None
    except CancelledError:
        return _again(pool, job, plan, watch)
    except ProcessExpired as death:
        watch.look()
        cell, _ = watch.active.get(job.unit.id, ("", 0.0))
        if cell:
            _blame(plan, job.unit, cell, "crash", _death(death))
        elif death.exitcode != worker.STICKY_EXIT:
            job.strikes += 1
            if job.strikes > PATIENCE:
                _give_up(plan, job.unit, watch, "crash", f"the worker dies before it begins: {_death(death)}")
        return _again(pool, job, plan, watch)
    except BrokenProcessPool:
        raise
    except Exception as error:
        watch.look()
        _give_up(plan, job.unit, watch, "error", f"{type(error).__name__}: {error}")
        watch.look()
        return None


def _death(death: ProcessExpired) -> str:
    code = death.exitcode
    if code is not None and code < 0:
        names = {int(s): s.name for s in signal.Signals}
        return f"the process was ended by {names.get(-code, f'signal {-code}')}"
    return f"the process exited with code {code}"


def _again(pool: ProcessPool, job: _Job, plan: Plan, watch: Watch) -> _Job | None:
    """The rest of a unit, once more."""
    watch.look()
    unit = _rest(job.unit, watch)
    return _Job(unit, _schedule(pool, unit, plan), job.strikes) if unit else None


def _blame(plan: Plan, unit: Unit, cell_id: str, outcome: str, detail: str) -> None:
    _finish(plan, next(c for c in unit.cells if c.id == cell_id), outcome, detail)


def _give_up(plan: Plan, unit: Unit, watch: Watch, outcome: str, detail: str) -> None:
    for cell in unit.cells:
        if cell.id not in watch.outcomes:
            _finish(plan, cell, outcome, detail)


def _finish(plan: Plan, cell: Cell, outcome: str, detail: str) -> None:
    """Write the outcome of a cell that could not do so itself."""
    plan.journal.write(
        "finish", cell=cell.id, outcome=outcome, examples=0, elements=0, device=None, ratio=None, ulp=None,
        seconds=0.0, seed=plan.options["seed"], detail=detail, waiver=None,
        failure=None if outcome == "blocked" else failure(detail),
        known=known.match(plan.known, cell.id, outcome, True),
    )  # fmt: skip
