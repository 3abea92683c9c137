"""torch.autograd.backward and torch.autograd.grad: arguments, errors, graphs that are freed or kept."""

from __future__ import annotations

import math

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, raises, same

BACKWARD = "generated/torch.autograd.backward.html"
GRAD = "generated/torch.autograd.grad.html"


@promise("autograd", "Tensor.backward", "autograd.backward", link=BACKWARD, levels={"float32": 1})
def vectors_need_a_cotangent_of_their_shape(device: torch.device, dtype: torch.dtype) -> None:
    """A scalar needs no gradient argument; for any other tensor it is the vector of the product, in its shape."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    raises(RuntimeError, lambda: (x * x).backward(), "only for scalar outputs")
    raises(RuntimeError, lambda: (x * x).backward(torch.ones(3, dtype=dtype, device=device)), "Mismatch in shape")
    same(x.grad, None)
    (x * x).backward(torch.tensor([10.0, 100.0], dtype=dtype, device=device))
    same(x.grad.tolist(), [20.0, -400.0])
    (x * x)[1].backward()
    same(x.grad.tolist(), [20.0, -404.0])
    raises(RuntimeError, lambda: x.detach().sum().backward(), "does not require grad")


@promise("autograd", "autograd.backward", link=BACKWARD)
def several_outputs_go_back_together(device: torch.device, dtype: torch.dtype) -> None:
    """backward of a sequence sums the products of all; None will do for a scalar; lengths must agree."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    y, s = x * 3, (x * x).sum()
    torch.autograd.backward([y, s], [torch.tensor([1.0, 10.0], dtype=dtype, device=device), None])
    same(x.grad.tolist(), [5.0, 26.0])
    raises(RuntimeError, lambda: torch.autograd.backward([x * 3, x.sum()], [x.detach()]), "2 tensors and 1")


@promise("autograd", "Tensor.backward", "autograd.backward", link=BACKWARD)
def only_the_named_inputs_get_gradients(device: torch.device, dtype: torch.dtype) -> None:
    """inputs= says into which tensors to accumulate; all others are ignored, and it may not be empty."""
    a, b = (torch.tensor([n, -n], dtype=dtype, device=device, requires_grad=True) for n in (2.0, 3.0))
    y = a * b
    y.backward(torch.tensor([1.0, 10.0], dtype=dtype, device=device), inputs=[a], retain_graph=True)
    same((a.grad.tolist(), b.grad), ([3.0, -30.0], None))
    y.backward(torch.tensor([1.0, 10.0], dtype=dtype, device=device), inputs=b)
    same((a.grad.tolist(), b.grad.tolist()), ([3.0, -30.0], [2.0, -20.0]))
    raises(RuntimeError, lambda: (a * b).sum().backward(inputs=[]), "cannot be empty")


@promise("autograd", "Tensor.backward", "autograd.backward", link=BACKWARD, levels={"float32": 1})
def a_freed_graph_says_so(device: torch.device, dtype: torch.dtype) -> None:
    """The graph is freed by backward: a second pass raises, unless retain_graph kept it; then it adds again."""
    x = torch.tensor([3.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad.tolist(), [12.0, -8.0])
    raises(RuntimeError, y.backward, "backward through the graph a second time", "retain_graph=True")
    raises(RuntimeError, lambda: torch.autograd.grad(y, x), "second time")
    same(x.grad.tolist(), [12.0, -8.0])


@promise("autograd", "Tensor.backward", "autograd.grad", link=BACKWARD)
def create_graph_gives_gradients_of_gradients(device: torch.device, dtype: torch.dtype) -> None:
    """With create_graph the derivative has a graph, to any order, which is kept: retain_graph defaults to it."""
    x = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    c = torch.tensor([1.0, 10.0], dtype=dtype, device=device)
    y = x * x * x * x
    (first,) = torch.autograd.grad(y, x, c, create_graph=True)
    (second,) = torch.autograd.grad(first, x, c, create_graph=True)
    (again,) = torch.autograd.grad(y, x, c, retain_graph=True)
    (third,) = torch.autograd.grad(second, x, c)
    same([t.tolist() for t in (first, second, third)], [[32.0, -1080.0], [48.0, 10800.0], [48.0, -72000.0]])
    same((first.requires_grad, second.requires_grad, third.requires_grad), (True, True, False))
    same((again.tolist(), again.requires_grad), ([32.0, -1080.0], False))


@promise("autograd", "autograd.grad", link=GRAD, levels={"float32": 1, "float64": 3, "bfloat16": 3})
def grad_returns_and_accumulates_nothing(device: torch.device, dtype: torch.dtype) -> None:
    """autograd.grad returns the sum of the gradients of the outputs in the order of inputs; grad stays None."""
    a, b = (torch.tensor([n, -n], dtype=dtype, device=device, requires_grad=True) for n in (2.0, 4.0))
    y = a * b
    z = y * 3
    c = torch.tensor([1.0, 2.0], dtype=dtype, device=device)
    got = torch.autograd.grad([z, a], [y, b, a], [c, c * 8])
    same([g.tolist() for g in got], [[3.0, 6.0], [6.0, -12.0], [20.0, -8.0]])
    same((type(got), a.grad, b.grad), (tuple, None, None))


@promise("autograd", "autograd.grad", link=GRAD)
def unused_inputs_are_told_or_none_or_zeros(device: torch.device, dtype: torch.dtype) -> None:
    """An input that was not used is an error; allow_unused makes its gradient None, materialize_grads zeros."""
    a = torch.tensor([2.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    b = torch.ones(3, dtype=dtype, device=device, requires_grad=True)
    c = torch.tensor([1.0, 10.0], dtype=dtype, device=device)
    raises(RuntimeError, lambda: torch.autograd.grad(a * a, [a, b], c), "not have been used in the graph")
    got = torch.autograd.grad(a * a, [a, b], c, allow_unused=True)
    same((got[0].tolist(), got[1]), ([4.0, -40.0], None))
    got = torch.autograd.grad(a * a, [a, b], c, materialize_grads=True)
    same((got[0].tolist(), got[1]), ([4.0, -40.0], torch.zeros(3, dtype=dtype)))
    raises(
        ValueError, lambda: torch.autograd.grad(a * a, b, c, allow_unused=False, materialize_grads=True), "allow_unused"
    )
    raises(RuntimeError, lambda: torch.autograd.grad(a * a, a.detach(), c), "does not require grad")


@promise("autograd", "autograd.grad", link=GRAD)
def batched_cotangents_give_batched_gradients(device: torch.device, dtype: torch.dtype) -> None:
    """With is_grads_batched the first dimension of each grad_outputs is a batch: the rows of a Jacobian in one call."""
    x = torch.tensor([2.0, -3.0], dtype=dtype, device=device, requires_grad=True)
    y = torch.stack([x[0] * x[1], x[0] * x[0], x[1] * 5])
    eye = torch.eye(3, dtype=dtype, device=device)
    (rows,) = torch.autograd.grad(y, x, eye, is_grads_batched=True, retain_graph=True)
    same(rows.tolist(), [[-3.0, 2.0], [4.0, 0.0], [0.0, 5.0]])
    (one,) = torch.autograd.grad(
        y, x, torch.tensor([[1.0, -1.0, 2.0]], dtype=dtype, device=device), is_grads_batched=True
    )
    same(one.tolist(), [[-7.0, 12.0]])


@promise("autograd", "autograd.grad", link="notes/autograd.html#saved-tensors")
def saved_tensors_go_with_their_graph(device: torch.device, dtype: torch.dtype) -> None:
    """Saved tensors of a node are its attributes: the input of a square, the output of exp; they go with the graph."""
    x = torch.tensor([0.0, 1.0], dtype=dtype, device=device, requires_grad=True)
    square, exp = x.pow(2), x.exp()
    same((square.grad_fn._saved_self is x, exp.grad_fn._saved_result.equal(exp)), (True, True))
    square.sum().backward()
    raises(RuntimeError, lambda: square.grad_fn._saved_self, "after they have already been freed")


@promise(
    "autograd",
    "Tensor.backward",
    link="notes/autograd.html#gradients-for-non-differentiable-functions",
    levels={"float32": 2, "float64": 3, "bfloat16": 3},
)
def gradients_where_there_is_none_follow_the_rules(device: torch.device, dtype: torch.dtype) -> None:
    """Convex functions have the subgradient of smallest norm; defined by continuity where that exists; else zero."""
    inf = math.inf
    for name, at, want in [
        ("relu", 0.0, 0.0), ("abs", 0.0, 0.0), ("sqrt", 0.0, inf), ("sign", 0.0, 0.0), ("floor", 1.0, 0.0),
        ("round", 0.5, 0.0),        ("ceil", 2.0, 0.0), ("trunc", -1.0, 0.0), ("relu6", 0.0, 0.0),
    ]:  # fmt: skip
        x = torch.tensor([at], dtype=dtype, device=device, requires_grad=True)
        (getattr(torch, name, None) or getattr(torch.nn.functional, name))(x).backward(x.new_tensor([3.0]))
        same(x.grad.item(), 3.0 * want, name)


@promise(
    "autograd",
    "Tensor.backward",
    link="notes/autograd.html#autograd-for-complex-numbers",
    levels={"complex64": 1, "complex128": 3},
)
def complex_gradients_are_conjugate_wirtinger(device: torch.device, dtype: torch.dtype) -> None:
    """grad is the conjugate Wirtinger derivative: 2z for |z|^2, conj(a) for Re(a z), g conj(f'(z)) if holomorphic."""
    z = torch.tensor([1 + 2j, -3 + 1j], dtype=dtype, device=device, requires_grad=True)
    a = torch.tensor([2 - 1j, 1j], dtype=dtype, device=device)
    (z * z.conj()).real.backward(torch.tensor([1.0, -1.0], device=device).to(z.real.dtype))
    same(z.grad.tolist(), [2 + 4j, 6 - 2j])
    z.grad = None
    (a * z).real.backward(torch.tensor([1.0, 2.0], device=device).to(z.real.dtype))
    same(z.grad.tolist(), [2 + 1j, -2j])
    z.grad = None
    (z * z).backward(a)
    same(z.grad.tolist(), [(2 - 1j) * (2 - 4j), 1j * (-6 - 2j)])


@promise("autograd", "unbind", "split", "max", link="notes/autograd.html")
def outputs_that_nobody_uses_count_as_zero(device: torch.device, dtype: torch.dtype) -> None:
    """Of several outputs of one function those without a gradient contribute nothing."""
    x = torch.tensor([[1.0, 5.0], [7.0, 3.0]], dtype=dtype, device=device, requires_grad=True)
    for pick, want in (
        (lambda: x.unbind(1)[1] * 2, [[0.0, 2.0], [0.0, -2.0]]),
        (lambda: x.split(1)[0].flatten() * 3, [[3.0, -3.0], [0.0, 0.0]]),
        (lambda: x.max(1).values, [[0.0, 1.0], [-1.0, 0.0]]),
    ):
        (got,) = torch.autograd.grad(pick(), x, torch.tensor([1.0, -1.0], dtype=dtype, device=device))
        same(got.tolist(), want)


@promise("autograd", "Tensor.backward", link="notes/autograd.html")
def very_deep_and_very_wide_graphs_go_back(device: torch.device, dtype: torch.dtype) -> None:
    """A chain of twenty thousand nodes and a sum of a thousand branches go back without a stack that overflows."""
    x = torch.tensor([1.0], dtype=dtype, device=device, requires_grad=True)
    y = x
    for _ in range(20000):
        y = y + 0
    (got,) = torch.autograd.grad(y, x, torch.tensor([3.0], dtype=dtype, device=device))
    same(got.item(), 3.0)
    del y
    (got,) = torch.autograd.grad(sum(x * 2 for _ in range(1000)), x, torch.tensor([0.5], dtype=dtype, device=device))
    close(got, [1000.0])
