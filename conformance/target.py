"""Targets: one device in one execution mode. What this machine has, and what each device can hold."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from conformance.bridge import dtype_of
from conformance.cells import target_name
from conformance.dtypes import DTYPES

MODES = ("eager", "aot_eager", "inductor")


class UsageError(Exception):
    """The user asked for something that is not there; one sentence, exit code 2."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A device ("cpu", "cuda:0") in a mode of execution."""

    device: str
    mode: str = "eager"

    @property
    def name(self) -> str:
        return target_name(self.device, self.mode)

    @functools.cached_property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)


def load_setup(modules: Sequence[str]) -> None:
    """Import each module or Python file first: it registers an out-of-tree backend, or changes torch."""
    for name in modules:
        path = Path(name)
        try:
            if path.suffix == ".py":
                spec = importlib.util.spec_from_file_location(path.stem, path)
                assert spec is not None and spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                sys.modules[path.stem] = module
                spec.loader.exec_module(module)
            else:
                importlib.import_module(name)
        except FileNotFoundError as error:
            raise UsageError(f"--setup {name}: no such file") from error
        except (Exception, SystemExit) as error:
            raise UsageError(f"--setup {name}: {type(error).__name__}: {error}") from error


def devices() -> list[str]:
    """The CPU and every accelerator that this torch reports, one entry for each."""
    found = ["cpu"]
    for kind in _accelerators():
        count = getattr(getattr(torch, kind, None), "device_count", lambda: 1)()
        found += [f"{kind}:{i}" for i in range(count)]
    return found


def _accelerators() -> list[str]:
    """The device types that are there: torch.accelerator's, and those that older releases know by name."""
    kinds = ["cuda", "xpu", "mps", "mtia", "hpu", "npu"]
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is not None and accelerator.is_available():
        kinds.insert(0, accelerator.current_accelerator().type)
    private = getattr(torch._C, "_get_privateuse1_backend_name", lambda: "privateuseone")()
    kinds.append(private)
    return [k for k in dict.fromkeys(kinds) if _available(k)]


def _available(kind: str) -> bool:
    module = torch.backends.mps if kind == "mps" else getattr(torch, kind, None)
    check = getattr(module, "is_available", None)
    return bool(check is not None and check())


def check_device(name: str) -> str:
    """The device as `devices` spells it, or a UsageError that says which there are."""
    there = devices()
    wanted = name if ":" in name or name == "cpu" else f"{name}:0"
    if wanted in there:
        return wanted
    raise UsageError(f"unknown device {name!r}: this torch reports {', '.join(there)}")


def select_targets(names: Sequence[str], modes: Sequence[str]) -> list[Target]:
    """The targets for --device and --mode; every device where none is named."""
    chosen = [check_device(n) for n in names] or devices()
    return [Target(d, m) for d in dict.fromkeys(chosen) for m in expand_modes(modes)]


def expand_modes(modes: Iterable[str]) -> list[str]:
    """`compile` stands for both of its backends."""
    result: list[str] = []
    for mode in modes:
        if mode != "compile" and mode not in MODES:
            raise UsageError(f"unknown mode {mode!r}: there are {', '.join(MODES)}, and compile for the last two")
        result += ["aot_eager", "inductor"] if mode == "compile" else [mode]
    return list(dict.fromkeys(result))


@functools.cache
def holds(device: str, dtype: str) -> bool:
    """Whether the device can make a tensor of this dtype at all (MPS has no float64)."""
    try:
        torch.zeros(1, dtype=dtype_of(dtype)).to(device)
    except (TypeError, RuntimeError, NotImplementedError):
        return False
    return True


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that an error shows in the cell that caused it."""
    if device.type != "cpu":
        getattr(getattr(torch, device.type, None), "synchronize", lambda: None)()


def unwrap_compilers() -> None:
    """Undo what torch 2.2 does at each compilation: it wraps a backward compiler once more, until the stack ends."""
    try:
        from torch._dynamo.backends import debugging
    except ImportError:  # a torch that has moved it is not that one
        return
    for cell in getattr(debugging.aot_eager, "__closure__", None) or ():
        if isinstance(cell.cell_contents, dict):
            cell.cell_contents.pop("bw_compiler", None)


def environment(setup: Sequence[str] = ()) -> dict[str, Any]:
    """What a reader must know to judge a run: versions, build, machine, devices."""
    import numpy
    import scipy

    return {
        "torch": {
            "version": str(torch.__version__),
            "git": getattr(torch.version, "git_version", None),
            "cuda": torch.version.cuda,
            "hip": getattr(torch.version, "hip", None),
            "debug": torch.version.debug,
            "path": str(Path(torch.__file__).parent),
            "config": torch.__config__.show(),
        },
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "setup": list(setup),
        "devices": [_device_record(d) for d in devices()],
        "modes": list(MODES),
    }


def _device_record(device: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "device": device, "name": cpu_name() if device == "cpu" else device, "memory": None,
        "capability": None, "driver": None, "dtypes": [d for d in DTYPES if holds(device, d)],
    }  # fmt: skip
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        record.update(name=properties.name, memory=properties.total_memory)
        record["capability"] = f"{properties.major}.{properties.minor}"
    elif device == "cpu" and hasattr(torch.backends, "cpu"):
        # of the kernels: what the processor has, or what ATEN_CPU_CAPABILITY allows
        record["capability"] = torch.backends.cpu.get_cpu_capability()
    return record


def cpu_name() -> str:
    """The processor's model, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
