"""What an optimizer is: one update in NumPy with torch's options and state names, and whole runs made of it.

A case is one run: ``Case((parameters, gradients, groups), options)``.

    parameters  a list of arrays
    gradients   for each step a list with one entry for each parameter: an array, None where there is none, or
                (rows, values) for a sparse one, whose rows may repeat and then add up
    groups      [(members, start, options)]: parameter groups with options of their own, as (name, value) pairs; a
                group with start > 0 is added before the step of that index. Parameters in no group form the first.
    options     the constructor's
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.rule import Array, Case

State = list[dict[str, Any]]
Update = Callable[..., tuple[Array, dict[str, Any]]]
Touch = Callable[[Array], Array]
# One entry for each number that torch shows after a step: "parameter 0", "exp_avg of parameter 0".
Snapshot = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Optimizer:
    """One class of torch.optim.

    update   (parameter, gradient, state, **options) -> (parameter, state); the state is empty at first
    options  draws hyper-parameters in a legal combination
    illegal  options that must raise ValueError
    shapes   of parameters that it takes
    complex  it takes complex parameters: two real numbers each
    sparse   "" none, "also" sparse gradients, "only" sparse gradients
    plain    options under which a sparse gradient is allowed
    flat     no part of a parameter depends on another: derivatives are elementwise
    steps    how many steps a run has, at least and at most
    runs     draws its runs, where they have a form of their own
    """

    name: str
    update: Callable[..., Any]
    options: Callable[[Draw], dict[str, Any]]
    illegal: tuple[dict[str, Any], ...]
    shapes: tuple[tuple[int, ...], ...]
    complex: bool
    sparse: str
    plain: tuple[str, ...]
    flat: bool
    steps: tuple[int, int]
    runs: Callable[[Draw, str], Case] | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """The options that the update knows, with torch's defaults."""
        found = inspect.signature(self.update).parameters.values()
        return {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}

    def cases(self, draw: Draw, kind: str = "steps") -> Case:
        """A run. `kind` is what it must contain: groups, missing gradients, sparse ones; see drawing.run_case."""
        from reference.optim.drawing import run_case

        if self.runs is not None:
            return self.runs(draw, kind)
        return run_case(self, draw, kind)


OPTIMIZERS: dict[str, Optimizer] = {}
SHAPES = ((3,), (), (2, 3), (17,), (2, 1, 2), (4, 8))


def optimizer(
    name: str,
    options: Callable[[Draw], dict[str, Any]],
    illegal: Sequence[dict[str, Any]],
    shapes: Sequence[tuple[int, ...]] = SHAPES,
    complex: bool = True,
    sparse: str = "",
    plain: Sequence[str] = (),
    flat: bool = True,
    steps: tuple[int, int] = (2, 5),
) -> Callable[[Update], Update]:
    """Register the decorated update as that of ``torch.optim.<name>``. See Optimizer for the fields."""

    def register(update: Update) -> Update:
        made = Optimizer(
            name, update, options, tuple(illegal), tuple(shapes), complex, sparse, tuple(plain), flat, steps
        )
        OPTIMIZERS[name] = made
        return update

    return register


def decayed(p: Array, g: Array, maximize: bool, weight_decay: float, rate: float | None = None) -> tuple[Array, Array]:
    """Parameter and gradient as a step begins: the gradient turned round where it maximizes, and the weight decay.

    Coupled, the decay is added to the gradient: g + weight_decay p. Decoupled, given the rate, it shrinks the parameter
    by itself: (1 - rate weight_decay) p.
    """
    g = -g if maximize else g
    if weight_decay and rate is not None:
        return (1.0 - rate * weight_decay) * p, g
    return p, g + weight_decay * p if weight_decay else g


def over(update: Update) -> Callable[..., tuple[list[Array], State]]:
    """The update over lists of parameters and gradients; a gradient of None leaves everything as it is."""

    def step(
        parameters: Sequence[Array], gradients: Sequence[Array | None], state: State, **options: Any
    ) -> tuple[list[Array], State]:
        state = state or [{} for _ in parameters]
        pairs = [
            (p, s) if g is None else update(p, g, s, **options)
            for p, g, s in zip(parameters, gradients, state, strict=True)
        ]
        return [p for p, _ in pairs], [s for _, s in pairs]

    return step


# runs


def owners(case: Case) -> list[tuple[int, dict[str, Any]]]:
    """For each parameter the step from which on it is trained, and the options of its group."""
    parameters, _, groups = case.args
    found: list[tuple[int, dict[str, Any]]] = [(0, dict(case.kwargs)) for _ in parameters]
    for members, start, options in groups:
        for i in members:
            found[i] = (start, {**case.kwargs, **dict(options)})
    return found


def run(
    optimizer: Optimizer,
    case: Case,
    dtype: Any = np.float64,
    touch: Touch | None = None,
    tensors: bool = False,
    inner: Touch | None = None,
) -> list[Snapshot]:
    """All parameters and states after every step.

    dtype    in which everything is computed
    touch    called on every parameter, gradient and state before each step: how their errors propagate
    tensors  the step count is an array of the dtype, so that what is computed from it is rounded as well
    inner    for updates that round inside, as published: what becomes of those numbers
    """
    parameters, gradients, _ = case.args
    change: Touch = touch or (lambda a: a)
    plan, extra = owners(case), {} if inner is None else {"inner": inner}
    now = [_real(np.asarray(p), dtype) for p in parameters]
    states: State = [{} for _ in now]
    shown: list[Snapshot] = []
    for t, given in enumerate(gradients):
        for i, g in enumerate(given):
            start, options = plan[i]
            if g is None or t < start:
                continue
            state = {k: change(v) if isinstance(v, np.ndarray) and k != "step" else v for k, v in states[i].items()}
            if tensors and not state:
                state["step"] = np.zeros(1, dtype)
            gradient = _gradient(optimizer, g, np.shape(parameters[i]), dtype, change)
            now[i], states[i] = optimizer.update(change(now[i]), gradient, state, **options, **extra)
        shown.append(_snapshot(now, states, parameters))
    return shown


def _real(a: Array, dtype: Any) -> Array:
    """At least one dimension (NumPy 1 computes 0-d arrays in float64), complex numbers as pairs of reals."""
    if a.dtype.kind == "c" and np.dtype(dtype).kind != "c":
        a = np.stack([a.real, a.imag], -1)
    return np.atleast_1d(a).astype(dtype)


def _gradient(optimizer: Optimizer, g: Any, shape: tuple[int, ...], dtype: Any, change: Touch) -> Any:
    if not isinstance(g, tuple):
        return change(_real(np.asarray(g), dtype))
    rows, values = np.asarray(g[0]), change(_real(np.asarray(g[1]), dtype))
    total = np.zeros((*shape, *values.shape[len(shape) :]), dtype)
    np.add.at(total, rows, values)
    return (np.unique(rows), total) if optimizer.sparse == "only" else total


def _snapshot(now: Sequence[Array], states: State, parameters: Sequence[Array]) -> Snapshot:
    shown: Snapshot = {}
    for i, (p, state, first) in enumerate(zip(now, states, parameters)):
        first = np.asarray(first)
        shown[f"parameter {i}"] = _whole(p, first)
        for name, value in state.items():
            shown[f"{name} of parameter {i}"] = _whole(value, first) if isinstance(value, np.ndarray) else value
    return shown


def _whole(a: Array, first: Array) -> Array:
    """The array as torch holds it: pairs joined, 0-d where the parameter is."""
    if first.dtype.kind == "c" and a.dtype.kind == "f" and a.ndim == first.ndim + 1 and a.shape[-1] == 2:
        return np.asarray(a[..., 0] + 1j * a[..., 1])
    return a.reshape(first.shape) if a.size == first.size and first.ndim == 0 else a
