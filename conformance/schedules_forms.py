"""What a check does with a schedule, in torch alone: reproduction scripts print these as they are.

make(opt) builds the schedule, optimizer() an optimizer with its parameter groups; metrics are what a plateau is told,
None for other schedules. Rates and momenta are read after every step, from before the first one on.
"""

# mypy: ignore-errors

from __future__ import annotations

import copy

import torch


def read(opt):
    return [(g["lr"].clone() if torch.is_tensor(g["lr"]) else g["lr"], g.get("momentum")) for g in opt.param_groups]


def advance(opt, sched, metrics, start, steps):
    found = []
    for t in range(start, steps):
        opt.step()
        sched.step() if metrics is None else sched.step(metrics[t])
        found.append(read(opt))
    return found


def curve(optimizer, make, metrics, steps):
    opt = optimizer()
    sched = make(opt)
    return [read(opt), *advance(opt, sched, metrics, 0, steps)]


def same_tensor(optimizer, make, metrics, steps):
    """A rate that is a tensor is changed in place, and nothing else holds it."""
    opt = optimizer()
    held = [g["lr"] for g in opt.param_groups]
    sched = make(opt)
    found = [read(opt), *advance(opt, sched, metrics, 0, steps)]
    for lr, group in zip(held, opt.param_groups):
        assert group["lr"] is lr, "the rate's tensor was replaced"
        others = [k for k, v in group.items() if k != "lr" and torch.is_tensor(v) and v.data_ptr() == lr.data_ptr()]
        assert not others, f"{others} share the memory of the rate"
    return found


def resumed(optimizer, make, metrics, steps, at):
    """Saved after `at` steps, loaded into a new schedule on a new optimizer whose rates are others."""
    opt = optimizer()
    sched = make(opt)
    found = [read(opt), *advance(opt, sched, metrics, 0, at)]
    saved = copy.deepcopy((sched.state_dict(), opt.state_dict()))
    other = optimizer()
    going_on = make(other)
    going_on.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    return [*found[:-1], read(other), *advance(other, going_on, metrics, at, steps)]


def from_last_epoch(optimizer, make, remake, metrics, steps, at):
    """After `at` steps a new schedule is made on the loaded optimizer, with last_epoch = at: it takes the next step."""
    opt = optimizer()
    sched = make(opt)
    found = [read(opt), *advance(opt, sched, metrics, 0, at)]
    other = optimizer()
    other.load_state_dict(copy.deepcopy(opt.state_dict()))
    going_on = remake(other, at)
    return [*found, read(other), *advance(other, going_on, metrics, at + 1, steps)]


def last_lr(optimizer, make, metrics, steps):
    """get_last_lr() is what the groups have, and what is done to it does not reach them."""
    opt = optimizer()
    sched = make(opt)
    for t in range(steps):
        shown = [float(v) for v in sched.get_last_lr()]
        want = [float(g["lr"]) for g in opt.param_groups]
        if shown != want:
            return f"after {t} steps get_last_lr() is {shown}, the groups have {want}"
        for v in sched.get_last_lr():
            v.zero_() if torch.is_tensor(v) else None
        if [float(g["lr"]) for g in opt.param_groups] != want:
            return f"after {t} steps a tensor of get_last_lr() is the group's own"
        opt.step()
        sched.step() if metrics is None else sched.step(metrics[t])
    return ""
