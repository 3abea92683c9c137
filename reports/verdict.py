"""What a run amounts to: counts with honest denominators, a verdict, and what to do next."""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping

from reports.records import FAILING, NOT_RUN, SEVERITY, Cell, Run

EXITS = {"conforms": 0, "deviates": 1, "incomplete": 3, "stale": 4}
_RANK = ("conforms", "stale", "incomplete", "deviates")


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many cells: ``applicable`` is ``selected`` less unsupported, ``total`` is before any selection."""

    passed: int
    applicable: int
    selected: int
    total: int
    waived: int  # of those that passed
    known: int  # failing, and explained by the known file
    unexpected: int  # failing, and not
    by: Mapping[str, int]  # by outcome, `not_run` among them


def counts(run: Run) -> Counts:
    """The counts of a whole run."""
    return tally(run.cells.values(), run.header.selected, run.header.total)


def tally(cells: Iterable[Cell], selected: int = 0, total: int = 0) -> Counts:
    """The counts of some cells; what was to be selected and never announced counts as not run."""
    cells = list(cells)
    by = Counter(cell.status for cell in cells)
    unannounced = max(0, selected - len(cells))
    if unannounced:
        by[NOT_RUN] += unannounced
    selected = len(cells) + unannounced
    failing = [cell for cell in cells if cell.failing]
    known = sum(cell.known is not None for cell in failing)
    return Counts(
        passed=by["pass"],
        applicable=selected - by["unsupported"],
        selected=selected,
        total=max(total, selected),
        waived=sum(cell.outcome == "pass" and cell.result is not None and bool(cell.result.waiver) for cell in cells),
        known=known,
        unexpected=len(failing) - known,
        by={outcome: by[outcome] for outcome in SEVERITY if by[outcome]},
    )


def percent(part: int, whole: int) -> str:
    """A percentage with one decimal, rounded down: 100.0 % is all of them and nothing less."""
    if not whole:
        return "n/a"
    tenths = 1000 * part // whole
    return f"{tenths // 10}.{tenths % 10} %"


def verdict(run: Run) -> str:
    """``conforms deviates incomplete stale``, as the footer has it unless the outcomes say worse."""
    if run.footer is None:
        return judge(counts(run))
    seen = judge(counts(run), stale=bool(run.footer.stale))
    return seen if _RANK.index(seen) > _RANK.index(run.footer.verdict) else run.footer.verdict


def judge(found: Counts, stale: bool = False) -> str:
    """The verdict on counts. A deviation is one however much of the run is missing."""
    if found.unexpected:
        return "deviates"
    if found.by.get(NOT_RUN) or not found.passed:
        return "incomplete"
    return "stale" if stale else "conforms"


def exit_code(run: Run) -> int:
    """The exit code that goes with the verdict."""
    return EXITS[verdict(run)]


def gravity(cell: Cell) -> tuple[bool, int, float]:
    """A sort key: unexpected before known, grave before mild, far off before near."""
    ratio = cell.result.ratio if cell.result else None
    # nan compares with nothing, and is as wrong as can be
    far = 0.0 if ratio is None else ratio if ratio == ratio else float("inf")
    return cell.known is not None, -SEVERITY[cell.status], -far


def failures(run: Run, known: bool) -> list[Cell]:
    """The failing cells that the known file explains, or those that it does not, gravest first."""
    cells = [cell for cell in run.cells.values() if cell.failing and (cell.known is not None) is known]
    return sorted(cells, key=gravity)


def plural(number: int, noun: str) -> str:
    """``1 cell``, ``2 cells``, ``2 entries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,} {noun}s"


def sentence(run: Run) -> str:
    """The verdict in one sentence, with its counts."""
    found = counts(run)
    return f"{_finding(run, found)}; {_shares(found)}."


def _shares(found: Counts) -> str:
    waived = f" ({found.waived:,} of them under a waiver)" if found.waived else ""
    return f"{found.passed:,} passed{waived} / {found.applicable:,} applicable / {found.total:,} total"


def _finding(run: Run, found: Counts) -> str:
    torch = f"torch {run.environment.torch.version}".strip()
    missing = found.by.get(NOT_RUN, 0)
    known = f", beside {plural(found.known, 'known deviation')}" if found.known else ""
    what = verdict(run)
    if what == "deviates":
        bad = failures(run, known=False)
        subjects = len({cell.subject for cell in bad})
        by = Counter(cell.status for cell in bad)
        kinds = ", ".join(f"{by[kind]:,} {kind}" for kind in reversed(FAILING) if by[kind])
        left = f", and {plural(missing, 'cell')} did not run" if missing else ""
        deviates = plural(found.unexpected, "unexpected failure")
        return f"{torch} deviates: {deviates} ({kinds}) in {plural(subjects, 'subject')}{known}{left}"
    if what == "stale":
        entries = plural(len(run.footer.stale) if run.footer else 0, "entry")
        return f"{torch} conforms{known}, but {entries} of the known file no longer apply: update it"
    if what == "conforms":
        part = "" if found.selected == found.total else " in the selected cells"
        return f"{torch} conforms{part}{known}"
    if not found.passed:
        return f"Nothing was shown about {torch}: no cell passed"
    return f"The run is incomplete: {plural(missing, 'cell')} did not run; no unexpected deviation so far{known}"


def advice(run: Run) -> list[str]:
    """What to do next, most urgent first."""
    return [*_about_failures(run), *_about_gaps(run), *_about_stale(run)] or [
        "Nothing. Keep the journal: `torch-conformance compare A B` shows what a later run changes."
    ]


def _about_failures(run: Run) -> list[str]:
    bad = failures(run, known=False)
    if not bad:
        return []
    steps = [f"See the gravest failure again: `torch-conformance repro {shlex.quote(bad[0].id)}`."]
    unsure = sum(cell.failure is not None and cell.failure.confirmed is False for cell in bad)
    if unsure:
        text = "did not show up again in a fresh process: suspect state that an earlier cell left, or chance"
        steps.append(f"{plural(unsure, 'failure')} {text}; run with another `--seed`.")
    text = "Report what is wrong with its script; then enter it in the known file with reason and link"
    return [*steps, f"{text}, and later runs will only mention it."]


def _about_gaps(run: Run) -> list[str]:
    found = counts(run).by
    steps = []
    if found.get(NOT_RUN):
        steps.append(f"{plural(found[NOT_RUN], 'cell')} did not run: go on with `--resume {shlex.quote(run.path)}`.")
    if found.get("blocked"):
        causes = {cell.result.detail for cell in run.cells.values() if cell.result and cell.outcome == "blocked"}
        cause = f" ({min(causes):.120})" if len(causes) == 1 else ""
        steps.append(f"Mend first what blocked {plural(found['blocked'], 'cell')}{cause}: nothing is known about them.")
    if found.get("not_exercised"):
        steps.append(f"{plural(found['not_exercised'], 'cell')} compared nothing: a higher `--level` may reach them.")
    return steps


def _about_stale(run: Run) -> list[str]:
    stale = run.footer.stale if run.footer else ()
    if not stale:
        return []
    files = (run.header.known or "the known file").split(", ")
    file = files[0] if len(files) == 1 else f"the {len(files)} known files"
    return [f"Take {plural(len(stale), 'stale entry')} out of {file}: listed below."]
