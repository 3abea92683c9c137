"""Discrete Fourier transforms between real tensors and half spectra, along several dimensions."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.fft import (
    NORMWISE,
    any_cases,
    complex_transform,
    from_half,
    lossy,
    one_length,
    plane_lengths,
    planes,
    real_cases,
    real_two_cases,
    several,
    to_half,
    two_lengths,
    wrong,
    wrong_planes,
)
from reference.ops.shape import listed, moved
from reference.rule import Array, Case, rule


def real_any_cases(draw: Draw):
    case = any_cases(draw)
    x = draw.reals(case.args[0].shape)
    if x.ndim == 0:  # without dimensions there is no last one
        x = x.reshape(1)
        return Case((x,))
    if case.kwargs.get("s") == ():
        return Case((x,), dict(norm=case.kwargs["norm"]))
    return Case((x,), case.kwargs)


def real_transform(x, s, dim, norm):
    """The half spectrum along the last dimension of `dim`, transformed along the others; and the vjp."""
    sizes, dims = planes(x, s, dim)
    half, back = to_half(x, sizes[-1], dims[-1], norm)
    out, vjp = complex_transform(half, sizes[:-1], dims[:-1], norm, False)
    return out, lambda g: back(vjp(g)[0])


def half_planes(x, s, dim):
    """As planes, for a half spectrum along the last dimension."""
    keep = s is None or listed(s)[-1] == -1
    sizes, dims = planes(x, s, dim)
    return [*sizes[:-1], 2 * (x.shape[dims[-1]] - 1) if keep else sizes[-1]], dims


def real_inverse(x, s, dim, norm, conjugate):
    """Transformed along all dimensions of `dim` but the last, then from a half spectrum to real; and the vjp."""
    sizes, dims = half_planes(x, s, dim)
    # the transform of a conjugate is the conjugate of the inverse one, up to its scale
    part, back = complex_transform(x, sizes[:-1], dims[:-1], norm, not conjugate)
    out, vjp = from_half(part, sizes[-1], dims[-1], norm, conjugate)
    return out, lambda g: back(vjp(g)[0])


def conjugated(out_vjp):
    """The conjugate of a transform of real numbers."""
    out, vjp = out_vjp
    return np.conj(out), lambda g: vjp(np.conj(g))


FLIPPED = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def two_any_cases(draw: Draw):
    x = draw.numbers(tuple(max(n, 2) for n in draw.shape(min_dims=2, min_side=1)))
    return Case((x,), several(draw, x))


def wide_cases(draw: Draw):
    x = draw.numbers(tuple(max(n, 2) for n in draw.shape(min_dims=1, min_side=1)))
    if draw.integer(0, 3) == 3:
        last = draw.integer(1, x.ndim)
        return Case((x,), dict(s=tuple(n + 1 for n in x.shape[x.ndim - last :])))
    return Case((x,), several(draw, x))


def half_two_lengths(input, s=None, dim=(-2, -1), norm=None):
    return half_planes(input, s, dim)[0]


def half_plane_lengths(input, s=None, dim=None, norm=None):
    return half_planes(input, s, dim)[0]


def wrong_real(draw: Draw):
    return [*wrong_planes(draw), (Case((draw.reals((2, 3)) + 1j,)), RuntimeError)]


@rule(
    "fft.rfftn",
    cases=real_any_cases,
    errors=wrong_real,
    analytic=False,
    waivers=[lossy(plane_lengths, False), NORMWISE],
)
def rfftn(input: Array, s=None, dim=None, norm=None):
    """rfft along the last dimension of `dim`, then fft along the others; by default all, or the last len(s).

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.rfftn.
    """
    return real_transform(input, s, dim, norm)


@rule(
    "fft.irfft2",
    cases=two_any_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(half_two_lengths, True), NORMWISE],
)
def irfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """ifft along all dimensions of `dim` but the last, then irfft along that: the inverse of rfft2.

    input: (*); output: as many dimensions, real, the last of `dim` of 2 (m - 1) unless s says otherwise.
    Source: torch.fft.irfft2.
    """
    return real_inverse(input, s, dim, norm, False)


@rule(
    "fft.irfftn",
    cases=wide_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(half_plane_lengths, True), NORMWISE],
)
def irfftn(input: Array, s=None, dim=None, norm=None):
    """irfft2 along any dimensions; by default all, or the last len(s).

    input: (*); output: as many dimensions, real.  Source: torch.fft.irfftn.
    """
    return real_inverse(input, s, dim, norm, False)


@rule(
    "fft.hfft2",
    cases=two_any_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(half_two_lengths, False), NORMWISE],
)
def hfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """fft along all dimensions of `dim` but the last, then hfft along that.

    input: (*); output: as many dimensions, real, the last of `dim` of 2 (m - 1) unless s says otherwise.
    Source: torch.fft.hfft2.
    """
    return real_inverse(input, s, dim, norm, True)


@rule(
    "fft.hfftn",
    cases=wide_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(half_plane_lengths, False), NORMWISE],
)
def hfftn(input: Array, s=None, dim=None, norm=None):
    """hfft2 along any dimensions; by default all, or the last len(s).

    input: (*); output: as many dimensions, real.  Source: torch.fft.hfftn.
    """
    return real_inverse(input, s, dim, norm, True)


@rule(
    "fft.ihfft",
    cases=real_cases,
    errors=lambda draw: [*wrong(draw), (Case((draw.reals((3,)) + 1j,)), RuntimeError)],
    analytic=False,
    waivers=[lossy(one_length, True), NORMWISE],
)
def ihfft(input: Array, n=None, dim=-1, norm=None):
    """The conjugate of rfft, with the scales of an inverse transform: the inverse of hfft.

    input: (*, m, *), real; output: (*, n // 2 + 1, *), complex.  Source: torch.fft.ihfft.
    """
    return conjugated(to_half(input, input.shape[dim] if n is None else n, dim, FLIPPED[norm]))


@rule(
    "fft.ihfft2", cases=real_two_cases, errors=wrong_real, analytic=False, waivers=[lossy(two_lengths, True), NORMWISE]
)
def ihfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """ihfft along the last dimension of `dim`, then ifft along the others: the inverse of hfft2.

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.ihfft2.
    """
    return conjugated(real_transform(input, s, dim, FLIPPED[norm]))


@rule(
    "fft.ihfftn",
    cases=real_any_cases,
    errors=wrong_real,
    analytic=False,
    waivers=[lossy(plane_lengths, True), NORMWISE],
)
def ihfftn(input: Array, s=None, dim=None, norm=None):
    """ihfft2 along any dimensions; by default all, or the last len(s).

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.ihfftn.
    """
    return conjugated(real_transform(input, s, dim, FLIPPED[norm]))


@rule(
    "fft.ifftshift",
    cases=lambda draw: (
        lambda x: Case((x,), draw.choice({}, dict(dim=draw.dim(x.ndim)), dict(dim=draw.dims(x.ndim, 1))))
    )(draw.numbers(draw.shape(min_dims=1))),
    errors=lambda draw: [(Case((draw.reals((2, 3)), 2)), IndexError)],
    complex=True,
    special="ieee",
)
def ifftshift(input: Array, dim=None):
    """The inverse of fftshift: rolled back by n // 2 in each dimension.

    input, output: (*).  Source: torch.fft.ifftshift.
    """
    dims = tuple(range(input.ndim)) if dim is None else listed(dim)
    return moved(input, lambda a: np.roll(a, [-(a.shape[d] // 2) for d in dims], dims))
