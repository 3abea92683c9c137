"""The command: ``torch-conformance run | report | compare | repro | list | merge | verify | doctor | faults | bench``.

Exit codes: 0 conforms, 1 deviates, 2 wrong usage, 3 the run could not be completed or did no work, 4 a
known deviation has gone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance import confirm, options, probe
from conformance.bench import command as command_of_bench
from conformance.known import KnownFileError
from conformance.run import IncompleteError, UsageError, execute, finished, prepare, shown_json
from reports.html import write_report
from reports.journal import JournalError, compare, merge, read
from reports.text import comparison, summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    chosen = _parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = chosen.action
    try:
        return action(chosen)
    except (UsageError, KnownFileError, JournalError) as error:
        return _say(str(error), 2)
    except IncompleteError as error:
        return _say(str(error), 3)
    except KeyboardInterrupt:
        return _say("interrupted", 3)
    except BrokenPipeError:
        # whoever read the output has gone; nothing is lost by that
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0


def _say(sentence: str, code: int) -> int:
    print(f"torch-conformance: {sentence}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torch-conformance", description="Does this torch compute what it should?")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(action=action)
        return made

    options.add(command("run", run, "validate the installed torch; leaves a journal and an HTML report").add_argument)

    made = command("report", report, "write the HTML report of a journal")
    made.add_argument("journal", type=Path)
    made.add_argument("--html", type=Path, default=None, help="default: report.html beside the journal")

    made = command("compare", compare_runs, "what a second run does better and worse than a first")
    made.add_argument("a", type=Path)
    made.add_argument("b", type=Path)

    made = command("repro", repro, "print and run the script of a failed cell")
    made.add_argument("id")
    made.add_argument("--journal", type=Path, default=options.OUT)
    made.add_argument("--print", action="store_true", help="print the script, do not run it")

    made = command("list", list_cells, "the cells of this machine, or what is covered of torch's functions")
    made.add_argument("--json", action="store_true", help="as a JSON array")
    made.add_argument("--coverage", action="store_true", help="torch's public functions: covered / total, and the rest")
    options.add(made.add_argument)

    made = command("merge", merge_runs, "one journal from the shards of a run")
    made.add_argument("journals", type=Path, nargs="+")
    made.add_argument("--out", type=Path, required=True, metavar="DIR")

    made = command("verify", verify, "whether a journal is whole, and its verdict")
    made.add_argument("journal", type=Path)

    made = command("doctor", doctor, "what torch is here, what it can do, and what stands in the way")
    made.add_argument("--setup", action="append", default=[])

    made = command("faults", faults, "plant known faults in torch and show which check sees each")
    made.add_argument("--only", action="append", default=[], metavar="NAME")
    made.add_argument("--json", action="store_true")
    made.add_argument("--workers", type=int, default=2)

    command_of_bench.add(command("bench", command_of_bench.bench, "measure, compare and track how fast torch is"))
    return parser


def run(chosen: argparse.Namespace) -> int:
    from conformance.progress import progress

    begun = time.monotonic()
    request = options.request(chosen)
    prepared = prepare(request)
    with progress(len(prepared.cells)) as told:
        code = execute(prepared, told, begun)
    print(summary(finished(request.out)))
    print(f"\nreport: {request.out / 'report.html'}")
    return code


def report(chosen: argparse.Namespace) -> int:
    found = read(chosen.journal)
    path = chosen.html or (chosen.journal if chosen.journal.is_dir() else chosen.journal.parent) / "report.html"
    try:
        write_report(found, path)
    except OSError as error:
        raise IncompleteError(f"cannot write {path}: {error.strerror}") from error
    print(path)
    return 0


def compare_runs(chosen: argparse.Namespace) -> int:
    found = compare(read(chosen.a), read(chosen.b))
    print(comparison(found))
    return 1 if found.regressions else 0


def repro(chosen: argparse.Namespace) -> int:
    """0: the script ran and shows nothing wrong any more; 1: it shows the deviation."""
    journal = read(chosen.journal)
    cells = journal.cells
    if chosen.id not in cells:
        raise UsageError(f"{chosen.id}: no such cell in {chosen.journal}")
    failure = cells[chosen.id].failure
    if failure is None or not failure.script:
        outcome = cells[chosen.id].outcome
        raise UsageError(f"{chosen.id}: the outcome is {outcome or 'not run'}, and there is no script")
    print(failure.script, flush=True)
    if chosen.print:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "repro.py"
        path.write_text(failure.script)
        code = confirm.replay(path, journal.header.environment.setup)
    shows = "the deviation is there" if code else "nothing is wrong here"
    print(f"\nexit code {code}: {shows}")
    return 1 if code else 0


def list_cells(chosen: argparse.Namespace) -> int:
    if chosen.coverage:
        return list_coverage(chosen.json)
    cells = prepare(options.request(chosen)).cells
    print(shown_json(cells) if chosen.json else "\n".join(c.id for c in cells))
    return 0


def list_coverage(as_json: bool) -> int:
    probe.ask([], ["cpu"], ["eager"])  # a torch that is missing or broken is named here
    from conformance import coverage, inventory

    try:
        found = coverage.rows(inventory.ask(), coverage.omissions())
    except (RuntimeError, subprocess.SubprocessError) as error:
        raise IncompleteError(str(error)) from error
    print(json.dumps([r.record() for r in found], indent=1) if as_json else "\n".join(coverage.table(found)))
    return 0


def merge_runs(chosen: argparse.Namespace) -> int:
    lines = merge([read(path) for path in chosen.journals])
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
        path = chosen.out / "journal.jsonl"
        path.write_text("\n".join(lines) + "\n")
        merged = read(path)
        write_report(merged, chosen.out / "report.html")
    except OSError as error:
        raise IncompleteError(f"--out {chosen.out}: {error.strerror}") from error
    print(summary(merged))
    from reports.journal import exit_code

    return exit_code(merged)


def verify(chosen: argparse.Namespace) -> int:
    from reports.journal import exit_code

    found = read(chosen.journal)
    print(summary(found))
    return exit_code(found)


def doctor(chosen: argparse.Namespace) -> int:
    try:
        answer = probe.ask(chosen.setup, [], ["eager"])
    except probe.UsageError as error:
        raise UsageError(str(error)) from error
    except probe.TorchError as error:
        raise IncompleteError(str(error)) from error
    print(json.dumps(answer["environment"], indent=2))
    return 0


def faults(chosen: argparse.Namespace) -> int:
    from conformance.faults import run_faults

    return run_faults(chosen.only, chosen.json, chosen.workers)
