"""What a check does with L-BFGS, in torch alone: reproduction scripts print these as they are.

make(ps) builds the optimizer of the parameters ps, count is the number of steps; a, u and c are the function that is
minimized. A form that compares numbers returns one dictionary of named numbers for each step.
"""

# mypy: ignore-errors

from __future__ import annotations

import copy

import torch


def closure(opt, ps, a, u, c, calls):
    def evaluate():
        calls.append(torch.is_grad_enabled())
        opt.zero_grad()
        used = [p for i, p in enumerate(ps) if sum(q.numel() for q in ps[: i + 1]) <= a.numel()]
        x = torch.cat([p.reshape(-1) for p in used])
        loss = (a * x * x).sum() * 0.5 + (x * x * x * x).sum() * (0.25 * c) + (u * x).sum() ** 2 * 0.5
        loss.backward()
        return loss

    return evaluate


def one(opt, ps, a, u, c):
    calls, before = [], opt.state[ps[0]].get("func_evals", 0)
    with torch.no_grad():
        found = {"loss": opt.step(closure(opt, ps, a, u, c, calls)).detach()}
    assert all(calls), "the closure was called without gradients"
    assert opt.state[ps[0]]["func_evals"] - before == len(calls), "func_evals is not the number of evaluations"
    for i, p in enumerate(ps):
        found[f"parameter {i}"] = p.detach().clone()
    for name, value in opt.state[ps[0]].items():
        if isinstance(value, list):  # "al" is a buffer of the recursion
            found |= {f"{name} {i}": v.clone() for i, v in enumerate(value) if name != "al"}
        else:
            found[name] = value.clone() if torch.is_tensor(value) else value
    return found


def steps(make, ps, a, u, c, count):
    opt = make(ps)
    return [one(opt, ps, a, u, c) for _ in range(count)]


def reloaded(make, ps, a, u, c, count):
    """Every step is taken by an optimizer that was loaded from the state dict of the one before."""
    opt, found = make(ps), []
    for _ in range(count):
        found.append(one(opt, ps, a, u, c))
        saved = copy.deepcopy(opt.state_dict())
        ps = [p.detach().clone().requires_grad_() for p in ps]
        opt = make(ps)
        opt.load_state_dict(saved)
    return found


def copied(make, ps, a, u, c, count):
    """Every step is taken by a deep copy of the optimizer and its parameters."""
    opt, found = make(ps), []
    for _ in range(count):
        found.append(one(opt, ps, a, u, c))
        ps, opt = copy.deepcopy((ps, opt))
    return found


def evaluations(make, ps, a, u, c, count):
    """No step may evaluate the closure more often than max_eval times."""
    opt = make(ps)
    most = opt.param_groups[0]["max_eval"]
    for n in range(count):
        calls = []
        opt.step(closure(opt, ps, a, u, c, calls))
        if len(calls) > most:
            return f"step {n} evaluates the closure {len(calls)} times, max_eval is {most}"
    return ""


def searched(make, ps, a, u, c, count):
    """Of steps of one iteration with line search: the parameters before and after, and the direction.

    At a stationary point there is no direction, and the steps end.
    """
    opt, found = make(ps), []
    for _ in range(count):
        before = torch.cat([p.detach().reshape(-1) for p in ps])
        calls = []
        opt.step(closure(opt, ps, a, u, c, calls))
        if len(calls) == 1 and not any(p.grad is not None and p.grad.any() for p in ps):
            break
        after = torch.cat([p.detach().reshape(-1) for p in ps])
        found.append((before, after, opt.state[ps[0]]["d"].clone()))
    return found
