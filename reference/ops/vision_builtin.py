"""Convolutions and image sampling as torch has them below nn.functional: every option given, names as numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.conv import conv_cases, convolve, convolve_transposed, per_axis
from reference.ops.grid import affine_cases, affine_grid, grid_sample, sample_cases
from reference.rule import Array, Case, Rule, Waiver, conj, lookup, rule

MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def convolution_cases(draw: Draw):
    n, transposed = draw.integer(1, 3), draw.boolean()
    case = conv_cases(n, transposed)(draw)
    x, weight, bias = case.args
    options = case.kwargs
    padding = options.get("padding", 0)
    if isinstance(padding, str):  # names are for conv1d and its like; 2 is room for every kernel drawn
        padding = 0 if padding == "valid" else 2
    x = x if x.ndim == n + 2 else x[None]
    lists = [list(per_axis(v, n)) for v in (options["stride"], padding, options["dilation"])]
    extra = list(per_axis(options.get("output_padding", 0), n))
    return Case((x, weight, bias, *lists, transposed, extra, options["groups"]))


def long_sum_room(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    found = lookup("convolution")
    assert found is not None
    y = found(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)[0]
    return np.asarray(y.size / max(y.shape[1], 1) / 8.0)


LONG_SUM = Waiver(
    "the gradient of the bias adds up a channel one element after the other, which costs more digits than adding"
    " them up in pairs",
    room=long_sum_room,
    checks=("edges", "parallel"),
)


def convolution_errors(draw: Draw):
    x, w = draw.reals((1, 2, 4)), draw.reals((3, 2, 2))
    return [
        (Case((x[:, :1], w, None, [1], [0], [1], False, [0], 1)), RuntimeError),
        (Case((x, w, None, [0], [0], [1], False, [0], 1)), RuntimeError),
        (Case((x[0], w, None, [1], [0], [1], False, [0], 1)), RuntimeError),  # a batch is asked for
    ]


@rule(
    "convolution",
    cases=convolution_cases,
    errors=convolution_errors,
    method=False,
    waivers=[LONG_SUM],
)
def convolution(input: Array, weight: Array, bias: Array | None, stride, padding, dilation, transposed,
                output_padding, groups):  # fmt: skip
    """conv1d to conv3d, or with `transposed` conv_transpose1d to 3d, as many as weight has axes.

    input: (N, C, *); weight: (O, C / groups, *) or (C, O / groups, *); bias: (O,); output: (N, O, *).
    Source: Dumoulin and Visin, arXiv:1603.07285; torch.nn.Conv1d.
    """
    n = weight.ndim - 2
    if transposed:
        return convolve_transposed(n, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolve(n, input, weight, bias, stride, padding, dilation, groups)


def tbc_cases(draw: Draw):
    steps, batch, inner = draw.side(), draw.side(), draw.integer(1, 3)
    pad = draw.integer(0, 2)
    kernel, outer = draw.integer(1, min(3, steps + 2 * pad)), draw.integer(1, 3)
    x, w = draw.reals((steps, batch, inner), -2, 2), draw.reals((kernel, inner, outer), -2, 2)
    args = (x, w, draw.reals((outer,), -2, 2))
    return Case((*args, pad) if pad or draw.boolean() else args)


def tbc_room(input, weight, bias, pad=0):
    return np.asarray(input.shape[0] * input.shape[1] / 8.0)


@rule(
    "conv_tbc",
    cases=tbc_cases,
    errors=lambda draw: [
        (Case((draw.reals((3, 2, 2)), draw.reals((2, 3, 4)), draw.reals((4,)))), RuntimeError),
        (Case((draw.reals((3, 2, 2)), draw.reals((2, 2, 4)), draw.reals((3,)))), RuntimeError),
    ],
    aliases=("nn.functional.conv_tbc",),
    method=False,
    waivers=[Waiver(LONG_SUM.reason, room=tbc_room, checks=("edges", "parallel"))],
)
def conv_tbc(input: Array, weight: Array, bias: Array, pad=0):
    """y[t, b] = bias + sum over k of x[t + k - pad, b] W_k, with zeros outside of x.

    input: (T, B, I); weight: (K, I, O); bias: (O,); output: (T + 2 pad - K + 1, B, O).
    Source: torch.nn.functional.conv_tbc.
    """
    length, kernel = input.shape[0], weight.shape[0]
    zeros = np.zeros((pad, *input.shape[1:]), input.dtype)
    x = np.concatenate([zeros, input, zeros])
    out = length + 2 * pad - kernel + 1
    y = sum(x[k : k + out] @ weight[k] for k in range(kernel)) + bias

    def vjp(g):
        spread = np.zeros(x.shape, np.result_type(g, weight))
        for k in range(kernel):
            spread[k : k + out] += g @ conj(weight[k]).T
        rows = g.reshape(-1, g.shape[2])
        to_weight = np.stack([conj(x[k : k + out]).reshape(-1, x.shape[2]).T @ rows for k in range(kernel)])
        return spread[pad : pad + length], to_weight, rows.sum(0)

    return y, vjp


def numbered_sample_cases(axes: tuple[int, ...]) -> Callable[[Draw], Case]:
    def cases(draw: Draw) -> Case:
        case = sample_cases(draw)
        while case.args[0].ndim - 2 not in axes:
            case = sample_cases(draw)
        options = case.kwargs
        names = MODES.index(options["mode"]), PADDINGS.index(options["padding_mode"])
        return Case((*case.args, *names, bool(options["align_corners"])))

    return cases


def sampler_errors(n: int) -> Callable[[Draw], Any]:
    def errors(draw: Draw) -> Any:
        x = draw.reals((1, 1, *(3,) * n))
        return [
            (Case((x, draw.reals((1, *(2,) * n, n + 1)), 0, 0, False)), RuntimeError),
            (Case((x, draw.reals((2, *(2,) * n, n)), 0, 0, False)), RuntimeError),
        ]

    return errors


def sampler(name: str, *axes: int) -> Callable[[Callable[..., Any]], Rule]:
    return rule(
        name,
        cases=numbered_sample_cases(axes),
        errors=sampler_errors(axes[0]),
        method=False,
        second_order=False,
        waivers=(Waiver("the place (g + 1) W / 2 is rounded at the size of 1, however near 0 g is", factor=8),),
    )


@sampler("grid_sampler", 2, 3)
def grid_sampler(input: Array, grid: Array, interpolation_mode, padding_mode, align_corners):
    """nn.functional.grid_sample; modes 0, 1, 2 are bilinear, nearest, bicubic, paddings zeros, border, reflection.

    input: (N, C, H, W) or (N, C, D, H, W); grid: (N, H', W', 2) or (N, D', H', W', 3); output: (N, C, H', W') or
    (N, C, D', H', W').  Source: Jaderberg et al., arXiv:1506.02025; torch.nn.functional.grid_sample.
    """
    return grid_sample.fn(input, grid, MODES[interpolation_mode], PADDINGS[padding_mode], align_corners)


@sampler("grid_sampler_2d", 2)
def grid_sampler_2d(input: Array, grid: Array, interpolation_mode, padding_mode, align_corners):
    """grid_sampler for images.

    input: (N, C, H, W); grid: (N, H', W', 2); output: (N, C, H', W').
    Source: Jaderberg et al., arXiv:1506.02025; torch.nn.functional.grid_sample.
    """
    return grid_sample.fn(input, grid, MODES[interpolation_mode], PADDINGS[padding_mode], align_corners)


@sampler("grid_sampler_3d", 3)
def grid_sampler_3d(input: Array, grid: Array, interpolation_mode, padding_mode, align_corners):
    """grid_sampler for volumes.

    input: (N, C, D, H, W); grid: (N, D', H', W', 3); output: (N, C, D', H', W').
    Source: Jaderberg et al., arXiv:1506.02025; torch.nn.functional.grid_sample.
    """
    return grid_sample.fn(input, grid, MODES[interpolation_mode], PADDINGS[padding_mode], align_corners)


def generator_cases(draw: Draw):
    theta, size, align = affine_cases(draw).args
    return Case((theta, size, bool(align)))


@rule(
    "affine_grid_generator",
    cases=generator_cases,
    errors=lambda draw: [(Case((draw.reals((1, 3, 3)), (1, 1, 2, 2), False)), RuntimeError)],
    method=False,
    waivers=(Waiver("the gradient sums many terms of either sign", factor=4, checks=("vjp",)),),
)
def affine_grid_generator(theta: Array, size, align_corners):
    """nn.functional.affine_grid, every argument given.

    theta: (N, 2, 3) or (N, 3, 4); output: (N, H, W, 2) or (N, D, H, W, 3).
    Source: Jaderberg et al., arXiv:1506.02025; torch.nn.functional.affine_grid.
    """
    return affine_grid.fn(theta, size, align_corners)
