"""Discrete Fourier transforms along several dimensions. See fft_parts."""

from __future__ import annotations

from reference.draw import Draw
from reference.ops.fft_parts import (
    FLIPPED,
    NORMS,
    complex_transform,
    conjugated,
    from_half,
    to_half,
    transform,
)
from reference.ops.shape import listed
from reference.rule import WRONG_KIND, Array, Case


def two_lengths(input, s=None, dim=(-2, -1), norm=None):
    return planes(input, s, dim)[0]


def plane_lengths(input, s=None, dim=None, norm=None):
    return planes(input, s, dim)[0]


def planes(x, s, dim):
    """The sizes and dimensions of a transform along several dimensions. In s, -1 keeps a size."""
    if dim is None:
        dims = tuple(range(x.ndim) if s is None else range(x.ndim - len(listed(s)), x.ndim))
    else:
        dims = listed(dim)
    sizes = [-1] * len(dims) if s is None else listed(s)
    if len(sizes) != len(dims) or len({d % max(x.ndim, 1) for d in dims}) != len(dims):
        raise ValueError(f"sizes {s} for the dimensions {dim} of a tensor of {x.ndim}")
    return [x.shape[d] if n == -1 else n for n, d in zip(sizes, dims)], dims


def several(draw: Draw, x):
    """s, dim and norm of a transform along several dimensions."""
    dims = draw.dims(x.ndim, 1)
    sizes = tuple(draw.choice(-1, max(1, x.shape[d] + draw.integer(-2, 2))) for d in dims)
    s = draw.choice(None, sizes)
    return draw.choice({}, dict(s=s, dim=dims, norm=draw.choice(*NORMS)), dict(dim=dims))


def two_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=2, min_side=1))
    return Case((x,), several(draw, x))


def real_two_cases(draw: Draw):
    x = draw.reals(draw.shape(min_dims=2, min_side=1))
    return Case((x,), several(draw, x))


def any_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_side=1))
    if draw.integer(0, 3) == 3:  # the last dimensions, or none
        last = draw.integer(0, x.ndim)
        return Case((x,), dict(s=tuple(n + 1 for n in x.shape[x.ndim - last :]), norm=draw.choice(*NORMS)))
    return Case((x,), several(draw, x))


def wrong_planes(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x,), dict(dim=(0, 0))), RuntimeError),
        (Case((x,), dict(s=(2, 0))), RuntimeError),
        (Case((x,), dict(s=(2, 2, 2), dim=(0, 1))), RuntimeError),
        (Case((x,), dict(dim=(0, 2))), IndexError),
    ]


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


def wrong_real_planes(draw: Draw):
    return [*wrong_planes(draw), (Case((draw.reals((2, 3)) + 1j,)), WRONG_KIND)]


@transform("fft2", two_cases, wrong_planes, two_lengths, False, complex=True)
def fft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """fft along each dimension of `dim`, to the sizes s.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.fft2.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, False)


@transform("ifft2", two_cases, wrong_planes, two_lengths, True, complex=True)
def ifft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """ifft along each dimension of `dim`, to the sizes s.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.ifft2.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, True)


@transform("fftn", any_cases, wrong_planes, plane_lengths, False, complex=True)
def fftn(input: Array, s=None, dim=None, norm=None):
    """fft along each dimension of `dim`; without it along the last len(s) dimensions, without both along all.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.fftn.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, False)


@transform("ifftn", any_cases, wrong_planes, plane_lengths, True, complex=True)
def ifftn(input: Array, s=None, dim=None, norm=None):
    """ifft along each dimension of `dim`; without it along the last len(s) ones, without both along all.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.ifftn.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, True)


@transform("rfft2", real_two_cases, wrong_planes, two_lengths, False)
def rfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """rfft along the last dimension of `dim`, then fft along the others.

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.rfft2.
    """
    return real_transform(input, s, dim, norm)


@transform("rfftn", real_any_cases, wrong_real_planes, plane_lengths, False)
def rfftn(input: Array, s=None, dim=None, norm=None):
    """rfft along the last dimension of `dim`, then fft along the others; by default all, or the last len(s).

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.rfftn.
    """
    return real_transform(input, s, dim, norm)


@transform("irfft2", two_any_cases, wrong_planes, half_two_lengths, True, complex=True)
def irfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """ifft along all dimensions of `dim` but the last, then irfft along that: the inverse of rfft2.

    input: (*); output: as many dimensions, real, the last of `dim` of 2 (m - 1) unless s says otherwise.
    Source: torch.fft.irfft2.
    """
    return real_inverse(input, s, dim, norm, False)


@transform("irfftn", wide_cases, wrong_planes, half_plane_lengths, True, complex=True)
def irfftn(input: Array, s=None, dim=None, norm=None):
    """irfft2 along any dimensions; by default all, or the last len(s).

    input: (*); output: as many dimensions, real.  Source: torch.fft.irfftn.
    """
    return real_inverse(input, s, dim, norm, False)


@transform("hfft2", two_any_cases, wrong_planes, half_two_lengths, False, complex=True)
def hfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """fft along all dimensions of `dim` but the last, then hfft along that.

    input: (*); output: as many dimensions, real, the last of `dim` of 2 (m - 1) unless s says otherwise.
    Source: torch.fft.hfft2.
    """
    return real_inverse(input, s, dim, norm, True)


@transform("hfftn", wide_cases, wrong_planes, half_plane_lengths, False, complex=True)
def hfftn(input: Array, s=None, dim=None, norm=None):
    """hfft2 along any dimensions; by default all, or the last len(s).

    input: (*); output: as many dimensions, real.  Source: torch.fft.hfftn.
    """
    return real_inverse(input, s, dim, norm, True)


@transform("ihfft2", real_two_cases, wrong_real_planes, two_lengths, True)
def ihfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """ihfft along the last dimension of `dim`, then ifft along the others: the inverse of hfft2.

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.ihfft2.
    """
    return conjugated(real_transform(input, s, dim, FLIPPED[norm]))


@transform("ihfftn", real_any_cases, wrong_real_planes, plane_lengths, True)
def ihfftn(input: Array, s=None, dim=None, norm=None):
    """ihfft2 along any dimensions; by default all, or the last len(s).

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.ihfftn.
    """
    return conjugated(real_transform(input, s, dim, FLIPPED[norm]))
