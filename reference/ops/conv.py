"""Convolutions in one, two and three dimensions, through one n-dimensional body.

Everything rests on two linear maps that are each other's adjoints: `windows`, which lays out every
patch of an image under a kernel, and `overlap`, which adds such patches up into an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.rule import Array, Case, Rule, Waiver, conj, lookup, rule


def per_axis(value, n):
    """An option of n spatial axes that may be given once for all of them."""
    if not isinstance(value, (tuple, list)):
        return (int(value),) * n
    return tuple(int(v) for v in value) * (n if len(value) == 1 else 1)


def inner(pads, size):
    """Where an image of this size lies between its pads."""
    at: tuple[Any, ...] = tuple(slice(left, left + n) for (left, _), n in zip(pads, size))
    return (..., *at)


def windows(x, kernel, stride, dilation, pads, out):
    """(N, C, *size) -> (N, C, *kernel, *out): the patch under the kernel at each place; zeros outside."""
    if any(left or right for left, right in pads):
        shape = [size + left + right for size, (left, right) in zip(x.shape[2:], pads)]
        padded = np.zeros((*x.shape[:2], *shape), x.dtype)
        padded[inner(pads, x.shape[2:])] = x
        x = padded
    step = x.strides[2:]
    return np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:2], *kernel, *out),
        (*x.strides[:2], *(d * b for d, b in zip(dilation, step)), *(s * b for s, b in zip(stride, step))),
        writeable=False,
    )


def overlap(patches, kernel, stride, dilation, pads, size):
    """(N, C, *kernel, *out) -> (N, C, *size): the sum of the patches where they lie; adjoint of `windows`."""
    out = patches.shape[2 + len(kernel) :]
    full = [n + left + right for n, (left, right) in zip(size, pads)]
    total = np.zeros((*patches.shape[:2], *full), patches.dtype)
    for tap in np.ndindex(*kernel):  # never over elements: the taps of a kernel are few
        at: tuple[Any, ...] = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dilation, out, stride)
        )
        total[(..., *at)] += patches[(slice(None), slice(None), *tap)]
    return total[inner(pads, size)]


def places(size, kernel, stride, dilation, pads):
    """How many places a dilated kernel takes along each axis."""
    return tuple(
        (n + left + right - d * (k - 1) - 1) // s + 1
        for n, k, s, d, (left, right) in zip(size, kernel, stride, dilation, pads)
    )


def convolve(n, input, weight, bias, stride, padding, dilation, groups):
    """The cross-correlation of `input` with `weight` over n spatial axes."""
    x = input if input.ndim == n + 2 else input[None]
    batch, size, kernel = x.shape[0], x.shape[2:], weight.shape[2:]
    stride, dilation = per_axis(stride, n), per_axis(dilation, n)
    if padding == "same":  # where the total is odd, the further zero goes to the right
        total = [d * (k - 1) for d, k in zip(dilation, kernel)]
        pads = tuple((t // 2, t - t // 2) for t in total)
    else:
        pads = tuple((p, p) for p in per_axis(0 if padding == "valid" else padding, n))
    out = places(size, kernel, stride, dilation, pads)
    each, taps, length = weight.shape[0] // groups, math.prod(weight.shape[1:]), math.prod(out)

    w = weight.reshape(groups, each, taps)
    columns = windows(x, kernel, stride, dilation, pads, out).reshape(batch, groups, taps, length)
    y = (w @ columns).reshape(batch, weight.shape[0], *out)
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * n)

    def vjp(g):
        g = g.reshape(batch, groups, each, length)
        patches = (conj(w).swapaxes(-1, -2) @ g).reshape(batch, x.shape[1], *kernel, *out)
        to_input = overlap(patches, kernel, stride, dilation, pads, size).reshape(input.shape)
        to_weight = (g @ conj(columns).swapaxes(-1, -2)).sum(0).reshape(weight.shape)
        return to_input, to_weight, None if bias is None else g.sum((0, 3)).reshape(bias.shape)

    return y.reshape(y.shape[-n - 1 :] if x is not input else y.shape), vjp


def convolve_transposed(n, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """The adjoint of `convolve` in its input (without the conjugate), as an operation of its own."""
    x = input if input.ndim == n + 2 else input[None]
    batch, size, kernel = x.shape[0], x.shape[2:], weight.shape[2:]
    stride, dilation = per_axis(stride, n), per_axis(dilation, n)
    pads = tuple((p, p) for p in per_axis(padding, n))
    out = tuple(
        (i - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for i, s, (p, _), d, k, extra in zip(size, stride, pads, dilation, kernel, per_axis(output_padding, n))
    )
    channels = weight.shape[1] * groups
    each, taps, length = x.shape[1] // groups, math.prod(weight.shape[1:]), math.prod(size)

    w = weight.reshape(groups, each, taps)
    columns = x.reshape(batch, groups, each, length)
    patches = (w.swapaxes(-1, -2) @ columns).reshape(batch, channels, *kernel, *size)
    y = overlap(patches, kernel, stride, dilation, pads, out)
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * n)

    def vjp(g):
        g = g.reshape(batch, channels, *out)
        seen = windows(g, kernel, stride, dilation, pads, size).reshape(batch, groups, taps, length)
        to_input = (conj(w) @ seen).reshape(input.shape)
        to_weight = (conj(columns) @ seen.swapaxes(-1, -2)).sum(0).reshape(weight.shape)
        to_bias = None if bias is None else g.sum((0, *range(2, n + 2))).reshape(bias.shape)
        return to_input, to_weight, to_bias

    return y.reshape(y.shape[-n - 1 :] if x is not input else y.shape), vjp


def option(draw: Draw, n, low, high):
    """An option of n axes: one number for all, or one for each of them."""
    values = tuple(draw.integer(low, high) for _ in range(n))
    return draw.choice(values[0], values, list(values))


def grown(draw: Draw, lows, first=None):
    """Sizes of at least `lows`, the first (the batch) possibly 0; the last grows, and `first` or another."""
    last = len(lows) - 1
    favoured = (draw.integer(0, max(last - 1, 0)) if first is None else first, last)
    if draw.regime == "empty":
        return [0, *(draw.integer(low, low + 2) for low in lows[1:])]
    return [draw.side(low, low + 2) if i in favoured else draw.integer(low, low + 1) for i, low in enumerate(lows)]


def conv_cases(n, transposed=False):
    def cases(draw: Draw):
        groups = draw.choice(1, 1, 2, 3)
        kernel = tuple(draw.integer(1, 3) for _ in range(n))
        # a transposed convolution of a large input by large strides is millions of elements
        most = (2 if n < 3 else 1) if transposed and draw.regime in ("edges", "large") else 3
        stride, dilation = option(draw, n, 1, most), option(draw, n, 1, 2)
        options = dict(stride=stride, dilation=dilation, groups=groups)
        reach = [d * (k - 1) + 1 for d, k in zip(per_axis(dilation, n), kernel)]
        lows = [1] * n
        if transposed:
            padding = option(draw, n, 0, 1)
            # one number for all axes must be smaller than the stride or the dilation of each
            room = min(max(s, d) for s, d in zip(per_axis(stride, n), per_axis(dilation, n)))
            options.update(padding=padding, output_padding=option(draw, n, 0, room - 1))
            lows = [1 if r > 2 else 3 for r in reach]  # so that the output keeps at least one element
        elif draw.integer(0, 3) == 0:
            options["padding"] = draw.choice("same", "valid")
            if options["padding"] == "same":
                options["stride"] = 1
            else:
                lows = reach
        else:
            options["padding"] = padding = option(draw, n, 0, 2)
            lows = [max(1, r - 2 * p) for r, p in zip(reach, per_axis(padding, n))]
        batch, inner, *size = grown(draw, [1, 1, *lows])
        outer = draw.integer(1, 3)
        shape = (inner * groups, outer) if transposed else (outer * groups, inner)
        x = draw.numbers((batch, inner * groups, *size), -2, 2)
        if batch == 1 and draw.boolean():
            x = x[0]
        weight = draw.numbers((*shape, *kernel), -2, 2)
        bias = draw.numbers((outer * groups,)) if draw.boolean() else None
        return Case((x, weight, bias), options)

    return cases


def conv_errors(n):
    def errors(draw: Draw):
        x, w = draw.reals((1, 2, *(4,) * n)), draw.reals((3, 2, *(2,) * n))
        return [
            (Case((x[:, :1], w)), RuntimeError),  # channels that the kernel does not have
            (Case((x, w), dict(padding=-1)), RuntimeError),
            (Case((x, w), dict(stride=0)), RuntimeError),
        ]

    return errors


def convolution(name: str) -> Callable[[Callable[..., Any]], Rule]:
    """Registers the convolution of this name, with its cases."""
    n = int(name[-2])

    def room(*args: Any, **options: Any) -> Array:
        found = lookup(name)
        assert found is not None
        y = found(*args, **options)[0]
        return np.asarray(y.size / y.shape[1 if y.ndim > n + 1 else 0] / 8.0)

    return rule(
        name,
        cases=conv_cases(n, "transpose" in name),
        errors=conv_errors(n),
        aliases=(f"nn.functional.{name}",),
        method=False,
        complex=True,
        linear=True,
        waivers=[
            Waiver(
                "the gradient of the bias adds up a channel one element after the other, which costs more digits than"
                " adding them up in pairs",
                room=room,
                checks=("edges", "parallel"),
            )
        ],
    )


@convolution("conv1d")
def conv1d(input: Array, weight: Array, bias: Array | None = None, stride=1, padding=0, dilation=1, groups=1):
    """y[o, i] = bias[o] + sum over c, k of weight[o, c, k] x[c, stride i + dilation k - padding].

    input: (N, C, L) or (C, L); weight: (O, C/groups, K); bias: (O,); output: (N, O, L') or (O, L').
    Source: torch.nn.Conv1d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolve(1, input, weight, bias, stride, padding, dilation, groups)


@convolution("conv2d")
def conv2d(input: Array, weight: Array, bias: Array | None = None, stride=1, padding=0, dilation=1, groups=1):
    """conv1d over two axes.

    input: (N, C, H, W) or (C, H, W); weight: (O, C/groups, K, K'); output: (N, O, H', W') or (O, H', W').
    Source: torch.nn.Conv2d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolve(2, input, weight, bias, stride, padding, dilation, groups)


@convolution("conv3d")
def conv3d(input: Array, weight: Array, bias: Array | None = None, stride=1, padding=0, dilation=1, groups=1):
    """conv1d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); weight: (O, C/groups, K, K', K''); output: (N, O, D', H', W').
    Source: torch.nn.Conv3d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolve(3, input, weight, bias, stride, padding, dilation, groups)
