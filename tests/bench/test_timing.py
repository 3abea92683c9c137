"""Every column says what it claims, on a device whose clock is simulated to the nanosecond."""

from __future__ import annotations

import dataclasses

import pytest

from conformance.bench import timing


class Simulated:
    """A device with a queue: a call takes the host `launch` seconds and the device `kernel` seconds more."""

    def __init__(self, launch=5e-6, kernel=1e-3, warm=1e-3, cold=2e-3):
        self.now = self.busy = 0.0
        self.launch, self.kernel, self.warm, self.cold = launch, kernel, warm, cold
        self.flushed = False

    def clock(self):
        self.now += 1e-9
        return self.now

    def call(self):
        self.now += self.launch
        kernel = self.cold if self.flushed else self.kernel
        self.flushed = False
        self.busy = max(self.busy, self.now) + kernel

    def synchronize(self):
        self.now = max(self.now, self.busy)

    def flush(self):
        self.flushed = True
        self.busy = max(self.busy, self.now) + 1e-4

    def events(self):
        marks = []

        def mark():
            marks.append(max(self.busy, self.now))

        return mark, mark, lambda: marks[1] - marks[0]

    def device(self, **changed):
        made = timing.Device("sim:0", self.synchronize, self.flush, self.events)
        return dataclasses.replace(made, **changed)


def least(block):
    return min(block.samples)


def test_latency_waits_for_the_device():
    sim = Simulated()
    assert least(timing.latency(sim.call, sim.device(), 0.1, sim.clock)) == pytest.approx(1.005e-3, rel=1e-4)


def test_pipelined_hides_the_launches():
    sim = Simulated(launch=0.9e-3)
    assert least(timing.pipelined(sim.call, sim.device(), 0.1, sim.clock)) < 1.9e-3 / 1.3


def test_pipelined_of_a_device_slower_than_its_launches_is_the_launch():
    sim = Simulated(launch=1e-4, kernel=1e-6)
    assert least(timing.pipelined(sim.call, sim.device(), 0.1, sim.clock)) == pytest.approx(1e-4, rel=0.02)


def test_the_device_column_has_no_launch_in_it():
    sim = Simulated(launch=1e-6)
    assert least(timing.on_device(sim.call, sim.device(), 0.1, sim.clock)) == pytest.approx(1e-3, rel=2e-3)
    assert timing.on_device(sim.call, sim.device(events=None), 0.1, sim.clock) is None


def test_cold_is_after_a_flush_that_is_not_timed():
    sim = Simulated()
    assert least(timing.cold(sim.call, sim.device(), 0.1, sim.clock)) == pytest.approx(2.005e-3, rel=1e-4)


def test_without_the_second_wait_the_reading_is_the_launch_alone():
    sim = Simulated()
    missing = sim.device(synchronize=lambda: None)
    assert least(timing.latency(sim.call, missing, 0.01, sim.clock)) < 1e-3 / 80


def test_warming_up_goes_on_until_two_windows_agree():
    sim = Simulated(kernel=20e-3)

    def settling():
        sim.kernel = max(1e-3, 0.8 * sim.kernel)  # at rest after 14 calls
        sim.call()

    calls, stable = timing.warm_up(settling, sim.device(), sim.clock)
    assert stable and 20 <= calls <= 25


def test_what_never_settles_is_said_to_be_unstable():
    sim = Simulated()

    def growing():
        sim.kernel *= 1.2
        sim.call()

    assert timing.warm_up(growing, sim.device(), sim.clock, most=0.5)[1] is False


def test_a_block_has_at_least_five_samples_and_ends():
    sim = Simulated(kernel=10.0)
    assert len(timing.latency(sim.call, sim.device(), 0.01, sim.clock).samples) == timing.LEAST
    quick = Simulated(kernel=1e-9, launch=1e-9)
    assert len(timing.latency(quick.call, quick.device(), 10.0, quick.clock).samples) == timing.MOST


def test_a_measurement_has_every_column_or_none_in_its_place():
    sim = Simulated()
    found = timing.measure(sim.call, sim.device(), 0.01, clock=sim.clock)
    assert list(found["columns"]) == list(timing.COLUMNS)
    assert found["columns"]["transfer"] is None and found["memory"] is None
    peaks = iter([7, 42])
    with_memory = sim.device(memory=lambda: next(peaks))
    found = timing.measure(sim.call, with_memory, 0.01, transfer=sim.call, clock=sim.clock)
    assert found["memory"] == 42  # the first call resets what came before
    assert found["columns"]["transfer"]["min"] > 0


def test_only_the_wanted_columns_are_measured():
    sim = Simulated()
    found = timing.measure(sim.call, sim.device(), 0.01, clock=sim.clock, wanted=("pipelined",))["columns"]
    assert [name for name, block in found.items() if block] == ["pipelined"]
