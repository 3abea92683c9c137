"""Discrete Fourier transforms along one dimension, and the order of their coefficients. See fft_parts."""

from __future__ import annotations

import numpy as np

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
from reference.ops.shape import listed, moved
from reference.rule import WRONG_KIND, Array, Case, rule


def one_length(input, n=None, dim=-1, norm=None):
    return [input.shape[dim] if n is None else n]


def half_length(input, n=None, dim=-1, norm=None):
    return [2 * (input.shape[dim] - 1) if n is None else n]


def options(draw: Draw, x, low=1):
    """n, dim and norm of a transform along one dimension."""
    dim = draw.dim(x.ndim)
    n = draw.choice(None, max(low, x.shape[dim] + draw.integer(-3, 3)), x.shape[dim])
    return draw.choice({}, dict(n=n, dim=dim, norm=draw.choice(*NORMS)), dict(dim=dim))


def one_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1, min_side=1), distinct=draw.boolean())
    return Case((x,), options(draw, x))


def real_cases(draw: Draw):
    x = draw.reals(draw.shape(min_dims=1, min_side=1))
    return Case((x,), options(draw, x))


def half_cases(draw: Draw):
    """A half spectrum; of a single coefficient only with n given."""
    x = draw.numbers(tuple(max(n, 2) for n in draw.shape(min_dims=1, min_side=1)))
    return Case((x,), options(draw, x))


def wrong(draw: Draw):
    x = draw.reals((3,))
    return [
        (Case((x,), dict(n=0)), RuntimeError),
        (Case((x,), dict(dim=1)), IndexError),
        (Case((x,), dict(norm="both")), RuntimeError),
        (Case((draw.reals(()),)), IndexError),
    ]


def wrong_real(draw: Draw):
    return [*wrong(draw), (Case((draw.reals((3,)) + 1j,)), WRONG_KIND)]


@transform("fft", one_cases, wrong, one_length, False, complex=True)
def fft(input: Array, n=None, dim=-1, norm=None):
    """y_k = sum_j x_j exp(-2 pi i j k / n), times 1/n for norm="forward", 1/sqrt(n) for "ortho".

    input: (*, m, *), cut or padded with zeros to n; output: (*, n, *), complex.  Source: torch.fft.fft.
    """
    return complex_transform(input, [input.shape[dim] if n is None else n], [dim], norm, False)


@transform("ifft", one_cases, wrong, one_length, True, complex=True)
def ifft(input: Array, n=None, dim=-1, norm=None):
    """y_k = sum_j x_j exp(2 pi i j k / n), times 1/n, but 1 for norm="forward", 1/sqrt(n) for "ortho".

    input: (*, m, *), cut or padded with zeros to n; output: (*, n, *), complex.  Source: torch.fft.ifft.
    """
    return complex_transform(input, [input.shape[dim] if n is None else n], [dim], norm, True)


@transform("rfft", real_cases, wrong_real, one_length, False)
def rfft(input: Array, n=None, dim=-1, norm=None):
    """The first n // 2 + 1 coefficients of fft, which determine the others.

    input: (*, m, *), real; output: (*, n // 2 + 1, *), complex.  Source: torch.fft.rfft.
    """
    return to_half(input, input.shape[dim] if n is None else n, dim, norm)


@transform("irfft", half_cases, wrong, half_length, True, complex=True)
def irfft(input: Array, n=None, dim=-1, norm=None):
    """The n real points (2 (m - 1) unless given) whose half spectrum is the input: the inverse of rfft.

    The imaginary part of the coefficient of zero frequency is not read, nor that of the middle one of an
    even n.
    input: (*, m, *); output: (*, n, *), real.  Source: torch.fft.irfft.
    """
    return from_half(input, 2 * (input.shape[dim] - 1) if n is None else n, dim, norm, False)


@transform("hfft", half_cases, wrong, half_length, False, complex=True)
def hfft(input: Array, n=None, dim=-1, norm=None):
    """The fft of the n points (2 (m - 1) unless given) of which the input is a half, the other its conjugate.

    input: (*, m, *); output: (*, n, *), real.  Source: torch.fft.hfft.
    """
    return from_half(input, 2 * (input.shape[dim] - 1) if n is None else n, dim, norm, True)


@transform("ihfft", real_cases, wrong_real, one_length, True)
def ihfft(input: Array, n=None, dim=-1, norm=None):
    """The conjugate of rfft, with the scales of an inverse transform: the inverse of hfft.

    input: (*, m, *), real; output: (*, n // 2 + 1, *), complex.  Source: torch.fft.ihfft.
    """
    return conjugated(to_half(input, input.shape[dim] if n is None else n, dim, FLIPPED[norm]))


def shift_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    return Case((x,), draw.choice({}, dict(dim=draw.dim(x.ndim)), dict(dim=draw.dims(x.ndim, 1))))


def wrong_shift(draw: Draw):
    return [(Case((draw.reals((2, 3)), 2)), IndexError)]


def rolled(input, dim, sign):
    """Rolled by sign * (n // 2) in each dimension of n coefficients; and the vjp."""
    dims = tuple(range(input.ndim)) if dim is None else listed(dim)
    return moved(input, lambda a: np.roll(a, [sign * (a.shape[d] // 2) for d in dims], dims))


@rule("fft.fftshift", cases=shift_cases, errors=wrong_shift, complex=True, special="ieee")
def fftshift(input: Array, dim=None):
    """The coefficients in the order of their frequencies, zero at n // 2: rolled by n // 2 in each dimension.

    input, output: (*).  Source: torch.fft.fftshift.
    """
    return rolled(input, dim, 1)


@rule("fft.ifftshift", cases=shift_cases, errors=wrong_shift, complex=True, special="ieee")
def ifftshift(input: Array, dim=None):
    """The inverse of fftshift: rolled back by n // 2 in each dimension.

    input, output: (*).  Source: torch.fft.ifftshift.
    """
    return rolled(input, dim, -1)
