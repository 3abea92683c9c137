"""torch.autograd.functional and gradcheck."""

from __future__ import annotations

import torch

from conformance.behaviours.autograd.transforms import at, f
from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same


@promise(
    "autograd",
    "autograd.functional.jacobian",
    link="generated/torch.autograd.functional.jacobian.html",
    levels={"float32": 2, "float64": 3},
)
def functional_jacobians(device: torch.device, dtype: torch.dtype) -> None:
    """jacobian is output by input dimensions, looped, vectorized or forward; a tuple of inputs gives a tuple."""
    x, want, jacobian = at(device, dtype), [[-3.0, 2.0], [4.0, 0.0], [0.0, 5.0]], torch.autograd.functional.jacobian
    for how in ({}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}):
        same(jacobian(f, x, **how).tolist(), want)
        both = jacobian(lambda a, b: (a[:1] * b, b * 1), (x, x[1]), **how)
        same([[j.tolist() for j in row] for row in both], [[[[-3.0, 0.0]], [2.0]], [[0.0, 0.0], 1.0]])
    same(
        (jacobian(f, x).requires_grad, jacobian(f, x.requires_grad_(), create_graph=True).requires_grad), (False, True)
    )
    raises(RuntimeError, lambda: jacobian(lambda t: t.detach() * 2, x, strict=True), "strict mode")
    same(jacobian(lambda t: t.detach() * 2, x).tolist(), [[0.0, 0.0], [0.0, 0.0]])


@promise(
    "autograd", "autograd.functional.hessian", "autograd.functional.vjp", "autograd.functional.jvp",
    "autograd.functional.hvp", "autograd.functional.vhp",
    link="autograd.html#functional-higher-level-api", levels={"float32": 2, "float64": 3},
)  # fmt: skip
def functional_products(device: torch.device, dtype: torch.dtype) -> None:
    """vjp, jvp, hessian, hvp and vhp return the value and the product, of a function of one tensor or several."""
    functional, x = torch.autograd.functional, at(device, dtype)
    v, c = (torch.tensor(n, dtype=dtype, device=device) for n in ([1.0, 10.0], [1.0, -1.0, 2.0]))

    def g(t):
        return t[0] * t[0] * t[1] + 4 * t[1] * t[1]

    same([t.tolist() for t in functional.vjp(f, x, c)], [[-6.0, 4.0, -15.0], [-7.0, 12.0]])
    same([t.tolist() for t in functional.jvp(f, x, v)], [[-6.0, 4.0, -15.0], [17.0, 4.0, 50.0]])
    same([t.tolist() for t in functional.hvp(g, x, v)], [24.0, [34.0, 84.0]])
    same([t.tolist() for t in functional.vhp(g, x, v)], [24.0, [34.0, 84.0]])
    for how in ({}, {"vectorize": True}, {"outer_jacobian_strategy": "forward-mode", "vectorize": True}):
        same(functional.hessian(g, x, **how).tolist(), [[-6.0, 4.0], [4.0, 8.0]])
    raises(RuntimeError, lambda: functional.vjp(f, x), "v")


@promise(
    "autograd",
    "autograd.gradcheck",
    "autograd.gradgradcheck",
    link="generated/torch.autograd.gradcheck.gradcheck.html",
)
def gradcheck_tells_right_from_wrong(device: torch.device, dtype: torch.dtype) -> None:
    """gradcheck returns True for a right backward; for a wrong one it raises, or returns False where told so."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return ctx.saved_tensors[0] * g * 2.5

    x = at(device, torch.float64).requires_grad_()
    same((torch.autograd.gradcheck(f, x), torch.autograd.gradgradcheck(f, x)), (True, True))
    for fast in (False, True):
        same(torch.autograd.gradcheck(Wrong.apply, x, raise_exception=False, fast_mode=fast), False)
        raises(
            RuntimeError, lambda fm=fast: torch.autograd.gradcheck(Wrong.apply, x, fast_mode=fm), "Jacobian mismatch"
        )
