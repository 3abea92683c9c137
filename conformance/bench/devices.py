"""Devices as timing wants them, and what is pinned while they are measured.

Everything beyond the CPU is asked for by feature: what a torch or a machine does not have is None, and the run says so.
None of it has run on a GPU yet; tests/bench/test_devices.py proves it with stand-ins.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from conformance.bench.timing import Device
from conformance.checks.check import capability_reason

FLUSH_CPU = 64 * 2**20  # bytes: beyond the last level cache of most machines
FLUSH_LEAST = 256 * 2**20  # bytes written on a device whose cache size cannot be read

NO_MEMORY = re.compile("out of memory|enough memory|allocate memory", re.IGNORECASE)

# Makes the Device of a name such as "async:0". A --setup module adds a backend that torch does not time by itself.
MAKERS: dict[str, Callable[[str], Device]] = {}


def device(name: str) -> Device:
    """The device of this name, as `conformance.target.devices` spells it."""
    kind = name.partition(":")[0]
    if kind in MAKERS:
        return MAKERS[kind](name)
    return _cpu() if kind == "cpu" else _accelerator(name, kind)


def _cpu() -> Device:
    buffer: list[torch.Tensor] = []

    def flush() -> None:
        if not buffer:
            buffer.append(torch.zeros(FLUSH_CPU // 4))
        buffer[0].add_(1.0)

    return Device("cpu", lambda: None, flush, state=_cpu_state, asynchronous=False)


def _cpu_state() -> dict[str, Any]:
    """The load, and the clock of the first core, where Linux tells them."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError, AttributeError):
        found["load"] = round(os.getloadavg()[0], 2)
    with contextlib.suppress(OSError, ValueError):
        clock = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").read_text()
        found["clock_mhz"] = int(clock) // 1000
    with contextlib.suppress(OSError, ValueError):
        throttled = Path("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count").read_text()
        found["throttled"] = int(throttled)
    return found


def _accelerator(name: str, kind: str) -> Device:
    module = getattr(torch, kind, None)
    synchronize = getattr(module, "synchronize", None) or getattr(
        getattr(torch, "accelerator", None), "synchronize", None
    )
    if synchronize is None:
        raise RuntimeError(f"{name}: torch.{kind} has no synchronize, so nothing can be timed")
    buffer: list[torch.Tensor] = []

    def flush() -> None:
        if not buffer:
            buffer.append(torch.empty(flush_bytes(module, name), dtype=torch.uint8, device=name))
        buffer[0].zero_()

    return Device(
        name, synchronize, flush, events(module), peak(module, name),
        (lambda: nvidia_state(name)) if kind == "cuda" else dict,
    )  # fmt: skip


def flush_bytes(module: Any, name: str) -> int:
    """Four times the second level cache, which the buffer then fills whatever the policy of replacement."""
    properties = getattr(module, "get_device_properties", lambda n: None)(name)
    return max(FLUSH_LEAST, 4 * int(getattr(properties, "L2_cache_size", 0) or 0))


def events(module: Any) -> Callable[[], tuple[Any, Any, Callable[[], float]]] | None:
    """Marks on the device's own stream; None where its module has no Event that takes times."""
    make = getattr(module, "Event", None)
    if make is None:
        return None
    try:
        make(enable_timing=True)
    except (TypeError, RuntimeError, NotImplementedError):
        return None

    def pair() -> tuple[Any, Any, Callable[[], float]]:
        begin, end = make(enable_timing=True), make(enable_timing=True)
        return begin.record, end.record, lambda: begin.elapsed_time(end) / 1e3  # it gives milliseconds

    return pair


def peak(module: Any, name: str) -> Callable[[], int] | None:
    """Peak bytes allocated since the last call."""
    read, reset = (getattr(module, n, None) for n in ("max_memory_allocated", "reset_peak_memory_stats"))
    if read is None or reset is None:
        return None

    def since() -> int:
        found = int(read(name))
        reset(name)
        return found

    return since


NVIDIA = {
    "clock_mhz": "clocks.sm", "memory_clock_mhz": "clocks.mem", "celsius": "temperature.gpu", "watts": "power.draw",
    "throttled": "clocks_throttle_reasons.active", "driver": "driver_version",
}  # fmt: skip


def nvidia_state(name: str) -> dict[str, Any]:
    """Clocks, temperature, power and reasons of throttling by nvidia-smi; empty where there is none."""
    if shutil.which("nvidia-smi") is None:
        return {}
    index = name.partition(":")[2] or "0"
    with contextlib.suppress(Exception):  # the smi numbers devices by itself: a uuid is the same for both
        uuid = str(torch.cuda.get_device_properties(name).uuid)
        index = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
    asked = ["nvidia-smi", f"--query-gpu={','.join(NVIDIA.values())}", "--format=csv,noheader,nounits", "-i", index]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(NVIDIA, (_number(part.strip()) for part in done.stdout.strip().split(","))))


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


# settings


def pin(threads: int, tf32: bool) -> dict[str, Any]:
    """Set everything that changes what a kernel does or how fast, and return what holds, as it is read back.

    Autotuning of convolutions is off, so that every process takes the same algorithm; TF32 is on for it alone.
    """
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    with contextlib.suppress(AttributeError, RuntimeError):
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(False)
    return settings()


def settings() -> dict[str, Any]:
    """The settings as torch reports them."""
    matmul, cudnn = getattr(torch.backends.cuda, "matmul", None), torch.backends.cudnn
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "matmul.allow_tf32": getattr(matmul, "allow_tf32", None),
        "cudnn.allow_tf32": getattr(cudnn, "allow_tf32", None),
        "cudnn.benchmark": getattr(cudnn, "benchmark", None),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def tf32(name: str) -> str:
    """Empty where the device multiplies in TF32, else why it does not."""
    if not name.startswith("cuda"):
        return "TF32 is a precision of CUDA devices"
    if torch.cuda.get_device_capability(name)[0] < 8:
        return "TF32 needs compute capability 8.0"
    return ""


def lacks(error: Exception) -> bool:
    """Whether an error says that the device has no such kernel, or not the memory. Any other is a failure."""
    return capability_reason(error) is not None or bool(NO_MEMORY.search(str(error)))


def absent() -> list[str]:
    """What this machine has none of, in sentences for the report."""
    from conformance.target import devices

    if devices() != ["cpu"]:
        return []
    built = torch.version.cuda or getattr(torch.version, "hip", None)
    why = f"this torch is built for {built}, but sees no device" if built else "this torch is built for the CPU alone"
    return [f"No accelerator was measured: {why}. There are no device events, transfers, peak memory or TF32."]
