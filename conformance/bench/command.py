"""``torch-conformance bench``, ``bench compare``, ``bench history``: the words of the command line, and what is said.

Exit codes. bench: 0 measured and right, 1 an answer is wrong, a figure is impossible or a process died, 3 nothing could
be measured. bench compare: 0 SAME or FASTER, 1 SLOWER or WRONG, 2 UNDECIDED or wrong usage (there is no verdict), 3 it
could not be carried out. bench history: 0, 1 a new alarm says slower, 2 the run is refused.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUT = Path("conformance-bench")
Parser = argparse.ArgumentParser


def add(parser: Parser) -> None:
    """The options and the two commands below `bench`."""
    parser.set_defaults(action=bench)
    _choice(parser)
    parser.add_argument("--processes", type=int, default=5, help="fresh processes for each place (default: 5)")
    parser.add_argument("--store", type=Path, default=None, metavar="FILE", help="also add the run to this history")
    parser.add_argument("--list", action="store_true", help="the benchmarks of this level, and no more")
    commands = parser.add_subparsers(metavar="COMMAND")

    made = commands.add_parser("compare", help="is HEAD slower than BASE? a verdict for each benchmark")
    made.set_defaults(action=compare)
    made.add_argument("base", help="a Python or virtual environment, a wheel of torch, a stored run, or '.' for here")
    made.add_argument("head", help="the same")
    _choice(made)
    made.add_argument("--pairs", type=int, default=None, help="pairs of processes (default: 40), and again to confirm")
    made.add_argument("--base-setup", action="append", default=[], metavar="MODULE_OR_FILE", help="for BASE alone")
    made.add_argument("--head-setup", action="append", default=[], metavar="MODULE_OR_FILE", help="for HEAD alone")

    made = commands.add_parser("history", help="a store of runs: trends, and alarms with their dates")
    made.set_defaults(action=history)
    made.add_argument("store", type=Path, help="an SQLite file; made where there is none")
    made.add_argument("--add", type=Path, action="append", default=[], metavar="RUN", help="a run of bench")
    made.add_argument("--import", dest="imported", type=Path, action="append", default=[], metavar="FILE.json",
                      help="a file of pytest --benchmark-json")  # fmt: skip
    made.add_argument("--follow", action="append", default=[], metavar="FIELD",
                      help="a field of the fingerprint that a series may change in, such as torch")  # fmt: skip
    made.add_argument("--new-series", action="store_true", help="let a new fingerprint begin series of its own")
    made.add_argument("--html", type=Path, default=None, help="default: STORE.html beside the store")


def _choice(parser: Parser) -> None:
    """What to measure, and how long."""
    parser.add_argument("--level", type=int, choices=(1, 2, 3), default=1, help="sizes: 1 some, 2 more, 3 all")
    parser.add_argument("--select", action="append", default=[], metavar="PATTERN",
                        help="ids, workloads or modes, with * and ?; may be repeated")  # fmt: skip
    parser.add_argument("--device", action="append", default=[], metavar="PLACE",
                        help="cpu, cpu/1, cuda:0, ...; may be repeated (default: all; for compare cpu/1)")  # fmt: skip
    parser.add_argument("--dtype", action="append", default=[], metavar="DTYPE",
                        help="float32, tf32, bfloat16, float16; may be repeated (default: float32)")  # fmt: skip
    parser.add_argument("--setup", action="append", default=[], metavar="MODULE_OR_FILE", help="imported first")
    parser.add_argument("--seconds", type=float, default=0.05, help="for each column of each benchmark (default: 0.05)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"journal and page (default: {OUT})")


def _settled(chosen: argparse.Namespace) -> tuple[tuple[str, ...], Any]:
    from conformance.bench.session import Settings
    from conformance.bench.workloads import DTYPES

    dtypes = tuple(chosen.dtype) or ("float32",)
    unknown = set(dtypes) - set(DTYPES)
    if unknown:
        raise ValueError(f"--dtype {unknown.pop()}: there are {', '.join(DTYPES)}")
    return dtypes, Settings(seed=chosen.seed, seconds=chosen.seconds)


def _guarded(action: Callable[[argparse.Namespace], int], chosen: argparse.Namespace) -> int:
    """Failures as the rest of the command has them: a sentence and a code."""
    from conformance.bench.fingerprint import MismatchError
    from conformance.bench.session import WorkerError
    from conformance.bench.sources import SourceError
    from conformance.bench.store import HistoryError
    from conformance.run import IncompleteError, UsageError

    try:
        return action(chosen)
    except (ValueError, MismatchError, SourceError, HistoryError) as error:
        raise UsageError(str(error)) from error
    except WorkerError as error:
        raise IncompleteError(str(error)) from error
    except OSError as error:
        raise IncompleteError(f"{error.filename or chosen.out}: {error.strerror}") from error


def bench(chosen: argparse.Namespace) -> int:
    return _guarded(_bench, chosen)


def compare(chosen: argparse.Namespace) -> int:
    return _guarded(_compare, chosen)


def history(chosen: argparse.Namespace) -> int:
    return _guarded(_history, chosen)


def _bench(chosen: argparse.Namespace) -> int:
    from conformance.bench import measure, session
    from reports.bench import summary, write_page

    dtypes, settings = _settled(chosen)
    if chosen.list:
        print("\n".join(i.id for i in session.items(chosen.level, chosen.select, dtypes)))
        return 0
    request = measure.Request(
        out=chosen.out, devices=tuple(chosen.device), setup=tuple(chosen.setup), level=chosen.level,
        select=tuple(chosen.select), dtypes=dtypes, processes=chosen.processes, settings=settings, commit=commit(),
        command=tuple(sys.argv),
    )  # fmt: skip
    code = measure.run(request, measure.stderr)
    journal = measure.lines(chosen.out)
    write_page(journal, chosen.out / "bench.html")
    print(summary(journal))
    print(f"\nreport: {chosen.out / 'bench.html'}")
    if chosen.store is not None and code == 0:
        return max(code, _added(chosen.store, [chosen.out], [], (), False))
    return code


def _compare(chosen: argparse.Namespace) -> int:
    from conformance.bench import gate, measure, results, session, statistics
    from conformance.bench.sources import Stored, opened
    from conformance.journal import Journal
    from reports.bench import write_comparison

    dtypes, settings = _settled(chosen)
    items = session.items(chosen.level, chosen.select, dtypes)
    pairs = statistics.PAIRS if chosen.pairs is None else chosen.pairs
    if pairs < statistics.FEWEST:
        raise ValueError(f"--pairs {pairs}: at least {statistics.FEWEST} are needed")
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(opened(chosen.base, [*chosen.setup, *chosen.base_setup]))
        head = stack.enter_context(opened(chosen.head, [*chosen.setup, *chosen.head_setup]))
        live = [s for s in (base, head) if not isinstance(s, Stored)]
        where = (
            session.places(session.probe(live[0]), chosen.device or ["cpu/1"]) if live else chosen.device or ["cpu/1"]
        )
        stored = [s for s in (base, head) if isinstance(s, Stored)]
        if stored:  # half of a stored run is kept to confirm what the other half shows
            counts = [len(b) for s in stored for (_, place), b in s.blocks.items() if place in where]
            pairs = min(pairs, max(counts, default=0) // 2)
        found = []
        settings = dataclasses.replace(settings, columns=(results.FIGURE,))  # the others judge nothing
        with session.Session(settings) as measured:
            for place in where:
                here = [i for i in items if not session.fits(i, place)]
                if here:
                    made = gate.Gate(base, head, place, measured, measure.stderr, chosen.seed)
                    found += made.compare(here, pairs)
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "compare.jsonl"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    code = gate.exit_code(found)
    journal.write("header", base=base.name, head=head.name, pairs=pairs, command=list(sys.argv))
    for c in found:
        journal.write("verdict", **c.record())
    journal.write("footer", code=code)
    journal.close()
    write_comparison(path, chosen.out / "compare.html")
    print("\n".join(gate.sentence(c) for c in found))
    print(f"\nreport: {chosen.out / 'compare.html'}")
    return code


def _history(chosen: argparse.Namespace) -> int:
    from conformance.bench import store
    from reports.bench import write_history

    code = _added(chosen.store, chosen.add, chosen.imported, chosen.follow, chosen.new_series)
    with store.opened(chosen.store) as history:
        found = store.exported(history)
    path = chosen.html or chosen.store.with_suffix(".html")
    write_history(found, path)
    print(f"{len(found['runs'])} runs, {len(found['series'])} series; report: {path}")
    return code


def _added(path: Path, runs: list[Path], imported: list[Path], follow: Any, fresh: bool) -> int:
    from conformance.bench import store

    read = [*(store.from_bench(p) for p in runs), *(store.from_pytest_benchmark(p) for p in imported)]
    slower = False
    with store.opened(path) as history:
        for run in read:
            for alarm in store.add(history, run, follow, fresh):
                print(f"ALARM {alarm}")
                slower = slower or alarm.change > 0
    return int(slower)


def commit() -> str:
    """The commit of the working directory, where it is one of git's."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
