"""Optimizers: every step of torch.optim against the formula, in all forms, and the machinery around it."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.optimizers import checks, lbfgs, session
from conformance.optimizers.session import OptimizerSession
from conformance.session import Options
from conformance.target import Target

CHECKS = {**checks.REGISTRY, **lbfgs.REGISTRY}


def optimizer_cells(target: Target) -> Iterator[Cell]:
    """The cells of every optimizer."""
    yield from session.optimizer_cells(target)
    yield from lbfgs.lbfgs_cells(target)


def optimizer_session(subject: str, target: Target, options: Options, clock: Clock) -> OptimizerSession:
    """The session of one: L-BFGS, which steps over all parameters together, has its own."""
    made = lbfgs.LbfgsSession if subject == "optim.LBFGS" else OptimizerSession
    return made(subject, target, options, clock)
