"""Pooling layers: maxima, means and norms of windows, given or adapted to the size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.nn.functional import applied, cases_of
from reference.nn.layer import Layer, layer


def pool(name: str, function: str) -> Callable[[Callable[..., Any]], Layer]:
    """Registers the pool of this name, which is the function of that one."""
    rule = f"nn.functional.{function}"
    return layer(f"nn.{name}", cases=cases_of(rule, "input"), like=(rule,), no_batch=1 + int(name[-2]))


@pool("MaxPool1d", "max_pool1d")
def max_pool1d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
    """The greatest element of each window, with return_indices also its place.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.MaxPool1d.
    """
    return applied(
        "nn.functional.max_pool1d",
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        return_indices=return_indices,
    )


@pool("MaxPool2d", "max_pool2d")
def max_pool2d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
    """MaxPool1d over two axes; places are row-major.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.MaxPool2d.
    """
    return applied(
        "nn.functional.max_pool2d",
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        return_indices=return_indices,
    )


@pool("MaxPool3d", "max_pool3d")
def max_pool3d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
    """MaxPool1d over three axes; places are row-major.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.MaxPool3d.
    """
    return applied(
        "nn.functional.max_pool3d",
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        return_indices=return_indices,
    )


@pool("AvgPool1d", "avg_pool1d")
def avg_pool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window, with or without the padding.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AvgPool1d.
    """
    return applied(
        "nn.functional.avg_pool1d",
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )


@pool("AvgPool2d", "avg_pool2d")
def avg_pool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """AvgPool1d over two axes; divisor_override takes the place of the number of elements.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.AvgPool2d.
    """
    return applied(
        "nn.functional.avg_pool2d",
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


@pool("AvgPool3d", "avg_pool3d")
def avg_pool3d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """AvgPool2d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AvgPool3d.
    """
    return applied(
        "nn.functional.avg_pool3d",
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


@pool("AdaptiveAvgPool1d", "adaptive_avg_pool1d")
def adaptive_avg_pool1d(output_size):
    """The means of output_size windows, of sizes as even as they can be.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AdaptiveAvgPool1d.
    """
    return applied("nn.functional.adaptive_avg_pool1d", output_size=output_size)


@pool("AdaptiveAvgPool2d", "adaptive_avg_pool2d")
def adaptive_avg_pool2d(output_size):
    """AdaptiveAvgPool1d over two axes; a size of None is the input's own.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.AdaptiveAvgPool2d.
    """
    return applied("nn.functional.adaptive_avg_pool2d", output_size=output_size)


@pool("AdaptiveAvgPool3d", "adaptive_avg_pool3d")
def adaptive_avg_pool3d(output_size):
    """AdaptiveAvgPool1d over three axes; a size of None is the input's own.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AdaptiveAvgPool3d.
    """
    return applied("nn.functional.adaptive_avg_pool3d", output_size=output_size)


@pool("AdaptiveMaxPool1d", "adaptive_max_pool1d")
def adaptive_max_pool1d(output_size, return_indices=False):
    """The greatest elements of output_size windows, of sizes as even as they can be.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AdaptiveMaxPool1d.
    """
    return applied("nn.functional.adaptive_max_pool1d", output_size=output_size, return_indices=return_indices)


@pool("AdaptiveMaxPool2d", "adaptive_max_pool2d")
def adaptive_max_pool2d(output_size, return_indices=False):
    """AdaptiveMaxPool1d over two axes; a size of None is the input's own.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.AdaptiveMaxPool2d.
    """
    return applied("nn.functional.adaptive_max_pool2d", output_size=output_size, return_indices=return_indices)


@pool("AdaptiveMaxPool3d", "adaptive_max_pool3d")
def adaptive_max_pool3d(output_size, return_indices=False):
    """AdaptiveMaxPool1d over three axes; a size of None is the input's own.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AdaptiveMaxPool3d.
    """
    return applied("nn.functional.adaptive_max_pool3d", output_size=output_size, return_indices=return_indices)


@pool("LPPool1d", "lp_pool1d")
def lp_pool1d(norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum over the window of x^p)^(1/p), p = norm_type.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.LPPool1d.
    """
    return applied(
        "nn.functional.lp_pool1d", norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode
    )


@pool("LPPool2d", "lp_pool2d")
def lp_pool2d(norm_type, kernel_size, stride=None, ceil_mode=False):
    """LPPool1d over two axes.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.LPPool2d.
    """
    return applied(
        "nn.functional.lp_pool2d", norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode
    )


@pool("LPPool3d", "lp_pool3d")
def lp_pool3d(norm_type, kernel_size, stride=None, ceil_mode=False):
    """LPPool1d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.LPPool3d.
    """
    return applied(
        "nn.functional.lp_pool3d", norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode
    )
