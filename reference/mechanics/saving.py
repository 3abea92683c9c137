"""state_dict and load_state_dict of the model.

Expected keys are those that state_dict() gives: missing are the expected ones that are not there, unexpected those that
are there and not expected.  Source: torch.nn.Module.state_dict, load_state_dict.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from reference.mechanics.scope import OutOfScope
from reference.mechanics.tensor import Parameter, Tensor


class Saved(dict[str, Any]):
    """A state dict; torch's remembers whether it was ever assigned."""

    assigned = False


@dataclasses.dataclass
class Incompatible:
    """What a strict load would have refused."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def own_state(module: Any) -> dict[str, Tensor]:
    """What a module itself saves: its parameters and its persistent buffers."""
    buffers = {n: b for n, b in module._buffers.items() if n not in module._passing}
    return {n: t for n, t in {**module._parameters, **buffers}.items() if t is not None}


def state_dict(module: Any, out: dict[str, Any], prefix: str, keep_vars: bool) -> dict[str, Any]:
    """The tensors of a module before those of the modules in it; each module's hooks are around all that is its own."""
    for hook in list(module._hooks["state_dict_pre"].values()):
        hook.call(module, prefix, keep_vars)
    out.update({prefix + n: t if keep_vars else t.detach() for n, t in own_state(module).items()})
    for name, child in module._modules.items():
        if child is not None:
            state_dict(child, out, f"{prefix}{name}.", keep_vars)
    for hook in list(module._hooks["state_dict_post"].values()):
        if hook.call(module, out, prefix, {}) is not None:
            raise RuntimeError("state_dict post-hook must return None")
    return out


def load_state_dict(module: Any, given: dict[str, Any], strict: bool, assign: bool) -> Incompatible:
    """Take over every tensor that fits, whatever else is wrong; then complain."""
    if isinstance(given, Saved):
        if given.assigned and not assign:
            raise OutOfScope("torch assigns again what was assigned once")
        given.assigned = given.assigned or assign
    _refuse_hidden(module, "", given)
    keys = Incompatible([], [])
    misfits: list[str] = []
    _load(module, dict(given), "", assign, keys, misfits)
    if misfits or (strict and (keys.missing_keys or keys.unexpected_keys)):
        raise RuntimeError("Error(s) in loading state_dict")
    return keys


def _load(
    module: Any, given: dict[str, Any], prefix: str, assign: bool, keys: Incompatible, misfits: list[str]
) -> None:
    for hook in list(module._hooks["load_state_dict_pre"].values()):
        hook.call(module, given, prefix, {}, True, keys.missing_keys, keys.unexpected_keys, misfits)
    own = own_state(module)
    for name, t in own.items():
        key = prefix + name
        if key not in given:
            keys.missing_keys.append(key)
        elif given[key].value.shape != t.value.shape:
            misfits.append(key)
        elif assign:
            try:
                setattr(module, name, _in_place_of(t, given[key]))
            except RuntimeError:  # integers where a gradient is required
                misfits.append(key)
        else:
            t.copy_(given[key])
    for key in given:
        head, inside, _ = key[len(prefix) :].partition(".")
        if key.startswith(prefix) and head not in (module._modules if inside else own):
            keys.unexpected_keys.append(key)
    for name, child in module._modules.items():
        if child is not None:
            below = f"{prefix}{name}."
            _load(child, {k: t for k, t in given.items() if k.startswith(below)}, below, assign, keys, misfits)
    for hook in list(module._hooks["load_state_dict_post"].values()):
        hook.call(module, keys)


def _in_place_of(old: Tensor, new: Tensor) -> Tensor:
    """The given tensor as the kind of thing that is replaced; requires_grad is the module's."""
    return Parameter(new, requires_grad=old.requires_grad) if isinstance(old, Parameter) else new


def _refuse_hidden(module: Any, prefix: str, given: dict[str, Any]) -> None:
    """torch does not report keys below a child that is None."""
    for name, child in module._modules.items():
        below = f"{prefix}{name}."
        if child is not None:
            _refuse_hidden(child, below, given)
        elif any(key.startswith(below) for key in given):
            raise OutOfScope("keys below a child that is None")
