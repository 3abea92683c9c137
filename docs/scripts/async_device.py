"""A setup module: a simulated asynchronous device, "async:0", whose mm runs behind the caller's back.

A call of its mm only queues the product, which a thread computes with torch on the CPU; synchronize waits for the
queue. With MISSING_SYNC=1 the wait after the timed call is left out, as a careless benchmark of a GPU does.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from conformance.bench import bodies, devices, timing

DEEP = 64  # calls that the queue holds; the next one waits, as on a GPU
queue = ThreadPoolExecutor(1)
pending: list[Future[Any]] = []


def synchronize() -> None:
    while pending:
        pending.pop().result()


def mm(tensors: list[torch.Tensor]) -> bodies.Body:
    a, b = tensors
    out = torch.empty(a.shape[0], b.shape[1], dtype=a.dtype)

    def product() -> None:
        with torch.no_grad():
            torch.mm(a, b, out=out)

    def call() -> torch.Tensor:
        if a.is_meta:  # the flops are being counted
            return torch.mm(a, b)
        if len(pending) >= DEEP:
            pending.pop(0).result()
        pending.append(queue.submit(product))
        return out

    return bodies.Body(call, tensors)


def careless(call: timing.Call, device: timing.Device, clock: timing.Clock) -> float:
    """`timing._timed` without its second wait."""
    device.synchronize()
    began = clock()
    call()
    return clock() - began


bodies.BODIES["mm"] = mm
devices.MAKERS["async"] = lambda name: timing.Device(name, synchronize, lambda: None)
if os.environ.get("MISSING_SYNC"):
    timing._timed = careless
