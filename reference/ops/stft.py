"""Short-time Fourier transforms and their inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.fft_parts import halves
from reference.rule import WRONG_KIND, Array, Case, Waiver, rule


def window_of(window, n_fft, win_length, dtype):
    """The window in the middle of n_fft points, and the place where it begins."""
    size = n_fft if win_length is None else win_length
    w = np.ones(size, dtype) if window is None else window
    left = (n_fft - size) // 2
    return np.concatenate([np.zeros(left, w.dtype), w, np.zeros(n_fft - size - left, w.dtype)]), left


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
    n_fft = draw.integer(4, 8) if draw.regime != "large" else 64
    win = draw.choice(None, n_fft, draw.integer(2, n_fft))
    window = draw.choice(None, draw.numbers((win or n_fft,), 0.5, 1.5), draw.reals((win or n_fft,), 0.5, 1.5))
    least = n_fft + draw.integer(0, 4)
    length = {"edges": draw.choice(31, 32, 33, 64), "large": 34_000}.get(draw.regime, least)
    x = draw.numbers((draw.integer(1, 2), length) if draw.boolean() else (length,))
    options: dict[str, Any] = dict(
        hop_length=draw.choice(None, draw.integer(1, n_fft)) if draw.regime != "large" else 32,
        win_length=win,
        window=window,
        center=draw.boolean(),
        normalized=draw.boolean(),
    )
    if options["center"]:
        options["pad_mode"] = draw.choice("reflect", "constant", "replicate", "circular")
    else:
        align = draw.choice(None, False, True)
        options |= {} if align is None else {"align_to_window": align}
    is_complex = x.dtype.kind == "c" or (window is not None and window.dtype.kind == "c")
    options["onesided"] = draw.choice(None, False, *(() if is_complex else (True,)))
    options["return_complex"] = bool(is_complex or draw.integer(0, 3))
    return Case((x, n_fft), options)


def wrong_stft(draw: Draw):
    x = draw.reals((8,))
    return [
        (Case((x, 4)), RuntimeError),  # return_complex must be said
        (Case((x, 9), dict(center=False, return_complex=True)), RuntimeError),
        (Case((x, 4), dict(win_length=5, return_complex=True)), RuntimeError),
        (Case((x, 4), dict(window=draw.reals((3,)), return_complex=True)), RuntimeError),
    ]


def frame_room(input, n_fft, hop_length=None, win_length=None, window=None, *args, **options):
    """The size of a sum of moduli over a frame, as far as rounding errors of either sign add up."""
    size = np.abs(input).max(initial=0.0) * (1.0 if window is None else np.abs(window).max())
    return np.asarray(n_fft**0.5 * max(1.0, size))


PARTS = Waiver("each part of a transform is as wrong as its largest number", room=frame_room)


@rule("stft", cases=stft_cases, errors=wrong_stft, complex=True, analytic=False, linear=True, waivers=[PARTS])
def stft(
    input: Array,
    n_fft,
    hop_length=None,
    win_length=None,
    window: Array | None = None,
    center=True,
    pad_mode="reflect",
    normalized=False,
    onesided=None,
    return_complex=None,
    align_to_window=None,
):
    """X[f, t] = sum_k w_k x[t hop + k] exp(-2 pi i f k / n_fft), over sqrt(n_fft) if normalized.

    With center the signal is padded by n_fft // 2 on both sides, so that frame t is in the middle of t hop. A window
    shorter than n_fft has zeros on both sides; with align_to_window the signal has them too, so that the window of
    frame t begins at t hop. Onesided: the first n_fft // 2 + 1 frequencies (the default if all is real).
    input: (L) or (*, L); window: (win_length); output: (*, n, frames), or pairs (*, n, frames, 2).
    Source: torch.stft.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    w, left = window_of(window, n_fft, win_length, input.real.dtype)
    right = n_fft - left - (n_fft if win_length is None else win_length)
    length = input.shape[-1]
    at = np.arange(length)
    if center:
        at = reflection(length, n_fft // 2, pad_mode)
    elif align_to_window:
        at = np.concatenate([np.full(left, -1), at, np.full(right, -1)])
    zero = np.zeros((*input.shape[:-1], 1), input.dtype)
    padded = np.concatenate([input, zero], -1)[..., at]
    frames = padded[..., starts(1 + (len(at) - n_fft) // hop, hop, n_fft)]
    real = input.dtype.kind != "c" and w.dtype.kind != "c"
    count = n_fft // 2 + 1 if (real if onesided is None else onesided) else n_fft
    factor = n_fft**-0.5 if normalized else 1.0
    out = factor * np.fft.fft(frames * w, axis=-1)[..., :count].swapaxes(-1, -2)
    paired = not return_complex if return_complex is not None else real

    def vjp(g):
        g = (as_complex(g) if paired else g).swapaxes(-1, -2)
        whole = np.concatenate([g, np.zeros((*g.shape[:-1], n_fft - count), g.dtype)], -1)
        spread = factor * np.fft.ifft(whole, axis=-1, norm="forward")
        gw = (spread * np.conj(frames)).sum(tuple(range(spread.ndim - 1)))
        back = overlapped(spread * np.conj(w), hop, len(at))
        grad = np.zeros((*input.shape[:-1], length + 1), back.dtype)
        places: Any = (..., at)
        np.add.at(grad, places, back)
        grad = grad[..., :length]
        return grad if input.dtype.kind == "c" else grad.real, window_part(gw, window, left)

    return as_pairs(out) if paired else out, vjp


def istft_cases(draw: Draw):
    """Windows away from zero, which overlap everywhere."""
    n_fft = draw.integer(4, 8) if draw.regime != "large" else 64
    hop = draw.integer(1, max(1, n_fft // 2)) if draw.regime != "large" else 32
    win = draw.choice(None, n_fft, draw.integer(max(hop, n_fft - 1), n_fft))
    center = True if win not in (None, n_fft) else draw.boolean()
    window = draw.choice(None, draw.reals((win or n_fft,), 0.5, 1.5))
    frames = {"edges": draw.choice(15, 16, 17), "large": 1100}.get(draw.regime, draw.integer(3, 5))
    return_complex = draw.boolean()
    onesided = False if return_complex else draw.choice(None, True, False)
    sides = n_fft if onesided is False else n_fft // 2 + 1
    shape = (draw.integer(1, 2), sides, frames) if draw.boolean() else (sides, frames)
    x = draw.reals(shape) + 1j * draw.reals(shape)
    options: dict[str, Any] = dict(
        hop_length=hop, win_length=win, window=window, center=center, normalized=draw.boolean()
    )
    options |= dict(onesided=onesided, return_complex=return_complex)
    whole = hop * (frames - 1) + (0 if center else n_fft)
    return Case((x, n_fft), dict(options, length=draw.choice(None, max(1, whole - 1), whole)))


@rule("istft", cases=istft_cases, analytic=False, waivers=[PARTS], errors=lambda draw: [
    (Case((draw.reals((3, 4)), 4)), WRONG_KIND),
    (Case((draw.reals((3, 4)) + 1j, 4), dict(window=np.zeros(4))), RuntimeError),
    (Case((draw.reals((3, 4)) + 1j, 4), dict(window=np.ones(4), onesided=True, return_complex=True)), RuntimeError),
])  # fmt: skip
def istft(
    input: Array,
    n_fft,
    hop_length=None,
    win_length=None,
    window: Array | None = None,
    center=True,
    normalized=False,
    onesided=None,
    length=None,
    return_complex=False,
):
    """The signal of the frames f that are the inverse transforms: sum_t w f_t / sum_t w^2, frame t moved to t hop.

    Unless complex, it is that of the first n_fft // 2 + 1 frequencies. With center n_fft // 2 points are cut at both
    ends; what `length` has beyond the last frame is zero.
    input: (*, n, frames), complex; window: (win_length); output: (*, length).
    Source: Griffin and Lim, IEEE Trans. ASSP 32 (1984); torch.istft.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    w, left = window_of(window, n_fft, win_length, input.real.dtype)
    factor = n_fft**0.5 if normalized else 1.0
    spectra = input.swapaxes(-1, -2)
    count = n_fft // 2 + 1
    if return_complex:
        frames = factor * np.fft.ifft(spectra, axis=-1)
    else:
        frames = factor * np.fft.irfft(spectra[..., :count], n_fft, axis=-1)
    total = n_fft + hop * (spectra.shape[-2] - 1)
    begin = n_fft // 2 if center else 0
    end = begin + length if length is not None else total - begin
    span = slice(begin, min(end, total))
    envelope = overlapped(np.broadcast_to(w * w, frames.shape[-2:]), hop, total)[span]
    y = overlapped(frames * w, hop, total)[..., span] / envelope
    beyond = max(0, end - total)
    at = starts(spectra.shape[-2], hop, n_fft)

    def placed(g):
        """What each point of each frame gets."""
        whole = np.zeros((*g.shape[:-1], total), g.dtype)
        whole[..., span] = g
        return whole[..., at]

    def vjp(g):
        g = g[..., : y.shape[-1]] / np.conj(envelope)
        pushed = placed(g)
        gf = pushed * np.conj(w)
        batches = tuple(range(gf.ndim - 1))
        gw = (pushed * np.conj(frames)).sum(batches) - 2.0 * np.conj(w) * placed(g * np.conj(y)).sum(batches)
        if return_complex:
            grad = factor * np.fft.fft(gf, axis=-1, norm="forward")
        else:
            grad = factor / n_fft * halves(n_fft, -1, gf) * np.fft.rfft(gf, axis=-1)
            grad = np.concatenate([grad, np.zeros((*grad.shape[:-1], spectra.shape[-1] - count), grad.dtype)], -1)
        return grad.swapaxes(-1, -2), window_part(gw, window, left)

    return np.concatenate([y, np.zeros((*y.shape[:-1], beyond), y.dtype)], -1), vjp
