"""Convolutions and transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from reference.draw import Draw
from reference.laws import uniform
from reference.nn.layer import Described, Layer, LayerCase, Parameter, layer
from reference.ops.conv import conv_cases, per_axis


def affine(shape, features, bias, fan_in):
    """A weight and a bias, both uniform within 1/sqrt(fan_in)."""
    k = fan_in**-0.5
    parameters = {"weight": Parameter(shape, uniform(-k, k))}
    if bias:
        parameters["bias"] = Parameter((features,), uniform(-k, k))
    return parameters


def around(padding, reach):
    """The (left, right) padding of each axis; reach: what a kernel spans beyond one element."""
    if padding == "same":  # where the total is odd, the further element goes to the right
        return [(r // 2, r - r // 2) for r in reach]
    return [(p, p) for p in per_axis(0 if padding == "valid" else padding, len(reach))]


def convolution(n, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode):
    """What Conv1d, 2d and 3d have in common."""
    kernel = per_axis(kernel_size, n)
    each = in_channels // groups
    parameters = affine((out_channels, each, *kernel), out_channels, bias, each * math.prod(kernel))

    def forward(tape, p, training, x):
        zeros = padding
        if padding_mode != "zeros":
            pairs = around(padding, [d * (k - 1) for d, k in zip(per_axis(dilation, n), kernel)])
            x = tape.apply("nn.functional.pad", x, tuple(w for pair in pairs[::-1] for w in pair), padding_mode)
            zeros = 0
        return tape.apply(f"conv{n}d", x, p["weight"], p.get("bias"), stride, zeros, dilation, groups)

    return Described(parameters, forward)


def conv_layer_cases(n):
    def cases(draw: Draw) -> LayerCase:
        case = conv_cases(n)(draw)
        (x, weight, bias), options = case.args, dict(case.kwargs)
        options["bias"] = bias is not None
        mode = draw.choice("zeros", "reflect", "replicate", "circular")
        reach = [d * (k - 1) for d, k in zip(per_axis(options["dilation"], n), weight.shape[2:])]
        widths = [max(pair) for pair in around(options["padding"], reach)]
        # a mirror reaches up to the other end, a circle once around
        room = {"reflect": -1, "circular": 0}.get(mode, 99)
        if mode != "zeros" and all(w <= size + room for w, size in zip(widths, x.shape[-n:])):
            options["padding_mode"] = mode
        kernel = draw.choice(weight.shape[2:], weight.shape[2]) if len(set(weight.shape[2:])) == 1 else weight.shape[2:]
        return LayerCase((weight.shape[1] * options["groups"], weight.shape[0], kernel), options, (x,), draw.boolean())

    return cases


def transposed(n, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation):
    """What ConvTranspose1d, 2d and 3d have in common; their only padding_mode is zeros."""
    kernel, each = per_axis(kernel_size, n), out_channels // groups
    parameters = affine((in_channels, each, *kernel), out_channels, bias, each * math.prod(kernel))

    def forward(tape, p, training, x, output_size=None):
        extra = output_padding
        if output_size is not None:
            least = smallest(x.value.shape[-n:], stride, padding, kernel, dilation)
            extra = tuple(int(size) - s for size, s in zip(output_size[-n:], least))
        return tape.apply(
            f"conv_transpose{n}d", x, p["weight"], p.get("bias"), stride, padding, extra, groups, dilation
        )

    return Described(parameters, forward)


def smallest(sizes, stride, padding, kernel, dilation):
    """The output sizes of a transposed convolution without output_padding."""
    n = len(sizes)
    each = zip(sizes, per_axis(stride, n), per_axis(padding, n), kernel, per_axis(dilation, n))
    return [(size - 1) * s - 2 * p + d * (k - 1) + 1 for size, s, p, k, d in each]


def transposed_layer_cases(n):
    def cases(draw: Draw) -> LayerCase:
        case = conv_cases(n, True)(draw)
        (x, weight, bias), options = case.args, dict(case.kwargs)
        options["bias"] = bias is not None
        inputs: tuple[Any, ...] = (x,)
        if draw.boolean():
            kernel = weight.shape[2:]
            least = smallest(x.shape[-n:], options["stride"], options["padding"], kernel, options["dilation"])
            size = [low + draw.integer(0, s - 1) for low, s in zip(least, per_axis(options["stride"], n))]
            lead = [*x.shape[: -n - 1], weight.shape[1] * options["groups"]]
            inputs = (x, draw.choice(None, size, tuple(size), [*lead, *size]))
        made = (weight.shape[0], weight.shape[1] * options["groups"], weight.shape[2:])
        return LayerCase(made, options, inputs, draw.boolean())

    return cases


def registered(name: str, cases: Callable[[Draw], LayerCase]) -> Callable[[Callable[..., Any]], Layer]:
    """Registers the convolution of this name."""
    n = int(name[-2])
    like = f"conv_transpose{n}d" if "Transpose" in name else f"conv{n}d"
    return layer(name, cases=cases, complex=True, no_batch=1 + n, like=(like,))


@registered("nn.Conv1d", conv_layer_cases(1))
def conv1d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
           padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """conv1d of the input padded with zeros, or by reflection, replication or in a circle.

    Weight and bias are uniform within 1/sqrt(C/groups K). "same" padding keeps the length.
    input: (N, C, L) or (C, L); weight: (O, C/groups, K); output: (N, O, L') or (O, L').
    Source: torch.nn.Conv1d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolution(1, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)


@registered("nn.Conv2d", conv_layer_cases(2))
def conv2d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
           padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """Conv1d over two axes.

    input: (N, C, H, W) or (C, H, W); weight: (O, C/groups, K, K'); output: (N, O, H', W') or (O, H', W').
    Source: torch.nn.Conv2d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolution(2, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)


@registered("nn.Conv3d", conv_layer_cases(3))
def conv3d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
           padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """Conv1d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); weight: (O, C/groups, K, K', K''); output: (N, O, D', H', W').
    Source: torch.nn.Conv3d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return convolution(3, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)


@registered("nn.ConvTranspose1d", transposed_layer_cases(1))
def conv_transpose1d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1,
                     bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """conv_transpose1d; output_size in a call takes the place of output_padding.

    Weight and bias are uniform within 1/sqrt(O/groups K).
    input: (N, C, L) or (C, L); weight: (C, O/groups, K); output: (N, O, L') or (O, L').
    Source: torch.nn.ConvTranspose1d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return transposed(
        1, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation
    )


@registered("nn.ConvTranspose2d", transposed_layer_cases(2))
def conv_transpose2d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1,
                     bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """ConvTranspose1d over two axes.

    input: (N, C, H, W) or (C, H, W); weight: (C, O/groups, K, K'); output: (N, O, H', W') or (O, H', W').
    Source: torch.nn.ConvTranspose2d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return transposed(
        2, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation
    )


@registered("nn.ConvTranspose3d", transposed_layer_cases(3))
def conv_transpose3d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1,
                     bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
    """ConvTranspose1d over three axes.

    input: (N, C, D, H, W) or (C, D, H, W); weight: (C, O/groups, K, K', K''); output: (N, O, D', H', W').
    Source: torch.nn.ConvTranspose3d; Dumoulin and Visin, arXiv:1603.07285.
    """
    return transposed(
        3, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation
    )
