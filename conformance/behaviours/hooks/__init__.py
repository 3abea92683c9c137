"""Hooks: when each fires, in which order, with which values, and what it changes."""

from conformance.behaviours.hooks import (
    calls as calls,
)
from conformance.behaviours.hooks import (
    everywhere as everywhere,
)
from conformance.behaviours.hooks import (
    leaves as leaves,
)
from conformance.behaviours.hooks import (
    nodes as nodes,
)
from conformance.behaviours.hooks import (
    passes as passes,
)
from conformance.behaviours.hooks import (
    returns as returns,
)
from conformance.behaviours.hooks import (
    saved as saved,
)
from conformance.behaviours.hooks import (
    states as states,
)
from conformance.behaviours.hooks import (
    steps as steps,
)
from conformance.behaviours.hooks import (
    tensors as tensors,
)
