"""A tanh whose gradient is a thousandth too large, and a segfault in that of sigmoid where $CRASH is set."""

from __future__ import annotations

import ctypes
import os

import torch

library = torch.library.Library("aten", "IMPL")


def tanh_backward(grad, output):
    return grad * (1 - output * output) * 1.001


def sigmoid_backward(grad, output):
    ctypes.string_at(0)


library.impl("tanh_backward", tanh_backward, "CPU")
if os.environ.get("CRASH"):
    library.impl("sigmoid_backward", sigmoid_backward, "CPU")
