"""What pruning does to a module: the original, the mask, the hook, the state, and the way back."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import prune

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same
from conformance.behaviours.utils.pruning import linear

FAMILY = "nn.utils.prune"


@promise(FAMILY, "nn.utils.prune.l1_unstructured")
def original_and_mask_take_the_place_of_the_parameter(device: torch.device, dtype: torch.dtype) -> None:
    """The parameter becomes name_orig, the mask is the buffer name_mask, and the name is their product, an ordinary
    attribute."""
    m = linear(device, dtype)
    before = m.weight
    prune.l1_unstructured(m, "weight", 3)
    same(sorted(n for n, _ in m.named_parameters()), ["bias", "weight_orig"])
    same([n for n, _ in m.named_buffers()], ["weight_mask"])
    same((m.weight_orig is before, isinstance(m.weight, nn.Parameter)), (True, False))
    same(list(m.state_dict()), ["bias", "weight_orig", "weight_mask"])
    same(before.detach(), linear(device, dtype).weight.detach())


@promise(FAMILY, "nn.utils.prune.l1_unstructured", levels={"float32": 2, "float64": 3})
def pruned_elements_get_no_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """The gradient of the original is that of the weight times the mask."""
    m = linear(device, dtype, [[0.5, -3.0, 1.5]])
    prune.l1_unstructured(m, "weight", 1)
    x = torch.tensor([4.0, 2.0, -1.0], dtype=dtype, device=device)
    out = m(x)
    same(out.detach(), (-7.5 + m.bias).detach())
    out.backward(torch.tensor([2.0], dtype=dtype, device=device))
    same(m.weight_orig.grad, torch.tensor([[0.0, 4.0, -2.0]], dtype=dtype, device=device))


@promise(FAMILY, "nn.utils.prune.l1_unstructured")
def the_hook_prunes_before_every_forward(device: torch.device, dtype: torch.dtype) -> None:
    """A change of the original (by an optimizer, by loading) is seen at the next forward, pruned by the same mask."""
    m, other = linear(device, dtype, [[0.5, -3.0]]), linear(device, dtype, [[7.0, 0.25]])
    for each in (m, other):
        prune.l1_unstructured(each, "weight", 1)
    x = torch.ones(2, dtype=dtype, device=device)
    with torch.no_grad():
        m.weight_orig.copy_(torch.tensor([[6.0, 5.0]]))
        same(m(x) - m.bias, torch.tensor([5.0], dtype=dtype, device=device))
        other.load_state_dict(m.state_dict())
        m.bias.zero_()
        same(other(x) - other.bias, torch.tensor([5.0], dtype=dtype, device=device))
    same(other.weight.detach(), torch.tensor([[0.0, 5.0]], dtype=dtype, device=device))


@promise(FAMILY, "nn.utils.prune.remove")
def a_removal_makes_it_permanent(device: torch.device, dtype: torch.dtype) -> None:
    """remove makes the pruned weight a parameter again, under its name and without hook and buffer: nothing is undone;
    what is not pruned is refused."""
    m = linear(device, dtype, [[0.5, -3.0, 1.5]])
    raises(ValueError, lambda: prune.remove(m, "weight"), "has to be pruned")
    prune.l1_unstructured(m, "weight", 1)
    prune.l1_unstructured(m, "weight", 1)
    same(prune.remove(m, "weight") is m, True)
    same((type(m.weight), m.weight.requires_grad, m.weight.is_leaf), (nn.Parameter, True, True))
    same(m.weight.detach(), torch.tensor([[0.0, -3.0, 0.0]], dtype=dtype, device=device))
    same((sorted(m.state_dict()), len(m._forward_pre_hooks)), (["bias", "weight"], 0))


@promise(FAMILY, "nn.utils.prune.is_pruned")
def a_module_is_pruned_if_one_inside_is(device: torch.device, dtype: torch.dtype) -> None:
    """is_pruned looks for pruning hooks in the module and all inside it."""
    m = nn.Sequential(nn.ReLU(), nn.Sequential(linear(device, dtype)))
    same(prune.is_pruned(m), False)
    prune.random_unstructured(m[1][0], "bias", 1)
    same([prune.is_pruned(p) for p in (m, m[0], m[1], m[1][0])], [True, False, True, True])
    prune.remove(m[1][0], "bias")
    same(prune.is_pruned(m), False)
