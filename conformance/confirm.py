"""Confirms reproduction scripts in fresh processes: torch is imported once, every script has its own fork.

``python -m conformance.confirm`` reads a JSON list of scripts and prints one exit code for each. Where
forking is not to be had (or a device was initialised), each script gets a process from the start.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from conformance.lifeline import die_with

SECONDS = 30.0


def confirm(scripts: Sequence[str], setup: Sequence[str] = (), seconds: float = SECONDS) -> list[bool | None]:
    """For each script: whether it shows its deviation; None where it could not be tried.

    A crash shows it too, and so does a script that does not end in its time.
    """
    if not scripts:
        return []
    request = json.dumps({"scripts": list(scripts), "setup": list(setup), "seconds": seconds, "parent": os.getpid()})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "conformance.confirm"], input=request, text=True, capture_output=True,
            timeout=60 + seconds * len(scripts), check=False,
        )  # fmt: skip
        codes = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        return [None] * len(scripts)
    return [code != 0 for code in codes]


# what a journal's setup was imported for: without it the script's device may not be there
_UNDER_SETUP = """
import runpy, sys
from conformance.target import load_setup
load_setup(sys.argv[2:])
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def replay(path: Path, setup: Sequence[str] = ()) -> int:
    """Run a script in a process of its own, with its output shown; returns the exit code."""
    words = ["-c", _UNDER_SETUP, str(path), *setup] if setup else [str(path)]
    return subprocess.run([sys.executable, *words], check=False).returncode


def main() -> None:
    request = json.load(sys.stdin)
    die_with(request["parent"])
    if request["setup"]:
        from conformance.target import load_setup

        load_setup(request["setup"])
    else:
        import torch  # noqa: F401  (the forks share the import)
    _share(request["scripts"])
    print(json.dumps([_run(text, request["seconds"]) for text in request["scripts"]]))


# what torch imports at the first use of something: seconds in every fork where they do not share it
_AT_FIRST_USE = {
    "torch.autograd": "torch.fx.experimental.symbolic_shapes",
    "fwAD": "torch._decomp.decompositions_for_jvp",
    "torch.func": "torch._dynamo",
    "torch.vmap": "torch._dynamo",
    "checkpoint(": "torch._dynamo",
    "torch.compile": "torch._dynamo",
    "torch.optim": "torch._dynamo",
}


def _share(scripts: Sequence[str]) -> None:
    """Import once what several scripts would import; nothing is computed, so that forks start clean."""
    needed = [module for word, module in _AT_FIRST_USE.items() if sum(word in text for text in scripts) > 1]
    for module in dict.fromkeys(needed):
        with contextlib.suppress(Exception):  # another torch may keep it elsewhere
            importlib.import_module(module)


def _run(text: str, seconds: float) -> int:
    """The exit code of a script in a fork; 124 for one that hangs, negative for a signal."""
    parent, child = os.getpid(), os.fork()
    if child == 0:
        die_with(parent)
        os._exit(_execute(text))
    try:
        return _waited(child, seconds)
    finally:
        _file_of(child).unlink(missing_ok=True)  # a crash or a hang leaves it


def _waited(child: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 124


def _file_of(process: int) -> Path:
    return Path(os.environ.get("TMPDIR", "/tmp")) / f"conformance-confirm-{process}.py"


def _execute(text: str) -> int:
    """Run a script the way ``python FILE`` would; its exit code."""
    path = _file_of(os.getpid())
    path.write_text(text)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            import runpy

            runpy.run_path(str(path), run_name="__main__")
        return 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        return 1


if __name__ == "__main__":
    main()
