"""Random edits of modules: what they hold, how they are walked, saved, loaded and copied."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import torch

from conformance.behaviours.machines.driver import Machine, Names
from reference import mechanics

ATTRIBUTES = ("a", "b", "c")
CONTAINERS = ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
# What a torch before 2.5 does not have is not asked of it.
HOOKS = tuple(
    name
    for name in ("state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post")
    if hasattr(torch.nn.Module, f"register_{name}_hook")
)
PRELUDE = {
    "log": "log = []",
    "note": "def note(kind):\n"
    "    return lambda m, *rest: log.append((kind, m.tag, *(r for r in rest if isinstance(r, str))))",
    "show": "def show(x):\n    return getattr(x, 'tag', None) or (x.tolist() if hasattr(x, 'tolist') else x)",
}
LOOKS = (
    "[(n, str(p.dtype), p.tolist(), p.requires_grad, show(p.grad)) for n, p in {}.named_parameters()]",
    "[n for n, p in {}.named_parameters(remove_duplicate=False)]",
    "[(n, str(b.dtype), b.tolist()) for n, b in {}.named_buffers()]",
    "[n for n, b in {}.named_buffers(remove_duplicate=False)]",
    "[(n, m.tag, m.training) for n, m in {}.named_modules()]",
    "[(n, m.tag) for n, m in {}.named_modules(remove_duplicate=False)]",
    "[(n, m.tag) for n, m in {}.named_children()]",
    "[(k, t.tolist()) for k, t in {}.state_dict().items()]",
    "[list({0}._parameters), list({0}._buffers), list({0}._modules)]",
)
LISTED = "[show(x) for x in {}]"
KEYED = "[(k, show(x)) for k, x in {}.items()]"


def looks(names: Names) -> list[list[str]]:
    """Everything that can be asked of every module and state dict."""
    found = []
    for name, thing in names.items():
        if isinstance(thing, mechanics.Module):
            own = [f"len({name})", (KEYED if hasattr(thing, "keys") else LISTED).format(name)]
            found.append([look.format(name) for look in LOOKS] + (own if hasattr(thing, "__len__") else []))
        elif name.startswith("s") and isinstance(thing, dict):
            found.append([f"[(k, t.tolist()) for k, t in {name}.items()]"])
    return found


class Pick:
    """Random choices among what there is: `things(kind)` are the names of such objects."""

    def __init__(self, rng: random.Random, names: Names):
        self.rng, self.names = rng, names
        self.one = rng.choice
        self.attributes = ATTRIBUTES[: rng.randrange(1, 4)]
        self.modules = rng.randrange(2, 7)
        self.everywhere = False

    def things(self, kind: Any) -> list[str]:
        return [n for n, x in self.names.items() if isinstance(x, kind) and n[1:].isdigit()]

    def some(self, kind: Any, otherwise: str = "None") -> str:
        found = self.things(kind)
        return self.one(found) if found else otherwise

    def fresh(self, letter: str) -> str:
        return f"{letter}{sum(n[0] == letter and n[1:].isdigit() for n in self.names) + 1}"

    def numbers(self, count: int = 2) -> str:
        return str([self.rng.randrange(-8, 9) / 2 for _ in range(count)])

    def tensor(self) -> str:
        return self.one([f"tensor({self.numbers()})", f"tensor({self.numbers()})", "tensor([1, 2])"])

    def parameter(self) -> str:
        return self.some(mechanics.Parameter, f"Parameter(tensor({self.numbers()}))")

    def held(self) -> str:
        """A parameter, one that some module has where there is one."""
        owned = {id(p) for m in self.things(mechanics.Module) for p in self.names[m].parameters()}
        found = [p for p in self.things(mechanics.Parameter) if id(self.names[p]) in owned]
        return self.one(found) if found else self.parameter()

    def module(self) -> str:
        return self.some(mechanics.Module)

    def those_with(self, trait: Callable[[mechanics.Module], bool]) -> list[str]:
        """The modules that have what seldom comes by itself."""
        return [m for m in self.things(mechanics.Module) if trait(self.names[m])]

    def index(self) -> int:
        return self.rng.randrange(-3, 3)

    def slice(self) -> str:
        return self.one(["[:1]", "[:2]", "[:-1]", "[1:]", "[::-1]", "[:]"])


def moves(rng: random.Random, names: Names) -> Iterator[str]:
    """Lines without end. Each program has its own mixture, so that what must come together does so in some."""
    pick = Pick(rng, names)
    makers = {_made: 4, _attribute: 6, _registered: 4, _changed: 6, _saved: 8, _container: 7, _asked: 3}
    weights = [weight * rng.choice([0.2, 1.0, 4.0]) for weight in makers.values()]
    while True:
        few = len(pick.things(mechanics.Module)) < 2
        yield _made(pick) if few else rng.choices(list(makers), weights)[0](pick)


def _made(pick: Pick) -> str:
    if pick.rng.random() < 0.35:
        frozen = pick.one(["", "", ", requires_grad=False"])
        return f"{pick.fresh('p')} = Parameter(tensor({pick.numbers()}){frozen})"
    name = pick.fresh("m")
    if len(pick.things(mechanics.Module)) > pick.modules:
        return f"{pick.module()}.train().tag"
    kind = pick.one(["Module", "Module", "Module", *CONTAINERS])
    m, n = pick.module(), pick.module()
    given = {
        "Module": "", "Sequential": f"{m}, {n}", "ModuleList": f"[{m}, {n}]", "ModuleDict": f"{{'b': {m}, 'a': {n}}}",
        "ParameterList": f"[{pick.parameter()}, {pick.tensor()}]",
        "ParameterDict": f"{{'b': {pick.parameter()}, 'a': tensor({pick.numbers()})}}",
    }[kind]  # fmt: skip
    made = f"{kind}({'' if 'None' in given else given})"
    if pick.rng.random() < 0.3 and m != "None":
        made = f"copy.deepcopy({pick.one([m, *pick.those_with(_tied)])})"
    return f"{name} = {made}; {name}.tag = '{name}'"


def _tied(m: mechanics.Module) -> bool:
    held = [id(p) for part in m.modules() for p in part._parameters.values() if p is not None]
    return len(set(held)) < len(held)


def _counting(m: mechanics.Module) -> bool:
    return any("int" in b.dtype for b in m.buffers())


def _nested(m: mechanics.Module) -> bool:
    return any(True for child in m.children() for _ in child.named_parameters())


def _graded(m: mechanics.Module) -> bool:
    return any(p.grad is not None for p in m.parameters())


def _attribute(pick: Pick) -> str:
    owner, name = pick.module(), pick.one(pick.attributes)
    value = pick.one([pick.parameter(), pick.parameter(), pick.module(), pick.module(), "None", pick.tensor(), "3"])
    passing = [f"{m}.{b} = {pick.tensor()}" for m in pick.things(mechanics.Module) for b in pick.names[m]._passing]
    return pick.one([f"{owner}.{name} = {value}"] * 4 + passing[:2] + [f"del {owner}.{name}"])


def _registered(pick: Pick) -> str:
    owner, name = pick.module(), pick.one([*pick.attributes * 2, "", "a.b", "train"])
    persistent = pick.one(["", ", persistent=False"])
    return pick.one([
        f"{owner}.register_parameter({name!r}, {pick.one([pick.parameter(), 'None', pick.tensor()])})",
        f"{owner}.register_buffer({name!r}, {pick.one([pick.tensor(), pick.tensor(), 'None'])}{persistent})",
        f"{owner}.register_buffer({name!r}, {pick.tensor()}{persistent})",
        f"{owner}.add_module({name!r}, {pick.one([pick.module(), pick.module(), 'None'])})",
        f"{owner}.register_module({name!r}, {pick.module()})",
    ])  # fmt: skip


def _changed(pick: Pick) -> str:
    owner, p = pick.one([pick.module(), *pick.those_with(_nested)]), pick.held()
    graded = pick.one([owner, *pick.those_with(_graded)])
    return pick.one([
        f"{owner}.train(); log.append({owner}.training)", f"{owner}.eval(); log.append({owner}.training)",
        f"{owner}.train({pick.one([True, False])}).tag", f"{owner}.requires_grad_({pick.one([True, False])}).tag",
        f"{p}.requires_grad_({pick.one([True, False])}).tolist()",
        *[f"with no_grad(): {p}.copy_(tensor({pick.numbers()}))"] * 2,
        f"{p}.grad = tensor({pick.numbers()})", f"{graded}.zero_grad()", f"{graded}.zero_grad(set_to_none=False)",
        f"{owner}.apply(note('applied')).tag",
        f"{pick.one([owner, *pick.those_with(_counting)])}.{pick.one(['double', 'float', 'half'])}().tag",
    ])  # fmt: skip


def _saved(pick: Pick) -> str:
    kind, (owner, state) = pick.one(HOOKS), _load(pick)
    if state == "None" or pick.rng.random() < 0.25:
        prefix = pick.one(["", "", "prefix='a.'"])
        return f"{pick.fresh('s')} = {owner}.state_dict({prefix})"
    options = pick.one(["", "", ", strict=False", ", assign=True", ", strict=False, assign=True"])
    load = f"(lambda r: (sorted(r.missing_keys), sorted(r.unexpected_keys)))({owner}.load_state_dict({state}{options}))"
    key = pick.one([*pick.attributes, "a.b", "0", "0.a", "b.a"])
    handles = [n for n in pick.names if n.startswith("h") and n[1:].isdigit()]
    return pick.one([
        load, load, load, f"{owner}.load_state_dict({{**{state}, 'x': tensor([1.5])}})",
        f"{state}[{key!r}] = {pick.tensor()}", f"{state}.pop({key!r}, None) is None",
        f"{pick.fresh('h')} = {pick.module()}.register_{kind}_hook(note({kind!r}))",
        f"{pick.fresh('h')} = {pick.module()}.register_{kind}_hook(note({kind!r}))",
        f"{pick.fresh('h')} = {owner}.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())",
        f"{pick.one(handles)}.remove()" if handles else load,
    ])  # fmt: skip


def _load(pick: Pick) -> tuple[str, str]:
    """A module and a state dict; more often than not the one has the other's keys."""
    states = pick.things(mechanics.Saved)
    keys = {m: set(pick.names[m].state_dict()) for m in pick.things(mechanics.Module)}
    exactly = pick.rng.random() < 0.6
    fitting = [(m, s) for m in keys for s in states if keys[m] & set(pick.names[s])]
    fitting = [(m, s) for m, s in fitting if not exactly or keys[m] == set(pick.names[s])]
    pick.names["log"].clear()
    if fitting and pick.rng.random() < 0.7:
        return pick.one(fitting)
    return pick.module(), pick.one(states) if states else "None"


def _asked(pick: Pick) -> str:
    owner, name = pick.module(), pick.one(pick.attributes)
    inside = [n for n, _ in pick.names[owner].named_modules(remove_duplicate=False)]
    path = pick.one(["", "a", "a.b", "b.c", "0", "0.a", "c.a.b", *inside])
    return pick.one([
        f"{owner}.get_submodule({path!r}).tag", f"show({owner}.get_parameter({path!r}))",
        f"show({owner}.get_buffer({path!r}))", f"show({owner}.{name})", f"hasattr({owner}, {name!r})",
        f"[p.tolist() for p in {owner}.parameters(recurse=False)]", f"len(list({owner}.modules()))",
        f"[n for n, _ in {owner}.named_parameters('x', recurse={pick.one([True, False])})]",
        f"[n for n, _ in {owner}.named_buffers('x', recurse={pick.one([True, False])})]",
    ])  # fmt: skip


def _container(pick: Pick) -> str:
    kinds = tuple(getattr(mechanics, kind) for kind in CONTAINERS)
    owner = pick.some(kinds, "")
    if not owner:
        return _made(pick)
    kind = type(pick.names[owner]).__name__
    if kind in ("Sequential", "ModuleList"):
        return _listed(pick, owner, kind)
    if kind == "ParameterList":
        i, value = pick.index(), pick.one([pick.parameter(), pick.tensor(), "3"])
        name = pick.fresh("m")
        return pick.one([
            f"{owner}.append({value}).tag", f"{owner}[{i}] = {value}", f"show({owner}[{i}])",
            f"{owner}.extend([{pick.parameter()}, tensor({pick.numbers()})]).tag", f"{owner} += [{value}]",
            f"{name} = {owner}{pick.slice()}; {name}.tag = '{name}'",
        ])  # fmt: skip
    return _keyed(pick, owner, kind)


def _listed(pick: Pick, owner: str, kind: str) -> str:
    i, m, other, name = pick.index(), pick.module(), pick.some(getattr(mechanics, kind)), pick.fresh("m")
    moves = [
        f"{owner}.append({m}).tag", f"{owner}.insert({i}, {m}) is None", f"{owner}.pop({i}).tag", f"del {owner}[{i}]",
        f"{owner}[{i}] = {m}", f"{owner}[{i}].tag", f"del {owner}{pick.slice()}", f"{owner}.extend([{m}, {m}]).tag",
        f"{name} = {owner}{pick.slice()}; {name}.tag = '{name}'", f"{owner} += {other}",
        f"{name} = {owner} + {other}; {name}.tag = '{name}'",
    ]  # fmt: skip
    if kind == "Sequential":
        moves += [f"{name} = {owner} * {pick.one([2, 0])}; {name}.tag = '{name}'", f"{owner} *= 2"]
    return pick.one(moves)


def _keyed(pick: Pick, owner: str, kind: str) -> str:
    key = pick.one([*pick.attributes * 2, "a.b", ""] if kind == "ModuleDict" else pick.attributes)
    value = pick.module() if kind == "ModuleDict" else pick.one([pick.parameter(), pick.tensor()])
    moves = [
        f"{owner}[{key!r}] = {value}", f"{owner}[{key!r}] = {value}", f"del {owner}[{key!r}]",
        f"show({owner}.pop({key!r}))", f"{key!r} in {owner}", f"show({owner}[{key!r}])", f"{owner}.clear()",
        f"{owner}.update([('c', {value}), ('a', {value})])", f"list({owner}), [show(x) for x in {owner}.values()]",
    ]  # fmt: skip
    if kind == "ParameterDict":
        name = pick.fresh("m")
        moves += [
            f"{owner}.update({{'c': {pick.parameter()}, 'b': {pick.parameter()}}})",
            f"show({owner}.get({key!r}, 7))", f"show({owner}.setdefault({key!r}, {pick.parameter()}))",
            f"{owner}.popitem()[0]", f"{name} = {owner}.copy(); {name}.tag = '{name}'",
            f"{name} = {owner} | {pick.some(mechanics.ParameterDict)}; {name}.tag = '{name}'",
        ]  # fmt: skip
    return pick.one(moves)


EDITS = Machine(PRELUDE, moves, looks)
