"""How much work an item is: its flops, counted by torch on tensors without memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from conformance.bench import bodies
from conformance.bench.parity import Item

ITEMSIZE = {"float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2}


def itemsize(dtype: str) -> int:
    """Bytes of an element. Indices count as elements too, which matters for an embedding alone, and little there."""
    return ITEMSIZE[dtype]


def flops(item: Item, arrays: Sequence[np.ndarray]) -> int:
    """Of products and convolutions, as FlopCounterMode counts them; 0 for what has none.

    On the meta device composed operations come apart (an LSTM, attention), which as kernels of their own it misses.
    """
    from torch.utils.flop_counter import FlopCounterMode

    if item.mode == "step":
        return 0
    dtypes = [torch.float32 if a.dtype.kind == "f" else torch.int64 for a in arrays]
    body = bodies.BODIES[item.workload]([torch.empty(a.shape, dtype=d, device="meta") for a, d in zip(arrays, dtypes)])
    training = item.mode == "training"
    for leaf in body.leaves:
        leaf.requires_grad_(training and leaf.is_floating_point())
    with FlopCounterMode(display=False) as counter:
        out = body.call()
        if training:
            # not autograd.grad, which the counter's hooks on modules refuse
            out.backward(torch.empty(out.shape, device="meta"))
    return int(counter.get_total_flops())
