"""Containers of modules and of parameters: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from conformance.behaviours.containers import module_dict as module_dict
from conformance.behaviours.containers import module_list as module_list
from conformance.behaviours.containers import parameters as parameters
from conformance.behaviours.containers import sequential as sequential
