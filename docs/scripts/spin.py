"""A setup module: makes torch.mm slower by SPIN percent of its own time, by a spin inside the kernel.

    SPIN=5 torch-conformance bench compare . . --head-setup docs/scripts/spin.py --select mm

The kernel is replaced through torch.library, as a backend author would; with SPIN=0 it is replaced all the same, so
that BASE and HEAD differ in the spin alone.
"""

from __future__ import annotations

import os
import time

import torch

PERCENT = float(os.environ.get("SPIN", "0"))
kept = torch.library.get_kernel("aten::mm", "CPU")


def mm(keys, a, b):
    began = time.perf_counter()
    out = kept.call_boxed(keys, a, b)
    ended = time.perf_counter()
    until = ended + (ended - began) * PERCENT / 100
    while time.perf_counter() < until:
        pass
    return out


library = torch.library.Library("aten", "IMPL")
library.impl("mm", mm, "CPU", with_keyset=True)
