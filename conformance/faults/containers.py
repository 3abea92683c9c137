"""Faults in containers of modules and parameters."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch
from torch import nn

from conformance.faults.fault import fault, replace

SEQUENTIAL, MODULES, NAMED = "containers.nn.Sequential", "containers.nn.ModuleList", "containers.nn.ModuleDict"
LISTED, KEYED = "containers.nn.ParameterList", "containers.nn.ParameterDict"


@fault(SEQUENTIAL, "outputs_are_chained_to_inputs", "it_grows")
def last_module_first():
    """A cascade runs from its last module to its first."""

    @replace("nn.Sequential.forward")
    def forward(original, self, input):
        for module in reversed(list(self)):
            input = module(input)
        return input


@fault(SEQUENTIAL, "it_is_indexed_like_a_list", green=("outputs_are_chained_to_inputs", "it_grows"))
def slices_copied():
    """A slice has copies of the modules, under new names."""

    @replace("nn.Sequential.__getitem__")
    def getitem(original, self, index):
        found = original(self, index)
        return nn.Sequential(*found) if isinstance(index, slice) else found


@fault(SEQUENTIAL, "it_grows", green=("outputs_are_chained_to_inputs", "it_is_indexed_like_a_list"))
def inserted_by_replacing():
    """insert replaces the module that is there."""

    @replace("nn.Sequential.insert")
    def insert(original, self, index, module):
        if 0 <= index < len(self):
            self[index] = module
            return self
        return original(self, min(index, len(self)), module)


@fault(SEQUENTIAL, "modules_are_replaced_and_deleted", green=("it_grows",))
def not_counted_anew():
    """After a deletion the others keep their numbers."""

    @replace("nn.Sequential.__delitem__")
    def delitem(original, self, index):
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [names[index]]:
            delattr(self, name)


@fault(SEQUENTIAL, "cascades_are_added_and_multiplied", green=("it_grows",))
def sum_in_place():
    """a + b changes a."""

    @replace("nn.Sequential.__add__")
    def add(original, self, other):
        original(self, other)
        return self.extend(other)


@fault(SEQUENTIAL, "shared_modules_get_the_sum_of_gradients", green=("it_grows",))
def gradients_of_a_shared_module_halved():
    """A module that stands twice gets the gradient of its last use alone."""

    @replace("nn.Sequential.forward")
    def forward(original, self, input):
        seen = set()
        for module in self:
            if id(module) in seen:
                input = torch.func.functional_call(
                    module, {n: p.detach() for n, p in module.named_parameters()}, (input,)
                )
            else:
                input = module(input)
            seen.add(id(module))
        return input


@fault(MODULES, "it_is_a_list_of_registered_modules", "a_loop_over_the_list_computes_by_hand")
def index_off_by_one_from_the_end():
    """Indices of more than half of the list are those before."""

    @replace("nn.ModuleList.__getitem__")
    def getitem(original, self, index):
        return original(self, index if isinstance(index, slice) or index == 0 else index - 1)


@fault(MODULES, "modules_are_appended_inserted_and_joined", green=("it_is_a_list_of_registered_modules",))
def joined_in_place():
    """a + b changes a."""

    @replace("nn.ModuleList.__add__")
    def add(original, self, other):
        return self.extend(other)


@fault(MODULES, "modules_are_replaced_and_taken_out", green=("it_is_a_list_of_registered_modules",))
def popped_and_kept():
    """pop gives the module and leaves it there."""

    @replace("nn.ModuleList.pop")
    def pop(original, self, key):
        return self[key]


@fault(MODULES, "alike_modules_are_shown_once", green=("it_is_a_list_of_registered_modules",))
def shown_one_by_one():
    """Modules that are alike are shown one by one."""
    nn.ModuleList.__repr__ = nn.Module.__repr__  # type: ignore[method-assign]


@fault(NAMED, "it_is_a_dictionary_of_registered_modules", "an_update_adds_and_overwrites")
def sorted_by_name():
    """Keys are in alphabetical order."""

    @replace("nn.ModuleDict.update")
    def update(original, self, modules):
        original(self, modules)
        self._modules = dict(sorted(self._modules.items()))


@fault(NAMED, "keys_are_set_and_taken_out", green=("it_is_a_dictionary_of_registered_modules",))
def missing_key_gives_none():
    """A key that is missing gives None."""

    @replace("nn.ModuleDict.__getitem__")
    def getitem(original, self, key):
        return self._modules.get(key)


@fault(NAMED, "names_that_are_none_are_refused", green=("it_is_a_dictionary_of_registered_modules",))
def any_key_is_taken():
    """Keys are not looked at."""

    @replace("nn.ModuleDict.__setitem__")
    def setitem(original, self, key, module):
        self._modules[str(key)] = module


@fault(LISTED, "tensors_in_a_list_become_parameters")
def tensors_stay_tensors():
    """A tensor that is assigned to an index stays a tensor."""

    @replace("nn.ParameterList.__setitem__")
    def setitem(original, self, index, value):
        key = str(index % max(len(self), 1))
        self._parameters.pop(key, None)
        object.__setattr__(self, key, value) if isinstance(value, torch.Tensor) else original(self, index, value)


@fault(LISTED, "a_list_of_parameters_is_indexed_like_a_list", green=("tensors_in_a_list_become_parameters",))
def slices_of_parameters_copied():
    """A slice has copies of the parameters."""

    @replace("nn.ParameterList.__getitem__")
    def getitem(original, self, index):
        found = original(self, index)
        return nn.ParameterList([p.detach().clone() for p in found]) if isinstance(index, slice) else found


@fault(KEYED, "tensors_in_a_dictionary_become_parameters", green=("keys_of_parameters_are_strings",))
def not_registered():
    """A tensor that is assigned to a key does not become a parameter."""

    @replace("nn.ParameterDict.__setitem__")
    def setitem(original, self, key, value):
        if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
            self._keys[key] = None
            self._parameters.pop(key, None)
            object.__setattr__(self, key, value)
        else:
            original(self, key, value)


@fault(KEYED, "a_dictionary_of_parameters_is_ordered", green=("tensors_in_a_dictionary_become_parameters",))
def parameters_sorted_by_name():
    """An assignment puts keys in alphabetical order."""

    @replace("nn.ParameterDict.__setitem__")
    def setitem(original, self, key, value):
        original(self, key, value)
        self._keys = dict(sorted(self._keys.items()))


@fault(KEYED, "methods_of_a_dictionary_work", green=("a_dictionary_of_parameters_is_ordered",))
def first_item_popped():
    """popitem takes the first item."""

    @replace("nn.ParameterDict.popitem")
    def popitem(original, self):
        key = next(iter(self))
        return key, self.pop(key)


@fault(KEYED, "keys_of_parameters_are_strings", green=("a_dictionary_of_parameters_is_ordered",))
def keys_made_strings():
    """A key of another type is made a string."""

    @replace("nn.ParameterDict.__setitem__")
    def setitem(original, self, key, value):
        original(self, str(key), value)
