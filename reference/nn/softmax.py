"""Softmax and its relatives, along a dimension."""

from __future__ import annotations

from reference.draw import Draw
from reference.nn.functional import applied, cases_of
from reference.nn.layer import LayerCase, layer


@layer("nn.Softmax", cases=cases_of("nn.functional.softmax", "input"), like=("nn.functional.softmax",))
def softmax(dim=None):
    """exp(x) / sum exp(x) along `dim`; left out, it is 0 for 0, 1 and 3 dimensions, else 1.

    input, output: (*).  Source: torch.nn.Softmax.
    """
    return applied("nn.functional.softmax", dim=dim)


@layer("nn.LogSoftmax", cases=cases_of("nn.functional.log_softmax", "input"), like=("nn.functional.log_softmax",))
def log_softmax(dim=None):
    """x - log sum exp(x) along `dim`; left out, it is as in Softmax.

    input, output: (*).  Source: torch.nn.LogSoftmax.
    """
    return applied("nn.functional.log_softmax", dim=dim)


@layer("nn.Softmin", cases=cases_of("nn.functional.softmin", "input"), like=("nn.functional.softmin",))
def softmin(dim=None):
    """exp(-x) / sum exp(-x) along `dim`; left out, it is as in Softmax.

    input, output: (*).  Source: torch.nn.Softmin.
    """
    return applied("nn.functional.softmin", dim=dim)


def softmax2d_cases(draw: Draw) -> LayerCase:
    return LayerCase((), {}, (draw.reals(draw.shape(3, 4)),), draw.boolean())


@layer("nn.Softmax2d", cases=softmax2d_cases, like=("nn.functional.softmax",), no_batch=3)
def softmax2d():
    """Softmax over the channels at each place.

    input, output: (N, C, H, W) or (C, H, W).  Source: torch.nn.Softmax2d.
    """
    return applied("nn.functional.softmax", dim=-3)
