"""The two sources of cases: a seed, and Hypothesis."""

from __future__ import annotations

import random
from typing import Any

from reference.draw import Draw


class SeededDraw(Draw):
    """Draws from a seed: for soak runs, proofs and benchmarks, where nothing needs to shrink."""

    def __init__(self, seed: int | str, regime: str = "typical", complex: bool = False):
        super().__init__(regime, complex)
        self._random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


class HypothesisDraw(Draw):
    """Draws through Hypothesis's ``draw``, so that a failing case shrinks."""

    def __init__(self, draw: Any, regime: str = "typical", complex: bool = False):
        super().__init__(regime, complex)
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        from hypothesis import strategies

        return int(self._draw(strategies.integers(low, high)))
