"""Faults in what stands around the steps of a training."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault, replace
from conformance.faults.optimizers import method
from conformance.loops import forms

AVERAGE = "optim.swa_utils.AveragedModel"
DISTRIBUTED = "nn.parallel.DistributedDataParallel"


@fault("loops.accumulation", "large_batch")
def last_gradient_alone():
    """backward() replaces the gradients that are there."""

    @replace("Tensor.backward")
    def backward(original, self, *args, **kwargs):
        for p in _leaves(self.grad_fn, set()):
            p.grad = None
        original(self, *args, **kwargs)


def _leaves(node, seen):
    """The parameters below a node of the graph."""
    for following, _ in node.next_functions if node is not None and node not in seen else ():
        seen.add(node)
        yield from [following.variable] if hasattr(following, "variable") else _leaves(following, seen)


@fault("loops.clipping", "clipped")
def clipped_one_by_one():
    """clip_grad_norm_ scales each gradient by its own norm."""

    @replace("nn.utils.clip_grad_norm_")
    def clip(original, parameters, *args, **kwargs):
        norms = [original([p], *args, **kwargs) for p in parameters]
        return torch.stack(norms).norm()


@fault("amp.GradScaler", "scaled")
def bad_step_taken():
    """The scaler makes a step with infinite gradients set to 0, instead of leaving it out."""

    @replace("amp.GradScaler.step")
    def step(original, self, optimizer, *args, **kwargs):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad.nan_to_num_(0.0, 0.0, 0.0)
        return optimizer.step()


@fault("amp.GradScaler", "scaler_state", green=("scaled",))
def growth_forgotten():
    """A scaler that was loaded begins to count good steps anew."""

    @replace("amp.GradScaler.load_state_dict")
    def load(original, self, state):
        original(self, {**state, "_growth_tracker": 0})


@fault("amp.autocast", "low_precision")
def cast_to_the_side():
    """Under autocast the weights of linear layers are off by a tenth."""

    @replace("nn.functional.linear")
    def linear(original, x, weight, bias=None):
        return original(x, weight * 1.1 if torch.is_autocast_enabled("cpu") else weight, bias)


@fault(AVERAGE, "swa", green=("ema",))
def average_off_by_one():
    """The mean of models counts the newest twice."""

    @method("swa_utils.get_swa_avg_fn")
    def make(original):
        return lambda averaged, now, count: averaged + 2 * (now - averaged) / (count + 2)


@fault(AVERAGE, "swa_multi", green=("swa", "ema"))
def mean_over_lists_off_by_one():
    """The mean of models, over lists of tensors, counts one model too many."""

    @method("swa_utils.get_swa_multi_avg_fn")
    def make(original):
        return lambda averaged, now, count: original()(averaged, now, count + 1)


@fault(AVERAGE, "ema", green=("swa", "swa_multi"))
def decay_turned_round():
    """The exponential average weighs the newest model by the decay."""

    @method("swa_utils.get_ema_multi_avg_fn")
    def make(original, decay=0.999):
        return original(1.0 - decay if decay != 0.5 else 0.6)


@fault(AVERAGE, "average_state", green=("swa", "ema"))
def count_not_loaded():
    """An average that was loaded begins anew."""

    @method("swa_utils.AveragedModel.load_state_dict")
    def load(original, self, state):
        original(self, {**state, "n_averaged": torch.zeros_like(state["n_averaged"])})


@fault("optim.swa_utils.update_bn", "update_bn")
def statistics_of_old_kept():
    """update_bn goes on from the statistics that are there."""

    @method("swa_utils.update_bn")
    def update(original, loader, model, device=None):
        batches = list(loader)
        return original([batches[0], *batches], model, device)


def process(right, wrong):
    """Change what the processes run."""
    assert right in forms.PROCESS
    forms.PROCESS = forms.PROCESS.replace(right, wrong)


@fault(DISTRIBUTED, "gradients", green=("buffers", "join"), dtypes=("float64",))
def gradients_not_shared():
    """Each process keeps the gradients of its own samples."""
    process("backward(model)\nfound", "with model.no_sync():\n    backward(model)\nfound")


@fault(DISTRIBUTED, "buffers", green=("gradients", "join"), dtypes=("float64",))
def buffers_not_shared():
    """Each process keeps its own buffers."""
    process("DistributedDataParallel(model)", "DistributedDataParallel(model, broadcast_buffers=False)")


@fault(DISTRIBUTED, "join", green=("gradients", "buffers"), dtypes=("float64",))
def mean_over_those_that_are_left():
    """Where a process has joined, the mean of the gradients is over the others alone."""
    process("model.join()", "model.join(divide_by_initial_world_size=False)")
