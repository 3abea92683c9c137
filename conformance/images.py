"""The images that LeNet-5 is trained on: scikit-learn's digits, enlarged, or CIFAR-10 where the user has it.

A reproduction script prints these functions: they are complete in themselves, but for `uniform`.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from reference.programs.data import uniform

TRAINED, HELD = 1200, 400


class NoImages(Exception):
    """There are no images, and why."""


def digits(seed: int, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    """x: (1600, 3, 32, 32) within [-1, 1], y: (1600,), and parameters.

    The images of 8 x 8 are enlarged by linear interpolation. Their source: Alpaydin and Kaynak, Optical Recognition of
    Handwritten Digits, UCI Machine Learning Repository, 1998. Raises ImportError without scikit-learn.
    """
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(seed)
    found = load_digits()
    order = rng.permutation(len(found.target))[:1600]
    places = np.linspace(0.0, 7.0, 32)
    weights = np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(8)))  # (32, 8): a hat around each pixel
    large = weights @ (found.images[order] / 8.0 - 1.0) @ weights.T
    x = large[:, None] * np.array([1.0, 0.75, 0.5])[:, None, None]
    return [x.astype(np.float32), found.target[order].astype(np.int64), *uniform(rng, shapes)]


def cifar10(seed: int, shapes: tuple[tuple[int, ...], ...], folder: str) -> list[np.ndarray]:
    """x: (1600, 3, 32, 32) within [-1, 1], y: (1600,), and parameters: 1200 images of data_batch_1 to 5, then 400 of
    test_batch. Raises NoImages where the folder has not these files, or less images.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for names, count in (([f"data_batch_{i}" for i in range(1, 6)], TRAINED), (["test_batch"], HELD)):
        batches = [read_batch(Path(folder) / name) for name in names]
        images, labels = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
        if len(images) < count:
            raise NoImages(f"{folder}: {', '.join(names)} have {len(images)} images, {count} are needed")
        order = rng.permutation(len(images))[:count]
        parts.append((images[order], labels[order]))
    x = np.concatenate([images for images, _ in parts]).reshape(-1, 3, 32, 32) / 127.5 - 1.0
    return [x.astype(np.float32), np.concatenate([labels for _, labels in parts]), *uniform(rng, shapes)]


class _Unpickler(pickle.Unpickler):
    """Reads dictionaries of bytes, numbers, lists and arrays; a pickle that asks for anything else is refused."""

    ALLOWED = (
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
    )  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a CIFAR-10 batch")
        return super().find_class(module, name)


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images, (N, 3072) in uint8, and labels, (N,), of a file of the Python version of CIFAR-10.

    Raises NoImages where it is not there, or is something else.
    """
    try:
        with open(path, "rb") as file:
            held = _Unpickler(file, encoding="bytes").load()
        images, labels = np.asarray(held[b"data"]), np.asarray(held[b"labels"])
    except (OSError, pickle.UnpicklingError, KeyError, TypeError, EOFError, ValueError, AttributeError) as error:
        raise NoImages(f"{path}: {type(error).__name__}: {error}") from error
    fits = images.dtype == np.uint8 and images.shape == (len(labels), 3072) and labels.dtype.kind == "i"
    if not (fits and labels.ndim == 1 and ((labels >= 0) & (labels < 10)).all()):
        raise NoImages(f"{path}: not a batch of CIFAR-10: data {images.dtype}{images.shape}, labels {labels.shape}")
    return images, labels.astype(np.int64)
