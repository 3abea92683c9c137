"""Grad mode, inference mode and what they do to tensors made inside them."""

from __future__ import annotations

import threading

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

MECHANICS = "notes/autograd.html#locally-disabling-gradient-computation"


@promise("autograd", "no_grad", "inference_mode", link=MECHANICS)
def results_need_no_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """Every result of an operation inside has requires_grad=False, even where the inputs have it."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            y = x * 3
        same((y.requires_grad, y.grad_fn, x.requires_grad), (False, None, True))


@promise("autograd", "no_grad", "enable_grad", "set_grad_enabled", link=MECHANICS)
def modes_nest_and_are_restored(device: torch.device, dtype: torch.dtype) -> None:
    """A context restores on leaving, by an exception too, the mode that it found on entering."""
    seen = []
    with torch.no_grad():
        seen.append(torch.is_grad_enabled())
        with torch.enable_grad():
            seen.append(torch.is_grad_enabled())
            try:
                with torch.set_grad_enabled(False):
                    seen.append(torch.is_grad_enabled())
                    raise KeyError
            except KeyError:
                seen.append(torch.is_grad_enabled())
        with torch.no_grad():
            pass
        seen.append(torch.is_grad_enabled())
    same([*seen, torch.is_grad_enabled()], [False, True, False, True, False, True])


@promise("autograd", "no_grad", link="generated/torch.no_grad.html")
def other_threads_are_not_affected(device: torch.device, dtype: torch.dtype) -> None:
    """The context manager is thread local; it will not affect computation in other threads."""
    seen: list[bool] = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(torch.is_grad_enabled()))
        thread.start()
        thread.join()
    same(seen, [True])


@promise("autograd", "inference_mode", link="notes/autograd.html#inference-mode")
def inference_tensors_are_not_recorded_later(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors made in inference mode cannot be saved for backward in computations recorded after it."""
    with torch.inference_mode():
        made = torch.ones(2, dtype=dtype, device=device)
    x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
    same(made.is_inference(), True)
    raises(RuntimeError, lambda: x * made, "Inference tensors cannot be saved for backward")


@promise("autograd", "no_grad", "enable_grad", "inference_mode", "set_grad_enabled", link=MECHANICS)
def modes_are_decorators_too(device: torch.device, dtype: torch.dtype) -> None:
    """Each mode decorates functions, and generators, whose caller's mode is its own between two values."""
    modes = [(torch.no_grad, False), (torch.enable_grad, True), (torch.inference_mode, False)]
    modes += [(lambda: torch.set_grad_enabled(True), True), (lambda: torch.set_grad_enabled(False), False)]
    for mode, want in modes:
        for outer in (True, False):

            def inside() -> bool:
                return torch.is_grad_enabled()

            def numbers():
                yield torch.is_grad_enabled()
                yield torch.is_grad_enabled()

            with torch.enable_grad() if outer else torch.no_grad():
                inside, numbers = mode()(inside), mode()(numbers)
                same((inside(), torch.is_grad_enabled()), (want, outer))
                same([(value, torch.is_grad_enabled()) for value in numbers()], [(want, outer)] * 2)


@promise("autograd", "set_grad_enabled", "is_grad_enabled")
def set_grad_enabled_is_a_function_too(device: torch.device, dtype: torch.dtype) -> None:
    """set_grad_enabled(mode) sets the mode by itself, from its argument, and as a context restores it."""
    x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
    try:
        torch.set_grad_enabled(False)
        seen = [(x * 2).requires_grad]
        torch.set_grad_enabled(True)
        seen.append((x * 2).requires_grad)
        with torch.set_grad_enabled(False):
            seen.append((x * 2).requires_grad)
        seen.append((x * 2).requires_grad)
    finally:
        torch.set_grad_enabled(True)
    same(seen, [False, True, False, True])


@promise("autograd", "no_grad", link="generated/torch.no_grad.html")
def factories_keep_what_they_are_told(device: torch.device, dtype: torch.dtype) -> None:
    """No-grad does not apply to factory functions that take requires_grad, nor to nn.Parameter."""
    with torch.no_grad():
        x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
        p = torch.nn.Parameter(torch.ones(2, dtype=dtype, device=device))
        same((x.requires_grad, p.requires_grad, (x * p).requires_grad), (True, True, False))
    same((x * p).requires_grad, True)


@promise(
    "autograd",
    "inference_mode",
    "is_inference_mode_enabled",
    link="generated/torch.autograd.grad_mode.inference_mode.html",
)
def inference_mode_can_be_switched_off(device: torch.device, dtype: torch.dtype) -> None:
    """inference_mode(False) within it records again; is_inference_mode_enabled tells; ordinary tensors stay."""
    x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
    free = torch.ones(2, dtype=dtype, device=device)
    with torch.inference_mode():
        before = free._version
        free.add_(1)
        view = free[:1]
        same((free.is_inference(), view.is_inference(), free._version > before), (False, False, True))
        with torch.inference_mode(False):
            same((torch.is_inference_mode_enabled(), (x * 2).requires_grad), (False, True))
        same((torch.is_inference_mode_enabled(), (x * 2).is_inference()), (True, True))
    same(torch.is_inference_mode_enabled(), False)


@promise("autograd", "enable_grad", "no_grad", link=MECHANICS)
def what_is_computed_without_gradients_is_a_constant(device: torch.device, dtype: torch.dtype) -> None:
    """A part computed under no_grad is a constant to what follows; enable_grad inside records again."""
    x = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    with torch.no_grad():
        c = x * x
        with torch.enable_grad():
            y = c * x
    y.backward(torch.tensor([1.0, 10.0], dtype=dtype, device=device))
    same(x.grad.tolist(), [4.0, 90.0])
