"""Batch normalization fused into the layer before it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import utils

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, numbers, raises, same

BOTH = {"float32": 2, "float64": 3}


def settled(layer: Any, norm: Any, seed: int, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """Both in eval, with numbers in [1/2, 3/2] of both signs, and a positive variance."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, t in [*layer.named_parameters(), *norm.named_parameters(), *norm.named_buffers()]:
            if t.is_floating_point():
                drawn = rng.uniform(0.5, 1.5, t.shape) * (1 if name == "running_var" else rng.choice([-1, 1], t.shape))
                t.copy_(torch.from_numpy(np.asarray(drawn)))
    return layer.to(device, dtype).eval(), norm.to(device, dtype).eval()


def wanted(norm: Any, shape: tuple[int, ...], weight: Any, bias: Any) -> tuple[Any, Any]:
    """w gamma / sqrt(var + eps) and (b - mean) gamma / sqrt(var + eps) + beta."""
    mean, var = numbers(norm.running_mean), numbers(norm.running_var)
    gamma, beta = (numbers(norm.weight), numbers(norm.bias)) if norm.affine else (1.0, 0.0)
    factor = gamma / np.sqrt(var + norm.eps)
    b = 0.0 if bias is None else numbers(bias)
    return numbers(weight) * np.reshape(factor, shape), (b - mean) * factor + beta


@promise("nn.utils", "nn.utils.fuse_conv_bn_eval", levels=BOTH, covers=("nn.utils.fuse_conv_bn_weights",))
def a_convolution_takes_up_the_normalization(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """The fused convolution has weight w gamma / sqrt(var + eps) and bias (b - mean) gamma / sqrt(var + eps) + beta."""
    for conv, norm in (
        (nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3)),
        (nn.Conv2d(4, 6, (2, 1), groups=2, bias=False), nn.BatchNorm2d(6, eps=0.25)),
        (nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2, affine=False)),
    ):
        conv, norm = settled(conv, norm, seed, device, dtype)
        fused = utils.fuse_conv_bn_eval(conv, norm)
        weight, bias = wanted(norm, (-1, *(1,) * (conv.weight.dim() - 1)), conv.weight, conv.bias)
        same((type(fused), fused is conv, fused.training), (type(conv), False, False))
        close(fused.weight, weight, "fused weight", scale=np.abs(weight) * 4)
        close(fused.bias, bias, "fused bias", scale=16.0)


@promise("nn.utils", "nn.utils.fuse_conv_bn_eval", levels=BOTH)
def the_fused_module_is_one_after_the_other(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """In eval the fused module gives what the layer and the normalization give one after the other, and both of them
    stay as they are."""
    conv, norm = settled(nn.Conv2d(2, 4, 2, padding=1), nn.BatchNorm2d(4), seed, device, dtype)
    turned, other = settled(nn.ConvTranspose2d(2, 4, 2, stride=2), nn.BatchNorm2d(4), seed, device, dtype)
    dense, third = settled(nn.Linear(3, 4), nn.BatchNorm1d(4), seed, device, dtype)
    image = torch.arange(-9, 9, dtype=dtype, device=device).reshape(1, 2, 3, 3) / 8
    for layer, bn, x, fused in (
        (conv, norm, image, utils.fuse_conv_bn_eval(conv, norm)),
        (turned, other, image, utils.fuse_conv_bn_eval(turned, other, transpose=True)),
        (dense, third, image.reshape(6, 3), utils.fuse_linear_bn_eval(dense, third)),
    ):
        want = numbers(bn(layer(x)))
        close(fused(x), want, type(layer).__name__, scale=np.abs(want).max() * 4 + 16)


@promise("nn.utils", "nn.utils.fuse_conv_bn_eval")
def a_grouped_transposed_convolution_is_fused_too(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """transpose=True fuses a transposed convolution, of several groups as well."""
    conv, norm = settled(nn.ConvTranspose2d(2, 4, 2, groups=2), nn.BatchNorm2d(4), seed, device, dtype)
    x = torch.arange(-9, 9, dtype=dtype, device=device).reshape(1, 2, 3, 3) / 8
    want = numbers(norm(conv(x)))
    try:
        got = utils.fuse_conv_bn_eval(conv, norm, transpose=True)(x)
    except RuntimeError as error:
        raise AssertionError(f"cannot be fused: {error}") from error
    close(got, want, scale=np.abs(want).max() * 4 + 16)


@promise("nn.utils", "nn.utils.fuse_linear_bn_eval", levels=BOTH, covers=("nn.utils.fuse_linear_bn_weights",))
def a_linear_layer_takes_up_the_normalization(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """The fused layer has weight w gamma / sqrt(var + eps), by rows, and bias (b - mean) gamma / sqrt(var + eps) +
    beta."""
    for linear, norm in ((nn.Linear(3, 4), nn.BatchNorm1d(4)), (nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3, 0.25))):
        linear, norm = settled(linear, norm, seed, device, dtype)
        fused = utils.fuse_linear_bn_eval(linear, norm)
        weight, bias = wanted(norm, (-1, 1), linear.weight, linear.bias)
        close(fused.weight, weight, "fused weight", scale=np.abs(weight) * 4)
        close(fused.bias, bias, "fused bias", scale=16.0)


@promise("nn.utils", "nn.utils.fuse_linear_bn_eval")
def a_normalization_without_parameters_is_fused_too(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """fuse_linear_bn_eval takes any BatchNorm module, one with affine=False as well."""
    linear, norm = settled(nn.Linear(3, 4), nn.BatchNorm1d(4, affine=False), seed, device, dtype)
    weight, bias = wanted(norm, (-1, 1), linear.weight, linear.bias)
    try:
        fused = utils.fuse_linear_bn_eval(linear, norm)
    except TypeError as error:
        raise AssertionError(f"cannot be fused: {error}") from error
    close(fused.weight, weight, "fused weight", scale=np.abs(weight) * 4)
    close(fused.bias, bias, "fused bias", scale=16.0)


@promise("nn.utils", "nn.utils.fuse_conv_bn_eval", "nn.utils.fuse_linear_bn_eval")
def only_modules_in_eval_are_fused(device: torch.device, dtype: torch.dtype) -> None:
    """Both modules must be in eval mode."""
    for fuse, layer, norm in (
        (utils.fuse_conv_bn_eval, nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2)),
        (utils.fuse_linear_bn_eval, nn.Linear(1, 2), nn.BatchNorm1d(2)),
    ):
        for training in ((True, True), (True, False), (False, True)):
            layer.train(training[0])
            norm.train(training[1])
            raises(AssertionError, functools.partial(fuse, layer, norm), "only for eval")
