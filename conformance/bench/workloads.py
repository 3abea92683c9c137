"""What is measured: named computations by size, their inputs, and what NumPy says they give.

Nothing here knows torch: `bodies` computes the same in torch, and `parity` compares. A workload's inputs have a batch
as their first dimension where `rows` says so, and its output depends on them row by row, so that a large result can
be checked on some of its rows.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.nn import LAYERS
from reference.nn.layer import Described, evaluate
from reference.optim import OPTIMIZERS
from reference.rule import Array, Case, Rule
from reference.tape import Tape

DTYPES = ("float32", "tf32", "bfloat16", "float16")
PRODUCTS = dict(dtypes=DTYPES)  # for workloads of matrix products
STEPS = 3  # of an optimizer, before its parameters are compared
VOCABULARY, WIDTH = 10_000, 256
LSTM: dict[str, Any] = dict(input_size=128, hidden_size=128, batch_first=True)
TRANSFORMER: dict[str, Any] = dict(d_model=256, nhead=8, dim_feedforward=1024, dropout=0.0, batch_first=True)


@dataclasses.dataclass(frozen=True)
class Workload:
    """A computation.

    sizes    by level: the sizes that are new at 1, 2 and 3
    draw     (size, generator) -> the input arrays, float32 or int64
    compute  (arrays) -> the result and its vjp, by the rules of the reference
    rows     which inputs have the batch as their first dimension; none: the result is one number
    modes    forward, training (forward and backward), or step (an optimizer's)
    network  many operations one after another: compared by norms, since a relu that turns moves single elements at will
    traffic  bytes moved at least, in elements, where it is not that of reading inputs and writing outputs once
    on_cpu   the largest size that the CPU is given
    most     rows of the result that are checked, at least two
    dtypes   in which it is measured
    """

    name: str
    sizes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    draw: Callable[[int, np.random.Generator], list[Array]]
    compute: Callable[[list[Array]], tuple[Any, Any]]
    rows: tuple[int, ...] = (0,)
    modes: tuple[str, ...] = ("forward", "training")
    network: bool = False
    traffic: Callable[[int, bool], int] | None = None
    on_cpu: float = math.inf
    most: int = 64
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16")

    def arrays(self, size: int, seed: int) -> list[Array]:
        """The inputs: the same for a size and a seed, in every process."""
        return self.draw(size, np.random.Generator(np.random.PCG64((seed, size))))

    def rule(self) -> Rule:
        """The workload as a rule of its list of arrays, so that the oracle serves it."""

        return Rule(
            name=self.name, fn=self.compute, cases=lambda draw: Case(([],)), errors=None, aliases=(), method=False,
            complex=False, analytic=self.modes != ("step",), special="", mutates=(), constants=(), any_strides=True,
            second_order=True, structure="", gauge="", dtypes=(), waivers=(), family="bench",
            signature=inspect.signature(_arguments), tensors=("arrays",),
        )  # fmt: skip

    def moved(self, arrays: Sequence[Any], outputs: Sequence[Any], size: int, training: bool) -> int:
        """Elements read and written at least: each input read and each output written once.

        A backward pass reads the cotangent and the inputs and writes a gradient for each floating input.
        """
        if self.traffic is not None:
            return self.traffic(size, training)
        read, written = (int(sum(math.prod(a.shape) for a in side)) for side in (arrays, outputs))
        floating = int(sum(math.prod(a.shape) for a in arrays if "int" not in str(a.dtype)))
        return read + written + training * (written + read + floating)


def _arguments(arrays: list[Array]) -> None:
    """The signature of every workload's rule."""


def composed(forward: Callable[..., Any]) -> Callable[[list[Array]], tuple[Any, Any]]:
    """What `forward(tape, *nodes)` computes, with the tape's backward pass."""
    described = Described({}, lambda tape, values, training, *xs: forward(tape, *xs))

    def compute(arrays: list[Array]) -> tuple[Any, Any]:
        tape, places = Tape(), tuple(f"x{i}" for i in range(len(arrays)))
        out, pull = evaluate(described, arrays, [], [], places, True, tape)
        return out, (lambda g, slip=None: pull(g, slip)[:1]) if tape.reads_output else (lambda g: pull(g)[:1])

    return compute


WORKLOADS: dict[str, Workload] = {}


def _add(name: str, *sizes: Sequence[int], forward: Callable[..., Any] | None = None, **options: Any) -> None:
    first, second, third = (tuple(s) for s in sizes)
    if forward is not None:
        options["compute"] = composed(forward)
    WORKLOADS[name] = Workload(name, (first, second, third), **options)


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Standard normal numbers in float32, times a scale."""
    return np.asarray(np.float32(scale) * rng.standard_normal(shape, dtype=np.float32))


def _apply(name: str, *rest: Any, **options: Any) -> Callable[..., Any]:
    return lambda tape, *xs: tape.apply(name, *xs, *rest, **options)


# operations

POWERS = [[2**12, 2**20], [2**16, 2**24], [2**8, 2**26]]
_add("launch", [1], [], [], draw=lambda n, r: [normal(r, 1)], forward=_apply("relu"), modes=("forward",))
_add("mm", [256], [16, 64, 512, 1024], [32, 128, 2048, 4096, 8192], on_cpu=2048, **PRODUCTS,
     draw=lambda n, r: [normal(r, n, n), normal(r, n, n, scale=n**-0.5)], forward=_apply("mm"))  # fmt: skip
_add("bmm", [64], [16, 256], [32, 128], rows=(0, 1), most=8, **PRODUCTS,
     draw=lambda n, r: [normal(r, 32, n, n), normal(r, 32, n, n, scale=n**-0.5)], forward=_apply("bmm"))  # fmt: skip
# stride 2: no Winograd transform can save multiplications that the flops count
_add("conv2d", [8], [1, 64], [256], most=8, **PRODUCTS,
     draw=lambda n, r: [normal(r, n, 32, 32, 32), normal(r, 64, 32, 3, 3, scale=0.06), normal(r, 64)],
     forward=_apply("nn.functional.conv2d", stride=2, padding=1))  # fmt: skip
# the gradients of these three are the cotangent itself, or a view of it: a backward pass moves nothing
_add("add", *POWERS, rows=(0, 1), most=2**14, draw=lambda n, r: [normal(r, n), normal(r, n)], forward=_apply("add"),
     traffic=lambda n, training: 3 * n)  # fmt: skip
_add("copy", *POWERS, most=2**14, draw=lambda n, r: [normal(r, n)], forward=_apply("clone"),
     traffic=lambda n, training: 2 * n)  # fmt: skip
_add("sum", *POWERS, rows=(), draw=lambda n, r: [normal(r, n)], forward=_apply("sum"),
     traffic=lambda n, training: n)  # fmt: skip
_add("softmax", [64], [1024], [8, 16384], draw=lambda n, r: [normal(r, n, 1024)],
     forward=_apply("nn.functional.softmax", -1))  # fmt: skip
_add("layer_norm", [64], [1024], [8, 16384],
     draw=lambda n, r: [normal(r, n, 1024), normal(r, 1024), normal(r, 1024)],
     forward=lambda tape, x, w, b: tape.apply("nn.functional.layer_norm", x, (1024,), w, b))  # fmt: skip
_add("embedding", [1024], [64, 16384], [131072],
     draw=lambda n, r: [r.integers(0, VOCABULARY, n), normal(r, VOCABULARY, WIDTH)],
     forward=_apply("nn.functional.embedding"),
     # a row read and written for each index; then the cotangent, and a gradient that is dense
     traffic=lambda n, training: (2 * n + training * (n + VOCABULARY)) * WIDTH)  # fmt: skip
_add("attention", [128], [32, 512], [1024, 2048], rows=(0, 1, 2), most=2, **PRODUCTS,
     draw=lambda n, r: [normal(r, 4, 4, n, 64) for _ in range(3)],
     forward=_apply("nn.functional.scaled_dot_product_attention"))  # fmt: skip


# networks


def _two_layer(tape: Any, x: Any, w1: Any, w2: Any) -> Any:
    return tape.apply("mm", tape.apply("relu", tape.apply("mm", x, w1)), w2)


def _lenet(tape: Any, x: Any, target: Any, *ps: Any) -> Any:
    """LeCun et al., 1998, as the PyTorch tutorial has it, up to the loss of each sample."""
    for i in (0, 2):
        x = tape.apply("relu", tape.apply("nn.functional.conv2d", x, ps[i], ps[i + 1]))
        x = tape.apply("nn.functional.max_pool2d", x, 2)
    x = tape.apply("flatten", x, 1)
    for i in (4, 6, 8):
        x = tape.apply("nn.functional.linear", x, ps[i], ps[i + 1])
        x = tape.apply("relu", x) if i < 8 else x
    return tape.apply("nn.functional.cross_entropy", x, target, reduction="none")


LENET = ((6, 3, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84))


def _lenet_arrays(n: int, rng: np.random.Generator) -> list[Array]:
    ps = [normal(rng, *s, scale=math.prod(s[1:]) ** -0.5) for s in LENET]
    biased = [a for p in ps for a in (p, normal(rng, p.shape[0], scale=0.1))]
    return [normal(rng, n, 3, 32, 32), rng.integers(0, 10, n), *biased]


def _layer(name: str, options: dict[str, Any]) -> tuple[Any, Callable[..., Any]]:
    """Arrays for the parameters of a layer of the reference, and its first output on a tape."""
    described = LAYERS[name].describe(**options)

    def parameters(rng: np.random.Generator) -> list[Array]:
        return [
            normal(rng, *p.shape, scale=p.shape[-1] ** -0.5) + np.float32(len(p.shape) == 1)
            for p in described.parameters.values()
        ]

    def forward(tape: Any, x: Any, *ps: Any) -> Any:
        out = described.forward(tape, dict(zip(described.parameters, ps)), True, x)
        return out[0] if isinstance(out, tuple) else out

    return parameters, forward


_add("two_layer", [64], [512], [4096], network=True, **PRODUCTS, forward=_two_layer,
     draw=lambda n, r: [normal(r, n, 1000), normal(r, 1000, 100), normal(r, 100, 10)])  # fmt: skip
_add(
    "lenet",
    [64],
    [4, 512],
    [16, 1024, 4096],
    network=True,
    **PRODUCTS,
    rows=(0, 1),
    most=32,
    draw=_lenet_arrays,
    forward=_lenet,
)
for _name, _class, _options in (("transformer", "nn.TransformerEncoderLayer", TRANSFORMER), ("lstm", "nn.LSTM", LSTM)):
    _parameters, _forward = _layer(_class, _options)
    _width = _options.get("d_model", 128)
    _add(_name, [8], [1, 64], [256], network=True, **PRODUCTS, most=4, forward=_forward,
         draw=lambda n, r, p=_parameters, w=_width: [normal(r, n, 32, w), *p(r)])  # fmt: skip


# optimizers: ten tensors of so many elements each. Not in float16, where the squares of gradients underflow


def _step(name: str, options: dict[str, Any]) -> Callable[[list[Array]], tuple[Any, Any]]:
    update = OPTIMIZERS[name].update

    def compute(arrays: list[Array]) -> tuple[Any, Any]:
        p, g = arrays
        state: dict[str, Any] = {}
        for _ in range(STEPS):
            p, state = update(p, g, state, **options)
        return p, lambda cotangent: ([None, None],)

    return compute


TENSORS = 10
OPTIMIZER_OPTIONS = {"SGD": dict(lr=0.01, momentum=0.9), "AdamW": dict(lr=0.01)}
TOUCHED = {"SGD": 5, "AdamW": 7}  # parameter, gradient and state read; parameter and state written
for _name, _options in OPTIMIZER_OPTIONS.items():
    for _variant in ("loop", "foreach", "fused"):
        _add(f"{_name.lower()}_{_variant}", [1000], [100_000], [1_000_000], rows=(0, 1), modes=("step",), most=2**14,
             dtypes=("float32", "bfloat16"),
             draw=lambda n, r: [normal(r, TENSORS * n), normal(r, TENSORS * n)], compute=_step(_name, _options),
             traffic=lambda n, training, k=TOUCHED[_name]: k * TENSORS * n)  # fmt: skip
