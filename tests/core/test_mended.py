"""Promises that torch itself breaks are kept by a torch that is mended, and every other one has a fault."""

from __future__ import annotations

import pytest
import torch

from conformance.behaviours import PROMISES
from conformance.behaviours.promise import Promise
from conformance.checks.check import Unsupported
from conformance.faults import FAULTS
from conformance.known import shipped
from tests.core import mends_of_hooks, mends_of_modules
from tests.core.mending import MENDED

KNOWN = shipped()
assert mends_of_hooks and mends_of_modules  # importing them registers their mends

# Faults are planted on the CPU and in the torch of today: these are about a second device, and about files of 2.15.
OUT_OF_REACH = {"gradients_cross_to_a_second_device", "streams_order_work", "files_of_2_15_are_read"}


@pytest.mark.parametrize(("subject", "check"), MENDED)
def test_a_mended_torch_keeps_it(subject: str, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    promise = PROMISES[subject, check]
    rare = any(entry.rare and entry.covers(f"{subject}::{check}::cpu::float32") for entry in KNOWN)
    try:
        if not rare:
            with pytest.raises((AssertionError, RuntimeError, KeyError, TypeError, ValueError)):
                asked(promise)
        MENDED[subject, check](monkeypatch)
        asked(promise)
    except Unsupported as missing:
        pytest.skip(str(missing))


def asked(promise: Promise) -> None:
    if promise.missing():
        raise Unsupported(f"this torch has no {promise.missing()}")
    for given in [{"seed": seed} for seed in range(3)] if promise.random else [{}]:
        promise.run(torch.device("cpu"), torch.float32, **given)


def test_every_other_promise_has_a_fault() -> None:
    planted = {check for fault in FAULTS.values() for check in fault.checks}
    mended = {check for _, check in MENDED}
    assert {p.check for p in PROMISES.values()} - planted == mended | OUT_OF_REACH
