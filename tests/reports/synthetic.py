"""Journals that no run wrote: lines as the schema has them, with as much in them as a test needs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reports.merge import manifest

TIME = 1_790_000_000.0
ENVIRONMENT = {
    "torch": {
        "version": "2.13.0",
        "git": "a1b2c3d4",
        "cuda": "12.8",
        "debug": False,
        "path": "/opt/torch",
        "config": "GCC 13.2",
    },
    "python": "3.12.4",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "platform": "Linux-6.8-x86_64",
    "cpu": "AMD EPYC 9654",
    "cores": 2,
    "threads": 1,
    "setup": [],
    "devices": [{"device": "cpu", "name": "AMD EPYC 9654", "memory": 2**35, "dtypes": ["float32", "float64"]}],
    "modes": ["eager"],
    "packages": {"hypothesis": "6.170.15"},
}
SCRIPT = "import numpy as np\nimport torch\n\nx = torch.tensor([1.0, 2.0])\nassert torch.tanh(x)[0] < 1\n"


def cell(
    subject: str = "tanh", check: str = "value", device: str = "cpu", dtype: str = "float32", **more: Any
) -> dict[str, Any]:
    """An announced cell."""
    id = f"{subject}::{check}::{device}::{dtype}"
    fixed = {"id": id, "kind": "op", "subject": subject, "check": check, "device": device, "mode": "eager"}
    return {**fixed, "dtype": dtype, "level": 1, "family": "activation", **more}


def failure(**more: Any) -> dict[str, Any]:
    """What is recorded about a failure."""
    worst = {
        "what": "output",
        "index": "[1]",
        "got": "0.7615",
        "want": "0.7616",
        "error": "1e-4",
        "allowed": "2e-7",
    }
    return {
        "message": "output differs\nworst element [1]",
        "case": "tanh(array([1.0, 2.0]))",
        "worst": {**worst, "count": 1, "size": 2},
        "script": SCRIPT,
        "confirmed": True,
        "shrunk": True,
        "traceback": "",
        **more,
    }


def header(cells: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The first line of a run over these cells."""
    ids = [item["id"] for item in cells]
    return {
        "event": "header",
        "time": TIME,
        "schema": 1,
        "run": "5f0c",
        "command": ["torch-conformance", "run"],
        "level": 2,
        "seed": 7,
        "shard": None,
        "select": [],
        "known": None,
        "environment": ENVIRONMENT,
        "total": len(ids),
        "manifest": manifest(ids),
        "selected": len(ids),
        **more,
    }


def announce(cells: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A `cells` line."""
    return {"event": "cells", "time": TIME, "cells": list(cells)}


def finish(item: dict[str, Any], outcome: str = "pass", **more: Any) -> dict[str, Any]:
    """A `finish` line."""
    compared = outcome in ("pass", "fail")
    line = {
        "event": "finish",
        "time": TIME + 1,
        "cell": item["id"],
        "outcome": outcome,
        "examples": 20 if compared else 0,
        "elements": 480 if compared else 0,
        "device": item["device"] if compared else None,
        "ratio": {"pass": 0.25, "fail": 512.0}.get(outcome),
        "ulp": {"pass": 1.5, "fail": 4096.0}.get(outcome),
        "seconds": 0.01,
        "seed": 7,
        "detail": "",
        "waiver": None,
        "known": None,
        "failure": failure() if outcome in ("fail", "error", "timeout", "crash") else None,
    }
    return {**line, **more}


def footer(verdict: str = "conforms", **more: Any) -> dict[str, Any]:
    """The last line."""
    return {
        "event": "footer",
        "time": TIME + 60,
        "complete": True,
        "interrupted": False,
        "counts": {},
        "seconds": 60.0,
        "verdict": verdict,
        "exit": 0,
        "stale": [],
        "profile": {"draw": 8.0, "reference": 12.0, "torch": 30.0, "other": 10.0},
        **more,
    }


def encode(lines: Iterable[dict[str, Any]]) -> bytes:
    """The bytes of a journal."""
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def write(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """A journal file of these lines."""
    path.write_bytes(encode(lines))
    return path


def journal(outcomes: dict[str, str | None], **more: Any) -> list[dict[str, Any]]:
    """A whole run: subject -> outcome, None for a cell that did not run."""
    cells = [cell(subject) for subject in outcomes]
    lines = [header(cells, **more), announce(cells)]
    lines += [finish(item, outcome) for item, outcome in zip(cells, outcomes.values()) if outcome]
    return lines


def large(cells: int = 50_000, seed: int = 0) -> list[dict[str, Any]]:
    """A run as large as they get: many families, checks and dtypes, two devices, some of each outcome."""
    rng = random.Random(seed)
    axes = [(check, device, dtype) for device in ("cpu", "cuda:0") for check in _CHECKS for dtype in _DTYPES]
    subjects = -(-cells // len(axes))
    some = [
        cell(f"nn.functional.op_{s:04}", check, device, dtype, family=f"family_{s % 14}")
        for s in range(subjects)
        for check, device, dtype in axes
    ][:cells]
    lines = [header(some)]
    lines += [announce(some[first : first + 1000]) for first in range(0, cells, 1000)]
    lines += [_drawn(item, rng) for item in some]
    return [*lines, footer("deviates", complete=True, exit=1, seconds=190.0)]


_DTYPES = ("float32", "float64", "bfloat16", "float16", "complex64")
_CHECKS = (
    *("value", "vjp", "jvp", "second_order", "layout", "broadcast"),
    *("empty", "in_place", "out", "vmap", "compile", "autocast"),
)
_KNOWN = {"reason": "sums in half", "link": "https://github.com/pytorch/pytorch/issues/1"}


def _drawn(item: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    chance = rng.random()
    took = {"seconds": rng.lognormvariate(-6, 1)}
    numbers = {"ratio": rng.betavariate(1.2, 3), "ulp": rng.gammavariate(2, 1), **took}
    if chance < 0.0015:
        return finish(item, rng.choice(["fail", "fail", "error", "timeout", "crash"]), **took)
    if chance < 0.003:
        return finish(item, "fail", known=_KNOWN, **took)
    if chance < 0.005:
        return finish(item, **{**numbers, "ratio": 1.5}, waiver="ill-conditioned by nature")
    if chance < 0.06:
        detail = f"{item['dtype']} has no kernel on {item['device']}"
        return finish(item, "unsupported", detail=detail, **took)
    if chance < 0.065:
        outcome = rng.choice(["blocked", "not_exercised"])
        return finish(item, outcome, detail="no legal case at this level", **took)
    return finish(item, elements=rng.randrange(100, 90_000), **numbers)
