"""Faults of forward mode, of second derivatives, and of the transforms that make them."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch
from torch.autograd import forward_ad as fwAD

from conformance.faults.fault import fault, innermost_transform, replace, rewired
from conformance.faults.kernels import ISSUE


@fault("outer", "jvp", models=ISSUE + "196682", green=("value", "vjp"))
def factors_swapped():
    """The two factors of one term of the tangent are in the wrong order."""

    def backward(gs, xs, needed):
        (g,), (a, b) = gs, xs
        return g @ b, a @ g

    def jvp(vs, xs):
        (da, db), (a, b) = vs, xs
        first = b[:, None] * da if a.shape == b.shape else da[:, None] * b
        return first + a[:, None] * db

    @replace("outer")
    def outer(original, input, vec2):
        return rewired(original, backward, jvp)(input, vec2)


@fault("cos", "jvp", models=ISSUE + "189872", green=("value", "vjp"))
def tangent_zero():
    """Forward mode silently gives a zero tangent."""

    def backward(gs, xs, needed):
        return -gs[0] * torch.sin(xs[0]).conj()

    def jvp(vs, xs):
        return torch.zeros_like(vs[0])

    @replace("cos")
    def cos(original, input):
        return rewired(original, backward, jvp)(input)


@fault(
    "nn.functional.rms_norm", "reverse_over_reverse", "forward_over_reverse", models=ISSUE + "175754",
    green=("value", "vjp", "jvp"),
)  # fmt: skip
def saved_statistics_constant():
    """The gradient takes its saved statistics for constants when it is differentiated again."""

    def slope(x, v, dims, eps):
        scale = torch.rsqrt((x * x).mean(dims, keepdim=True) + eps)
        return scale, lambda scale: scale * (v - x * scale**2 * (v * x).mean(dims, keepdim=True))

    @replace("nn.functional.rms_norm")
    def rms_norm(original, input, normalized_shape, weight=None, eps=None):
        if input.is_complex() or not input.numel():
            return original(input, normalized_shape, weight, eps)
        dims = tuple(range(-len(normalized_shape), 0))
        room = torch.finfo(input.dtype).eps if eps is None else eps

        def normal(x):
            return original(x, normalized_shape, None, eps)

        def backward(gs, xs, needed):
            scale, formula = slope(xs[0], gs[0], dims, room)
            return formula(scale.detach())

        def jvp(vs, xs):
            scale, formula = slope(xs[0], vs[0], dims, room)
            return formula(scale)

        out = rewired(normal, backward, jvp)(input)
        return out if weight is None else out * weight


@fault("log1p", "reverse_over_reverse", models=ISSUE + "76185", green=("value", "vjp", "jvp"))
def double_backward_zero():
    """The gradient is detached: differentiated again, it is silently zero."""

    def backward(gs, xs, needed):
        return (gs[0] / (1 + xs[0])).detach()

    @replace("log1p")
    def log1p(original, input):
        return rewired(original, backward, lambda vs, xs: vs[0] / (1 + xs[0]))(input)


@fault(
    "cosh", "third_reverse", "third_forward", models=ISSUE + "175754", dtypes=("float64",),
    green=("value", "vjp", "jvp", "reverse_over_reverse", "forward_over_reverse", "reverse_over_forward"),
)  # fmt: skip
def second_backward_constant():
    """The second derivative is right, and taken for a constant when it is differentiated again."""

    def slope(gs, xs, needed):
        return gs[0] * torch.cosh(xs[0]).detach()

    sinh = rewired(torch.sinh, slope, lambda vs, xs: vs[0] * torch.cosh(xs[0]).detach())

    def backward(gs, xs, needed):
        return gs[0] * sinh(xs[0])

    @replace("cosh")
    def cosh(original, input):
        if input.is_complex():
            return original(input)
        return rewired(original, backward, lambda vs, xs: vs[0] * torch.sinh(xs[0]))(input)


@fault("expm1", "forward_over_reverse", green=("value", "vjp", "jvp", "reverse_over_reverse"))
def backward_tangent_wrong():
    """The backward's own tangent lacks a term."""

    def product(gs, xs, needed):
        (w,), (g, y) = gs, xs
        return w * y, w * g

    scaled = rewired(torch.mul, product, lambda vs, xs: vs[0] * xs[1])

    def backward(gs, xs, needed):
        return scaled(gs[0], torch.exp(xs[0]))

    @replace("expm1")
    def expm1(original, input):
        if input.is_complex():
            return original(input)
        return rewired(original, backward, lambda vs, xs: vs[0] * torch.exp(xs[0]))(input)


@fault(
    "sinh", "reverse_over_forward", "forward_over_forward", models=ISSUE + "196699",
    green=("value", "vjp", "jvp", "func_jvp"),
)  # fmt: skip
def tangent_of_constants():
    """The tangent's formula reads what the forward saved, detached: its own derivative lacks a term."""

    @replace("sinh")
    def sinh(original, input):
        if fwAD._current_level < 0:
            return original(input)
        primal, tangent = fwAD.unpack_dual(input)
        out = original(primal)
        return out if tangent is None else fwAD.make_dual(out, tangent * torch.cosh(primal.detach()))


@fault("log10", "func_vjp", "func_jacrev", models=ISSUE + "177479", green=("value", "vjp", "jvp"))
def lost_in_func_grad():
    """Under torch.func's reverse mode the op does not record: its gradient is zero."""

    @replace("log10")
    def log10(original, input):
        return original(input.detach() if innermost_transform() == "Grad" else input)


@fault("acos", "func_jvp", "func_jacfwd", models=ISSUE + "196697", green=("value", "vjp", "jvp", "func_vjp"))
def lost_in_func_jvp():
    """Under torch.func's forward mode the tangent is dropped."""

    @replace("acos")
    def acos(original, input):
        return original(input.detach() if innermost_transform() == "Jvp" else input)
