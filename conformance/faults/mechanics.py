"""Faults in what modules hold and how they are walked, changed and copied."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import copy

import torch
from torch import nn

from conformance.faults.fault import fault, replace

EDITS = "random_edits_follow_the_model"
modules = lambda: fault("modules.nn.Module", EDITS, level=3)  # noqa: E731 (what is rare takes some programs)


@modules()
def tied_weight_listed_twice():
    """A parameter that has two names is listed under both."""

    @replace("nn.Module.named_parameters")
    def wrong(original, self, prefix="", recurse=True, remove_duplicate=True):
        return original(self, prefix, recurse, False)


@modules()
def shared_module_walked_twice():
    """named_modules() gives a module that is there twice, twice."""

    @replace("nn.Module.named_modules")
    def wrong(original, self, memo=None, prefix="", remove_duplicate=True):
        return original(self, memo, prefix, False)


@modules()
def children_before_parents():
    """modules() gives what is inside a module before the module."""

    @replace("nn.Module.named_modules")
    def wrong(original, self, memo=None, prefix="", remove_duplicate=True):
        found = list(original(self, memo, prefix, remove_duplicate))
        return iter(found[1:] + found[:1] if not prefix else found)


@modules()
def train_stays_at_the_top():
    """train() does not reach the children."""

    @replace("nn.Module.train")
    def wrong(original, self, mode=True):
        self.training = mode
        return self


@modules()
def zero_grad_zeroes():
    """zero_grad() leaves zeros where it should leave None."""

    @replace("nn.Module.zero_grad")
    def wrong(original, self, set_to_none=True):
        return original(self, False)


@modules()
def zero_grad_skips_frozen():
    """zero_grad() leaves the gradients of frozen parameters."""

    @replace("nn.Module.zero_grad")
    def wrong(original, self, set_to_none=True):
        kept = [(p, p.grad) for p in self.parameters() if not p.requires_grad]
        original(self, set_to_none)
        for p, grad in kept:
            p.grad = grad


@modules()
def apply_from_the_top():
    """apply() calls the function on a module before it does on the children."""

    @replace("nn.Module.apply")
    def wrong(original, self, fn):
        for module in self.modules():
            fn(module)
        return self


@modules()
def freezing_stays_at_the_top():
    """requires_grad_() does not reach the parameters of children."""

    @replace("nn.Module.requires_grad_")
    def wrong(original, self, requires_grad=True):
        for p in self.parameters(recurse=False):
            p.requires_grad_(requires_grad)
        return self


@modules()
def stale_attribute_shadows():
    """A plain attribute stays where a parameter of its name is assigned, and hides it."""

    @replace("nn.Module.__setattr__")
    def wrong(original, self, name, value):
        stale = self.__dict__.get(name)
        original(self, name, value)
        if isinstance(value, nn.Parameter) and stale is not None:
            self.__dict__[name] = stale


@modules()
def reassigned_parameter_goes_last():
    """A parameter that is assigned again moves behind the others."""

    @replace("nn.Module.__setattr__")
    def wrong(original, self, name, value):
        if isinstance(value, nn.Parameter):
            self._parameters.pop(name, None)
        original(self, name, value)


@modules()
def deepcopy_unties():
    """A copy has a parameter for each name, though names share one in the original."""

    def wrong(self, memo):
        memo[id(self)] = made = self.__class__.__new__(self.__class__)
        for name, value in self.__dict__.items():
            own = name == "_parameters"
            made.__dict__[name] = {k: copy.deepcopy(p) for k, p in value.items()} if own else copy.deepcopy(value, memo)
        return made

    nn.Module.__deepcopy__ = wrong  # type: ignore[attr-defined]


@modules()
def half_takes_integers():
    """half() and double() convert integer buffers too."""
    for name, dtype in (("half", torch.float16), ("double", torch.float64)):
        setattr(nn.Module, name, lambda self, dtype=dtype: self._apply(lambda t: t.to(dtype)))


@modules()
def holes_in_a_list():
    """Deleting an entry of a ModuleList leaves a hole in the numbers."""

    def wrong(self, index):
        for key in list(self._modules)[index] if isinstance(index, slice) else [list(self._modules)[index]]:
            del self._modules[key]

    nn.ModuleList.__delitem__ = wrong  # type: ignore[method-assign]


@modules()
def insert_after():
    """Sequential.insert puts a module behind the index."""

    @replace("nn.Sequential.insert")
    def wrong(original, self, index, module):
        return original(self, index + 1 if 0 <= index < len(self) else index, module)


@modules()
def list_of_parameters_keeps_tensors():
    """ParameterList leaves tensors as they are."""

    @replace("nn.ParameterList.append")
    def wrong(original, self, value):
        setattr(self, str(len(self)), value)
        self._size += 1
        return self


@modules()
def dict_of_parameters_is_not_sorted():
    """ParameterDict.update takes the keys of a plain dict in their own order."""

    @replace("nn.ParameterDict.update")
    def wrong(original, self, parameters):
        return original(self, list(parameters.items()) if isinstance(parameters, dict) else parameters)


@modules()
def module_dict_pop_keeps():
    """ModuleDict.pop does not remove the module."""

    @replace("nn.ModuleDict.pop")
    def wrong(original, self, key):
        return self[key]


@modules()
def submodule_of_a_submodule():
    """get_submodule looks for the last name alone."""

    @replace("nn.Module.get_submodule")
    def wrong(original, self, target):
        return original(self, target.rpartition(".")[2])
