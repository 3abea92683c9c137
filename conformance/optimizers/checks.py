"""The checks of optimizers: each runs a form of conformance.optimizers.forms on a drawn run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from conformance import script
from conformance.checks.check import Unsupported
from conformance.optimizers import forms
from conformance.optimizers.trial import Trial, Word, made, parameters_of
from reference.optim import Optimizer
from reference.rule import Case

LEVELS = {"float64": 2, "float32": 2}
LOW = {**LEVELS, "bfloat16": 3}  # in float16 the usual eps of 1e-8 is 0


@dataclasses.dataclass(frozen=True)
class Check:
    """A property of an optimizer.

    kind     the kind of run (reference.optim.drawing)
    complex  with complex parameters
    examples how many runs, as a part of the usual number
    needs    why this optimizer cannot have it, or ""
    prepare  changes the drawn case
    """

    name: str
    run: Callable[[Trial], None]
    levels: Mapping[str, int]
    kind: str = "steps"
    complex: bool = False
    examples: float = 1.0
    needs: Callable[[Optimizer], str] = lambda optimizer: ""
    prepare: Callable[[Case], Case] = lambda case: case


REGISTRY: dict[str, Check] = {}


def check(**options: Any) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    def register(run: Callable[[Trial], None]) -> Callable[[Trial], None]:
        options.setdefault("levels", LEVELS)
        REGISTRY[run.__name__] = Check(run.__name__, run, **options)
        return run

    return register


def takes(*names: str) -> Callable[[Optimizer], str]:
    """The constructor of this torch has these arguments, and the optimizer a rule of its own for them."""

    def needs(optimizer: Optimizer) -> str:
        missing = [n for n in names if n not in parameters_of(optimizer.name)]
        return f"torch.optim.{optimizer.name} has no argument {missing[0]}" if missing else ""

    return needs


@check(levels={"float64": 1, "float32": 1, "bfloat16": 3})
def steps(t: Trial) -> None:
    """After every step all parameters and every state tensor, by name, are those of the formula."""
    t.match(t.run(forms.steps), t.known(t.case))


@check(kind="groups")
def groups(t: Trial) -> None:
    """Parameter groups have options of their own, and one that is added later starts at its own step 1."""
    t.match(t.run(forms.steps), t.known(t.case))


@check(kind="missing")
def missing_gradients(t: Trial) -> None:
    """A gradient of None leaves a parameter and its state as they are; one of zeros does not."""
    t.match(t.run(forms.steps), t.known(t.case))


@check(needs=takes("maximize"), prepare=lambda case: Case(case.args, {**case.kwargs, "maximize": True}), examples=0.5)
def maximize(t: Trial) -> None:
    """maximize turns the gradient round, before anything else."""
    t.match(t.run(forms.steps), t.known(t.case))


@check(complex=True, needs=lambda o: "" if o.complex else "takes real parameters alone")
def complex_parameters(t: Trial) -> None:
    """A complex parameter is two real ones."""
    t.match(t.run(forms.steps), t.known(t.case))


@check(examples=0.5)
def tensor_lr(t: Trial) -> None:
    """A learning rate given as a tensor does what the number does, and is left alone."""
    lr = f"torch.tensor({t.case.kwargs.get('lr', 0.5)!r}, dtype=torch.{t.dtype.name})"
    case = Case(t.case.args, {**t.case.kwargs, "lr": float(t.dtype.round(np.asarray(t.case.kwargs.get("lr", 0.5))))})
    t.match(t.run(forms.lr_kept, {"lr": Word(lr)}), t.known(case))


@check(kind="empty", examples=0.5)
def empty(t: Trial) -> None:
    """A parameter without elements is trained like any other, and disturbs none."""
    t.match(t.run(forms.steps), t.known(t.case))


@check(kind="mixed", needs=takes("foreach"), levels=LOW)
def foreach(t: Trial) -> None:
    """The form over lists of tensors follows the same formula, for every tensor of the list."""
    t.match(t.run(forms.steps, {"foreach": True}), t.known(t.case))


@check(kind="mixed", needs=takes("fused"), levels=LOW)
def fused(t: Trial) -> None:
    """The fused kernel follows the same formula."""
    t.match(t.run(forms.steps, {"fused": True}), t.known(t.case))


@check(kind="missing", needs=takes("capturable"), examples=0.5)
def capturable(t: Trial) -> None:
    """The form whose step counts live on the device follows the same formula."""
    t.match(t.run(forms.steps, {"capturable": True}), t.known(t.case, tensors=True))


@check(kind="smooth", needs=takes("differentiable"), examples=0.5)
def differentiable(t: Trial) -> None:
    """The gradient through one step, and through two, is the derivative of the formula."""
    t.match(t.run(forms.differentiable, {"differentiable": True}), t.known(t.case, derivative=True))


@check(kind="missing")
def state_dict(t: Trial) -> None:
    """Saved and loaded in mid-run, in this form and in another, the run goes on; what is loaded shares nothing."""
    expected = t.known(t.case)
    for form in ("", "foreach", "fused"):
        if form and takes(form)(t.optimizer):
            continue
        flags = {form: True} if form else {}
        remake = made(t.optimizer.name, t.case, {**flags, **_again(t)}).split("\n\n\n")[0].replace("make", "remake", 1)
        try:
            found = t.run(forms.reloaded, more=remake, first=f"remake, {flags}, ")
        except Unsupported:  # the form
            continue
        t.match(found, expected)


@check(kind="missing", levels={"float32": 2})
def state_cast(t: Trial) -> None:
    """A state that is loaded for parameters of another dtype takes theirs."""
    t.match(t.run(forms.through_double), t.known(t.case))


@check(examples=0.5)
def mixed_dtypes(t: Trial) -> None:
    """One optimizer trains parameters of several dtypes, each as if it were alone; over lists too."""
    expected = t.known(t.case)
    t.match(t.run(forms.beside_others), expected)
    if not takes("foreach")(t.optimizer):
        t.match(t.run(forms.beside_others, {"foreach": True}), expected)


def _again(t: Trial) -> dict[str, Any]:
    """Other options than the run has: those that count come with the state."""
    return {"lr": 0.75 * t.case.kwargs.get("lr", 1.0)}


@check(examples=0.25)
def state_shared(t: Trial) -> None:
    """Two optimizers loaded from one state dict share nothing with each other, nor with the dict."""
    t.said(t.run(forms.shared))


@check(kind="groups", examples=0.5)
def copies(t: Trial) -> None:
    """A deep copy, and one through pickle, go on by themselves."""
    expected = t.known(t.case)
    t.match(t.run(forms.deep_copied), expected)
    t.match(t.run(forms.pickled), expected)


@check(kind="smooth", examples=0.25)
def hooks(t: Trial) -> None:
    """Hooks of step, state_dict and load_state_dict run once, in the documented order, until they are removed."""
    if not hasattr(torch.optim.Optimizer, "register_state_dict_pre_hook"):
        raise Unsupported("this torch has no hooks of state_dict")
    t.said(t.run(forms.hooks))


@check(kind="missing", examples=0.5)
def closure(t: Trial) -> None:
    """step(closure) evaluates it once with gradients enabled, uses its gradients, and returns its loss."""
    t.match(t.run(forms.with_closure), t.known(t.case))


@check(examples=0.25)
def zero_grad(t: Trial) -> None:
    """zero_grad() sets gradients to None; with set_to_none=False it fills them with zeros."""
    t.said(t.run(forms.zero_grad))


@check(kind="sparse", needs=lambda o: "" if o.sparse else "takes no sparse gradients")
def sparse(t: Trial) -> None:
    """A sparse gradient, whose rows may repeat, does what the formula says of its sum."""
    t.match(t.run(forms.steps), t.known(t.case))


@check(examples=0.25)
def errors(t: Trial) -> None:
    """Illegal hyper-parameters, and parameters that are none, raise."""
    name = t.optimizer.name
    known = parameters_of(name)
    calls = [(f"ps{_words(bad)}", "ValueError") for bad in t.optimizer.illegal if set(bad) <= set(known)]
    calls += [("[]", "ValueError"), ("ps[0]", "TypeError"), ("[1.0]", "TypeError"), ("[ps[0] * 2]", "ValueError")]
    calls += [("[{'params': ps}, {'params': ps}]", "ValueError"), ("[{'params': set(ps)}]", "TypeError")]
    calls += [("ps, lr=torch.tensor([0.1, 0.2])", "ValueError")]
    shape = tuple(np.shape(t.case.args[0][0]))
    setup = f"ps = [torch.ones({shape}, requires_grad=True)]"
    for arguments, kind in calls:
        t.said(*script.refused(setup, f"torch.optim.{name}({arguments})", kind))


def _words(options: dict[str, Any]) -> str:
    return "".join(f", {k}={v!r}" for k, v in options.items())
