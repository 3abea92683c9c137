"""Asks this machine's torch, in a process of its own, what there is: environment, targets, cells.

``python -m conformance.probe`` reads a request from standard input and prints one JSON object. A torch
that is missing, broken or crashes at import therefore costs a sentence and not the command.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


class TorchError(Exception):
    """torch is missing or cannot be used; one sentence says how."""


class UsageError(Exception):
    """The request names something that is not there; one sentence says what."""


def ask(setup: list[str], devices: list[str], modes: list[str]) -> dict[str, Any]:
    """The environment and every cell of the targets. Raises TorchError or UsageError."""
    request = json.dumps({"setup": setup, "devices": devices, "modes": modes})
    done = subprocess.run(
        [sys.executable, "-m", "conformance.probe"],
        input=request,
        capture_output=True,
        text=True,
        check=False,
    )
    for line in reversed(done.stdout.splitlines()):
        if line.startswith('{"probe"'):
            answer: dict[str, Any] = json.loads(line)["probe"]
            if "usage" in answer:
                raise UsageError(answer["usage"])
            if "broken" in answer:
                raise TorchError(answer["broken"])
            return answer
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise TorchError(f"importing torch, or asking what it has, ended the process ({how}): {last}")


def main() -> None:
    request = json.load(sys.stdin)
    print(json.dumps({"probe": _answer(request)}))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            return {"broken": _unusable(error)}
        return {"broken": "torch is not installed for this Python: install it, or run with the Python that has it"}
    except BaseException as error:
        return {"broken": _unusable(error)}
    missing = [name for name in ("__version__", "tensor", "autograd") if not hasattr(torch, name)]
    if missing:
        return {"broken": f"this torch is broken: it has no torch.{missing[0]} ({getattr(torch, '__file__', '?')})"}
    return _describe(request)


def _unusable(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"importing torch failed: {': '.join([type(error).__name__, *said[:1]])}"


def _describe(request: dict[str, Any]) -> dict[str, Any]:
    from conformance import target

    try:
        target.load_setup(request["setup"])
        from conformance.kinds import all_cells

        targets = target.select_targets(request["devices"], request["modes"] or list(target.MODES))
    except target.UsageError as error:
        return {"usage": str(error)}
    return {
        "environment": target.environment(request["setup"]),
        "cells": [c.record() for c in all_cells(targets)],
        "modes": sorted({t.mode for t in targets}),
    }


if __name__ == "__main__":
    main()
