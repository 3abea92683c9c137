"""Sampling an image at any places: grid_sample, and the affine_grid that usually makes the places."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np

from reference.draw import Draw
from reference.ops.conv import grown
from reference.rule import Array, Case, Waiver, rule


def reflect(x, low, high):
    """x folded back and forth between low and high, and the sign of each fold's slope."""
    span = high - low
    if span == 0:
        return np.full_like(x.real, low), np.zeros_like(x.real)
    turns = np.floor((x.real - low) / span)
    even = turns % 2 == 0
    rest = x - low - turns * span
    return np.where(even, low + rest, high - rest), np.where(even, 1.0, -1.0).astype(x.real.dtype)


def clip(x, size):
    """x inside [0, size - 1], and the slope: 0 at the ends and beyond."""
    inside = (x.real > 0) & (x.real < size - 1)
    end = np.where(x.real <= 0, 0.0, size - 1.0).astype(x.real.dtype)
    return np.where(inside, x, end), inside.astype(x.real.dtype)


def fold(x, size, padding_mode, align_corners):
    """Coordinates brought into the image as padding_mode says, and their slope."""
    if padding_mode == "zeros":
        return x, 1.0
    slope = 1.0
    if padding_mode == "reflection":
        x, slope = reflect(x, *((0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)))
    x, inside = clip(x, size)
    return x, slope * inside


def keys(x, order=0):
    """The weights of the four pixels around x (or their derivative), a = -3/4 (Keys, IEEE TASSP 29, 1981)."""
    a, t = -0.75, x - np.floor(x.real)
    weights: list[Array] = []
    for d, sign in ((t + 1.0, 1.0), (t, 1.0), (1.0 - t, -1.0), (2.0 - t, -1.0)):
        outer = d.real > 1.0 if len(weights) in (1, 2) else d.real >= 1.0
        if order == 0:
            near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        else:
            near, far = sign * (3 * (a + 2) * d - 2 * (a + 3)) * d, sign * ((3 * a * d - 10 * a) * d + 8 * a)
        weights.append(np.where(outer, far, near))
    return np.stack(weights, -1)


def taps(x, size, mode, padding_mode, align_corners):
    """For one axis: the pixels that a coordinate of [-1, 1] reads, their weights, and the weights' slopes.

    x: (N, L); each result: (N, L, taps). A pixel outside the image has no weight.
    """
    half = (size - 1) / 2.0 if align_corners else size / 2.0
    place = (x + 1.0) * half - (0.0 if align_corners else 0.5)
    if mode == "bicubic":  # the pixels are folded, not the coordinate
        first = np.floor(place.real)[..., None] + np.arange(-1, 3, dtype=place.real.dtype)
        at, _ = fold(first, size, padding_mode, align_corners)
        weights, slopes = keys(place), keys(place, 1) * half
    else:
        place, slope = fold(place, size, padding_mode, align_corners)
        if mode == "nearest":
            at = np.rint(place.real)[..., None]
            weights, slopes = np.ones_like(at), np.zeros_like(at)
        else:
            low = np.floor(place.real)
            at, part = np.stack([low, low + 1.0], -1), place - low
            weights = np.stack([1.0 - part, part], -1)
            slopes = np.stack([-half * slope * np.ones_like(low), half * slope * np.ones_like(low)], -1)
    inside = (at >= 0) & (at < size)
    return np.where(inside, at, 0).astype(np.int64), weights * inside, slopes * inside


def outer(factors):
    """The products of one factor from each axis: axis i's (N, L, k) seen as (N, L, 1, .., k, .., 1)."""
    n = len(factors)
    seen = [f.reshape(*f.shape[:2], *(f.shape[2] if i == j else 1 for j in range(n))) for i, f in enumerate(factors)]
    product = functools.reduce(operator.mul, seen)
    return product.reshape(*product.shape[:2], math.prod(product.shape[2:]))


def sample_cases(draw: Draw):
    n = draw.choice(2, 3)
    mode = draw.choice("bilinear", "nearest", *(("bicubic",) if n == 2 else ()))
    align = draw.choice(None, False, True)
    # one pixel alone under a cubic kernel has a gradient of nothing but rounding
    sizes = [draw.integer(2 if mode == "bicubic" else 1, 5) for _ in range(n)]
    batch, *out = grown(draw, [1] * (n + 1))
    x = draw.reals((batch, draw.integer(1, 3), *sizes))
    rng = draw.generator()
    places = []
    for size in reversed(sizes):  # the last coordinate of the grid belongs to the first axis
        # between pixels and apart from halves, where the value or the slope jumps, also after rounding
        part = rng.uniform(0.1, 0.4, (batch, *out)) + rng.choice([0.0, 0.5], (batch, *out))
        far = 0 if mode == "bicubic" else 1  # so that its pixels are never all the same one
        place = rng.integers(-1 - far, size + far, (batch, *out)) + part
        places.append(2 * place / (size - 1) - 1 if align and size > 1 else (2 * place + 1) / size - 1)
    if draw.integer(0, 3) == 0 and not align:
        # exactly on pixels and halfway between them
        places = [rng.integers(-5, 5, (batch, *out)) / 4.0 for _ in sizes]
        x = draw.reals((*x.shape[:2], *(draw.choice(4, 2) for _ in sizes)))
    options = dict(mode=mode, padding_mode=draw.choice("zeros", "border", "reflection"), align_corners=align)
    return Case((x, np.stack(places, -1)), options)


def sample_errors(draw: Draw):
    x = draw.reals((1, 1, 3, 3))
    return [
        (Case((x, draw.reals((1, 2, 2, 3)))), RuntimeError),
        (Case((x, draw.reals((2, 2, 2, 2)))), RuntimeError),
        (Case((x, draw.reals((1, 2, 2, 2)), "cubic")), ValueError),
    ]


@rule(
    "nn.functional.grid_sample",
    cases=sample_cases,
    errors=sample_errors,
    second_order=False,
    waivers=(Waiver("the place (g + 1) W / 2 is rounded at the size of 1, however near 0 g is", factor=8),),
)
def grid_sample(input: Array, grid: Array, mode="bilinear", padding_mode="zeros", align_corners=None):
    """The image at the places of the grid: the sum of pixels times weights, one factor for each axis.

    -1 and 1 are the centres of the outer pixels with align_corners, else their outer edges. Weights:
    nearest (halves to even), linear, or cubic convolution. Beyond the image: zeros, the pixel at the
    border, or the mirror image. At a kink the slope is that to the right; 0 where a place is clipped.
    input: (N, C, H, W) or (N, C, D, H, W); grid: (N, H', W', 2) with x, y or (N, D', H', W', 3) with
    x, y, z; output: (N, C, H', W') or (N, C, D', H', W').
    Source: Jaderberg et al., arXiv:1506.02025; torch.nn.functional.grid_sample.
    """
    n, (batch, channels), sizes = input.ndim - 2, input.shape[:2], input.shape[2:]
    out, length = grid.shape[1:-1], math.prod(grid.shape[1:-1])
    places = grid.reshape(batch, length, n)
    axes = [taps(places[..., n - 1 - i], size, mode, padding_mode, bool(align_corners)) for i, size in enumerate(sizes)]
    at = np.zeros((batch, length, 1), np.int64)
    for size, (pixels, _, _) in zip(sizes, axes):
        at = (at[..., None] * size + pixels[..., None, :]).reshape(batch, length, at.shape[2] * pixels.shape[2])
    pixels = input.reshape(batch, channels, math.prod(sizes))
    weights = outer([w for _, w, _ in axes])
    # seen: (N, C, L, taps)
    places_read = at.reshape(batch, 1, length * at.shape[2])
    seen = np.take_along_axis(pixels, places_read, 2).reshape(batch, channels, *at.shape[1:])
    y = (seen * weights[:, None]).sum(-1)

    def vjp(g):
        g = g.reshape(batch, channels, length)
        spread = g[..., None] * weights[:, None]
        flat = np.zeros(input.size, spread.dtype)
        image = np.arange(batch * channels).reshape(batch, channels, 1, 1) * math.prod(sizes)
        np.add.at(flat, (image + at[:, None]).reshape(-1), spread.reshape(-1))
        along = (g[..., None] * seen).sum(1)  # (N, L, taps)
        slopes = [(along * outer([s if i == j else w for j, (_, w, s) in enumerate(axes)])).sum(-1) for i in range(n)]
        return flat.reshape(input.shape), np.stack(slopes[::-1], -1).reshape(grid.shape)

    return y.reshape(batch, channels, *out), vjp


def affine_cases(draw: Draw):
    n = draw.choice(2, 3)
    sizes = grown(draw, [1] * (n + 1), first=0) if draw.regime != "empty" else [1] * (n + 1)
    theta = draw.reals((sizes[0], n, n + 1))
    # with no shift the middle pixel is exactly 0, or a rounding of it
    theta[..., -1] = draw.reals((sizes[0], n), 1, 4)
    return Case((theta, (sizes[0], draw.integer(1, 3), *sizes[1:]), draw.choice(None, False, True)))


def affine_errors(draw: Draw):
    return [
        (Case((draw.reals((1, 2, 3)), (1, 1, 0, 2))), ValueError),
        (Case((draw.reals((1, 3, 3)), (1, 1, 2, 2))), ValueError),
    ]


@rule(
    "nn.functional.affine_grid",
    cases=affine_cases,
    errors=affine_errors,
    waivers=(Waiver("the gradient sums many terms of either sign", factor=4, checks=("vjp",)),),
)
def affine_grid(theta: Array, size, align_corners=None):
    """theta (x, y, 1) or theta (x, y, z, 1) at every pixel of an image of this size, for grid_sample.

    The centres of the outer pixels are at -1 and 1 with align_corners, else at -1 + 1/W and 1 - 1/W; the
    centre of an only pixel is at 0.  theta: (N, 2, 3) or (N, 3, 4); size: (N, C, H, W) or (N, C, D, H, W);
    output: (N, H, W, 2) or (N, D, H, W, 3).
    Source: Jaderberg et al., arXiv:1506.02025; torch.nn.functional.affine_grid.
    """
    sizes = [int(s) for s in size[2:]]
    lines = [
        np.linspace(-1.0, 1.0, s) * (1.0 if align_corners else (s - 1) / s) if s > 1 else np.zeros(1) for s in sizes
    ]
    base = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(sizes)], -1)
    base = base.reshape(math.prod(sizes), len(sizes) + 1).astype(np.result_type(theta.real, np.float32))
    y = base @ theta.swapaxes(1, 2)

    def vjp(g):
        return (g.reshape(len(theta), len(base), len(sizes)).swapaxes(1, 2) @ base,)

    return y.reshape(len(theta), *sizes, len(sizes)), vjp
