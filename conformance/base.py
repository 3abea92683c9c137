"""Tensor creation, copy and equality on a target: what everything else depends on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from conformance.bridge import array, dtype_of, tensor
from conformance.cells import BASE, Cell
from conformance.checks.check import Clock
from conformance.dtypes import DTYPES
from conformance.journal import failure
from conformance.session import Options, Result
from conformance.target import Target, holds, synchronize

BASE_DTYPES = ("float64", "float32", "bfloat16", "float16", "complex128", "complex64", "int64", "bool")


def _values(dtype: str, rng: np.random.Generator) -> np.ndarray:
    if dtype == "bool":
        return rng.integers(0, 2, (5, 3)).astype(bool)
    if dtype == "int64":
        return rng.integers(-(2**62), 2**62, (5, 3))
    plain = rng.standard_normal((5, 3))
    return DTYPES[dtype].round(plain + 1j * rng.standard_normal((5, 3)) if dtype.startswith("complex") else plain)


def _made(dtype: str, target: Target, values: np.ndarray) -> torch.Tensor:
    return tensor(values, DTYPES.get(dtype), target.torch_device)


def creation(dtype: str, target: Target, values: np.ndarray) -> str:
    """A tensor made from an array has its shape, dtype, device, and, read back, its values."""
    t = _made(dtype, target, values)
    if t.dtype != dtype_of(dtype) or tuple(t.shape) != values.shape or t.device != torch.device(target.device):
        return f"made {tuple(t.shape)} {t.dtype} on {t.device}"
    return "" if np.array_equal(array(t), values) else "the values read back differ"


def copy(dtype: str, target: Target, values: np.ndarray) -> str:
    """clone, copy_ into a strided tensor and a view with an offset keep every value."""
    t = _made(dtype, target, values)
    wide = torch.zeros(10, 6, dtype=t.dtype, device=target.device)
    wide[::2, ::2].copy_(t)
    if not np.array_equal(array(t.clone()), values):
        return "clone differs"
    if not np.array_equal(array(wide[::2, ::2]), values) or array(wide[1::2, 1::2]).any():
        return "copy_ into a strided view differs"
    return "" if np.array_equal(array(t[2:, 1]), values[2:, 1]) else "a view with an offset differs"


def equality(dtype: str, target: Target, values: np.ndarray) -> str:
    """torch.equal and == see that equal tensors are equal, and one changed element."""
    t, other = _made(dtype, target, values), _made(dtype, target, values)
    if not torch.equal(t, other) or not bool((t == other).all()):
        return "equal tensors are not equal"
    changed = values.copy()
    changed[3, 1] = not changed[3, 1] if dtype == "bool" else changed[3, 1] + 1
    third = _made(dtype, target, changed)
    return "a changed element was not seen" if torch.equal(t, third) or bool((t == third).all()) else ""


CHECKS: dict[str, Callable[[str, Target, np.ndarray], str]] = {
    "creation": creation, "copy": copy, "equality": equality,
}  # fmt: skip


def base_cells(target: Target) -> Iterator[Cell]:
    """Three checks in every dtype, at every level; compiling changes nothing here."""
    if target.mode == "eager":
        for check in CHECKS:
            for dtype in BASE_DTYPES:
                yield Cell("base", BASE, "tensor", check, target.device, target.mode, dtype, 1)


class BaseSession:
    """The plumbing of one target."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.target, self.options = target, options

    def run(self, cell: Cell) -> Result:
        if not holds(self.target.device, cell.dtype):
            return Result("unsupported", detail=f"{self.target.device} has no {cell.dtype}")
        started = time.perf_counter()
        values = _values(cell.dtype, np.random.default_rng(self.options.seed))
        try:
            wrong = CHECKS[cell.check](cell.dtype, self.target, values)
            synchronize(self.target.torch_device)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        if not wrong:
            return Result("pass", 1, values.size, self.target.device, 0.0, 0.0, seconds, self.options.seed)
        told = failure(wrong, f"{cell.dtype} tensor of shape (5, 3)", _script(cell), shrunk=True)
        return Result("fail", 1, seconds=seconds, seed=self.options.seed, detail=wrong[:400], failure=told)


def _script(cell: Cell) -> str:
    return "\n".join(
        [
            f"# {cell.id}",
            "import sys, torch",
            f"plain = torch.tensor([[1, 0], [0, 1]], dtype=torch.{cell.dtype})",
            f"there = plain.to({cell.device!r})",
            "wide = torch.zeros(4, 4, dtype=plain.dtype, device=there.device)",
            "wide[::2, ::2].copy_(there)",
            "right = torch.equal(there, there.clone()) and torch.equal(there.cpu(), plain)",
            "other = there.logical_not() if plain.dtype == torch.bool else there + 1",
            "right = right and torch.equal(wide[::2, ::2].cpu(), plain) and not torch.equal(there, other)",
            "sys.exit(0 if right else 1)",
        ]
    )
