"""Layers on a target: every check of an op that fits, and what a module promises beside its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.bridge import Spelling
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.dtypes import DTYPES
from conformance.layers.checks import CHECKS
from conformance.layers.spelling import spelled
from conformance.session import OpSession, Options
from conformance.target import Target
from reference.derive import Call
from reference.nn import LAYERS


def layer_cells(target: Target) -> Iterator[Cell]:
    """Every layer x check x dtype."""
    for layer in LAYERS.values():
        for check in CHECKS.values():
            if target.mode not in check.modes:
                continue
            for dtype, level in check.levels.items():
                if layer.rule.complex or not DTYPES[dtype].complex:
                    family = f"nn.{layer.family}"
                    yield Cell("layer", layer.name, family, check.name, target.device, target.mode, dtype, level)


class LayerSession(OpSession):
    """One layer on one target."""

    checks = CHECKS

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        super().__init__(subject, target, options, clock, LAYERS[subject].rule)

    def spell(self, call: Call) -> Spelling:
        return spelled(call)
