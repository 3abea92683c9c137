"""Finds the case that kills: runs one cell in this process, leaving the script of each case behind before it runs.

``python -m conformance.blame`` reads {"cell", "options", "setup", "path"} from standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from conformance.lifeline import die_with

STARTUP = 60.0  # importing torch on a busy machine
POLL = 0.02


def killer(cell: dict[str, Any], options: dict[str, Any], setup: list[str], seconds: float) -> str:
    """The script of the case that kills a fresh process, or holds it for `seconds`; "" where none does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.py"
        request = {"cell": cell, "options": options, "setup": setup, "path": str(path), "parent": os.getpid()}
        with subprocess.Popen(
            [sys.executable, "-m", "conformance.blame"], stdin=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(request))
            try:
                code = _wait(process, path, seconds)
            finally:
                process.kill()
        return path.read_text() if code != 0 and path.exists() else ""


def _wait(process: subprocess.Popen[str], path: Path, seconds: float) -> int | None:
    """The exit code; None where nothing has moved for `seconds`: no case ended and no next one began."""
    since, seen = time.monotonic(), 0.0
    while (code := process.poll()) is None:
        changed = path.stat().st_mtime if path.exists() else 0.0
        if changed != seen:
            since, seen = time.monotonic(), changed
        if time.monotonic() - since > (seconds if seen else seconds + STARTUP):
            break
        time.sleep(POLL)
    return code


def main() -> None:
    request = json.load(sys.stdin)
    die_with(request["parent"])
    warnings.simplefilter("ignore")
    from conformance.target import Target, load_setup

    load_setup(request["setup"])
    from conformance import script
    from conformance.cells import cell_from
    from conformance.checks.check import Clock, Trial
    from conformance.kinds import session
    from conformance.session import Options

    cell = cell_from(request["cell"])
    made = session(cell.kind, cell.subject, Target(cell.device, cell.mode), Options(**request["options"]), Clock())

    def leave(trial: Trial) -> None:
        Path(request["path"]).write_text(script.write(cell.id, trial, RuntimeError("this call ends the process")))

    made.announce = leave
    made.run(cell)


if __name__ == "__main__":
    main()
