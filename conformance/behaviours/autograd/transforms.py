"""Forward mode, torch.func and torch.autograd.functional."""

from __future__ import annotations

import torch
import torch.autograd.forward_ad as fwd

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, raises, same

FORWARD = "autograd.html#forward-mode-automatic-differentiation"
NEEDS = {"needs": ("func.vmap",)}
UX = "func.ux_limitations.html"


def f(x: torch.Tensor) -> torch.Tensor:
    """(x0 x1, x0^2, 5 x1)."""
    return torch.stack([x[0] * x[1], x[0] * x[0], x[1] * 5])


def at(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Where it is differentiated: its Jacobian there is [[-3, 2], [4, 0], [0, 5]]."""
    return torch.tensor([2.0, -3.0], dtype=dtype, device=device)


@promise(
    "autograd",
    "autograd.forward_ad.dual_level",
    "autograd.forward_ad.make_dual",
    "autograd.forward_ad.unpack_dual",
    link=FORWARD,
    levels={"float32": 1, "float64": 3},
)
def dual_tensors_carry_tangents(device: torch.device, dtype: torch.dtype) -> None:
    """Within a level make_dual joins primal and tangent, operations carry both, and unpack_dual parts them."""
    x, v = at(device, dtype), torch.tensor([1.0, 10.0], dtype=dtype, device=device)
    with fwd.dual_level():
        y = f(fwd.make_dual(x, v))
        primal, tangent = fwd.unpack_dual(y)
        same((primal.tolist(), tangent.tolist()), ([-6.0, 4.0, -15.0], [17.0, 4.0, 50.0]))
        same(fwd.unpack_dual(x * 2).tangent, None)
    raises(RuntimeError, lambda: fwd.make_dual(x, v), "level")


@promise("autograd", "autograd.forward_ad.dual_level", link=FORWARD)
def forward_mode_does_not_nest(device: torch.device, dtype: torch.dtype) -> None:
    """A second level inside the first is refused, and the first goes on; its end forgets the tangents."""
    with fwd.dual_level():
        raises(RuntimeError, lambda: fwd.enter_dual_level(), "Nested forward mode AD is not supported")
        dual = fwd.make_dual(at(device, dtype), torch.ones(2, dtype=dtype, device=device))
        same(fwd.unpack_dual(dual).tangent.tolist(), [1.0, 1.0])
    with fwd.dual_level():
        same(fwd.unpack_dual(dual).tangent, None)


@promise("autograd", "autograd.forward_ad.make_dual", link=FORWARD)
def forward_mode_goes_over_backward(device: torch.device, dtype: torch.dtype) -> None:
    """Tangents go through backward, which gives Hessian times vector, and through changes in place."""
    x, v = at(device, dtype).requires_grad_(), torch.tensor([1.0, 10.0], dtype=dtype, device=device)
    with fwd.dual_level():
        dual = fwd.make_dual(x, v)
        (g,) = torch.autograd.grad((dual * dual * dual)[0] * dual[1], dual, create_graph=True)
        same(fwd.unpack_dual(g).tangent.tolist(), [3 * 4 * 10.0 - 3 * 12.0, 12.0])
        y = dual * 1
        y[0].mul_(dual[1].detach() * 0 + 4)
        same(fwd.unpack_dual(y).tangent.tolist(), [4.0, 10.0])
    raises(RuntimeError, lambda: fwd.make_dual(x, v))


@promise(
    "autograd",
    "func.grad",
    "func.grad_and_value",
    levels={"float32": 1, "float64": 3},
    link="generated/torch.func.grad.html",
    **NEEDS,
)
def grad_is_of_the_named_arguments(device: torch.device, dtype: torch.dtype) -> None:
    """grad differentiates a scalar with respect to argnums; has_aux and grad_and_value return more."""
    x = at(device, dtype)

    def loss(a, b):
        return (a * a * b).sum()

    same(torch.func.grad(loss)(x, x * 2).tolist(), [16.0, 36.0])
    same([g.tolist() for g in torch.func.grad(loss, argnums=(1, 0))(x, x * 2)], [[4.0, 9.0], [16.0, 36.0]])
    g, value = torch.func.grad_and_value(loss, argnums=1)(x, x)
    same((g.tolist(), value.item()), ([4.0, 9.0], -19.0))
    g, aux = torch.func.grad(lambda t: (t.sum(), t * 3), has_aux=True)(x)
    same((g.tolist(), aux.tolist(), aux.requires_grad), ([1.0, 1.0], [6.0, -9.0], False))
    same(torch.func.grad(torch.func.grad(lambda t: t * t * t))(x[0]).item(), 12.0)
    raises(RuntimeError, lambda: torch.func.grad(f)(x), "scalar")


@promise(
    "autograd",
    "func.vjp",
    "func.jvp",
    link="generated/torch.func.vjp.html",
    levels={"float32": 2, "float64": 3},
    **NEEDS,
)
def products_with_the_jacobian_from_either_side(device: torch.device, dtype: torch.dtype) -> None:
    """vjp returns the value and a function of cotangents that can be called again; jvp value and tangent."""
    x, v = at(device, dtype), torch.tensor([1.0, 10.0], dtype=dtype, device=device)
    out, back = torch.func.vjp(f, x)
    same(out.tolist(), [-6.0, 4.0, -15.0])
    c = torch.tensor([1.0, -1.0, 2.0], dtype=dtype, device=device)
    same([back(k * c)[0].tolist() for k in (1, 2)], [[-7.0, 12.0], [-14.0, 24.0]])
    same([t.tolist() for t in torch.func.jvp(f, (x,), (v,))], [[-6.0, 4.0, -15.0], [17.0, 4.0, 50.0]])
    _, back = torch.func.vjp(lambda a, b: {"s": a * b, "t": [a]}, x, v)
    same([g.tolist() for g in back({"s": v, "t": [x]})], [[3.0, 97.0], [2.0, -30.0]])


@promise(
    "autograd",
    "func.jacrev",
    "func.jacfwd",
    link="generated/torch.func.jacrev.html",
    levels={"float32": 1, "float64": 3},
    **NEEDS,
)
def jacobians_are_the_same_from_both_sides(device: torch.device, dtype: torch.dtype) -> None:
    """jacrev and jacfwd give output by input dimensions, whatever argnums, chunk_size, has_aux or batching."""
    x, want = at(device, dtype), [[-3.0, 2.0], [4.0, 0.0], [0.0, 5.0]]
    for jac in (torch.func.jacrev, torch.func.jacfwd):
        same(jac(f)(x).tolist(), want)
        same([j.tolist() for j in jac(lambda a, b: a[:1] * b, argnums=(0, 1))(x, x[1])], [[[-3.0, 0.0]], [2.0]])
        j, aux = jac(lambda t: (f(t), t * 2), has_aux=True)(x)
        same((j.tolist(), aux.tolist()), (want, [4.0, -6.0]))
        same(torch.func.vmap(jac(f))(torch.stack([x, x * 2]))[1].tolist(), [[-6.0, 4.0], [8.0, 0.0], [0.0, 5.0]])
    for size in (1, 2, 3, 10):
        same(torch.func.jacrev(f, chunk_size=size)(x).tolist(), want)


@promise(
    "autograd",
    "func.hessian",
    link="generated/torch.func.hessian.html",
    levels={"float32": 2, "float64": 3},
    **NEEDS,
)
def hessians_have_both_orders(device: torch.device, dtype: torch.dtype) -> None:
    """hessian is jacfwd of jacrev; any nesting of transforms gives the same."""
    x = at(device, dtype)

    def g(t):
        return t[0] * t[0] * t[1] + 4 * t[1] * t[1]

    rev, forward = torch.func.jacrev, torch.func.jacfwd
    for twice in (torch.func.hessian(g), rev(rev(g)), forward(forward(g)), rev(forward(g)), rev(torch.func.grad(g))):
        same(twice(x).tolist(), [[-6.0, 4.0], [4.0, 8.0]])


@promise("autograd", "func.linearize", **NEEDS)
def the_tangent_map_can_be_kept(device: torch.device, dtype: torch.dtype) -> None:
    """linearize returns the value and the map of tangents there, which can be called again and again."""
    x = at(device, dtype)
    value, tangent = torch.func.linearize(f, x)
    same((value.tolist(), tangent(x).tolist()), ([-6.0, 4.0, -15.0], [-12.0, 8.0, -15.0]))
    same(tangent(-2 * x).tolist(), [24.0, -16.0, 30.0])


@promise("autograd", "func.vmap", "vmap", link="generated/torch.vmap.html", levels={"float32": 1})
def vmap_puts_the_batch_where_it_is_told(device: torch.device, dtype: torch.dtype) -> None:
    """in_dims and out_dims say where each argument and result has its batch, None that it has none; they nest."""
    a = torch.arange(6.0, device=device).to(dtype).view(2, 3)
    b = torch.tensor([1.0, 10.0, 100.0], dtype=dtype, device=device)
    same(torch.vmap(torch.dot, in_dims=(0, None))(a, b).tolist(), [210.0, 543.0])
    same(torch.vmap(torch.mul, in_dims=(1, 0), out_dims=1)(a, b).tolist(), [[0.0, 10.0, 200.0], [3.0, 40.0, 500.0]])
    same(torch.vmap(lambda d, k: d["x"] * k, in_dims=({"x": -1}, None))({"x": a}, 2).tolist(), (a.T * 2).tolist())
    outer = torch.vmap(torch.vmap(torch.mul, in_dims=(0, None)), in_dims=(None, 0))
    same(outer(b, b[:2]).tolist(), [[1.0, 10.0, 100.0], [10.0, 100.0, 1000.0]])
    same(
        [t.shape for t in torch.vmap(lambda t: (t.sum(), t), out_dims=(0, 1))(a)], [torch.Size([2]), torch.Size([3, 2])]
    )
    raises(ValueError, lambda: torch.vmap(torch.mul)(a, b), "same size")
    raises(ValueError, lambda: torch.vmap(torch.mul, in_dims=(0, 1))(a, b), "dim")
    raises(ValueError, lambda: torch.vmap(torch.sin, in_dims=None)(a), "in_dims")


@promise("autograd", "func.vmap", link="generated/torch.vmap.html", needs=("func.vmap",))
def chunks_change_nothing(device: torch.device, dtype: torch.dtype) -> None:
    """chunk_size bounds how many samples are computed at once: results are the same, in the same order."""
    a = torch.arange(10.0, device=device).to(dtype).view(5, 2)
    want, sizes = [[0.0, 1.0], [4.0, 9.0], [16.0, 25.0], [36.0, 49.0], [64.0, 81.0]], []

    class Seen(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, x):
            sizes.append(info.batch_size)
            return x * x, in_dims[0]

    for chunk in (1, 2, 5, 7, None):
        same(torch.func.vmap(Seen.apply, chunk_size=chunk)(a).tolist(), want)
    same(sizes, [1, 1, 1, 1, 1, 2, 2, 1, 5, 5, 5])
    raises(ValueError, lambda: torch.func.vmap(torch.sin, chunk_size=0)(a), "chunk_size")


@promise("autograd", "func.vmap", link=UX + "#randomness", needs=("func.vmap",))
def randomness_is_forbidden_the_same_or_different(device: torch.device, dtype: torch.dtype) -> None:
    """A random operation under vmap raises by default; "same" draws once for all samples, "different" for each."""
    x = torch.zeros(4, 1000, dtype=dtype, device=device)
    noise = lambda t: t + torch.randn_like(t)  # noqa: E731
    raises(RuntimeError, lambda: torch.func.vmap(noise)(x), "randomness")
    once, each = (
        torch.func.vmap(lambda t: t + torch.rand(1000, device=device), randomness=r)(x) for r in ("same", "different")
    )
    same([bool((once[0] == once[i]).all()) for i in range(4)], [True] * 4)
    same([bool((each[i] == each[j]).all()) for i in range(4) for j in range(i)], [False] * 6)
    dropped = torch.func.vmap(lambda t: torch.nn.functional.dropout(t + 1), randomness="different")(x)
    same(sorted(set(dropped.flatten().tolist())), [0.0, 2.0])
    raises(RuntimeError, lambda: torch.func.vmap(noise, randomness="sometimes")(x), "randomness")


@promise("autograd", "func.vmap", link=UX, needs=("func.vmap",))
def what_vmap_cannot_do_it_refuses(device: torch.device, dtype: torch.dtype) -> None:
    """.item(), control flow on data and in-place changes of what has no batch by what has one are errors."""
    x = torch.arange(3.0, device=device).to(dtype)
    raises(RuntimeError, lambda: torch.func.vmap(lambda t: t.item())(x), "vmap")
    raises(RuntimeError, lambda: torch.func.vmap(lambda t: t if t.sum() > 0 else -t)(x), "data-dependent")
    raises(RuntimeError, lambda: torch.func.vmap(lambda t: x.add_(t))(x))
    same(x.tolist(), [0.0, 1.0, 2.0])


@promise("autograd", "func.grad", "func.vjp", "func.jvp", link="generated/torch.func.grad.html", **NEEDS)
def outer_modes_do_not_reach_into_grad(device: torch.device, dtype: torch.dtype) -> None:
    """grad respects a no_grad inside its function, and not one around it."""
    x = at(device, dtype)
    with torch.no_grad():
        same(torch.func.grad(lambda t: (t * t).sum())(x).tolist(), [4.0, -6.0])
        same(torch.func.vjp(f, x)[1](torch.ones(3, dtype=dtype, device=device))[0].tolist(), [1.0, 7.0])

    def inner(t):
        with torch.no_grad():
            c = t * t
        return (t - c).sum()

    same(torch.func.grad(inner)(x).tolist(), [1.0, 1.0])


@promise("autograd", "func.grad", "func.vjp", "func.jvp", link="generated/torch.func.grad.html", **NEEDS)
def transforms_work_in_inference_mode(device: torch.device, dtype: torch.dtype) -> None:
    """In inference mode a transform gives the right derivative or says that it cannot; it is never silently zero."""
    with torch.inference_mode():
        x = at(device, dtype)
        for derivative, want in (
            (lambda: torch.func.grad(lambda t: (t * t).sum())(x), [4.0, -6.0]),
            (lambda: torch.func.vjp(lambda t: t * t, x)[1](x)[0], [8.0, 18.0]),
            (lambda: torch.func.jvp(lambda t: t * t, (x,), (x,))[1], [8.0, 18.0]),
        ):
            try:
                got = derivative()
            except RuntimeError as error:
                assert "nference" in str(error), error
                continue
            same(got.tolist(), want)


@promise("autograd", "func.vmap", link="func.whirlwind_tour.html", levels={"float32": 2, "float64": 3}, **NEEDS)
def gradients_of_each_sample(device: torch.device, dtype: torch.dtype) -> None:
    """vmap of grad gives one gradient for each sample, and they add up to that of the sum."""
    w = torch.tensor([[1.0, -1.0], [2.0, 0.5]], dtype=dtype, device=device)
    x = torch.tensor([[1.0, 2.0], [3.0, -4.0], [0.0, 1.0]], dtype=dtype, device=device)

    def loss(weight, sample):
        return (weight @ sample).square().sum() / 2

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(w, x)
    want = [[[(w[i] @ s).item() * s[j].item() for j in range(2)] for i in range(2)] for s in x]
    close(each, want, scale=50.0)
