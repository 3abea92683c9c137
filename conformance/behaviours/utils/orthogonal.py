"""The orthogonal parametrization: Q^H Q = 1 or Q Q^H = 1, whatever the original is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, numbers, raises, same

FAMILY, PATH = "nn.utils", "nn.utils.parametrizations.orthogonal"
BOTH = {"float32": 2, "float64": 3}
MAPS = ("matrix_exp", "cayley", "householder")


class Holder(nn.Module):
    """A module of one weight."""

    weight: Any

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)


def drawn(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype, seed: int) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(device, dtype)


def off_by(q: torch.Tensor) -> torch.Tensor:
    """Q^T Q, or Q Q^T of a wide matrix, minus the identity, of each of a batch."""
    product = q.mT @ q if q.shape[-2] >= q.shape[-1] else q @ q.mT
    return product - torch.eye(product.shape[-1], dtype=q.dtype, device=q.device)


@promise(FAMILY, PATH, levels=BOTH)
def the_weight_is_orthogonal(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """The weight has orthonormal columns, or rows where it is wider than high, by each map and with any original."""
    shape = ((3, 3), (5, 3), (2, 4), (2, 3, 2))[seed % 4]
    for name in (None, *MAPS):
        for trivialized in (True, False):
            m = Holder(drawn(shape, device, dtype, seed))
            parametrizations.orthogonal(m, "weight", name, use_trivialization=trivialized)
            close(off_by(m.weight), np.zeros(off_by(m.weight).shape), f"{name} of {shape}", scale=4.0 * max(shape))
            with torch.no_grad():
                moved = drawn(shape, device, dtype, seed + 1)
                # the diagonal of Householder's map is of signs
                step = moved.tril(-1) if m.weight.shape[-1] != m.weight.shape[-2] or name == "householder" else moved
                m.parametrizations.weight.original.add_(step)
            close(off_by(m.weight), np.zeros(off_by(m.weight).shape), f"{name}, moved", scale=16.0 * max(shape))


@promise(FAMILY, PATH, levels=BOTH)
def complex_weights_are_unitary(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """A complex weight is unitary: Q^H Q = 1; Householder's map does not take one."""
    kind = torch.complex64 if dtype == torch.float32 else torch.complex128
    start = torch.complex(drawn((3, 2), device, dtype, seed), drawn((3, 2), device, dtype, seed + 1)).to(kind)
    for name in (None, "matrix_exp", "cayley"):
        q = parametrizations.orthogonal(Holder(start.clone()), "weight", name).weight
        close(torch.view_as_real(q.mH @ q), np.stack([np.eye(2), np.zeros((2, 2))], -1), str(name), scale=8.0)
    raises(ValueError, lambda: parametrizations.orthogonal(Holder(start), "weight", "householder"), "complex")


@promise(FAMILY, PATH, levels=BOTH)
def an_orthogonal_weight_keeps_its_value(device: torch.device, dtype: torch.dtype) -> None:
    """The first value is that of the original tensor if it is orthogonal, else that is made so by its QR
    decomposition."""
    q = np.array([[0.6, -0.8, 0.0], [0.0, 0.0, 1.0], [0.8, 0.6, 0.0]])
    for name in MAPS:
        for columns in (3, 2):
            m = Holder(torch.from_numpy(q[:, :columns].copy()).to(device, dtype))
            close(parametrizations.orthogonal(m, "weight", name).weight, q[:, :columns], f"{name}", scale=8.0)
    # a matrix a = q r, r with a positive diagonal
    a = q @ np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0], [0.0, 0.0, 0.25]])
    m = Holder(torch.from_numpy(a).to(device, dtype))
    close(parametrizations.orthogonal(m, "weight", "matrix_exp").weight, q, "by QR", scale=64.0)


@promise(FAMILY, PATH, levels=BOTH)
def gradients_are_those_of_a_rotation(device: torch.device, dtype: torch.dtype) -> None:
    """At its first value Q = B the derivative of both maps is dQ = B dA with A = L - L^T of the lower triangle L of the
    original: with G the gradient of Q, that of the original is the lower triangle of B^T G - G^T B."""
    q = np.array([[0.6, -0.8, 0.0], [0.0, 0.0, 1.0], [0.8, 0.6, 0.0]])
    g = np.array([[1.0, -2.0, 0.5], [3.0, 1.5, -1.0], [0.25, 2.0, -3.0]])
    m = q.T @ g
    for name in ("matrix_exp", "cayley"):
        holder = parametrizations.orthogonal(Holder(torch.from_numpy(q).to(device, dtype)), "weight", name)
        holder.weight.backward(torch.from_numpy(g).to(device, dtype))
        close(holder.parametrizations.weight.original.grad, np.tril(m - m.T, -1), name, scale=32.0)


@promise(FAMILY, PATH)
def matrices_can_be_assigned(device: torch.device, dtype: torch.dtype) -> None:
    """An orthogonal matrix can be assigned; without trivialization to Householder's map alone."""
    q = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=dtype, device=device)
    for name in MAPS:
        m = parametrizations.orthogonal(Holder(torch.eye(2, dtype=dtype, device=device)), "weight", name)
        m.weight = q
        close(m.weight, numbers(q), name, scale=4.0)
        plain = Holder(torch.eye(2, dtype=dtype, device=device))
        parametrizations.orthogonal(plain, "weight", name, use_trivialization=False)
        if name == "householder":
            plain.weight = q
            close(plain.weight, numbers(q), name, scale=4.0)
        else:
            raises(NotImplementedError, lambda plain=plain: setattr(plain, "weight", q))


@promise(FAMILY, PATH)
def what_cannot_be_orthogonal_is_refused(device: torch.device, dtype: torch.dtype) -> None:
    """A vector, a map that there is not, and a name that there is not raise ValueError."""
    m = nn.Linear(2, 2, device=device, dtype=dtype)
    raises(ValueError, lambda: parametrizations.orthogonal(m, "bias"), "matrix")
    raises(ValueError, lambda: parametrizations.orthogonal(m, "weight", "gram_schmidt"), "orthogonal_map")
    raises(ValueError, lambda: parametrizations.orthogonal(m, "strength"), "strength")
    same(sorted(m.state_dict()), ["bias", "weight"])
