"""What the functions of torch.nn.init promise: fans, gains, spreads, the matrices that are given, the laws of the rest.

    fan_in = shape[1] * receptive field,  fan_out = shape[0] * receptive field,  receptive field = prod(shape[2:])
    Xavier: std = gain sqrt(2 / (fan_in + fan_out))          (Glorot and Bengio 2010)
    Kaiming: std = gain / sqrt(fan)                          (He and others 2015)

A uniform law of this std goes to +-sqrt(3) std.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.laws import Law, Setting, integers, normal, truncated, uniform
from reference.rule import Array

Shape = tuple[int, ...]
LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of this shape: (out, in, *kernel). ValueError for fewer than 2 dimensions."""
    if len(shape) < 2:
        raise ValueError("a weight has at least 2 dimensions")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def gain(nonlinearity: str, param: float = 0.01) -> float:
    """The recommended gain; `param` is the slope of leaky_relu. Source: torch.nn.init.calculate_gain."""
    if nonlinearity in (*LINEAR, "sigmoid"):
        return 1.0
    return {"tanh": 5 / 3, "relu": math.sqrt(2), "leaky_relu": math.sqrt(2 / (1 + param**2)), "selu": 0.75}[
        nonlinearity
    ]


def xavier(shape: Shape, factor: float = 1.0) -> float:
    """The standard deviation of xavier_normal_ and xavier_uniform_; `factor` is the gain."""
    return factor * math.sqrt(2 / sum(fans(shape)))


def kaiming(shape: Shape, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> float:
    """The standard deviation of kaiming_normal_ and kaiming_uniform_; `a` is the slope of leaky_relu."""
    return gain(nonlinearity, a) / math.sqrt(fans(shape)[mode == "fan_out"])


def spread(std: float) -> Law:
    """Uniform around 0 with this standard deviation."""
    return uniform(-math.sqrt(3) * std, math.sqrt(3) * std)


# One shape for n numbers, so that the fans of a mode that is asked for do not depend on n where they need not.


def _wide(n: int) -> Shape:
    return (n // 40, 10, 2, 2)  # fan_in = 40


def _tall(n: int) -> Shape:
    return (10, n // 40, 4)  # fan_out = 40


def _by_shape(shape: Callable[[int], Shape], law: Callable[..., Law], std: Callable[..., float], *args: Any) -> Setting:
    """A call whose law depends on the shape of the tensor that is filled."""
    return Setting(lambda n: (np.zeros(shape(n)), *args), lambda n: law(std(shape(n), *args)))


def _centred(std: float) -> Law:
    return normal(0.0, std)


def _fill(law: Law, *args: Any, **kwargs: Any) -> Setting:
    return Setting(lambda n: (np.zeros(n), *args), law, kwargs)


ROWS = 10  # of the matrices that sparse_ fills


def _sparse(sparsity: float, zeros: int, sample: str, law: Law, *std: float) -> Setting:
    """Every column has this many zeros; half precision may round a number that is drawn to one more, now and then."""

    def right(y: Array, eps: float) -> bool:
        counts = (y == 0).sum(axis=0)
        return bool((counts >= zeros).all() and (counts > zeros).mean() <= 0.01)

    return Setting(
        lambda n: (np.ones((ROWS, max(n // ROWS, 40))), sparsity, *std), law, whole=right, sample=sample
    )  # fmt: skip


FILLED = "y[y != 0]"  # the numbers of a sparse matrix
FIRST_ZEROS = "np.abs(y).argmin(axis=0)"  # the row of the zero of each column, where there is one in each

_KAIMING = (
    (_wide,), (_wide, 0.5), (_tall, 0.0, "fan_out"), (_wide, 0.0, "fan_in", "relu"), (_tall, 0.0, "fan_out", "tanh"),
    (_wide, 0.0, "fan_in", "selu"), (_wide, 0.0, "fan_in", "linear"),
)  # fmt: skip

LAWS: dict[str, tuple[Setting, ...]] = {
    "nn.init.uniform_": (_fill(uniform(0.0, 1.0)), _fill(uniform(-1.0, 2.0), -1.0, 2.0)),
    "nn.init.normal_": (_fill(normal(0.0, 1.0)), _fill(normal(1.0, 2.0), 1.0, 2.0)),
    "nn.init.trunc_normal_": (
        _fill(truncated(0.0, 1.0, -2.0, 2.0)),
        _fill(truncated(0.25, 0.5, 0.0, 1.0), 0.25, 0.5, 0.0, 1.0),
        _fill(truncated(0.0, 1.0, -0.25, 0.25), a=-0.25, b=0.25),
        _fill(truncated(-0.5, 1.0, 0.5, 2.5), -0.5, 1.0, 0.5, 2.5),
        _fill(truncated(0.0, 0.02, -2.0, 2.0), 0.0, 0.02),
    ),
    "nn.init.xavier_uniform_": (_by_shape(_wide, spread, xavier), _by_shape(_tall, spread, xavier, 2.0)),
    "nn.init.xavier_normal_": (_by_shape(_wide, _centred, xavier), _by_shape(_tall, _centred, xavier, 2.0)),
    "nn.init.kaiming_uniform_": tuple(_by_shape(shape, spread, kaiming, *args) for shape, *args in _KAIMING),
    "nn.init.kaiming_normal_": tuple(_by_shape(shape, _centred, kaiming, *args) for shape, *args in _KAIMING),
    "nn.init.sparse_": (
        _sparse(0.5, 5, FILLED, normal(0.0, 0.01)),
        _sparse(0.25, 3, FILLED, normal(0.0, 2.0), 2.0),  # 2.5 zeros are 3
        _sparse(0.1, 1, FIRST_ZEROS, integers(0, ROWS)),
    ),
}
