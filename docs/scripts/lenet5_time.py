"""The time of one training step of LeNet-5, in NumPy by the reference's rules and in torch, on one thread.

    OPENBLAS_NUM_THREADS=1 python docs/scripts/lenet5_time.py

Batches of 4 images of 3 x 32 x 32; the least of several steps. A slow oracle is a small one: the reference aims to stay
within 5 times of torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from conformance.models import LeNet
from conformance.trainings import start_from
from reference.programs import data, models, of_rules
from reference.programs.rounding import Shaken

STEPS = 100


def least(step: Callable[[], object]) -> float:
    """Milliseconds of the fastest of many calls."""
    times = []
    for _ in range(STEPS):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return 1e3 * min(times)


def compare(dtype: type[np.floating]) -> tuple[float, float]:
    """Milliseconds of a step by the reference and by torch."""
    rng, fl = np.random.default_rng(0), Shaken(0, 0.0, dtype)  # every result in this dtype, and as it is
    x, y = rng.uniform(-1, 1, (4, 3, 32, 32)).astype(dtype), rng.integers(0, 10, 4)
    parameters = [p.astype(dtype) for p in data.uniform(rng, models.LENET)]

    def by_hand() -> None:
        _, gradients = of_rules.LENET.value(parameters, x, y, [], fl)
        of_rules.LENET_UPDATE(parameters, gradients, None, 0, fl)

    model = start_from(LeNet(), [torch.from_numpy(p) for p in parameters])
    groups = [{"params": model.features.parameters()}, {"params": model.classifier.parameters(), "lr": 0.002}]
    optimizer = torch.optim.SGD(groups, lr=0.001, momentum=0.9)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    def in_torch() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return least(by_hand), least(in_torch)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for dtype in (np.float64, np.float32):
        ours, theirs = compare(dtype)
        print(f"{dtype.__name__}: reference {ours:.2f} ms, torch {theirs:.2f} ms, {ours / theirs:.1f} times")
