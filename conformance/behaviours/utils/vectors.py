"""Parameters as one vector, modules without initial values, weights of convolutions in other memory formats."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import utils

from conformance.behaviours.promise import promise
from conformance.behaviours.say import numbers, raises, same


@promise("nn.utils", "nn.utils.parameters_to_vector", levels={"float32": 2, "float64": 3, "bfloat16": 3})
def parameters_are_laid_out_one_after_another(device: torch.device, dtype: torch.dtype) -> None:
    """The parameters, flattened, in one vector in their order; its gradient is cut into theirs."""
    a = torch.arange(6, dtype=dtype, device=device).reshape(2, 3).requires_grad_()
    b = torch.tensor([-1.0, 7.0], dtype=dtype, device=device, requires_grad=True)
    c = torch.tensor(0.5, dtype=dtype, device=device, requires_grad=True)
    vector = utils.parameters_to_vector(iter([a, b, c]))
    same(vector, torch.tensor([0.0, 1, 2, 3, 4, 5, -1, 7, 0.5], dtype=dtype, device=device))
    vector.backward(torch.arange(1, 10, dtype=dtype, device=device))
    want = [torch.arange(1, 7).reshape(2, 3), torch.tensor([7, 8]), torch.tensor(9)]
    same([p.grad for p in (a, b, c)], [w.to(device, dtype) for w in want])


@promise("nn.utils", "nn.utils.parameters_to_vector")
def parameters_of_any_memory_format_are_flattened(device: torch.device, dtype: torch.dtype) -> None:
    """The order in the vector is that of indices, whatever the strides of a parameter are."""
    a = torch.arange(6, dtype=dtype, device=device).reshape(2, 3).t()
    try:
        got = utils.parameters_to_vector([a])
    except RuntimeError as error:
        raise AssertionError(f"cannot be flattened: {error}") from error
    same(got, torch.tensor([0.0, 3, 1, 4, 2, 5], dtype=dtype, device=device))


@promise("nn.utils", "nn.utils.vector_to_parameters", levels={"float32": 2, "float64": 3, "bfloat16": 3})
def slices_of_a_vector_become_parameters(device: torch.device, dtype: torch.dtype) -> None:
    """Slices of the vector, in order, become the values of the parameters, which stay what they are."""
    m = nn.Linear(3, 2, device=device, dtype=dtype)
    before = dict(m.named_parameters())
    vector = torch.arange(8, dtype=dtype, device=device, requires_grad=True)
    same(utils.vector_to_parameters(vector, m.parameters()), None)
    same(m.weight.detach(), torch.arange(6, dtype=dtype, device=device).reshape(2, 3))
    same(m.bias.detach(), torch.tensor([6.0, 7.0], dtype=dtype, device=device))
    same([before[n] is p and p.is_leaf and p.requires_grad for n, p in m.named_parameters()], [True, True])
    raises(TypeError, lambda: utils.vector_to_parameters([0.0] * 8, m.parameters()))


@promise("nn.utils", "nn.utils.vector_to_parameters")
def the_vector_is_copied(device: torch.device, dtype: torch.dtype) -> None:
    """Slices of the vector are copied: what is done to it later is not seen in the parameters."""
    m = nn.Linear(3, 2, device=device, dtype=dtype)
    vector = torch.arange(8, dtype=dtype, device=device)
    utils.vector_to_parameters(vector, m.parameters())
    vector.zero_()
    same(m.bias.detach(), torch.tensor([6.0, 7.0], dtype=dtype, device=device))


@promise("nn.utils", "nn.utils.skip_init")
def a_module_is_made_without_initial_values(device: torch.device, dtype: torch.dtype) -> None:
    """skip_init makes the module with these arguments, its parameters as torch.empty leaves them: nothing is drawn."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    m = utils.skip_init(nn.Linear, 5, out_features=2, bias=False, device=device, dtype=dtype)
    same((type(m), m.training, torch.equal(before, torch.get_rng_state())), (nn.Linear, True, True))
    found = [(n, tuple(p.shape), p.dtype, p.device.type, p.requires_grad) for n, p in m.named_parameters()]
    same(found, [("weight", (2, 5), dtype, device.type, True)])
    nn.init.ones_(m.weight)
    same(m(torch.ones(5, dtype=dtype, device=device)).detach(), torch.full((2,), 5.0, dtype=dtype, device=device))


class WithoutDevice(nn.Module):
    def __init__(self, size: int):
        super().__init__()


@promise("nn.utils", "nn.utils.skip_init")
def what_cannot_be_made_without_initial_values_is_refused(device: torch.device, dtype: torch.dtype) -> None:
    """The class must be a Module and its constructor take a device: else RuntimeError."""
    raises(RuntimeError, lambda: utils.skip_init(dict), "Expected a Module")
    raises(RuntimeError, lambda: utils.skip_init(WithoutDevice, 3), "'device'")


@promise("nn.utils", "nn.utils.convert_conv2d_weight_memory_format")
def weights_of_2d_convolutions_change_their_strides(device: torch.device, dtype: torch.dtype) -> None:
    """The weights of Conv2d and ConvTranspose2d inside get the memory format, nothing else does; no value changes."""
    m = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Sequential(nn.ConvTranspose2d(4, 2, 2)), nn.Conv1d(2, 2, 2))
    m = m.to(device, dtype)
    values = [numbers(p).copy() for p in m.parameters()]
    ids = [id(p) for p in m.parameters()]
    same(utils.convert_conv2d_weight_memory_format(m, torch.channels_last) is m, True)
    same([m[0].weight.stride(), m[1][0].weight.stride()], [(12, 1, 6, 3), (8, 1, 4, 2)])
    same([m[0].bias.stride(), m[2].weight.stride()], [(1,), (4, 2, 1)])
    same([id(p) for p in m.parameters()], ids)
    same(all(np.array_equal(numbers(p), v) for p, v in zip(m.parameters(), values)), True)
    utils.convert_conv2d_weight_memory_format(m, torch.contiguous_format)
    same(m[0].weight.stride(), (12, 4, 2, 1))


@promise("nn.utils", "nn.utils.convert_conv3d_weight_memory_format")
def weights_of_3d_convolutions_change_their_strides(device: torch.device, dtype: torch.dtype) -> None:
    """The weights of Conv3d and ConvTranspose3d inside get the memory format, nothing else does; no value changes."""
    m = nn.Sequential(nn.Conv3d(3, 4, 2), nn.ConvTranspose3d(4, 2, 2), nn.Conv2d(3, 4, 2)).to(device, dtype)
    values = [numbers(p).copy() for p in m.parameters()]
    same(utils.convert_conv3d_weight_memory_format(m, torch.channels_last_3d) is m, True)
    same([c.weight.stride() for c in m], [(24, 1, 12, 6, 3), (16, 1, 8, 4, 2), (12, 4, 2, 1)])
    same(all(np.array_equal(numbers(p), v) for p, v in zip(m.parameters(), values)), True)
