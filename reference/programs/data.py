"""What the trainings start from. Drawn in float32, so that both precisions start from the same numbers.

The functions are complete in themselves: a reproduction script prints them.
"""

from __future__ import annotations

import numpy as np

TWO = ((1000, 100), (100, 10))
THREE = ((1000, 100), (100, 100), (100, 10))


def normal(seed: int) -> list[np.ndarray]:
    """x, y and two weights, all standard normal."""
    rng = np.random.default_rng(seed)
    shapes = [(64, 1000), (64, 10), (1000, 100), (100, 10)]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def layers(seed: int, fans: tuple[tuple[int, int], ...]) -> list[np.ndarray]:
    """x, y, and weight and bias of a linear layer for each (fan_in, fan_out).

    weight: (fan_out, fan_in) and bias: (fan_out,), uniform in +-1 / sqrt(fan_in). Source: torch.nn.Linear.
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.standard_normal((64, 1000)), rng.standard_normal((64, 10))]
    for fan_in, fan_out in fans:
        bound = fan_in**-0.5
        drawn += [rng.uniform(-bound, bound, (fan_out, fan_in)), rng.uniform(-bound, bound, fan_out)]
    return [a.astype(np.float32) for a in drawn]


def choices(seed: int) -> list[int]:
    """How often the dynamic network uses its middle layer, for each of 500 steps: 0 to 3 times."""
    return list(map(int, np.random.default_rng([seed, 1]).integers(0, 4, 500)))
