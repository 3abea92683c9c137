"""Fake quantization, with the straight-through gradient, and the randomized leaky rectifier."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.activation import not_a_tensor
from reference.ops.precision import precise
from reference.rule import Array, Case, is_stepping, rule


def straight_through(input, scale, zero_point, quant_min, quant_max):
    """Rounds x / scale + zero_point to whole numbers in [quant_min, quant_max], and takes them back.

    The gradient passes where the whole number was within the bounds, as if nothing had been rounded.
    """
    whole = zero_point.dtype.kind != "f"
    scale, zero_point = precise(scale, input.real), precise(zero_point, input.real)
    level = np.rint(input.real / scale + (0.0 if whole else zero_point))
    level = level + zero_point if whole else level
    inside = (level >= quant_min) & (level <= quant_max)
    out = (np.clip(level, quant_min, quant_max) - zero_point) * scale
    if is_stepping():
        out = out + np.where(inside, 1j * input.imag, 0.0)
    return out, lambda g: np.where(inside, g, 0.0)


# powers of two, by which dividing is exact, and scales for which inputs keep away from the middle of two levels
SCALES = (0.25, 0.5, 0.1, 0.3)


def quantizable(draw: Draw, shape, scale):
    """Reals that a rounded 1 / scale takes to the same level, and their halves too."""
    if np.all(np.log2(scale) % 1.0 == 0) and draw.boolean():
        return draw.reals(shape)
    return (2 * draw.integers(shape, -6, 6) + draw.reals(shape, -0.375, 0.375)) * scale


def levels(draw: Draw):
    return draw.choice((-8, 7), (0, 15), (-128, 127), (0, 255))


def tensor_cases(draw: Draw):
    scale, (low, high) = draw.choice(*SCALES), levels(draw)
    zero = draw.integer(max(low, -3), min(high, 5))
    x = quantizable(draw, draw.shape(), scale)
    if draw.boolean():
        return Case((x, scale, zero, low, high))
    # as tensors both are of one element, the zero point of int32
    return Case((x, np.full(draw.choice((), (1,)), scale), np.full((1,), zero, np.int32), low, high))


@rule(
    "fake_quantize_per_tensor_affine",
    cases=tensor_cases,
    errors=lambda draw: [
        (Case((draw.reals((2,)), 0.5, 0, 7, -8)), RuntimeError),
        (Case((draw.reals((2,)), 0.5, 9, -8, 7)), RuntimeError),
        *not_a_tensor(draw),
    ],
    method=False,
    dtypes=("float32",),
)
def fake_quantize_per_tensor_affine(input: Array, scale: Array | float, zero_point: Array | int, quant_min, quant_max):
    """(clamp(round(x / scale) + zero_point, quant_min, quant_max) - zero_point) scale.

    The gradient is 1 where nothing is clamped, else 0; scale and zero point have none.
    input, output: (*); scale, zero_point: numbers, or tensors of one element.
    Source: torch.fake_quantize_per_tensor_affine.
    """
    one, zero = (np.asarray(v).reshape(()) for v in (scale, zero_point))
    out, back = straight_through(input, np.real(one), zero, quant_min, quant_max)
    return out, lambda g: (back(g), None, None)


def channel_cases(draw: Draw):
    shape = draw.shape(min_dims=1, min_side=1)
    axis, (low, high) = draw.integer(0, len(shape) - 1), levels(draw)
    channels = shape[axis]
    rng = draw.generator()
    scale = np.asarray(rng.choice(SCALES, channels))
    zero = draw.integers((channels,), max(low, -3), min(high, 5))
    spread = scale.reshape([channels if d == axis else 1 for d in range(len(shape))])
    return Case(
        (quantizable(draw, shape, spread), scale, zero.astype(draw.choice(np.int32, np.float64)), axis, low, high)
    )


@rule(
    "fake_quantize_per_channel_affine",
    cases=channel_cases,
    errors=lambda draw: [
        (Case((draw.reals((2, 3)), np.ones(2), np.zeros(2, np.int32), 1, -8, 7)), RuntimeError),
        (Case((draw.reals((2, 3)), np.ones(3), np.zeros(3, np.int64), 1, -8, 7)), RuntimeError),
    ],
    method=False,
    dtypes=("float32",),
)
def fake_quantize_per_channel_affine(input: Array, scale: Array, zero_point: Array, axis, quant_min, quant_max):
    """As fake_quantize_per_tensor_affine, with a scale and a zero point for each index of the dimension `axis`.

    input, output: (*, C, *); scale, zero_point: (C).  Source: torch.fake_quantize_per_channel_affine.
    """
    spread = [-1 if d == axis % input.ndim else 1 for d in range(input.ndim)]
    scales, zeros = np.real(scale).reshape(spread), np.real(zero_point).reshape(spread)
    out, back = straight_through(input, scales, zeros, quant_min, quant_max)
    return out, lambda g: (back(g), None, None)


def rrelu_cases(draw: Draw):
    low = draw.choice(0.125, 0.25, 0.5)
    if draw.integer(0, 3) == 3:  # bounds that leave nothing to chance
        return Case((draw.reals(draw.shape()), low, low, draw.boolean()))
    return Case((draw.reals(draw.shape()), *draw.choice((), (low, 0.75), (-0.5, low, False))))


@rule(
    "nn.functional.rrelu",
    cases=rrelu_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), 0.5, 0.25)), RuntimeError), *not_a_tensor(draw)],
    aliases=("rrelu",),
    special="nonfinite",
)
def rrelu(input: Array, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """x where x > 0, else x (lower + upper) / 2; in training the factor is random between the bounds.

    This answers for training where the bounds are equal, and nothing is left to chance.
    input, output: (*).  Source: Xu et al., arXiv:1505.00853; torch.nn.RReLU.
    """
    if training and lower != upper:
        raise ValueError("rrelu: in training the result is random")
    slope = precise(np.where(input.real > 0, 1.0, (lower + upper) / 2.0), input.real)
    return input * slope, lambda g: (g * slope,)
