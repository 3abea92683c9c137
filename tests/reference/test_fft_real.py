"""Transforms to and from half spectra against NumPy's, and each other."""

import numpy as np
import pytest

from tests.reference.test_spectra import matrices, value

NORMS = [None, "backward", "ortho", "forward"]
FLIPPED = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


@pytest.mark.parametrize("norm", NORMS)
def test_they_are_numpys(norm):
    x, z = matrices(False, 3, 4, 5), matrices(True, 3, 4, 5)
    assert np.allclose(
        value("fft.rfftn", x, (4, 6), (0, 2), norm), np.fft.rfftn(x, (4, 6), (0, 2), norm), rtol=1e-12, atol=1e-12
    )
    assert np.allclose(
        value("fft.irfftn", z, (4, 7), (0, 2), norm), np.fft.irfftn(z, (4, 7), (0, 2), norm), rtol=1e-12, atol=1e-12
    )
    assert np.allclose(
        value("fft.irfft2", z, None, (-2, -1), norm), np.fft.irfft2(z, None, (-2, -1), norm), rtol=1e-12, atol=1e-12
    )
    assert np.allclose(value("fft.ihfft", x, 6, 1, norm), np.fft.ihfft(x, 6, 1, norm), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_hfft_is_irfft_of_the_conjugate_in_the_other_direction(norm):
    x, z = matrices(False, 3, 4, 5), matrices(True, 3, 4, 5)
    want = np.fft.irfftn(np.conj(z), (3, 4, 8), norm=FLIPPED[norm])
    assert np.allclose(value("fft.hfftn", z, norm=norm), want, rtol=1e-12, atol=1e-12) and want.shape == (3, 4, 8)
    assert np.allclose(
        value("fft.hfft2", z, norm=norm), value("fft.hfftn", z, dim=(1, 2), norm=norm), rtol=1e-12, atol=1e-12
    )
    assert np.allclose(
        value("fft.ihfftn", x, norm=norm), np.conj(np.fft.rfftn(x, norm=FLIPPED[norm])), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("norm", NORMS)
def test_they_invert_each_other(norm):
    x = matrices(False, 3, 4)
    assert np.allclose(
        value("fft.irfft2", value("fft.rfft2", x, norm=norm), x.shape, norm=norm), x, rtol=1e-12, atol=1e-12
    )
    assert np.allclose(
        value("fft.hfft2", value("fft.ihfft2", x, norm=norm), x.shape, norm=norm), x, rtol=1e-12, atol=1e-12
    )
    assert np.allclose(
        value("fft.hfftn", value("fft.ihfftn", x, norm=norm), x.shape, norm=norm), x, rtol=1e-12, atol=1e-12
    )


def test_ifftshift_undoes_fftshift():
    x = matrices(False, 3, 4)
    assert np.array_equal(value("fft.ifftshift", value("fft.fftshift", x)), x)
    assert np.array_equal(value("fft.ifftshift", x, 1), np.fft.ifftshift(x, 1))
