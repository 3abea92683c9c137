"""Fresh processes: how one is started and read, and what a plan of them brings. No torch here.

Everything that is measured goes through `ask`, one process at a time: two that run together would time each other.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.bench import parity
from conformance.bench.parity import Item, item_from
from conformance.bench.timing import COLUMNS
from conformance.bench.worker_mark import MARK
from conformance.bench.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds for a process, and
EACH = 30.0  # for each item


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """An installed environment: its Python, folders that come before its own packages, modules imported first."""

    name: str
    python: str = sys.executable
    before: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()


class WorkerError(Exception):
    """A process could not measure; one sentence."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What every process of a session is told."""

    seed: int = 0
    seconds: float = 0.05  # for each column of an item
    most_bytes: int = 2**30  # that a stream of the ceilings may touch
    answers: str = ""  # the folder for answers
    columns: tuple[str, ...] = COLUMNS


def ask(interpreter: Interpreter, request: dict[str, Any], items: int = 0) -> list[dict[str, Any]]:
    """What a fresh process answers, line by line. Raises WorkerError where it has nothing to say."""
    paths = [*interpreter.before, str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p), "KINETO_LOG_LEVEL": "99"}
    # settings of threads from outside would contradict those that are pinned
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.pop(name, None)
    try:
        done = subprocess.run(
            [interpreter.python, "-m", "conformance.bench.worker"], input=json.dumps(request), text=True,
            capture_output=True, env=environment, timeout=PATIENCE + EACH * items, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"{interpreter.name}: a process took more than {error.timeout:.0f} s") from error
    except OSError as error:
        raise WorkerError(f"{interpreter.name}: {interpreter.python}: {error.strerror}") from error
    lines = [json.loads(line[len(MARK) :]) for line in done.stdout.splitlines() if line.startswith(MARK)]
    broken = next((line for line in lines if line["kind"] == "broken"), None)
    if broken is not None:
        raise WorkerError(f"{interpreter.name}: {broken['reason']}")
    if done.returncode:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        last = (done.stderr.strip().splitlines() or ["no message"])[-1][:300]
        raise WorkerError(f"{interpreter.name}: a process ended with {how}: {last}")
    return lines


def probe(interpreter: Interpreter) -> dict[str, Any]:
    """What there is to measure on. Raises WorkerError."""
    return next(
        line
        for line in ask(interpreter, {"probe": True, "setup": list(interpreter.setup)})
        if line["kind"] == "machine"
    )


def places(machine: dict[str, Any], wanted: Sequence[str]) -> list[str]:
    """Where to measure: the CPU with one thread and with all, and every accelerator. Raises ValueError."""
    threads = machine["threads"]
    found = ["cpu/1", *([f"cpu/{threads}"] if threads > 1 else [])]
    found += [d for d in machine["devices"] if d != "cpu"]
    if not wanted:
        return found
    chosen = [p for p in found if p in wanted or p.partition("/")[0] in wanted or p.partition(":")[0] in wanted]
    missing = [
        w for w in wanted if not any(w in (p, p.partition("/")[0], p.partition(":")[0]) for p in found)
    ]  # fmt: skip
    if missing:
        raise ValueError(f"unknown device {missing[0]!r}: there are {', '.join(found)}")
    return chosen


def items(level: int, patterns: Sequence[str], dtypes: Sequence[str]) -> list[Item]:
    """What to measure at a level: sizes of that level and below, in these dtypes. Raises ValueError."""
    from fnmatch import fnmatchcase

    every = [
        Item(w.name, size, mode, dtype)
        for w in WORKLOADS.values()
        for size in sorted(s for sizes in w.sizes[:level] for s in sizes)
        for mode in w.modes
        for dtype in w.dtypes
        if dtype in dtypes
    ]
    if not patterns:
        return every
    kept: dict[str, Item] = {}
    for pattern in patterns:
        # brackets are part of an id, not a set of letters
        literal = pattern.replace("[", "[[]")
        found = [i for i in every if any(fnmatchcase(n, literal) for n in (i.id, i.workload, i.mode))]
        if not found:
            raise ValueError(f"--select {pattern}: no benchmark matches; `bench --list` shows what there is")
        kept.update((i.id, i) for i in found)
    return [i for i in every if i.id in kept]


def fits(item: Item, place: str) -> str:
    """Empty where an item is measured at a place, else why not."""
    workload = WORKLOADS[item.workload]
    if place.startswith("cpu") and item.size > workload.on_cpu:
        return f"sizes beyond {workload.on_cpu:.0f} are left to accelerators"
    return ""


class Session:
    """Processes of one or two interpreters with the same settings; answers are checked as they come.

    Equal answers are checked once: a file of answers is called after all their bytes.
    """

    def __init__(self, settings: Settings):
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-bench-")
        self.settings = dataclasses.replace(settings, answers=self._folder.name)
        self._checked: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def measure(
        self,
        interpreter: Interpreter,
        place: str,
        items: Sequence[Item],
        order: random.Random,
        ceilings: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """What one fresh process says of the items, in random order; blocks have `wrong`: empty, or what is wrong."""
        shuffled = order.sample(list(items), len(items))
        request = {
            **dataclasses.asdict(self.settings), "place": place, "setup": list(interpreter.setup),
            "items": [i.id for i in shuffled], "ceilings": list(ceilings),
        }  # fmt: skip
        lines = ask(interpreter, request, len(items))
        for line in lines:
            if line["kind"] == "block":
                line["wrong"] = self._wrong(line["item"], line["answer"])
        return lines

    def _wrong(self, id: str, answer: str) -> str:
        if (id, answer) not in self._checked:
            path = Path(self._folder.name) / answer
            self._checked[id, answer] = parity.check(item_from(id), path, self.settings.seed)
        return self._checked[id, answer]
