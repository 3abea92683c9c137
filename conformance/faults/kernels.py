"""Faults of forward kernels: memory that is misread, loops that end early, precision that is lost."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import itertools
import math

import torch

from conformance.faults.fault import fault, kernel

ISSUE = "https://github.com/pytorch/pytorch/issues/"


def dense_strides(x):
    return torch.empty(x.shape, device="meta").stride()


def fits(x, strides, offset):
    """Whether reading x with these strides stays inside its storage."""
    last = offset + sum((n - 1) * s for n, s in zip(x.shape, strides))
    return last < x.untyped_storage().nbytes() // x.element_size()


@fault("cosh", "edges", models=ISSUE + "50042")
def vector_tail():
    """The last n % 8 elements of a vector loop are not computed."""

    @kernel("cosh")
    def cosh(original, x):
        out, n = original(x).contiguous(), x.numel()
        if n > 8 and n % 8:
            out.view(-1)[n - n % 8 :] = 0
        return out


@fault("asinh", "layout_transposed", "layout_strided", models=ISSUE + "67432", green=("value", "vjp"))
def strides_ignored():
    """A tensor that is not contiguous is read as if it were."""

    @kernel("asinh")
    def asinh(original, x):
        dense = dense_strides(x)
        return original(x.as_strided(x.shape, dense) if fits(x, dense, x.storage_offset()) else x)


@fault(
    "atan", "layout_offset", models="https://github.com/intel/torch-xpu-ops/issues/1656", green=("value", "vjp")
)  # fmt: skip
def storage_offset_ignored():
    """A vector load starts at the aligned address below an odd offset."""

    @kernel("atan")
    def atan(original, x):
        offset = x.storage_offset()
        return original(x.as_strided(x.shape, x.stride(), offset - offset % 2))


@fault("nn.functional.hardsigmoid", "layout_expanded", models=ISSUE + "188084", green=("value", "vjp"))
def stride_zero_buffer():
    """A gradient written into a buffer of stride 0 is added once for each element that shares the place."""

    @kernel("hardsigmoid_backward")
    def hardsigmoid_backward(original, g, x):
        shared = [n for n, s in zip(g.shape, g.stride()) if s == 0 and n > 1]
        return original(g, x) * math.prod(shared)


@fault("nn.functional.avg_pool2d", "layout_channels_last", models=ISSUE + "188344", green=("value", "vjp"))
def channels_last_padding():
    """For channels_last the backward of a pooling window does not start at the padding."""

    @kernel("avg_pool2d_backward")
    def avg_pool2d_backward(original, g, x, kernel_size, stride, padding, *options):
        grad = original(g, x, kernel_size, stride, padding, *options)
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return grad.roll((padding[0], padding[-1]), (-2, -1)) if last and any(padding) else grad


@fault("asin", "layout_conj", dtypes=("complex64",), models=ISSUE + "81690", green=("value",))
def conj_bit_ignored():
    """A lazy conjugate is read without conjugating."""

    @kernel("asin", "Conjugate")
    def asin(original, x):
        return torch.asin(x.conj())


@fault("erfc", "layout_neg", models=ISSUE + "81690", green=("value", "vjp"))
def neg_bit_ignored():
    """A lazy negative is read with the wrong sign."""

    @kernel("erfc", "Negative")
    def erfc(original, x):
        return torch.erfc(torch._neg_view(x))


@fault("erf", "value", dtypes=("float64",))
def float32_inside():
    """A float64 kernel computes in float32."""

    @kernel("erf")
    def erf(original, x):
        return original(x.float()).to(x.dtype)


@fault("linalg.vector_norm", "parallel", dtypes=("bfloat16",), models=ISSUE + "91597")
def low_precision_sum():
    """A sum of squares accumulates in bfloat16."""

    def folded(x, dim):
        total = torch.zeros_like(x.select(dim, 0))
        for part in x.unbind(dim):
            total += part
        return total.unsqueeze(dim)

    @kernel("linalg_vector_norm")
    def vector_norm(original, x, ord=2, dims=None, keepdim=False, *, dtype=None):
        out = original(x, ord, dims, keepdim, dtype=dtype)
        if x.dtype != torch.bfloat16 or ord != 2 or not x.numel() or not x.dim():
            return out
        total = x.square()
        for d in range(x.dim()) if dims is None else dims:
            total = folded(total, d)
        return total.sqrt().reshape(out.shape)


@fault("relu", "special", models=ISSUE + "1810", green=("value", "vjp"))
def nan_lost():
    """A maximum of nan and a number is the number."""

    @kernel("relu")
    def relu(original, x):
        return torch.where(x > 0, x, 0)


@fault("tan", "special", green=("value", "vjp"))
def negative_zero_lost():
    """The result for -0.0 is 0.0."""

    @kernel("tan")
    def tan(original, x):
        return original(x) + 0.0


@fault("hypot", "value", dtypes=("float64",))
def wrong_dtype():
    """The result of float64 inputs is float32."""

    @kernel("hypot")
    def hypot(original, a, b):
        return original(a, b).float()


@fault("bmm", "zero_size", green=("value", "vjp"))
def product_over_nothing():
    """A matrix product over a dimension of length 0 is not set to zero: memory comes out as it was."""

    @kernel("bmm")
    def bmm(original, a, b):
        return original(a, b) if a.shape[-1] else torch.full((*a.shape[:2], b.shape[-1]), 77.0, dtype=a.dtype)


@fault("erfinv", "scalar")
def zero_dim_untouched():
    """A tensor without dimensions is returned as it came: the loop over its dimensions runs zero times."""

    @kernel("erfinv")
    def erfinv(original, x):
        return original(x) if x.dim() else x.clone()


@fault("log2", "parallel", green=("value", "edges"), models=ISSUE + "193061")
def chunk_lost():
    """Past 32,768 elements the last thread's chunk is left unwritten."""

    @kernel("log2")
    def log2(original, x):
        out = original(x)
        if x.numel() > 2**15:
            out.view(-1)[-x.numel() // 16 :] = 0
        return out


@fault("rsqrt", "repeat", green=("value", "vjp"), models=ISSUE + "178497")
def not_deterministic():
    """One element in a thousand comes out one unit in the last place higher."""
    seen = itertools.count()

    @kernel("rsqrt")
    def rsqrt(original, x):
        out = original(x)
        hit = torch.tensor([next(seen) % 1000 == 999 for _ in range(x.numel())], dtype=torch.bool)
        return torch.where(hit.view(x.shape), torch.nextafter(out, torch.full_like(out, math.inf)), out)


@fault("baddbmm", "value", models=ISSUE + "136299")
def alpha_dropped():
    """For a batch of one, baddbmm ignores alpha."""

    @kernel("baddbmm")
    def baddbmm(original, input, batch1, batch2, *, beta=1, alpha=1):
        return original(input, batch1, batch2, beta=beta, alpha=1 if len(batch1) == 1 else alpha)


@fault("scatter_add", "value")
def duplicates_lost():
    """Of several values added to one place, one is kept: a race without atomics."""

    @kernel("scatter_add")
    def scatter_add(original, x, dim, index, source):
        return x + torch.scatter(torch.zeros_like(x), dim, index, source)
