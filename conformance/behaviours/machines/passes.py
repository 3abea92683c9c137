"""Random programs that put hooks of all kinds on a small tree of modules and run passes through it, both ways.

The graph is a chain (with shared modules, tied weights and residuals), so that what depends on what decides the order
of its events; each leaf has an order of its own.  All numbers are small and whole, and sums of them exact.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from conformance.behaviours.machines.driver import Machine, Names
from conformance.behaviours.machines.edits import Pick
from reference import mechanics

PRELUDE = {
    "done": "done = []",
    "log": "log = []",
    "show": "show = lambda x: (\n"
    "    x.tolist() if hasattr(x, 'tolist') else tuple(map(show, x)) if isinstance(x, tuple) else x)",
    "Scale": "class Scale(Module):\n"
    "    def __init__(self, tag, w, b):\n"
    "        super().__init__()\n"
    "        self.tag, self.w, self.b = tag, Parameter(tensor(w)), Parameter(tensor(b))\n"
    "    def forward(self, x, twice=False):\n"
    "        return (x * self.w + x * self.w if twice else x * self.w) + self.b",
    "Residual": "class Residual(Module):\n"
    "    def __init__(self, tag, inner):\n"
    "        super().__init__()\n"
    "        self.tag, self.inner = tag, inner\n"
    "    def forward(self, x):\n"
    "        return x + self.inner(x)",
    # hooks of tensors, of leaves after accumulation, of nodes
    "seen": "seen = lambda kind, n, factor=None: lambda g: (\n"
    "    log.append((kind, n, show(g))) or (None if factor is None else g * factor))",
    "added": "added = lambda n, clear=False: lambda p: (\n"
    "    log.append(('leaf', n, 'added', show(p.grad))) or (setattr(p, 'grad', None) if clear else None))",
    "gathered": "gathered = lambda n: lambda gs: log.append(('leaf', n, tuple(map(show, gs))))",
    "before": "before = lambda n, factor=1: lambda gs: (\n"
    "    log.append(('before', n, show(gs))) or tuple(g * factor for g in gs))",
    "after": "after = lambda n, factor=1: lambda inner, outer: (\n"
    "    log.append(('after', n, show(inner), show(outer))) or tuple(g if g is None else g * factor for g in inner))",
    # hooks of modules
    "entering": "entering = lambda n, factor=None: lambda m, args, *kw: log.append((n, m.tag, show(args), *kw)) or (\n"
    "    None if factor is None else ((args[0] * factor,), *kw) if kw else args[0] * factor)",
    "leaving": "leaving = lambda n, factor=None: lambda m, args, *rest: (\n"
    "    log.append((n, m.tag, show(args), *map(show, rest)))\n"
    "    or (rest[-1] if factor is None or rest[-1] is None else rest[-1] * factor))",
    "tapping": "tapping = lambda n: lambda m, args, out: (\n"
    "    out.register_hook(lambda g: log.append((n, show(g)))) and None if out.requires_grad else None)",
    "failing": "failing = lambda n: lambda m, *args: {}[n]",
    "returning": "returning = lambda n, factor=None: lambda m, inner, outer: (\n"
    "    log.append((n, m.tag, show(inner), show(outer)))\n"
    "    or (None if factor is None or inner[0] is None else (inner[0] * factor,)))",
    "arriving": "arriving = lambda n, factor=None: lambda m, outer: (\n"
    "    log.append((n, m.tag, show(outer))) or (None if factor is None else (outer[0] * factor,)))",
    "once": "def once(register, hook, **options):\n"
    "    handle = register(lambda *args: (handle.remove(), hook(*args))[1], **options)\n"
    "    return handle",
}
EVENTS = (
    "[e for e in log if 'leaf' not in e[:1]]",
    "sorted([e for e in log if 'leaf' in e[:1]], key=lambda e: e[1])",
)
FACTORS = ("", "", ", 2", ", -1")


def looks(names: Names) -> list[list[str]]:
    """The gradients of all that there is."""
    found = []
    for name, thing in names.items():
        if isinstance(thing, mechanics.Module):
            found.append([f"[(n, show(p.grad)) for n, p in {name}.named_parameters()]"])
        elif isinstance(thing, mechanics.Tensor):
            # torch warns where a result that does not retain its gradient is asked for it
            kept = thing.grad_fn is None or thing.grad is not None
            found.append([f"{name}.tolist()", f"{name}.requires_grad", *([f"show({name}.grad)"] if kept else [])])
    return found


def moves(rng: random.Random, names: Names) -> Iterator[str]:
    """Lines without end."""
    pick = Pick(rng, names)
    pick.everywhere = rng.random() < 0.5
    makers = {_module: 2, _hooked: 6, _called: 6, _tensor: 5, _leaf: 3, _undone: 2}
    weights = [weight * rng.choice([0.3, 1.0, 2.0]) for weight in makers.values()]
    yield f"m1 = Scale('m1', {_numbers(pick)}, {_numbers(pick)})"
    while True:
        yield rng.choices(list(makers), weights)[0](pick)


def _numbers(pick: Pick) -> str:
    return str([float(pick.one([-2, -1, 1, 2])) for _ in range(2)])


def _module(pick: Pick) -> str:
    if len(pick.things(mechanics.Module)) > 4:
        return _called(pick)
    name, m, n = pick.fresh("m"), pick.module(), pick.module()
    return pick.one([
        f"{name} = Scale({name!r}, {_numbers(pick)}, {_numbers(pick)})",
        f"{name} = Sequential({m}, {n}); {name}.tag = {name!r}", f"{name} = Residual({name!r}, {m})",
        f"{name} = copy.deepcopy({m}); {name}.tag = {name!r}",
        f"{pick.some(_scales(pick))}.w = {pick.some(_scales(pick))}.w",
    ])  # fmt: skip


def _scales(pick: Pick) -> type:
    found: type = pick.names["Scale"]
    return found


def _hooked(pick: Pick) -> str:
    name, m, factor = pick.fresh("h"), pick.module(), pick.one(FACTORS)
    first, kwargs, always = (pick.one(["", "", f", {o}=True"]) for o in ("prepend", "with_kwargs", "always_call"))
    register, hook, options = pick.one([
        ("forward_pre", f"entering({name!r}{factor})", f"{first}{kwargs}"),
        ("forward", f"leaving({name!r}{factor})", f"{first}{kwargs}{always}"),
        ("forward", f"tapping({name!r})", first),
        ("full_backward", f"returning({name!r}{factor})", first),
        ("full_backward", f"returning({name!r}{factor})", first),
        ("full_backward_pre", f"arriving({name!r}{factor})", first),
        pick.one([("forward", f"failing({name!r})", first), ("forward_pre", f"failing({name!r})", first)]),
    ])  # fmt: skip
    if pick.rng.random() < 0.15 and pick.everywhere:
        return (
            f"{name} = register_module_{register}_hook({hook})"
            if "failing" not in hook and "kwargs" not in options
            else _undone(pick)
        )
    if pick.rng.random() < 0.2 and "failing" not in hook:
        return f"{name} = once({m}.register_{register}_hook, {hook}{options})"
    return f"{name} = {m}.register_{register}_hook({hook}{options})"


def _results(pick: Pick) -> list[str]:
    return [n for n in pick.things(mechanics.Tensor) if n[0] in "xy"]


def _called(pick: Pick) -> str:
    """A pass: forward, or backward from a result that has not been gone back from."""
    waiting = [n for n in _results(pick) if n[0] == "y" and pick.names[n].grad_fn and n not in pick.names["done"]]
    if waiting and pick.rng.random() < 0.55:
        y = pick.one(waiting)
        return f"{y}.backward(tensor({_numbers(pick)})); done.append({y!r})"
    if len(pick.things(mechanics.Tensor)) > 12:
        return f"{pick.module()}.zero_grad()"
    x = pick.one([n for n in pick.things(mechanics.Tensor) if n[0] == "x"] or ["None"])
    if x == "None" or pick.rng.random() < 0.2:
        return f"{pick.fresh('x')} = tensor({_numbers(pick)}).requires_grad_({pick.one([True, True, False])})"
    m = pick.module()
    twice = ", twice=True" if isinstance(pick.names[m], _scales(pick)) and pick.rng.random() < 0.4 else ""
    y = pick.fresh("y")
    kept = f"with saved_tensors_hooks(lambda t: t.clone(), lambda t: t): {y} = {m}({x}{twice})"
    return pick.one([*[f"{y} = {m}({x}{twice})"] * 8, f"with no_grad(): {y} = {m}({x}{twice})", kept])


def _tensor(pick: Pick) -> str:
    """Something on a result, or on the step that made it."""
    name, factor = pick.fresh("h"), pick.one(FACTORS)
    waiting = [n for n in _results(pick) if n[0] == "y" and n not in pick.names["done"]]
    if not waiting:
        return _called(pick)
    y = pick.one(waiting)
    return pick.one([
        f"{name} = {y}.register_hook(seen('tensor', {name!r}{factor}))",
        f"{name} = once({y}.register_hook, seen('tensor', {name!r}{factor}))", f"{y}.retain_grad()",
        f"{name} = {y}.grad_fn.register_prehook(before({name!r}{factor}))",
        f"{name} = {y}.grad_fn.register_hook(after({name!r}{factor}))",
    ])  # fmt: skip


def _leaf(pick: Pick) -> str:
    name, factor = pick.fresh("h"), pick.one(FACTORS)
    leaves = [f"{m}.{w}" for m in pick.things(_scales(pick)) for w in "wb"]
    p = pick.one([*leaves, *(n for n in _results(pick) if n[0] == "x")])
    several = ", ".join(dict.fromkeys([p, pick.one(leaves), pick.one(_results(pick) or leaves)]))
    return pick.one([
        f"{name} = register_multi_grad_hook(({several},), gathered({name!r}))",
        f"{name} = {p}.register_hook(lambda g: seen('leaf', {p!r}{factor})(g))",
        f"{name} = once({p}.register_hook, seen('leaf', {p!r}{factor}))",
        f"{name} = {p}.register_post_accumulate_grad_hook(added({p!r}{pick.one(['', ', True'])}))",
        f"{p}.requires_grad_({pick.one([True, False])}).tolist()", f"{pick.module()}.zero_grad()",
    ])  # fmt: skip


def _undone(pick: Pick) -> str:
    handles = [n for n in pick.names if n[0] == "h" and n[1:].isdigit()]
    return f"{pick.one(handles)}.remove()" if handles else _hooked(pick)


PASSES = Machine(PRELUDE, moves, looks, EVENTS)
