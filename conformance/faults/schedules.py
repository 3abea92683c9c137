"""Faults in schedules: curves, resuming, tensors as rates."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault
from conformance.faults.optimizers import method

OPTIONS = {"dtypes": ("float64", "float32")}


@fault("optim.lr_scheduler.CosineAnnealingLR", "curve", "groups", green=("last_lr",), **OPTIONS)
def annealed_to_zero():
    """The cosine ends at 0, whatever eta_min is."""

    @method("lr_scheduler.CosineAnnealingLR.__init__")
    def init(original, self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        original(self, optimizer, T_max, 0.5 * eta_min + 1e-9, last_epoch)


@fault("optim.lr_scheduler.MultiStepLR", "curve", green=("last_lr",), **OPTIONS)
def milestone_counted_once():
    """A milestone that is given twice counts once."""

    @method("lr_scheduler.MultiStepLR.__init__")
    def init(original, self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        original(self, optimizer, sorted(set(milestones)), gamma, last_epoch)


@fault("optim.lr_scheduler.CyclicLR", "curve", green=("last_lr",), **OPTIONS)
def momentum_not_cycled():
    """The momentum stays where it began."""

    @method("lr_scheduler.CyclicLR.__init__")
    def init(original, self, optimizer, *args, cycle_momentum=True, **kwargs):
        original(self, optimizer, *args, cycle_momentum=False, **kwargs)


@fault("optim.lr_scheduler.LinearLR", "groups", green=("curve", "last_lr"), **OPTIONS)
def second_group_left_behind():
    """The second group does not follow."""

    @method("lr_scheduler.LinearLR.get_lr")
    def get_lr(original, self):
        lrs = original(self)
        return [lrs[0], *(g["lr"] for g in self.optimizer.param_groups[1:])]


@fault("optim.lr_scheduler.LambdaLR", "resumed", green=("curve", "groups", "last_lr"), **OPTIONS)
def resumed_one_step_late():
    """A schedule that was loaded is one step behind."""

    @method("lr_scheduler.LambdaLR.load_state_dict")
    def load(original, self, state):
        original(self, state)
        self.last_epoch -= 1


@fault("optim.lr_scheduler.StepLR", "last_epoch", green=("curve", "resumed", "last_lr"), **OPTIONS)
def last_epoch_ignored():
    """last_epoch is not read."""

    @method("lr_scheduler.StepLR.__init__")
    def init(original, self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        original(self, optimizer, step_size, gamma, -1 if last_epoch < 0 else last_epoch + 1)


@fault("optim.lr_scheduler.ExponentialLR", "tensor_lr", green=("curve", "groups", "resumed"), **OPTIONS)
def tensor_replaced():
    """A rate that is a tensor is replaced by another."""

    @method("lr_scheduler.ExponentialLR.step")
    def step(original, self, epoch=None):
        original(self, epoch)
        for g in self.optimizer.param_groups:
            g["lr"] = g["lr"].clone() if torch.is_tensor(g["lr"]) else g["lr"]


@fault("optim.lr_scheduler.ConstantLR", "last_lr", green=("curve", "groups", "resumed"), **OPTIONS)
def last_lr_is_the_base():
    """get_last_lr() gives the initial rates."""

    @method("lr_scheduler.ConstantLR.get_last_lr")
    def get_last_lr(original, self):
        return self.base_lrs


@fault("optim.lr_scheduler.ReduceLROnPlateau", "curve", "resumed", green=("last_lr",), **OPTIONS)
def no_cooldown():
    """The measurements of the cooldown count."""

    @method("lr_scheduler.ReduceLROnPlateau.__init__")
    def init(original, self, optimizer, *args, cooldown=0, **kwargs):
        original(self, optimizer, *args, cooldown=0, **kwargs)


@fault("optim.lr_scheduler.OneCycleLR", "errors", green=("curve", "resumed"), **OPTIONS)
def any_share_accepted():
    """pct_start is not looked at."""

    @method("lr_scheduler.OneCycleLR.__init__")
    def init(original, self, optimizer, max_lr, *args, pct_start=0.3, **kwargs):
        original(self, optimizer, max_lr, *args, pct_start=min(pct_start, 1.0), **kwargs)


@fault("optim.lr_scheduler.ChainedScheduler", "curve", "groups", **OPTIONS)
def chain_of_one():
    """The last of the chained schedules alone goes on."""

    @method("lr_scheduler.ChainedScheduler.step")
    def step(original, self):
        self._schedulers[-1].step()
        self._last_lr = [g["lr"] for g in self.optimizer.param_groups]


@fault("optim.lr_scheduler.CosineAnnealingWarmRestarts", "curve", "groups", green=("last_lr",), **OPTIONS)
def periods_do_not_grow():
    """Every period is as long as the first, whatever T_mult is."""

    @method("lr_scheduler.CosineAnnealingWarmRestarts.__init__")
    def init(original, self, optimizer, T_0, T_mult=1, *args, **kwargs):
        original(self, optimizer, T_0, min(T_mult, 1), *args, **kwargs)


@fault("optim.lr_scheduler.MultiplicativeLR", "curve", "groups", **OPTIONS)
def factors_of_the_base():
    """The factor is of the initial rate, not of the current one."""

    @method("lr_scheduler.MultiplicativeLR.get_lr")
    def get_lr(original, self):
        last = max(self.last_epoch, 0)
        return [base * (f(last) if last else 1.0) for base, f in zip(self.base_lrs, self.lr_lambdas)]


@fault("optim.lr_scheduler.PolynomialLR", "curve", "groups", green=("last_lr",), **OPTIONS)
def always_a_line():
    """The rate falls along a line, whatever the power is."""

    @method("lr_scheduler.PolynomialLR.__init__")
    def init(original, self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        original(self, optimizer, total_iters, 1.0, last_epoch)


@fault("optim.lr_scheduler.SequentialLR", "curve", "groups", green=("last_lr",), **OPTIONS)
def milestones_one_late():
    """The next schedule takes over one step late."""

    @method("lr_scheduler.SequentialLR.__init__")
    def init(original, self, optimizer, schedulers, milestones, last_epoch=-1):
        original(self, optimizer, schedulers, [m + 1 for m in milestones], last_epoch)


@fault("optim.swa_utils.SWALR", "curve", "groups", green=("last_lr",), **OPTIONS)
def always_annealed_by_cosine():
    """The strategy "linear" is not looked at."""

    @method("swa_utils.SWALR.__init__")
    def init(original, self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        original(self, optimizer, swa_lr, anneal_epochs, "cos", last_epoch)
