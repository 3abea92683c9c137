"""Runs the command as a user does, in a process of its own, and reads what it left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SETUPS = Path(__file__).parent / "setups"
SMALL = ("--level", "1", "--device", "cpu", "--mode", "eager", "--workers", "2", "--known", "none")


def arguments(*words: object) -> list[str]:
    """The command line of ``torch-conformance WORDS``, of this tree whatever is installed."""
    return [sys.executable, "-m", "conformance", *map(str, words)]


def select(*subjects: str) -> tuple[str, ...]:
    return tuple(word for subject in subjects for word in ("--select", subject))


@dataclasses.dataclass(frozen=True)
class Left:
    """What a run left behind."""

    code: int
    stdout: str
    stderr: str
    out: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        return lines(self.out)

    @property
    def finishes(self) -> dict[str, dict[str, Any]]:
        return {line["cell"]: line for line in self.lines if line["event"] == "finish"}

    @property
    def outcomes(self) -> dict[str, str]:
        return {cell: line["outcome"] for cell, line in self.finishes.items()}

    @property
    def footer(self) -> dict[str, Any]:
        return self.lines[-1]

    def of(self, *words: str) -> set[str]:
        """The outcomes of the cells whose id has every one of these parts."""
        found = {outcome for cell, outcome in self.outcomes.items() if set(words) <= set(cell.split("::"))}
        assert found, f"no cell of {words}"
        return found


def lines(out: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal."""
    found = []
    for line in (out / "journal.jsonl").read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def run(out: Path, *words: object, env: dict[str, str] | None = None, seconds: float = 300) -> Left:
    """``torch-conformance run``, at level 1 on the CPU where the words do not say otherwise."""
    return command("run", *SMALL, *words, "--out", out, out=out, env=env, seconds=seconds)


def command(*words: object, out: Path, env: dict[str, str] | None = None, seconds: float = 300) -> Left:
    done = subprocess.run(
        arguments(*words), cwd=ROOT, env={**os.environ, **(env or {})}, text=True, capture_output=True, timeout=seconds,
        check=False,
    )  # fmt: skip
    return Left(done.returncode, done.stdout, done.stderr, out)


def said(left: Left) -> str:
    """What the command said on stderr, which must be one sentence by the command itself."""
    # a slow machine has time for lines of progress
    spoken = [line for line in left.stderr.splitlines() if line.strip() and not line.endswith(" s left")]
    assert len(spoken) == 1 and spoken[0].startswith("torch-conformance: "), left.stderr
    return spoken[0].removeprefix("torch-conformance: ")
