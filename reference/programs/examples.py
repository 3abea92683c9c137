"""The classic examples of networks, each composed of rules on a tape, which runs them backward by hand.

An example is described like a layer: parameters in the order in which torch lists them, buffers, a forward pass.
Where it decides (a relu, a maximum), cases keep every decision away from its turning point, so that rounding in
single precision cannot turn it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.nn.layer import Described, Layer, LayerCase, Parameter, evaluate, made
from reference.rule import Array, Rule
from reference.tape import Tape

Shape = tuple[int, ...]
MARGIN = 2.0**-11  # between a decision and its turning point, beside terms of size 1
ATTEMPTS = 50


class Deciding(Tape):
    """A tape that notes how close its decisions are: to 0 for a relu, the two largest of a window for a maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.closest = np.inf

    def apply(self, rule: Rule | str, *args: Any, **kwargs: Any) -> Any:
        if rule == "relu":
            self.closest = min(self.closest, float(np.abs(args[0].value).min()))
        elif rule == "nn.functional.max_pool2d":
            n, c, h, w = args[0].value.shape
            windows = args[0].value.reshape(n, c, h // 2, 2, w // 2, 2).swapaxes(3, 4).reshape(-1, 4)
            first, second = np.sort(windows, axis=1)[:, :-3:-1].T
            # zeros of a relu are equal, and so are their gradients
            self.closest = min(self.closest, float(np.where(first == 0, np.inf, first - second).min()))
        return super().apply(rule, *args, **kwargs)


def _cases(described: Described, shape: Shape) -> Callable[[Draw], LayerCase]:
    """An input of this shape, whose first side may vary, and parameters of the size that initial ones have."""

    def cases(draw: Draw) -> LayerCase:
        batch, rng = draw.integer(shape[0], shape[0] + 1), draw.generator()
        buffers = list(described.buffers.values())
        best: tuple[float, list[Array]] = (-1.0, [])
        for _ in range(ATTEMPTS):
            drawn = [rng.uniform(-1.5, 1.5, (batch, *shape[1:]))]
            for p in described.parameters.values():
                drawn.append(rng.uniform(-1.5, 1.5, p.shape) * np.prod(p.shape[1:]) ** -0.5)
            tape = Deciding()
            evaluate(described, drawn[:1], drawn[1:], buffers, ("x0",), True, tape)
            if tape.closest > best[0]:
                best = tape.closest, drawn
            if tape.closest >= MARGIN:
                break
        return LayerCase(inputs=(best[1][0],), training=True, parameters=best[1][1:])

    return cases


def example(name: str, described: Described, shape: Shape) -> Layer:
    """An example of this name, with an input of this shape (a batch first)."""

    def describe() -> Described:
        return described

    describe.__module__ = __name__
    return made(f"examples.{name}", describe, cases=_cases(described, shape))


def _parameters(**shapes: Shape) -> dict[str, Parameter]:
    return {name.replace("_", "."): Parameter(shape, 0.0) for name, shape in shapes.items()}


def _layers(**sizes: tuple[int, ...]) -> dict[str, Parameter]:
    """Weight and bias of linear layers (in, out) and of convolutions (in, out, side of the kernel)."""
    shapes: dict[str, Parameter] = {}
    for name, (inputs, outputs, *side) in sizes.items():
        shapes[f"{name}.weight"] = Parameter((outputs, inputs, *side * 2), 0.0)
        shapes[f"{name}.bias"] = Parameter((outputs,), 0.0)
    return shapes


def _linear(tape: Tape, p: Any, name: str, x: Any) -> Any:
    return tape.apply("nn.functional.linear", x, p[f"{name}.weight"], p[f"{name}.bias"])


def _conv(tape: Tape, p: Any, name: str, x: Any, padding: int = 0) -> Any:
    return tape.apply("conv2d", x, p[f"{name}.weight"], p[f"{name}.bias"], 1, padding)


def perceptron() -> Described:
    """s(x w1 + b1) w2 + b2 with s the logistic function. x: (N, 4); out: (N, 2)."""

    def forward(tape: Tape, p: Any, training: bool, x: Any) -> Any:
        hidden = tape.apply("sigmoid", tape.apply("add", tape.apply("mm", x, p["layer1.w"]), p["layer1.b"]))
        return tape.apply("add", tape.apply("mm", hidden, p["layer2.w"]), p["layer2.b"])

    return Described(_parameters(layer1_w=(4, 3), layer1_b=(3,), layer2_w=(3, 2), layer2_b=(2,)), forward)


def cascade() -> Described:
    """relu(batch norm(convolution)). x: (N, 2, 5, 5); out: (N, 2, 3, 3)."""
    buffers = {
        "running_mean": np.zeros(2), "running_var": np.ones(2), "num_batches_tracked": np.array(0, dtype=np.int64)
    }  # fmt: skip

    def forward(tape: Tape, p: Any, training: bool, x: Any) -> Any:
        normed = tape.apply(
            "nn.functional.batch_norm", _conv(tape, p, "conv", x), None, None, p["norm.weight"], p["norm.bias"], True
        )
        return tape.apply("relu", normed)

    parameters = {**_layers(conv=(2, 2, 3)), **_parameters(norm_weight=(2,), norm_bias=(2,))}
    return Described(parameters, forward, buffers)


def chain() -> Described:
    """linear(relu(linear(x))). x: (N, 3); out: (N, 2)."""

    def forward(tape: Tape, p: Any, training: bool, x: Any) -> Any:
        return _linear(tape, p, "last", tape.apply("relu", _linear(tape, p, "first", x)))

    return Described(_layers(first=(3, 4), last=(4, 2)), forward)


def lenet() -> Described:
    """Two convolutions with relu and pooling, then three linear layers. x: (N, 1, 14, 14); out: (N, 4)."""

    def forward(tape: Tape, p: Any, training: bool, x: Any) -> Any:
        for name in ("conv1", "conv2"):
            x = tape.apply("nn.functional.max_pool2d", tape.apply("relu", _conv(tape, p, name, x)), 2)
        x = tape.apply("flatten", x, 1)
        for name in ("fc1", "fc2"):
            x = tape.apply("relu", _linear(tape, p, name, x))
        return _linear(tape, p, "fc3", x)

    sizes = {"conv1": (1, 2, 3), "conv2": (2, 3, 3), "fc1": (12, 6), "fc2": (6, 5), "fc3": (5, 4)}
    return Described(_layers(**sizes), forward)


def shared() -> Described:
    """A middle layer that is used three times: its gradient is the sum of those of its uses. x: (N, 3); out: (N, 2)."""

    def forward(tape: Tape, p: Any, training: bool, x: Any) -> Any:
        x = _linear(tape, p, "first", x)
        for _ in range(3):
            x = tape.apply("tanh", _linear(tape, p, "middle", x))
        return _linear(tape, p, "last", x)

    return Described(_layers(first=(3, 4), middle=(4, 4), last=(4, 2)), forward)


def residual() -> Described:
    """A convolution, two blocks y = relu(x + conv(relu(conv(x)))), means over the image, a linear layer; the outputs
    are what the last layer gives and what the first block gave.

    x: (N, 1, 4, 4); out: (N, 3), (N, 2, 4, 4).
    """

    def forward(tape: Tape, p: Any, training: bool, x: Any) -> Any:
        x = _conv(tape, p, "inconv", x, 1)
        given = []
        for block in ("block1", "block2"):
            y = tape.apply("relu", _conv(tape, p, f"{block}.conv1", x, 1))
            x = tape.apply("relu", tape.apply("add", x, _conv(tape, p, f"{block}.conv2", y, 1)))
            given.append(x)
        return _linear(tape, p, "head", tape.apply("mean", x, (2, 3))), given[0]

    convs = {f"block{i}.conv{j}": (2, 2, 3) for i in (1, 2) for j in (1, 2)}
    return Described(_layers(inconv=(1, 2, 3), **convs, head=(2, 3)), forward)
