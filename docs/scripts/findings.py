"""The deviations of docs/findings.md, each in a line or two: what this torch gives, and what is right.

python docs/scripts/findings.py
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.autograd import forward_ad
from torch.func import jvp, vmap

F64 = torch.float64


def t(values: object, dtype: torch.dtype = F64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


def grad(f: Callable[..., torch.Tensor], *xs: torch.Tensor) -> list[torch.Tensor | None]:
    xs = tuple(x.clone().requires_grad_() for x in xs)
    f(*xs).backward()
    return [x.grad for x in xs]


def reverse_over_forward(f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(f(forward_ad.make_dual(x, torch.ones_like(x)))).tangent
        return torch.autograd.grad(tangent.sum(), x)[0]


def tangent(f: Callable[..., torch.Tensor], *xs: torch.Tensor) -> torch.Tensor:
    return jvp(f, xs, tuple(torch.ones_like(x) for x in xs))[1]


def twice(x: torch.Tensor) -> torch.Tensor:
    torch.sgn(x).backward()
    torch.sgn(x).backward()
    return x.grad


FINDINGS: list[tuple[str, str, Callable[[], object]]] = [
    ("var, dim=(): gradient", "[0.875, -0.875]", lambda: grad(lambda x: torch.var(x, dim=()), t([3.0, 1.25]) / 2)),
    (
        "celu, alpha=0.8, float64: gradient",
        "0.7316156289466418",
        lambda: grad(lambda x: F.celu(x, 0.8), t(-0.25))[0].item(),
    ),
    ("hardsigmoid, float64: gradient", "0.16666666666666666", lambda: grad(F.hardsigmoid, t(0.5))[0].item()),
    ("sinc near 0: gradient at 1e-4", "-0.000328986810122...", lambda: grad(torch.sinc, t(1e-4))[0].item()),
    (
        "fmax at a tie: tangent of the first input",
        "1.0, as its gradient",
        lambda: jvp(torch.fmax, (t(3.0), t(3.0)), (t(1.0), t(0.0)))[1].item(),
    ),
    (
        "pow, integer exponent tensor: reverse over forward",
        "6 x = -1.5",
        lambda: reverse_over_forward(lambda x: torch.pow(x, torch.tensor(3)), t(-0.25)).item(),
    ),
    (
        "logsumexp: reverse over forward",
        "a number",
        lambda: reverse_over_forward(lambda x: torch.logsumexp(x, 0), t([3.0, 1.0])),
    ),
    (
        "softmax: reverse over forward",
        "zeros",
        lambda: reverse_over_forward(lambda x: torch.softmax(x, 0), t([3.0, 1.0])),
    ),
    (
        "logcumsumexp of one element, float64: tangent",
        "1.0",
        lambda: tangent(lambda x: torch.logcumsumexp(x, 0), t(3.0)).item(),
    ),
    (
        "nansum, dim=(): shape on meta",
        "as on the CPU, ()",
        lambda: (
            tuple(torch.nansum(torch.zeros(3, device="meta"), dim=()).shape),
            tuple(torch.nansum(torch.zeros(3), dim=()).shape),
        ),
    ),
    (
        "aminmax(keepdim=True) under vmap: shape",
        "(2, 1, 1)",
        lambda: tuple(vmap(lambda x: torch.aminmax(x, keepdim=True)[0])(torch.ones(2, 3, 4)).shape),
    ),
    (
        "float32 0-d tensor / number: dtype of the tangent",
        "torch.float32",
        lambda: tangent(lambda x: x / 1.5, torch.tensor(3.0)).dtype,
    ),
    ("kron of a transposed matrix", "a tensor", lambda: torch.kron(torch.ones(2), torch.ones(2, 3).t()).shape),
    ("gelu(inf), 16 elements, float32", "inf", lambda: F.gelu(torch.full((16,), torch.inf))[0].item()),
    (
        "embedding, padding_idx: tangent of the padding row",
        "0.0, as its gradient",
        lambda: tangent(lambda w: F.embedding(torch.tensor([0]), w, padding_idx=0), torch.ones(2, 1)).item(),
    ),
    (
        "group_norm with a bias and no weight: gradient",
        "[2, 2, 2, 2]",
        lambda: grad(lambda b: F.group_norm(torch.ones(2, 4), 2, None, b).sum(), torch.ones(4)),
    ),
    (
        "lp_pool1d, ceil_mode: norm of the last, partial window",
        "2.0",
        lambda: F.lp_pool1d(torch.tensor([[3.0, 4.0, 2.0]]), 2, 2, ceil_mode=True)[0, 1].item(),
    ),
    ("max_pool1d of a negated view", "3.0", lambda: F.max_pool1d(torch._neg_view(torch.tensor([[[-3.0]]])), 1).item()),
    (
        "interpolate, bilinear, antialias, width 1",
        "[0, 0.25, 0.75, 1]",
        lambda: (
            F.interpolate(t([0.0, 1.0]).reshape(1, 1, 2, 1), (4, 1), mode="bilinear", antialias=True).flatten().tolist()
        ),
    ),
    (
        "pixel_unshuffle of an empty batch: shape",
        "(0, 4, 2, 2)",
        lambda: tuple(F.pixel_unshuffle(torch.zeros(0, 1, 4, 4), 2).shape),
    ),
    (
        "det of a singular matrix: gradient",
        "[[2, -1], [-2, 1]]",
        lambda: grad(torch.linalg.det, t([[1.0, 2.0], [1.0, 2.0]]))[0].tolist(),
    ),
    (
        "cholesky_inverse: tangent",
        "[[-0.5, 0.25], [0.25, 0]] (finite differences agree)",
        lambda: jvp(torch.cholesky_inverse, (t([[2.0, 0.0], [1.0, 1.0]]),), (t([[1.0, 0.0], [0.0, 0.0]]),))[1].tolist(),
    ),
    (
        "slogdet of [[2]]: second derivative, forward over forward",
        "-0.25",
        lambda: tangent(lambda x: tangent(lambda y: torch.linalg.slogdet(y)[1], x), t([[2.0]])).item(),
    ),
    (
        "poisson_nll_loss(full=True), target 0: its gradient",
        "-1.0",
        lambda: grad(lambda x, y: F.poisson_nll_loss(x, y, full=True).sum(), t([1.0]), t([0.0]))[1].item(),
    ),
    (
        "gaussian_nll_loss, var below eps: tangent of var",
        "as its gradient, not 0",
        lambda: tangent(lambda v: F.gaussian_nll_loss(t([1.0]), t([3.0]), v, eps=0.5), t([0.1])).item(),
    ),
    (
        "addmv with an inner size of 0: shape",
        "(3,)",
        lambda: tuple(torch.addmv(torch.ones(()), torch.ones(3, 0), torch.ones(0)).shape),
    ),
    ("fft of an empty batch: shape", "(0, 4)", lambda: tuple(torch.fft.fft(torch.zeros(0, 4)).shape)),
    (
        "ifftn(s=()) under vmap",
        "the same as without: [[1, 1], [2, 2]]",
        lambda: vmap(lambda x: torch.fft.ifftn(x, s=()))(torch.tensor([[1.0, 1.0], [2.0, 2.0]])).real.tolist(),
    ),
    (
        "local_response_norm of a transposed 5-d tensor",
        "a tensor",
        lambda: tuple(F.local_response_norm(torch.ones(1, 1, 2, 2, 2).transpose(2, 4), 2).shape),
    ),
    ("sgn: two backward passes", "0.0", lambda: twice(torch.tensor(3.0, requires_grad=True))),
]


def main() -> None:
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}")
    for what, right, run in FINDINGS:
        try:
            got = str(run()).replace("\n", " ")
        except Exception as error:
            got = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        print(f"\n{what}\n    got   {got[:140]}\n    right {right}")


if __name__ == "__main__":
    main()
