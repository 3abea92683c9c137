"""Resampling on a regular grid: interpolation, padding by repetition, and pixel shuffles.

All of them are linear. Interpolation and padding separate over the axes (see `pool.Matrix`).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from reference.draw import Draw
from reference.ops.conv import grown, per_axis
from reference.ops.pool import adaptive_average, linear, separable
from reference.rule import Array, Case, Waiver, rule

SPATIAL = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "lanczos": 2}


def cubic(t, a=-0.75):
    """The cubic convolution kernel at distance t (Keys, IEEE TASSP 29, 1981); torch's a is -3/4."""
    t = np.abs(t)
    near = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    far = ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    return np.where(t <= 1.0, near, np.where(t < 2.0, far, 0.0))


def lanczos(t):
    """sinc(t) sinc(t / 3) for |t| < 3: exactly 0 at every integer but 0, where sin(pi t) in floating point is not."""
    integer = (t == np.rint(t)) & (t != 0)
    return np.where((np.abs(t) < 3.0) & ~integer, np.sinc(t) * np.sinc(t / 3.0), 0.0)


# with antialias: the filters as Pillow has them, and how far each reaches
FILTERS = {
    "bilinear": (lambda t: np.maximum(1.0 - np.abs(t), 0.0), 1.0),
    "bicubic": (lambda t: cubic(t, -0.5), 2.0),
    "lanczos": (lanczos, 3.0),
}


def rows(at, weights):
    """The entries of a table (out, taps) in order of rows, without those of no weight."""
    out, taps = np.nonzero(weights)
    return out, at[out, taps], weights[out, taps]


@functools.lru_cache(1024)
def resampling(mode, size, out, factor, align_corners, antialias):
    """The map of one axis from `size` to `out` elements; `factor` (or None) is the scale factor as given."""
    i = np.arange(out)
    if mode == "nearest":
        at = i * size // out if factor is None else np.floor(i / factor).astype(np.int64)
        return linear(out, size, i, np.minimum(at, size - 1))
    if mode == "nearest-exact":
        at = (2 * i + 1) * size // (2 * out) if factor is None else np.floor((i + 0.5) / factor).astype(np.int64)
        return linear(out, size, i, np.minimum(at, size - 1))

    if align_corners:
        scale = (size - 1) / (out - 1) if out > 1 else 0.0
        source = scale * i
    else:
        scale = size / out if factor is None else 1.0 / factor
        source = scale * (i + 0.5) - 0.5
    if antialias:
        shape, reach = FILTERS[mode]
        wide = max(scale, 1.0)
        centre = scale * (i + 0.5)
        start = np.maximum(np.floor(centre - reach * wide + 0.5), 0)
        end = np.minimum(np.floor(centre + reach * wide + 0.5), size)
        at = (start[:, None] + np.arange(int(np.max(end - start)))).astype(np.int64)
        w = np.where(at < end[:, None], shape((at + 0.5 - centre[:, None]) / wide), 0.0)
        return linear(out, size, *rows(at, w / w.sum(1, keepdims=True)))
    if mode == "bicubic":
        first = np.floor(source)[:, None] + np.arange(-1, 3)
        at, w = np.clip(first, 0, size - 1).astype(np.int64), cubic(first - source[:, None])
        return linear(out, size, *rows(at, w))
    if out == size:  # torch copies here, whatever scale factor gave this size
        source = i
    source = np.maximum(source, 0.0)  # before the first centre and behind the last the edge goes on
    low = np.minimum(np.floor(source), size - 1)
    part = np.clip(source - low, 0.0, 1.0)
    at = np.stack([low, np.minimum(low + 1, size - 1)], 1).astype(np.int64)
    return linear(out, size, *rows(at, np.stack([1.0 - part, part], 1)))


def interpolate_cases(draw: Draw):
    mode = draw.choice("nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact", "lanczos")
    n = SPATIAL.get(mode) or draw.integer(1, 3)
    x = draw.reals(grown(draw, [1, 1, *(1,) * n], first=0))
    options = dict(mode=mode)
    if mode in SPATIAL and mode != "lanczos":
        options["align_corners"] = draw.choice(None, False, True)
    options["antialias"] = mode == "lanczos" or (mode in ("bilinear", "bicubic") and draw.boolean())
    # where both sizes agree and the factor is not 1, torch's modes disagree on what it does
    # places on a long axis keep their digits where the factor is a power of two
    some = (2.0, 0.5, 1.0) if draw.regime in ("edges", "large") else (2.0, 0.5, 1.5, 3.0, 1.0, 2.5)
    factors = [draw.choice(*some) for _ in range(n)]
    factors = [f if f == 1 or math.floor(s * f) not in (0, s) else 2.0 for s, f in zip(x.shape[2:], factors)]
    kind = draw.integer(0, 3)
    if kind == 0:
        sizes = tuple(draw.choice(draw.integer(1, 6), s) for s in x.shape[2:])
        if options.get("align_corners") is True:
            sizes = tuple(2 * s - 1 for s in x.shape[2:])
        options["size"] = draw.choice(sizes, sizes[0])
    elif kind == 1 and all(math.floor(s * factors[0]) not in (0, s) for s in x.shape[2:]):
        options["scale_factor"] = factors[0]
    else:
        options["scale_factor"] = tuple(factors)
    if kind > 0:
        options["recompute_scale_factor"] = draw.choice(None, False, True)
    return Case((x,), options)


def interpolate_errors(draw: Draw):
    x = draw.reals((1, 1, 3, 3))
    return [
        (Case((x,)), ValueError),
        (Case((x, 2, 2.0)), ValueError),
        (Case((x, 2), dict(align_corners=True)), ValueError),
        (Case((x, 2), dict(mode="trilinear")), NotImplementedError),
    ]


def place_room(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
    antialias=False,
):  # fmt: skip
    """A weight is off by the rounding of a place, of the size of the side, and so is what it weighs."""
    sides = sum(max(n, 1) - 1 for n in input.shape[2:]) if mode in SPATIAL else 0
    return np.asarray(4.0 * sides * np.abs(input).max(initial=0.0))


@rule(
    "nn.functional.interpolate",
    cases=interpolate_cases,
    errors=interpolate_errors,
    waivers=[Waiver("places and weights are rounded at the size of the image", room=place_room)],
)
def interpolate(
    input: Array,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """The image at another size: place i of the output has its centre at (i + 1/2) scale - 1/2 of the input.

    scale is 1 / scale_factor, or size / new size where that is given or recomputed; with align_corners
    the centre is at i (size - 1) / (new size - 1). Each axis is interpolated by itself: nearest (below
    i scale), nearest-exact (the centre's pixel), linear, cubic convolution (a = -3/4), area (the mean over
    the window of adaptive_avg_pool); antialias widens the filter by the scale when it shrinks.
    input: (N, C, *); output: (N, C, *new size).
    Source: torch.nn.Upsample; Keys, IEEE TASSP 29, 1981; Pillow's Image.resize for antialias.
    """
    n = input.ndim - 2
    factors: list[float | None] = [None] * n
    if size is not None:
        sizes = per_axis(size, n)
    else:
        given = isinstance(scale_factor, (tuple, list))
        wanted = [float(f) for f in (scale_factor if given else [scale_factor] * n)]
        sizes = tuple(math.floor(s * f) for s, f in zip(input.shape[2:], wanted))
        if not recompute_scale_factor:
            factors = [*wanted]
    if mode == "area":
        return adaptive_average(n, input, sizes)
    each = zip(input.shape[2:], sizes, factors)
    y, adjoint = separable(input, [resampling(mode, *e, bool(align_corners), bool(antialias)) for e in each])
    return y, lambda g: (adjoint(g),)


@functools.lru_cache(1024)
def repeated(mode, size, left, right):
    """The map of one axis that goes on beyond both ends; a negative width cuts off instead."""
    at = np.arange(-left, size + right)
    if mode == "replicate":
        at = np.clip(at, 0, max(size - 1, 0))
    elif mode == "circular":  # what is cut off does not come back on the other side
        first, kept = max(-left, 0), size + min(left, 0) + min(right, 0)
        at = first + (at - first) % max(kept, 1)
    else:
        period = max(2 * (size - 1), 1)
        at = at % period
        at = np.minimum(at, period - at) if size > 1 else at * 0
    return linear(len(at), size, np.arange(len(at)), at)


def pad_cases(draw: Draw):
    mode = draw.choice("constant", "reflect", "replicate", "circular")
    if mode == "constant":
        x = draw.numbers(draw.shape())
        widths = []
        for size in reversed(x.shape[draw.integer(0, x.ndim) :]):
            cut = min(size // 2, 2)
            widths += [draw.integer(-cut, 3), draw.integer(-cut, 3)]
        value = draw.choice(None, 0.0, 1.5, -2)
        return Case((x, tuple(widths)), dict(mode=mode, value=value))
    n = draw.integer(1, 3)
    shape = grown(draw, [1, 1, *(2,) * n])
    x = draw.numbers(shape[1:] if shape[0] == 1 and draw.boolean() else shape)
    return Case((x, pad_widths(draw, x.shape[-n:], mode), mode))


def pad_widths(draw: Draw, sizes, mode):
    """Widths that a mode other than constant allows on axes of these sizes, the last axis first."""
    widths = []
    for size in reversed(sizes):
        right = draw.integer(-min(size // 2, 1), min(size - 1, 3))
        most = {"reflect": size - 1, "replicate": 4, "circular": size + min(right, 0)}[mode]
        widths += [draw.integer(0, min(most, 3)), right]
    return tuple(widths)


def pad_errors(draw: Draw):
    x = draw.reals((1, 2, 3))
    return [
        (Case((x, (1,))), RuntimeError),
        (Case((x, (3, 0), "reflect")), RuntimeError),
        (Case((x, (4, 0), "circular")), RuntimeError),
        (Case((x, (1, 1), "replicate", 1.0)), RuntimeError),
    ]


@rule("nn.functional.pad", cases=pad_cases, errors=pad_errors, complex=True, special="nonfinite")
def pad(input: Array, pad, mode="constant", value=None):
    """The input with (left, right) further elements on each axis, the last axis first; negative ones cut.

    constant: `value` (0); reflect: mirrored about the edge element; replicate: the edge element;
    circular: the other end.  input: (*); output: (*) with axis d larger by left + right.
    Source: torch.nn.functional.pad.
    """
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    lead = input.ndim - len(pairs)
    if mode != "constant":
        ends = zip(input.shape[lead:], pairs)
        y, adjoint = separable(input, [repeated(mode, size, int(a), int(b)) for size, (a, b) in ends])
        return y, lambda g: (adjoint(g),)

    shape, inner, outer = list(input.shape[:lead]), [slice(None)] * lead, [slice(None)] * lead
    for size, (left, right) in zip(input.shape[lead:], pairs):
        shape.append(size + left + right)
        inner.append(slice(max(-left, 0), size - max(-right, 0)))
        outer.append(slice(max(left, 0), size + left + right - max(right, 0)))
    y = np.full(shape, 0 if value is None else value, input.dtype)
    y[tuple(outer)] = input[tuple(inner)]

    def vjp(g):
        back = np.zeros(input.shape, g.dtype)
        back[tuple(inner)] = g[tuple(outer)]
        return (back,)

    return y, vjp


def shuffle_cases(down):
    def cases(draw: Draw):
        r = draw.integer(1, 3)
        *lead, c, h, w = grown(draw, [1] * draw.integer(4, 5))
        shape = (c, h * r, w * r) if down else (c * r * r, h, w)
        return Case((draw.numbers((*(lead if draw.boolean() or 0 in lead else ()), *shape)), r))

    return cases


def shuffle_errors(draw: Draw):
    return [
        (Case((draw.reals((1, 3, 3, 3)), 2)), RuntimeError),
        (Case((draw.reals((4, 4)), 2)), RuntimeError),
    ]


def shuffled(x, r, down):
    """Between (*, C r^2, H, W) and (*, C, H r, W r); each direction is the other's inverse and adjoint."""
    *lead, c, h, w = x.shape
    k = len(lead)
    if down:
        split, order = (*lead, c, h // r, r, w // r, r), (k, k + 2, k + 4, k + 1, k + 3)
        joined = (*lead, c * r * r, h // r, w // r)
    else:
        split, order = (*lead, c // (r * r), r, r, h, w), (k, k + 3, k + 1, k + 4, k + 2)
        joined = (*lead, c // (r * r), h * r, w * r)
    return x.reshape(split).transpose(*range(k), *order).reshape(joined)


@rule(
    "pixel_shuffle",
    cases=shuffle_cases(False),
    errors=shuffle_errors,
    aliases=("nn.functional.pixel_shuffle",),
    method=False,
    complex=True,
    special="ieee",
)
def pixel_shuffle(input: Array, upscale_factor):
    """y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w].

    input: (*, C r^2, H, W); output: (*, C, H r, W r).
    Source: Shi et al., arXiv:1609.05158; torch.nn.PixelShuffle.
    """
    return shuffled(input, upscale_factor, False), lambda g: (shuffled(g, upscale_factor, True),)


@rule(
    "pixel_unshuffle",
    cases=shuffle_cases(True),
    errors=shuffle_errors,
    aliases=("nn.functional.pixel_unshuffle",),
    method=False,
    complex=True,
    special="ieee",
)
def pixel_unshuffle(input: Array, downscale_factor):
    """The inverse of pixel_shuffle.

    input: (*, C, H r, W r); output: (*, C r^2, H, W).  Source: torch.nn.PixelUnshuffle.
    """
    return shuffled(input, downscale_factor, True), lambda g: (shuffled(g, downscale_factor, False),)
