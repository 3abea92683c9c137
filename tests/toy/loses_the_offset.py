"""A copy to the CPU that starts at the beginning of the storage, wherever the tensor starts."""

from __future__ import annotations

import torch
from backend import KERNELS


def _to_copy(func, x, **kwargs):
    return func(torch.as_strided(x, x.shape, x.stride(), 0), **kwargs)


KERNELS["aten._to_copy.default"] = _to_copy
