"""Faults in L-BFGS: its memory, its line search, where it stops."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault
from conformance.faults.optimizers import formula, method

SUBJECT, OPTIONS = "optim.LBFGS", {"level": 3}


@fault(SUBJECT, "steps", green=("errors",), **OPTIONS)
def memory_one_pair_too_long():
    """L-BFGS remembers one pair more than history_size."""

    @method("LBFGS.step")
    def step(original, self, closure):
        group = self.param_groups[0]
        group["history_size"] += 1
        loss = original(self, closure)
        group["history_size"] -= 1
        return loss


@fault(SUBJECT, "missing_gradients", green=("steps", "stopped", "line_search"), **OPTIONS)
def missing_gradient_is_one():
    """L-BFGS takes a gradient of None for ones."""

    @method("LBFGS._gather_flat_grad")
    def gather(original, self):
        for p in self._params:
            p.grad = torch.ones_like(p) if p.grad is None else p.grad
        return original(self)


@fault(SUBJECT, "stopped", green=("steps", "state_dict", "line_search"), **OPTIONS)
def tolerance_of_the_gradient_ignored():
    """L-BFGS goes on where the gradient is within its tolerance."""

    @method("LBFGS.step")
    def step(original, self, closure):
        group = self.param_groups[0]
        kept, group["tolerance_grad"] = group["tolerance_grad"], 0.0
        loss = original(self, closure)
        group["tolerance_grad"] = kept
        return loss


@fault(SUBJECT, "line_search", green=("steps", "stopped", "state_dict"), **OPTIONS)
def curvature_condition_lost():
    """The line search takes any step that goes down enough, whatever the slope there is."""

    @formula("lbfgs._strong_wolfe")
    def search(original, *args, **kwargs):
        return original(*args, **{**kwargs, "c2": 1e9})


@fault(SUBJECT, "state_dict", green=("steps", "stopped", "line_search"), **OPTIONS)
def history_lost_on_loading():
    """What is loaded begins with an empty memory."""

    @method("LBFGS.load_state_dict")
    def load(original, self, state):
        original(self, state)
        for s in self.state.values():
            s["n_iter"] = 0


@fault(SUBJECT, "tensor_lr", green=("steps", "stopped", "line_search"), **OPTIONS)
def tensor_rate_is_one():
    """A learning rate that is a tensor counts as 1."""

    @method("LBFGS.step")
    def step(original, self, closure):
        group = self.param_groups[0]
        group["lr"] = 1.0 if torch.is_tensor(group["lr"]) else group["lr"]
        return original(self, closure)


@fault(SUBJECT, "errors", green=("steps", "stopped", "line_search"), **OPTIONS)
def several_groups_accepted():
    """L-BFGS takes several parameter groups, and trains the first."""

    @method("LBFGS.__init__")
    def init(original, self, params, *args, **kwargs):
        params = list(params)
        original(self, params[:1] if isinstance(params[0], dict) else params, *args, **kwargs)
