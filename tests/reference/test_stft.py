"""Short-time transforms by their definition, and by each other."""

import numpy as np
import pytest

from tests.reference.test_spectra import matrices, value


@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_stft_is_its_definition(onesided, normalized):
    x, w = matrices(False, 20), matrices(False, 6)
    out = value("stft", x, 8, 3, 6, w, False, normalized=normalized, onesided=onesided, return_complex=True)
    padded = np.concatenate([[0], w, [0]])
    assert out.shape == (5 if onesided else 8, 5)
    for f, t in np.ndindex(out.shape):
        terms = [padded[k] * x[3 * t + k] * np.exp(-2j * np.pi * f * k / 8) for k in range(8)]
        assert np.isclose(out[f, t], sum(terms) / (8**0.5 if normalized else 1), atol=1e-13)


def test_real_parts_stand_beside_imaginary_ones():
    x = matrices(False, 2, 12)
    pairs = value("stft", x, 4, return_complex=False)
    out = value("stft", x, 4, return_complex=True)
    assert np.array_equal(pairs[..., 0], out.real) and np.array_equal(pairs[..., 1], out.imag)


@pytest.mark.parametrize(
    ("mode", "numpys"), [("reflect", "reflect"), ("constant", "constant"), ("replicate", "edge"), ("circular", "wrap")]
)
def test_a_centred_transform_is_that_of_a_padded_signal(mode, numpys):
    x = matrices(False, 12)
    padded = np.pad(x, 3, mode=numpys)
    out = value("stft", x, 6, 2, pad_mode=mode, return_complex=True)
    assert np.allclose(out, value("stft", padded, 6, 2, center=False, return_complex=True), atol=1e-13, rtol=1e-13)


def test_aligned_frames_begin_with_their_window():
    x, w = matrices(False, 14), np.ones(3)
    out = value("stft", x, 6, 2, 3, w, False, onesided=False, return_complex=True, align_to_window=True)
    frames = np.fft.ifft(out, axis=0).T
    assert len(frames) == 6
    assert np.allclose(frames[:, 1:4], [x[2 * t : 2 * t + 3] for t in range(6)], atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("normalized", [False, True])
def test_istft_gives_the_signal_back(complex, center, normalized):
    x, w = matrices(complex, 2, 20), np.linspace(0.5, 1.0, 6)
    options = dict(hop_length=2, window=w, center=center, normalized=normalized, onesided=not complex)
    out = value("stft", x, 6, **options, return_complex=True)
    assert np.allclose(value("istft", out, 6, **options, return_complex=complex), x, atol=1e-13, rtol=1e-13)
    short = value("istft", out, 6, **options, return_complex=complex, length=7)
    assert np.allclose(short, x[:, :7], atol=1e-13, rtol=1e-13)
    long = value("istft", out, 6, **options, return_complex=complex, length=40)
    assert long.shape == (2, 40) and np.array_equal(long[:, 30:], np.zeros((2, 10)))


def test_the_spectrum_has_one_side_unless_anything_is_complex():
    x, w = matrices(False, 20), matrices(False, 8)
    for signal, window, rows in ((x, None, 5), (x, w, 5), (x + 0j, None, 8), (x + 0j, w, 8), (x, w + 0j, 8)):
        out = value("stft", signal, 8, 4, window=window, center=False, return_complex=True)
        frames = np.stack([signal[4 * t : 4 * t + 8] for t in range(4)], 1)
        want = np.fft.fft(frames * (1.0 if window is None else window[:, None]), axis=0)[:rows]
        assert out.shape == want.shape and np.allclose(out, want, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("n_fft", [8, 12, 13])
def test_frames_are_a_quarter_of_their_length_apart_unless_it_is_said(n_fft):
    x = matrices(False, 60)
    out = value("stft", x, n_fft, return_complex=True)
    assert np.array_equal(out, value("stft", x, n_fft, n_fft // 4, return_complex=True))
    assert np.allclose(
        value("istft", out, n_fft, length=60), value("istft", out, n_fft, n_fft // 4, length=60), rtol=1e-12, atol=1e-12
    )
    assert np.allclose(value("istft", out, n_fft)[:55], x[:55], atol=1e-13, rtol=1e-13)
