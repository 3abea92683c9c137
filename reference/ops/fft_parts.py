"""Discrete Fourier transforms.

Each is linear over the reals, so its vjp is its adjoint. With E[j, k] = exp(-2 pi i j k / n) the transform
is y = s E x with a real scale s, for x cut or padded with zeros to n; its adjoint is s E^H g, an inverse
transform without its 1/n, padded or cut to the size of x. The gradient of a real input is the real part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.rule import Waiver, rule

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
    more = [n - m if i == dim % x.ndim else m for i, m in enumerate(x.shape)]
    return np.concatenate([x, np.zeros(more, x.dtype)], axis=dim)


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


def halves(n, dim, like):
    """How often the full spectrum of n real points has each coefficient of the half one: 1, 2, .., 2, (1)."""
    counts = np.full(n // 2 + 1, 2.0, like.real.dtype)
    counts[0] = 1.0
    if n % 2 == 0:
        counts[-1] = 1.0
    return counts.reshape([-1 if i == dim % like.ndim else 1 for i in range(like.ndim)])


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
        half = factor * halves(n, dim, g) * np.fft.rfft(g, n, dim)
        grad = resized(np.conj(half) if conjugate else half, x.shape[dim], dim)
        return (grad if x.dtype.kind == "c" else grad.real,)

    return factor * y, vjp


FLIPPED = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def conjugated(out_vjp):
    """The conjugate of a transform of real numbers."""
    out, vjp = out_vjp
    return np.conj(out), lambda g: vjp(np.conj(g))


def transform(name: str, cases: Any, errors: Any, lengths: Any, inverse: bool, **more: Any) -> Callable[[Any], Any]:
    """The rule of a transform; its lengths and direction say where MKL loses digits."""
    waivers = [lossy(lengths, inverse), NORMWISE]
    return rule(f"fft.{name}", cases=cases, errors=errors, analytic=False, linear=True, waivers=waivers, **more)
