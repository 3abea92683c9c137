"""BASE and HEAD: an installed environment, a wheel, or a stored run. No torch here."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from conformance.bench import measure, results
from conformance.bench.session import Interpreter


@dataclasses.dataclass(frozen=True)
class Stored:
    """A run that was measured before: its blocks by item and place, in order, and its fingerprints by place."""

    name: str
    blocks: dict[results.Key, list[dict[str, Any]]]
    fingerprints: dict[str, dict[str, Any]]


Source = Interpreter | Stored


class SourceError(Exception):
    """A side that is none; one sentence."""


@contextlib.contextmanager
def opened(text: str, setup: Sequence[str] = ()) -> Iterator[Source]:
    """The side that a word of the command line names.

    a Python, or the folder of a virtual environment   an installed environment
    FILE.whl                                           this environment with that wheel of torch before its own
    a folder or a journal of `bench`                   a stored run
    Raises SourceError.
    """
    path = Path(text).expanduser()
    if path.suffix == ".whl":
        with tempfile.TemporaryDirectory(prefix="conformance-wheel-") as folder:
            _unpack(path, folder)
            yield Interpreter(text, before=(folder,), setup=tuple(setup))
        return
    if text in (".", "here"):
        yield Interpreter(text, setup=tuple(setup))
        return
    for python in (path / "bin" / "python", path / "Scripts" / "python.exe", path):
        if python.is_file() and python.suffix != ".jsonl":
            # not resolved: a virtual environment is known by the link in it
            yield Interpreter(text, str(python.absolute()), setup=tuple(setup))
            return
    if path.exists():
        yield _stored(text, path, setup)
        return
    raise SourceError(f"{text}: no environment, wheel or stored run of this name")


def _unpack(wheel: Path, folder: str) -> None:
    if not wheel.is_file():
        raise SourceError(f"{wheel}: no such file")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-compile", "--quiet", "--target", folder]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SourceError(f"{wheel}: pip cannot install it: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def _stored(text: str, path: Path, setup: Sequence[str]) -> Stored:
    if setup:
        raise SourceError(f"{text}: a stored run takes no setup module")
    try:
        lines = measure.lines(path)
    except ValueError as error:
        raise SourceError(str(error)) from error
    found = results.gather(lines)
    prints = {line["place"]: line["fingerprint"] for line in lines if line["event"] == "process"}
    return Stored(text, {k: [dict(b) for b in v] for k, v in found.blocks.items()}, prints)
