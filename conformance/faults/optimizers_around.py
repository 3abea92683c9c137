"""Faults in what optimizers do around their formulas: groups, gradients, states, copies, hooks."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault
from conformance.faults.optimizers import MACHINERY, formula, method


@fault("optim.SGD", "groups", "copies", green=("steps", *MACHINERY))
def options_of_the_first_group():
    """Every group is trained with the learning rate of the first."""

    @method("SGD.step")
    def step(original, self, closure=None):
        kept = [g["lr"] for g in self.param_groups]
        for g in self.param_groups:
            g["lr"] = kept[0]
        loss = original(self, closure)
        for g, lr in zip(self.param_groups, kept):
            g["lr"] = lr
        return loss


@fault("optim.Rprop", "missing_gradients", "closure", green=("steps", "maximize", *MACHINERY))
def missing_gradient_is_zero():
    """A gradient of None counts as zeros."""

    @method("Rprop.step")
    def step(original, self, closure=None):
        def filled():
            loss = closure() if closure else None
            for g in self.param_groups:
                for p in g["params"]:
                    p.grad = torch.zeros_like(p) if p.grad is None else p.grad
            return loss

        return original(self, filled)


@fault("optim.Adagrad", "maximize", level=3, green=("steps", *MACHINERY))
def maximize_after_decay():
    """maximize turns weight decay round as well."""

    @formula("adagrad._single_tensor_adagrad")
    def after(original, *args, maximize, weight_decay, **kwargs):
        original(*args, maximize=maximize, weight_decay=-weight_decay if maximize else weight_decay, **kwargs)


@fault("optim.RMSprop", "complex_parameters", green=("steps", "groups", *MACHINERY))
def imaginary_part_lost():
    """The imaginary part of a complex gradient is left out."""

    @formula("rmsprop._single_tensor_rmsprop")
    def real(original, params, grads, *args, **kwargs):
        original(params, [torch.complex(g.real, g.real * 0) if g.is_complex() else g for g in grads], *args, **kwargs)


@fault("optim.Adam", "tensor_lr", green=("steps", "groups", *MACHINERY))
def tensor_lr_halved():
    """A learning rate that is a tensor is halved by each step."""

    @method("Adam.step")
    def step(original, self, closure=None):
        loss = original(self, closure)
        for g in self.param_groups:
            if torch.is_tensor(g["lr"]):
                g["lr"].mul_(0.5)
        return loss


@fault("optim.Adadelta", "differentiable", green=("steps", *MACHINERY))
def gradient_cut():
    """The differentiable form takes the gradient as a constant."""

    @formula("adadelta._single_tensor_adadelta")
    def cut(original, params, grads, *args, differentiable, **kwargs):
        grads = [g.detach() for g in grads] if differentiable else grads
        original(params, grads, *args, differentiable=differentiable, **kwargs)


@fault("optim.NAdam", "state_dict", green=("steps", "copies", *MACHINERY))
def steps_begin_again():
    """load_state_dict begins to count at 0."""

    @method("NAdam.load_state_dict")
    def load(original, self, state):
        original(self, state)
        for s in self.state.values():
            s["step"] = torch.zeros_like(s["step"])


@fault("optim.RMSprop", "state_cast", green=("steps", "state_dict", *MACHINERY))
def state_loaded_as_it_was():
    """load_state_dict does not cast the state to the dtype of the parameters."""

    @method("RMSprop.load_state_dict")
    def load(original, self, state):
        original(self, state)
        for s in self.state.values():
            s["square_avg"] = s["square_avg"].float()


@fault("optim.Adam", "mixed_dtypes", green=("steps", "foreach", *MACHINERY))
def first_dtype_alone():
    """Parameters of another dtype than the first are left out."""

    @method("Adam.step")
    def step(original, self, closure=None):
        first = self.param_groups[0]["params"][0].dtype
        for g in self.param_groups:
            for p in g["params"]:
                p.grad = p.grad if p.dtype == first else None
        return original(self, closure)


@fault("optim.SGD", "copies", green=("steps", "state_dict", *MACHINERY))
def copy_at_half_the_rate():
    """What is unpickled (or copied) has half the rate."""

    @method("SGD.__setstate__")
    def setstate(original, self, state):
        original(self, state)
        for g in self.param_groups if "defaults" in state else ():
            g["lr"] = 0.5 * g["lr"]


@fault("optim.Adam", "hooks", green=("steps", "state_dict", "closure"))
def post_hook_runs_twice():
    """A hook that runs after the step runs twice."""

    @method("Adam.register_step_post_hook")
    def register(original, self, hook):
        return original(self, lambda *args: (hook(*args), hook(*args))[-1] and None)


@fault("optim.RAdam", "closure", green=("steps", "state_dict", "hooks"))
def closure_called_twice():
    """The closure is evaluated once more after the step."""

    @method("RAdam.step")
    def step(original, self, closure=None):
        loss = original(self, closure)
        return loss if closure is None else closure()


@fault("optim.Adamax", "zero_grad", green=("steps", "hooks", "errors"))
def zeros_are_none():
    """zero_grad(set_to_none=False) sets gradients to None all the same."""

    @method("Adamax.zero_grad")
    def zero_grad(original, self, set_to_none=True):
        return original(self, True)


@fault("optim.SGD", "sparse", green=("steps", "groups", *MACHINERY))
def last_row_lost():
    """A sparse gradient loses its last row."""

    @formula("sgd._single_tensor_sgd")
    def shorter(original, params, grads, *args, **kwargs):
        original(params, [_shorter(g) if g.is_sparse else g for g in grads], *args, **kwargs)


def _shorter(g):
    return torch.sparse_coo_tensor(g._indices()[:, :-1], g._values()[:-1], g.shape)


@fault("optim.RMSprop", "empty", green=("steps", "groups", *MACHINERY))
def empty_has_no_state():
    """A parameter without elements is passed over."""

    @method("RMSprop.step")
    def step(original, self, closure=None):
        for g in self.param_groups:
            for p in g["params"]:
                p.grad = p.grad if p.numel() else None
        return original(self, closure)


@fault("optim.ASGD", "errors", green=("steps", "hooks", "zero_grad"))
def negative_rate_accepted():
    """A negative learning rate is taken for its size."""

    @method("ASGD.__init__")
    def init(original, self, params, lr=1e-2, **kwargs):
        original(self, params, lr=lr if torch.is_tensor(lr) else abs(lr), **kwargs)
