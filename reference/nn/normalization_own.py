"""Normalization of each sample by its own statistics: over instances, groups, and last dimensions."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.nn.functional import rule_of
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.nn.normalization import affine_parameters
from reference.ops.conv import grown
from reference.ops.norm import spread, steep

INSTANCE = "nn.functional.instance_norm"


def instance_norm(dims, eps, momentum, affine, track_running_stats, features, bias):
    """What InstanceNorm1d, 2d and 3d have in common; `dims` are those of a batch."""
    buffers = {}
    if track_running_stats:
        buffers = {
            "running_mean": np.zeros(features), "running_var": np.ones(features),
            "num_batches_tracked": np.array(0, dtype=np.int64),
        }  # fmt: skip

    def forward(tape, p, training, x):
        alone = x.value.ndim < dims
        own = training or not track_running_stats
        statistics = (p.get("running_mean"), p.get("running_var"))
        shape = x.value.shape
        x = tape.apply("reshape", x, (1, *shape)) if alone else x
        y = tape.apply(INSTANCE, x, *statistics, p.get("weight"), p.get("bias"), own, 0.0, eps)
        return tape.apply("reshape", y, shape) if alone else y

    def after(values, x):
        """The averages move by `momentum` towards the mean over the samples of each one's statistics."""
        x = x[None] if x.ndim < dims else x
        axes = tuple(range(2, x.ndim))
        n = math.prod(x.shape[2:])
        return {
            "running_mean": (1 - momentum) * values["running_mean"] + momentum * x.mean(axis=axes).mean(axis=0),
            "running_var": (1 - momentum) * values["running_var"]
            + momentum * x.var(axis=axes).mean(axis=0) * n / (n - 1),
        }

    parameters = affine_parameters((features,), affine, bias)
    return Described(parameters, forward, buffers, after if track_running_stats else None)


def instance_norm_cases(spatial):
    def cases(draw: Draw) -> LayerCase:
        alone = draw.boolean()
        batch, features, *sizes = grown(draw, [1, 1, *(1,) * (spatial - 1), 4], first=0)
        # a batch may be empty; a sample without elements has no statistics
        batch, features, sizes = max(batch, int(alone)), max(features, 1), [max(n, 2) for n in sizes]
        x = spread(draw, batch * features, math.prod(sizes)).reshape(batch, features, *sizes)
        options = dict(eps=steep(draw), affine=draw.boolean(), track_running_stats=draw.boolean())
        if options["affine"] and draw.integer(0, 3) == 3:
            options["bias"] = False
        if draw.boolean():
            options["momentum"] = draw.choice(0.25, 0.0, 1.0)
        if not x.size:  # torch takes no statistics and no weights without a sample
            options.update(affine=False, track_running_stats=False)
            options.pop("bias", None)
        return LayerCase((features,), options, (x[0] if alone else x,), draw.boolean())

    return cases


@layer("nn.InstanceNorm1d", cases=instance_norm_cases(1), like=(INSTANCE,), no_batch=2)
def instance_norm1d(
    num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None, *,
    bias=True,
):  # fmt: skip
    """(x - mean) / sqrt(var + eps) weight + bias, with the statistics of each channel of each sample.

    With track_running_stats those of eval are running averages.
    input, output: (N, C, L) or (C, L).  Source: torch.nn.InstanceNorm1d; Ulyanov et al., arXiv:1607.08022.
    """
    return instance_norm(3, eps, momentum, affine, track_running_stats, num_features, bias)


@layer("nn.InstanceNorm2d", cases=instance_norm_cases(2), like=(INSTANCE,), no_batch=3)
def instance_norm2d(
    num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None, *,
    bias=True,
):  # fmt: skip
    """As InstanceNorm1d.

    input, output: (N, C, H, W) or (C, H, W).  Source: torch.nn.InstanceNorm2d; Ulyanov et al., arXiv:1607.08022.
    """
    return instance_norm(4, eps, momentum, affine, track_running_stats, num_features, bias)


@layer("nn.InstanceNorm3d", cases=instance_norm_cases(3), like=(INSTANCE,), no_batch=4)
def instance_norm3d(
    num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None, *,
    bias=True,
):  # fmt: skip
    """As InstanceNorm1d.

    input, output: (N, C, D, H, W) or (C, D, H, W).
    Source: torch.nn.InstanceNorm3d; Ulyanov et al., arXiv:1607.08022.
    """
    return instance_norm(5, eps, momentum, affine, track_running_stats, num_features, bias)


def group_norm_cases(draw: Draw) -> LayerCase:
    case = rule_of("nn.functional.group_norm").cases(draw)
    x, groups, *_ = case.args
    options = dict(**case.kwargs, affine=draw.boolean())
    if draw.integer(0, 3) == 3:
        options["bias"] = False
    return LayerCase((groups, x.shape[1]), options, (x,), draw.boolean())


@layer("nn.GroupNorm", cases=group_norm_cases, like=("nn.functional.group_norm",))
def group_norm(num_groups, num_channels, eps=1e-05, affine=True, device=None, dtype=None, *, bias=True):
    """(x - mean) / sqrt(var + eps) weight + bias, the statistics those of a group of channels of a sample.

    input, output: (N, C, *).  Source: torch.nn.GroupNorm; Wu and He, arXiv:1803.08494.
    """

    def forward(tape, p, training, x):
        return tape.apply("nn.functional.group_norm", x, num_groups, p.get("weight"), p.get("bias"), eps)

    return Described(affine_parameters((num_channels,), affine, bias), forward)


def sides(normalized_shape):
    """The shape, of which a single side may be given as a number."""
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


def part_of(draw: Draw, name):
    """The input of a rule's case, the part that it normalises (a number where it may be one), and its eps."""
    case = rule_of(name).cases(draw)
    x, part, *_ = case.args
    return x, part[0] if len(part) == 1 and draw.boolean() else tuple(part), dict(case.kwargs)


def layer_norm_cases(draw: Draw) -> LayerCase:
    x, part, options = part_of(draw, "nn.functional.layer_norm")
    options["elementwise_affine"] = draw.boolean()
    if draw.boolean():
        options["bias"] = draw.boolean()
    return LayerCase((part,), options, (x,), draw.boolean())


@layer("nn.LayerNorm", cases=layer_norm_cases, like=("nn.functional.layer_norm",))
def layer_norm(normalized_shape, eps=1e-05, elementwise_affine=True, bias=True, device=None, dtype=None):
    """(x - mean) / sqrt(var + eps) weight + bias, the statistics those of the last dimensions.

    input, output: (*, normalized_shape).  Source: torch.nn.LayerNorm; Ba et al., arXiv:1607.06450.
    """
    shape = sides(normalized_shape)

    def forward(tape, p, training, x):
        return tape.apply("nn.functional.layer_norm", x, shape, p.get("weight"), p.get("bias"), eps)

    return Described(affine_parameters(shape, elementwise_affine, bias), forward)


def rms_norm_cases(draw: Draw) -> LayerCase:
    x, part, options = part_of(draw, "nn.functional.rms_norm")
    return LayerCase((part,), dict(**options, elementwise_affine=draw.boolean()), (x,), draw.boolean())


@layer("nn.RMSNorm", cases=rms_norm_cases, like=("nn.functional.rms_norm",), complex=True)
def rms_norm(normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
    """x / sqrt(mean of x^2 + eps) weight, the mean over the last dimensions; eps defaults to the dtype's.

    input, output: (*, normalized_shape).  Source: torch.nn.RMSNorm; Zhang and Sennrich, arXiv:1910.07467.
    """
    shape = sides(normalized_shape)

    def forward(tape, p, training, x):
        return tape.apply("nn.functional.rms_norm", x, shape, p.get("weight"), eps)

    return Described({"weight": Parameter(shape, 1.0)} if elementwise_affine else {}, forward)
