"""Custom functions in forward mode and under vmap."""

from __future__ import annotations

from typing import Any

import torch

from conformance.behaviours.autograd.functions import Squares, pair
from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

FUNC = "notes/extending.func.html"


class Cube(torch.autograd.Function):
    """x^3 with a tangent, and a batching rule made from it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g

    @staticmethod
    def jvp(ctx, v):
        (x,) = ctx.saved_tensors
        return 3 * x * x * v


@promise("autograd", "autograd.Function.jvp", link=f"{FUNC}", needs=("func.jvp",))
def the_tangent_of_a_custom_function_is_used(device: torch.device, dtype: torch.dtype) -> None:
    """jvp makes tangents of outputs from those of inputs: forward mode uses it, alone and over backward."""
    a, _, c = pair(device, dtype)
    out, tangent = torch.func.jvp(Cube.apply, (a.detach(),), (c,))
    same((out.tolist(), tangent.tolist()), ([8.0, -27.0], [12.0, 270.0]))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(a.detach(), c)
        same(torch.autograd.forward_ad.unpack_dual(Cube.apply(dual)).tangent.tolist(), [12.0, 270.0])
    same(torch.func.hessian(lambda x: (Cube.apply(x) * c).sum())(a.detach()).tolist(), [[12.0, 0.0], [0.0, -180.0]])


@promise("autograd", "autograd.Function.generate_vmap_rule", "autograd.Function", link=f"{FUNC}", needs=("func.vmap",))
def a_vmap_rule_is_made_where_asked(device: torch.device, dtype: torch.dtype) -> None:
    """With generate_vmap_rule=True vmap and per-sample gradients work; a function without a rule is refused."""
    x = torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=dtype, device=device)
    same(torch.func.vmap(Cube.apply, in_dims=1)(x).tolist(), [[1.0, 27.0], [8.0, -64.0]])
    same(torch.func.vmap(torch.func.grad(lambda r: Cube.apply(r)[1]))(x).tolist(), [[0.0, 12.0], [0.0, 48.0]])
    raises(RuntimeError, lambda: torch.func.vmap(Squares.apply)(x), "generate_vmap_rule")


class Scale(torch.autograd.Function):
    """x k, with a batching rule of its own that counts its calls."""

    calls: list[Any] = []

    @staticmethod
    def forward(x, k):
        return x * k

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.k = inputs[1]

    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, None

    @staticmethod
    def vmap(info, in_dims, x, k):
        Scale.calls.append((info.batch_size, info.randomness, in_dims))
        return Scale.apply(x.movedim(in_dims[0], 0), k), 0


@promise("autograd", "autograd.Function.vmap", link=f"{FUNC}", needs=("func.vmap",))
def a_vmap_rule_of_ones_own_is_called(device: torch.device, dtype: torch.dtype) -> None:
    """The vmap staticmethod gets the batch size, the randomness and where each input has its batch, or None."""
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=dtype, device=device)
    try:
        got = torch.func.vmap(Scale.apply, in_dims=(1, None), randomness="same")(x, 3)
        same((got.tolist(), Scale.calls), ([[3.0, 12.0], [6.0, 15.0], [9.0, 18.0]], [(3, "same", (1, None))]))
    finally:
        Scale.calls.clear()
