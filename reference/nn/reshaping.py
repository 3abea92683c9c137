"""Layers that move elements: flatten, shuffles, patches as columns; and the layer that does nothing."""

from __future__ import annotations

from reference.draw import Draw
from reference.nn.layer import Described, LayerCase, layer
from reference.nn.stateless import from_rule, stateless
from reference.ops.conv_transpose import fold_cases, unfold_cases
from reference.ops.resample import shuffle_cases as pixel_cases
from reference.ops.shape import flatten_cases as flat_cases
from reference.ops.shape import unflatten_cases
from reference.ops.splitting import shuffle_cases as channel_cases


def identity_cases(draw: Draw) -> LayerCase:
    args, kwargs = draw.choice(((), {}), ((54,), dict(unused=0.1)))
    return LayerCase(args, kwargs, (draw.numbers(draw.shape()),), draw.boolean())


@layer("nn.Identity", cases=identity_cases, complex=True, no_batch=1)
def identity(*args, **kwargs):
    """The input itself, whatever the constructor's arguments are.

    input, output: (*).  Source: torch.nn.Identity.
    """
    return Described({}, lambda tape, p, training, x: x)


def flatten_cases(draw: Draw) -> LayerCase:
    case = from_rule(flat_cases)(draw)
    if not case.args and not case.kwargs and case.inputs[0].ndim < 2:  # the layer begins at dimension 1
        return LayerCase((0,), {}, case.inputs, case.training)
    return case


@layer("nn.Flatten", cases=flatten_cases, complex=True)
def flatten(start_dim=1, end_dim=-1):
    """The dimensions from start_dim to end_dim as one.

    input: (*); output: (*, product, *).  Source: torch.nn.Flatten.
    """
    return stateless("flatten", start_dim, end_dim)


@layer("nn.Unflatten", cases=from_rule(unflatten_cases), complex=True)
def unflatten(dim, unflattened_size):
    """The dimension `dim` as several of unflattened_size, one of which may be -1.

    input: (*, n, *); output: (*, unflattened_size, *).  Source: torch.nn.Unflatten.
    """
    return stateless("unflatten", dim, unflattened_size)


@layer("nn.PixelShuffle", cases=from_rule(pixel_cases(False)), complex=True, no_batch=3)
def pixel_shuffle(upscale_factor):
    """y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w], r = upscale_factor.

    input: (*, C r^2, H, W); output: (*, C, H r, W r).
    Source: torch.nn.PixelShuffle; Shi et al., arXiv:1609.05158.
    """
    return stateless("pixel_shuffle", upscale_factor)


@layer("nn.PixelUnshuffle", cases=from_rule(pixel_cases(True)), complex=True, no_batch=3)
def pixel_unshuffle(downscale_factor):
    """The inverse of PixelShuffle.

    input: (*, C, H r, W r); output: (*, C r^2, H, W).  Source: torch.nn.PixelUnshuffle.
    """
    return stateless("pixel_unshuffle", downscale_factor)


@layer("nn.ChannelShuffle", cases=from_rule(channel_cases), complex=True)
def channel_shuffle(groups):
    """The channels taken in turn from each of `groups` groups of neighbours.

    input, output: (N, C, *).  Source: torch.nn.ChannelShuffle; Zhang et al., arXiv:1707.01083.
    """
    return stateless("channel_shuffle", groups)


@layer("nn.Unfold", cases=from_rule(unfold_cases, "kernel_size"), complex=True, no_batch=3)
def unfold(kernel_size, dilation=1, padding=0, stride=1):
    """The patches under a kernel, each a column.

    input: (N, C, H, W) or (C, H, W); output: (N, C K K', L) or (C K K', L).  Source: torch.nn.Unfold.
    """
    return stateless("nn.functional.unfold", kernel_size, dilation, padding, stride)


@layer("nn.Fold", cases=from_rule(fold_cases, "kernel_size"), complex=True, no_batch=2)
def fold(output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The image in which column l is the patch at place l; patches add up where they overlap.

    input: (N, C K K', L) or (C K K', L); output: (N, C, H, W) or (C, H, W).  Source: torch.nn.Fold.
    """
    return stateless("nn.functional.fold", output_size, kernel_size, dilation, padding, stride)
