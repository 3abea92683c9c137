"""Short-time Fourier transforms and their inverse."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.rule import Case


def window_of(window, n_fft, win_length):
    """The window in the middle of n_fft points, and the place where it begins."""
    size = n_fft if win_length is None else win_length
    w = np.ones(size) if window is None else window
    left = (n_fft - size) // 2
    return np.concatenate([np.zeros(left), w, np.zeros(n_fft - size - left)]), left


def window_part(g, window, left):
    """The gradient of the window from that of the padded one."""
    if window is None:
        return None
    g = g[left : left + window.shape[0]]
    return g.real if window.dtype.kind != "c" else g


def starts(count, hop, n_fft):
    """For each frame the places of its points."""
    return np.arange(count)[:, None] * hop + np.arange(n_fft)


def overlapped(frames, hop, total):
    """The sum of frames, each `hop` points after the one before."""
    out = np.zeros((*frames.shape[:-2], total), frames.dtype)
    n_fft = frames.shape[-1]
    for i in range(frames.shape[-2]):
        out[..., i * hop : i * hop + n_fft] += frames[..., i, :]
    return out


def reflection(n, pad, mode):
    """Which point stands at each place of a signal padded on both sides; -1 for a zero."""
    at = np.arange(-pad, n + pad)
    if mode == "reflect":
        at = np.abs(at)
        return np.where(at >= n, 2 * (n - 1) - at, at)
    if mode == "replicate":
        return np.clip(at, 0, n - 1)
    if mode == "circular":
        return at % n
    return np.where((at < 0) | (at >= n), -1, at)


def as_complex(x):
    """The complex numbers of pairs."""
    return x[..., 0] + 1j * x[..., 1]


def as_pairs(z):
    return np.stack([z.real, z.imag], -1)


def stft_cases(draw: Draw):
    n_fft = draw.integer(2, 8) if draw.regime != "large" else 64
    win = draw.choice(None, n_fft, draw.integer(1, n_fft))
    window = draw.choice(None, draw.numbers((win or n_fft,), 0.5, 1.5), draw.reals((win or n_fft,), 0.5, 1.5))
    least = n_fft + draw.integer(0, 4)
    length = {"edges": draw.choice(31, 32, 33, 64), "large": 34_000}.get(draw.regime, least)
    x = draw.numbers((draw.integer(1, 2), length) if draw.boolean() else (length,))
    options = dict(
        hop_length=draw.choice(None, draw.integer(1, n_fft)) if draw.regime != "large" else 32,
        win_length=win,
        window=window,
        center=draw.boolean(),
        normalized=draw.boolean(),
    )
    if options["center"]:
        options["pad_mode"] = draw.choice("reflect", "constant", "replicate", "circular")
    else:
        options["align_to_window"] = draw.choice(None, False, True)
    is_complex = x.dtype.kind == "c" or (window is not None and window.dtype.kind == "c")
    options["onesided"] = draw.choice(None, False, *(() if is_complex else (True,)))
    options["return_complex"] = bool(is_complex or draw.integer(0, 3))
    return Case((x, n_fft), options)
