"""Shares of the measured limit, and the rule that nothing exceeds it."""

from __future__ import annotations

import pytest

from conformance.bench import limits
from tests.bench.test_timing import Simulated, least, timing

SWEEPS = [
    {"products": {"float32": {"64": 5e9, "512": 90e9}}, "streams": {"copy": {"65536": 40e9, "16777216": 8e9}}},
    {"products": {"float32": {"64": 7e9, "512": 100e9}}, "streams": {"read": {"65536": 50e9, "16777216": 10e9}}},
]
CEILINGS = limits.gathered(SWEEPS)


def test_a_ceiling_is_the_best_of_a_sweep_and_of_all_sweeps():
    assert CEILINGS.flops("float32") == 100e9
    assert CEILINGS.flops("bfloat16") is None


def test_small_operands_are_held_against_the_caches_and_large_ones_against_the_memory():
    assert CEILINGS.bandwidth(1000) == 50e9
    assert CEILINGS.bandwidth(2**24) == 10e9
    assert CEILINGS.bandwidth(2**40) == 50e9  # beyond the sweep: the best of the largest three


def test_the_nearer_ceiling_decides():
    compute = limits.share(2.0, int(100e9), 8, "float32", CEILINGS)
    assert (compute.by, compute.share) == ("compute", 0.5)
    memory = limits.share(2.0, 8, int(10e9), "float32", limits.gathered(SWEEPS[1:]))
    assert memory.by == "memory"


@pytest.mark.parametrize(("seconds", "impossible"), [(1.0, False), (0.98, False), (0.96, True), (0.0125, True)])
def test_beyond_103_percent_is_impossible(seconds, impossible):
    assert limits.share(seconds, int(100e9), 0, "float32", CEILINGS).impossible is impossible


def test_what_has_neither_flops_nor_bytes_has_no_share():
    assert limits.share(1.0, 0, 0, "float32", CEILINGS) is None
    assert limits.share(1.0, 10, 0, "float16", CEILINGS) is None


def test_a_missing_synchronisation_is_beyond_the_limit_and_a_right_one_is_not():
    """A kernel that runs at 90% of its ceiling, timed with and without the wait."""
    flops = int(0.9 * 100e9 * 1e-3)
    for wait, impossible in ((True, False), (False, True)):
        sim = Simulated(kernel=1e-3)
        device = sim.device() if wait else sim.device(synchronize=lambda: None)
        seconds = least(timing.latency(sim.call, device, 0.01, sim.clock))
        assert limits.share(seconds, flops, 0, "float32", CEILINGS).impossible is impossible
