"""Optimizers: every step of torch.optim against the formula, in all forms, and the machinery around it."""

from conformance.optimizers.session import OptimizerSession, optimizer_cells

__all__ = ["OptimizerSession", "optimizer_cells"]
