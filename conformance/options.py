"""The options that `torch-conformance run` and pytest share.

Every pytest of the environment imports this, through the plugin: nothing heavy at the top.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.run import Request

OUT = Path("conformance-out")


def add(option: Callable[..., Any]) -> None:
    """Declare every option through `option`, argparse's add_argument or pytest's addoption."""
    option(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="cpu, cuda:0, ...; may be repeated (default: all)",
    )
    option("--mode", action="append", default=[], metavar="MODE",
           help="eager, aot_eager, inductor, or compile for the last two; may be repeated (default: all)")  # fmt: skip
    option("--setup", action="append", default=[], metavar="MODULE_OR_FILE",
           help="imported first: registers an out-of-tree backend, or changes torch; may be repeated")  # fmt: skip
    option("--level", type=int, choices=(1, 2, 3, 4), default=2,
           help="1 smoke (30 s), 2 standard (3 min), 3 full (15 min), 4 soak (default: 2)")  # fmt: skip
    option("--select", action="append", default=[], metavar="PATTERN",
           help="cell ids, subjects, families or checks, with * and ?; may be repeated")  # fmt: skip
    option("--known", action="append", default=[], metavar="FILE", type=Path,
           help="expected deviations (TOML); may be repeated; 'none' for an empty list (default: shipped)")  # fmt: skip
    option("--shard", type=_shard, default=None, metavar="I/N", help="only the I-th of N parts")
    option("--resume", action="store_true", default=False, help="go on from the journal in --out")
    option("--seed", type=int, default=0, help="equal seeds give equal inputs (default: 0)")
    option("--out", type=Path, default=OUT, metavar="DIR", help=f"journal and report (default: {OUT})")
    option(
        "--workers",
        type=_workers,
        default=os.cpu_count() or 1,
        help="worker processes (default: one for each core)",
    )
    option("--budget", type=_seconds, default=60.0, metavar="MINUTES",
           help="level 4 goes on with fresh seeds for so long (default: 60; under pytest one round)")  # fmt: skip
    option("--cifar10", type=Path, default=None, metavar="DIR",
           help="the Python version of CIFAR-10: LeNet-5 is trained on it too")  # fmt: skip
    option("--cell-timeout", type=_seconds, default=60.0, metavar="SECONDS", help="most for one cell (default: 60)")


def _shard(text: str) -> tuple[int, int]:
    try:
        index, count = map(int, text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, such as 1/4") from None
    if not 1 <= index <= count:
        raise argparse.ArgumentTypeError(f"{text!r}: I must be from 1 to N")
    return index, count


def _workers(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time")
    return seconds


def known_files(given: list[Path]) -> tuple[Path, ...]:
    """The files named, or those shipped."""
    from conformance import known

    if [str(p) for p in given] == ["none"]:
        return ()
    return tuple(given) or tuple(sorted(known.SHIPPED.glob("*.toml")))


def request(options: Any) -> Request:
    """The request that parsed options stand for."""
    from conformance.run import Request

    return Request(
        out=Path(options.out), devices=tuple(options.device), modes=tuple(options.mode), setup=tuple(options.setup),
        level=options.level, select=tuple(options.select), known=known_files(options.known), shard=options.shard,
        resume=options.resume, seed=options.seed, workers=options.workers, timeout=options.cell_timeout,
        budget=60 * options.budget, command=tuple(sys.argv),
        cifar10="" if options.cifar10 is None else str(options.cifar10.resolve()),
    )  # fmt: skip
