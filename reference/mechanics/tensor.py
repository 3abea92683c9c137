"""A tensor that is just enough: an array with its gradient, its history and its hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.mechanics.handles import Handle, Registry, registered
from reference.mechanics.scope import OutOfScope

Hook = Callable[..., Any]


class Node:
    """One step of the backward pass: gradients of its outputs to gradients of its inputs.

    inputs   the tensors it was made of
    needs    which of them needed a gradient then
    vjp      cotangents of the outputs -> cotangents of the inputs
    outputs  its results by position, each with the hooks of the tensor that it is
    """

    def __init__(self, inputs: Sequence[Tensor], vjp: Callable[..., Sequence[np.ndarray | None]], outputs: int = 1):
        self.inputs, self.vjp = list(inputs), vjp
        self.needs = [t.requires_grad for t in inputs]
        self.hooks: list[Registry] = [{} for _ in range(outputs)]
        self.kept: list[Tensor | None] = [None] * outputs  # the tensors that asked for their gradient
        self.before: Registry = {}
        self.after: Registry = {}

    def register_prehook(self, hook: Hook) -> Handle:
        """hook(grad_outputs) -> None or new ones."""
        if any(self.kept):
            raise OutOfScope("a pre-hook of the node of a tensor that retains its gradient")
        return registered(self.before, hook)

    def register_hook(self, hook: Hook) -> Handle:
        """hook(grad_inputs, grad_outputs) -> None or new grad_inputs."""
        return registered(self.after, hook)


class Tensor:
    """An array, shared with those that were detached from it."""

    def __init__(self, value: Any, node: Node | None = None, place: int = 0):
        self.value: np.ndarray = value
        self._requires = node is not None
        self._grad: Tensor | None = None
        self.grad_fn, self.place = node, place
        self._hooks: Registry = {}
        self._accumulated: Registry = {}

    @property
    def requires_grad(self) -> bool:
        return self._requires

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, wanted: bool = True) -> Tensor:
        """Only a leaf may change, and only one of floating numbers may need a gradient."""
        if wanted and self.value.dtype.kind != "f":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if self.grad_fn is not None and not wanted:
            raise RuntimeError("only leaf variables can change")
        self._requires = wanted
        return self

    @property
    def grad(self) -> Tensor | None:
        return self._grad

    @grad.setter
    def grad(self, given: Tensor | None) -> None:
        if given is not None and (given.value.shape, given.dtype) != (self.value.shape, self.dtype):
            raise OutOfScope("a gradient of another shape or dtype")
        self._grad = given

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def dtype(self) -> str:
        return f"torch.{self.value.dtype.name}"

    def tolist(self) -> Any:
        return self.value.tolist()

    def copy_(self, other: Tensor) -> Tensor:
        """Take over the numbers, in this dtype; all that share the storage see them."""
        np.copyto(self.value, other.value, casting="unsafe")
        return self

    def detach(self) -> Tensor:
        """The same storage without history."""
        return Tensor(self.value)

    def cast(self, dtype: np.dtype) -> Tensor:
        """Itself where it has the dtype or is not of floating numbers, a new tensor otherwise."""
        if self.value.dtype.kind != "f" or self.value.dtype == dtype:
            return self
        return Tensor(self.value.astype(dtype))

    def __mul__(self, other: Any) -> Tensor:
        a, b = self, other if isinstance(other, Tensor) else Tensor(np.asarray(other, self.value.dtype))
        return _result(a.value * b.value, (a, b), lambda g: (g * b.value, g * a.value))

    def __add__(self, other: Tensor) -> Tensor:
        return _result(self.value + other.value, (self, other), lambda g: (g, g))

    # hooks

    def register_hook(self, hook: Hook) -> Handle:
        """hook(grad) -> None or a new gradient, before anybody else sees it."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        table = self._hooks if self.grad_fn is None else self.grad_fn.hooks[self.place]
        return registered(table, hook)

    def register_post_accumulate_grad_hook(self, hook: Hook) -> Handle:
        """hook(tensor) after `.grad` has its new value; leaves alone have it."""
        if not self.requires_grad or not self.is_leaf:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return registered(self._accumulated, hook)

    def retain_grad(self) -> None:
        """Let `.grad` be filled though the tensor is no leaf."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.grad_fn is not None:
            if self.grad_fn.before:
                raise OutOfScope("a tensor that retains its gradient, whose node has a pre-hook")
            self.grad_fn.kept[self.place] = self

    def backward(self, gradient: Tensor) -> None:
        """Add to `.grad` of every leaf the gradient that `gradient` at this tensor gives it."""
        from reference.mechanics.backward import run

        run(self, gradient.value)


def _result(value: np.ndarray, inputs: Sequence[Tensor], vjp: Callable[..., Sequence[np.ndarray | None]]) -> Tensor:
    """The outcome of an operation; it has a history where an input needs a gradient and grad mode is on."""
    recorded = Mode.grad and any(t.requires_grad for t in inputs)
    return Tensor(value, Node(inputs, vjp)) if recorded else Tensor(value)


class Mode:
    """Whether operations are recorded."""

    grad = True


class no_grad:  # noqa: N801 (the name is torch's)
    """Operations inside have no history."""

    def __enter__(self) -> None:
        self.found, Mode.grad = Mode.grad, False

    def __exit__(self, *raised: Any) -> None:
        Mode.grad = self.found


class saved_tensors_hooks:  # noqa: N801 (the name is torch's)
    """Packing and unpacking change no numbers; what an operation saves is not the model's business."""

    def __init__(self, pack: Hook, unpack: Hook):
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *raised: Any) -> None:
        pass


class Parameter(Tensor):
    """A tensor that a module lists as its own when it becomes an attribute."""

    def __init__(self, data: Tensor, requires_grad: bool = True):
        super().__init__(data.value)
        self.requires_grad_(requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if self.grad is not None:
            raise OutOfScope("torch does not say whether the copy of a parameter has its gradient")
        memo[id(self)] = made = Parameter(Tensor(self.value.copy()), self.requires_grad)
        return made

    def adopt(self, changed: Tensor) -> None:
        """The same parameter with other storage; its gradient follows."""
        self.value = changed.value


def tensor(values: Any) -> Tensor:
    """float32 for floating numbers, int64 for whole ones."""
    array = np.asarray(values)
    return Tensor(array.astype(np.float32) if array.dtype.kind == "f" else array)
