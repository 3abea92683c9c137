"""Four ops that are wrong, each in its own way, among others that are right."""

from __future__ import annotations

import torch
from backend import KERNELS, LEFT_BEHIND


def absent(func, *args, **kwargs):
    raise NotImplementedError(f"{func} is not there yet on toy")


def ignores_strides(func, x):
    dense = torch.empty(x.shape).stride()
    return func(torch.as_strided(x, x.shape, dense, x.storage_offset()))


LEFT_BEHIND.add("aten.tanh.default")  # a silent fallback
KERNELS["aten.sigmoid.default"] = absent
KERNELS["aten.exp.default"] = ignores_strides
KERNELS["aten.relu.default"] = lambda func, x: func(x) * 1.001
