"""Faults that whole trainings show."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault, replace
from conformance.faults.optimizers import method

BOTH = {"dtypes": ("float64", "float32")}


@fault("programs.residual", "parameters", "accuracy", green=("losses",), **BOTH)
def evaluated_with_batch_statistics():
    """A batch norm takes the statistics of the batch in evaluation too."""

    @replace("nn.functional.batch_norm")
    def norm(original, x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        if training:
            return original(x, mean, var, weight, bias, True, momentum, eps)
        return original(x, None, None, weight, bias, True, 0.0, eps)


@fault("programs.residual", "parameters", green=("losses",), **BOTH)
def running_variance_biased():
    """The running variance of a batch norm follows the biased one."""

    @replace("nn.functional.batch_norm")
    def norm(original, x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        before = var.clone()
        out = original(x, mean, var, weight, bias, training, momentum, eps)
        if training:
            count = x.numel() // x.shape[1]
            kept = (1 - momentum) * before
            var.data.copy_(kept + (var - kept) * (count - 1) / count)
        return out


@fault("programs.lstm", "losses", "parameters", **BOTH)
def clipped_by_the_largest():
    """clip_grad_norm_ takes the largest gradient for the norm of all."""

    @replace("nn.utils.clip_grad_norm_")
    def clip(original, parameters, max_norm, norm_type=2.0, *args, **kwargs):
        return original(parameters, max_norm, float("inf"), *args, **kwargs)


@fault("programs.transformer", "losses", "parameters", **BOTH)
def warmed_up_one_step_late():
    """The linear schedule stays at its first rate for one step more."""

    @method("lr_scheduler.LinearLR.step")
    def step(original, self, epoch=None):
        if getattr(self, "waited", False) or self.last_epoch < 0:
            return original(self)
        self.waited = True


@fault("programs.optimized.SGD", "losses", "parameters", **BOTH)
def decay_forgotten_after_ten_steps():
    """SGD leaves its weight decay out from the eleventh step on."""

    @method("SGD.step")
    def step(original, self, closure=None):
        self.count = getattr(self, "count", 0) + 1
        for group in self.param_groups if self.count > 10 else ():
            group["weight_decay"] = 0.0
        with torch.enable_grad():
            return original(self, closure)
