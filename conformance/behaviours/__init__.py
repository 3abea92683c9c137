"""Promises of torch's documentation that are not about one function's numbers: modes, hooks, modules, files."""

from __future__ import annotations

from conformance.behaviours import autograd, modes, saving, tensors  # noqa: F401  (importing a file registers its promises)
from conformance.behaviours.promise import PROMISES, Promise
from conformance.behaviours.session import BehaviourSession, behaviour_cells

__all__ = ["PROMISES", "BehaviourSession", "Promise", "behaviour_cells"]
