"""Weight normalization, w = g v / |v|, in the old form (a hook) and as a parametrization."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations, parametrize

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, numbers, raises, same

BOTH = {"float32": 2, "float64": 3}
OLD = "generated/torch.nn.utils.weight_norm.html"
NEW = "generated/torch.nn.utils.parametrizations.weight_norm.html"


def normed(m: Any, new: bool, **options: Any) -> tuple[Any, Any, Any]:
    """The module with weight norm, the magnitude g and the direction v."""
    if new:
        parametrizations.weight_norm(m, **options)
        return m, m.parametrizations.weight.original0, m.parametrizations.weight.original1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        utils.weight_norm(m, **options)
    return m, m.weight_g, m.weight_v


def split(w: Any, dim: int | None) -> tuple[Any, Any]:
    """|w| over all dimensions but `dim` (over all for None), and the shape in which it broadcasts."""
    axes = tuple(i for i in range(w.ndim) if i != dim)
    return np.sqrt((w * w).sum(axis=axes, keepdims=dim is not None)), axes


@promise("nn.utils", "nn.utils.weight_norm", link=OLD, levels=BOTH)
def magnitude_and_direction_take_the_place_of_the_weight(
    device: torch.device, dtype: torch.dtype, seed: int, new: bool = False
) -> None:
    """g, the norm over all dimensions but dim, and v, the weight, are the parameters; the weight g v / |v| is at first
    what it was."""
    rng = np.random.default_rng(seed)
    for shape, dim in (((3, 2, 2), 0), ((3, 2, 2), 1), ((3, 2, 2), 2), ((3, 2, 2), None)):
        m = nn.Conv1d(2, 3, 2, bias=False, device=device, dtype=dtype)
        m.weight.data.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)))
        w = numbers(m.weight).copy()
        m, g, v = normed(m, new, dim=dim)
        same([isinstance(p, nn.Parameter) for p in (g, v)], [True, True])
        close(g, split(w, dim)[0], f"magnitude for dim {dim}")
        close(v, w, f"direction for dim {dim}")
        close(m.weight, w, f"weight for dim {dim}")
        same(sorted(id(p) for p in m.parameters()), sorted([id(g), id(v)]))


@promise("nn.utils", "nn.utils.weight_norm", link=OLD, levels=BOTH)
def gradients_pass_to_magnitude_and_direction(
    device: torch.device, dtype: torch.dtype, seed: int, new: bool = False
) -> None:
    """With G the gradient of w = g v / |v|: dg = <G, v> / |v|, and dv = g / |v| (G - v <G, v> / |v|^2)."""
    rng = np.random.default_rng(seed)
    for dim in (0, None):
        m, g, v = normed(nn.Linear(3, 2, bias=False, device=device, dtype=dtype), new, dim=dim)
        with torch.no_grad():
            for p in (g, v):  # not what they are at first, where g = |v|
                p.copy_(torch.from_numpy(np.asarray(rng.uniform(0.5, 1.5, p.shape) * rng.choice([-1, 1], p.shape))))
        x = torch.tensor([[1.0, -2.0, 0.5]], dtype=dtype, device=device)
        out = m(x)
        cotangent = torch.tensor([[2.0, -1.5]], dtype=dtype, device=device)
        out.backward(cotangent)
        gn, vn, xn, cn = numbers(g), numbers(v), numbers(x), numbers(cotangent)
        size, axes = split(vn, dim)
        w, into = gn * vn / size, cn.T @ xn
        along = (into * vn).sum(axis=axes, keepdims=dim is not None)
        terms = (np.abs(into * vn)).sum(axis=axes, keepdims=dim is not None)
        close(out, xn @ w.T, "output", scale=4 * np.abs(xn) @ np.abs(w.T))
        close(g.grad, along / size, "gradient of the magnitude", scale=4 * terms / size)
        dv = gn / size * (into - vn * along / size**2)
        room = np.abs(gn) / size * (np.abs(into) + np.abs(vn) * terms / size**2)
        close(v.grad, dv, "gradient of the direction", scale=4 * room)


@promise("nn.utils", "nn.utils.weight_norm", link=OLD, covers=("nn.utils.remove_weight_norm",))
def the_hook_computes_the_weight_before_every_forward(device: torch.device, dtype: torch.dtype) -> None:
    """The weight is recomputed before every forward; remove_weight_norm makes it a parameter again, of that value."""
    m, g, v = normed(nn.Linear(2, 1, bias=False, device=device, dtype=dtype), False)
    v.data.copy_(torch.tensor([[3.0, -4.0]]))
    g.data.fill_(10.0)
    close(m(torch.tensor([1.0, 2.0], dtype=dtype, device=device)), [-10.0], scale=22.0)
    same(list(m.state_dict()), ["weight_g", "weight_v"])
    same(utils.remove_weight_norm(m) is m, True)
    same((list(m.state_dict()), type(m.weight), len(m._forward_pre_hooks)), (["weight"], nn.Parameter, 0))
    close(m.weight, [[6.0, -8.0]], scale=8.0)
    raises(ValueError, lambda: utils.remove_weight_norm(m), "not found")


@promise("nn.utils", "nn.utils.weight_norm", link=OLD)
def a_weight_is_normed_once(device: torch.device, dtype: torch.dtype) -> None:
    """A second weight norm of the same parameter is refused."""
    m, _, _ = normed(nn.Linear(2, 1), False)
    raises(RuntimeError, lambda: normed(m, False), "two weight_norm hooks")


def copied(m: Any, what: str) -> Any:
    try:
        return copy.deepcopy(m)
    except RuntimeError as error:
        raise AssertionError(f"{what} cannot be copied: {error}") from error


@promise("nn.utils", "nn.utils.weight_norm", link=OLD)
def a_normed_module_can_be_copied(device: torch.device, dtype: torch.dtype) -> None:
    """The module with the hook is a module like others: copy.deepcopy gives one of equal parameters."""
    m, _, _ = normed(nn.Linear(2, 1, device=device, dtype=dtype), False)
    same(dict(copied(m, "a module with weight_norm").state_dict()), dict(m.state_dict()))


@promise("nn.utils", "nn.utils.parametrizations.weight_norm", link=NEW, levels=BOTH)
def the_parametrization_has_magnitude_and_direction(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """original0 is g, the norm over all dimensions but dim, original1 is v; the weight g v / |v| is at first what it
    was, and gradients pass to both."""
    magnitude_and_direction_take_the_place_of_the_weight(device, dtype, seed, new=True)
    gradients_pass_to_magnitude_and_direction(device, dtype, seed, new=True)


@promise("nn.utils", "nn.utils.parametrizations.weight_norm", link=NEW)
def the_parametrization_loads_what_the_hook_has_saved(device: torch.device, dtype: torch.dtype) -> None:
    """The new weight_norm is compatible with a state_dict of the old one; it computes the weight at every access,
    can be copied and can be removed."""
    old, g, v = normed(nn.Linear(2, 1, device=device, dtype=dtype), False)
    v.data.copy_(torch.tensor([[3.0, -4.0]]))
    g.data.fill_(10.0)
    m, _, _ = normed(nn.Linear(2, 1, device=device, dtype=dtype), True)
    m.load_state_dict(old.state_dict())
    close(m.weight, [[6.0, -8.0]], scale=8.0)
    m.parametrizations.weight.original0.data.fill_(5.0)
    close(m.weight, [[3.0, -4.0]], scale=4.0)
    close(copied(m, "a parametrized module").weight, [[3.0, -4.0]], scale=4.0)
    parametrize.remove_parametrizations(m, "weight")
    same((sorted(m.state_dict()), type(m.weight), type(m)), (["bias", "weight"], nn.Parameter, nn.Linear))
    close(m.weight, [[3.0, -4.0]], scale=4.0)
