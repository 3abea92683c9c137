"""What a check does with an optimizer, in torch alone: reproduction scripts print these as they are.

make(ps) builds the optimizer; add(opt, ps, t) adds the parameter groups that come before step t; ps are the
parameters, gs the gradients of every step. A form that compares numbers returns one dictionary of named tensors for
each step; the others return what is wrong, in words, or "".
"""

# mypy: ignore-errors

from __future__ import annotations

import copy
import io
import pickle

import torch


def shown(opt, ps):
    found = {}
    for i, p in enumerate(ps):
        found[f"parameter {i}"] = p.detach().clone()
        for name, value in opt.state.get(p, {}).items():
            if value is not None:
                found[f"{name} of parameter {i}"] = value.detach().clone() if torch.is_tensor(value) else value
    return found


def trained(opt, add, ps, gs, start=0):
    found = []
    for t, given in enumerate(gs, start):
        add(opt, ps, t)
        for p, g in zip(ps, given):
            p.grad = None if g is None else g.clone()
        opt.step()
        found.append(shown(opt, ps))
    return found


def steps(make, add, ps, gs):
    return trained(make(ps), add, ps, gs)


def lr_kept(make, add, ps, gs):
    """A tensor as the learning rate is read at every step, and never written to."""
    opt = make(ps)
    lr = opt.param_groups[0]["lr"]
    before = lr.clone()
    found = trained(opt, add, ps, gs)
    assert opt.param_groups[0]["lr"] is lr and torch.equal(lr, before), "the step changed its own learning rate"
    return found


def fresh(ps):
    return [p.detach().clone().requires_grad_() for p in ps]


def reloaded(make, remake, flags, add, ps, gs):
    """Saved to a file in mid-run, loaded into an optimizer made by `remake`, which goes on with other parameters."""
    opt, half = make(ps), (len(gs) + 1) // 2
    found = trained(opt, add, ps, gs[:half])
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    others = fresh(ps)
    other = remake(others)
    other.load_state_dict(torch.load(file))
    for group in other.param_groups:  # the options come with the state; the form is chosen again
        group.update(flags)
    return found + trained(other, add, others, gs[half:], half)


def beside_others(make, add, ps, gs):
    """Before each parameter stands one of another dtype with the same gradients, which changes nothing for it."""
    other = torch.float32 if ps[0].dtype == torch.float64 else torch.float64
    twins = [p.detach().to(other).requires_grad_() for p in ps]
    opt = make([q for pair in zip(twins, ps) for q in pair])
    found = []
    for given in gs:
        for p, twin, g in zip(ps, twins, given):
            p.grad, twin.grad = g.clone(), g.to(other)
        opt.step()
        found.append(shown(opt, ps))
    return found


def through_double(make, add, ps, gs):
    """Loaded in mid-run into an optimizer of float64 parameters, whose state is then float64, and from there back."""
    opt, half = make(ps), (len(gs) + 1) // 2
    found = trained(opt, add, ps, gs[:half])
    wide = [p.detach().double().requires_grad_() for p in ps]
    middle = make(wide)
    middle.load_state_dict(copy.deepcopy(opt.state_dict()))
    for p in wide:
        for name, value in middle.state.get(p, {}).items():
            if torch.is_tensor(value) and name not in ("step", "eta", "mu", "mu_product"):
                assert value.dtype == torch.float64, f"{name} of a float64 parameter was loaded as {value.dtype}"
    others = fresh(ps)
    last = make(others)
    last.load_state_dict(copy.deepcopy(middle.state_dict()))
    return found + trained(last, add, others, gs[half:], half)


def deep_copied(make, add, ps, gs):
    """The optimizer and its parameters copied in mid-run; the copy goes on after the original has gone astray."""
    opt, half = make(ps), (len(gs) + 1) // 2
    found = trained(opt, add, ps, gs[:half])
    others, other = copy.deepcopy((ps, opt))
    trained(opt, lambda *_: None, ps, gs[:1])
    return found + trained(other, add, others, gs[half:], half)


def pickled(make, add, ps, gs):
    """The same by pickle."""
    opt, half = make(ps), (len(gs) + 1) // 2
    found = trained(opt, add, ps, gs[:half])
    others, other = pickle.loads(pickle.dumps((ps, opt)))
    trained(opt, lambda *_: None, ps, gs[:1])
    return found + trained(other, add, others, gs[half:], half)


def shared(make, add, ps, gs):
    """Two optimizers loaded from one state dict: a step of one must not show in the other, nor in the dict."""
    opt = make(ps)
    trained(opt, add, ps, gs)
    saved = opt.state_dict()
    kept = copy.deepcopy(saved["state"])
    first, second = fresh(ps), fresh(ps)
    a, b = make(first), make(second)
    a.load_state_dict(saved)
    b.load_state_dict(saved)
    before = shown(b, second)
    trained(a, add, first, gs)
    for name, value in shown(b, second).items():
        if torch.is_tensor(value) and not torch.equal(value, before[name]):
            return f"a step of one optimizer changes {name} of another that was loaded from the same state dict"
    for i, state in kept.items():
        for name, value in state.items():
            if torch.is_tensor(value) and not torch.equal(value, saved["state"][i][name]):
                return f"a step changes {name} of parameter {i} in the state dict that the optimizer was loaded from"
    return ""


def hooks(make, add, ps, gs):
    """Hooks around step, state_dict and load_state_dict: each once, in the documented order, until removed."""
    opt, events = make(ps), []
    first = [p.detach().clone() for p in ps]

    def moved():
        return any(not torch.equal(p.detach(), q) for p, q in zip(ps, first))

    handles = [
        opt.register_step_pre_hook(lambda o, args, kwargs: events.append(("pre", o is opt, moved()))),
        opt.register_step_post_hook(lambda o, args, kwargs: events.append(("post", o is opt, moved()))),
        opt.register_state_dict_pre_hook(lambda o: events.append("state_dict pre")),
        opt.register_state_dict_post_hook(lambda o, state: events.append("state_dict post") or {**state, "mark": 1}),
        opt.register_load_state_dict_pre_hook(lambda o, state: events.append(("load pre", state.pop("mark", 0)))),
        opt.register_load_state_dict_post_hook(lambda o: events.append("load post")),
    ]
    trained(opt, add, ps, gs[:1])
    saved = opt.state_dict()
    opt.load_state_dict(saved)
    want = [
        ("pre", True, False),
        ("post", True, True),
        "state_dict pre",
        "state_dict post",
        ("load pre", 1),
        "load post",
    ]
    if events != want:
        return f"hooks: {events}, expected {want}"
    for handle in handles:
        handle.remove()
    trained(opt, add, ps, gs[:1])
    opt.load_state_dict(opt.state_dict())
    return "" if events == want else f"hooks that were removed ran: {events[len(want) :]}"


def with_closure(make, add, ps, gs):
    """step(closure) evaluates it once, with gradients enabled, before the update, and returns its loss."""
    opt, calls = make(ps), []
    found = []
    for t, given in enumerate(gs):
        add(opt, ps, t)
        opt.zero_grad()

        def evaluate(given=given):
            calls.append(torch.is_grad_enabled())
            for p, g in zip(ps, given):
                p.grad = None if g is None else g.clone()
            return torch.tensor(float(len(calls)))

        with torch.no_grad():
            loss = opt.step(evaluate)
        assert calls == [True] * (t + 1), f"after {t + 1} steps the closure was called with gradients: {calls}"
        assert loss is not None and float(loss) == t + 1, f"step returned {loss}, the closure {t + 1}"
        found.append(shown(opt, ps))
    return found


def zero_grad(make, add, ps, gs):
    """zero_grad() forgets gradients; with set_to_none=False it writes zeros into them."""
    opt = make(ps)
    for p, g in zip(ps, gs[0]):
        p.grad = g.clone()
    held = [p.grad for p in ps]
    opt.zero_grad(set_to_none=False)
    for i, (p, g) in enumerate(zip(ps, held)):
        if p.grad is not g or bool(p.grad.to_dense().any() if p.grad.is_sparse else p.grad.any()) or g.requires_grad:
            return f"zero_grad(set_to_none=False) leaves parameter {i} with gradient {p.grad}"
    opt.zero_grad()
    left = [i for i, p in enumerate(ps) if p.grad is not None]
    return f"zero_grad() leaves gradients on parameters {left}" if left else ""


def differentiable(make, add, ps, gs):
    """The gradient of the last parameter, with cotangent 1 everywhere, in the first one and in every gradient."""
    x, given = ps[0], [g[0].clone().requires_grad_() for g in gs]
    p = x.clone()
    opt = make([p])
    for g in given:
        p.grad = g
        opt.step()
    grads = torch.autograd.grad(p.sum(), [x, *given], allow_unused=True)
    grads = [torch.zeros_like(x) if g is None else g for g in grads]
    return [{"gradient in parameter 0": grads[0], **{f"gradient in gradient {t}": g for t, g in enumerate(grads[1:])}}]
