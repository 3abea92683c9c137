"""A model of torch.nn.Module, its containers and its hooks, and of the backward pass that fires them: NumPy alone.

Classes and functions have the names that they have in torch, so that one line of Python runs on both.
"""

from reference.mechanics.backward import register_multi_grad_hook
from reference.mechanics.calling import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)
from reference.mechanics.containers import ModuleDict, ModuleList, Sequential
from reference.mechanics.handles import EVERYWHERE
from reference.mechanics.module import Module
from reference.mechanics.parameters import ParameterDict, ParameterList
from reference.mechanics.saving import Saved
from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Parameter, Tensor, no_grad, saved_tensors_hooks, tensor

__all__ = [
    "EVERYWHERE", "Module", "ModuleDict", "ModuleList", "OutOfScope", "Parameter", "ParameterDict", "ParameterList",
    "Saved", "Sequential", "Tensor", "no_grad", "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_full_backward_hook", "register_module_full_backward_pre_hook", "register_multi_grad_hook",
    "saved_tensors_hooks", "tensor",
]  # fmt: skip
