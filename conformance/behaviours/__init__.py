"""Promises of torch's documentation that are not about one function's numbers: modes, hooks, modules, files."""

from __future__ import annotations

import importlib
import pkgutil

from conformance.behaviours.promise import PROMISES, Promise
from conformance.behaviours.session import BehaviourSession, behaviour_cells

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)  # importing a file registers its promises

__all__ = ["PROMISES", "BehaviourSession", "Promise", "behaviour_cells"]
