"""The checks that compare numbers: a form, and what the reference wants of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.bridge import Bound
from conformance.checks import forms
from conformance.checks.check import REGISTRY, Check, Evidence, Form, Trial, Want
from conformance.checks.wants import (
    BOTH,
    FORWARD,
    NO_DERIVATIVE,
    ONCE,
    SECOND,
    THIRD,
    broadcasts,
    forward_once,
    has_third,
    is_empty,
    is_scalar,
    second_forward_is_small,
    second_order,
    several_inputs,
    several_outputs,
    twice,
    wants_gradients,
    wants_outputs,
    wants_reverse_over_forward,
    wants_reverse_over_reverse,
    wants_second,
    wants_second_forward,
    wants_tangents,
    wants_third,
    wants_undefined,
    wants_zero,
)
from conformance.compare import Mismatch
from conformance.oracle import Oracle


def numeric(
    name: str,
    form: Form,
    wants: Callable[[Oracle], list[Want]],
    levels: dict[str, int],
    doc: str,
    adapt: Callable[[Trial], Bound] | None = None,
    written: bool = False,
    **options: Any,
) -> Check:
    """Register a check that runs a form and compares what it returns."""

    def run(trial: Trial) -> None:
        bound = adapt(trial) if adapt else trial.bound()
        trial.run(form, bound, wants(bound.oracle), written)

    run.__doc__ = doc
    if options.setdefault("applies", forward_once) is forward_once:
        options.setdefault("absent", NO_DERIVATIVE)
    REGISTRY[name] = made = Check(name, run, levels, **options)
    return made


def _value(trial: Trial) -> None:
    """Every output, those of integers too."""
    bound = trial.bound()
    o = trial.oracle
    many = len(o.outs) > 1
    bound.ys = list(range(len(o.outs)))
    wants: list[Want] = [(f"output {i}" if many else "output", o.value, i) for i in bound.ys]
    trial.evidence = Evidence(forms.value, bound, wants)
    if trial.announce:
        trial.announce(trial)
    outs = bound.outputs(*bound.xs)
    if len(outs) != len(o.outs):
        raise Mismatch(f"{len(outs)} outputs, expected {len(o.outs)}")
    for i, (found, want) in enumerate(zip(outs, wants)):
        trial.evidence.place = i
        trial.match(found, want)


REGISTRY["value"] = Check("value", _value, BOTH)
numeric("vjp", forms.vjp, wants_gradients, BOTH, "The gradients under a random cotangent.")
numeric("jvp", forms.jvp, wants_tangents, FORWARD, "Forward mode under random tangents.")

for _name, _form, _wants in (
    ("reverse_over_reverse", forms.reverse_over_reverse, wants_reverse_over_reverse),
    ("forward_over_reverse", forms.forward_over_reverse, wants_second),
    ("reverse_over_forward", forms.reverse_over_forward, wants_reverse_over_forward),
):
    numeric(_name, _form, _wants, SECOND, "A second derivative, by composing the two modes.", needs=second_order)
numeric(
    "forward_over_forward", forms.forward_over_forward, wants_second_forward, SECOND,
    "A second derivative, forward mode twice.", needs=second_order, applies=second_forward_is_small,
    absent="the op has no derivative, or no case is small enough",
)  # fmt: skip
for _name, _form, _doc in (
    ("third_reverse", forms.third_reverse, "A third derivative, reverse mode three times."),
    ("third_forward", forms.third_forward, "A third derivative, forward mode over reverse mode twice."),
):
    numeric(
        _name, _form, wants_third, THIRD, _doc, regime="generic", needs=second_order, applies=has_third,
        absent="the op has no derivative, or no case is smooth as far as a difference reaches",
    )  # fmt: skip

numeric(
    "subset", forms.subset, wants_gradients, ONCE, "Each input alone requires grad.",
    applies=several_inputs, absent="no case has two differentiable inputs",
)  # fmt: skip
numeric(
    "undefined_cotangents", forms.undefined_cotangents, wants_undefined, ONCE,
    "Each output alone has a cotangent, the others none.",
    applies=several_outputs, absent="no case has two differentiable outputs",
)  # fmt: skip
numeric("zero_cotangents", forms.zero_cotangents, wants_zero, ONCE, "A zero cotangent gives zero gradients.")
numeric("accumulate", forms.accumulate, wants_gradients, ONCE, "Two backward passes add up in .grad.")
numeric("batched_grad", forms.batched_grad, twice(wants_gradients), ONCE, "Several cotangents in one batch.")
numeric("func_vjp", forms.func_vjp, wants_gradients, ONCE, "torch.func.vjp.")
numeric("func_jvp", forms.func_jvp, wants_tangents, ONCE, "torch.func.jvp.")
numeric(
    "func_jacrev",
    forms.func_jacrev,
    wants_tangents,
    {"float32": 3, "float64": 3},
    "torch.func.jacrev times a tangent.",
)
numeric(
    "func_jacfwd",
    forms.func_jacfwd,
    wants_tangents,
    {"float32": 3, "float64": 3},
    "torch.func.jacfwd times a tangent.",
)
numeric("checkpoint", forms.checkpoint, wants_gradients, ONCE, "Recomputed under torch.utils.checkpoint.")
numeric(
    "checkpoint_reentrant",
    forms.checkpoint_reentrant,
    wants_gradients,
    {"float32": 3},
    "Recomputed, reentrant.",
)
numeric("saved_tensor_hooks", forms.saved_tensor_hooks, wants_gradients, ONCE, "Saved tensors packed as copies.")
numeric("save_on_cpu", forms.save_on_cpu, wants_gradients, {"float32": 3}, "Saved tensors kept on the CPU.")
for _name, _form, _mode, _level in (
    ("compile", forms.compiled_aot_eager, "aot_eager", 2),
    ("compile_inductor", forms.compiled_inductor, "inductor", 4),
):
    numeric(
        _name, _form, lambda o: [*wants_outputs(o), *wants_gradients(o)], {"float32": _level, "float64": 4},
        f"Compiled by torch.compile with the backend {_mode}: value and gradients.", modes=(_mode,), written=True,
        applies=None,
    )  # fmt: skip


# sizes

numeric(
    "zero_size", forms.value_and_vjp, lambda o: [*wants_outputs(o), *wants_gradients(o)], {"float32": 2, "float64": 3},
    "Tensors with no elements.", regime="empty", applies=is_empty, absent="no case of this op has an empty tensor",
)  # fmt: skip
numeric(
    "scalar", forms.value_and_vjp, lambda o: [*wants_outputs(o), *wants_gradients(o)], {"float32": 2, "float64": 3},
    "0-d tensors.", regime="scalar", applies=is_scalar, absent="no case of this op has a 0-d tensor",
)  # fmt: skip
numeric(
    "edges", forms.value_and_vjp, lambda o: [*wants_outputs(o), *wants_gradients(o)], ONCE,
    "Sizes around the widths of vector registers.", regime="edges", applies=None,
)  # fmt: skip
numeric(
    "broadcast", forms.value_and_vjp, lambda o: [*wants_outputs(o), *wants_gradients(o)], ONCE,
    "Operands of different shapes.", applies=broadcasts, absent="no case broadcasts its operands",
)  # fmt: skip
