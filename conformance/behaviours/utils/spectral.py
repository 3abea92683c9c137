"""Spectral normalization, w / sigma(w) with the largest singular value by power iteration: a hook, a parametrization.

The weights are diagonal ones turned by known rotations, so that singular values and vectors are known.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations, parametrize

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, numbers, raises, same

BOTH = {"float32": 2, "float64": 3}
OLD = "generated/torch.nn.utils.spectral_norm.html"
NEW = "generated/torch.nn.utils.parametrizations.spectral_norm.html"


def rotation(angle: float) -> Any:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def weight_of(largest: float, other: float) -> tuple[Any, Any, Any]:
    """(2, 2) with these singular values, and the vectors u and v of the largest."""
    left, right = rotation(0.7), rotation(-0.4)
    return left @ np.diag([largest, other]) @ right.T, left[:, 0], right[:, 0]


def linear(weight: Any, device: torch.device, dtype: torch.dtype) -> Any:
    m = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device=device, dtype=dtype)
    m.weight.data.copy_(torch.from_numpy(weight))
    return m


def state(m: Any, name: str) -> Any:
    """What the module keeps: "u", "v" or the original weight ("orig"), in either form."""
    found = m.state_dict(keep_vars=True)
    endings = {"u": ("_u",), "v": ("_v",), "orig": ("_orig", ".original")}[name]
    return next(t for key, t in found.items() if key.endswith(endings))


@promise("nn.utils", "nn.utils.spectral_norm", link=OLD, levels=BOTH, given={"new": False})
@promise("nn.utils", "nn.utils.parametrizations.spectral_norm", link=NEW, levels=BOTH, given={"new": True})
def the_weight_has_the_spectral_norm_one(device: torch.device, dtype: torch.dtype, new: bool) -> None:
    """After enough power iterations the weight is the original one divided by its largest singular value."""
    w, _, _ = weight_of(4.0, 0.5)
    for shape, dim in (((2, 2), 0), ((2, 2), 1)):
        m = linear(w, device, dtype)
        apply = parametrizations.spectral_norm if new else utils.spectral_norm
        same(apply(m, n_power_iterations=20, dim=dim) is m, True)
        m(torch.ones(shape, dtype=dtype, device=device))
        close(m.weight, w / 4.0, f"weight for dim {dim}", scale=4.0)


@promise("nn.utils", "nn.utils.spectral_norm", link=OLD, levels=BOTH, given={"new": False})
@promise("nn.utils", "nn.utils.parametrizations.spectral_norm", link=NEW, levels=BOTH, given={"new": True})
def the_gradient_passes_through_the_norm(device: torch.device, dtype: torch.dtype, new: bool) -> None:
    """With G the gradient of w / sigma and sigma = u^T w v: dw = G / sigma - <G, w> / sigma^2 u v^T."""
    w, u, v = weight_of(4.0, 0.5)
    m = linear(w, device, dtype)
    (parametrizations.spectral_norm if new else utils.spectral_norm)(m, n_power_iterations=20)
    x = torch.tensor([[1.0, -2.0]], dtype=dtype, device=device)
    m(x).backward(torch.tensor([[0.5, 3.0]], dtype=dtype, device=device))
    into = np.outer([0.5, 3.0], [1.0, -2.0])
    want = into / 4 - (into * w).sum() / 16 * np.outer(u, v)
    close(state(m, "orig").grad, want, "gradient of the original", scale=np.abs(into).max() * 4)


@promise("nn.utils", "nn.utils.spectral_norm", link=OLD, given={"new": False})
@promise("nn.utils", "nn.utils.parametrizations.spectral_norm", link=NEW, given={"new": True})
def training_iterates_and_eval_does_not(device: torch.device, dtype: torch.dtype, new: bool) -> None:
    """Every forward in training makes n_power_iterations steps of the power method, whose vectors are buffers; in eval
    nothing moves, and the weight is that of the vectors: w / (u^T w v)."""
    w, _, _ = weight_of(4.0, 3.0)  # slow enough to see every step
    m = linear(w, device, dtype)
    (parametrizations.spectral_norm if new else utils.spectral_norm)(m, n_power_iterations=2)
    x = torch.ones(1, 2, dtype=dtype, device=device)
    with torch.no_grad():
        start = torch.tensor([0.6, -0.8], dtype=dtype, device=device)
        state(m, "u").copy_(start)
        state(m, "v").copy_(start)
    for steps in (2, 4):
        m(x)
        u = v = np.array([0.6, -0.8])
        for _ in range(steps):
            if new:  # u first, from v
                u = w @ v / np.linalg.norm(w @ v)
                v = w.T @ u / np.linalg.norm(w.T @ u)
            else:
                v = w.T @ u / np.linalg.norm(w.T @ u)
                u = w @ v / np.linalg.norm(w @ v)
        close(state(m, "u"), u, f"u after {steps} steps", scale=4.0)
        close(state(m, "v"), v, f"v after {steps} steps", scale=4.0)
    m.eval()
    kept = [state(m, name).detach().clone() for name in "uv"]
    m(x)
    close(m.weight, w / (u @ w @ v), "weight in eval", scale=4.0)
    same([state(m, name).detach() for name in "uv"], kept)


@promise("nn.utils", "nn.utils.spectral_norm", link=OLD, covers=("nn.utils.remove_spectral_norm",))
def the_norm_can_be_removed(device: torch.device, dtype: torch.dtype) -> None:
    """remove_spectral_norm makes the weight a parameter again, with the value that it has; a second norm of the same
    parameter, and the removal of none, are refused."""
    w, _, _ = weight_of(4.0, 0.5)
    m = utils.spectral_norm(linear(w, device, dtype), n_power_iterations=20)
    raises(RuntimeError, lambda: utils.spectral_norm(m), "two spectral_norm hooks")
    m(torch.ones(2, dtype=dtype, device=device))
    same(sorted(m.state_dict()), ["weight_orig", "weight_u", "weight_v"])
    same(utils.remove_spectral_norm(m) is m, True)
    same((list(m.state_dict()), type(m.weight)), (["weight"], nn.Parameter))
    close(m.weight, w / 4, scale=4.0)
    raises(ValueError, lambda: utils.remove_spectral_norm(m), "not found")


@promise("nn.utils", "nn.utils.spectral_norm", link=OLD, given={"new": False})
@promise("nn.utils", "nn.utils.parametrizations.spectral_norm", link=NEW, given={"new": True})
def transposed_convolutions_have_their_outputs_second(device: torch.device, dtype: torch.dtype, new: bool) -> None:
    """By default dim is 0, and 1 for ConvTranspose: the dimension of the outputs."""
    apply = parametrizations.spectral_norm if new else utils.spectral_norm
    layers = (nn.Conv1d(2, 3, 4), nn.ConvTranspose1d(2, 4, 3), nn.ConvTranspose2d(2, 5, 2), nn.Linear(2, 6))
    same([len(state(apply(layer), "u")) for layer in layers], [3, 4, 5, 6])


@promise("nn.utils", "nn.utils.parametrizations.spectral_norm", link=NEW)
def a_norm_is_loaded_and_removed_as_it_is(device: torch.device, dtype: torch.dtype) -> None:
    """The state_dict has the original weight and the vectors: a module that loads it has the same weight in eval; a
    removal in eval keeps that weight."""
    w, _, _ = weight_of(4.0, 3.0)
    m, other = (parametrizations.spectral_norm(linear(k * w, device, dtype)).eval() for k in (1.0, 5.0))
    other.load_state_dict(m.state_dict())
    weight = m.weight.detach().clone()
    same(other.weight.detach(), weight)
    same(parametrize.remove_parametrizations(m, "weight") is m, True)
    same((list(m.state_dict()), m.weight.detach()), (["weight"], weight))


@promise("nn.utils", "nn.utils.parametrizations.spectral_norm", link=NEW)
def a_vector_is_divided_by_its_length(device: torch.device, dtype: torch.dtype) -> None:
    """The spectral norm of a vector is its length; an eps and a number of iterations that make no sense are refused."""
    m = nn.Linear(1, 2, device=device, dtype=dtype)
    m.bias.data.copy_(torch.tensor([3.0, -4.0]))
    close(parametrizations.spectral_norm(m, "bias").bias, [0.6, -0.8], scale=1.0)
    raises(ValueError, lambda: parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=0), "positive")
    raises(ValueError, lambda: parametrizations.spectral_norm(nn.Linear(2, 2), "strength"), "no parameter or buffer")
    same(numbers(m.weight).shape, (2, 1))
