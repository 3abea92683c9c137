"""The checks of ops. `REGISTRY` holds them by name, in the order in which they run."""

from conformance.checks import numeric as numeric
from conformance.checks import structure as structure
from conformance.checks.check import REGISTRY, Check, Trial

__all__ = ["REGISTRY", "Check", "Trial"]
