"""Padding layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.draw import Draw
from reference.nn.functional import applied
from reference.nn.layer import Described, Layer, LayerCase, layer
from reference.ops.conv import grown
from reference.ops.resample import pad_widths


def padded(n, padding, mode="constant", value=None) -> Described:
    """A pad of n axes; one number is the width on every side."""
    widths = (padding,) * (2 * n) if isinstance(padding, int) else tuple(padding)
    return applied("nn.functional.pad", pad=widths, mode=mode, value=value)


def pad_cases(n, mode, value=False):
    def cases(draw: Draw) -> LayerCase:
        shape = grown(draw, [1, 1, *(2,) * n])
        x = draw.numbers(shape[1:] if shape[0] == 1 and draw.boolean() else shape)
        sizes = x.shape[-n:]
        widths: Any
        if draw.boolean():
            most = {"reflect": min(sizes) - 1, "circular": min(sizes)}.get(mode, 3)
            widths = draw.integer(0, min(most, 3))
        elif mode == "constant":  # a negative width cuts off
            widths = tuple(draw.integer(-min(size // 2, 1), 3) for size in reversed(sizes) for _ in range(2))
        else:
            widths = pad_widths(draw, sizes, mode)
        more = (draw.choice(0.0, 1.5, -2),) if value else ()
        return LayerCase((widths, *more), {}, (x,), draw.boolean())

    return cases


def padding(kind: str, n: int) -> Callable[[Callable[..., Any]], Layer]:
    """Registers the padding layer of this kind for n axes."""
    mode = {"Circular": "circular", "Reflection": "reflect", "Replication": "replicate"}.get(kind, "constant")
    cases = pad_cases(n, mode, kind == "Constant")
    return layer(f"nn.{kind}Pad{n}d", cases=cases, complex=True, no_batch=n + 1)


@padding("Circular", 1)
def circular_pad1d(padding):
    """The other end beyond each end of the last axis; negative widths cut off.

    padding: one width or (left, right).
    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.CircularPad1d.
    """
    return padded(1, padding, "circular")


@padding("Circular", 2)
def circular_pad2d(padding):
    """The other end beyond each end of the last two axes; negative widths cut off.

    padding: one width or (left, right, top, bottom).
    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.CircularPad2d.
    """
    return padded(2, padding, "circular")


@padding("Circular", 3)
def circular_pad3d(padding):
    """The other end beyond each end of the last three axes; negative widths cut off.

    padding: one width or (left, right, top, bottom, front, back).
    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.CircularPad3d.
    """
    return padded(3, padding, "circular")


@padding("Reflection", 1)
def reflection_pad1d(padding):
    """The input mirrored about its edge elements beyond each end of the last axis; negative widths cut off.

    padding: one width or (left, right).
    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.ReflectionPad1d.
    """
    return padded(1, padding, "reflect")


@padding("Reflection", 2)
def reflection_pad2d(padding):
    """The input mirrored about its edge elements beyond each end of the last two axes; negative widths cut off.

    padding: one width or (left, right, top, bottom).
    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.ReflectionPad2d.
    """
    return padded(2, padding, "reflect")


@padding("Reflection", 3)
def reflection_pad3d(padding):
    """The input mirrored about its edge elements beyond each end of the last three axes; negative widths cut off.

    padding: one width or (left, right, top, bottom, front, back).
    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.ReflectionPad3d.
    """
    return padded(3, padding, "reflect")


@padding("Replication", 1)
def replication_pad1d(padding):
    """The edge element beyond each end of the last axis; negative widths cut off.

    padding: one width or (left, right).
    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.ReplicationPad1d.
    """
    return padded(1, padding, "replicate")


@padding("Replication", 2)
def replication_pad2d(padding):
    """The edge element beyond each end of the last two axes; negative widths cut off.

    padding: one width or (left, right, top, bottom).
    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.ReplicationPad2d.
    """
    return padded(2, padding, "replicate")


@padding("Replication", 3)
def replication_pad3d(padding):
    """The edge element beyond each end of the last three axes; negative widths cut off.

    padding: one width or (left, right, top, bottom, front, back).
    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.ReplicationPad3d.
    """
    return padded(3, padding, "replicate")


@padding("Constant", 1)
def constant_pad1d(padding, value):
    """`value` beyond each end of the last axis; negative widths cut off.

    padding: one width or (left, right).
    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.ConstantPad1d.
    """
    return padded(1, padding, "constant", value)


@padding("Constant", 2)
def constant_pad2d(padding, value):
    """`value` beyond each end of the last two axes; negative widths cut off.

    padding: one width or (left, right, top, bottom).
    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.ConstantPad2d.
    """
    return padded(2, padding, "constant", value)


@padding("Constant", 3)
def constant_pad3d(padding, value):
    """`value` beyond each end of the last three axes; negative widths cut off.

    padding: one width or (left, right, top, bottom, front, back).
    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.ConstantPad3d.
    """
    return padded(3, padding, "constant", value)


@padding("Zero", 1)
def zero_pad1d(padding):
    """Zeros beyond each end of the last axis; negative widths cut off.

    padding: one width or (left, right).
    input: (N, C, L) or (C, L); output: (N, C, L') or (C, L').  Source: torch.nn.ZeroPad1d.
    """
    return padded(1, padding)


@padding("Zero", 2)
def zero_pad2d(padding):
    """Zeros beyond each end of the last two axes; negative widths cut off.

    padding: one width or (left, right, top, bottom).
    input: (N, C, H, W) or (C, H, W); output: (N, C, H', W') or (C, H', W').  Source: torch.nn.ZeroPad2d.
    """
    return padded(2, padding)


@padding("Zero", 3)
def zero_pad3d(padding):
    """Zeros beyond each end of the last three axes; negative widths cut off.

    padding: one width or (left, right, top, bottom, front, back).
    input: (N, C, D, H, W) or (C, D, H, W); output: (N, C, D', H', W').  Source: torch.nn.ZeroPad3d.
    """
    return padded(3, padding)
