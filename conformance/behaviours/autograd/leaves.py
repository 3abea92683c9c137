"""Leaves and what is computed from them: where gradients are kept, how they add up, what detaches."""

from __future__ import annotations

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

BACKWARD = "generated/torch.Tensor.backward.html"
LAYOUTS = "autograd.html#default-gradient-layouts"


@promise("autograd", "Tensor.is_leaf", levels={"float32": 1})
def what_the_user_made_is_a_leaf(device: torch.device, dtype: torch.dtype) -> None:
    """Tensors without requires_grad are leaves; of those with it, the ones that no operation made."""
    a = torch.tensor([1.0, 2.0], dtype=dtype, device=device, requires_grad=True)
    b = a * 2
    c = (torch.zeros(2, dtype=dtype, device=device) + 1).requires_grad_()
    d = torch.zeros(2, dtype=dtype, device=device) + 1
    e = a.to(torch.float16)
    same([t.is_leaf for t in (a, b, c, d, e, a.detach(), a[0])], [True, False, True, True, False, True, False])
    same([t.requires_grad for t in (a, b, c, d, e)], [True, True, True, False, True])
    same((a.grad_fn, c.grad_fn, type(b.grad_fn).__name__), (None, None, "MulBackward0"))


@promise("autograd", "Tensor.requires_grad_", "Tensor.requires_grad")
def only_floating_and_complex_tensors_require_gradients(device: torch.device, dtype: torch.dtype) -> None:
    """Only tensors of floating point and complex dtype can require gradients, and only a leaf can stop doing so."""
    for kind in (torch.int64, torch.bool, torch.uint8):
        raises(RuntimeError, lambda k=kind: torch.ones(2, dtype=k, device=device).requires_grad_(), "floating point")
        raises(RuntimeError, lambda k=kind: torch.ones(2, dtype=k, device=device, requires_grad=True), "floating point")
    same(torch.ones(2, dtype=torch.complex64, device=device).requires_grad_().requires_grad, True)
    x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
    y = x * 2
    raises(RuntimeError, lambda: y.requires_grad_(False), "leaf")
    same((x.requires_grad_(False).requires_grad, y.requires_grad), (False, True))


@promise("autograd", "Tensor.requires_grad_", link="notes/autograd.html#setting-requires-grad")
def views_can_require_gradients_by_themselves(device: torch.device, dtype: torch.dtype) -> None:
    """requires_grad_ on a view of a tensor without makes that view a leaf; its base stays as it was."""
    base = torch.tensor([1.0, 2.0, 3.0], dtype=dtype, device=device)
    view = base[1:].requires_grad_()
    same((view.is_leaf, base.requires_grad, base[1:].requires_grad), (True, False, False))
    (view * view).backward(torch.tensor([1.0, -1.0], dtype=dtype, device=device))
    same((view.grad, base.grad), (torch.tensor([4.0, -6.0], dtype=dtype), None))


@promise("autograd", "Tensor.grad", "Tensor.retain_grad", levels={"float32": 1})
def gradients_are_kept_by_leaves_and_where_asked(device: torch.device, dtype: torch.dtype) -> None:
    """grad is None until backward, and only leaves keep it, unless retain_grad asks a non-leaf to keep its own."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    y, w = x * 3, x * 5
    z = y * w
    y.retain_grad()
    same((x.grad, y.retains_grad, w.retains_grad, x.retains_grad), (None, True, False, False))
    z.backward(torch.tensor([1.0, 10.0], dtype=dtype, device=device))
    same(y.grad, torch.tensor([5.0, -100.0], dtype=dtype))
    same(x.grad, torch.tensor([30.0, -600.0], dtype=dtype))
    x.retain_grad()
    raises(RuntimeError, lambda: x.detach().retain_grad(), "requires_grad=False")


@promise("autograd", "Tensor.retain_grad")
def a_retained_gradient_is_that_of_the_last_value(device: torch.device, dtype: torch.dtype) -> None:
    """retain_grad before an in-place operation keeps the gradient of the tensor as it is after the operation."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    y = x * 3
    y.retain_grad()
    y.mul_(5)
    (y * 2).backward(torch.tensor([1.0, -1.0], dtype=dtype, device=device))
    same(y.grad, torch.tensor([2.0, -2.0], dtype=dtype))
    same(x.grad, torch.tensor([30.0, -30.0], dtype=dtype))


@promise("autograd", "Tensor.backward", link=BACKWARD, levels={"float32": 1, "float64": 3, "float16": 3})
def gradients_accumulate_until_zeroed(device: torch.device, dtype: torch.dtype) -> None:
    """backward accumulates into the leaves: one has to zero or unset grad before calling it again."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    seen = []
    for factor in (2, 3, 5):
        (x * factor).backward(torch.tensor([1.0, -1.0], dtype=dtype, device=device))
        seen.append(x.grad.tolist())
        if factor == 3:
            x.grad.zero_()
    same(seen, [[2.0, -2.0], [5.0, -5.0], [5.0, -5.0]])
    x.grad = None
    (x * 7).backward(torch.tensor([1.0, -1.0], dtype=dtype, device=device))
    same(x.grad.tolist(), [7.0, -7.0])


@promise("autograd", "Tensor.backward", link=LAYOUTS)
def gradients_accumulate_in_place(device: torch.device, dtype: torch.dtype) -> None:
    """Where grad is there backward adds to it in place, keeping its strides; with create_graph it makes a new one."""
    x = torch.ones(2, 3, dtype=dtype, device=device, requires_grad=True)
    mine = torch.zeros(3, 2, dtype=dtype, device=device).t()
    x.grad = mine
    (x * 2).sum().backward()
    same((x.grad is mine, mine.tolist(), x.grad.stride()), (True, [[2.0] * 3] * 2, (1, 2)))
    (x * x).sum().backward(create_graph=True)
    same((x.grad is mine, mine.tolist(), x.grad.tolist()), (False, [[2.0] * 3] * 2, [[4.0] * 3] * 2))
    same(x.grad.requires_grad, True)
    x.grad = None


@promise("autograd", "Tensor.backward", link=LAYOUTS)
def new_gradients_have_the_strides_of_their_parameter(device: torch.device, dtype: torch.dtype) -> None:
    """A new grad has the strides of a parameter that is dense and does not overlap, else it is contiguous."""
    dense = torch.ones(3, 2, dtype=dtype, device=device).t().requires_grad_()
    images = torch.ones(2, 3, 4, 5, dtype=dtype, device=device).to(memory_format=torch.channels_last).requires_grad_()
    gaps = torch.ones(2, 6, dtype=dtype, device=device)[:, ::2].requires_grad_()
    for leaf, strides in ((dense, (1, 2)), (images, (60, 1, 15, 3)), (gaps, (3, 1))):
        (leaf * torch.full(leaf.shape, 3.0, dtype=dtype, device=device)).sum().backward()
        same((leaf.grad.stride(), leaf.grad.unique().tolist()), (strides, [3.0]))


@promise("autograd", "Tensor.grad")
def grad_takes_tensors_that_fit_alone(device: torch.device, dtype: torch.dtype) -> None:
    """grad may be set to None or to a tensor of the same shape, dtype and device, and to nothing else."""
    x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
    for wrong in (torch.ones(3, dtype=dtype, device=device), torch.ones(2, dtype=torch.int64, device=device), x):
        raises(RuntimeError, lambda w=wrong: setattr(x, "grad", w))
    raises(TypeError, lambda: setattr(x, "grad", 1.0))
    x.grad = torch.tensor([5.0, 6.0], dtype=dtype, device=device)
    (x * 2).sum().backward()
    same(x.grad.tolist(), [7.0, 8.0])


@promise("autograd", "Tensor.detach", levels={"float32": 1})
def detach_shares_memory_and_cuts_the_graph(device: torch.device, dtype: torch.dtype) -> None:
    """detach returns a tensor that never requires a gradient, on the same storage: changes of either show in both."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    y = x * 3
    d = y.detach()
    same((d.requires_grad, d.is_leaf, d.grad_fn, d.data_ptr() == y.data_ptr()), (False, True, None, True))
    (y * d).backward(torch.tensor([1.0, 2.0], dtype=dtype, device=device))
    same(x.grad.tolist(), [9.0, -36.0])
    d[0] = 7.0
    same(y.tolist(), [7.0, -6.0])


@promise("autograd", "Tensor.detach_")
def detach_in_place_makes_a_leaf(device: torch.device, dtype: torch.dtype) -> None:
    """detach_ makes the tensor itself a leaf; views cannot be detached in place."""
    x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
    y = x * 3
    same((y.detach_() is y, y.is_leaf, y.requires_grad, y.grad_fn), (True, True, False, None))
    z = x * 3
    raises(RuntimeError, lambda: z[:1].detach_(), "view")


@promise("autograd", "Tensor.data", link="notes/autograd.html#in-place-correctness-checks")
def data_shares_memory_and_nothing_else(device: torch.device, dtype: torch.dtype) -> None:
    """x.data is the same memory outside of the graph, with its own version counter; setting it swaps the memory."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    before = x._version
    x.data.mul_(3)
    same((x.tolist(), x._version, x.data.requires_grad), ([3.0, -6.0], before, False))
    x.data = torch.tensor([5.0, 6.0], dtype=dtype, device=device)
    (x * x).backward(torch.tensor([1.0, -1.0], dtype=dtype, device=device))
    same((x.is_leaf, x.grad.tolist()), (True, [10.0, -12.0]))


@promise("autograd", "clone", "Tensor.clone", link="generated/torch.clone.html", levels={"float32": 1})
def clone_copies_and_passes_gradients_on(device: torch.device, dtype: torch.dtype) -> None:
    """clone is differentiable: it has memory of its own, and gradients flow back to its input."""
    x = torch.tensor([1.0, -2.0], dtype=dtype, device=device, requires_grad=True)
    y = x.clone()
    y.mul_(3)
    y.backward(torch.tensor([1.0, 10.0], dtype=dtype, device=device))
    same((x.tolist(), y.tolist(), x.grad.tolist()), ([1.0, -2.0], [3.0, -6.0], [3.0, 30.0]))
    same((y.data_ptr() == x.data_ptr(), y.is_leaf), (False, False))


@promise("autograd", "autograd.graph.Node", "autograd.graph.Node.next_functions", link="autograd.html#autograd-graph")
def the_graph_can_be_walked(device: torch.device, dtype: torch.dtype) -> None:
    """grad_fn.next_functions are pairs of a node and the number of its output; leaves end in AccumulateGrad."""
    x = torch.ones(2, dtype=dtype, device=device, requires_grad=True)
    y = x.exp() * torch.ones(2, dtype=dtype, device=device)
    (exp, number), (nothing, _) = y.grad_fn.next_functions
    same((exp.name(), number, nothing), ("ExpBackward0", 0, None))
    ((accumulate, _),) = exp.next_functions
    same((accumulate.name(), accumulate.variable is x), ("torch::autograd::AccumulateGrad", True))
    low, high = x.unbind()
    same((low.grad_fn is high.grad_fn, low.output_nr, high.output_nr), (True, 0, 1))


@promise("autograd", "autograd.Variable", link="autograd.html#variable-deprecated")
def variable_is_still_a_tensor(device: torch.device, dtype: torch.dtype) -> None:
    """Variable(tensor) and Variable(tensor, requires_grad) still work, and return tensors."""
    t = torch.tensor([1.0, -2.0], dtype=dtype, device=device)
    v = torch.autograd.Variable(t, requires_grad=True)
    same((type(v), v.requires_grad, t.requires_grad, v.data_ptr() == t.data_ptr()), (torch.Tensor, True, False, True))
    (v * v).backward(torch.tensor([1.0, -1.0], dtype=dtype, device=device))
    same((v.grad.tolist(), isinstance(t, torch.autograd.Variable)), ([2.0, 4.0], True))
    same(torch.autograd.Variable(t).requires_grad, False)


@promise("autograd", "Tensor.backward", link="notes/autograd.html")
def shared_weights_and_control_flow_are_followed(device: torch.device, dtype: torch.dtype) -> None:
    """The graph is made anew in every iteration: loops and branches may differ, and a shared weight gets every part."""
    w = torch.tensor(2.0, dtype=dtype, device=device, requires_grad=True)
    for times, want in ((1, 1.0), (3, 12.0), (4, 64.0)):  # d w^n/dw = n w^(n-1), doubled where n is even
        w.grad = None
        y = torch.ones((), dtype=dtype, device=device)
        for _ in range(times):
            y = y * w
        if y.item() > 8:
            y = y * 2
        y.backward()
        same(w.grad.item(), want)


@promise("autograd", "Tensor.to", link="notes/autograd.html")
def gradients_flow_across_devices_and_dtypes(device: torch.device, dtype: torch.dtype) -> None:
    """Copies to another device or dtype are in the graph: gradients come back with dtype and device of the leaf."""
    x = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    y = x.to(device).to(dtype) * 3
    z = (y.cpu().double() * y.to(device).double().cpu()).to(device)
    z.backward(torch.tensor([1.0, -1.0], dtype=torch.float64, device=device))
    same((x.grad.dtype, x.grad.device.type, x.grad.tolist()), (torch.float64, "cpu", [18.0, 36.0]))
