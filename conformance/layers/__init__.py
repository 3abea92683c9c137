"""Layers on a target: every check of an op that fits, and what a module promises beside its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.bridge import Spelling
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.layers.checks import CHECKS
from conformance.layers.spelling import spelled
from conformance.session import OpSession, Options, rule_cells
from conformance.target import Target
from reference.derive import Call
from reference.nn import LAYERS

# Cases of the usual sizes, by level. What a layer computes its ops show in more of them; whole transformers are dear.
CASES = {1: 2, 2: 8, 3: 12, 4: 30}


def layer_cells(target: Target) -> Iterator[Cell]:
    """Every layer x check x dtype."""
    for layer in LAYERS.values():
        yield from rule_cells("layer", layer.rule, f"nn.{layer.family}", CHECKS, target)


class LayerSession(OpSession):
    """One layer on one target."""

    checks = CHECKS

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        super().__init__(subject, target, options, clock, LAYERS[subject].rule)

    def _count(self, regime: str) -> int:
        return CASES[self.options.level] if regime == "typical" else super()._count(regime)

    def spell(self, call: Call) -> Spelling:
        return spelled(call)
