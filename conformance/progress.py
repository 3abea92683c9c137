"""Progress on standard error: a bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from reports.records import FAILING

# Told of each cell that finished: its id, its outcome, and whether a known deviation explains it.
Told = Callable[[str, str, bool], None]
# Seconds between two plain lines.
EVERY = 10.0


@contextlib.contextmanager
def progress(total: int) -> Iterator[Told]:
    """Gives a function that is told of each cell that finished and its outcome."""
    if sys.stderr.isatty():
        with _bar(total) as told:
            yield told
    else:
        yield _Lines(total)


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cells", total=total)
        found = _Found()

        def told(cell: str, outcome: str, known: bool) -> None:
            found(outcome, known)
            bar.update(task, advance=1, description=f"{cell.split('::')[0][:34]:<34} {found}")

        yield told


class _Found:
    """``3 wrong, 40 known deviations``."""

    def __init__(self) -> None:
        self._wrong = self._known = 0

    def __call__(self, outcome: str, known: bool) -> None:
        self._wrong += outcome in FAILING and not known
        self._known += outcome in FAILING and known

    def __str__(self) -> str:
        return f"{self._wrong} wrong" + (f", {self._known} known" if self._known else "")


class _Lines:
    """``1200 of 9000 cells, 3 wrong, 40 known, about 40 s left``, every ten seconds."""

    def __init__(self, total: int):
        self._total, self._began = total, time.monotonic()
        self._last = self._began
        self._done, self._found = 0, _Found()

    def __call__(self, cell: str, outcome: str, known: bool) -> None:
        self._done += 1
        self._found(outcome, known)
        now = time.monotonic()
        if now - self._last < EVERY:
            return
        self._last = now
        left = (now - self._began) / self._done * max(0, self._total - self._done)
        say(f"{self._done} of {self._total} cells, {self._found}, about {left:.0f} s left")


def say(text: str) -> None:
    """Print on standard error; a reader who has gone must not end a run."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
