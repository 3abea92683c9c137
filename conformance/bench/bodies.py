"""The workloads in torch, as a user writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from conformance.bench.workloads import LSTM, OPTIMIZER_OPTIONS, STEPS, TENSORS, TRANSFORMER


@dataclasses.dataclass
class Body:
    """A workload on a device.

    call    computes the result
    leaves  the tensors behind the workload's arrays, in their order; gradients are taken of the floating ones
    begin   puts everything back to the beginning, where a call changes it
    """

    call: Callable[[], Any]
    leaves: list[Tensor]
    begin: Callable[[], None] = lambda: None


Builder = Callable[[list[Tensor]], Body]


def _plain(function: Callable[..., Tensor]) -> Builder:
    return lambda ts: Body(lambda: function(*ts), ts)


def _module(make: Callable[[], nn.Module], forward: Callable[..., Tensor], inputs: int) -> Builder:
    """A module whose parameters are the tensors after the inputs."""

    def build(ts: list[Tensor]) -> Body:
        module = make().to(ts[0].device, ts[0].dtype)
        with torch.no_grad():
            for parameter, t in zip(module.parameters(), ts[inputs:], strict=True):
                parameter.copy_(t)
        given = ts[:inputs]
        return Body(lambda: forward(module, *given), [*given, *module.parameters()])

    return build


class LeNet(nn.Module):
    """LeNet-5 for 3x32x32, as the PyTorch tutorial has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        out: Tensor = self.fc3(x)
        return out


def _optimizer(name: str, variant: str) -> Builder:
    """The optimizer over ten tensors; its parameters are one buffer, so that they can be put back and compared."""

    def build(ts: list[Tensor]) -> Body:
        kept, gradient = ts
        flat = kept.clone()
        parameters = [nn.Parameter(p) for p in flat.chunk(TENSORS)]
        for p, g in zip(parameters, gradient.chunk(TENSORS)):
            p.grad = g
        flags = {"foreach": variant == "foreach", **({"fused": True} if variant == "fused" else {})}
        if variant == "fused":
            del flags["foreach"]
        optimizer = getattr(torch.optim, name)(parameters, **OPTIMIZER_OPTIONS[name], **flags)

        def begin() -> None:
            optimizer.state.clear()
            with torch.no_grad():
                flat.copy_(kept)

        def call() -> Tensor:
            optimizer.step()
            return flat

        return Body(call, ts, begin)

    return build


BODIES: dict[str, Builder] = {
    "launch": _plain(torch.relu),
    "mm": _plain(torch.mm),
    "bmm": _plain(torch.bmm),
    "conv2d": _plain(lambda x, w, b: functional.conv2d(x, w, b, stride=2, padding=1)),
    "add": _plain(torch.add),
    "copy": _plain(torch.clone),
    "sum": _plain(torch.sum),
    "softmax": _plain(lambda x: functional.softmax(x, -1)),
    "layer_norm": _plain(lambda x, w, b: functional.layer_norm(x, (1024,), w, b)),
    "embedding": _plain(functional.embedding),
    "attention": _plain(functional.scaled_dot_product_attention),
    "two_layer": _plain(lambda x, w1, w2: x.mm(w1).relu().mm(w2)),
    "lenet": _module(LeNet, lambda m, x, y: functional.cross_entropy(m(x), y, reduction="none"), 2),
    "transformer": _module(lambda: nn.TransformerEncoderLayer(**TRANSFORMER), lambda m, x: m(x), 1),
    "lstm": _module(lambda: nn.LSTM(**LSTM), lambda m, x: m(x)[0], 1),
    **{
        f"{name.lower()}_{variant}": _optimizer(name, variant)
        for name in OPTIMIZER_OPTIONS
        for variant in ("loop", "foreach", "fused")
    },
}


def runner(body: Body, mode: str, cotangent: Tensor | None) -> Callable[[], Any]:
    """What is timed: the forward pass alone, with the backward pass, or an optimizer's step."""
    if mode == "step":
        return body.call
    if mode == "forward":

        def forward() -> Any:
            with torch.no_grad():
                return body.call()

        return forward
    wanted = [t.requires_grad_() for t in body.leaves if t.is_floating_point()]
    return lambda: torch.autograd.grad(body.call(), wanted, cotangent)


def answer(body: Body, mode: str, cotangent: Tensor | None) -> tuple[Tensor, Sequence[Tensor]]:
    """The result, and the gradients of the floating leaves under the cotangent; the device may still be at work."""
    if mode == "training":
        wanted = [t.requires_grad_() for t in body.leaves if t.is_floating_point()]
        out = body.call()
        return out.detach(), torch.autograd.grad(out, wanted, cotangent)
    body.begin()
    with torch.no_grad():
        for _ in range(STEPS if mode == "step" else 1):
            out = body.call()
    return out, ()
