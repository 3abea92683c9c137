"""What the device can do, measured: the best of a sweep of matrix products, copies and sums.

One size is no ceiling, since the best one differs by device and dtype, so each is swept. Every timing ends by reading
a number of the result on the host, which no device can answer before it is done: a fault in the device's
synchronization, which would flatter the workloads, does not raise their ceiling with them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch

from conformance.bench.devices import lacks

PRODUCTS = {"cpu": (64, 128, 256, 512, 1024), "": (256, 1024, 2048, 4096, 8192)}
BYTES = {"cpu": [2**k for k in range(14, 27, 2)], "": [2**k for k in range(20, 33, 2)]}
ENOUGH = 2e-3  # seconds that a timing takes at least, so that the reading of a number does not matter
ROUNDS, SPENT = 5, 0.05  # timings at least, and seconds: on a busy machine the best of many short ones is undisturbed

# bytes moved for each element of a result: what the count of a copy and an add says, and of a sum, which writes nothing
STREAMS: dict[str, tuple[int, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "copy": (2, lambda a, b, c: c.copy_(a)),
    "add": (3, lambda a, b, c: torch.add(a, b, out=c)),
    "read": (1, lambda a, b, c: a.sum()),
}


def products(device: str, dtype: torch.dtype, timed: Callable[..., float]) -> dict[int, float]:
    """Flops a second of a square matrix product, by its side."""
    found = {}
    for n in PRODUCTS.get(device.partition(":")[0], PRODUCTS[""]):
        a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
        out = torch.empty(n, n, device=device, dtype=dtype)
        found[n] = 2 * n**3 / timed(lambda a=a, b=b, out=out: torch.mm(a, b, out=out))
        if len(found) > 1 and found[n] < max(found.values()) / 4:
            break  # a dtype that has no kernel of its own gets only slower
    return found


def streams(device: str, timed: Callable[..., float], most: int = 2**40) -> dict[str, dict[int, float]]:
    """Bytes a second of a copy, an add and a reading, by the bytes of their operands together."""
    found: dict[str, dict[int, float]] = {name: {} for name in STREAMS}
    for count in BYTES.get(device.partition(":")[0], BYTES[""]):
        if 3 * count > most:
            break
        a, b, c = (torch.ones(count // 4, device=device) for _ in range(3))
        for name, (moved, run) in STREAMS.items():
            found[name][moved * count] = moved * count / timed(lambda run=run, a=a, b=b, c=c: run(a, b, c))
    return found


def best_time(call: Callable[[], torch.Tensor], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of a call: many in a row, until a number of the last result has arrived; the least of many rounds."""

    def many(count: int) -> float:
        began = clock()
        for _ in range(count):
            out = call()
        float(out.reshape(-1)[-1])
        return (clock() - began) / count

    call()
    once = many(1)
    count = max(1, math.ceil(ENOUGH / max(once, 1e-9))) if once < ENOUGH else 1
    began, found = clock(), list[float]()
    while len(found) < ROUNDS or clock() - began < SPENT:
        found.append(many(min(count, 10_000)))
    return min(found)


def sweep(
    device: str,
    dtypes: list[tuple[str, torch.dtype]],
    most: int = 2**40,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Every sweep of a device: {"products": {dtype: {side: flop/s}}, "streams": {name: {bytes: byte/s}}}.

    `most` limits the bytes that a stream touches. A product that the device refuses is left out.
    """

    def timed(call: Callable[[], torch.Tensor]) -> float:
        return best_time(call, clock)

    found: dict[str, dict[int, float]] = {}
    for name, dtype in dtypes:
        try:
            found[name] = products(device, dtype, timed)
        except Exception as error:
            if not lacks(error):
                raise
    return {"products": found, "streams": streams(device, timed, most)}
