"""Known ways for a torch to be wrong, planted in the healthy one to prove that the checks see them.

`FAULTS` holds them by name; `run_faults` is the command ``torch-conformance faults``.
"""

import importlib
import pkgutil

from conformance.faults.fault import FAULTS, Fault
from conformance.faults.runner import run_faults

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")  # importing a file registers its faults

__all__ = ["FAULTS", "Fault", "run_faults"]
