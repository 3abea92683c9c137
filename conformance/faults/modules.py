"""Faults in modules: parameters, buffers, state, copies, casts and modes."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import copy

import torch
from torch import nn

from conformance.faults.fault import fault, replace


@fault("nn.Linear", "module", green=("value", "parameters", "state_dict"))
def bias_detached():
    """Linear computes with a bias that is cut off from the graph."""

    @replace("nn.Linear.forward")
    def forward(original, self, input):
        bias = None if self.bias is None else self.bias.detach()
        return nn.functional.linear(input, self.weight, bias)


@fault("nn.BatchNorm2d", "parameters", green=("value", "vjp", "module"))
def variance_begins_at_zero():
    """The running variance begins at 0, not at 1."""

    @replace("nn.modules.batchnorm._NormBase.reset_running_stats")
    def reset_running_stats(original, self):
        original(self)
        if self.running_var is not None:
            self.running_var.zero_()


@fault("nn.Linear", "initial", green=("value", "module", "parameters"))
def fan_out_for_fan_in():
    """Initial weights are a tenth too large."""

    @replace("nn.Linear.reset_parameters")
    def reset_parameters(original, self):
        original(self)
        with torch.no_grad():
            self.weight.mul_(1.1)


@fault("nn.BatchNorm1d", "buffers", green=("value", "vjp", "parameters"))
def momentum_of_the_other_side():
    """The running statistics keep what they should take of a batch."""

    @replace("nn.functional.batch_norm")
    def batch_norm(original, input, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
        return original(input, mean, var, weight, bias, training, 1 - momentum, eps)


@fault("nn.Linear", "state_dict", green=("value", "copies"), wide=True)
def strict_is_ignored():
    """load_state_dict passes over keys that it does not know."""

    @replace("nn.Module.load_state_dict")
    def load_state_dict(original, self, state, strict=True, assign=False):
        return original(self, state, False, assign)


@fault("nn.Linear", "copies", green=("value", "vjp", "casts"), wide=True)
def copies_share_parameters():
    """A deep copy of a module has the original's parameters."""

    def shallow(self, memo):
        made = copy.copy(self)
        made._parameters = dict(self._parameters)
        return made

    nn.Module.__deepcopy__ = shallow  # type: ignore[attr-defined]


@fault("nn.BatchNorm2d", "casts", green=("value", "vjp"), wide=True)
def buffers_left_behind():
    """to(dtype) converts parameters and forgets buffers."""

    @replace("nn.Module.to")
    def to(original, self, *args, **kwargs):
        kept = {n: b for n, b in self._buffers.items() if b is not None and args == (torch.float64,)}
        original(self, *args, **kwargs)
        self._buffers.update(kept)
        return self


@fault("nn.Linear", "factory", green=("value", "vjp", "parameters"))
def dtype_dropped():
    """The constructor takes a dtype and does not use it."""

    @replace("nn.Linear.__init__")
    def init(original, self, in_features, out_features, bias=True, device=None, dtype=None):
        original(self, in_features, out_features, bias, device)


@fault("nn.Linear", "representation", green=("value", "vjp"))
def option_not_shown():
    """repr leaves out that there is no bias."""

    @replace("nn.Linear.extra_repr")
    def extra_repr(original, self):
        return f"in_features={self.in_features}, out_features={self.out_features}"


@fault("nn.BatchNorm2d", "freezing", green=("value", "vjp"), wide=True)
def last_parameter_not_frozen():
    """requires_grad_ passes over the last parameter."""

    @replace("nn.Module.requires_grad_")
    def requires_grad_(original, self, requires_grad=True):
        for p in list(self.parameters())[:-1]:
            p.requires_grad_(requires_grad)
        return self


@fault("nn.Linear", "modes", green=("value", "vjp"), wide=True)
def eval_without_effect():
    """eval() returns the module as it was."""

    @replace("nn.Module.eval")
    def eval(original, self):
        return self


@fault("nn.Linear", "meta", green=("value", "vjp", "casts"), wide=True)
def brought_back_in_single():
    """to_empty gives half of the precision that the module had."""

    @replace("nn.Module.to_empty")
    def to_empty(original, self, *, device, recurse=True):
        return original(self, device=device, recurse=recurse).bfloat16()


@fault("nn.Linear", "no_batch", green=("parameters",))
def batch_added():
    """Linear gives one vector a batch of one."""

    @replace("nn.Linear.forward")
    def forward(original, self, input):
        out = original(self, input)
        return out[None] if input.dim() == 1 else out


@fault("nn.MultiheadAttention", "fast_path", green=("vjp", "parameters"))
def fused_attention_off():
    """The fused kernel of attention, which only runs where no gradient is asked for, is off by a hundredth."""

    @replace("_native_multi_head_attention")
    def attention(original, *args):
        out, weights = original(*args)
        return out * 1.01, weights


@fault("nn.LazyLinear", "lazy", green=("value", "vjp"))
def lazy_for_ever():
    """The first call makes the parameters of a lazy layer, and leaves it of its lazy class."""
    nn.LazyLinear.cls_to_become = None  # type: ignore[assignment]
