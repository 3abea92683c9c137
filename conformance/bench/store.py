"""The history: runs in an SQLite file, one series for each benchmark of one fingerprint. No torch here.

A series is of one machine with one torch and one way to use it. A run of another is refused, with the names of what
differs, until the user says that it begins a new series, or that the series follows that field (`--follow torch` for
who tracks nightly builds: then it is what may change, and an alarm tells that it mattered).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.bench import cusum, fingerprint, measure, results

SCHEMA = """
PRAGMA user_version = 1;
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, time REAL NOT NULL, commit_id TEXT NOT NULL, source TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fingerprints (key TEXT PRIMARY KEY, place TEXT NOT NULL, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (
    run INTEGER NOT NULL REFERENCES runs, benchmark TEXT NOT NULL, key TEXT NOT NULL REFERENCES fingerprints,
    seconds REAL NOT NULL, UNIQUE (run, benchmark, key));
CREATE TABLE IF NOT EXISTS alarms (
    benchmark TEXT NOT NULL, key TEXT NOT NULL, start INTEGER NOT NULL REFERENCES runs,
    raised INTEGER NOT NULL REFERENCES runs, before REAL NOT NULL, after REAL NOT NULL,
    UNIQUE (benchmark, key, raised));
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """What is to be added: seconds by benchmark and place, and the fingerprint of each place."""

    name: str  # unique: a run is added once
    time: float
    commit: str
    source: str
    fingerprints: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[tuple[str, str], float]


@dataclasses.dataclass(frozen=True)
class Raised:
    """An alarm as a person wants to hear of it."""

    benchmark: str
    change: float
    start: str  # the commit, or the name, of the first run at the new level
    raised: str

    def __str__(self) -> str:
        way = "slower" if self.change > 0 else "faster"
        return f"{self.benchmark}: {abs(self.change):.1%} {way} since {self.start} (seen at {self.raised})"


class HistoryError(Exception):
    """The store or the run cannot be used; one sentence."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The store, made where there is none; what is done to it is done wholly or not at all."""
    try:
        connection = sqlite3.connect(path)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, 1):
            raise HistoryError(f"{path}: a store of version {version}, this one reads 1")
        connection.executescript(SCHEMA)
    except sqlite3.Error as error:
        raise HistoryError(f"{path}: {error}") from error
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def add(store: sqlite3.Connection, run: Run, follow: Collection[str] = (), fresh: bool = False) -> list[Raised]:
    """Add a run and return the alarms that it raises. Raises MismatchError, or HistoryError for a run that is there.

    `follow` names the fields that a series may change in; `fresh` lets a new series begin where a fingerprint is new.
    """
    keys = {place: f"{place}:{fingerprint.key(fields, follow)}" for place, fields in run.fingerprints.items()}
    for place, fields in run.fingerprints.items():
        _require_known(store, place, fields, keys[place], follow, fresh)
    try:
        made = store.execute(
            "INSERT INTO runs (name, time, commit_id, source) VALUES (?, ?, ?, ?)",
            (run.name, run.time, run.commit, run.source),
        ).lastrowid
    except sqlite3.IntegrityError as error:
        raise HistoryError(f"{run.source}: this run is in the history already") from error
    for place, fields in run.fingerprints.items():
        store.execute("INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?)", (keys[place], place, json.dumps(fields)))
    for (benchmark, place), seconds in run.seconds.items():
        store.execute("INSERT INTO points VALUES (?, ?, ?, ?)", (made, benchmark, keys[place], seconds))
    found: list[Raised] = []
    for benchmark, place in run.seconds:
        found += _alarms(store, benchmark, keys[place])
    return found


def _require_known(
    store: sqlite3.Connection, place: str, fields: Mapping[str, Any], key: str, follow: Collection[str], fresh: bool
) -> None:
    before = store.execute(
        "SELECT key, fields FROM fingerprints WHERE place = ? ORDER BY rowid DESC", (place,)
    ).fetchall()
    if not before or fresh or any(known == key for known, _ in before):
        return
    fingerprint.require_equal(json.loads(before[0][1]), fields, follow, f"{place}: the history and this run")


def series(store: sqlite3.Connection, benchmark: str, key: str) -> list[tuple[int, float]]:
    """(run, seconds) in order of time."""
    return store.execute(
        "SELECT run, seconds FROM points JOIN runs ON runs.id = run WHERE benchmark = ? AND key = ? "
        "ORDER BY runs.time, runs.id", (benchmark, key),
    ).fetchall()  # fmt: skip


def _alarms(store: sqlite3.Connection, benchmark: str, key: str) -> list[Raised]:
    """Alarms of a series that nobody has been told of yet; from now on they have."""
    points = series(store, benchmark, key)
    found = []
    for alarm in cusum.alarms([seconds for _, seconds in points]):
        start, raised = points[alarm.start][0], points[alarm.raised][0]
        new = store.execute(
            "INSERT OR IGNORE INTO alarms VALUES (?, ?, ?, ?, ?, ?)",
            (benchmark, key, start, raised, alarm.before, alarm.after),
        ).rowcount
        if new:
            found.append(Raised(benchmark, alarm.change, _named(store, start), _named(store, raised)))
    return found


def _named(store: sqlite3.Connection, run: int) -> str:
    commit, name, time = store.execute("SELECT commit_id, name, time FROM runs WHERE id = ?", (run,)).fetchone()
    when = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return f"{commit or name} of {when}"


def exported(store: sqlite3.Connection) -> dict[str, Any]:
    """Everything that the page shows, as plain values."""
    runs = {
        id: {"name": name, "time": time, "commit": commit, "source": source}
        for id, name, time, commit, source in store.execute("SELECT * FROM runs")
    }
    prints = {key: json.loads(fields) for key, fields in store.execute("SELECT key, fields FROM fingerprints")}
    found = []
    pairs = store.execute("SELECT DISTINCT benchmark, key FROM points ORDER BY benchmark, key").fetchall()
    for benchmark, key in pairs:
        points = series(store, benchmark, key)
        raised = store.execute(
            "SELECT start, raised, before, after FROM alarms WHERE benchmark = ? AND key = ? ORDER BY rowid",
            (benchmark, key),
        ).fetchall()
        names = ("start", "raised", "before", "after")
        found.append({"benchmark": benchmark, "key": key, "points": points,
                      "alarms": [dict(zip(names, alarm)) for alarm in raised]})  # fmt: skip
    return {"runs": runs, "fingerprints": prints, "series": found}


# runs from elsewhere


def from_bench(path: Path) -> Run:
    """A run of `bench`. Its wrong and impossible figures are left out. Raises HistoryError."""
    try:
        lines = measure.lines(path)
    except ValueError as error:
        raise HistoryError(str(error)) from error
    header = lines[0]
    rows: Sequence[Mapping[str, Any]] = next((x["results"] for x in lines if x["event"] == "figures"), ())
    good = [r for r in rows if not r["wrong"] and not r["impossible"]]
    prints = {x["place"]: x["fingerprint"] for x in lines if x["event"] == "process"}
    seconds = {(f"{r['item']} at {r['place']}", r["place"]): r["columns"][results.FIGURE] for r in good}
    if not seconds:
        raise HistoryError(f"{path}: no figures in it")
    used = {place for _, place in seconds}
    return Run(header["run"], header["time"], header["commit"], str(path),
               {p: f for p, f in prints.items() if p in used}, seconds)  # fmt: skip


def from_pytest_benchmark(path: Path) -> Run:
    """A file of ``pytest --benchmark-json`` or ``--benchmark-autosave``: the minimum of each. Raises HistoryError."""
    try:
        found = json.loads(path.read_text())
        machine, commit = dict(found["machine_info"]), found.get("commit_info") or {}
        when = datetime.datetime.fromisoformat(found["datetime"])
        seconds = {(b["fullname"], "pytest-benchmark"): float(b["stats"]["min"]) for b in found["benchmarks"]}
        extras = [b["extra_info"] for b in found["benchmarks"]]
        extra: dict[str, Any] = next((e["fingerprint"] for e in extras if "fingerprint" in e), {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HistoryError(f"{path}: not a file of pytest-benchmark ({type(error).__name__}: {error})") from error
    if not seconds:
        raise HistoryError(f"{path}: no benchmarks in it")
    cpu = machine.pop("cpu", {})
    cpu = {k: cpu[k] for k in ("brand_raw", "arch", "count") if k in cpu}  # its clock changes from run to run
    return Run(str(commit.get("id", "")) + found["datetime"], when.timestamp(), str(commit.get("id") or ""), str(path),
               {"pytest-benchmark": {**machine, "cpu": cpu, **extra}}, seconds)  # fmt: skip
