"""Custom functions: every facility of their context, their second derivatives, forward mode and vmap."""

from __future__ import annotations

from typing import Any

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

EXTENDING = "notes/extending.html#extending-torch-autograd"
CTX = "generated/torch.autograd.function.FunctionCtx"


def pair(device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two leaves and a cotangent."""
    a = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    b = torch.tensor([5.0, 7.0], dtype=dtype, device=device, requires_grad=True)
    return a, b, torch.tensor([1.0, 10.0], dtype=dtype, device=device)


class Product(torch.autograd.Function):
    """a b k, in the form with one forward."""

    needed: list[Any] = []

    @staticmethod
    def forward(ctx, a, b, k):
        ctx.save_for_backward(a, b)
        ctx.k = k
        return a * b * k

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        Product.needed.append(ctx.needs_input_grad)
        return g * b * ctx.k, g * a * ctx.k if ctx.needs_input_grad[1] else None, None


@promise("autograd", "autograd.Function", link=EXTENDING, levels={"float32": 1, "float64": 3})
def backward_of_a_custom_function_is_used(device: torch.device, dtype: torch.dtype) -> None:
    """apply records the function: backward gets the cotangent and returns a gradient, or None, for each input."""
    a, b, c = pair(device, dtype)
    y = Product.apply(a, b, 3)
    same((y.tolist(), y.grad_fn.name()), ([30.0, -63.0], "ProductBackward"))
    y.backward(c)
    same((a.grad.tolist(), b.grad.tolist()), ([15.0, 210.0], [6.0, -90.0]))


@promise("autograd", "autograd.Function", "autograd.function.BackwardCFunction", link=EXTENDING)
def needs_input_grad_tells_which(device: torch.device, dtype: torch.dtype) -> None:
    """ctx.needs_input_grad has a bool for each input of forward, saying whether backward needs its gradient."""
    a, b, c = pair(device, dtype)
    Product.needed.clear()
    try:
        Product.apply(a, b.detach(), 3).backward(c)
        Product.apply(a.detach(), b, 3).backward(c)
        y = Product.apply(a, b, 3)
        torch.autograd.grad(y, a, c)
        same(Product.needed, [(True, False, False), (False, True, False), (True, True, False)])
    finally:
        Product.needed.clear()
    same(Product.apply(a.detach(), b.detach(), 3).requires_grad, False)


@promise("autograd", "autograd.Function", link=EXTENDING)
def backward_is_differentiated_in_turn(device: torch.device, dtype: torch.dtype) -> None:
    """What backward does to its tensors is recorded under create_graph: second derivatives follow from it."""
    a, b, c = pair(device, dtype)
    ga, gb = torch.autograd.grad(Product.apply(a, b, 3), [a, b], c, create_graph=True)
    same(torch.autograd.grad(ga, b, c)[0].tolist(), [3.0, 300.0])
    same((ga.requires_grad, gb.requires_grad), (True, True))
    (plain,) = torch.autograd.grad(Product.apply(a, b, 3), a, c)
    same(plain.requires_grad, False)


class Squares(torch.autograd.Function):
    """(a^2, sign of a): the second output has no gradient. In the form with setup_context."""

    @staticmethod
    def forward(a):
        return a * a, a.sign()

    @staticmethod
    def setup_context(ctx, inputs, output):
        (a,) = inputs
        ctx.save_for_backward(a)
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, g, none):
        (a,) = ctx.saved_tensors
        return 2 * a * g + none


@promise(
    "autograd", "autograd.function.FunctionCtx.mark_non_differentiable", "autograd.Function.setup_context",
    link=f"{CTX}.mark_non_differentiable.html",
)  # fmt: skip
def outputs_can_be_without_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """mark_non_differentiable: the output does not require gradients, and backward gets zeros for it all the same."""
    a, _, c = pair(device, dtype)
    square, sign = Squares.apply(a)
    same((square.requires_grad, sign.requires_grad, sign.tolist()), (True, False, [1.0, -1.0]))
    same(torch.autograd.grad(square, a, c)[0].tolist(), [4.0, -60.0])


class Twice(torch.autograd.Function):
    """Multiplies its input by two in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return 2 * g


class Forgetful(Twice):
    """The same, without a word about it."""

    @staticmethod
    def forward(ctx, x):
        return x.mul_(2)


@promise("autograd", "autograd.function.FunctionCtx.mark_dirty", link=f"{CTX}.mark_dirty.html")
def changes_in_place_are_marked(device: torch.device, dtype: torch.dtype) -> None:
    """mark_dirty: the input is the output, with the function in its history and a higher version; a leaf is refused."""
    a, _, c = pair(device, dtype)
    y = a * 1
    version = y._version
    z = Twice.apply(y)
    same((z is y, y._version > version, y.grad_fn.name(), y.tolist()), (True, True, "TwiceBackward", [4.0, -6.0]))
    same(torch.autograd.grad(y * 5, a, c)[0].tolist(), [10.0, 100.0])
    raises(RuntimeError, lambda: Twice.apply(a), "leaf Variable that requires grad")
    base = a * 1
    Twice.apply(base[1:])
    same(torch.autograd.grad(base, a, c)[0].tolist(), [1.0, 20.0])


class Two(torch.autograd.Function):
    """(x, 2 x), which keeps what backward gets."""

    seen: list[Any] = []
    materialize = True

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(Two.materialize)
        return x.clone(), x * 2

    @staticmethod
    def backward(ctx, g, h):
        Two.seen.append(h if h is None else h.tolist())
        return g


@promise("autograd", "autograd.function.FunctionCtx.set_materialize_grads", link=f"{CTX}.set_materialize_grads.html")
def missing_gradients_are_zeros_or_none(device: torch.device, dtype: torch.dtype) -> None:
    """The gradient of an output that was not used is zeros; after set_materialize_grads(False) it is None."""
    a, _, c = pair(device, dtype)
    try:
        for Two.materialize in (True, False):
            same(torch.autograd.grad(Two.apply(a)[0], a, c)[0].tolist(), [1.0, 10.0])
        same(Two.seen, [[0.0, 0.0], None])
    finally:
        Two.seen.clear()
        Two.materialize = True


class Once(torch.autograd.Function):
    """A square whose backward is not to be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


@promise("autograd", "autograd.function.once_differentiable", link="notes/extending.html#how-to-use")
def once_differentiable_refuses_second_derivatives(device: torch.device, dtype: torch.dtype) -> None:
    """The first derivative of a function whose backward is once_differentiable is right, its second one an error."""
    a, _, c = pair(device, dtype)
    same(torch.autograd.grad(Once.apply(a), a, c)[0].tolist(), [4.0, -60.0])
    (first,) = torch.autograd.grad(Once.apply(a), a, c.requires_grad_(), create_graph=True)
    raises(RuntimeError, lambda: first.sum().backward(), "once_differentiable")


@promise("autograd", "autograd.function.once_differentiable", link="notes/extending.html#how-to-use")
def a_second_derivative_is_never_left_out(device: torch.device, dtype: torch.dtype) -> None:
    """Where the first derivative of such a function is used on, differentiating again raises; nothing is left out."""
    a, _, c = pair(device, dtype)
    for cotangent in (c, c.clone().requires_grad_()):
        (first,) = torch.autograd.grad(Once.apply(a), a, cotangent, create_graph=True)
        raises(RuntimeError, lambda first=first: torch.autograd.grad((first * a).sum(), a))


class Sinh(torch.autograd.Function):
    """(e^x - e^-x) / 2 with its intermediate results as further outputs, so that they can be differentiated."""

    @staticmethod
    def forward(ctx, x):
        up, down = torch.exp2(x), torch.exp2(-x)
        ctx.save_for_backward(up, down)
        return (up - down) / 2, up, down

    @staticmethod
    def backward(ctx, g, g_up, g_down):
        up, down = ctx.saved_tensors
        return g * (up + down) / 2 + g_up * up - g_down * down  # d/dx in units of ln 2


@promise("autograd", "autograd.function.FunctionCtx.save_for_backward", link=f"{CTX}.save_for_backward.html")
def saved_intermediates_that_are_outputs_are_differentiated(device: torch.device, dtype: torch.dtype) -> None:
    """An intermediate result that is returned and saved takes part in second derivatives."""
    a, _, c = pair(device, dtype)
    (first,) = torch.autograd.grad(Sinh.apply(a)[0], a, c, create_graph=True)
    (second,) = torch.autograd.grad(first, a, c)
    same(first.tolist(), [(4 + 0.25) / 2, 10 * (8 + 0.125) / 2])
    same(second.tolist(), [(4 - 0.25) / 2, 100 * (0.125 - 8) / 2])


@promise("autograd", "autograd.function.FunctionCtx.save_for_backward", link=f"{CTX}.save_for_backward.html")
def saved_tensors_of_functions_are_guarded(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors in save_for_backward are checked: changed in place, or after the graph is freed, they are refused."""
    a, b, c = pair(device, dtype)
    x = a * 1
    y = Product.apply(x, b, 1)
    x.add_(1)
    raises(RuntimeError, lambda: y.backward(c), "modified by an inplace operation")
    z = Product.apply(a, b, 1)
    z.backward(c)
    raises(RuntimeError, lambda: z.backward(c), "second time")


class Short(torch.autograd.Function):
    """Its backward returns too few gradients, or one of the wrong shape."""

    @staticmethod
    def forward(ctx, a, b, shape):
        ctx.shape = shape
        return a * b

    @staticmethod
    def backward(ctx, g):
        return (g, g.new_ones(3), None) if ctx.shape else (g, g)


@promise("autograd", "autograd.Function", link=EXTENDING)
def wrong_numbers_of_gradients_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """backward must return as many gradients as forward has inputs, each in the shape of its input."""
    a, b, c = pair(device, dtype)
    raises(RuntimeError, lambda: Short.apply(a, b, False).backward(c), "returned an incorrect number of gradients")
    raises(RuntimeError, lambda: Short.apply(a, b, True).backward(c), "invalid gradient at index 1")


class Inside(torch.autograd.Function):
    """Tells the grad mode within forward and backward."""

    modes: list[bool] = []

    @staticmethod
    def forward(ctx, x):
        Inside.modes.append(torch.is_grad_enabled())
        return x * 2

    @staticmethod
    def backward(ctx, g):
        Inside.modes.append(torch.is_grad_enabled())
        return g * 2


@promise("autograd", "autograd.Function", link=EXTENDING)
def forward_records_nothing_and_backward_on_demand(device: torch.device, dtype: torch.dtype) -> None:
    """Grad mode is off within forward, and within backward unless create_graph is given."""
    a, _, c = pair(device, dtype)
    try:
        for create in (False, True):
            torch.autograd.grad(Inside.apply(a), a, c, create_graph=create)
        same(Inside.modes, [False, False, False, True])
    finally:
        Inside.modes.clear()
    raises(RuntimeError, lambda: Inside()(a), "autograd function")
