"""Timing that is right for devices which work behind the caller's back.

A call that returns has been queued, no more. What may be said of its time depends on where one waits, so there are
several columns, and no figure without its column:

    latency    from a device that is idle to one that is idle again, around each call
    pipelined  many calls and one wait, for each call: what a training loop sees; the gate's figure
    cold       the latency after the caches have been overwritten
    device     between two events on the device itself
    transfer   the latency with inputs copied to the device and the result back

Nothing here knows torch: a device is a record of functions, and the clock is an argument, so that all is proved on
a simulated device.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Collection
from statistics import median
from typing import Any

COLUMNS = ("latency", "pipelined", "cold", "device", "transfer")
STABLE = 0.05  # two windows of calls that agree so well: warm
WINDOW = 5
WARM_MOST = 1.0  # seconds
LEAST = 5  # samples of a block
MOST = 2000
SHOWN = 20  # samples that a journal keeps, for who wants to see more than their minimum
PIPELINED = 1e-3  # seconds that a pipelined sample takes at least
QUEUED = 8  # calls in a pipelined sample of an asynchronous device at least: with one there is no pipeline

Call = Callable[[], Any]
Clock = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Device:
    """What timing needs of a device.

    synchronize  waits until everything that was queued is done
    flush        overwrites its caches
    events       makes two marks: (mark begin, mark end, seconds between them); None where it has no events
    memory       resets its peak at each call and returns the bytes since the last; None where it cannot be read
    state        clocks, temperatures, reasons of throttling, as far as they can be read
    asynchronous whether a call may return before it is done
    """

    name: str
    synchronize: Call
    flush: Call
    events: Callable[[], tuple[Call, Call, Callable[[], float]]] | None = None
    memory: Callable[[], int] | None = None
    state: Callable[[], dict[str, Any]] = dict
    asynchronous: bool = True


@dataclasses.dataclass(frozen=True)
class Block:
    """Samples of one column in one process, in seconds for each call. `calls` is how many a sample holds."""

    samples: tuple[float, ...]
    calls: int = 1

    def record(self) -> dict[str, Any]:
        kept = sorted(self.samples)
        return {"min": kept[0], "median": median(kept), "max": kept[-1], "samples": len(kept), "calls": self.calls,
                "first": self.samples[:SHOWN]}  # fmt: skip


def warm_up(call: Call, device: Device, clock: Clock = time.perf_counter, most: float = WARM_MOST) -> tuple[int, bool]:
    """Call until the medians of two windows agree within 5%. Returns the calls that took, and whether they agreed."""
    began, calls, last = clock(), 0, math.nan
    while True:
        times = [_timed(call, device, clock) for _ in range(WINDOW)]
        calls += WINDOW
        now = median(times)
        if abs(now - last) <= STABLE * last:
            return calls, True
        if clock() - began > most:
            return calls, False
        last = now


def _timed(call: Call, device: Device, clock: Clock) -> float:
    """Seconds of a call, from an idle device to an idle device."""
    device.synchronize()
    began = clock()
    call()
    device.synchronize()
    return clock() - began


def _block(sample: Callable[[], float], seconds: float, clock: Clock, calls: int = 1) -> Block:
    """Samples until the seconds are spent, at least five."""
    began, samples = clock(), list[float]()
    while len(samples) < LEAST or (clock() - began < seconds and len(samples) < MOST):
        samples.append(sample())
    return Block(tuple(samples), calls)


def latency(call: Call, device: Device, seconds: float, clock: Clock = time.perf_counter) -> Block:
    """The column `latency`."""
    return _block(lambda: _timed(call, device, clock), seconds, clock)


def pipelined(call: Call, device: Device, seconds: float, clock: Clock = time.perf_counter) -> Block:
    """The column `pipelined`: so many calls to a sample that it takes a millisecond, and a queue can form."""

    def many(calls: int) -> float:
        def repeat() -> None:
            for _ in range(calls):
                call()

        return _timed(repeat, device, clock)

    calls = QUEUED if device.asynchronous else 1
    while many(calls) < PIPELINED and calls < 2**16:
        calls *= 2
    return _block(lambda: many(calls) / calls, seconds, clock, calls)


def cold(call: Call, device: Device, seconds: float, clock: Clock = time.perf_counter) -> Block:
    """The column `cold`."""

    def sample() -> float:
        device.flush()
        return _timed(call, device, clock)

    return _block(sample, seconds, clock)


def on_device(call: Call, device: Device, seconds: float, clock: Clock = time.perf_counter) -> Block | None:
    """The column `device`; None where the device has no events."""
    if device.events is None:
        return None
    make = device.events

    def sample() -> float:
        begin, end, between = make()
        device.synchronize()
        begin()
        call()
        end()
        device.synchronize()
        return between()

    return _block(sample, seconds, clock)


def measure(
    call: Call,
    device: Device,
    seconds: float,
    transfer: Call | None = None,
    clock: Clock = time.perf_counter,
    wanted: Collection[str] = COLUMNS,
) -> dict[str, Any]:
    """The columns that are wanted and that the device has, of a call.

    `transfer` is the call with its copies to the device and back.
    """
    calls, stable = warm_up(call, device, clock)
    if device.memory is not None:
        device.memory()
    ways: dict[str, Callable[[], Block | None]] = {
        "latency": lambda: latency(call, device, seconds, clock),
        "pipelined": lambda: pipelined(call, device, seconds, clock),
        "cold": lambda: cold(call, device, seconds / 2, clock),
        "device": lambda: on_device(call, device, seconds, clock),
        "transfer": lambda: None if transfer is None else latency(transfer, device, seconds / 2, clock),
    }
    found = {name: way() if name in wanted else None for name, way in ways.items()}
    return {
        "columns": {name: None if block is None else block.record() for name, block in found.items()},
        "warm": {"calls": calls, "stable": stable},
        "memory": None if device.memory is None else device.memory(),
    }
