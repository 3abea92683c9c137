"""What modules hold: random edits beside the model, and the promises in which torch is known to differ from it."""

from __future__ import annotations

import torch
from torch import nn

from conformance.behaviours.machines import driver
from conformance.behaviours.machines.edits import EDITS
from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

MODULE = "generated/torch.nn.Module.html"
LOAD = f"{MODULE}#torch.nn.Module.load_state_dict"
# Random programs for each seed, and lines in each.
PROGRAMS, LINES = 6, 40
EDITED = (
    "nn.Module", "nn.Sequential", "nn.ModuleList", "nn.ModuleDict", "nn.ParameterList", "nn.ParameterDict",
    "nn.Parameter",
)  # fmt: skip


@promise("modules", "nn.Module", link=MODULE, covers=EDITED, searches=True)
def random_edits_follow_the_model(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """After any edits a module lists, walks, saves, loads and copies what a plain model of names and tables does."""
    for i in range(PROGRAMS):
        driver.check(EDITS, seed * PROGRAMS + i, LINES, str(device))


@promise("modules", "nn.Module.load_state_dict", link=LOAD)
def a_plain_load_copies_whatever_was_loaded_before(device: torch.device, dtype: torch.dtype) -> None:
    """With assign=False, the default, the tensors in the current module are preserved and take the numbers."""
    saved = nn.Linear(2, 1, device=device, dtype=dtype).state_dict()
    nn.Linear(2, 1, device=device, dtype=dtype).load_state_dict(saved, assign=True)
    m = nn.Linear(2, 1, device=device, dtype=dtype)
    weight = m.weight
    m.load_state_dict(saved)
    same(m.weight is weight, True, "a parameter is the same one after a plain load")
    same(weight.detach(), saved["weight"])


@promise("modules", "nn.Module.load_state_dict", link=LOAD)
def keys_of_no_module_are_unexpected(device: torch.device, dtype: torch.dtype) -> None:
    """unexpected_keys lists what this module does not expect but the state dict has, below a child that is None too."""
    m = nn.Module()
    m.register_module("a", None)
    found = m.load_state_dict({"a.w": torch.ones(1, dtype=dtype, device=device)}, strict=False)
    same(found.unexpected_keys, ["a.w"])
    raises(RuntimeError, lambda: m.load_state_dict({"a.w": torch.ones(1, dtype=dtype, device=device)}))


@promise("modules", "nn.Module.load_state_dict", link=LOAD)
def the_name_of_a_child_is_no_key(device: torch.device, dtype: torch.dtype) -> None:
    """A key that is not in this module's state_dict() is unexpected, though a child has that name."""
    m = nn.Sequential(nn.Linear(1, 1, device=device, dtype=dtype))
    given = {**m.state_dict(), "0": torch.ones(1, dtype=dtype, device=device)}
    same(m.load_state_dict(given, strict=False).unexpected_keys, ["0"])


@promise("modules", "nn.Module.load_state_dict", link=LOAD)
def assigning_keeps_requires_grad(device: torch.device, dtype: torch.dtype) -> None:
    """assign=True takes the properties of the tensors in the state dict, but requires_grad stays the module's."""
    m = nn.Linear(1, 1, device=device, dtype=dtype).requires_grad_(False)
    m.load_state_dict(nn.Linear(1, 1, device=device, dtype=dtype).state_dict(), assign=True)
    same([p.requires_grad for p in m.parameters()], [False, False])


@promise("modules", "nn.Sequential", link="generated/torch.nn.Sequential.html#torch.nn.Sequential.append")
def a_module_appended_to_a_slice_comes_last(device: torch.device, dtype: torch.dtype) -> None:
    """append: a given module is added to the end, and nothing is lost."""
    a, b, c, d = (nn.Identity() for _ in range(4))
    part: nn.Sequential = nn.Sequential(a, b, c)[1:]  # type: ignore[assignment]
    part.append(d)
    same([m is want for m, want in zip(part, (b, c, d))], [True, True, True])


@promise("modules", "nn.Sequential", link="generated/torch.nn.Sequential.html#torch.nn.Sequential.extend")
def a_list_is_extended_by_itself(device: torch.device, dtype: torch.dtype) -> None:
    """extend, and +=: the layers of another container are added, of the same one too, as Python's lists do."""
    a, b = nn.Identity(), nn.Identity()
    chain, modules = nn.Sequential(a, b), nn.ModuleList([a, b])
    chain += chain
    modules += modules
    for twice in (chain, modules):
        same([m is want for m, want in zip(twice, (a, b, a, b))], [True] * 4)


@promise("modules", "nn.ModuleList", link="generated/torch.nn.ModuleList.html#torch.nn.ModuleList.insert")
def an_index_counts_from_the_end_where_it_is_negative(device: torch.device, dtype: torch.dtype) -> None:
    """insert: a given module is put before a given index; indices are those of a regular Python list."""
    a, b, c = (nn.Identity() for _ in range(3))
    modules = nn.ModuleList([a, b])
    modules.insert(-1, c)
    same([m is want for m, want in zip(modules, (a, c, b))], [True, True, True])
