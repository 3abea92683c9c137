"""Hooks of state_dict and load_state_dict of a module."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

AT = "nn.Module.register_"
PAGE = f"generated/torch.nn.Module.html#torch.{AT}"
SAVED_PRE, SAVED = f"{AT}state_dict_pre_hook", f"{AT}state_dict_post_hook"
LOADED_PRE, LOADED = f"{AT}load_state_dict_pre_hook", f"{AT}load_state_dict_post_hook"


@promise("hooks", SAVED_PRE, SAVED, link=f"{PAGE}state_dict_post_hook", needs=(SAVED,))
def saving_a_module_is_between_its_hooks(device: torch.device, dtype: torch.dtype) -> None:
    """The pre-hook is called before a module's state is taken, with its prefix; the post-hook may change the result."""
    m, seen = nn.Sequential(nn.Linear(1, 1, bias=False, device=device, dtype=dtype)), []

    def renamed(m: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
        seen.append(("post", prefix, list(state)))
        state[f"{prefix}other"] = state.pop(f"{prefix}weight")

    m[0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(("pre", prefix, keep)))
    m.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(("outer pre", prefix, keep)))
    handle = m[0].register_state_dict_post_hook(renamed)
    m.register_state_dict_post_hook(lambda m, state, prefix, meta: seen.append(("outer", prefix, list(state))))
    same(list(m.state_dict()), ["0.other"])
    same(seen, [("outer pre", "", False), ("pre", "0.", False), ("post", "0.", ["0.weight"]),
                ("outer", "", ["0.other"])])  # fmt: skip
    handle.remove()
    same(list(m.state_dict(prefix="x.")), ["x.0.weight"])


@promise("hooks", SAVED, link=f"{PAGE}state_dict_post_hook")
def a_post_hook_of_saving_returns_nothing(device: torch.device, dtype: torch.dtype) -> None:
    """The hooks can modify the state_dict in place: one that returns another is an error."""
    m = nn.Linear(1, 1, device=device, dtype=dtype)
    m.register_state_dict_post_hook(lambda m, state, prefix, meta: dict(state))
    raises(RuntimeError, m.state_dict, "must return None")


@promise("hooks", LOADED_PRE, link=f"{PAGE}load_state_dict_pre_hook")
def a_pre_hook_may_rename_what_is_loaded(device: torch.device, dtype: torch.dtype) -> None:
    """The hook runs before a module is loaded and may change the state_dict it gets; the caller's stays as it was."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = nn.Sequential(nn.Linear(1, 1, bias=False, **like)), []

    def renamed(m: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        seen.append((prefix, [type(r) for r in rest[2:]]))
        state[f"{prefix}weight"] = state.pop(f"{prefix}old")

    m[0].register_load_state_dict_pre_hook(renamed)
    given = {"0.old": torch.tensor([[3.0]], **like)}
    same(tuple(map(list, m.load_state_dict(given))), ([], []))
    same(m[0].weight.detach(), torch.tensor([[3.0]], **like))
    same(list(given), ["0.old"])
    same(seen, [("0.", [list, list, list])])


@promise("hooks", LOADED_PRE, link=f"{PAGE}load_state_dict_pre_hook")
def a_pre_hook_is_told_whether_loading_is_strict(device: torch.device, dtype: torch.dtype) -> None:
    """The hook's arguments are module, state_dict, prefix, local_metadata, strict and three lists: strict as given."""
    m, seen = nn.Linear(1, 1, device=device, dtype=dtype), []
    m.register_load_state_dict_pre_hook(lambda m, state, prefix, meta, strict, *lists: seen.append(strict))
    for strict in (True, False):
        m.load_state_dict(m.state_dict(), strict=strict)
    same(seen, [True, False])


@promise("hooks", LOADED, link=f"{PAGE}load_state_dict_post_hook")
def a_post_hook_decides_what_is_missing(device: torch.device, dtype: torch.dtype) -> None:
    """The keys it gets can be changed in place: clearing them avoids the error of strict loading, adding makes one."""
    m, seen = nn.Linear(1, 1, device=device, dtype=dtype), []
    handle = m.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.append("mine"))
    raises(RuntimeError, lambda: m.load_state_dict(m.state_dict()), "mine")
    handle.remove()

    def forgiven(m: nn.Module, keys: Any) -> None:
        seen.append((list(keys.missing_keys), list(keys.unexpected_keys)))
        keys.missing_keys.clear()
        keys.unexpected_keys.clear()

    handle = m.register_load_state_dict_post_hook(forgiven)
    given = {
        "weight": torch.tensor([[3.0]], device=device, dtype=dtype),
        "x": torch.ones(1, device=device, dtype=dtype),
    }
    same(tuple(map(list, m.load_state_dict(given))), ([], []))
    same(seen, [(["bias"], ["x"])])
    handle.remove()
    raises(RuntimeError, lambda: m.load_state_dict(given), "bias", "x")


@promise("hooks", LOADED, link=f"{PAGE}load_state_dict_post_hook")
def inner_modules_are_loaded_before_the_outer_hook(device: torch.device, dtype: torch.dtype) -> None:
    """The hook runs after the module's load_state_dict: all that is inside it has been loaded, hooks included."""
    like: dict[str, Any] = {"device": device, "dtype": dtype}
    m, seen = nn.Sequential(nn.Linear(1, 1, bias=False, **like)), []
    m.register_load_state_dict_post_hook(lambda m, keys: seen.append(("outer", m[0].weight.item())))
    m[0].register_load_state_dict_post_hook(lambda m, keys: seen.append(("inner", m.weight.item())))
    m.load_state_dict({"0.weight": torch.tensor([[3.0]], **like)})
    same(seen, [("inner", 3.0), ("outer", 3.0)])
