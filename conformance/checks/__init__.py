"""The checks of ops. `REGISTRY` holds them by name, in the order in which they run."""

# isort: off
from conformance.checks import numeric as numeric
from conformance.checks import strides as strides
from conformance.checks import batches as batches
from conformance.checks import spellings as spellings
from conformance.checks import structure as structure

# isort: on
from conformance.checks.check import REGISTRY, Check, Trial

__all__ = ["REGISTRY", "Check", "Trial"]
