"""What each method of pruning chooses: the mask, by hand."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune

from conformance.behaviours.promise import promise
from conformance.behaviours.say import numbers, raises, same

FAMILY = "nn.utils.prune"
DTYPES = {"float32": 2, "float64": 3, "bfloat16": 3, "float16": 3}
WEIGHT = [[0.5, -3.0, 1.5, -0.25], [-2.0, 0.75, -1.0, 4.0]]


def linear(device: torch.device, dtype: torch.dtype, weight: Any = WEIGHT) -> Any:
    m = nn.Linear(len(weight[0]), len(weight), device=device, dtype=dtype)
    m.weight.data.copy_(torch.tensor(weight))
    return m


def mask_of(m: Any) -> Any:
    """The mask as lists of 0 and 1, once it has been seen that the weight is the original times the mask."""
    same(m.weight.detach(), (m.weight_orig * m.weight_mask).detach(), "pruned weight")
    return numbers(m.weight_mask).astype(int).tolist()


@promise(FAMILY, "nn.utils.prune.l1_unstructured", levels=DTYPES, covers=("nn.utils.prune.L1Unstructured",))
def the_smallest_are_pruned(device: torch.device, dtype: torch.dtype) -> None:
    """The given number (an int) or fraction (a float, rounded) of elements with the smallest absolute value is zeroed;
    importance_scores rank in place of the weight, where they are given."""
    for amount, want in (
        (3, [[0, 1, 1, 0], [1, 0, 1, 1]]), (0.25, [[0, 1, 1, 0], [1, 1, 1, 1]]), (0, [[1] * 4] * 2),
        (1.0, [[0] * 4] * 2), (0.3, [[0, 1, 1, 0], [1, 1, 1, 1]]), (0.35, [[0, 1, 1, 0], [1, 0, 1, 1]]),
    ):  # fmt: skip
        m = linear(device, dtype)
        same(prune.l1_unstructured(m, "weight", amount) is m, True)
        same(mask_of(m), want, f"mask for {amount}")
    m = linear(device, dtype)
    scores = torch.tensor([[9.0, 1.0, 8.0, 7.0], [-2.0, 6.0, -5.0, 4.0]], dtype=dtype, device=device)
    prune.l1_unstructured(m, "weight", 2, importance_scores=scores)
    same(mask_of(m), [[1, 0, 1, 1], [0, 1, 1, 1]])


@promise(FAMILY, "nn.utils.prune.ln_structured", levels=DTYPES, covers=("nn.utils.prune.LnStructured",))
def the_channels_of_the_smallest_norm_are_pruned(device: torch.device, dtype: torch.dtype) -> None:
    """Whole channels along dim with the smallest n-norm are zeroed."""
    # the columns of WEIGHT have the 2-norms 2.06, 3.09, 1.80, 4.01 and the largest elements 2, 3, 1.5, 4
    for weight, n, dim, amount, want in (
        (WEIGHT, 1, 0, 1, [[0] * 4, [1] * 4]),
        (WEIGHT, 2, 1, 0.25, [[1, 1, 0, 1]] * 2),
        (WEIGHT, math.inf, -1, 2, [[0, 1, 0, 1]] * 2),
        ([[3.0, 3.0], [0.0, 5.0]], 1, 0, 1, [[1, 1], [0, 0]]),
        ([[3.0, 3.0], [0.0, 5.0]], 2, 0, 1, [[0, 0], [1, 1]]),
    ):
        m = linear(device, dtype, weight)
        prune.ln_structured(m, "weight", amount, n=n, dim=dim)
        same(mask_of(m), [list(row) for row in want], f"mask by {n}-norms along {dim}")
    m = linear(device, dtype)
    scores = torch.tensor([[1.0] * 4, [0.5] * 4], dtype=dtype, device=device)
    prune.ln_structured(m, "weight", 1, n=1, dim=0, importance_scores=scores)
    same(mask_of(m), [[1] * 4, [0] * 4])


@promise(FAMILY, "nn.utils.prune.random_unstructured", levels=DTYPES, covers=("nn.utils.prune.RandomUnstructured",))
def as_many_as_asked_for_are_pruned_at_random(device: torch.device, dtype: torch.dtype) -> None:
    """The given number of elements is zeroed, each element as often as the others."""
    torch.manual_seed(5)
    n, pruned = 400, np.zeros((2, 4))
    for _ in range(n):
        m = linear(device, dtype)
        prune.random_unstructured(m, "weight", 3)
        mask = np.array(mask_of(m))
        same(int(mask.sum()), 5)
        pruned += 1 - mask
    # Hoeffding's inequality for 8 frequencies: were the seed not fixed, one right torch in 1e9 would be called wrong
    limit = math.sqrt(math.log(2 * 8 / 1e-9) / (2 * n))
    assert (np.abs(pruned / n - 3 / 8) <= limit).all(), f"pruned with frequencies {pruned / n}, not 3/8"


@promise(FAMILY, "nn.utils.prune.random_structured", levels=DTYPES, covers=("nn.utils.prune.RandomStructured",))
def whole_channels_are_pruned_at_random(device: torch.device, dtype: torch.dtype) -> None:
    """The given number of channels along dim is zeroed, each channel as often as the others."""
    torch.manual_seed(6)
    n, pruned = 400, np.zeros(4)
    for _ in range(n):
        m = linear(device, dtype)
        prune.random_structured(m, "weight", 2, dim=1)
        first, second = mask_of(m)
        same((first, sum(first)), (second, 2))
        pruned += 1 - np.array(first)
    limit = math.sqrt(math.log(2 * 4 / 1e-9) / (2 * n))
    assert (np.abs(pruned / n - 1 / 2) <= limit).all(), f"pruned with frequencies {pruned / n}, not 1/2"
    m = linear(device, dtype)
    prune.random_structured(m, "weight", 0.5, dim=0)
    same(sorted(mask_of(m)), [[0] * 4, [1] * 4])


@promise(FAMILY, "nn.utils.prune.custom_from_mask",
         covers=("nn.utils.prune.CustomFromMask", "nn.utils.prune.identity", "nn.utils.prune.Identity"))  # fmt: skip
def a_mask_that_is_given_is_used(device: torch.device, dtype: torch.dtype) -> None:
    """custom_from_mask prunes what the mask says; identity makes a mask of ones."""
    m = linear(device, dtype)
    same(prune.identity(m, "weight") is m, True)
    same(mask_of(m), [[1] * 4] * 2)
    prune.custom_from_mask(m, "weight", torch.tensor([[1, 0, 1, 0], [0, 1, 1, 1]], device=device))
    same(mask_of(m), [[1, 0, 1, 0], [0, 1, 1, 1]])


@promise(FAMILY, "nn.utils.prune.global_unstructured", levels=DTYPES)
def elements_of_several_tensors_are_ranked_together(device: torch.device, dtype: torch.dtype) -> None:
    """The amount is of all given tensors together; importance_scores rank where they are given, by module and name."""
    m, other = linear(device, dtype), linear(device, dtype, [[0.125, -8.0], [0.625, 6.0]])
    both = [(m, "weight"), (other, "weight")]
    prune.global_unstructured(both, pruning_method=prune.L1Unstructured, amount=4)
    same([mask_of(m), mask_of(other)], [[[0, 1, 1, 0], [1, 1, 1, 1]], [[0, 1], [0, 1]]])
    m, other = linear(device, dtype), linear(device, dtype, [[0.125, -8.0], [0.625, 6.0]])
    both = [(m, "weight"), (other, "weight")]
    scores = {(m, "weight"): torch.arange(8.0, device=device).reshape(2, 4).to(dtype)}
    prune.global_unstructured(both, prune.L1Unstructured, importance_scores=scores, amount=0.25)
    same([mask_of(m), mask_of(other)], [[[0, 1, 1, 1], [1, 1, 1, 1]], [[0, 1], [0, 1]]])
    raises(TypeError, lambda: prune.global_unstructured(both, prune.LnStructured, amount=1, n=1), "unstructured")


@promise(FAMILY, "nn.utils.prune.l1_unstructured", covers=("nn.utils.prune.PruningContainer",))
def pruning_goes_on_with_what_is_left(device: torch.device, dtype: torch.dtype) -> None:
    """Pruning again prunes among what is not pruned yet, and the mask has both; fractions are of what is left."""
    m = linear(device, dtype)
    prune.l1_unstructured(m, "weight", 0.25)
    prune.l1_unstructured(m, "weight", 0.5)  # three of six
    same(mask_of(m), [[0, 1, 0, 0], [1, 0, 0, 1]])
    prune.ln_structured(m, "weight", 1, n=1, dim=1)  # of the columns that are not empty: norms 2, 3, 4
    same(mask_of(m), [[0, 1, 0, 0], [0, 0, 0, 1]])
    hooks = [h for h in m._forward_pre_hooks.values() if isinstance(h, prune.BasePruningMethod)]
    same([type(h) for h in hooks], [prune.PruningContainer])
    same([type(p).__name__ for p in hooks[0]], ["L1Unstructured", "L1Unstructured", "LnStructured"])
    same((len(hooks[0]), type(hooks[0][-1])), (3, prune.LnStructured))


@promise(FAMILY, "nn.utils.prune.BasePruningMethod")
def a_method_of_ones_own(device: torch.device, dtype: torch.dtype) -> None:
    """A subclass gives PRUNING_TYPE and compute_mask; apply prunes a module with it, prune a tensor."""

    class EverySecond(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t: Any, default_mask: Any) -> Any:
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    m = linear(device, dtype)
    method = EverySecond.apply(m, "weight")
    same((type(method), mask_of(m)), (EverySecond, [[0, 1, 0, 1]] * 2))
    EverySecond.apply(m, "weight")  # of the four that are left
    same(mask_of(m), [[0, 0, 0, 1]] * 2)
    t = torch.tensor([3.0, -1.0, 2.0], dtype=dtype, device=device)
    same(prune.L1Unstructured(amount=1).prune(t), torch.tensor([3.0, 0.0, 2.0], dtype=dtype, device=device))
    raises(TypeError, lambda: prune.BasePruningMethod(), "abstract")


@promise(FAMILY, "nn.utils.prune.l1_unstructured")
def amounts_that_make_no_sense_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """amount is an int of at least 0 and at most the number of elements, or a float in [0, 1]; dim is one of the
    tensor's, which has two at least where channels are pruned."""
    m = linear(device, dtype)
    for amount in (-1, -0.1, 1.5):
        raises(ValueError, functools.partial(prune.l1_unstructured, m, "weight", amount), "amount")
    raises(TypeError, lambda: prune.l1_unstructured(m, "weight", "half"))
    raises(ValueError, lambda: prune.l1_unstructured(m, "weight", 9), "9")
    raises(IndexError, lambda: prune.ln_structured(m, "weight", 1, n=1, dim=2))
    raises(ValueError, lambda: prune.random_structured(m, "bias", 1, dim=0), "multidimensional")
    same(sorted(m.state_dict()), ["bias", "weight"])
