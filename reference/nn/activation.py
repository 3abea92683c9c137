"""Activations: functions of each element, without parameters but for PReLU."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.nn.functional import applied, cases_of
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.rule import DERIVATIVES, Waiver


def always(options):
    return True


def rising(options):
    """Whether the function grows on the left: torch says that it cannot derive others from their output."""
    return options.get("alpha", 1.0) > 0 and options.get("negative_slope", 0.01) >= 0


def overwritten(inputs, parameters, buffers, args, kwargs, places, training):
    """Twice alpha, where the output takes the input's place (1.758 is that of SELU)."""
    return np.asarray(2.0 * kwargs.get("alpha", 1.758) if kwargs.get("inplace") else 0.0)


FROM_OUTPUT = Waiver(
    "in place the input is lost, and torch's exp(x) is the output + alpha, which cancels for negative x",
    room=overwritten,
    checks=DERIVATIVES,
)


@layer("nn.ReLU", cases=cases_of("relu", "input", inplace=always), like=("relu",))
def re_lu(inplace=False):
    """max(x, 0).

    input, output: (*).  Source: torch.nn.ReLU.
    """
    return applied("relu")


@layer("nn.ReLU6", cases=cases_of("nn.functional.relu6", "input", inplace=always), like=("nn.functional.relu6",))
def re_lu6(inplace=False):
    """min(max(x, 0), 6).

    input, output: (*).  Source: torch.nn.ReLU6.
    """
    return applied("nn.functional.relu6")


@layer("nn.GELU", cases=cases_of("nn.functional.gelu", "input"), like=("nn.functional.gelu",))
def gelu(approximate="none"):
    """x Phi(x), with approximate="tanh" x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.

    input, output: (*).  Source: torch.nn.GELU; Hendrycks and Gimpel, arXiv:1606.08415.
    """
    return applied("nn.functional.gelu", approximate=approximate)


@layer("nn.SiLU", cases=cases_of("nn.functional.silu", "input", inplace=always), like=("nn.functional.silu",))
def si_lu(inplace=False):
    """x sigmoid(x).

    input, output: (*).  Source: torch.nn.SiLU.
    """
    return applied("nn.functional.silu")


@layer("nn.Mish", cases=cases_of("nn.functional.mish", "input", inplace=always), like=("nn.functional.mish",))
def mish(inplace=False):
    """x tanh(log(1 + exp(x))).

    input, output: (*).  Source: torch.nn.Mish; Misra, arXiv:1908.08681.
    """
    return applied("nn.functional.mish")


@layer("nn.Sigmoid", cases=cases_of("sigmoid", "input"), like=("sigmoid",), complex=True)
def sigmoid():
    """1 / (1 + exp(-x)).

    input, output: (*).  Source: torch.nn.Sigmoid.
    """
    return applied("sigmoid")


@layer("nn.Tanh", cases=cases_of("tanh", "input"), like=("tanh",), complex=True)
def tanh():
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    input, output: (*).  Source: torch.nn.Tanh.
    """
    return applied("tanh")


@layer(
    "nn.ELU",
    cases=cases_of("nn.functional.elu", "input", inplace=rising),
    like=("nn.functional.elu",),
    waivers=(FROM_OUTPUT,),
)
def elu(alpha=1.0, inplace=False):
    """x where x > 0, else alpha (exp(x) - 1).

    input, output: (*).  Source: torch.nn.ELU; Clevert et al., arXiv:1511.07289.
    """
    return applied("nn.functional.elu", alpha=alpha)


@layer(
    "nn.CELU",
    cases=cases_of("nn.functional.celu", "input", inplace=rising),
    like=("nn.functional.celu",),
    waivers=(FROM_OUTPUT,),
)
def celu(alpha=1.0, inplace=False):
    """x where x > 0, else alpha (exp(x / alpha) - 1).

    input, output: (*).  Source: torch.nn.CELU; Barron, arXiv:1704.07483.
    """
    return applied("nn.functional.celu", alpha=alpha)


@layer(
    "nn.SELU",
    cases=cases_of("nn.functional.selu", "input", inplace=always),
    like=("nn.functional.selu",),
    waivers=(FROM_OUTPUT,),
)
def selu(inplace=False):
    """scale (x where x > 0, else alpha (exp(x) - 1)), with the constants that keep mean and variance.

    input, output: (*).  Source: torch.nn.SELU; Klambauer et al., arXiv:1706.02515.
    """
    return applied("nn.functional.selu")


@layer(
    "nn.LeakyReLU",
    cases=cases_of("nn.functional.leaky_relu", "input", inplace=rising),
    like=("nn.functional.leaky_relu",),
)
def leaky_re_lu(negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope x.

    input, output: (*).  Source: torch.nn.LeakyReLU.
    """
    return applied("nn.functional.leaky_relu", negative_slope=negative_slope)


@layer(
    "nn.Hardsigmoid",
    cases=cases_of("nn.functional.hardsigmoid", "input", inplace=always),
    like=("nn.functional.hardsigmoid",),
)
def hardsigmoid(inplace=False):
    """min(max(x + 3, 0), 6) / 6.

    input, output: (*).  Source: torch.nn.Hardsigmoid.
    """
    return applied("nn.functional.hardsigmoid")


@layer(
    "nn.Hardswish",
    cases=cases_of("nn.functional.hardswish", "input", inplace=always),
    like=("nn.functional.hardswish",),
)
def hardswish(inplace=False):
    """x min(max(x + 3, 0), 6) / 6.

    input, output: (*).  Source: torch.nn.Hardswish; Howard et al., arXiv:1905.02244.
    """
    return applied("nn.functional.hardswish")


@layer("nn.Softplus", cases=cases_of("nn.functional.softplus", "input"), like=("nn.functional.softplus",))
def softplus(beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    input, output: (*).  Source: torch.nn.Softplus.
    """
    return applied("nn.functional.softplus", beta=beta, threshold=threshold)


@layer("nn.Softsign", cases=cases_of("nn.functional.softsign", "input"), like=("nn.functional.softsign",), complex=True)
def softsign():
    """x / (1 + |x|).

    input, output: (*).  Source: torch.nn.Softsign.
    """
    return applied("nn.functional.softsign")


@layer("nn.Softshrink", cases=cases_of("nn.functional.softshrink", "input"), like=("nn.functional.softshrink",))
def softshrink(lambd=0.5):
    """x drawn towards 0 by lambd, and 0 within [-lambd, lambd].

    input, output: (*).  Source: torch.nn.Softshrink.
    """
    return applied("nn.functional.softshrink", lambd=lambd)


@layer("nn.Hardshrink", cases=cases_of("hardshrink", "input"), like=("hardshrink",))
def hardshrink(lambd=0.5):
    """x, and 0 within [-lambd, lambd].

    input, output: (*).  Source: torch.nn.Hardshrink.
    """
    return applied("hardshrink", lambd=lambd)


@layer(
    "nn.Tanhshrink",
    cases=cases_of("nn.functional.tanhshrink", "input"),
    like=("nn.functional.tanhshrink",),
    complex=True,
)
def tanhshrink():
    """x - tanh(x).

    input, output: (*).  Source: torch.nn.Tanhshrink.
    """
    return applied("nn.functional.tanhshrink")


@layer("nn.LogSigmoid", cases=cases_of("nn.functional.logsigmoid", "input"), like=("nn.functional.logsigmoid",))
def log_sigmoid():
    """log(1 / (1 + exp(-x))).

    input, output: (*).  Source: torch.nn.LogSigmoid.
    """
    return applied("nn.functional.logsigmoid")


@layer(
    "nn.Threshold",
    cases=cases_of("nn.functional.threshold", "input", inplace=always),
    like=("nn.functional.threshold",),
)
def threshold(threshold, value, inplace=False):
    """x where x > threshold, else value.

    input, output: (*).  Source: torch.nn.Threshold.
    """
    return applied("nn.functional.threshold", threshold=threshold, value=value)


def hardtanh_cases(draw: Draw) -> LayerCase:
    case = cases_of("nn.functional.hardtanh", "input", inplace=always)(draw)
    if draw.integer(0, 4) == 4:  # the names of old, which torch warns of
        case.kwargs.update(min_value=case.kwargs.pop("min_val"), max_value=case.kwargs.pop("max_val"))
    return case


@layer("nn.Hardtanh", cases=hardtanh_cases, like=("nn.functional.hardtanh",))
def hardtanh(min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
    """x between min_val and max_val, which min_value and max_value override.

    input, output: (*).  Source: torch.nn.Hardtanh.
    """
    low, high = min_val if min_value is None else min_value, max_val if max_value is None else max_value
    return applied("nn.functional.hardtanh", min_val=low, max_val=high)


def rrelu_cases(draw: Draw) -> LayerCase:
    case = cases_of("nn.functional.rrelu", "input")(draw)
    lower, upper = (case.kwargs.get(k, d) for k, d in (("lower", 1 / 8), ("upper", 1 / 3)))
    if lower + upper >= 0 and draw.boolean():
        case.kwargs["inplace"] = True
    return LayerCase((), case.kwargs, case.inputs, case.training and lower == upper)


@layer("nn.RReLU", cases=rrelu_cases, like=("nn.functional.rrelu",))
def rrelu(lower=1.0 / 8, upper=1.0 / 3, inplace=False):
    """x where x > 0, else x (lower + upper) / 2; in training the factor is random between the bounds.

    input, output: (*).  Source: torch.nn.RReLU; Xu et al., arXiv:1505.00853.
    """

    def forward(tape, p, training, x):
        return tape.apply("nn.functional.rrelu", x, lower, upper, training)

    return Described({}, forward)


@layer("nn.GLU", cases=cases_of("nn.functional.glu", "input"), like=("nn.functional.glu",))
def glu(dim=-1):
    """a sigmoid(b), where a and b are the halves of the input along dim.

    input: (*, 2 n, *); output: (*, n, *).  Source: torch.nn.GLU; Dauphin et al., arXiv:1612.08083.
    """
    return applied("nn.functional.glu", dim=dim)


def prelu_cases(draw: Draw) -> LayerCase:
    shape = draw.shape()
    options = draw.choice({}, dict(init=0.5))
    if len(shape) > 1 and draw.boolean():
        options["num_parameters"] = shape[1]
    return LayerCase((), options, (draw.reals(shape),), draw.boolean())


@layer("nn.PReLU", cases=prelu_cases, like=("prelu",))
def prelu(num_parameters=1, init=0.25, device=None, dtype=None):
    """x where x > 0, else a x, with one a for all or one for each channel (dimension 1), which begins as `init`.

    input, output: (*).  Source: torch.nn.PReLU; He et al., arXiv:1502.01852.
    """

    def forward(tape, p, training, x):
        return tape.apply("prelu", x, p["weight"])

    return Described({"weight": Parameter((num_parameters,), init)}, forward)
