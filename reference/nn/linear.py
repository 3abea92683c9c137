"""Linear layers."""

from __future__ import annotations

from reference.draw import Draw
from reference.laws import uniform
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.ops.contraction import bilinear_cases as drawn


def linear_cases(draw: Draw) -> LayerCase:
    n, m = draw.integer(1, 4), draw.side(1)
    batch = draw.shape(0, 2) if draw.regime != "large" else (190,)
    return LayerCase((n, m), dict(bias=draw.boolean()), (draw.numbers((*batch, n)),))


@layer("nn.Linear", cases=linear_cases, complex=True, no_batch=1)
def linear(in_features, out_features, bias=True, device=None, dtype=None):
    """x W^T + b; weights uniform within 1/sqrt(in_features).

    input: (*, in_features); output: (*, out_features).  Source: torch.nn.Linear.
    """
    k = in_features**-0.5
    parameters = {"weight": Parameter((out_features, in_features), uniform(-k, k))}
    if bias:
        parameters["bias"] = Parameter((out_features,), uniform(-k, k))

    def forward(tape, p, training, x):
        return tape.apply("nn.functional.linear", x, p["weight"], p.get("bias"))

    return Described(parameters, forward)


def bilinear_cases(draw: Draw) -> LayerCase:
    x1, x2, weight, *bias = drawn(draw).args
    out, n, m = weight.shape
    return LayerCase((n, m, out), dict(bias=bool(bias)), (x1, x2), draw.boolean())


@layer("nn.Bilinear", cases=bilinear_cases, like=("nn.functional.bilinear",))
def bilinear(in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
    """x1^T W_o x2 + b_o for each output o; weights uniform within 1/sqrt(in1_features).

    input1: (*, in1_features); input2: (*, in2_features); output: (*, out_features).  Source: torch.nn.Bilinear.
    """
    k = in1_features**-0.5
    parameters = {"weight": Parameter((out_features, in1_features, in2_features), uniform(-k, k))}
    if bias:
        parameters["bias"] = Parameter((out_features,), uniform(-k, k))

    def forward(tape, p, training, x1, x2):
        return tape.apply("nn.functional.bilinear", x1, x2, p["weight"], p.get("bias"))

    return Described(parameters, forward)
