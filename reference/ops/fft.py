"""Discrete Fourier transforms.

Each is linear over the reals, so its vjp is its adjoint. With E[j, k] = exp(-2 pi i j k / n) the transform
is y = s E x with a real scale s, for x cut or padded with zeros to n; its adjoint is s E^H g, an inverse
transform without its 1/n, padded or cut to the size of x. The gradient of a real input is the real part.
"""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.shape import listed, moved
from reference.rule import Array, Case, Waiver, rule

NORMS = (None, "backward", "ortho", "forward")


def scale(n, norm, inverse):
    """The factor of a transform of n points: the direction that `norm` names has 1/n, "ortho" is for both."""
    if norm == "ortho":
        return 1.0 / math.sqrt(n)
    return 1.0 / n if (norm == "forward") != inverse else 1.0


def resized(x, n, dim):
    """The first n elements along `dim`, with zeros after the last."""
    have = x.shape[dim]
    if n <= have:
        return np.take(x, np.arange(n), axis=dim) if n < have else x
    return np.concatenate([x, np.zeros([n - m if i == dim % x.ndim else m for i, m in enumerate(x.shape)])], axis=dim)


def exponentials(x, n, dim, inverse):
    """sum_j x_j exp(-+ 2 pi i j k / n), without a scale."""
    return np.fft.ifft(x, n, dim, norm="forward") if inverse else np.fft.fft(x, n, dim)


def lossy(lengths, inverse):
    """The waiver for lengths with a prime factor of 17 or more, in proportion to the factor.

    `lengths` gives the lengths of a transform for its arguments, `inverse` is that of `scale`.
    """

    def room(input, *args, **options):
        sizes = lengths(input, *args, **options)
        largest = max((p for n in sizes for p in range(2, n + 1) if n % p == 0 and _is_prime(p)), default=1)
        if largest < 17:
            return np.zeros(())
        n = math.prod(sizes)
        norm = options.get("norm", args[2] if len(args) > 2 else None)
        return np.asarray(largest * math.sqrt(n) * scale(n, norm, inverse) * max(1.0, np.abs(input).max(initial=0.0)))

    return Waiver("MKL loses digits where a length has a prime factor of 17 or more, the more the larger", room=room)


def _is_prime(p):
    return all(p % q for q in range(2, math.isqrt(p) + 1))


# Errors spread over all coefficients: one that dwarfs the others, as zero frequency does where everything has one
# sign, brings its own to each (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 24).
NORMWISE = Waiver(
    "an FFT is exact relative to its largest coefficient, not to each",
    room=lambda input, *args, **options: np.asarray(8.0 * input.size),
    checks=("parallel",),
)


def one_length(input, n=None, dim=-1, norm=None):
    return [input.shape[dim] if n is None else n]


def half_length(input, n=None, dim=-1, norm=None):
    return [2 * (input.shape[dim] - 1) if n is None else n]


def two_lengths(input, s=None, dim=(-2, -1), norm=None):
    return planes(input, s, dim)[0]


def plane_lengths(input, s=None, dim=None, norm=None):
    return planes(input, s, dim)[0]


def halves(n, dim, ndim):
    """How often the full spectrum of n real points has each coefficient of the half one: 1, 2, .., 2, (1)."""
    counts = np.full(n // 2 + 1, 2.0)
    counts[0] = 1.0
    if n % 2 == 0:
        counts[-1] = 1.0
    return counts.reshape([-1 if i == dim % ndim else 1 for i in range(ndim)])


def complex_transform(x, sizes, dims, norm, inverse):
    """The transform along several dimensions, to these sizes, and its vjp."""
    factor = scale(math.prod(sizes), norm, inverse)

    def transformed(a, lengths, backwards):
        for n, dim in zip(lengths, dims):
            a = exponentials(a, n, dim, backwards)
        return a

    def vjp(g):
        grad = transformed(factor * g, sizes, not inverse)
        for dim in dims:
            grad = resized(grad, x.shape[dim], dim)
        return (grad if x.dtype.kind == "c" else grad.real,)

    return factor * transformed(x + 0j, sizes, inverse), vjp


def to_half(x, n, dim, norm):
    """The transform of real x along `dim`, its first n // 2 + 1 coefficients, and its vjp."""
    factor = scale(n, norm, False)

    def vjp(g):
        return (resized(exponentials(factor * g, n, dim, True).real, x.shape[dim], dim),)

    return factor * np.fft.rfft(x, n, dim), vjp


def from_half(x, n, dim, norm, conjugate):
    """The n real points whose half spectrum is x (or its conjugate), by an inverse transform; and its vjp.

    y_j = s sum_k counts_k Re(x_k exp(2 pi i j k / n)), so that the imaginary parts of the coefficient of zero
    frequency, and of the middle one of an even n, are not read.
    """
    factor = scale(n, norm, not conjugate)
    y = np.fft.irfft(np.conj(x) if conjugate else x, n, dim, norm="forward")

    def vjp(g):
        half = factor * halves(n, dim, x.ndim) * np.fft.rfft(g, n, dim)
        grad = resized(np.conj(half) if conjugate else half, x.shape[dim], dim)
        return (grad if x.dtype.kind == "c" else grad.real,)

    return factor * y, vjp


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


@rule(
    "fft.fft", cases=one_cases, errors=wrong, complex=True, analytic=False, waivers=[lossy(one_length, False), NORMWISE]
)
def fft(input: Array, n=None, dim=-1, norm=None):
    """y_k = sum_j x_j exp(-2 pi i j k / n), times 1/n for norm="forward", 1/sqrt(n) for "ortho".

    input: (*, m, *), cut or padded with zeros to n; output: (*, n, *), complex.  Source: torch.fft.fft.
    """
    return complex_transform(input, [input.shape[dim] if n is None else n], [dim], norm, False)


@rule(
    "fft.ifft", cases=one_cases, errors=wrong, complex=True, analytic=False, waivers=[lossy(one_length, True), NORMWISE]
)
def ifft(input: Array, n=None, dim=-1, norm=None):
    """y_k = sum_j x_j exp(2 pi i j k / n), times 1/n, but 1 for norm="forward", 1/sqrt(n) for "ortho".

    input: (*, m, *), cut or padded with zeros to n; output: (*, n, *), complex.  Source: torch.fft.ifft.
    """
    return complex_transform(input, [input.shape[dim] if n is None else n], [dim], norm, True)


@rule(
    "fft.rfft",
    cases=real_cases,
    errors=lambda draw: [*wrong(draw), (Case((draw.reals((3,)) + 1j,)), RuntimeError)],
    analytic=False,
    waivers=[lossy(one_length, False), NORMWISE],
)
def rfft(input: Array, n=None, dim=-1, norm=None):
    """The first n // 2 + 1 coefficients of fft, which determine the others.

    input: (*, m, *), real; output: (*, n // 2 + 1, *), complex.  Source: torch.fft.rfft.
    """
    return to_half(input, input.shape[dim] if n is None else n, dim, norm)


@rule(
    "fft.irfft",
    cases=half_cases,
    errors=wrong,
    complex=True,
    analytic=False,
    waivers=[lossy(half_length, True), NORMWISE],
)
def irfft(input: Array, n=None, dim=-1, norm=None):
    """The n real points (2 (m - 1) unless given) whose half spectrum is the input: the inverse of rfft.

    The imaginary part of the coefficient of zero frequency is not read, nor that of the middle one of an
    even n.
    input: (*, m, *); output: (*, n, *), real.  Source: torch.fft.irfft.
    """
    return from_half(input, 2 * (input.shape[dim] - 1) if n is None else n, dim, norm, False)


@rule(
    "fft.hfft",
    cases=half_cases,
    errors=wrong,
    complex=True,
    analytic=False,
    waivers=[lossy(half_length, False), NORMWISE],
)
def hfft(input: Array, n=None, dim=-1, norm=None):
    """The fft of the n points (2 (m - 1) unless given) of which the input is a half, the other its conjugate.

    input: (*, m, *); output: (*, n, *), real.  Source: torch.fft.hfft.
    """
    return from_half(input, 2 * (input.shape[dim] - 1) if n is None else n, dim, norm, True)


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


@rule(
    "fft.fft2",
    cases=two_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(two_lengths, False), NORMWISE],
)
def fft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """fft along each dimension of `dim`, to the sizes s.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.fft2.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, False)


@rule(
    "fft.ifft2",
    cases=two_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(two_lengths, True), NORMWISE],
)
def ifft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """ifft along each dimension of `dim`, to the sizes s.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.ifft2.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, True)


@rule(
    "fft.fftn",
    cases=any_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(plane_lengths, False), NORMWISE],
)
def fftn(input: Array, s=None, dim=None, norm=None):
    """fft along each dimension of `dim`; without it along the last len(s) dimensions, without both along all.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.fftn.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, False)


@rule(
    "fft.ifftn",
    cases=any_cases,
    errors=wrong_planes,
    complex=True,
    analytic=False,
    waivers=[lossy(plane_lengths, True), NORMWISE],
)
def ifftn(input: Array, s=None, dim=None, norm=None):
    """ifft along each dimension of `dim`; without it along the last len(s) ones, without both along all.

    input: (*); output: as many dimensions, complex.  Source: torch.fft.ifftn.
    """
    sizes, dims = planes(input, s, dim)
    return complex_transform(input, sizes, dims, norm, True)


@rule(
    "fft.rfft2",
    cases=real_two_cases,
    errors=wrong_planes,
    analytic=False,
    waivers=[lossy(two_lengths, False), NORMWISE],
)
def rfft2(input: Array, s=None, dim=(-2, -1), norm=None):
    """rfft along the last dimension of `dim`, then fft along the others.

    input: (*), real; output: as many dimensions, complex.  Source: torch.fft.rfft2.
    """
    sizes, dims = planes(input, s, dim)
    half, back = to_half(input, sizes[-1], dims[-1], norm)
    out, vjp = complex_transform(half, sizes[:-1], dims[:-1], norm, False)
    return out, lambda g: back(vjp(g)[0])


@rule(
    "fft.fftshift",
    cases=lambda draw: (
        lambda x: Case((x,), draw.choice({}, dict(dim=draw.dim(x.ndim)), dict(dim=draw.dims(x.ndim, 1))))
    )(draw.numbers(draw.shape(min_dims=1))),
    errors=lambda draw: [(Case((draw.reals((2, 3)), 2)), IndexError)],
    complex=True,
    special="ieee",
)
def fftshift(input: Array, dim=None):
    """The coefficients in the order of their frequencies, zero at n // 2: rolled by n // 2 in each dimension.

    input, output: (*).  Source: torch.fft.fftshift.
    """
    dims = tuple(range(input.ndim)) if dim is None else listed(dim)
    return moved(input, lambda a: np.roll(a, [a.shape[d] // 2 for d in dims], dims))
