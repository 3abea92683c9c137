"""The checks of layers: those of ops that fit, at levels that spare what the ops have shown, and those of modules."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from conformance import script
from conformance.bridge import array, dtype_of, tensor
from conformance.checks import REGISTRY, forms
from conformance.checks.check import Check, Evidence, Trial, Unsupported
from conformance.checks.wants import wants_gradients, wants_outputs
from conformance.compare import Mismatch, compare
from conformance.layers import mechanics
from conformance.layers.spelling import constructed, constructor, dry, inputs_of, loaded, module
from conformance.tolerance import K, Quantity
from reference import laws
from reference.derive import Call
from reference.laws import Law
from reference.nn import LAYERS
from reference.nn.layer import Described, placed, settled
from reference.rule import Case

ONCE = {"float32": 2, "float64": 3}
FIRST = {"float32": 1, "float64": 3, "bfloat16": 3, "float16": 3, "complex128": 3}
FULL = {"float32": 3, "float64": 3}
# Of ops: name -> levels. What an op's own cells show at level 2 is looked at again at level 3.
BORROWED = {
    "value": FIRST, "vjp": FIRST, "jvp": {"float64": 2, "float32": 3},
    "reverse_over_reverse": {"float64": 3}, "forward_over_reverse": {"float64": 3}, "subset": ONCE,
    "zero_size": ONCE, "scalar": ONCE, "edges": FULL, "vmap": FULL, "vmap_vjp": FULL, "batched_grad": FULL,
    "func_vjp": FULL, "func_jvp": FULL, "checkpoint": FULL, "saved_tensor_hooks": FULL, "unchanged": ONCE,
    "repeat": FULL,
    "layout_transposed": FULL, "layout_strided": FULL, "layout_channels_last": ONCE, "layout_expanded": FULL,
    "autocast": {"float32": 3},
}  # fmt: skip

CHECKS: dict[str, Check] = {
    name: dataclasses.replace(REGISTRY[name], levels=levels) for name, levels in BORROWED.items()
}


def described(trial: Trial) -> Described:
    """The reference's description of the module of a case."""
    inputs, _, _, args, kwargs, places, _ = trial.call.case.args
    return settled(LAYERS[trial.rule.name].describe, args, kwargs, placed(places, inputs))


Run = Callable[[Trial], None]


def check(name: str, levels: dict[str, int], **options: Any) -> Callable[[Run], Run]:
    """Register the decorated function as a check of layers. See conformance.checks.check.Check for the options."""

    def register(run: Run) -> Run:
        CHECKS[name] = Check(name, run, levels, **options)
        return run

    return register


@check("module", {"float32": 1, "float64": 2, "bfloat16": 3})
def through_module(trial: Trial) -> None:
    """The module called as a user calls it: outputs, and .grad of inputs and parameters after backward()."""
    o = trial.oracle
    bound = trial.bound()
    trial.evidence = Evidence(forms.value_and_vjp, bound, [*wants_outputs(o), *wants_gradients(o)])
    m = loaded(trial.call, o.arrays, o.dtype, trial.place)
    xs, given = inputs_of(trial.call, o.arrays, o.dtype, trial.place)
    leaves = [*xs, *m.parameters()]
    for i, x in enumerate(xs):
        x.requires_grad_(i in o.xs)  # no gradient is promised to a target
    outs = [t for t in mechanics.flat(m(*mechanics.copied(given))) if isinstance(t, torch.Tensor)]
    if len(outs) != len(o.outs):
        raise Mismatch(f"{len(outs)} outputs, expected {len(o.outs)}")
    for want in wants_outputs(o):
        trial.match(outs[want[2]], want)
    if not o.ys or not o.xs:
        return
    gs = [tensor(o.cotangents[i], o.dtype, trial.place) for i in o.ys]
    torch.autograd.backward([outs[i] for i in o.ys], gs)
    for place, want in zip(o.xs, wants_gradients(o)):
        grad = leaves[place].grad
        trial.match(torch.zeros_like(leaves[place]) if grad is None else grad, want)


@check("parameters", {"float32": 1, "bfloat16": 3})
def parameters(trial: Trial) -> None:
    """Names, order, shapes, dtype, device and requires_grad of parameters and buffers; initial values of buffers."""
    want, m = described(trial), module(trial.call, trial.oracle.dtype, trial.place)
    text = constructor(trial.call)
    for what, got, names in (
        ("parameters", dict(m.named_parameters()), want.parameters),
        ("buffers", dict(m.named_buffers()), want.buffers),
    ):
        if list(got) != list(names):
            raise Mismatch(f"{text} has the {what} {list(got)}, expected {list(names)}")
        for name, t in got.items():
            shape = names[name].shape
            dtype = trial.oracle.dtype.name
            if what == "buffers" and want.buffers[name].dtype.kind not in "fc":
                dtype = str(want.buffers[name].dtype)
            found = (tuple(t.shape), str(t.dtype), t.requires_grad, t.device.type)
            wanted = (tuple(shape), f"torch.{dtype}", what == "parameters", trial.place.type)
            if found != wanted:
                raise Mismatch(f"{text}: {name} is {found}, expected {wanted}")
            if what == "buffers" and not np.array_equal(array(t), trial.oracle.dtype.round(want.buffers[name] * 1.0)):
                raise Mismatch(f"{text}: {name} begins as {array(t).tolist()}, expected {want.buffers[name].tolist()}")
            trial.tally.comparisons += 1
    trial.tally.comparisons += 1  # that there is none is something too


@check("initial", {"float32": 2, "float64": 3})
def initial(trial: Trial) -> None:
    """The parameters of many modules follow their documented laws."""
    want = described(trial)
    if not want.parameters:
        raise Unsupported("the layer has no parameters")
    if trial.index > 1:
        return  # two cases of many modules each are enough
    state = torch.get_rng_state()
    torch.manual_seed(trial.index)
    try:
        size = max(1, sum(int(np.prod(p.shape)) for p in want.parameters.values()))
        count = min(200, max(2, 4000 // size))
        modules = [module(trial.call, trial.oracle.dtype, trial.place) for _ in range(count)]
    finally:
        torch.set_rng_state(state)
    for name, parameter in want.parameters.items():
        y = np.stack([array(m.get_parameter(name)).astype(np.float64) for m in modules])
        if parameter.blank is not None:
            if np.any(y[:, parameter.blank]):
                raise Mismatch(f"{constructor(trial.call)}: row {parameter.blank} of {name} does not begin as zeros")
            y = np.delete(y, parameter.blank, 1)
        y = y.ravel()
        room = trial.oracle.dtype.eps * np.abs(y)
        if isinstance(parameter.initial, Law):
            wrong = laws.off_support(y, parameter.initial, room) or laws.off_distribution(y, parameter.initial, room)
            if wrong:
                raise Mismatch(f"{constructor(trial.call)}: {name}: {wrong.text}")
        elif not np.array_equal(y, np.full(y.shape, trial.oracle.dtype.round(np.asarray(parameter.initial)))):
            raise Mismatch(
                f"{constructor(trial.call)}: {name} begins as {y[:4].tolist()}, expected {parameter.initial}"
            )
        trial.tally.comparisons += 1
        trial.tally.elements += y.size


@check("buffers", {"float64": 2, "float32": 2})
def buffers(trial: Trial) -> None:
    """The buffers (and parameters) after each of three calls in training; a call in eval changes none."""
    want = described(trial)
    if want.after is None:
        raise Unsupported("no call changes a buffer of this layer")
    o = trial.oracle
    training = trial.call.case.args[6]
    m = loaded(trial.call, o.arrays, o.dtype, trial.place).train(training)
    values = dict(zip([*want.buffers, *want.parameters], [*_of(trial, "buffers"), *_of(trial, "parameters")]))
    xs = _of(trial, "inputs")
    changed: dict[str, Any] = {}
    for step in range(3):
        scaled = [o.dtype.round(x * 2.0**-step) if x.dtype.kind == "f" else x for x in xs]
        m(*placed(trial.call.case.args[5], [tensor(x, o.dtype, trial.place) for x in scaled]))
        if training:
            changed = want.after(values, *placed(trial.call.case.args[5], scaled))
            values |= changed
        for name, t in [*m.named_buffers(), *((n, p) for n, p in m.named_parameters() if n in changed)]:
            expected = np.asarray(values[name])
            if expected.dtype.kind in "iub":
                if not np.array_equal(array(t), expected):
                    raise Mismatch(f"{name} after call {step + 1}: {array(t).tolist()}, expected {expected.tolist()}")
                trial.tally.comparisons += 1
                continue
            # each call rounds the average and the statistic once; the statistic's own terms are of its inputs' size
            size = max((float(np.abs(x).max(initial=0.0)) for x in scaled), default=0.0)
            room = K * o.dtype.eps * (step + 1) * (np.abs(expected) + size + size * size)
            quantity = Quantity([expected], [o.dtype], None, noise=[room])
            compare(f"{name} after call {step + 1}", array(t), quantity, 0, trial.tally)


def _of(trial: Trial, kind: str) -> list[np.ndarray]:
    """The arrays of the inputs, parameters or buffers."""
    return [a for a, p in zip(trial.oracle.arrays, trial.call.paths) if p[0] == kind]


def _mechanical(name: str, levels: dict[str, int]) -> None:
    promise = getattr(mechanics, name)

    def run(trial: Trial) -> None:
        o = trial.oracle

        def make(**factory: Any) -> torch.nn.Module:
            if not factory:
                return loaded(trial.call, o.arrays, o.dtype, trial.place)
            return constructed(trial.call, **factory)

        _, given = inputs_of(trial.call, o.arrays, o.dtype, trial.place)
        trial.script = mechanical_script(promise, trial)
        if promise(make, given, dtype_of(o.dtype.name), trial.place) is NotImplemented:
            raise Unsupported("the layer has nothing that this is about")
        trial.tally.comparisons += 1

    run.__doc__ = promise.__doc__
    CHECKS[name] = Check(name, run, levels)


def mechanical_script(promise: Callable[..., Any], trial: Trial) -> str:
    """The promise on a module in its own initial state, with the inputs of the case."""
    o, device = trial.oracle, repr(str(trial.place))
    lines = ["import copy, io, torch"]
    needed: list[Any] = [mechanics.flat, mechanics.same, mechanics.copied, mechanics.packed, mechanics.called]
    lines += [inspect.getsource(f).rstrip() for f in [*needed, mechanics.refuses, promise]]
    text = constructor(trial.call)
    lines += [
        "def make(**factory):",
        "    torch.manual_seed(0)",
        f"    made = {text[:-1]}{'' if text.endswith('()') else ', '}**factory)",
        *([f"    factory or made.eval()({dry(trial.call)})"] if dry(trial.call) else []),
        f"    return made if factory else made.to(device={device}, dtype=torch.{o.dtype.name}).train()",
    ]
    arrays = _of(trial, "inputs")
    for i, a in enumerate(arrays):
        dtype = dtype_of(o.dtype.name) if a.dtype.kind in "fc" else dtype_of(str(a.dtype))
        lines.append(f"x{i} = {script.tensor_text(a, dtype, device)}")
    given = repr(trial.call.case.args[5])
    for i in range(len(arrays)):
        given = given.replace(f"'x{i}'", f"x{i}")
    lines.append(f"{promise.__name__}(make, {given}, torch.{o.dtype.name}, torch.device({device}))")
    return "\n".join(lines)


for _name in mechanics.PROMISES:
    _mechanical(_name, {"float32": 2})


@check("no_batch", ONCE)
def no_batch(trial: Trial) -> None:
    """An input without a batch dimension gives what a batch of one gives, without its dimension."""
    least = int(LAYERS[trial.rule.name].no_batch)
    if not least:
        raise Unsupported("the documentation asks for a batch")
    o = trial.oracle
    m = loaded(trial.call, o.arrays, o.dtype, trial.place).eval()
    _, given = inputs_of(trial.call, o.arrays, o.dtype, trial.place)
    if len(given) != 1 or not isinstance(given[0], torch.Tensor) or given[0].dim() <= least or not len(given[0]):
        raise Unsupported("the case has no batch")
    alone = mechanics.flat(m(given[0][0].clone()))
    whole = mechanics.flat(m(given[0][:1].clone()))
    for got, both in zip(alone, whole):
        if tuple(got.shape) != tuple(both.shape[1:]):
            raise Mismatch(f"shape {tuple(got.shape)} without a batch, {tuple(both.shape)} with one")
        room = K * o.dtype.eps * (1 + np.abs(array(both)).max(initial=0.0))
        quantity = Quantity([array(both)[0]], [o.dtype], None, noise=[room])
        compare("output without a batch", array(got), quantity, 0, trial.tally)


FAST = ("nn.MultiheadAttention", "nn.TransformerEncoderLayer", "nn.TransformerEncoder")


@check("fast_path", {"float32": 2, "float64": 3})
def fast_path(trial: Trial) -> None:
    """In eval, where no gradient is asked for, the fused kernels of attention (and nested tensors) compute the same."""
    if trial.rule.name not in FAST:
        raise Unsupported("torch has no fused kernel for the layer")
    o, (_, _, _, args, kwargs, _, training) = trial.oracle, trial.call.case.args
    options = args[0][3] if trial.rule.name == FAST[2] else kwargs
    if training and options.get("dropout"):
        raise Unsupported("in training the case drops something")
    nested = {**kwargs, "enable_nested_tensor": True} if "enable_nested_tensor" in kwargs else kwargs
    call = Call(trial.rule, Case((*trial.call.case.args[:4], nested, *trial.call.case.args[5:])))
    m = loaded(call, o.arrays, o.dtype, trial.place).eval()
    _, given = inputs_of(call, o.arrays, o.dtype, trial.place)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            outs = mechanics.flat(m(*given))  # no copies: it asks that query, key and value be one tensor
        if len(outs) != len(o.outs):
            raise Mismatch(f"{len(outs)} outputs, expected {len(o.outs)}")
        for want in wants_outputs(o):
            found = outs[want[2]]
            if nested is not kwargs and given[2] is not None and given[2].dtype is torch.bool:
                hidden = given[2] if options.get("batch_first") or found.dim() == 2 else given[2].T
                found = torch.where(hidden[..., None], tensor(o.outs[0], o.dtype, trial.place), found)
            trial.match(found, want)


# What stands where among the inputs of a layer when the keys of the first sequence are hidden.
HIDDEN: dict[str, Callable[[torch.Tensor], dict[int, Any]]] = {
    "nn.MultiheadAttention": lambda keys: {3: keys, 4: False, 5: None, 7: False},
    "nn.TransformerEncoderLayer": lambda keys: {1: None, 2: keys, 3: False},
}


@check(
    "hidden_rows", FULL, applies=lambda trial: trial.call.arrays[0].ndim == 3, absent="no case has a batch",
    needs=lambda rule, target: None if rule.name in HIDDEN else "the layer has no mask of keys, or one kernel alone",
)  # fmt: skip
def hidden_rows(trial: Trial) -> None:
    """A sequence whose keys are all hidden gives nan by every path of attention, or by none."""
    o, call = trial.oracle, trial.call
    m = loaded(call, o.arrays, o.dtype, trial.place).eval()
    _, given = inputs_of(call, o.arrays, o.dtype, trial.place)
    attention = getattr(m, "self_attn", m)
    keys = given[1] if attention is m else given[0]
    mask = torch.zeros(keys.shape[:2] if attention.batch_first else keys.shape[1::-1], dtype=torch.bool)
    mask[:1] = True
    changed = HIDDEN[trial.rule.name](mask.to(trial.place))
    given = [changed.get(i, value) for i, value in enumerate(given)]
    recorded = mechanics.flat(m(*given))
    with torch.no_grad():
        fused = mechanics.flat(m(*given))
    for a, b in zip(recorded, fused):
        trial.tally.comparisons += 1
        trial.tally.elements += a.numel()
        if not torch.equal(a.isnan(), b.isnan()):
            few, many = sorted((int(a.isnan().sum()), int(b.isnan().sum())))
            raise Mismatch(f"of {a.numel()} numbers {few} are nan by one path and {many} by the other")
