"""Faults of backward formulas, and of what the engine passes to them and takes from them."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

from typing import Any

import torch

from conformance.faults.fault import fault, kernel, replace, rewired
from conformance.faults.kernels import ISSUE


@fault("nn.functional.hardswish", "vjp", level=3, models=ISSUE + "147801", green=("value",))
def kink_included():
    """<= for < at the kink: the gradient at 3 is that of the parabola."""

    @kernel("hardswish_backward")
    def hardswish_backward(original, g, x):
        return torch.where(x == 3, 1.5 * g, original(g, x))


@fault("nn.functional.silu", "vjp", models=ISSUE + "11750", green=("value",))
def term_not_scaled():
    """One term of the gradient is not scaled by the cotangent."""

    @kernel("silu_backward")
    def silu_backward(original, g, x):
        s = torch.sigmoid(x)
        return g * s + x * s * (1 - s)


@fault(
    "tanh", "vjp", dtypes=("float64", "float32", "bfloat16", "float16"),
    green=("value",),
)  # fmt: skip
def off_by_64_eps():
    """The gradient is off by 64 units in the last place."""

    @kernel("tanh_backward")
    def tanh_backward(original, g, y):
        return original(g, y) * (1 + 64 * torch.finfo(g.dtype).eps)


@fault("maximum", "vjp", dtypes=("float64",), green=("value",))
def tie_broken():
    """Where two elements tie, the first has the whole gradient instead of one half."""

    def backward(gs, xs, needed):
        (g,), (a, b) = gs, xs
        return torch.where(a >= b, g, 0).sum_to_size(a.shape), torch.where(a < b, g, 0).sum_to_size(b.shape)

    def jvp(vs, xs):
        return torch.where(xs[0] >= xs[1], *vs)

    @replace("maximum")
    def maximum(original, input, other):
        return rewired(original, backward, jvp)(input, other)


@fault("fmin", "broadcast", green=("value",))
def broadcast_not_summed():
    """The gradient of a broadcast operand is that of one of its uses instead of their sum."""

    def one_use(g, shape):
        g = g[(0,) * (g.dim() - len(shape))]
        for d, n in enumerate(shape):
            g = g.narrow(d, 0, n)
        return g

    def backward(gs, xs, needed):
        (g,), (a, b) = gs, xs
        return one_use(torch.where(a <= b, g, 0), a.shape), one_use(torch.where(a > b, g, 0), b.shape)

    def jvp(vs, xs):
        return torch.where(xs[0] <= xs[1], *vs)

    @replace("fmin")
    def fmin(original, input, other):
        return rewired(original, backward, jvp)(input, other)


@fault("conv2d", "subset", models=ISSUE + "183825", green=("value", "vjp"))
def needs_all_gradients():
    """The weight's gradient is right only where the input's is wanted too."""

    @kernel("convolution_backward")
    def convolution_backward(original, g, x, weight, *options):
        wanted = options[-1]
        dx, dw, db = original(g, x, weight, *options)
        return dx, dw if dw is None or wanted[0] else dw.roll(1, -1), db


@fault("nn.functional.hardtanh", "unchanged", green=("value", "vjp"))
def cotangent_overwritten():
    """The backward writes its result into the cotangent."""

    @kernel("hardtanh_backward")
    def hardtanh_backward(original, g, x, low, high):
        out = original(g, x, low, high)
        if 0 not in g.stride():
            g.copy_(out)
        return out


@fault("nn.functional.leaky_relu", "unchanged", green=("value", "vjp"))
def input_overwritten():
    """The kernel rounds its input in place."""

    @kernel("leaky_relu")
    def leaky_relu(original, x, slope=0.01):
        out = original(x, slope)
        if 0 not in x.stride():
            x.data.add_(x.abs() * torch.finfo(x.dtype).eps)  # behind the version counter's back
        return out


@fault("sin", "zero_cotangents", green=("value", "vjp"))
def scaled_by_largest():
    """A gradient computed for the cotangent over its largest element, to avoid overflow: 0/0 where it is zero."""

    def backward(gs, xs, needed):
        size = gs[0].abs().amax() if gs[0].numel() else 1.0
        return size * (gs[0] / size * torch.cos(xs[0]).conj())

    def jvp(vs, xs):
        return vs[0] * torch.cos(xs[0])

    @replace("sin")
    def sin(original, input):
        return rewired(original, backward, jvp)(input)


@fault("chunk", "undefined_cotangents", models=ISSUE + "11751", green=("value", "vjp"))
def missing_cotangent():
    """Where one output has no cotangent, what its buffer last held is used."""

    @replace("chunk")
    def chunk(original, input, chunks, dim=0):
        def pieces(x):
            return tuple(t.clone() for t in original(x, chunks, dim))

        def backward(gs, xs, needed):
            stale = next(g for g in gs if g is not None).flatten()
            like = original(xs[0], chunks, dim)
            kept = [stale[:1].expand(p.shape) if g is None and stale.numel() else g for g, p in zip(gs, like)]
            return torch.cat([torch.zeros_like(p) if g is None else g for g, p in zip(kept, like)], dim)

        return rewired(pieces, backward, lambda vs, xs: pieces(vs[0]))(input)


@fault("logit", "accumulate", "batched_grad", models=ISSUE + "181723", green=("value", "vjp"))
def buffer_reused():
    """Every backward writes its gradient into the same buffer, which .grad has already taken as its own."""
    buffers: dict[Any, Any] = {}

    @kernel("logit_backward")
    def logit_backward(original, g, x, eps=None):
        out = original(g, x, eps)
        buffer = buffers.setdefault((out.shape, out.dtype), torch.empty_like(out))
        return buffer.copy_(out).detach()
