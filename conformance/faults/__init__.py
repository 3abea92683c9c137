"""Known ways for a torch to be wrong, planted in the healthy one to prove that the checks see them.

`FAULTS` holds them by name; `run_faults` is the command ``torch-conformance faults``.
"""

from conformance.faults import contracts as contracts
from conformance.faults import derivatives as derivatives
from conformance.faults import gradients as gradients
from conformance.faults import kernels as kernels
from conformance.faults import lbfgs as lbfgs
from conformance.faults import loops as loops
from conformance.faults import modules as modules
from conformance.faults import optimizers as optimizers
from conformance.faults import optimizers_around as optimizers_around
from conformance.faults import programs as programs
from conformance.faults import randomness as randomness
from conformance.faults import schedules as schedules
from conformance.faults import transforms as transforms
from conformance.faults.fault import FAULTS, Fault
from conformance.faults.runner import run_faults

__all__ = ["FAULTS", "Fault", "run_faults"]
