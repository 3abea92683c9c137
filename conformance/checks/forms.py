"""What each numeric check does with torch: small functions that use torch alone.

A form takes `f`, the torch function with everything fixed but its differentiable inputs (it returns
the tuple of differentiable outputs), those inputs `xs` (without requires_grad), the cotangents `gs` of
the outputs, the tangents `vs` of the inputs and a second set `us`; it returns a flat list of tensors.
A reproduction script is the source of the form with the inputs as literals: what is printed is what
was run.
"""

import torch
from torch.autograd import forward_ad as fwAD


def leaves(xs):
    return [x.detach().requires_grad_() for x in xs]


def filled(grads, xs):
    return [torch.zeros_like(x) if d is None else d for d, x in zip(grads, xs)]


def grad_of(outs, xs, gs, create_graph=False):
    used = [(o, g) for o, g in zip(outs, gs) if o is not None and o.requires_grad]
    if not used:
        return [torch.zeros_like(x) for x in xs]
    outs, gs = zip(*used)
    return filled(torch.autograd.grad(outs, xs, gs, create_graph=create_graph, allow_unused=True), xs)


def value(f, xs, gs, vs, us):
    return list(f(*xs))


def vjp(f, xs, gs, vs, us):
    xs = leaves(xs)
    return list(torch.autograd.grad(f(*xs), xs, gs))


def value_and_vjp(f, xs, gs, vs, us):
    xs = leaves(xs)
    outs = f(*xs)
    return [*outs, *(torch.autograd.grad(outs, xs, gs) if xs else [])]


def jvp(f, xs, gs, vs, us):
    with fwAD.dual_level():
        outs = f(*[fwAD.make_dual(x, v) for x, v in zip(xs, vs)])
        return [t.clone() for t in filled([fwAD.unpack_dual(o).tangent for o in outs], outs)]


def reverse_over_reverse(f, xs, gs, vs, us):
    xs, gs = leaves(xs), leaves(gs)
    return grad_of(torch.autograd.grad(f(*xs), xs, gs, create_graph=True), xs + gs, vs)


def forward_over_reverse(f, xs, gs, vs, us):
    with fwAD.dual_level():
        duals = [fwAD.make_dual(x, v) for x, v in zip(leaves(xs), vs)]
        grads = torch.autograd.grad(f(*duals), duals, gs, create_graph=True)
        return [t.clone() for t in filled([fwAD.unpack_dual(d).tangent for d in grads], xs)]


def reverse_over_forward(f, xs, gs, vs, us):
    xs, vs = leaves(xs), leaves(vs)
    with fwAD.dual_level():
        outs = f(*[fwAD.make_dual(x, v) for x, v in zip(xs, vs)])
        return grad_of([fwAD.unpack_dual(o).tangent for o in outs], xs + vs, gs)


def forward_over_forward(f, xs, gs, vs, us):
    def first(*xs):
        return torch.func.jvp(f, xs, tuple(vs))[1]

    return list(torch.func.jvp(first, tuple(xs), tuple(us))[1])


def third_reverse(f, xs, gs, vs, us):
    xs = leaves(xs)
    grads = torch.autograd.grad(f(*xs), xs, gs, create_graph=True)
    return grad_of(grad_of(grads, xs, vs, create_graph=True), xs, us)


def third_forward(f, xs, gs, vs, us):
    with fwAD.dual_level():
        duals = [fwAD.make_dual(x, u) for x, u in zip(leaves(xs), us)]
        grads = torch.autograd.grad(f(*duals), duals, gs, create_graph=True)
        seconds = grad_of(grads, duals, vs, create_graph=True)
        return [t.clone() for t in filled([fwAD.unpack_dual(d).tangent for d in seconds], xs)]


def subset(f, xs, gs, vs, us):
    grads = []
    for i, x in enumerate(leaves(xs)):  # one input alone requires grad
        outs = f(*[x if j == i else other.detach() for j, other in enumerate(xs)])
        grads += grad_of(outs, [x], gs)
    return grads


def vjp_and_subset(f, xs, gs, vs, us):
    return vjp(f, xs, gs, vs, us) + subset(f, xs, gs, vs, us)


def undefined_cotangents(f, xs, gs, vs, us):
    xs, grads = leaves(xs), []
    for i in range(len(gs)):  # one output alone has a cotangent
        grads += grad_of(f(*xs)[i : i + 1], xs, gs[i : i + 1])
    return grads


def zero_cotangents(f, xs, gs, vs, us):
    xs = leaves(xs)
    return list(torch.autograd.grad(f(*xs), xs, [torch.zeros_like(g) for g in gs]))


def accumulate(f, xs, gs, vs, us):
    xs = leaves(xs)
    for scale in (1, -2):  # two different gradients, so that a buffer used twice shows
        torch.autograd.backward(f(*xs), [scale * g for g in gs])
    return [-x.grad for x in xs]


def batched_grad(f, xs, gs, vs, us):
    xs = leaves(xs)
    stacks = [torch.stack([g, -2 * g]) for g in gs]
    grads = torch.autograd.grad(f(*xs), xs, stacks, is_grads_batched=True)
    return [d[0] for d in grads] + [d[1] / -2 for d in grads]


def func_vjp(f, xs, gs, vs, us):
    return list(torch.func.vjp(f, *xs)[1](tuple(gs)))


def func_jvp(f, xs, gs, vs, us):
    return list(torch.func.jvp(f, tuple(xs), tuple(vs))[1])


def func_linearize(f, xs, gs, vs, us):
    return list(torch.func.linearize(f, *xs)[1](*vs))


def func_jacrev(f, xs, gs, vs, us):
    rows = torch.func.jacrev(f, tuple(range(len(xs))))(*xs)
    return [sum(torch.tensordot(j[i], v, v.dim()) for i, v in enumerate(vs)) for j in rows]


def func_jacfwd(f, xs, gs, vs, us):
    rows = torch.func.jacfwd(f, tuple(range(len(xs))))(*xs)
    return [sum(torch.tensordot(j[i], v, v.dim()) for i, v in enumerate(vs)) for j in rows]


def halves(xs):
    # every other input is batched: itself, and half of it; the rest is shared by the batch
    dims = tuple(0 if i % 2 == 0 else None for i in range(len(xs)))
    return dims, [torch.stack([x, x / 2]) if d == 0 else x for d, x in zip(dims, xs)]


def vmap(f, xs, gs, vs, us):
    dims, stacks = halves(xs)
    outs = torch.vmap(f, dims)(*stacks)
    return [o[0] for o in outs] + [o[1] for o in outs]


def vmap_vjp(f, xs, gs, vs, us):
    dims, stacks = halves(xs)
    grads = torch.vmap(lambda *xs: torch.func.vjp(f, *xs)[1](tuple(gs)), dims)(*stacks)
    return [d[0] for d in grads] + [d[1] for d in grads]


def checkpoint(f, xs, gs, vs, us):
    from torch.utils.checkpoint import checkpoint as recomputed  # older releases do not import it by themselves

    xs = leaves(xs)
    outs = recomputed(f, *xs, use_reentrant=False)
    return list(torch.autograd.grad(outs, xs, gs))


def checkpoint_reentrant(f, xs, gs, vs, us):
    from torch.utils.checkpoint import checkpoint as recomputed

    xs = leaves(xs)
    torch.autograd.backward(recomputed(f, *xs, use_reentrant=True), gs)
    return [x.grad for x in xs]


def saved_tensor_hooks(f, xs, gs, vs, us):
    xs = leaves(xs)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        outs = f(*xs)
    return list(torch.autograd.grad(outs, xs, gs))


def save_on_cpu(f, xs, gs, vs, us):
    xs = leaves(xs)
    with torch.autograd.graph.save_on_cpu():
        outs = f(*xs)
    return list(torch.autograd.grad(outs, xs, gs))


def compiled_aot_eager(f, xs, gs, vs, us):
    torch._dynamo.reset()
    return value_and_vjp(torch.compile(f, backend="aot_eager", dynamic=False), xs, gs, vs, us)


def compiled_inductor(f, xs, gs, vs, us):
    torch._dynamo.reset()
    return value_and_vjp(torch.compile(f, backend="inductor", dynamic=False), xs, gs, vs, us)
