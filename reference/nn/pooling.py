"""Pooling layers: maxima, means and norms of windows, given or adapted to the size."""

from __future__ import annotations

from reference.nn.layer import layer
from reference.nn.stateless import from_rule, stateless
from reference.ops.pool import adaptive_cases, avg_cases
from reference.ops.pool_max import adaptive_max_cases, lp_cases, max_cases


@layer("nn.MaxPool1d", cases=from_rule(max_cases(1), "kernel_size"), no_batch=2)
def max_pool1d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
    """The greatest element of each window, with return_indices also its place.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.MaxPool1d.
    """
    return stateless("nn.functional.max_pool1d", kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@layer("nn.MaxPool2d", cases=from_rule(max_cases(2), "kernel_size"), no_batch=3)
def max_pool2d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
    """MaxPool1d over two axes; places are row-major.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.MaxPool2d.
    """
    return stateless("nn.functional.max_pool2d", kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@layer("nn.MaxPool3d", cases=from_rule(max_cases(3), "kernel_size"), no_batch=4)
def max_pool3d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
    """MaxPool1d over three axes; places are row-major.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.MaxPool3d.
    """
    return stateless("nn.functional.max_pool3d", kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@layer("nn.AvgPool1d", cases=from_rule(avg_cases(1), "kernel_size"), no_batch=2)
def avg_pool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window, with or without the padding.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AvgPool1d.
    """
    return stateless("nn.functional.avg_pool1d", kernel_size, stride, padding, ceil_mode, count_include_pad)


@layer("nn.AvgPool2d", cases=from_rule(avg_cases(2), "kernel_size"), no_batch=3)
def avg_pool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """AvgPool1d over two axes; divisor_override takes the place of the number of elements.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.AvgPool2d.
    """
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return stateless("nn.functional.avg_pool2d", *options)


@layer("nn.AvgPool3d", cases=from_rule(avg_cases(3), "kernel_size"), no_batch=4)
def avg_pool3d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """AvgPool2d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AvgPool3d.
    """
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return stateless("nn.functional.avg_pool3d", *options)


@layer("nn.AdaptiveAvgPool1d", cases=from_rule(adaptive_cases(1)), no_batch=2)
def adaptive_avg_pool1d(output_size):
    """The means of output_size windows, of sizes as even as they can be.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AdaptiveAvgPool1d.
    """
    return stateless("nn.functional.adaptive_avg_pool1d", output_size)


@layer("nn.AdaptiveAvgPool2d", cases=from_rule(adaptive_cases(2)), no_batch=3)
def adaptive_avg_pool2d(output_size):
    """AdaptiveAvgPool1d over two axes; a size of None is the input's own.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.AdaptiveAvgPool2d.
    """
    return stateless("nn.functional.adaptive_avg_pool2d", output_size)


@layer("nn.AdaptiveAvgPool3d", cases=from_rule(adaptive_cases(3)), no_batch=4)
def adaptive_avg_pool3d(output_size):
    """AdaptiveAvgPool1d over three axes; a size of None is the input's own.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AdaptiveAvgPool3d.
    """
    return stateless("nn.functional.adaptive_avg_pool3d", output_size)


@layer("nn.AdaptiveMaxPool1d", cases=from_rule(adaptive_max_cases(1)), no_batch=2)
def adaptive_max_pool1d(output_size, return_indices=False):
    """The greatest elements of output_size windows, of sizes as even as they can be.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.AdaptiveMaxPool1d.
    """
    return stateless("nn.functional.adaptive_max_pool1d", output_size, return_indices)


@layer("nn.AdaptiveMaxPool2d", cases=from_rule(adaptive_max_cases(2)), no_batch=3)
def adaptive_max_pool2d(output_size, return_indices=False):
    """AdaptiveMaxPool1d over two axes; a size of None is the input's own.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W').  Source: torch.nn.AdaptiveMaxPool2d.
    """
    return stateless("nn.functional.adaptive_max_pool2d", output_size, return_indices)


@layer("nn.AdaptiveMaxPool3d", cases=from_rule(adaptive_max_cases(3)), no_batch=4)
def adaptive_max_pool3d(output_size, return_indices=False):
    """AdaptiveMaxPool1d over three axes; a size of None is the input's own.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.AdaptiveMaxPool3d.
    """
    return stateless("nn.functional.adaptive_max_pool3d", output_size, return_indices)


@layer("nn.LPPool1d", cases=from_rule(lp_cases(1)), no_batch=2)
def lp_pool1d(norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum over the window of x^p)^(1/p), p = norm_type.

    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.LPPool1d.
    """
    return stateless("nn.functional.lp_pool1d", norm_type, kernel_size, stride, ceil_mode)


@layer("nn.LPPool2d", cases=from_rule(lp_cases(2)), no_batch=3)
def lp_pool2d(norm_type, kernel_size, stride=None, ceil_mode=False):
    """LPPool1d over two axes.

    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.LPPool2d.
    """
    return stateless("nn.functional.lp_pool2d", norm_type, kernel_size, stride, ceil_mode)


@layer("nn.LPPool3d", cases=from_rule(lp_cases(3)), no_batch=4)
def lp_pool3d(norm_type, kernel_size, stride=None, ceil_mode=False):
    """LPPool1d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.LPPool3d.
    """
    return stateless("nn.functional.lp_pool3d", norm_type, kernel_size, stride, ceil_mode)
