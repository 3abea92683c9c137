"""Lazy layers: the first call settles how many features the input has, and makes the parameters."""

from __future__ import annotations

from collections.abc import Callable

from reference.draw import Draw
from reference.nn import convolution as conv
from reference.nn import linear as lin
from reference.nn.convolution import conv_layer_cases, transposed_layer_cases
from reference.nn.layer import LayerCase, layer
from reference.nn.normalization import batch_norm1d, batch_norm2d, batch_norm3d, batch_norm_cases
from reference.nn.normalization_own import instance_norm1d, instance_norm2d, instance_norm3d, instance_norm_cases


def lazily(cases: Callable[[Draw], LayerCase]) -> Callable[[Draw], LayerCase]:
    """The cases of a layer without its first argument, the number of features."""

    def drawn(draw: Draw) -> LayerCase:
        case = cases(draw)
        return LayerCase(case.args[1:], case.kwargs, case.inputs, case.training)

    return drawn


def convolving(made, n, *options):
    """The convolution `made` of n axes, once it has seen an input with or without a batch."""
    return lambda x, *more: made.describe(x.shape[-n - 1], *options)


@layer("nn.LazyLinear", cases=lazily(lin.linear_cases), complex=True, no_batch=1)
def lazy_linear(out_features, bias=True, device=None, dtype=None):
    """Linear, with the features of the first input.

    input: (*, in_features); output: (*, out_features).  Source: torch.nn.LazyLinear.
    """
    return lambda x: lin.linear.describe(x.shape[-1], out_features, bias)


@conv.registered("nn.LazyConv1d", lazily(conv_layer_cases(1)))
def lazy_conv1d(out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """Conv1d, with the channels of the first input.

    input: (N, C, L) or (C, L); output: (N, O, L') or (O, L').  Source: torch.nn.LazyConv1d.
    """
    return convolving(conv.conv1d, 1, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)


@conv.registered("nn.LazyConv2d", lazily(conv_layer_cases(2)))
def lazy_conv2d(out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """Conv2d, with the channels of the first input.

    input: (N, C, H, W) or (C, H, W); output: (N, O, H', W') or (O, H', W').  Source: torch.nn.LazyConv2d.
    """
    return convolving(conv.conv2d, 2, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)


@conv.registered("nn.LazyConv3d", lazily(conv_layer_cases(3)))
def lazy_conv3d(out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """Conv3d, with the channels of the first input.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, O, D', H', W') or (O, D', H', W').  Source: torch.nn.LazyConv3d.
    """
    return convolving(conv.conv3d, 3, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)


@conv.registered("nn.LazyConvTranspose1d", lazily(transposed_layer_cases(1)))
def lazy_conv_transpose1d(out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
                          dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """ConvTranspose1d, with the channels of the first input.

    input: (N, C, L) or (C, L); output: (N, O, L') or (O, L').
    Source: torch.nn.LazyConvTranspose1d.
    """
    options = (out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation)
    return convolving(conv.conv_transpose1d, 1, *options)


@conv.registered("nn.LazyConvTranspose2d", lazily(transposed_layer_cases(2)))
def lazy_conv_transpose2d(out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
                          dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """ConvTranspose2d, with the channels of the first input.

    input: (N, C, H, W) or (C, H, W); output: (N, O, H', W') or (O, H', W').
    Source: torch.nn.LazyConvTranspose2d.
    """
    options = (out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation)
    return convolving(conv.conv_transpose2d, 2, *options)


@conv.registered("nn.LazyConvTranspose3d", lazily(transposed_layer_cases(3)))
def lazy_conv_transpose3d(out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
                          dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """ConvTranspose3d, with the channels of the first input.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, O, D', H', W') or (O, D', H', W').
    Source: torch.nn.LazyConvTranspose3d.
    """
    options = (out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation)
    return convolving(conv.conv_transpose3d, 3, *options)


def normalizing(made, axis, *options, bias):
    """The normalization `made`, once it has seen an input whose channels are along `axis`."""
    return lambda x: made.describe(x.shape[axis], *options, bias=bias)


@layer("nn.LazyBatchNorm1d", cases=lazily(batch_norm_cases(0, 1)), like=("nn.functional.batch_norm",))
def lazy_batch_norm1d(
    eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):  # fmt: skip
    """BatchNorm1d, with the channels of the first input.

    input, output: (N, C) or (N, C, L).  Source: torch.nn.LazyBatchNorm1d.
    """
    return normalizing(batch_norm1d, 1, eps, momentum, affine, track_running_stats, bias=bias)


@layer("nn.LazyBatchNorm2d", cases=lazily(batch_norm_cases(2)), like=("nn.functional.batch_norm",))
def lazy_batch_norm2d(
    eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):  # fmt: skip
    """BatchNorm2d, with the channels of the first input.

    input, output: (N, C, H, W).  Source: torch.nn.LazyBatchNorm2d.
    """
    return normalizing(batch_norm2d, 1, eps, momentum, affine, track_running_stats, bias=bias)


@layer("nn.LazyBatchNorm3d", cases=lazily(batch_norm_cases(3)), like=("nn.functional.batch_norm",))
def lazy_batch_norm3d(
    eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):  # fmt: skip
    """BatchNorm3d, with the channels of the first input.

    input, output: (N, C, D, H, W).  Source: torch.nn.LazyBatchNorm3d.
    """
    return normalizing(batch_norm3d, 1, eps, momentum, affine, track_running_stats, bias=bias)


@layer(
    "nn.LazyInstanceNorm1d",
    cases=lazily(instance_norm_cases(1)),
    like=("nn.functional.instance_norm",),
    no_batch=2,
)
def lazy_instance_norm1d(
    eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):  # fmt: skip
    """InstanceNorm1d, with the channels of the first input.

    input, output: (N, C, L) or (C, L).  Source: torch.nn.LazyInstanceNorm1d.
    """
    return normalizing(instance_norm1d, -2, eps, momentum, affine, track_running_stats, bias=bias)


@layer(
    "nn.LazyInstanceNorm2d",
    cases=lazily(instance_norm_cases(2)),
    like=("nn.functional.instance_norm",),
    no_batch=3,
)
def lazy_instance_norm2d(
    eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):  # fmt: skip
    """InstanceNorm2d, with the channels of the first input.

    input, output: (N, C, H, W) or (C, H, W).  Source: torch.nn.LazyInstanceNorm2d.
    """
    return normalizing(instance_norm2d, -3, eps, momentum, affine, track_running_stats, bias=bias)


@layer(
    "nn.LazyInstanceNorm3d",
    cases=lazily(instance_norm_cases(3)),
    like=("nn.functional.instance_norm",),
    no_batch=4,
)
def lazy_instance_norm3d(
    eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
):  # fmt: skip
    """InstanceNorm3d, with the channels of the first input.

    input, output: (N, C, D, H, W) or (C, D, H, W).  Source: torch.nn.LazyInstanceNorm3d.
    """
    return normalizing(instance_norm3d, -4, eps, momentum, affine, track_running_stats, bias=bias)
