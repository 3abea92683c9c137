"""torch's own inventory: its public functions by namespace, and which of them torch differentiates.

The names are those that ``torch.overrides`` lists as overridable in torch's public namespaces. Whether one
is differentiable is found by calling it: the rule's own cases where there is a rule, else calls made up
from the operator's schema. What the installed torch adds is therefore seen without a line changed here.

``python -m conformance.inventory`` prints one JSON line for each name; it runs in a process of its own,
since calls that nobody meant may end it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import itertools
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

NAMESPACES = ("", "Tensor", "nn.functional", "linalg", "special", "fft")
# Classes that are covered as such: optimizers, schedules, and the averages of weights.
CLASSES = ("optim", "optim.lr_scheduler", "optim.swa_utils")
# Modules whose public functions and classes are covered by laws and promises, not by rules.
FACILITIES = (
    "nn.init", "nn.utils", "nn.utils.parametrize", "nn.utils.parametrizations", "nn.utils.prune", "nn.utils.rnn",
    "nn.utils.stateless",
)  # fmt: skip
KINDS = ("differentiable", "value", "other", "unknown", "class", "facility")
SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Name:
    """A public function: its path without ``torch.``, and what calls of it showed.

    differentiable  an output of a call with inputs that require grad has a gradient function
    value           the calls give tensors, none of them with one
    other           no call gives a tensor
    unknown         no call that was made up is legal
    class           a class of a layer, an optimizer or the like
    facility        a function or class of one of FACILITIES
    """

    path: str
    kind: str

    @property
    def namespace(self) -> str:
        return self.path.rpartition(".")[0]


def public() -> dict[str, Any]:
    """Every public function of the namespaces that torch lists as overridable, by its path."""
    import torch.overrides

    from conformance.bridge import resolve

    listed = torch.overrides.get_testing_overrides()
    found = {}
    for namespace in NAMESPACES:
        holder = resolve(namespace) if namespace else torch
        for name in sorted(set(dir(holder))):
            value = getattr(holder, name, None)
            if name.startswith("_") or not callable(value) or not _among(value, listed):
                continue
            found[f"{namespace}.{name}" if namespace else name] = value
    return found


def _among(value: Any, listed: Any) -> bool:
    try:
        return value in listed
    except TypeError:
        return False


def classes() -> list[str]:
    """The public classes that have kinds of subject of their own: layers, optimizers, schedules, averages."""
    import torch.nn
    import torch.optim.swa_utils

    bases = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, torch.nn.Module)
    found = [f"nn.{name}" for name in torch.nn.modules.__all__]
    for space in (torch.optim, torch.optim.lr_scheduler, torch.optim.swa_utils):
        for name, value in sorted(vars(space).items()):
            own = space is torch.optim or getattr(value, "__module__", "") == space.__name__
            if inspect.isclass(value) and issubclass(value, bases) and value not in bases and own and name[0] != "_":
                found.append(f"{space.__name__[6:]}.{name}")
    return found


def facilities() -> list[str]:
    """The public functions and classes of FACILITIES: those that a module lists, else those that it defines."""
    found = []
    for path in FACILITIES:
        module = importlib.import_module(f"torch.{path}")
        listed = getattr(module, "__all__", None)
        for name in sorted(listed or dir(module)):
            value = getattr(module, name)
            own = listed is not None or getattr(value, "__module__", "") == module.__name__
            if name[0] != "_" and callable(value) and own:
                found.append(f"{path}.{name}")
    return found


def ask() -> list[Name]:
    """What `main` prints, from a process that is begun again after a name that ends it."""
    found: dict[str, Name] = {}
    while True:
        skip = [n.path for n in found.values()]
        done = subprocess.run(
            [sys.executable, "-m", "conformance.inventory"],
            input=json.dumps(skip), capture_output=True, text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
        begun = ""
        for line in done.stdout.splitlines():
            if not line.startswith("{"):
                continue
            said = json.loads(line)
            begun = said.get("begun", begun)
            if "kind" in said:
                found[said["path"]] = Name(said["path"], said["kind"])
        if done.returncode == 0:
            return list(found.values())
        if not begun or begun in found:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"the inventory cannot be taken: {last}")
        found[begun] = Name(begun, "unknown")


def main() -> None:
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    skip = set(json.load(sys.stdin))
    for path in classes():
        print(json.dumps({"path": path, "kind": "class"}))
    for path in facilities():
        print(json.dumps({"path": path, "kind": "facility"}))
    for path, function in public().items():
        if path not in skip:
            print(json.dumps({"begun": path}), flush=True)
            print(json.dumps({"path": path, "kind": classify(path, function)}), flush=True)


def classify(path: str, function: Callable[..., Any]) -> str:
    """One of KINDS. Where calls disagree the first of KINDS counts."""
    seen = "unknown"
    for given, kwargs in itertools.islice(_calls(path, function), 400):
        for args in _parts(given):
            try:
                out = function(*args, **kwargs)
            except Exception:  # an illegal call says nothing
                break
            kind = _kind(out)
            if KINDS.index(kind) < KINDS.index(seen):
                seen = kind
            if seen == "differentiable":
                return seen
    return seen


def _parts(args: list[Any]) -> Iterator[list[Any]]:
    """The arguments as they are, then with one of the tensors alone differentiable: there may be a formula for that."""
    import torch

    yield args
    several = [i for i, a in enumerate(args) if isinstance(a, torch.Tensor) and a.requires_grad]
    for kept in several if len(several) > 1 else []:
        yield [a.detach() if i in several and i != kept else a for i, a in enumerate(args)]


def _kind(out: Any) -> str:
    import torch

    tensors = [t for t in _flat(out) if isinstance(t, torch.Tensor)]
    if any(_has_formula(t) for t in tensors if t.grad_fn is not None):
        return "differentiable"
    return "value" if tensors else "other"


def _has_formula(out: Any) -> bool:
    """Whether a backward pass from this result goes through: where torch has no formula, its node says so then."""
    import torch

    try:
        torch.autograd.backward(out, torch.ones_like(out), retain_graph=True)
    except (NotImplementedError, RuntimeError) as error:
        return "not implemented" not in str(error)
    return True


def _flat(out: Any) -> Iterator[Any]:
    if isinstance(out, (list, tuple)):
        for each in out:
            yield from _flat(each)
    else:
        yield out


# calls


def _calls(path: str, function: Callable[..., Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    yield from _from_rule(path)
    yield from _made_up(path, function)


def _from_rule(path: str) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """A few cases of the rule that answers for the name."""
    import torch

    from conformance.bridge import convert
    from conformance.draws import SeededDraw
    from conformance.dtypes import DTYPES
    from reference import lookup

    rule = lookup(path)
    if rule is None:
        return
    for seed in range(6):
        case = rule.cases(SeededDraw(seed))
        args, kwargs = (convert(v, DTYPES["float64"], torch.device("cpu")) for v in (list(case.args), case.kwargs))
        for t in _flat([*args, *kwargs.values()]):
            if isinstance(t, torch.Tensor) and (t.is_floating_point() or t.is_complex()):
                t.requires_grad_()
        yield args, kwargs


SHAPES = ((2, 2), (3,), (1, 2, 4), (1, 2, 4, 4), (1, 1, 4, 4, 4))


def _made_up(path: str, function: Callable[..., Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Calls in which every tensor has one shape, every integer one value, and defaults stay as they are."""
    import torch

    for wanted in _signatures(path, function):
        for shape, integer, indices, positive in itertools.product(SHAPES, (0, 1, 2), (False, True), (True, False)):
            args = [_argument(name, kind, shape, integer, indices, positive) for name, kind in wanted]
            if path.endswith("_") and args and isinstance(args[0], torch.Tensor):
                args[0] = args[0] * 1  # a leaf that requires grad must not be changed in place
            yield args, {}


def _signatures(path: str, function: Callable[..., Any]) -> Iterator[list[tuple[str, str]]]:
    """The required parameters of each overload, as (name, type)."""
    import torch

    namespace, _, name = path.rpartition(".")
    prefix = "" if namespace in ("", "Tensor", "nn.functional") else f"{namespace}_"
    packet = getattr(torch.ops.aten, prefix + name, None)
    for overload in packet.overloads() if packet is not None else []:
        schema = getattr(packet, overload)._schema
        if not any(a.is_out for a in schema.arguments if hasattr(a, "is_out")):
            yield [(a.name, str(a.type)) for a in schema.arguments if not a.has_default_value() and not a.kwarg_only]
    with_text = _python_signature(function)
    if with_text is not None:
        yield with_text


def _python_signature(function: Callable[..., Any]) -> list[tuple[str, str]] | None:
    import torch.overrides

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        parameters = inspect.signature(torch.overrides.get_testing_overrides()[function]).parameters
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        (p.name, "" if p.annotation is p.empty else str(p.annotation))
        for p in parameters.values()
        if p.default is p.empty and p.kind in plain
    ]


INTEGERS = {"dim", "dims", "k", "n", "diagonal", "chunks", "sections", "repeats", "start", "length", "p", "size"}
INDICES = {"index", "indices", "target", "offsets", "tensor_indices_or_sections", "mask", "condition"}


def _argument(name: str, kind: str, shape: Sequence[int], integer: int, indices: bool, positive: bool) -> Any:
    """Something of the parameter's type; what has no type is judged by its name."""
    import torch

    def tensor() -> Any:
        if name in INDICES:
            zeros = torch.zeros(shape, dtype=torch.long)
            return zeros.bool() if name in ("mask", "condition") else zeros
        if indices:
            return torch.ones(shape, dtype=torch.long)
        values = torch.linspace(0.2, 0.9, _count(shape), dtype=torch.float64).reshape(shape)
        return (values if positive else values - 0.5).requires_grad_()

    kind = kind.replace("typing.", "").replace("Optional[", "").replace("torch.", "")
    if "List[Tensor]" in kind or "list[Tensor]" in kind or name in ("tensors", "operands"):
        return [tensor(), tensor()]
    if "Tensor" in kind:
        return tensor()
    if "List" in kind or "list" in kind or "BroadcastingList" in kind:
        return [integer] * (1 if name in ("dim", "dims") else max(1, len(shape) - 2))
    simple: dict[str, Any] = {"int": integer, "SymInt": integer, "float": 0.5, "bool": False, "number": 0.5, "str": ""}
    for text, value in simple.items():
        if kind.startswith(text) or f"'{text}'" in kind:
            return value
    return integer if name in INTEGERS else tensor()


@functools.cache
def _count(shape: Sequence[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


if __name__ == "__main__":
    main()
