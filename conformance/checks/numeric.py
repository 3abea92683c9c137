"""The checks that compare numbers: a form, and what the reference wants of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.bridge import Bound, Spelling, resolve, tensor
from conformance.checks import forms, layouts
from conformance.checks.check import REGISTRY, Check, Evidence, Form, Trial, Unsupported, Want, changing, spelled
from conformance.compare import Mismatch
from conformance.gauges import GAUGES
from conformance.oracle import BASIS, Oracle
from conformance.target import Target
from reference.derive import Call
from reference.rule import Rule, is_array, is_inexact

BOTH = {"float64": 1, "float32": 1, "bfloat16": 2, "float16": 2, "complex128": 2, "complex64": 3}
FORWARD = {"float64": 2, "float32": 2, "bfloat16": 3, "float16": 3, "complex128": 2, "complex64": 3}
SECOND = {"float64": 2, "float32": 3, "complex128": 3}
ONCE = {"float32": 2, "float64": 3, "bfloat16": 3, "complex64": 3}


# what the reference wants


def x_name(oracle: Oracle, place: int) -> str:
    path = oracle.call.paths[place]
    return str(path[0]) + (f"[{path[1]}]" if len(path) > 1 else "")


def wants_outputs(o: Oracle) -> list[Want]:
    """The differentiable outputs, or all of an op that has none (as Bound returns them)."""
    many = len(o.outs) > 1
    return [(f"output {i}" if many else "output", o.value, i) for i in o.shown]


def wants_gradients(o: Oracle, quantity: Any = None, what: str = "gradient of ") -> list[Want]:
    return [(what + x_name(o, place), quantity or o.vjp, i) for i, place in enumerate(o.xs)]


def wants_tangents(o: Oracle) -> list[Want]:
    many = len(o.outs) > 1
    return [(f"tangent of output {k}" if many else "tangent", o.jvp, i) for i, k in enumerate(o.ys)]


def wants_second(o: Oracle) -> list[Want]:
    return wants_gradients(o, o.second, "second derivative by ")


def wants_reverse_over_reverse(o: Oracle) -> list[Want]:
    return [*wants_second(o), *(("derivative by the cotangent", o.jvp, i) for i in range(len(o.ys)))]


def wants_reverse_over_forward(o: Oracle) -> list[Want]:
    return [*wants_second(o), *wants_gradients(o, o.vjp, "derivative by the tangent of ")]


def wants_second_forward(o: Oracle) -> list[Want]:
    return [("second derivative of the output", o.second_forward, i) for i in range(len(o.ys))]


def wants_undefined(o: Oracle) -> list[Want]:
    wants: list[Want] = []
    for y in o.ys:
        alone = [g if i == y else (None if g is None else np.zeros_like(g)) for i, g in enumerate(o.cotangents)]
        wants += wants_gradients(o, o.vjp_under(alone), f"with a cotangent for output {y} alone, gradient of ")
    return wants


def wants_zero(o: Oracle) -> list[Want]:
    return wants_gradients(o, o.vjp_under([None if g is None else np.zeros_like(g) for g in o.cotangents]))


def twice(wants: Callable[[Oracle], list[Want]]) -> Callable[[Oracle], list[Want]]:
    return lambda o: wants(o) * 2


# capabilities


def second_order(rule: Rule, target: Target) -> str | None:
    return None if rule.second_order else "torch promises no second derivative of this op"


NO_DERIVATIVE = "the op has no derivative"


def forward_once(trial: Trial) -> bool:
    return bool(trial.oracle.ys and trial.oracle.xs)


def second_forward_is_small(trial: Trial) -> bool:
    return forward_once(trial) and sum(trial.oracle.outs[i].size for i in trial.oracle.ys) <= BASIS


def several_inputs(trial: Trial) -> bool:
    return forward_once(trial) and len(trial.oracle.xs) > 1


def several_outputs(trial: Trial) -> bool:
    return forward_once(trial) and len(trial.oracle.ys) > 1


def is_empty(trial: Trial) -> bool:
    return bool(trial.oracle.ys) and any(a.size == 0 for a in trial.call.arrays)


def is_scalar(trial: Trial) -> bool:
    return bool(trial.oracle.ys) and any(a.ndim == 0 for a in trial.call.arrays)


def broadcasts(trial: Trial) -> bool:
    o = trial.oracle
    shapes = [a.shape for i, a in enumerate(o.arrays) if i in o.xs or not o.xs]
    if len(set(shapes)) < 2:
        return False
    try:
        full = np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return any(out.shape == full for out in o.outs)


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
    absent="no case is small enough",
)  # fmt: skip

numeric(
    "subset", forms.subset, wants_gradients, ONCE, "Each input alone requires grad.",
    applies=several_inputs, absent="the op has one differentiable input",
)  # fmt: skip
numeric(
    "undefined_cotangents", forms.undefined_cotangents, wants_undefined, ONCE,
    "Each output alone has a cotangent, the others none.",
    applies=several_outputs, absent="the op has one differentiable output",
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
    "Operands of different shapes.", applies=broadcasts, absent="the op does not broadcast its operands",
)  # fmt: skip


# memory layouts


def _layout(name: str) -> None:
    change: Any = layouts.LAYOUTS[name]

    def run(trial: Trial) -> None:
        o = _with_even_cotangents(trial) if name == "expanded" else trial.oracle
        bound = trial.bound(oracle=o)
        bound.tensors = [change(t) for t in bound.tensors]
        bound.layout = change
        if o.xs:
            trial.run(forms.vjp_and_subset, bound, 2 * wants_gradients(o, o.vjp))
        trial.run(forms.value, bound, wants_outputs(o))

    def applies(trial: Trial) -> bool:
        o = trial.oracle
        gs = [_even(o.cotangents[i]) if name == "expanded" else o.cotangents[i] for i in o.ys if o.xs]
        made = [tensor(a, o.dtype, trial.place) for a in [*o.arrays, *gs]]
        return any(_differs(change(t), t) for t in made)

    run.__doc__ = (change.__doc__ or "").strip()
    levels = {"complex64": 2, "complex128": 3} if name == "conj" else ONCE
    REGISTRY[f"layout_{name}"] = Check(
        f"layout_{name}",
        run,
        levels,
        applies=applies,
        absent="no case has a tensor that this layout changes",
        needs=lambda rule, target: None if rule.any_strides else "the documentation asks for strides that fit",
    )


def _with_even_cotangents(trial: Trial) -> Oracle:
    """The oracle with cotangents that do not change along a dimension, as those of a sum do not."""
    return trial.oracle.under([None if g is None else _even(g) for g in trial.oracle.cotangents])


def _even(g: np.ndarray) -> np.ndarray:
    """g with its first slice repeated along the first dimension longer than 1."""
    d = next((d for d, n in enumerate(g.shape) if n > 1), None)
    return g if d is None else np.repeat(g.take([0], d), g.shape[d], d)


def _differs(changed: Any, t: Any) -> bool:
    return bool(
        changed.stride() != t.stride()
        or changed.storage_offset() != t.storage_offset()
        or changed.is_conj() != t.is_conj()
        or changed.is_neg() != t.is_neg()
    )


for _name in layouts.LAYOUTS:
    _layout(_name)


# batches


def _with_half(trial: Trial) -> list[Oracle]:
    """The oracle, and another with every other differentiable input halved (exact in binary)."""
    o = trial.oracle
    halved = set(_batched(o)[::2])
    arrays = [a / 2 if i in halved else a for i, a in enumerate(o.arrays)]
    other = trial.oracle_for(Call(trial.rule, o.call.replaced(arrays)), trial.dtype)
    if other.xs != o.xs or any(a.shape != b.shape for a, b in zip(o.outs, other.outs)):
        raise Unsupported("the outputs' shape depends on the values")
    other.cotangents = o.cotangents
    return [o, other]


def _batched(o: Oracle) -> list[int]:
    """The places of the inputs that a batch may hold: the differentiable ones, else those of floating numbers."""
    return o.xs or [i for i, a in enumerate(o.arrays) if is_inexact(a)]


def _vmap(trial: Trial) -> None:
    """torch.vmap over a batch of two, every other input shared."""
    bound = trial.bound()
    bound.places = _batched(trial.oracle)
    trial.run(forms.vmap, bound, [w for o in _with_half(trial) for w in wants_outputs(o)])


def _vmap_vjp(trial: Trial) -> None:
    """torch.vmap over torch.func.vjp: gradients per sample."""
    first, second = _with_half(trial)
    other = wants_gradients(second, second.vjp_under(first.cotangents))
    try:
        trial.run(forms.vmap_vjp, trial.bound(), [*wants_gradients(first), *other])
    except Mismatch:
        # a case keeps away from kinks; half of it was not drawn, so it may turn on how a dtype rounds
        if second.jumps(first.cotangents):
            raise Unsupported("half of the case is nearer to a kink than rounding") from None
        raise


REGISTRY["vmap"] = Check("vmap", _vmap, ONCE, applies=lambda trial: bool(_batched(trial.oracle)))
REGISTRY["vmap_vjp"] = Check("vmap_vjp", _vmap_vjp, ONCE, applies=forward_once, absent=NO_DERIVATIVE)


# spellings


def documented_out(rule: Rule) -> bool:
    """Whether the documentation promises ``out=``."""
    doc = getattr(resolve(rule.name), "__doc__", None) or ""
    return "out=None" in doc.split("\n\n")[0] or "out (Tensor" in doc or "out (tuple" in doc


def spellings(rule: Rule) -> list[Spelling]:
    """Every other way to write the call: aliases, the method, a method's alias."""
    paths = [*rule.aliases]
    if rule.method and "." not in rule.name:
        paths.append(f"Tensor.{rule.name}")
    return [spelled(rule, p) for p in paths if callable(resolve(p))]  # an attribute is none: its __get__ is


def in_place(rule: Rule) -> dict[str, Spelling]:
    """The in-place methods by name."""
    if rule.name.endswith("_") and not rule.name.endswith("__"):
        return {rule.name: changing(rule.name)}
    if not rule.method:
        return {}
    plain = [n for n in (rule.name.removeprefix("nn.functional."), *rule.aliases) if "." not in n]
    methods = {n: f"Tensor.{n}_" for n in plain if resolve(f"Tensor.{n}_") is not None}
    return {n: changing(method) for n, method in methods.items()}


def _spellings(trial: Trial) -> None:
    """Every alias and method gives the same values and gradients."""
    for spelling in spellings(trial.rule):
        if ".Tensor." in spelling.text + spelling.preamble and not _starts_with_a_tensor(trial):
            continue
        bound = trial.bound(spelling)
        o = bound.oracle
        trial.run(forms.value_and_vjp, bound, [*wants_outputs(o), *wants_gradients(o)])


def _inplace(trial: Trial) -> None:
    """The in-place method and its aliases: values, gradients, and the version counter."""
    for spelling in in_place(trial.rule).values():
        bound = trial.bound(spelling)
        o = bound.oracle
        trial.run(forms.value_and_vjp, bound, [*wants_outputs(o), *wants_gradients(o)])


def _starts_with_a_tensor(trial: Trial) -> bool:
    args = trial.call.case.args
    return bool(args) and is_array(args[0])


def _fits_in_place(trial: Trial) -> bool:
    o = trial.oracle
    if not (_starts_with_a_tensor(trial) and 0 in (o.xs or [0]) and len(o.outs) == 1):
        return False
    first = o.call.arrays[0]
    return bool(o.outs[0].shape == first.shape and o.outs[0].dtype == first.dtype)


_OUT = """def with_out(*args, **kwargs):
    plain = {path}(*args, **kwargs)
    many = isinstance(plain, tuple)
    for strided in (False, True):
        # filled with a value that must not survive, contiguous and with gaps
        outs = [torch.full([2 * n for n in p.shape] if strided else p.shape, 77, dtype=p.dtype, device=p.device)
                for p in (plain if many else [plain])]
        outs = [o[tuple(slice(None, None, 2) for _ in o.shape)] if strided else o for o in outs]
        {path}(*args, **kwargs, out=tuple(outs) if many else outs[0])
    return {fixed}(tuple(outs) if many else outs[0])"""


def _out(trial: Trial) -> None:
    """``out=`` writes the values into the tensor given, contiguous or strided."""
    gauge = trial.rule.gauge
    text = _OUT.format(path=f"torch.{trial.rule.name}", fixed="fixed" if gauge else "")
    bound = trial.bound(Spelling("with_out", f"{GAUGES[gauge]}\n{text}" if gauge else text))
    if not bound.oracle.ys:
        raise Unsupported("no output has a floating dtype")
    try:
        trial.run(forms.value, bound, wants_outputs(bound.oracle))
    except TypeError as error:
        raise Unsupported("this overload takes no out=") from error


REGISTRY["spellings"] = Check(
    "spellings", _spellings, ONCE,
    needs=lambda rule, target: None if spellings(rule) else "the op has one spelling",
)  # fmt: skip
REGISTRY["inplace"] = Check(
    "inplace", _inplace, ONCE, applies=_fits_in_place, absent="no case's result fits in its first argument",
    needs=lambda rule, target: None if in_place(rule) else "the op has no in-place method",
)  # fmt: skip
REGISTRY["out"] = Check(
    "out", _out, ONCE,
    needs=lambda rule, target: None if documented_out(rule) else "the documentation promises no out=",
)  # fmt: skip
