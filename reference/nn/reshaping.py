"""Layers that move elements: flatten, shuffles, patches as columns; and the layer that does nothing."""

from __future__ import annotations

from reference.draw import Draw
from reference.nn.functional import applied, cases_of
from reference.nn.layer import Described, LayerCase, layer


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
    case = cases_of("flatten", "input")(draw)
    if "start_dim" not in case.kwargs and case.inputs[0].ndim < 2:  # the layer begins at dimension 1
        case.kwargs["start_dim"] = 0
    return case


def unflatten_cases(draw: Draw) -> LayerCase:
    case = cases_of("unflatten", "input")(draw)
    return LayerCase((case.kwargs["dim"], case.kwargs["sizes"]), {}, case.inputs, case.training)


@layer("nn.Flatten", cases=flatten_cases, complex=True)
def flatten(start_dim=1, end_dim=-1):
    """The dimensions from start_dim to end_dim as one.

    input: (*); output: (*, product, *).  Source: torch.nn.Flatten.
    """
    return applied("flatten", start_dim=start_dim, end_dim=end_dim)


@layer("nn.Unflatten", cases=unflatten_cases, complex=True)
def unflatten(dim, unflattened_size):
    """The dimension `dim` as several of unflattened_size, one of which may be -1.

    input: (*, n, *); output: (*, unflattened_size, *).  Source: torch.nn.Unflatten.
    """
    return applied("unflatten", dim=dim, sizes=unflattened_size)


@layer("nn.PixelShuffle", cases=cases_of("pixel_shuffle", "input"), complex=True, no_batch=3)
def pixel_shuffle(upscale_factor):
    """y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w], r = upscale_factor.

    input: (*, C r^2, H, W); output: (*, C, H r, W r).
    Source: torch.nn.PixelShuffle; Shi et al., arXiv:1609.05158.
    """
    return applied("pixel_shuffle", upscale_factor=upscale_factor)


@layer("nn.PixelUnshuffle", cases=cases_of("pixel_unshuffle", "input"), complex=True, no_batch=3)
def pixel_unshuffle(downscale_factor):
    """The inverse of PixelShuffle.

    input: (*, C, H r, W r); output: (*, C r^2, H, W).  Source: torch.nn.PixelUnshuffle.
    """
    return applied("pixel_unshuffle", downscale_factor=downscale_factor)


@layer("nn.ChannelShuffle", cases=cases_of("channel_shuffle", "input"), complex=True)
def channel_shuffle(groups):
    """The channels taken in turn from each of `groups` groups of neighbours.

    input, output: (N, C, *).  Source: torch.nn.ChannelShuffle; Zhang et al., arXiv:1707.01083.
    """
    return applied("channel_shuffle", groups=groups)


@layer("nn.Unfold", cases=cases_of("nn.functional.unfold", "input"), complex=True, no_batch=3)
def unfold(kernel_size, dilation=1, padding=0, stride=1):
    """The patches under a kernel, each a column.

    input: (N, C, H, W) or (C, H, W); output: (N, C K K', L) or (C K K', L).  Source: torch.nn.Unfold.
    """
    return applied("nn.functional.unfold", kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)


@layer("nn.Fold", cases=cases_of("nn.functional.fold", "input"), complex=True, no_batch=2)
def fold(output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The image in which column l is the patch at place l; patches add up where they overlap.

    input: (N, C K K', L) or (C K K', L); output: (N, C, H, W) or (C, H, W).  Source: torch.nn.Fold.
    """
    return applied(
        "nn.functional.fold",
        output_size=output_size,
        kernel_size=kernel_size,
        dilation=dilation,
        padding=padding,
        stride=stride,
    )
