"""Half of the tolerance: what is red here is nearest to a false alarm, and one seed shows it.

    SHARPER=0.5 torch-conformance run --level 3 --seed 1 --setup docs/scripts/sharper.py

Every allowed error is multiplied by SHARPER (0.5 unless given). What torch rounds as it may is red at a half once in
several thousand cells; what would be red at 1 once in many seeds shows more often, and by its ratio how near it is.
"""

from __future__ import annotations

import os

import numpy as np

from conformance.tolerance import Quantity

FACTOR = float(os.environ.get("SHARPER", "0.5"))
_allowed = Quantity.allowed


def allowed(self: Quantity, i: int, count: float) -> np.ndarray:
    return FACTOR * _allowed(self, i, count)


Quantity.allowed = allowed  # type: ignore[method-assign]
