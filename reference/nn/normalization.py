"""Normalization by the statistics of a batch."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.nn.layer import Described, LayerCase, Parameter, layer


def affine_parameters(shape, affine, bias=True):
    """A weight of ones and a bias of zeros."""
    weight = {"weight": Parameter(shape, 1.0)} if affine else {}
    return {**weight, "bias": Parameter(shape, 0.0)} if affine and bias else weight


def batch_norm(eps, momentum, affine, track_running_stats, features, bias):
    """What BatchNorm1d, 2d and 3d have in common."""
    parameters = affine_parameters((features,), affine, bias)
    buffers = {}
    if track_running_stats:
        buffers = {
            "running_mean": np.zeros(features), "running_var": np.ones(features),
            "num_batches_tracked": np.array(0, dtype=np.int64),
        }  # fmt: skip

    def forward(tape, p, training, x):
        own = training or not track_running_stats
        mean, var = (None, None) if own else (p["running_mean"], p["running_var"])
        return tape.apply("nn.functional.batch_norm", x, mean, var, p.get("weight"), p.get("bias"), own, 0.0, eps)

    def after(values, x):
        """The averages move by `momentum` towards the batch's statistics (the cumulative average where it is None)."""
        batches = values["num_batches_tracked"] + 1
        share = 1.0 / float(batches) if momentum is None else momentum
        axes = (0, *range(2, x.ndim))
        n = x.size // x.shape[1]
        return {
            "running_mean": (1 - share) * values["running_mean"] + share * x.mean(axis=axes),
            "running_var": (1 - share) * values["running_var"] + share * x.var(axis=axes) * n / (n - 1),
            "num_batches_tracked": np.asarray(batches),
        }

    return Described(parameters, forward, buffers, after if track_running_stats else None)


def batch_norm_cases(*spatial):
    def cases(draw: Draw) -> LayerCase:
        n = draw.choice(*spatial)
        features = draw.integer(1, 3)
        shape = (draw.integer(2, 4), features, *(draw.side() if i == 0 else draw.integer(1, 3) for i in range(n)))
        options = {}
        if draw.boolean():
            options["momentum"] = draw.choice(0.25, None)
        options["affine"] = draw.boolean()
        if options["affine"] and draw.integer(0, 3) == 3:
            options["bias"] = False
        options["track_running_stats"] = draw.boolean()
        return LayerCase((features,), options, (draw.reals(shape, -2.0, 2.0, distinct=True),), draw.boolean())

    return cases


@layer("nn.BatchNorm1d", cases=batch_norm_cases(0, 1), like=("nn.functional.batch_norm",))
def batch_norm1d(
    num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):
    """(x - mean) / sqrt(var + eps) weight + bias, with the statistics of each channel over the batch.

    input, output: (N, C) or (N, C, L).  Source: torch.nn.BatchNorm1d; Ioffe and Szegedy, 2015.
    """
    return batch_norm(eps, momentum, affine, track_running_stats, num_features, bias)


@layer("nn.BatchNorm2d", cases=batch_norm_cases(2), like=("nn.functional.batch_norm",))
def batch_norm2d(
    num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):
    """As BatchNorm1d.

    input, output: (N, C, H, W).  Source: torch.nn.BatchNorm2d; Ioffe and Szegedy, 2015.
    """
    return batch_norm(eps, momentum, affine, track_running_stats, num_features, bias)


@layer("nn.BatchNorm3d", cases=batch_norm_cases(3), like=("nn.functional.batch_norm",))
def batch_norm3d(
    num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):
    """As BatchNorm1d.

    input, output: (N, C, D, H, W).  Source: torch.nn.BatchNorm3d; Ioffe and Szegedy, 2015.
    """
    return batch_norm(eps, momentum, affine, track_running_stats, num_features, bias)


@layer("nn.SyncBatchNorm", cases=batch_norm_cases(0, 1, 2, 3), like=("nn.functional.batch_norm",))
def sync_batch_norm(
    num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, process_group=None, device=None,
    dtype=None, *, bias=True,
):  # fmt: skip
    """As BatchNorm1d over the batches of all processes; here there is one.

    input, output: (N, C, *).  Source: torch.nn.SyncBatchNorm.
    """
    return batch_norm(eps, momentum, affine, track_running_stats, num_features, bias)
