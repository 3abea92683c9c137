"""A layer as Python: the module of a case, and the module as a function of its inputs and parameters."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch

from conformance.bridge import Spelling, resolve, tensor
from conformance.checks.check import Unsupported
from conformance.dtypes import Dtype
from conformance.layers.mechanics import packed
from reference.derive import Call
from reference.nn import LAYERS
from reference.nn.layer import placed
from reference.rule import is_array

# Parameters are replaced by plain tensors, so that torch differentiates, batches and dualizes them as inputs
# (by copies of those where a call changes them, as max_norm does).
PLANTED = """def layer(inputs, parameters, buffers, args, kwargs, places, training):
    for name, t in zip(NAMES, parameters):
        owner, leaf = m.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        owner._parameters.pop(leaf, None)
        setattr(owner, leaf, t)
    for name, t in zip(BUFFERS, buffers):
        owner, leaf = m.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        owner._buffers[leaf] = t.clone()

    def put(value):
        if isinstance(value, tuple):
            return tuple(map(put, value))
        known = isinstance(value, str) and value[:1] == "x" and value[1:].isdigit()
        return inputs[int(value[1:])] if known else value

    return flat(m(*put(places)))


def flat(out):
    if not isinstance(out, tuple):
        return out
    return tuple(t for part in out for t in (flat(part) if isinstance(part, tuple) else (part,)) if t is not None)"""


_IN_PLACE = """def inplace(inputs, *rest):
    copies = [x.clone() for x in inputs]
    out = layer(copies, *rest)
    assert out is copies[0], 'with inplace=True the output is not the input itself'
    return out"""


def constructor(call: Call) -> str:
    """The module of a case, as Python."""
    _, _, _, args, kwargs, _, _ = call.case.args
    return _word(("module", call.rule.name, args, kwargs))


def _is_module(value: Any) -> bool:
    """Whether an argument stands for a module: ("module", name, args, kwargs)."""
    return isinstance(value, tuple) and len(value) == 4 and isinstance(value[0], str) and value[0] == "module"


def _word(value: Any) -> str:
    if _is_module(value):
        _, name, args, kwargs = value
        return f"torch.{name}({', '.join([*map(_word, args), *(f'{k}={_word(v)}' for k, v in kwargs.items())])})"
    if is_array(value):  # a constructor's tensor, which becomes a buffer
        return f"torch.tensor({value.tolist()}, dtype=torch.{value.dtype})"
    return f"float('{value}')" if isinstance(value, float) and not math.isfinite(value) else repr(value)


def _known_options(name: str, args: Any, kwargs: Any) -> None:
    """Raise Unsupported where this torch's constructor, or one inside, lacks an option of the case."""
    known = inspect.signature(resolve(name)).parameters
    missing = [k for k in kwargs if k not in known]
    if missing and not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        raise Unsupported(f"this torch's {name} has no option {missing[0]}")
    for value in (*args, *kwargs.values()):
        if _is_module(value):
            _known_options(*value[1:])


def dry(call: Call) -> str:
    """The arguments of a call that makes a lazy layer's parameters, as Python; nothing for other layers."""
    if not LAYERS[call.rule.name].lazy:
        return ""
    return f"torch.zeros({_shape_of_first(call)})"


def _shape_of_first(call: Call) -> tuple[int, ...]:
    """The shape of the first input, with a batch: what a first call without one does is a matter of its own check."""
    shape: tuple[int, ...] = next(a for a, p in zip(call.arrays, call.paths) if p[0] == "inputs").shape
    return (1, *shape) if len(shape) == LAYERS[call.rule.name].no_batch else shape


def spelled(call: Call) -> Spelling:
    """The layer as a function of (inputs, parameters, buffers), its module made beforehand."""
    training = call.case.args[6]
    _known_options(call.rule.name, *call.case.args[3:5])
    first = dry(call)
    planted = PLANTED
    if call.case.args[4].get("max_norm") is not None:
        planted = planted.replace("leaf, t)", "leaf, t.clone())")
    if "'packed'" in repr(call.case.args[5]):
        turned = planted.replace("tuple(map(put, value))", "packed(tuple(map(put, value)))")
        planted = f"{inspect.getsource(packed)}\n{turned}"
    lines = [
        f"m = {constructor(call)}",
        *([f"m.eval()({first})"] if first else []),
        f"m.train({training})",
        "NAMES, BUFFERS = [n for n, _ in m.named_parameters()], [n for n, _ in m.named_buffers()]",
        planted,
    ]
    if call.case.args[4].get("inplace"):
        return Spelling("inplace", "\n".join([*lines, _IN_PLACE]))
    return Spelling("layer", "\n".join(lines))


def constructed(call: Call, **factory: Any) -> torch.nn.Module:
    """The constructor called as the case says, and with what `factory` adds, which it may not know (Unsupported)."""
    _, _, _, args, kwargs, _, _ = call.case.args
    _known_options(call.rule.name, args, {**kwargs, **factory})
    if factory and any(map(_is_module, (*args, *kwargs.values()))):
        raise Unsupported("a module among the arguments keeps its own dtype and device")
    made: torch.nn.Module = _given(("module", call.rule.name, args, {**kwargs, **factory}))
    return made


def _given(value: Any) -> Any:
    """An argument of a constructor as torch wants it."""
    if _is_module(value):
        _, name, args, kwargs = value
        return resolve(name)(*map(_given, args), **{k: _given(v) for k, v in kwargs.items()})
    return tensor(value, None, torch.device("cpu")) if is_array(value) else value


def module(call: Call, dtype: Dtype, device: torch.device) -> torch.nn.Module:
    """The module of a case on a device, in its own initial state; the parameters of a lazy one are made."""
    made, training = constructed(call), call.case.args[6]
    if LAYERS[call.rule.name].lazy:
        with torch.no_grad():  # in eval: a call in training would change buffers
            made.eval()(torch.zeros(_shape_of_first(call)))
    return made.to(device=device, dtype=getattr(torch, dtype.name)).train(training)


def loaded(call: Call, arrays: list[Any], dtype: Dtype, device: torch.device) -> torch.nn.Module:
    """The module of a case with the case's parameters and buffers."""
    new = module(call, dtype, device)
    state = [a for a, p in zip(arrays, call.paths) if p[0] in ("parameters", "buffers")]
    with torch.no_grad():
        for t, a in zip([*new.parameters(), *new.buffers()], state):
            t.copy_(tensor(a, dtype, device))
    return new


def inputs_of(call: Call, arrays: list[Any], dtype: Dtype, device: torch.device) -> tuple[list[Any], Any]:
    """The input tensors of a case, and how they stand in the call."""
    xs = [tensor(a, dtype, device) for a, p in zip(arrays, call.paths) if p[0] == "inputs"]
    return xs, placed(call.case.args[5], xs)
