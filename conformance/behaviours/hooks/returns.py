"""Backward hooks of modules: register_full_backward_hook and register_full_backward_pre_hook."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

FULL, PRE = "nn.Module.register_full_backward_hook", "nn.Module.register_full_backward_pre_hook"
MODULE = "generated/torch.nn.Module.html"
FULL_PAGE, PRE_PAGE = f"{MODULE}#torch.{FULL}", f"{MODULE}#torch.{PRE}"


class Scale(nn.Module):
    """x w, whose gradients are g w and g x."""

    def __init__(self, *w: float, **like: Any):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, **like))

    def forward(self, x: Any, other: Any = None) -> Any:
        return x * self.w


@promise("hooks", FULL, PRE, link=MODULE, levels={"float32": 1})
def they_see_the_gradients_of_outputs_and_inputs(device: torch.device, dtype: torch.dtype) -> None:
    """The pre-hook gets the gradients of the outputs, the hook those of inputs and outputs, inner modules between."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = nn.Sequential(Scale(2.0, 3.0, **like), Scale(5.0, -1.0, **like)), []
    for name, part in (("outer", m), ("first", m[0]), ("second", m[1])):
        part.register_full_backward_pre_hook(lambda m, go, n=name: seen.append((n, go[0].tolist())))
        part.register_full_backward_hook(lambda m, gi, go, n=name: seen.append((n, gi[0].tolist(), go[0].tolist())))
    x = torch.tensor([1.0, -2.0], **like, requires_grad=True)
    m(x).backward(torch.tensor([1.0, 2.0], **like))
    same(seen, [("outer", [1.0, 2.0]), ("second", [1.0, 2.0]), ("second", [5.0, -2.0], [1.0, 2.0]),
                ("first", [5.0, -2.0]), ("first", [10.0, -6.0], [5.0, -2.0]),
                ("outer", [10.0, -6.0], [1.0, 2.0])])  # fmt: skip
    same(x.grad, torch.tensor([10.0, -6.0], **like))


@promise("hooks", FULL, link=FULL_PAGE)
def what_a_hook_returns_goes_on_to_the_inputs(device: torch.device, dtype: torch.dtype) -> None:
    """A returned gradient takes the place of grad_input in what follows; gradients of parameters are as they were."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = Scale(2.0, 3.0, **like), []
    m.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    m.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].tolist()))
    x = torch.tensor([1.0, -2.0], **like, requires_grad=True)
    m(x).backward(torch.tensor([1.0, -1.0], **like))
    same(seen, [[20.0, -30.0]])
    same([x.grad, m.w.grad], [torch.tensor(v, **like) for v in ([20.0, -30.0], [1.0, 2.0])])


@promise("hooks", PRE, link=PRE_PAGE)
def what_a_pre_hook_returns_is_the_gradient_of_the_output(device: torch.device, dtype: torch.dtype) -> None:
    """A returned gradient is used in place of grad_output in all that follows: parameters, inputs, and later hooks."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = Scale(2.0, 3.0, **like), []
    m.register_full_backward_pre_hook(lambda m, go: (go[0] * 10,))
    m.register_full_backward_pre_hook(lambda m, go: seen.append(go[0].tolist()))
    m.register_full_backward_hook(lambda m, gi, go: seen.append(go[0].tolist()))
    x = torch.tensor([1.0, -2.0], **like, requires_grad=True)
    m(x).backward(torch.tensor([1.0, -1.0], **like))
    same(seen, [[10.0, -10.0]] * 2)
    same([x.grad, m.w.grad], [torch.tensor(v, **like) for v in ([20.0, -30.0], [10.0, 20.0])])


@promise("hooks", PRE, link=PRE_PAGE)
def a_pre_hook_may_return_one_tensor(device: torch.device, dtype: torch.dtype) -> None:
    """The signature is hook(module, grad_output) -> tuple of Tensors, Tensor or None."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m = Scale(2.0, 3.0, **like)
    m.register_full_backward_pre_hook(lambda m, go: go[0] * 10)
    x = torch.tensor([[1.0, -2.0]], **like, requires_grad=True)
    try:
        m(x).backward(torch.tensor([[1.0, -1.0]], **like))
    except RuntimeError as error:
        raise AssertionError(f"one tensor was refused: {error}") from error
    same(x.grad, torch.tensor([[20.0, -30.0]], **like))


@promise("hooks", FULL, PRE, link=MODULE)
def what_is_prepended_fires_first(device: torch.device, dtype: torch.dtype) -> None:
    """prepend=True: the hook is fired before all existing ones of its kind; a removed one is not fired."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = Scale(2.0, **like), []
    for name, options in (("b", {}), ("c", {}), ("a", {"prepend": True})):
        m.register_full_backward_pre_hook(lambda m, go, n=name: seen.append(f"pre {n}"), **options)
        last = m.register_full_backward_hook(lambda m, gi, go, n=name: seen.append(n), **options)
    for i in range(2):
        m(torch.tensor([1.0], **like, requires_grad=True)).backward(torch.tensor([1.5], **like))
        same(seen, ["pre a", "pre b", "pre c", *("abc" if i == 0 else "bc")])
        seen.clear()
        last.remove()


@promise("hooks", FULL, link=FULL_PAGE)
def it_fires_at_the_outputs_where_no_input_needs_a_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """Where none of the inputs requires a gradient, the hook fires when those of the outputs are there."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = nn.Sequential(Scale(2.0, **like), Scale(5.0, **like)), []
    for name, part in (("outer", m), ("first", m[0]), ("second", m[1])):
        part.register_full_backward_hook(
            lambda m, gi, go, n=name: seen.append((n, gi[0] if gi[0] is None else gi[0].item(), go[0].item()))
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m(torch.tensor([3.0], **like)).backward(torch.tensor([1.5], **like))
    same(seen, [("outer", None, 1.5), ("second", 7.5, 1.5), ("first", None, 7.5)])
    same(m[0].w.grad, torch.tensor([22.5], **like))


@promise("hooks", PRE, link=PRE_PAGE)
def a_pre_hook_counts_where_no_input_needs_a_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """What a pre-hook returns is the gradient of the output for parameters too, whether or not an input needs one."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m = Scale(2.0, **like)
    m.register_full_backward_pre_hook(lambda m, go: (go[0] * 10,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m(torch.tensor([3.0], **like)).backward(torch.tensor([1.5], **like))
    same(m.w.grad, torch.tensor([45.0], **like))


@promise("hooks", FULL, PRE, link=FULL_PAGE)
def it_does_not_fire_where_no_output_needs_a_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """Where none of the outputs requires a gradient, the hooks do not fire: under no_grad."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = Scale(2.0, **like), []
    m.register_full_backward_pre_hook(lambda m, go: seen.append(1))
    m.register_full_backward_hook(lambda m, gi, go: seen.append(2))
    x = torch.tensor([3.0], **like, requires_grad=True)
    with torch.no_grad():
        y = m(x)
    (x * y).backward(torch.tensor([1.5], **like))
    same((seen, y.requires_grad), ([], False))


@promise("hooks", FULL, link=FULL_PAGE)
def grad_input_has_a_place_for_every_positional_argument(device: torch.device, dtype: torch.dtype) -> None:
    """grad_input has None for positional arguments that are no tensors, and nothing for keyword arguments."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = Scale(2.0, **like), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([g if g is None else g.item() for g in gi]))
    x = torch.tensor([3.0], **like, requires_grad=True)
    for call in (lambda: m(x, "text"), lambda: m(x, other=x)):
        call().backward(torch.tensor([1.5], **like))
    same(seen, [[3.0, None], [3.0]])


@promise("hooks", FULL, link=FULL_PAGE)
def it_fires_for_outputs_in_a_tuple(device: torch.device, dtype: torch.dtype) -> None:
    """grad_output has a place for every output of a module that returns a tuple, also where one of them is unused."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}

    class Two(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2, x * 3

    m, seen = Two(), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append((len(go), gi[0].item(), go[1].item())))
    x = torch.tensor([3.0], **like, requires_grad=True)
    m(x)[1].backward(torch.tensor([1.5], **like))
    a, b = m(x)
    (a + b).backward(torch.tensor([1.5], **like))
    same(seen, [(2, 4.5, 1.5), (2, 7.5, 1.5)])


@promise("hooks", FULL, PRE, link=FULL_PAGE)
def changing_inputs_or_outputs_in_place_raises(device: torch.device, dtype: torch.dtype) -> None:
    """Modifying inputs or outputs in place is not allowed with backward hooks and raises an error."""
    x = torch.tensor([3.0, -1.0], device=device, dtype=dtype, requires_grad=True)
    inside = nn.ReLU(inplace=True)
    inside.register_full_backward_hook(lambda m, gi, go: None)
    raises(RuntimeError, lambda: inside(x * 2), "modified inplace")
    outside = nn.Identity()
    outside.register_full_backward_pre_hook(lambda m, go: None)
    raises(RuntimeError, lambda: outside(x * 2).mul_(3), "modified inplace")


@promise("hooks", FULL, link=FULL_PAGE)
def a_wrong_number_of_gradients_is_refused(device: torch.device, dtype: torch.dtype) -> None:
    """A hook returns a gradient for every input, or None; any other number of them is an error."""
    m = nn.Identity()
    m.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    y = m(torch.tensor([3.0], device=device, dtype=dtype, requires_grad=True))
    raises(RuntimeError, lambda: y.backward(torch.tensor([1.5], device=device, dtype=dtype)), "expected 1")


@promise("hooks", FULL, link=f"{MODULE}#torch.nn.Module.register_backward_hook")
def old_and_full_hooks_do_not_mix(device: torch.device, dtype: torch.dtype) -> None:
    """A single module cannot have both regular backward hooks and full backward hooks."""
    old, full = nn.Identity(), nn.Identity()
    old.register_backward_hook(lambda m, gi, go: None)
    full.register_full_backward_hook(lambda m, gi, go: None)
    raises(RuntimeError, lambda: old.register_full_backward_hook(lambda m, gi, go: None), "Cannot use both")
    raises(RuntimeError, lambda: full.register_backward_hook(lambda m, gi, go: None), "Cannot use both")


@promise("hooks", FULL, PRE, link=MODULE)
def a_shared_module_fires_for_every_call_the_last_first(device: torch.device, dtype: torch.dtype) -> None:
    """The hooks are called every time gradients with respect to a module are computed: for each of its calls."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = Scale(2.0, **like), []
    m.register_full_backward_pre_hook(lambda m, go: seen.append(("pre", go[0].item())))
    m.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].item(), go[0].item())))
    nn.Sequential(m, m)(torch.tensor([3.0], **like, requires_grad=True)).backward(torch.tensor([1.5], **like))
    same(seen, [("pre", 1.5), (3.0, 1.5), ("pre", 3.0), (6.0, 3.0)])
    same(m.w.grad, torch.tensor([18.0], **like))


@promise("hooks", FULL, link=FULL_PAGE)
def its_changes_are_differentiated_through(device: torch.device, dtype: torch.dtype) -> None:
    """With create_graph=True, what a hook makes of a gradient is part of the graph of the second derivative."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m = Scale(2.0, **like)
    handle = m.register_full_backward_hook(lambda m, gi, go: (gi[0] * gi[0],))
    x, g = (torch.tensor([v], **like, requires_grad=True) for v in (3.0, 5.0))
    (first,) = torch.autograd.grad(m(x), x, g, create_graph=True)  # (g w)^2
    handle.remove()
    second = torch.autograd.grad(first, (g, m.w), torch.tensor([-1.0], **like))
    same([t.item() for t in (first, *second)], [100.0, -40.0, -100.0])


@promise("hooks", FULL, link="checkpoint.html#torch.utils.checkpoint.checkpoint")
def it_fires_once_under_checkpoint(device: torch.device, dtype: torch.dtype) -> None:
    """Under both forms of checkpoint the gradient of a module is computed once, and its hook fires once."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    for reentrant in (False, True):
        m, seen = Scale(2.0, **like), []
        m.register_full_backward_hook(lambda m, gi, go, seen=seen: seen.append((gi[0].item(), go[0].item())))
        x = torch.tensor([3.0], **like, requires_grad=True)
        checkpoint(m, x, use_reentrant=reentrant).backward(torch.tensor([1.5], **like))
        same(seen, [(3.0, 1.5)], f"use_reentrant={reentrant}")
        same([x.grad, m.w.grad], [torch.tensor([v], **like) for v in (3.0, 4.5)])


@promise("hooks", FULL, PRE, link=MODULE)
def a_deep_copy_has_the_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """deepcopy copies a module with its hooks, which get the copy; the original's can be removed without the copy's."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = Scale(2.0, **like), []
    handles = [
        m.register_full_backward_pre_hook(lambda m, go: seen.append(("pre", m is made))),
        m.register_full_backward_hook(lambda m, gi, go: seen.append(("post", m is made))),
    ]
    made = copy.deepcopy(m)
    for handle in handles:
        handle.remove()
    for part in (m, made):
        part(torch.tensor([3.0], **like, requires_grad=True)).backward(torch.tensor([1.5], **like))
    same(seen, [("pre", True), ("post", True)])
