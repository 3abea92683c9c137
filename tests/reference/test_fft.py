"""Fourier transforms against the sum that defines them, Parseval's theorem and their inverses."""

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 5)) + 1j * RNG.standard_normal((3, 5))


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def by_definition(x, n, sign):
    x = np.concatenate([x[..., :n], np.zeros((*x.shape[:-1], max(0, n - x.shape[-1])))], axis=-1)
    k = np.arange(n)
    return x @ np.exp(sign * 2j * np.pi * np.outer(k, k) / n)


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
def test_the_transforms_are_their_sums(n, norm):
    backward, forward = {"ortho": (n**-0.5, n**-0.5), "forward": (1.0, 1.0 / n)}.get(norm, (1.0 / n, 1.0))
    assert np.allclose(value("fft.fft", X, n, -1, norm), forward * by_definition(X, n, -1), atol=1e-13, rtol=1e-13)
    assert np.allclose(value("fft.ifft", X, n, -1, norm), backward * by_definition(X, n, 1), atol=1e-13, rtol=1e-13)
    half = forward * by_definition(X.real, n, -1)[:, : n // 2 + 1]
    assert np.allclose(value("fft.rfft", X.real, n, -1, norm), half, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("n", [4, 5])
def test_rfft_and_irfft_are_inverses(n):
    x = RNG.standard_normal((2, n))
    assert np.allclose(value("fft.irfft", value("fft.rfft", x), n), x, atol=1e-14, rtol=1e-14)
    assert np.allclose(value("fft.hfft", np.conj(value("fft.rfft", x)), n, norm="forward"), x, atol=1e-14, rtol=1e-14)


def test_parseval():
    assert np.isclose((np.abs(value("fft.fft2", X, norm="ortho")) ** 2).sum(), (np.abs(X) ** 2).sum(), rtol=1e-14)


def test_several_dimensions_are_one_after_the_other():
    both = value("fft.fft", value("fft.fft", X, 4, 0), 6, 1)
    assert np.allclose(value("fft.fftn", X, (4, 6)), both, atol=1e-13, rtol=1e-13)
    assert np.allclose(value("fft.fft2", X, (6, 4), (1, 0)), both, atol=1e-13, rtol=1e-13)
    assert np.allclose(value("fft.ifft2", value("fft.fft2", X)), X, atol=1e-14, rtol=1e-14)
    assert np.allclose(value("fft.ifftn", value("fft.fftn", X), norm=None), X, atol=1e-14, rtol=1e-14)
    assert np.allclose(
        value("fft.rfft2", X.real, (-1, 4)), value("fft.fft2", X.real, (3, 4))[:, :3], atol=1e-13, rtol=1e-13
    )


@pytest.mark.parametrize("n", [4, 5, 1, 2])
def test_irfft_does_not_read_the_imaginary_part_of_the_ends(n):
    x = X[0, : n // 2 + 1]
    other = x + np.where(np.arange(len(x)) == 0, 3j, 0) + (3j * (np.arange(len(x)) == n // 2) if n % 2 == 0 else 0)
    out, vjp = lookup("fft.irfft")(x, n)
    assert np.array_equal(out, value("fft.irfft", other, n))
    (grad,) = vjp(RNG.standard_normal(n))
    assert grad[0].imag == 0 and (n % 2 or grad[-1].imag == 0)


def test_fftshift_puts_the_zero_frequency_in_the_middle():
    assert value("fft.fftshift", np.array([0.0, 1, 2, 3, -3, -2, -1])).tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert value("fft.fftshift", np.array([0.0, 1, -2, -1])).tolist() == [-2, -1, 0, 1]
    assert value("fft.fftshift", np.array([[0.0, 1], [2, 3]]), 1).tolist() == [[1, 0], [3, 2]]
