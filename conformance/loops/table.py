"""Every check of what stands around the steps: subject, form in torch, formula, data, options."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from conformance import models, trainings
from conformance.loops import forms
from conformance.target import Target
from reference.programs import data, loops
from reference.programs.models import LENET
from reference.rule import Array

SMALL = ((5, 4), (5,), (3, 5), (3,))


def samples(rng: np.random.Generator) -> list[Any]:
    """x: (12, 4), y: (12, 3), and the parameters of the small model."""
    return [rng.uniform(-2, 2, (12, 4)), rng.uniform(-2, 2, (12, 3)), data.uniform(rng, SMALL)]


def rows(rng: np.random.Generator) -> list[Any]:
    """x: (5, 7)."""
    return [rng.uniform(-2, 2, (5, 7))]


def batches(rng: np.random.Generator) -> list[Any]:
    """x: (12, 4), and a linear layer."""
    return [rng.uniform(-2, 2, (12, 4)), data.uniform(rng, ((3, 4), (3,)))]


def images(rng: np.random.Generator) -> list[Any]:
    """x: (2, 3, 32, 32), and the parameters of LeNet-5."""
    return [rng.uniform(-1, 1, (2, 3, 32, 32)), data.uniform(rng, LENET)]


def nothing_missing(target: Target) -> str:
    return ""


def has_scaler(target: Target) -> str:
    return "" if hasattr(torch.amp, "GradScaler") else "this torch has no torch.amp.GradScaler"


def has_averages(target: Target) -> str:
    found = hasattr(torch.optim.swa_utils, "get_ema_multi_avg_fn")
    return "" if found else "this torch has no torch.optim.swa_utils.get_ema_multi_avg_fn"


@dataclasses.dataclass(frozen=True)
class Loop:
    """A check of one subject.

    form     (*tensors, **options) -> tensors;  formula: the same of arrays
    draw     the data: arrays, or lists of arrays
    options  the form and the formula are called with each of these
    coarse   the formula takes `low`: what becomes of numbers that are in bfloat16
    needs    what this torch has not, or "";  lacks: what this machine has not, or ""
    sources  what the script needs beside the form
    part     where the form gives the numbers of several checks by name, and the formula takes the name: this one
    """

    subject: str
    check: str
    form: Callable[..., list[torch.Tensor]]
    formula: Callable[..., list[Array]]
    draw: Callable[[np.random.Generator], list[Any]] = samples
    options: Sequence[dict[str, Any]] = ({},)
    coarse: bool = False
    needs: Callable[[Target], str] = nothing_missing
    lacks: Callable[[Target], str] = nothing_missing
    sources: tuple[Any, ...] = (forms.network,)
    dtypes: tuple[str, ...] = ("float64", "float32")
    level: int = 2
    part: str = ""


def cpu_alone(target: Target) -> str:
    return "" if target.device == "cpu" else "two processes are tried on the CPU alone"


def gloo(target: Target) -> str:
    there = torch.distributed.is_available() and torch.distributed.is_gloo_available()
    return cpu_alone(target) or ("" if there else "this torch has no gloo")


def several_devices(target: Target) -> str:
    if target.device != "cuda:0":
        return "data parallelism is over CUDA devices: it is tried from cuda:0"
    return "" if torch.cuda.device_count() > 1 else "needs two CUDA devices"


def onnx_there(target: Target) -> str:
    if importlib.util.find_spec("onnx") is None:
        return "needs the onnx package: pip install 'torch-conformance[onnx]'"
    return "" if target.device == "cpu" else "the evaluator computes on the CPU"


NORMS = [
    {"kind": kind, "most": most, "foreach": foreach}
    for kind, most in ((2.0, 0.1), (2.0, 100.0), (1.0, 0.5), (math.inf, 0.05), (3.0, 0.1), ("value", 0.02))
    for foreach in (None, False)
]
SCALES = [
    {"bad": bad, "most": most, "interval": interval, "saved": -1}
    for bad, interval in (((), 3), ((1,), 2), ((0, 1), 3), ((2, 5), 2)) for most in (0.1, 100.0)
]  # fmt: skip
AVERAGE = "optim.swa_utils.AveragedModel"


def averages(saved: int, *forms_of: str) -> list[dict[str, Any]]:
    return [
        {"how": how, "decay": decay, "use_buffers": use, "saved": saved}
        for how in forms_of for decay in ((0.9, 0.5) if how.startswith("ema") else (0.0,)) for use in (False, True)
    ]  # fmt: skip


DISTRIBUTED = "nn.parallel.DistributedDataParallel"
LOOPS = (
    Loop("loops.accumulation", "large_batch", forms.accumulated, loops.large_batch,
         options=[{"sizes": [5, 4, 3]}, {"sizes": [6, 6]}]),
    Loop("loops.clipping", "clipped", forms.clipped, loops.clipped, options=NORMS),
    Loop("amp.GradScaler", "scaled", forms.scaled, loops.scaled, options=SCALES, needs=has_scaler),
    Loop("amp.GradScaler", "scaler_state", forms.scaled, loops.scaled, needs=has_scaler,
         options=[{**o, "saved": n} for o in SCALES[::2] for n in (1, 4)]),
    Loop("amp.autocast", "low_precision", forms.autocast, loops.low_precision, coarse=True, dtypes=("float32",)),
    Loop(AVERAGE, "swa", forms.averaged, loops.averaged, rows, averages(-1, "swa"), needs=has_averages),
    Loop(AVERAGE, "swa_multi", forms.averaged, loops.averaged, rows, averages(-1, "swa_multi"), needs=has_averages),
    Loop(AVERAGE, "ema", forms.averaged, loops.averaged, rows, averages(-1, "ema", "ema_multi", "ema_own"),
         needs=has_averages),
    Loop(AVERAGE, "average_state", forms.averaged, loops.averaged, rows, averages(2, "swa", "ema"), needs=has_averages),
    Loop("optim.swa_utils.update_bn", "update_bn", forms.normalized, loops.normalized, batches,
         options=[{"sizes": [4, 4, 4]}, {"sizes": [2, 7, 3]}]),
    Loop("onnx.export", "evaluated", forms.onnx_outputs, loops.lenet, images, lacks=onnx_there, dtypes=("float32",),
         sources=(trainings.start_from, models.LeNet), level=3),
    Loop("nn.DataParallel", "replicas", forms.data_parallel, lambda x, y, p: 2 * loops.gradients(x, y, p),
         lacks=several_devices, level=3),
    *(Loop(DISTRIBUTED, part, forms.distributed, loops.parallel, part=part, lacks=gloo, dtypes=("float64",), sources=(),
           level=3) for part in ("gradients", "buffers", "join")),
)  # fmt: skip
