"""Plants every fault in a process of its own and shows which checks turn red."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import logging
import multiprocessing
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from conformance.checks.check import Clock
from conformance.faults.fault import FAULTS, Fault
from conformance.kinds import all_cells, session
from conformance.run import UsageError
from conformance.session import Options
from conformance.target import Target

# Ops that no fault touches on purpose: they must stay green.
BYSTANDERS = ("sub", "atanh", "permute")
SECONDS = 180.0
# Imported before a fault is planted: torch compiles parts of itself on first use, from the functions
# that it then finds.
PRELOAD = [
    "conformance.faults", "conformance.kinds", "torch._decomp.decompositions_for_jvp", "torch._dynamo",
    "torch._functorch.aot_autograd", "torch._subclasses.fake_tensor", "hypothesis.strategies", "reference.ops",
]  # fmt: skip
RED = ("fail", "error")


@dataclasses.dataclass
class Finding:
    """What became of one fault.

    red      the cells that turned red, with the first line of their failure
    seconds  of processor time
    """

    fault: str
    what: str
    models: str
    subjects: list[str]
    checks: list[str]
    verdict: str = "broken"
    reason: str = ""
    red: dict[str, str] = dataclasses.field(default_factory=dict)
    red_checks: list[str] = dataclasses.field(default_factory=list)
    failure: str = ""
    seconds: float = 0.0


def run_faults(only: Sequence[str], as_json: bool, workers: int) -> int:
    """Run the faults (those named in `only`, or all) and print what was seen; 0 if every one was caught."""
    unknown = [name for name in only if name not in FAULTS]
    if unknown:
        raise UsageError(f"unknown fault {unknown[0]!r}: there are {', '.join(FAULTS)}")
    began = time.perf_counter()
    findings = []
    for finding in find(list(only) or list(FAULTS), workers):
        findings.append(finding)
        if not as_json:
            print(_row(finding), flush=True)
    caught = sum(f.verdict == "caught" for f in findings)
    if as_json:
        print(json.dumps([dataclasses.asdict(f) for f in findings], indent=2))
    else:
        print(f"\n{caught} of {len(findings)} faults caught, in {time.perf_counter() - began:.0f} s")
    return 0 if caught == len(findings) else 1


def find(names: Sequence[str], workers: int = 2) -> Iterator[Finding]:
    """The finding of each fault, in order, each from a fresh process."""
    from pebble import ProcessPool

    with ProcessPool(max_workers=workers, max_tasks=1, context=_context()) as pool:
        futures = [(name, pool.schedule(examine, args=[name], timeout=SECONDS)) for name in names]
        for name, future in futures:
            try:
                yield future.result()
            except Exception as error:  # a plant that raises, a process that dies or hangs
                yield dataclasses.replace(_blank(FAULTS[name]), reason=f"{type(error).__name__}: {error}"[:300])


def _context() -> Any:
    """Fresh processes; where the system can, forked from one that has imported torch and done nothing else."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _blank(fault: Fault) -> Finding:
    return Finding(fault.name, fault.what, fault.models, list(fault.subjects), list(fault.checks))


def examine(name: str) -> Finding:
    """Plant a fault in this process, run its subjects and two bystanders, and judge."""
    _settle()
    fault, began = FAULTS[name], time.process_time()
    fault.plant()
    deepest = max(_lowest_level(check, fault) for check in fault.checks)
    seen = {subject: run_subject(subject, fault, cells=max(3, deepest)) for subject in fault.subjects}
    others = [s for s in BYSTANDERS if s not in fault.subjects][:2]
    finding = judge(fault, seen, {subject: run_subject(subject, fault, cells=max(2, deepest)) for subject in others})
    finding.seconds = time.process_time() - began
    return finding


def _lowest_level(check: str, fault: Fault) -> int:
    levels = [c.level for c in all_cells([Target("cpu", fault.mode)]) if c.check == check]
    return min(levels, default=1)


def _settle() -> None:
    """As in a worker of a run: one thread, no warnings."""
    for module in PRELOAD:
        with contextlib.suppress(ImportError):  # another release of torch
            importlib.import_module(module)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    logging.disable(logging.ERROR)  # fake tensors log what they raise
    torch.set_num_threads(1)


def run_subject(subject: str, fault: Fault, cells: int) -> dict[str, tuple[str, str, str]]:
    """(check, outcome, detail) of a subject's cells up to a level, by id, in the fault's dtypes and mode."""
    target = Target("cpu", fault.mode)
    chosen = [c for c in all_cells([target]) if c.subject == subject and c.level <= cells and c.dtype in fault.dtypes]
    made = session(chosen[0].kind, subject, target, Options(level=fault.level, shrink=False), Clock())
    seen = {}
    for cell in chosen:
        result = made.run(cell)
        seen[cell.id] = (cell.check, result.outcome, result.detail)
    return seen


Seen = dict[str, dict[str, tuple[str, str, str]]]


def judge(fault: Fault, seen: Seen, bystanders: Seen) -> Finding:
    """Caught: every named check failed in every subject, and nothing is red that should not be."""
    finding = _blank(fault)
    everything = [(id, *cell) for part in (seen, bystanders) for cells in part.values() for id, cell in cells.items()]
    finding.red = {id: detail for id, _, outcome, detail in everything if outcome in RED}
    named = [detail for _, check, outcome, detail in everything if outcome == "fail" and check in fault.checks]
    finding.failure = next(iter(named), next(iter(finding.red.values()), ""))
    own = [cell for cells in seen.values() for cell in cells.values()]
    finding.red_checks = list(dict.fromkeys(check for check, outcome, _ in own if outcome in RED))
    missed = [
        f"{subject}::{check}" for subject, cells in seen.items() for check in fault.checks
        if not any(c == check and outcome == "fail" for c, outcome, _ in cells.values())
    ]  # fmt: skip
    strays = [
        id for cells in bystanders.values() for id, (check, outcome, _) in cells.items()
        if outcome in RED and not (fault.wide and check in fault.checks)
    ]  # fmt: skip
    strays += [
        id for cells in seen.values() for id, (check, outcome, _) in cells.items()
        if outcome in RED and check in fault.green
    ]  # fmt: skip
    finding.verdict = "missed" if missed else "misnamed" if strays else "caught"
    finding.reason = f"not seen by {', '.join(missed)}" if missed else f"red: {', '.join(strays)}" if strays else ""
    return finding


def _row(finding: Finding) -> str:
    checks = ", ".join(finding.red_checks) or "nothing"
    lines = [f"{finding.verdict:9}{finding.fault:30}{finding.subjects[0]:30}{finding.seconds:5.1f} s  {checks}"]
    lines.append(f"{'':9}{finding.what}")
    if finding.failure:
        lines.append(f"{'':9}{finding.failure[:150]}")
    if finding.reason:
        lines.append(f"{'':9}{finding.reason}")
    return "\n".join(lines)
