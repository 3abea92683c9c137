"""The normalisations as torch has them below nn.functional, with the statistics that they keep for the backward."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.norm import (
    affine,
    batch_cases,
    batch_norm,
    group_cases,
    instance_cases,
    instance_norm,
    layer_cases,
    moments,
    standardize,
)
from reference.ops.vector_norm import p_norm
from reference.rule import HIGHER_ORDER, Array, Case, Waiver, rule

LARGE = Waiver("float64 sums over a large batch have no wider accumulator", factor=8, dtypes=("float64",))


def given(case: Case, names: tuple[str, ...], defaults: tuple[object, ...]) -> dict[str, object]:
    """The arguments of a case by name, with defaults for those that it leaves out."""
    return {**dict(zip(names, defaults)), **dict(zip(names, case.args)), **case.kwargs}


RUNNING = ("input", "running_mean", "running_var", "weight", "bias")


def plain_batch_cases(draw: Draw):
    a = given(batch_cases(draw), RUNNING, (None,) * 5)
    args = (a["input"], a["weight"], a["bias"], a["running_mean"], a["running_var"])
    return Case((*args, a["training"], a["momentum"], a["eps"], draw.boolean()))


def plain_batch_errors(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x, None, None, np.zeros(2), np.ones(2), False, 0.1, 1e-5, False)), RuntimeError),
        (Case((x, None, None, None, None, False, 0.1, 1e-5, False)), RuntimeError),
    ]


@rule(
    "batch_norm",
    cases=plain_batch_cases,
    errors=plain_batch_errors,
    method=False,
    mutates=("running_mean", "running_var"),
    waivers=(LARGE,),
)
def plain_batch_norm(
    input: Array, weight: Array | None, bias: Array | None, running_mean: Array | None, running_var: Array | None,
    training, momentum, eps, cudnn_enabled,
):  # fmt: skip
    """nn.functional.batch_norm, every argument given; cudnn_enabled only says how.

    input, output: (N, C, *); the others: (C,).  Source: Ioffe and Szegedy, arXiv:1502.03167; torch.nn.BatchNorm1d.
    """
    y, vjp = batch_norm.fn(input, running_mean, running_var, weight, bias, training, momentum, eps)

    def gradients(g):
        to_input, _, _, to_weight, to_bias = vjp(g)
        return to_input, to_weight, to_bias, None, None

    return y, gradients


def plain_instance_cases(draw: Draw):
    a = given(instance_cases(draw), RUNNING, (None,) * 5)
    args = (a["input"], a["weight"], a["bias"], a["running_mean"], a["running_var"])
    return Case((*args, a["use_input_stats"], a["momentum"], a["eps"], draw.boolean()))


@rule(
    "instance_norm",
    cases=plain_instance_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3, 4)), None, None, None, None, False, 0.1, 1e-5, False)), RuntimeError)
    ],
    method=False,
    mutates=("running_mean", "running_var"),
)
def plain_instance_norm(
    input: Array, weight: Array | None, bias: Array | None, running_mean: Array | None, running_var: Array | None,
    use_input_stats, momentum, eps, cudnn_enabled,
):  # fmt: skip
    """nn.functional.instance_norm, every argument given; cudnn_enabled only says how.

    input, output: (N, C, *); the others: (C,).  Source: Ulyanov et al., arXiv:1607.08022; torch.nn.InstanceNorm1d.
    """
    y, vjp = instance_norm.fn(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)

    def gradients(g):
        to_input, _, _, to_weight, to_bias = vjp(g)
        return to_input, to_weight, to_bias, None, None

    return y, gradients


def with_statistics(x, axes, eps):
    """x standardized, its mean and 1 / sqrt(var + eps); pull(g, by_mean, by_scale) -> the gradient of x."""
    centred, mean, var, count = moments(x, axes)
    unit, back = standardize(centred, var, axes, count, eps)
    scale = 1.0 / np.sqrt(var + eps)

    def pull(g, by_mean, by_scale):
        more = (by_mean.reshape(mean.shape) - by_scale.reshape(mean.shape) * scale**2 * unit) / count
        return back(g) + more

    return unit, mean, scale, pull


def native_batch_cases(draw: Draw):
    case = plain_batch_cases(draw)
    return Case(case.args[:-1])


@rule(
    "native_batch_norm",
    cases=native_batch_cases,
    method=False,
    mutates=("running_mean", "running_var"),
    constants=(1, 2),
    waivers=(LARGE,),
)
def native_batch_norm(
    input: Array, weight: Array | None, bias: Array | None, running_mean: Array | None, running_var: Array | None,
    training, momentum, eps,
):  # fmt: skip
    """batch_norm, with the mean and 1 / sqrt(var + eps) of the batch (in evaluation: nothing).

    input, output: (N, C, *); the others: (C,).  Source: Ioffe and Szegedy, arXiv:1502.03167; torch.nn.BatchNorm1d.
    """
    y, vjp = batch_norm.fn(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if training:
        axes = (0, *range(2, input.ndim))
        _, mean, scale, pull = with_statistics(input, axes, eps)
        kept = mean.reshape(-1), scale.reshape(-1)
    else:
        kept = (np.zeros(0, y.real.dtype),) * 2

    def gradients(gs):
        to_input, _, _, to_weight, to_bias = vjp(gs[0])
        if training:
            to_input = to_input + pull(np.zeros_like(y), *gs[1:])
        return to_input, to_weight, to_bias, None, None

    return (y, *kept), gradients


def native_layer_cases(draw: Draw):
    case = layer_cases(draw)
    return Case((*case.args, case.kwargs["eps"]))


@rule(
    "native_layer_norm",
    cases=native_layer_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3)), (2,), None, None, 1e-5)), RuntimeError)],
    method=False,
    constants=(1, 2),
)
def native_layer_norm(input: Array, normalized_shape, weight: Array | None, bias: Array | None, eps):
    """nn.functional.layer_norm, with the mean and 1 / sqrt(var + eps).

    input, output: (*, normalized_shape), then (*, 1, ..., 1) twice; weight, bias: normalized_shape.
    Source: Ba et al., arXiv:1607.06450; torch.nn.LayerNorm.
    """
    axes = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    unit, mean, scale, pull = with_statistics(input, axes, eps)
    y, vjp = affine(unit, lambda g: g, weight, bias, tuple(normalized_shape))

    def gradients(gs):
        to_unit, to_weight, to_bias = vjp(gs[0])
        return pull(to_unit, *gs[1:]), to_weight, to_bias

    return (y, mean, scale), gradients


def native_group_cases(draw: Draw):
    x, groups, weight, bias = group_cases(draw).args
    length = math.prod(x.shape[2:])
    return Case((x, weight, bias, x.shape[0], x.shape[1], length, groups, draw.choice(1e-5, 1e-3, 0.5)))


@rule(
    "native_group_norm",
    cases=native_group_cases,
    errors=lambda draw: [(Case((draw.reals((2, 3, 2)), None, None, 2, 3, 2, 2, 1e-5)), RuntimeError)],
    method=False,
    any_strides=False,  # group_norm makes its input contiguous, this one asks for it
)
def native_group_norm(input: Array, weight: Array | None, bias: Array | None, N, C, HxW, group, eps):
    """nn.functional.group_norm, with the mean and 1 / sqrt(var + eps) of each group.

    input, output: (N, C, *) with HxW elements in *, then (N, group) twice; weight, bias: (C,).
    Source: Wu and He, arXiv:1803.08494; torch.nn.GroupNorm.
    """
    x = input.reshape(N, group, C // group * HxW)
    unit, mean, scale, pull = with_statistics(x, (2,), eps)
    y, vjp = affine(unit.reshape(input.shape), lambda g: g, weight, bias, (C, *(1,) * (input.ndim - 2)))

    def gradients(gs):
        to_unit, to_weight, to_bias = vjp(gs[0])
        return pull(to_unit.reshape(x.shape), *gs[1:]).reshape(input.shape), to_weight, to_bias

    return (y, mean[..., 0], scale[..., 0]), gradients


def except_cases(draw: Draw):
    shape = draw.shape(1, 3, min_side=1)
    order = draw.choice(2, 1, 3)
    v = draw.reals(shape, -4, 4, avoid=(0.0,))
    return Case((v, order, draw.integer(-1, len(shape) - 1)))


def inverse_room(v, pow=2, dim=0):
    """One over the smallest norm: the size of the terms of a second derivative."""
    over = tuple(i for i in range(v.ndim) if dim == -1 or i != dim % v.ndim)
    return np.asarray(1.0 / p_norm(v, pow, over, True)[0].min(initial=np.inf))


@rule(
    "norm_except_dim",
    cases=except_cases,
    waivers=[
        Waiver(
            "the second derivative of a norm is a difference of terms of one over it, which cancels along the vector",
            room=inverse_room,
            checks=HIGHER_ORDER,
        )
    ],
    errors=lambda draw: [(Case((draw.reals((2, 3)), 2, 2)), IndexError)],
    method=False,
)
def norm_except_dim(v: Array, pow=2, dim=0):
    """The norm of order `pow` over every dimension but `dim`; over all of them for dim = -1.

    v: (*); output: (1, ..., n, ..., 1), or () for dim = -1.  Source: torch.nn.utils.parametrizations.weight_norm.
    """
    over = tuple(i for i in range(v.ndim) if dim == -1 or i != dim % v.ndim)
    y, back = p_norm(v, pow, over, dim != -1)

    def vjp(g, slip=0.0):
        return (back(g, slip),)

    return y, vjp
