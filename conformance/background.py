"""A run in a thread beside pytest: the session's items wait for what the journal says of their units."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from conformance.cells import Unit, units
from conformance.journal import NAME, Journal, Tail
from conformance.pool import Watch, run_units
from conformance.run import Prepared, plan_for

POLL = 0.05


class Background:
    """Runs every selected unit in worker processes, without blocking the caller."""

    def __init__(self, prepared: Prepared, done: dict[str, str]):
        self._journal = Journal(prepared.request.out / NAME)
        self._plan = plan_for(prepared, self._journal)
        self._watch = Watch(
            Tail(self._journal.path, self._journal.path.stat().st_size), lambda cell, outcome, known: None
        )
        self._watch.outcomes.update(done)
        self._todo = units(c for c in prepared.cells if c.id not in done)
        self.stages: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._running = prepared.request.out / RUNNING
        self._running.touch()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.stages = run_units(self._todo, self._plan, self._watch)
        except BaseException as error:
            self.error = error
        finally:
            # whoever waits, in another process too, sees that nothing more will come; a full disk allows it
            self._running.unlink(missing_ok=True)

    def end(self, early: bool) -> None:
        """Wait until the workers are gone; `early`: whatever they are at."""
        if early:
            self._plan.stop.set()
        self._thread.join()
        self._journal.close()


RUNNING = "running"


class Waiter:
    """Follows a journal and gives the finish lines of units as they come."""

    def __init__(self, out: Path):
        self._tail, self._running = Tail(out / NAME), out / RUNNING
        self._lines: dict[str, dict[str, Any]] = {}

    def outcomes(self, unit: Unit) -> dict[str, dict[str, Any]]:
        """The finish line of each cell of the unit; waits for them. Cells that will never come are left out."""
        while True:
            ended = not self._running.exists()  # asked before the last look, so that no line is missed
            for line in self._tail.read():
                if line.get("event") == "finish":
                    self._lines[line["cell"]] = line
            found = {c.id: self._lines[c.id] for c in unit.cells if c.id in self._lines}
            if len(found) == len(unit.cells) or ended:
                return found
            time.sleep(POLL)
