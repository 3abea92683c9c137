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
