"""Progress on standard error: a bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

# Seconds between two plain lines.
EVERY = 10.0


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[str, str], None]]:
    """Gives a function that is told of each cell that finished and its outcome."""
    if sys.stderr.isatty():
        with _bar(total) as told:
            yield told
    else:
        yield _Lines(total)


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[str, str], None]]:
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
        wrong = 0

        def told(cell: str, outcome: str) -> None:
            nonlocal wrong
            wrong += outcome in ("fail", "error", "crash", "timeout")
            bar.update(task, advance=1, description=f"{cell.split('::')[0][:34]:<34} {wrong} wrong")

        yield told


class _Lines:
    """``1200 of 9000 cells, 3 wrong, about 40 s left``, every ten seconds."""

    def __init__(self, total: int):
        self._total, self._began = total, time.monotonic()
        self._last = self._began
        self._seen: Counter[str] = Counter()

    def __call__(self, cell: str, outcome: str) -> None:
        self._seen[outcome] += 1
        now = time.monotonic()
        if now - self._last < EVERY:
            return
        self._last = now
        done = sum(self._seen.values())
        wrong = sum(self._seen[o] for o in ("fail", "error", "crash", "timeout"))
        left = (now - self._began) / done * (self._total - done)
        print(
            f"{done} of {self._total} cells, {wrong} wrong, about {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
