"""Faults of what is done to a computation: batching, recomputing, saving elsewhere, compiling, tracing."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import functools
from typing import Any

import torch

from conformance.faults.fault import below, fault, is_plain, kernel, replace
from conformance.faults.kernels import ISSUE

_functorch = torch._C._functorch


def current_level() -> int:
    """The level of the innermost transform at work."""
    level = _functorch.maybe_current_level()
    assert level is not None
    return level


def unbatched(x, level):
    """The tensor below a level of vmap with its batch in front, or itself where it has none there."""
    if not _functorch.is_batchedtensor(x) or _functorch.maybe_get_level(x) != level:
        return x, False
    return _functorch.get_unwrapped(x).movedim(_functorch.maybe_get_bdim(x), 0), True


@fault("flip", "vmap", models=ISSUE + "91404", green=("value", "vjp", "jvp"))
def batch_flipped():
    """The batching rule does not shift dimensions past the batch's own."""

    @kernel("flip", "FuncTorchBatched")
    def flip(original, x, dims):
        level = current_level()
        raw, _ = unbatched(x, level)
        with below("FuncTorchBatched"):
            return _functorch._add_batch_dim(torch.flip(raw, dims), 0, level)


def batching(op: str, wrong):
    """Make ``wrong(g, g_batched, saved, saved_batched)`` the batching rule of a pointwise backward."""

    @kernel(op, "FuncTorchBatched")
    def rule(original, g, saved, *options):
        level = current_level()
        g, g_batched = unbatched(g, level)
        saved, saved_batched = unbatched(saved, level)
        with below("FuncTorchBatched"):
            g, saved = wrong(g, g_batched, saved, saved_batched)
            out = getattr(torch.ops.aten, op)(*torch.broadcast_tensors(g, saved), *options)
        return _functorch._add_batch_dim(out, 0, level)


@fault("sigmoid", "vmap_vjp", green=("value", "vjp", "vmap", "batched_grad"))
def batch_of_saved():
    """The batching rule of a backward reads the first sample's saved output for every sample."""

    def rule(g, g_batched, y, y_batched):
        if y_batched and not g_batched:
            return g, y[:1].expand_as(y)
        return g, y

    batching("sigmoid_backward", rule)


@fault("nn.functional.threshold", "func_jacrev", "func_jacfwd", green=("value", "vjp", "vmap"))
def batch_of_cotangents():
    """The batching rule of a backward uses the first cotangent for the whole batch."""

    def rule(g, g_batched, x, x_batched):
        return (g[:1].expand_as(g) if g_batched else g), x

    batching("threshold_backward", rule)


@fault("mul", "checkpoint", wide=True, green=("value", "vjp", "checkpoint_reentrant"))
def recomputed_with_stale_weights():
    """checkpoint recomputes with other weights than those of the first pass."""
    _recompute_with(False, lambda x: x + (x * 2**-10).detach())


@fault("tanh", "checkpoint_reentrant", wide=True, green=("value", "vjp", "checkpoint"), models=ISSUE + "84864")
def recomputed_outside_the_mode():
    """The reentrant checkpoint recomputes in another precision than that of the first pass."""
    _recompute_with(True, lambda x: x + (x.bfloat16().to(x.dtype) - x).detach())


def _recompute_with(reentrant: bool, change):
    """Make torch.utils.checkpoint change the inputs when it runs a function again."""

    @replace("utils.checkpoint.checkpoint")
    def checkpoint(original, function, *args, use_reentrant, **options):
        ran = []

        def again(*xs):
            ran.append(1)
            return function(*(change(x) for x in xs)) if len(ran) > 1 else function(*xs)

        called = again if use_reentrant is reentrant else function
        return original(called, *args, use_reentrant=use_reentrant, **options)


@fault("exp", "saved_tensor_hooks", models=ISSUE + "193671", green=("value", "vjp", "save_on_cpu"))
def workspace_saved_early():
    """A workspace is saved for the backward before the kernel has written it."""

    class Late(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, workspace):
            ctx.save_for_backward(workspace)
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].conj(), None

    @replace("exp")
    def exp(original, input):
        if not is_plain() or not input.requires_grad or not torch.is_grad_enabled():
            return original(input)
        workspace = torch.zeros_like(input)
        out = Late.apply(input, workspace)
        workspace.data.copy_(out.detach())
        return out


@fault("mul", "save_on_cpu", wide=True, green=("value", "vjp", "saved_tensor_hooks"))
def stale_copy():
    """save_on_cpu keeps tensors of one shape in one buffer: what was saved first is overwritten."""

    @functools.partial(setattr, torch.autograd.graph, "save_on_cpu")
    class OneBuffer(torch.autograd.graph.saved_tensors_hooks):
        def __init__(self, pin_memory=False, device_type="cpu"):
            buffers: dict[Any, Any] = {}

            def pack(t):
                buffer = buffers.setdefault((t.shape, t.dtype), torch.empty_like(t))
                return buffer.copy_(t.detach())

            super().__init__(pack, lambda t: t)


@fault("gather", "compile", mode="aot_eager", models=ISSUE + "108963")
def scatter_dropped():
    """The compiler's backend drops a scatter: what it should be added to comes out."""
    from torch._dynamo.backends import debugging, registry
    from torch._functorch import aot_autograd

    def without_scatter(graph, inputs):
        for node in graph.graph.nodes:
            if node.op == "call_function" and "scatter_add" in str(node.target):
                node.replace_all_uses_with(node.args[0])
        graph.recompile()
        return aot_autograd.make_boxed_func(graph.forward)  # type: ignore[attr-defined]

    def backend(graph, inputs, **options):
        return debugging.aot_eager(graph, inputs, fw_compiler=without_scatter, bw_compiler=without_scatter)

    registry._COMPILER_FNS["aot_eager"] = backend


@fault("log2", "compile_inductor", mode="inductor")
def lowered_with_short_constant():
    """Inductor lowers a logarithm to a product with a constant of four digits."""
    from torch._inductor import config, lowering

    config.compile_threads = 1
    config.force_disable_caches = True  # a kernel that this fault compiles must serve nobody else

    def log2(x):
        natural = lowering.lowerings[torch.ops.aten.log.default]
        return lowering.lowerings[torch.ops.aten.mul.Tensor](natural(x), 1.443)

    lowering.lowerings[torch.ops.aten.log2.default] = log2


@fault("amax", "meta", "fake", green=("value", "vjp"))
def meta_keeps_dims():
    """The shape function of a reduction ignores keepdim=False."""

    @kernel("amax", "Meta")
    def amax(original, x, dims=(), keepdim=False):
        where = {d % x.dim() for d in dims} if x.dim() else set()
        kept = [1 if i in where or not dims else n for i, n in enumerate(x.shape)]
        return torch.empty(kept, dtype=x.dtype, device="meta")


@fault("cumsum", "fake", green=("value", "vjp", "meta"))
def fake_dtype_wrong():
    """Fake tensors report another dtype than the kernel delivers."""
    from torch._subclasses.fake_impls import op_implementations_dict

    def cumsum(mode, func, input, dim, *, dtype=None):
        with mode:
            return torch.empty_like(input, dtype=torch.float64)

    op_implementations_dict[torch.ops.aten.cumsum.default] = cumsum
