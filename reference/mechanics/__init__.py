"""A model of torch.nn.Module, its containers and its hooks, and of the backward pass that fires them: NumPy alone.

Classes and functions have the names that they have in torch, so that one line of Python runs on both.
"""

from reference.mechanics.containers import ModuleDict, ModuleList, Sequential
from reference.mechanics.module import Module
from reference.mechanics.parameters import ParameterDict, ParameterList
from reference.mechanics.saving import Saved
from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Parameter, Tensor, no_grad, tensor

__all__ = [
    "Module", "ModuleDict", "ModuleList", "OutOfScope", "Parameter", "ParameterDict", "ParameterList", "Saved",
    "Sequential", "Tensor", "no_grad", "tensor",
]  # fmt: skip
