"""Faults in the formulas of optimizers, and in their forms over lists and fused."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import functools
import importlib

import torch

from conformance.faults.fault import fault

# What holds for every optimizer, and does not look at the formula.
MACHINERY = ("hooks", "zero_grad", "errors")


def formula(path):
    """Put ``wrong(original, *arguments)`` in the place of a function of torch.optim's own modules."""

    def install(wrong):
        module, _, name = path.rpartition(".")
        _put(importlib.import_module(f"torch.optim.{module}"), name, wrong)

    return install


def method(path):
    """The same for a method of a class of torch.optim, whose signature stays."""

    def install(wrong):
        *outer, name = path.split(".")
        _put(functools.reduce(getattr, outer, torch.optim), name, wrong)

    return install


def _put(owner, name, wrong):
    original = getattr(owner, name)

    @functools.wraps(original)
    def replacement(*args, **kwargs):
        return wrong(original, *args, **kwargs)

    setattr(owner, name, replacement)


@fault("optim.Adam", "steps", "missing_gradients", "complex_parameters", "tensor_lr", green=("foreach", *MACHINERY))
def bias_correction_one_step_late():
    """Adam corrects the bias of step t by that of step t + 1."""

    @formula("adam._single_tensor_adam")
    def late(original, params, grads, m, v, vmax, steps, *args, **kwargs):
        for s in steps:
            s += 1
        original(params, grads, m, v, vmax, steps, *args, **kwargs)
        for s in steps:
            s -= 1


@fault("optim.AdamW", "steps", green=("foreach", *MACHINERY))
def decay_coupled():
    """AdamW adds its decay to the gradient."""

    @formula("adam._single_tensor_adam")
    def coupled(original, *args, decoupled_weight_decay, **kwargs):
        original(*args, decoupled_weight_decay=False, **kwargs)


@fault("optim.Adam", "steps", level=3, green=("foreach", *MACHINERY))
def largest_of_the_gradient():
    """amsgrad keeps the maximum of the squared gradient instead of that of its average."""

    @formula("adam._single_tensor_adam")
    def largest(original, params, grads, m, v, vmax, *args, amsgrad, **kwargs):
        for g, most in zip(grads, vmax if amsgrad else ()):
            most.copy_(torch.maximum(most, g * g if not g.is_complex() else most.abs()))
        original(params, grads, m, v, vmax, *args, amsgrad=amsgrad, **kwargs)


@fault("optim.SGD", "steps", level=3, green=("foreach", *MACHINERY))
def first_momentum_dampened():
    """The first gradient that enters the momentum buffer is dampened."""

    @formula("sgd._single_tensor_sgd")
    def dampened(original, params, grads, buffers, *args, momentum, dampening, **kwargs):
        if momentum and dampening:
            for i, b in enumerate(buffers):
                buffers[i] = torch.zeros_like(params[i]) if b is None else b
        original(params, grads, buffers, *args, momentum=momentum, dampening=dampening, **kwargs)


@fault("optim.SGD", "foreach", green=("steps", *MACHINERY))
def last_of_the_list_skipped():
    """The form over lists leaves out the last tensor of several."""

    @formula("sgd._multi_tensor_sgd")
    def skips(original, params, grads, buffers, *args, **kwargs):
        if len(params) > 1:
            held = buffers[:-1]
            original(params[:-1], grads[:-1], held, *args, **kwargs)
            buffers[:-1] = held
        else:
            original(params, grads, buffers, *args, **kwargs)


@fault("optim.Adagrad", "fused", green=("steps", *MACHINERY))
def fused_rate():
    """The fused kernel's rate is off by a thousandth."""

    @formula("adagrad._fused_adagrad")
    def undecayed(original, *args, lr, **kwargs):
        original(*args, lr=lr * 1.001, **kwargs)


@fault("optim.RMSprop", "steps", level=3, green=("foreach", *MACHINERY))
def mean_halved():
    """centered forgets a half of the mean in each step."""

    @formula("rmsprop._single_tensor_rmsprop")
    def before(original, params, grads, squares, means, *args, centered, **kwargs):
        for m in means if centered else ():
            m.mul_(0.5)
        original(params, grads, squares, means, *args, centered=centered, **kwargs)


@fault("optim.RMSprop", "steps", level=3, dtypes=("bfloat16",))
def narrow_squares_halved():
    """In bfloat16 each step forgets a half of the mean of squares."""

    @formula("rmsprop._single_tensor_rmsprop")
    def before(original, params, grads, squares, *args, **kwargs):
        for s in squares:
            s.mul_(0.5 if s.dtype is torch.bfloat16 else 1.0)
        original(params, grads, squares, *args, **kwargs)


@fault("optim.Adamax", "steps", green=("foreach", *MACHINERY))
def epsilon_forgotten():
    """Adamax leaves out its eps."""

    @formula("adamax._single_tensor_adamax")
    def without(original, *args, eps, **kwargs):
        original(*args, eps=0.0, **kwargs)


@fault("optim.RAdam", "steps", level=3, green=("foreach", *MACHINERY))
def rectified_with_twice_eps():
    """RAdam's rectified steps take twice the eps."""

    @formula("radam._single_tensor_radam")
    def scaled(original, *args, eps, **kwargs):
        original(*args, eps=eps * 2, **kwargs)


@fault("optim.Rprop", "steps", level=3, green=("foreach", *MACHINERY))
def step_sizes_unbounded():
    """Rprop does not keep its step sizes within their bounds."""

    @formula("rprop._single_tensor_rprop")
    def unbounded(original, *args, step_size_min, step_size_max, **kwargs):
        original(*args, step_size_min=0.0, step_size_max=1e9, **kwargs)


@fault("optim.Adadelta", "steps", "state_dict", green=("foreach", *MACHINERY))
def eps_doubled():
    """Adadelta's eps under the roots is twice what was given."""

    @formula("adadelta._single_tensor_adadelta")
    def doubled(original, *args, eps, **kwargs):
        original(*args, eps=2 * eps, **kwargs)


@fault("optim.NAdam", "steps", green=("foreach", *MACHINERY))
def momentum_decays_faster():
    """NAdam's momentum decays half as fast again."""

    @formula("nadam._single_tensor_nadam")
    def ahead(original, *args, momentum_decay, **kwargs):
        original(*args, momentum_decay=momentum_decay * 1.5, **kwargs)


@fault("optim.ASGD", "steps", level=3, green=("foreach", *MACHINERY))
def averaging_begins_late():
    """ASGD begins to average one step after t0."""

    @formula("asgd._single_tensor_asgd")
    def late(original, *args, t0, **kwargs):
        original(*args, t0=t0 + 1, **kwargs)


@fault("optim.SparseAdam", "sparse", "steps", green=MACHINERY)
def rows_that_repeat_counted_once():
    """Of a row that a sparse gradient has twice, only one is taken."""

    @formula("_functional.sparse_adam")
    def once(original, params, grads, *args, **kwargs):
        original(params, [_distinct(g) for g in grads], *args, **kwargs)


def _distinct(g):
    rows, values = g._indices()[0].tolist(), g._values()
    last = sorted({row: i for i, row in enumerate(rows)}.values())
    return torch.sparse_coo_tensor(g._indices()[:, last], values[last], g.shape)


@fault("optim.Adafactor", "steps", green=MACHINERY)
def update_never_clipped():
    """Adafactor's clipping threshold is ignored."""

    @formula("_adafactor._single_tensor_adafactor")
    def unclipped(original, *args, d, **kwargs):
        original(*args, d=1e9, **kwargs)


@fault("optim.Muon", "steps", green=MACHINERY)
def buffer_halved():
    """Muon forgets a half of its buffer in each step."""

    @formula("_muon._single_tensor_muon")
    def twice(original, params, grads, buffers, **kwargs):
        for b in buffers:
            b.mul_(0.5)
        original(params, grads, buffers, **kwargs)
