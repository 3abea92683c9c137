"""What is asked of an accelerator, with stand-ins: none of this has met a GPU."""

from __future__ import annotations

import subprocess
import types

import pytest
import torch

from conformance.bench import ceilings, devices


class Event:
    """torch.cuda.Event's surface: times in milliseconds."""

    clock = 0.0

    def __init__(self, enable_timing=False):
        self.timing, self.at = enable_timing, None

    def record(self):
        Event.clock += 2.5
        self.at = Event.clock

    def elapsed_time(self, other):
        assert self.timing and other.timing
        return other.at - self.at


def test_events_give_seconds():
    begin, end, between = devices.events(types.SimpleNamespace(Event=Event))()
    begin()
    end()
    assert between() == pytest.approx(2.5e-3)


def refuse(enable_timing=False):
    raise RuntimeError("no timing here")


@pytest.mark.parametrize("module", [None, types.SimpleNamespace(), types.SimpleNamespace(Event=refuse)])
def test_a_device_without_events_has_none(module):
    assert devices.events(module) is None


def test_peak_memory_is_since_the_last_look():
    peak = [100]
    module = types.SimpleNamespace(
        max_memory_allocated=lambda name: peak[0], reset_peak_memory_stats=lambda name: peak.__setitem__(0, 7)
    )
    read = devices.peak(module, "cuda:0")
    assert (read(), read()) == (100, 7)
    assert devices.peak(types.SimpleNamespace(), "cuda:0") is None


def test_the_flush_is_four_times_the_second_level_cache():
    def properties(size):
        return types.SimpleNamespace(get_device_properties=lambda name: types.SimpleNamespace(L2_cache_size=size))

    assert devices.flush_bytes(properties(100 * 2**20), "cuda:0") == 400 * 2**20
    assert devices.flush_bytes(properties(2**20), "cuda:0") == devices.FLUSH_LEAST
    assert devices.flush_bytes(None, "cuda:0") == devices.FLUSH_LEAST


def smi(stdout):
    return lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=stdout, stderr="")


def test_clocks_and_throttling_are_read_from_the_smi(monkeypatch):
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(devices.subprocess, "run", smi("1980, 2619, 41, 312.55, 0x0000000000000004, 550.54.15\n"))
    found = devices.nvidia_state("cuda:0")
    assert found["clock_mhz"] == 1980 and found["watts"] == 312.55
    assert found["throttled"] == "0x0000000000000004" and found["driver"] == "550.54.15"


def test_a_machine_without_the_smi_says_nothing(monkeypatch):
    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    assert devices.nvidia_state("cuda:0") == {}


def test_an_smi_that_fails_says_nothing(monkeypatch):
    def fail(*a, **k):
        raise subprocess.CalledProcessError(9, "nvidia-smi")

    monkeypatch.setattr(devices.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(devices.subprocess, "run", fail)
    assert devices.nvidia_state("cuda:0") == {}


def test_an_accelerator_is_made_of_what_its_module_has(monkeypatch):
    waited = []
    module = types.SimpleNamespace(synchronize=lambda: waited.append(1), Event=Event)
    monkeypatch.setattr(torch, "sim", module, raising=False)
    made = devices.device("sim:0")
    made.synchronize()
    assert waited == [1] and made.asynchronous and made.memory is None and made.events is not None


def test_a_device_that_cannot_be_waited_for_is_refused(monkeypatch):
    monkeypatch.setattr(torch, "sim", types.SimpleNamespace(), raising=False)
    monkeypatch.setattr(torch, "accelerator", None, raising=False)
    with pytest.raises(RuntimeError, match="nothing can be timed"):
        devices.device("sim:0")


def test_a_setup_module_can_bring_a_device(monkeypatch):
    monkeypatch.setitem(devices.MAKERS, "mine", lambda name: name)
    assert devices.device("mine:0") == "mine:0"


def test_settings_are_pinned_and_read_back():
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        found = devices.pin(1, tf32=False)
        assert (found["threads"], found["float32_matmul_precision"]) == (1, "highest")
        assert found["cudnn.benchmark"] is False and found["cudnn.allow_tf32"] is False
        assert devices.pin(1, tf32=True)["cudnn.allow_tf32"] is True
    finally:
        devices.pin(before[0], tf32=False)
        torch.set_float32_matmul_precision(before[1])


def test_tf32_is_refused_with_a_reason_where_there_is_none(monkeypatch):
    assert "CUDA" in devices.tf32("cpu")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: (7, 5))
    assert "8.0" in devices.tf32("cuda:0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: (9, 0))
    assert devices.tf32("cuda:0") == ""


def test_a_machine_without_accelerator_says_what_was_not_measured(monkeypatch):
    monkeypatch.setattr("conformance.target.devices", lambda: ["cpu"])
    (sentence,) = devices.absent()
    assert "No accelerator" in sentence
    monkeypatch.setattr("conformance.target.devices", lambda: ["cpu", "cuda:0"])
    assert devices.absent() == []


def test_a_ceiling_ends_with_a_number_on_the_host():
    """The device is asynchronous: only reading the result waits for it."""
    now = [0.0]

    class Result:
        def reshape(self, *_):
            return self

        def __getitem__(self, _):
            return self

        def __float__(self):
            now[0] = max(now[0], busy[0])
            return 0.0

    busy = [0.0]

    def call():
        now[0] += 1e-6
        busy[0] = max(busy[0], now[0]) + 1e-3
        return Result()

    assert ceilings.best_time(call, lambda: now[0]) == pytest.approx(1e-3, rel=0.01)


def test_a_sweep_has_every_dtype_and_stream(monkeypatch):
    monkeypatch.setitem(ceilings.PRODUCTS, "cpu", (8, 16))
    monkeypatch.setitem(ceilings.BYTES, "cpu", [2**12, 2**14])
    monkeypatch.setattr(ceilings, "SPENT", 0.0)
    found = ceilings.sweep("cpu", [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
    assert set(found["products"]) == {"float32", "bfloat16"}
    assert set(found["streams"]) == {"copy", "add", "read"}
    assert set(found["streams"]["add"]) == {3 * 2**12, 3 * 2**14}
    assert ceilings.sweep("cpu", [], most=2**12)["streams"]["copy"] == {}
