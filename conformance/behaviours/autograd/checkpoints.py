"""Checkpoint in its two forms, anomaly mode, and backward from several threads."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import torch
import torch.utils.checkpoint

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same
from conformance.checks.check import Unsupported

CHECKPOINT = "checkpoint.html"
THREADS = "notes/autograd.html#multithreaded-autograd"
ANOMALY = "autograd.html#anomaly-detection"


@promise("autograd", "utils.checkpoint.checkpoint", link=CHECKPOINT, levels={"float32": 1, "float64": 3})
def checkpointed_parts_give_the_same_gradients(device: torch.device, dtype: torch.dtype) -> None:
    """checkpoint runs forward without saving and again in backward: values and gradients are those without it."""
    calls = []

    def part(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return a * a * b

    c = torch.tensor([1.0, 10.0], dtype=dtype, device=device)
    for reentrant, modes in ((True, [False, True]), (False, [True, True])):
        a, b = (torch.tensor([n, -n], dtype=dtype, device=device, requires_grad=True) for n in (2.0, 3.0))
        y = torch.utils.checkpoint.checkpoint(part, a, b, use_reentrant=reentrant)
        same((y.tolist(), len(calls)), ([12.0, -12.0], 1))
        (y * 2).backward(c)
        same((a.grad.tolist(), b.grad.tolist()), ([24.0, 240.0], [8.0, 80.0]))
        same(calls, modes)
        calls.clear()


@promise("autograd", "utils.checkpoint.checkpoint", link=CHECKPOINT)
def random_numbers_are_drawn_again_the_same(device: torch.device, dtype: torch.dtype) -> None:
    """By default the second forward pass draws the random numbers of the first, and disturbs no other draw."""
    x = torch.full((64,), 3.0, dtype=dtype, device=device, requires_grad=True)
    for reentrant in (True, False):
        y = torch.utils.checkpoint.checkpoint(
            lambda t: torch.nn.functional.dropout(t, 0.5) * t, x, use_reentrant=reentrant
        )
        state = torch.get_rng_state()
        (got,) = (
            torch.autograd.grad(y, x, torch.ones_like(x))
            if not reentrant
            else (y.backward(torch.ones_like(x)), x.grad)[1:]
        )
        same(got, y.detach() * 2 / 3)  # y = m x^2 and its gradient 2 m x, with x = 3
        same(torch.get_rng_state(), state)
        same(sorted(set(y.tolist())), [0.0, 18.0])


@promise("autograd", "utils.checkpoint.checkpoint", link=CHECKPOINT)
def the_form_without_reentry_allows_more(device: torch.device, dtype: torch.dtype) -> None:
    """use_reentrant=False serves autograd.grad, inputs without gradient, keyword arguments, structures, nesting."""
    checkpoint = torch.utils.checkpoint.checkpoint
    w = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    x = torch.tensor([5.0, 7.0], dtype=dtype, device=device)
    c = torch.tensor([1.0, 10.0], dtype=dtype, device=device)

    def part(d: dict[str, Any], scale: float = 1.0) -> dict[str, torch.Tensor]:
        return {"y": checkpoint(lambda t: t * w * w, d["x"][0], use_reentrant=False) * scale}

    y = checkpoint(part, {"x": [x]}, scale=3.0, use_reentrant=False)["y"]
    same(torch.autograd.grad(y, w, c)[0].tolist(), [60.0, -1260.0])
    z = checkpoint(lambda t: t * w * w, x, use_reentrant=False)
    (first,) = torch.autograd.grad(z, w, c, create_graph=True)
    same(torch.autograd.grad(first, w, c)[0].tolist(), [10.0, 1400.0])


@promise("autograd", "utils.checkpoint.checkpoint", link=CHECKPOINT)
def the_reentrant_form_says_what_it_cannot(device: torch.device, dtype: torch.dtype) -> None:
    """use_reentrant=True is not for autograd.grad; where no input needs a gradient its output has none."""
    x = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    y = torch.utils.checkpoint.checkpoint(lambda t: t * t, x, use_reentrant=True)
    raises(RuntimeError, lambda: torch.autograd.grad(y.sum(), x), ".grad()")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z = torch.utils.checkpoint.checkpoint(lambda t: t * x, x.detach(), use_reentrant=True)
    same(z.requires_grad, False)


@promise("autograd", "utils.checkpoint.checkpoint", link=CHECKPOINT)
def a_second_pass_that_differs_is_told(device: torch.device, dtype: torch.dtype) -> None:
    """Where the recomputation saves other tensors than the first pass, the form without reentry raises."""
    x = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    passes = []

    def part(t: torch.Tensor) -> torch.Tensor:
        passes.append(1)
        return t.exp() * t if len(passes) == 1 else t[:1].exp() * t[:1]

    y = torch.utils.checkpoint.checkpoint(part, x, use_reentrant=False)
    raises(torch.utils.checkpoint.CheckpointError, lambda: y.sum().backward(), "different metadata")


@promise("autograd", "utils.checkpoint.checkpoint_sequential", link=CHECKPOINT)
def sequential_models_are_checkpointed_in_segments(device: torch.device, dtype: torch.dtype) -> None:
    """checkpoint_sequential gives the values and gradients of the model itself; its last segment is not run again."""
    runs = []

    class Power(torch.nn.Module):
        def forward(self, t: torch.Tensor) -> torch.Tensor:
            runs.append(1)
            return t * t

    x = torch.tensor([2.0, -1.0], dtype=dtype, device=device, requires_grad=True)
    model = torch.nn.Sequential(Power(), Power(), Power())
    y = torch.utils.checkpoint.checkpoint_sequential(model, 3, x, use_reentrant=False)
    y.backward(torch.tensor([1.0, 10.0], dtype=dtype, device=device))
    same((y.tolist(), x.grad.tolist(), len(runs)), ([256.0, 1.0], [1024.0, -80.0], 5))  # x^8


def root(x: torch.Tensor) -> torch.Tensor:
    """A gradient of nan at zero."""
    return (x * 0).sqrt() * 0  # the line that anomaly mode must name


@promise("autograd", "autograd.detect_anomaly", "autograd.set_detect_anomaly", link=ANOMALY)
def anomaly_mode_names_the_line_of_the_forward_pass(device: torch.device, dtype: torch.dtype) -> None:
    """Under detect_anomaly a nan in backward raises with the function, and the line that made it is in the warning."""
    x = torch.tensor([1.0, 2.0], dtype=dtype, device=device, requires_grad=True)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with torch.autograd.detect_anomaly():
            y = root(x)
            raises(RuntimeError, lambda: y.sum().backward(), "SqrtBackward0", "nan values")
    text = " ".join(str(w.message) for w in heard)
    assert "Error detected in SqrtBackward0" in text and ", in root" in text, text
    same((torch.is_anomaly_enabled(), x.grad), (False, None))
    root(x).sum().backward()
    same(x.grad.isnan().all().item(), True)


@promise("autograd", "autograd.detect_anomaly", "autograd.set_detect_anomaly", link=ANOMALY)
def the_search_for_nan_can_be_left_out(device: torch.device, dtype: torch.dtype) -> None:
    """check_nan=False keeps the traceback and lets nan pass; set_detect_anomaly is a function and a context."""
    x = torch.tensor([1.0, 2.0], dtype=dtype, device=device, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        same((torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()), (True, False))
        root(x).sum().backward()
    same((torch.is_anomaly_enabled(), x.grad.isnan().all().item()), (False, True))
    try:
        torch.autograd.set_detect_anomaly(True)
        same((torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()), (True, True))
    finally:
        torch.autograd.set_detect_anomaly(False)


def at_once(count: int, task: Any) -> list[Any]:
    """What a task returns for 0, 1, ... in as many threads, all started together."""
    out: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def work(i: int) -> None:
        gate.wait()
        try:
            out[i] = task(i)
        except Exception as error:
            out[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


@promise("autograd", "Tensor.backward", "autograd.grad", link=THREADS)
def threads_go_back_at_the_same_time(device: torch.device, dtype: torch.dtype) -> None:
    """Several threads may run backward, each on its graph or all on a retained one, and each gets its own gradients."""
    x = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    shared = x * x * x
    for _ in range(5):
        got = at_once(
            4, lambda i: torch.autograd.grad(shared, x, torch.full_like(x, i + 1.0), retain_graph=True)[0].tolist()
        )
        same(got, [[12.0 * (i + 1), 27.0 * (i + 1)] for i in range(4)])

        def train(i: int) -> Any:
            w = torch.tensor([1.0, i], dtype=dtype, device=device, requires_grad=True)
            for _ in range(5):
                (w * w * i).sum().backward()
            return w.grad.tolist()

        same(at_once(4, train), [[10.0 * i, 10.0 * i * i] for i in range(4)])


@promise("autograd", "Tensor.backward", link=THREADS)
def an_error_in_one_thread_is_its_own(device: torch.device, dtype: torch.dtype) -> None:
    """An exception in the backward pass of one thread is raised there, and other passes are not disturbed."""

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, fail):
            ctx.fail = fail
            return x * 2

        @staticmethod
        def backward(ctx, g):
            if ctx.fail:
                raise KeyError("mine")
            return g * 2, None

    def task(i: int) -> Any:
        x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
        Fails.apply(x, i == 1).sum().backward()
        return x.grad.tolist()

    got = at_once(3, task)
    same((got[0], got[2], type(got[1])), ([2.0, 2.0], [2.0, 2.0], KeyError))


@promise("autograd", "Tensor.backward", link="notes/autograd.html#multithreaded-autograd")
def backward_may_be_called_within_backward(device: torch.device, dtype: torch.dtype) -> None:
    """A backward pass may run another one inside, as reentrant checkpoints do, hundreds of levels deep."""

    class Nested(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, depth):
            ctx.depth = depth
            return x * 1

        @staticmethod
        def backward(ctx, g):
            if ctx.depth:
                with torch.enable_grad():
                    inner = g.detach().requires_grad_()
                    Nested.apply(inner, ctx.depth - 1).backward(torch.full_like(g, 2.0))
                return g + inner.grad, None
            return g, None

    x = torch.tensor([3.0], dtype=dtype, device=device, requires_grad=True)
    Nested.apply(x, 150).backward(torch.tensor([5.0], dtype=dtype, device=device))
    same(x.grad.tolist(), [5.0 + 150 * 2.0])


@promise("autograd", "Tensor.to", link="notes/autograd.html#multithreaded-autograd")
def gradients_cross_to_a_second_device(device: torch.device, dtype: torch.dtype) -> None:
    """A graph over two devices goes back over both, and mixed operands are refused."""
    if device.type == "cpu":
        raise Unsupported("there is one device")
    x = torch.tensor([2.0, -3.0], dtype=dtype, requires_grad=True)
    w = torch.tensor([5.0, 7.0], dtype=dtype, device=device, requires_grad=True)
    y = (x.to(device) * w).cpu() * x
    y.backward(torch.tensor([1.0, 10.0], dtype=dtype))
    same((x.grad.tolist(), w.grad.tolist()), ([20.0, -420.0], [4.0, 90.0]))
    same((x.grad.device.type, w.grad.device.type), ("cpu", device.type))
    raises(RuntimeError, lambda: x * w, "device")
