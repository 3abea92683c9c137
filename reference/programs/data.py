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


def uniform(rng: np.random.Generator, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    """Parameters of these shapes: matrices and kernels uniform in +-1 / sqrt(fan_in), vectors near 0."""
    bounds = [np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1 for shape in shapes]
    return [rng.uniform(-b, b, shape).astype(np.float32) for b, shape in zip(bounds, shapes)]


def regression(seed: int, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    """x: (64, 200) and y: (64, 10), standard normal, and parameters."""
    rng = np.random.default_rng(seed)
    drawn = [rng.standard_normal(shape).astype(np.float32) for shape in ((64, 200), (64, 10))]
    return [*drawn, *uniform(rng, shapes)]


def patterns(seed: int, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    """Images of five patterns under noise, x: (160, 3, 12, 12), y: (160,), and parameters (norms begin near 1)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 5, 160)
    x = rng.standard_normal((5, 3, 12, 12))[y] + rng.standard_normal((160, 3, 12, 12))
    parameters = uniform(rng, shapes)
    for i in range(1, 15, 3):
        parameters[i] += 1
    return [x.astype(np.float32), y, *parameters]


def sentences(seed: int, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    """Tokens of a random chain, x: (96, 9), those that follow them, y: (96, 9), and parameters."""
    rng = np.random.default_rng(seed)
    follows = rng.integers(0, 12, (12, 3))
    tokens = [rng.integers(0, 12, 96)]
    for _ in range(9):
        tokens.append(follows[tokens[-1], rng.integers(0, 3, 96)])
    whole = np.stack(tokens, 1)
    return [whole[:, :-1].copy(), whole[:, 1:].copy(), *uniform(rng, shapes)]
