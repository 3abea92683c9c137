"""The fixtures of the workloads for pytest-benchmark."""

from __future__ import annotations

import pytest


def pytest_ignore_collect(collection_path, config):
    """Workloads are timed where that is asked for alone: beside a validation they would measure it."""
    asked = config.getoption("benchmark_only", default=False)
    return True if collection_path.name == "test_workloads.py" and not asked else None


@pytest.fixture(scope="session")
def bench_place(request):
    """The device and the threads: the first --device, else the CPU with one thread."""
    named = request.config.getoption("--device", default=None) or ["cpu/1"]
    return named[0]


@pytest.fixture
def torch_workload(request, bench_place, benchmark, tmp_path):
    """Makes the call of an item that may be timed: checked, pinned, and waiting for its device.

    Skips where the device cannot have it, fails where its result is not what the reference says. The fingerprint goes
    into the benchmark's extra_info, so that a history knows of what machine it is.
    """
    if hasattr(request.config, "workerinput"):
        pytest.skip("benchmarks are not run beside each other: leave -n away")
    import torch

    from conformance.bench import devices, parity, worker

    name, _, threads = bench_place.partition("/")
    before = torch.get_num_threads()
    device = devices.device(name)

    def make(item):
        why = devices.tf32(name) if item.dtype == "tf32" else ""
        if why:
            pytest.skip(why)
        settings = devices.pin(int(threads or 0) or before, item.dtype == "tf32")
        try:
            prepared = worker.prepared(item, name, device, str(tmp_path), seed=0)
        except Exception as error:
            if not devices.lacks(error):
                raise
            pytest.skip(f"{type(error).__name__}: {error}".splitlines()[0])
        wrong = parity.check(item, tmp_path / prepared.answer, 0)
        if wrong:
            pytest.fail(f"no parity, no figure: {wrong}", pytrace=False)
        benchmark.extra_info.update(
            fingerprint=worker.fingerprint(name, name, settings), flops=prepared.flops, bytes=prepared.bytes
        )

        def call():
            prepared.call()
            device.synchronize()

        return call

    yield make
    devices.pin(before, tf32=False)
