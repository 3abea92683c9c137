"""In-place operations under autograd: what is allowed, what it does to gradients, what must be refused."""

from __future__ import annotations

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

CHECKS = "notes/autograd.html#in-place-correctness-checks"
INPLACE = "notes/autograd.html#in-place-operations-with-autograd"
VIEWS = "tensor_view.html"


@promise("autograd", "Tensor.add_", link=INPLACE, levels={"float32": 1})
def leaves_are_not_changed_in_place(device: torch.device, dtype: torch.dtype) -> None:
    """A leaf that requires gradients, or a view of one, is changed in place under no_grad alone."""
    x = torch.tensor([1.0, 2.0], dtype=dtype, device=device, requires_grad=True)
    raises(RuntimeError, lambda: x.add_(1), "a leaf Variable that requires grad")
    raises(RuntimeError, lambda: x[0].zero_(), "a view of a leaf Variable that requires grad")
    raises(RuntimeError, lambda: x.__setitem__(0, 3.0), "leaf Variable that requires grad")
    raises(RuntimeError, lambda: torch.mul(x, 2, out=x), "out=")
    same(x.tolist(), [1.0, 2.0])
    with torch.no_grad():
        x.add_(1)
        x[0] = 5.0
    same((x.tolist(), x.requires_grad, x.is_leaf), ([5.0, 3.0], True, True))


@promise("autograd", "Tensor._version", link=CHECKS)
def every_change_in_place_counts(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor has a version counter, which each in-place operation on it, its views or detached forms raises."""
    x = torch.zeros(4, dtype=dtype, device=device)
    seen = [x._version]
    for change in (
        lambda: x.add_(1),
        lambda: x[1:].mul_(2),
        lambda: x.detach().sub_(1),
        lambda: x.view(2, 2)[0].zero_(),
    ):
        change()
        seen.append(x._version)
    same([n - seen[0] for n in seen], [0, 1, 2, 3, 4])
    x + 1, x.data.add_(1), x.clone().add_(1)
    same((x._version - seen[0], x[:2]._version == x._version), (4, True))


@promise("autograd", "Tensor.backward", link=CHECKS, levels={"float32": 1})
def saved_tensors_that_have_changed_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """If a tensor that was saved for backward has been changed since, backward raises instead of computing with it."""

    def changed(function, change):
        x = torch.tensor([1.0, 2.0, 3.0], dtype=dtype, device=device, requires_grad=True)
        y = x * 1
        out = function(y)
        change(y, out)
        raises(RuntimeError, lambda: out.sum().backward(), "modified by an inplace operation")
        same(x.grad, None)

    changed(lambda y: y * y, lambda y, out: y.add_(1))
    changed(lambda y: y * y, lambda y, out: y[1:].zero_())
    changed(lambda y: y * y, lambda y, out: y.detach().zero_())
    changed(lambda y: y[:2] * y[1:], lambda y, out: y.view(3, 1).mul_(2))
    changed(lambda y: y.view(3, 1).exp(), lambda y, out: out.add_(1))
    changed(lambda y: y.sigmoid(), lambda y, out: out[0].zero_())
    changed(lambda y: torch.nn.functional.linear(y, y.view(1, 3)), lambda y, out: y.mul_(2))


@promise("autograd", "Tensor.backward", link=CHECKS)
def what_was_not_saved_may_change(device: torch.device, dtype: torch.dtype) -> None:
    """Changing a tensor that backward does not need raises nothing, and gradients are right."""
    x = torch.tensor([1.0, 2.0], dtype=dtype, device=device, requires_grad=True)
    c = torch.tensor([1.0, -1.0], dtype=dtype, device=device)
    y = x * 3
    z = y + 1
    y.zero_()
    (z * 2).backward(c)
    same((x.grad.tolist(), y.tolist()), ([6.0, -6.0], [0.0, 0.0]))
    e = x.exp()
    x2 = x * 1
    s = x2.exp()
    x2.mul_(5)  # exp saves its output
    (got,) = torch.autograd.grad(s, x, c)
    same(got, torch.autograd.grad(e, x, c)[0])


@promise("autograd", "Tensor.mul_", link=VIEWS, levels={"float32": 1, "float64": 3})
def changes_of_a_view_reach_the_base(device: torch.device, dtype: torch.dtype) -> None:
    """An in-place operation on a view is one on a part of its base: values and gradients of both follow."""
    x = torch.tensor([1.0, 2.0, 3.0], dtype=dtype, device=device, requires_grad=True)
    c = torch.tensor([1.0, 10.0, 100.0], dtype=dtype, device=device)
    y = x * 1
    v = y[1:]
    v.mul_(3)
    same((y.tolist(), type(y.grad_fn).__name__), ([1.0, 6.0, 9.0], "CopySlices"))
    same([g.tolist() for g in torch.autograd.grad(y, x, c, retain_graph=True)], [[1.0, 30.0, 300.0]])
    same([g.tolist() for g in torch.autograd.grad(v, x, c[:2])], [[0.0, 3.0, 30.0]])


@promise("autograd", "Tensor.mul_", "Tensor.copy_", link=VIEWS, levels={"float32": 2, "float64": 3})
def changes_of_views_of_views_reach_all(device: torch.device, dtype: torch.dtype) -> None:
    """Views of views share one history: a change of any shows in the values and gradients of all made before."""
    x = torch.arange(1.0, 7.0, device=device).to(dtype).requires_grad_()
    w = torch.tensor([2.0, -1.0], dtype=dtype, device=device, requires_grad=True)
    y = x * 1
    rows = y.view(2, 3)
    column = rows.t()[1]  # elements 1 and 4 of x
    other = y[3:]  # elements 3 4 5
    column.mul_(w)
    y.mul_(10)
    same(rows.tolist(), [[10.0, 40.0, 30.0], [40.0, -50.0, 60.0]])
    same((column.tolist(), other.tolist()), ([40.0, -50.0], [40.0, -50.0, 60.0]))
    got = torch.autograd.grad(
        other, [x, w], torch.tensor([1.0, 2.0, 3.0], dtype=dtype, device=device), retain_graph=True
    )
    same([g.tolist() for g in got], [[0.0, 0.0, 0.0, 10.0, -20.0, 30.0], [0.0, 100.0]])
    got = torch.autograd.grad(column, [x, w], torch.tensor([1.0, 2.0], dtype=dtype, device=device))
    same([g.tolist() for g in got], [[0.0, 20.0, 0.0, 0.0, -20.0, 0.0], [20.0, 100.0]])


@promise("autograd", "Tensor.narrow", link=VIEWS, levels={"float32": 2, "float64": 3})
def a_view_of_what_became_differentiable_may_change(device: torch.device, dtype: torch.dtype) -> None:
    """A view made of a constant, which a change in place then made differentiable, may be changed in place like it."""
    w = torch.tensor([3.0], dtype=dtype, device=device, requires_grad=True)
    x = torch.tensor([2.0, 5.0], dtype=dtype, device=device)
    part = x.narrow(0, 0, 1)
    x.mul_(w)
    part.mul_(w)
    same(x.tolist(), [18.0, 15.0])
    (g,) = torch.autograd.grad(x, w, torch.tensor([1.0, 10.0], dtype=dtype, device=device))
    same(g.tolist(), [2 * 2.0 * 3.0 + 50.0])


@promise("autograd", "Tensor.neg_", link="func.api.html", needs=("func.jvp",), levels={"float32": 2, "float64": 3})
def what_became_dual_in_place_may_change_again(device: torch.device, dtype: torch.dtype) -> None:
    """A constant that a change in place made depend on the input may be changed again, at every order of jvp."""
    x, one = (torch.tensor(v, dtype=dtype, device=device) for v in (1.5, 1.0))

    def function(x):
        return torch.full_like(x, 2.0).mul_(x).mul_(x).neg_()

    def slope(x):
        return torch.func.jvp(function, (x,), (one,))[1]

    same(slope(x).item(), -6.0)
    same([t.item() for t in torch.func.jvp(slope, (x,), (one,))], [-6.0, -4.0])


@promise("autograd", "Tensor.index_put_", "Tensor.copy_", "Tensor.fill_", link=INPLACE)
def written_parts_get_their_gradient_elsewhere(device: torch.device, dtype: torch.dtype) -> None:
    """What is overwritten gets no gradient, and what was written in its place gets it; the base then requires one."""
    x = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=dtype, device=device, requires_grad=True)
    w = torch.tensor([5.0, 6.0], dtype=dtype, device=device, requires_grad=True)
    c = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=dtype, device=device)
    y = x * 2
    y[1:3] = w
    y[torch.tensor([3], device=device)] = w[:1] * 3
    got = torch.autograd.grad(y, [x, w], c)
    same([g.tolist() for g in got], [[2.0, 0.0, 0.0, 0.0], [3010.0, 100.0]])
    buffer = torch.zeros(4, dtype=dtype, device=device)
    buffer[::2] = w
    same((buffer.requires_grad, buffer.is_leaf), (True, False))
    same(torch.autograd.grad(buffer, w, c)[0].tolist(), [1.0, 100.0])
    y = x * 2
    y.view(2, 2)[0].fill_(7)
    same(torch.autograd.grad(y, x, c)[0].tolist(), [0.0, 0.0, 200.0, 2000.0])


@promise("autograd", "unbind", "split", "chunk", "tensor_split", "split_with_sizes", link=VIEWS)
def one_of_several_views_is_changed_rightly_or_not_at_all(device: torch.device, dtype: torch.dtype) -> None:
    """A change of one of several views that one call has made is refused, or reaches the base and its gradients."""
    x = torch.ones(2, 2, dtype=dtype, device=device, requires_grad=True)
    c = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=dtype, device=device)
    splits = [lambda t: t.unbind(), lambda t: t.split(1), lambda t: t.chunk(2), lambda t: t.tensor_split(2)]
    for split in (*splits, lambda t: t.split_with_sizes([1, 1])):
        y = x * 1
        part = split(y)[0]
        try:
            part.mul_(5)
        except RuntimeError as error:
            assert "is a view and is being modified inplace" in str(error), error
        else:
            same(
                (y.tolist(), torch.autograd.grad(y, x, c)[0].tolist()),
                ([[5.0, 5.0], [1.0, 1.0]], [[5.0, 10.0], [3.0, 4.0]]),
            )
        free = torch.ones(2, 2, dtype=dtype, device=device)
        split(free)[0].mul_(2)
        same(free.tolist(), [[2.0, 2.0], [1.0, 1.0]])


@promise("autograd", "no_grad", link=INPLACE)
def views_made_without_gradients_are_not_changed_with_them(device: torch.device, dtype: torch.dtype) -> None:
    """A view that was made under no_grad or inference_mode is not changed in place where gradients are recorded."""
    x = torch.ones(3, dtype=dtype, device=device, requires_grad=True)
    y = x * 1
    with torch.no_grad():
        view = y[1:]
    raises(RuntimeError, lambda: view.mul_(2), "no_grad mode")
    with torch.no_grad():
        view.mul_(2)
    same(y.tolist(), [1.0, 2.0, 2.0])


@promise("autograd", "Tensor.detach", link=CHECKS)
def detached_views_take_no_part(device: torch.device, dtype: torch.dtype) -> None:
    """A detached tensor is a view without gradients: a change of it changes the values of its base, not its history."""
    x = torch.tensor([1.0, 2.0], dtype=dtype, device=device, requires_grad=True)
    y = x * 3
    d = y.detach()
    d.mul_(10)
    same((y.tolist(), d.requires_grad, type(y.grad_fn).__name__), ([30.0, 60.0], False, "MulBackward0"))
    same(torch.autograd.grad(y, x, torch.tensor([1.0, -1.0], dtype=dtype, device=device))[0].tolist(), [3.0, -3.0])


@promise("autograd", "inference_mode", link="notes/autograd.html#inference-mode")
def inference_tensors_are_changed_inside_alone(device: torch.device, dtype: torch.dtype) -> None:
    """Inference tensors are not changed in place outside of inference mode; a clone made there is ordinary."""
    with torch.inference_mode():
        made = torch.ones(2, dtype=dtype, device=device)
        view = made[:1]
        made.mul_(3)
        same(view.tolist(), [3.0])
    raises(RuntimeError, lambda: made.mul_(2), "Inplace update to inference tensor outside InferenceMode")
    raises(RuntimeError, lambda: view.add_(1), "InferenceMode")
    raises(RuntimeError, lambda: made._version, "version counter")
    plain, twice = made.clone(), [2 * n for n in made.tolist()]
    same((plain.is_inference(), plain.mul_(2).tolist()), (False, twice))


@promise("autograd", "Tensor.resize_", "Tensor.set_", link=INPLACE)
def what_requires_gradients_is_not_resized(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor that requires gradients cannot be resized, and a saved one that gets other memory is refused."""
    x = torch.ones(4, dtype=dtype, device=device, requires_grad=True)
    raises(RuntimeError, lambda: x.resize_(2), "cannot resize variables that require grad")
    same(x.shape, torch.Size([4]))
    t = torch.ones(2, dtype=dtype, device=device)
    y = x[:2] * t
    t.set_(torch.zeros(2, dtype=dtype, device=device))
    raises(RuntimeError, lambda: y.sum().backward(), "modified by an inplace operation")


@promise("autograd", "Tensor.expand", link="generated/torch.Tensor.expand.html")
def memory_that_is_seen_twice_is_not_written(device: torch.device, dtype: torch.dtype) -> None:
    """More than one element of an expanded tensor may be one place in memory: in-place operations on it are refused."""
    x = torch.ones(1, dtype=dtype, device=device)
    raises(RuntimeError, lambda: x.expand(3).mul_(2), "single memory location")
    raises(RuntimeError, lambda: x.expand(3).copy_(torch.ones(3, dtype=dtype, device=device)), "single memory location")
    y = torch.arange(4.0, device=device).to(dtype)
    raises(RuntimeError, lambda: torch.add(y[:3], 1, out=y[1:]), "memory location")
    same((x.tolist(), y.tolist()), ([1.0], [0.0, 1.0, 2.0, 3.0]))
