"""Finds the case that kills: runs one cell in this process, leaving the script of each case behind before it runs.

``python -m conformance.blame`` reads {"cell", "options", "setup", "path"} from standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any


def killer(cell: dict[str, Any], options: dict[str, Any], setup: list[str], seconds: float) -> str:
    """The script of the case in which this cell kills (or hangs) a fresh process; "" where none does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.py"
        request = json.dumps({"cell": cell, "options": options, "setup": setup, "path": str(path)})
        try:
            done = subprocess.run(
                [sys.executable, "-m", "conformance.blame"], input=request, text=True,
                capture_output=True, timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            pass
        else:
            if done.returncode == 0:
                return ""
        return path.read_text() if path.exists() else ""


def main() -> None:
    request = json.load(sys.stdin)
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
