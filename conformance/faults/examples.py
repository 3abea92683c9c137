"""Faults that the classic examples see: in how modules are put together, shared and listened to."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from conformance.faults.fault import fault, replace, rewired


@fault("examples.residual_with_hook", "value", "through_module")
def hook_stays():
    """A handle that is removed leaves its hook in place."""
    RemovableHandle.remove = lambda self: None  # type: ignore[method-assign]


@fault("examples.residual_with_hook", "vjp", "through_module", green=("value",))
def hook_sees_a_copy():
    """A forward hook gets an output that is cut off from the graph by half."""

    @replace("nn.Module.register_forward_hook")
    def register(original, self, hook, **options):
        return original(self, lambda m, args, out: hook(m, args, (out + out.detach()) / 2), **options)


@fault("examples.perceptron", "vjp", "through_module", green=("value",))
def expanded_gradient_of_one_row():
    """The gradient of an expanded vector is that of its first row."""

    def backward(gs, xs, needed):
        return gs[0][:1].sum(0), None

    expand = rewired(lambda b, x: b + 0 * x, backward)
    torch.Tensor.expand_as = lambda self, other: expand(self, other.detach())  # type: ignore[method-assign, assignment]


@fault("examples.module_list", "value", "vjp", "through_module")
def every_second_module_skipped():
    """Going through a ModuleList leaves out what stands at odd places."""
    nn.ModuleList.__iter__ = lambda self: iter(list(self._modules.values())[::2])  # type: ignore[method-assign]


@fault("examples.sequential.ordered_dict", "value", "through_module")
def run_by_name():
    """Modules with names run in the order of the alphabet."""

    @replace("nn.Sequential.forward")
    def forward(original, self, input):
        for name in sorted(self._modules):
            input = self._modules[name](input)
        return input


@fault("examples.sequential.add_module", "value", "through_module")
def added_last_run_first():
    """What is added by name runs in front of what was there."""

    @replace("nn.Sequential.forward")
    def forward(original, self, input):
        for name in sorted(self._modules, key=str.isdigit)[::-1]:
            input = self._modules[name](input)
        return input


@fault("examples.sequential.positional", "vjp", "through_module", green=("value",))
def statistics_as_constants():
    """The gradient of BatchNorm2d takes the statistics of the batch as constants."""

    @replace("nn.BatchNorm2d.forward")
    def forward(original, self, x):
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        scale = self.weight[None, :, None, None] / (var + self.eps).sqrt().detach()
        return (x - mean.detach()) * scale + self.bias[None, :, None, None]


@fault("examples.shared_layers", "through_module", green=("value", "vjp"))
def last_use_alone():
    """A module that a Sequential has several times gets the gradient of its first use alone."""

    @replace("nn.Sequential.forward")
    def forward(original, self, input):
        seen = set()
        for module in self:
            plain = {n: p.detach() for n, p in module.named_parameters()}
            again = id(module) in seen and plain
            input = torch.func.functional_call(module, plain, (input,)) if again else module(input)
            seen.add(id(module))
        return input


@fault("examples.lenet.functional", "vjp", "through_module", green=("value",))
def functional_relu_leaks():
    """The gradient of nn.functional.relu passes by a tenth where the input is negative."""

    @replace("nn.functional.relu")
    def relu(original, input, inplace=False):
        leaking = torch.nn.functional.leaky_relu(input, 0.1)
        return leaking + (original(input) - leaking).detach()


@fault("examples.lenet.modules", "vjp", "through_module", green=("value",))
def pooled_gradient_spread():
    """The gradient of MaxPool2d is spread over its window."""

    @replace("nn.MaxPool2d.forward")
    def forward(original, self, input):
        mean = torch.nn.functional.avg_pool2d(input, self.kernel_size, self.stride)
        return mean + (original(self, input) - mean).detach()


@fault("nn.init.nn.Module.apply", "initial_values_are_set_by_apply")
def apply_without_children():
    """apply calls the function with the module alone, not with those inside."""

    @replace("nn.Module.apply")
    def apply(original, self, fn):
        fn(self)
        return self
