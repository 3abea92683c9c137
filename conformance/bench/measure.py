"""`torch-conformance bench`: measure what was chosen, check every answer, and leave a journal with the figures."""

from __future__ import annotations

import dataclasses
import random
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conformance.bench import results
from conformance.bench.parity import Item
from conformance.bench.session import Interpreter, Session, Settings, WorkerError, fits, items, places, probe
from conformance.journal import Journal, Tail

NAME = "bench.jsonl"
SCHEMA = 1
SWEEPS_AGAIN = 4  # more processes of ceilings before a figure above its ceiling is called impossible
FIRST_SWEEPS = 2  # rounds that begin with a sweep of the ceilings


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for."""

    out: Path
    devices: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    level: int = 1
    select: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    processes: int = 5
    settings: Settings = dataclasses.field(default_factory=Settings)
    commit: str = ""
    command: tuple[str, ...] = ()


Told = Callable[[str], None]


def run(request: Request, told: Told) -> int:
    """Measure, write journal and figures. Returns 0, or 1 where an answer is wrong or a figure impossible.

    Raises ValueError for a request that cannot be met, WorkerError where no process can measure at all.
    """
    interpreter = Interpreter("torch", setup=request.setup)
    machine = probe(interpreter)
    where, chosen = places(machine, request.devices), items(request.level, request.select, request.dtypes)
    journal = _begin(request, machine, where)
    order = random.Random(request.settings.seed)
    with Session(request.settings) as session:
        for turn in range(request.processes):
            for place in order.sample(where, len(where)):
                told(f"process {turn + 1} of {request.processes}, {place}")
                here = [i for i in chosen if not fits(i, place)]
                ceilings = request.dtypes if turn < FIRST_SWEEPS else ()
                _one(session, interpreter, place, here, order, ceilings, journal, turn)
        _sweep_again(session, interpreter, chosen, request, journal, order, told)
    return _close(journal, where, chosen)


def _begin(request: Request, machine: dict[str, Any], where: Sequence[str]) -> Journal:
    request.out.mkdir(parents=True, exist_ok=True)
    path = request.out / NAME
    path.unlink(missing_ok=True)
    journal = Journal(path)
    journal.write(
        "header", schema=SCHEMA, run=str(uuid.uuid4()), command=list(request.command), level=request.level,
        dtypes=list(request.dtypes), select=list(request.select), processes=request.processes, places=list(where),
        settings={**dataclasses.asdict(request.settings), "answers": None}, commit=request.commit,
        environment=machine["environment"], absent=machine["absent"],
    )  # fmt: skip
    return journal


def _one(
    session: Session, interpreter: Interpreter, place: str, here: Sequence[Item], order: random.Random,
    ceilings: Sequence[str], journal: Journal, turn: int,
) -> None:  # fmt: skip
    """One process into the journal; one that dies leaves a line that says so, and the run goes on."""
    try:
        lines = session.measure(interpreter, place, here, order, ceilings)
    except WorkerError as error:
        journal.write("died", place=place, round=turn, reason=str(error))
        return
    for line in lines:
        kind = line.pop("kind")
        journal.write(kind, place=place, round=turn, **line)


def _sweep_again(
    session: Session, interpreter: Interpreter, chosen: Sequence[Item], request: Request, journal: Journal,
    order: random.Random, told: Told,
) -> None:  # fmt: skip
    """Where a figure is above its ceiling, the ceiling may be the one that was disturbed: sweep it again first."""
    for again in range(SWEEPS_AGAIN):
        rows = results.results(results.gather(lines(journal.path)))
        suspects = sorted({row["place"] for row in rows if row["impossible"]})
        for place in suspects:
            told(f"a figure is above its ceiling: sweeping {place} again")
            _one(session, interpreter, place, (), order, request.dtypes, journal, request.processes + again)


def _close(journal: Journal, where: Sequence[str], chosen: Sequence[Item]) -> int:
    written = lines(journal.path)
    found = results.gather(written)
    rows = results.results(found)
    if not rows:
        died = next((line["reason"] for line in written if line["event"] == "died"), "nothing could be measured")
        raise WorkerError(died)
    faster = results.speedups(found, where)
    for item in chosen:
        for place in where:
            why = fits(item, place)
            if why:
                journal.write("unmeasured", item=item.id, place=place, round=0, reason=why)
    bad = [row for row in rows if row["wrong"] or row["impossible"]]
    code = 1 if bad or any(line["event"] == "died" for line in written) else 0
    journal.write("figures", results=rows, speedups=faster, crossovers=results.crossovers(faster))
    journal.write("footer", code=code, wrong=sum(bool(r["wrong"]) for r in rows),
                  impossible=sum(bool(r["impossible"]) for r in rows))  # fmt: skip
    journal.close()
    return code


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a bench journal. Raises ValueError where it is none."""
    file = path / NAME if path.is_dir() else path
    try:
        found = Tail(file).read()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    if not found or found[0].get("event") != "header" or "places" not in found[0]:
        raise ValueError(f"{file}: not the journal of a bench run")
    if found[0]["schema"] != SCHEMA:
        raise ValueError(f"{file}: schema {found[0]['schema']}, this version reads {SCHEMA}")
    return found


def stderr(sentence: str) -> None:
    """Progress, one line at a time."""
    print(sentence, file=sys.stderr, flush=True)
