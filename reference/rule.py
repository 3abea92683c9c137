"""What a rule is: one differentiable operation in NumPy, its backward pass written by hand.

A rule has the name and the signature of the torch function that it answers for. Its body takes
arrays (float64 or complex128, integers and bools as they are) and returns the output, or a tuple
of outputs, and ``vjp``. The body's ``vjp`` takes one cotangent for each output (``None`` for an
output of integers) and returns a tuple with one entry for each *tensor parameter*, that is for each
parameter annotated with ``Array`` (the first parameter alone where nothing is annotated): the
gradient, or ``None``. Where nothing has a gradient ``vjp`` itself may be ``None``. Calling the rule
drops the entries of parameters that were not arrays in this call, so that a caller sees one gradient
for each array argument in signature order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from reference.draw import Draw

Array = np.ndarray
Number = Array | float | int | complex | bool
Raises = type[Exception] | tuple[type[Exception], ...]

# What a tensor of a kind that the op does not take raises: the first until torch 2.14, the other since.
WRONG_KIND = (RuntimeError, TypeError)


@dataclasses.dataclass(frozen=True)
class Case:
    """One call: positional and keyword arguments, tensors as arrays."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)


# Checks that a waiver may name: those of a second derivative, and all that compare gradients or tangents.
HIGHER_ORDER = (
    *("reverse_over_reverse", "forward_over_reverse", "reverse_over_forward", "forward_over_forward"),
    *("third_reverse", "third_forward"),
)
DERIVATIVES = (
    *("vjp", "jvp", *HIGHER_ORDER, "subset", "undefined_cotangents", "zero_cotangents", "accumulate", "batched_grad"),
    *("func_vjp", "func_jvp", "func_jacrev", "func_jacfwd", "checkpoint", "checkpoint_reentrant", "module"),
    *("saved_tensor_hooks", "save_on_cpu", "compile", "scalar", "edges", "broadcast", "layout_transposed"),
    *("layout_strided", "layout_offset", "layout_channels_last", "layout_conj", "layout_neg", "layout_expanded"),
    *("vmap_vjp", "spellings", "inplace", "parallel", "promotion", "autocast"),
)


@dataclasses.dataclass(frozen=True)
class Waiver:
    """More room than the tolerance model gives, with the reason that the report will show.

    factor  multiplies the allowed error
    room    for a kernel that is known to cancel: called with the case's arguments, gives the size of the
            terms whose rounding is allowed, in the shape of the output (or its largest, as a number);
            gradients and tangents are allowed the same times their cotangent or tangent
    dtypes, checks  where it holds; empty means everywhere
    """

    reason: str
    factor: float = 1.0
    room: Callable[..., Array] | None = None
    dtypes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


_REGISTRY: dict[str, Rule] = {}
_NAMES: dict[str, Rule] = {}
_step = False
_rounding = False


@contextlib.contextmanager
def stepping() -> Iterator[None]:
    """Inside, complex arrays are real ones that carry an infinitesimal step in their imaginary part."""
    global _step
    before, _step = _step, True
    try:
        yield
    finally:
        _step = before


@contextlib.contextmanager
def single_precision() -> Iterator[None]:
    """Inside, rules answer in single precision, also where a constant or a count made a formula go on in double."""
    global _rounding
    before, _rounding = _rounding, True
    try:
        yield
    finally:
        _rounding = before


def is_stepping() -> bool:
    return _step


def conj(x: Array | complex) -> Any:
    """The complex conjugate of a complex array or number; a stepped real array is real, and stays as it is."""
    return x.conjugate() if np.iscomplexobj(x) and not _step else x


def absolute(x: Array) -> Array:
    """|x|, analytic in the step for real arrays; 0 at 0."""
    return np.asarray(x * np.sign(x.real) if _step else np.abs(x))


def is_array(x: object) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def is_list(x: Any) -> bool:
    """Whether x is a list (or tuple) of arrays and of nothing else."""
    return isinstance(x, (list, tuple)) and len(x) > 0 and all(is_array(v) for v in x)


def is_inexact(x: Any) -> bool:
    """Whether x is an array that may have a gradient."""
    return is_array(x) and x.dtype.kind in "fc"


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of broadcasting an array of `shape` to the shape of `g`: sums over what was repeated."""
    g = np.asarray(g)
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1 and g.shape[extra + i] != 1)
    return np.asarray(g.sum(axis=axes).reshape(shape))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Rule:
    """A registered rule. Calling it gives the output (or outputs) and the vjp.

    aliases      other torch paths with the same signature ("linalg.inv" -> "inverse", "Tensor.inverse")
    method       whether ``Tensor.<name>`` takes the same arguments (only for names without a dot)
    complex      torch accepts complex inputs, and ``cases`` draws them through ``draw.numbers``
    analytic     the body is analytic in its real inputs, so that the complex step passes through it
    linear       the output is linear in each array that has a derivative, `bias` added to that: where the step does not
                 pass through, the tangents are the rule applied to the tangents of the inputs, one input at a time
    elementwise  of one array, in whose shape the output is: an element of it depends on the same of the array alone
    forward      of one array: (input, tangent) -> the tangents of the outputs, by hand, where neither step nor
                 linearity gives them and reading them off the vjp, element by element, takes long
    special      how far infinities and nans follow the formula: "" not stated, "nonfinite" by value,
                 "ieee" by value and by the sign of zeros
    mutates      parameters that the call updates in place (the running statistics of batch_norm)
    constants    places of the outputs through which torch takes no derivative, though they have one
    host         torch wants the integer tensors of a call in the host's memory, wherever the others are
    lately       torch has learnt the derivative in a late release: where no call carries one, none is checked
    any_strides  torch takes inputs of any strides; False for views whose documentation asks for some
    second_order whether torch promises a derivative of the gradient
    structure    "hermitian" or "triangular", where the first argument is meant to be such a matrix: torch's
                 derivatives are meant along such matrices only, and the checks hold them to that;
                 "optional" where that is so for hermitian=True, "triangular second" of the second argument
    gauge        where outputs are unique only up to signs, phases or an order: the name of the way in which the
                 rule's are made unique (see conformance.gauges), in which torch's are brought before they are compared
    dtypes       the dtypes in which torch documents the op; empty for all
    """

    name: str
    fn: Callable[..., Any]
    cases: Callable[[Draw], Case]
    errors: Callable[[Draw], Sequence[tuple[Case, Raises]]] | None = None
    aliases: tuple[str, ...] = ()
    method: bool = False
    complex: bool = False
    analytic: bool = True
    linear: bool = False
    elementwise: bool = False
    forward: Callable[[Array, Array], tuple[Array, ...]] | None = None
    special: str = ""
    mutates: tuple[str, ...] = ()
    constants: tuple[int, ...] = ()
    host: bool = False
    lately: bool = False
    any_strides: bool = True
    second_order: bool = True
    structure: str = ""
    gauge: str = ""
    dtypes: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    family: str
    signature: inspect.Signature
    tensors: tuple[str, ...]

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
        given = [(name, value) for name, _, value in self.tensor_arguments(args, kwargs)]
        out, vjp = self.fn(*args, **kwargs)
        many = isinstance(out, (tuple, list))
        outs = tuple(np.asarray(o) for o in out) if many else np.asarray(out)
        if _rounding:
            outs = tuple(map(_to_single, outs)) if isinstance(outs, tuple) else _to_single(outs)
        return outs, _Pullback(self, vjp, outs, given)

    def tensor_arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[tuple[str, Any, Any]]:
        """(parameter, position or keyword, value) of the tensor parameters that a call gives, in order.

        The value of ``*operands`` is the tuple of what is left, its position where that begins. This is
        what binding the signature gives, many times quicker; the body itself refuses a wrong call.
        """
        found: list[tuple[str, Any, Any]] = []
        position, count = 0, len(args)
        for name, kind, wanted in self._layout:
            if kind is inspect.Parameter.VAR_POSITIONAL:
                if wanted:
                    found.append((name, position, tuple(args[position:])))
                position = count
            elif name in kwargs:
                if wanted:
                    found.append((name, name, kwargs[name]))
            elif position < count and kind is not inspect.Parameter.KEYWORD_ONLY:
                if wanted:
                    found.append((name, position, args[position]))
                position += 1
        return found

    @functools.cached_property
    def _layout(self) -> tuple[tuple[str, Any, bool], ...]:
        return tuple((n, p.kind, n in self.tensors) for n, p in self.signature.parameters.items())

    @functools.cached_property
    def variadic(self) -> str | None:
        """The name of ``*operands``, where there is one."""
        return next((n for n, kind, _ in self._layout if kind is inspect.Parameter.VAR_POSITIONAL), None)

    def __repr__(self) -> str:
        return f"<rule {self.name}>"


class _Pullback:
    """The vjp that callers see: fills in missing cotangents, drops what is not an array argument."""

    def __init__(self, owner: Rule, vjp: Callable[..., Any] | None, outs: Any, given: list[tuple[str, Any]]):
        self.owner, self.vjp, self.outs, self.given = owner, vjp, outs, given
        code = getattr(vjp, "__code__", None)
        self.reads_output = code is not None and "slip" in code.co_varnames[: code.co_argcount]

    def __call__(self, g: Any, slip: Any = None) -> tuple[Any, ...]:
        """The gradients for the cotangent(s) `g`; `slip` is an error of the saved output (see docs)."""
        if self.vjp is None:
            grads: tuple[Any, ...] = (None,) * len(self.owner.tensors)
        else:
            cotangent = self._cotangents(g)
            grads = self.vjp(cotangent) if slip is None else self.vjp(cotangent, slip)
        if len(self.given) == len(grads):
            pairs = zip(self.given, grads)
        else:  # trailing or absent optional parameters: pair by the parameter's place
            named = dict(zip(self.owner.tensors, grads))
            pairs = zip(self.given, [named[name] for name, _ in self.given])
        kept: list[Any] = []
        for (name, value), grad in pairs:
            values, parts = (value, grad) if name == self.owner.variadic else ((value,), (grad,))
            for v, part in zip(values, parts):  # *operands may be arrays, a list of them, or neither
                if is_array(v):
                    kept.append(_fit(self.owner, part, v))
                elif is_list(v):
                    several = part if part is not None else [None] * len(v)
                    kept.append([_fit(self.owner, p, w) for p, w in zip(several, v)])
        return tuple(kept)

    def _cotangents(self, g: Any) -> Any:
        if not isinstance(self.outs, tuple):
            return np.asarray(g[0] if isinstance(g, (tuple, list)) else g)
        if not isinstance(g, (tuple, list)):
            first = next(i for i, o in enumerate(self.outs) if is_inexact(o))
            g = [g if i == first else None for i in range(len(self.outs))]
        return tuple(
            None if not is_inexact(o) else np.zeros_like(o) if c is None else np.asarray(c)
            for o, c in zip(self.outs, g)
        )


def _fit(owner: Rule, grad: Any, value: Any) -> Any:
    """The gradient as the array argument `value` wants it: its shape, real for a real argument."""
    if grad is None or value.dtype.kind not in "fc":
        return None
    grad = np.asarray(grad)
    if grad.shape != value.shape:
        raise ValueError(f"{owner.name}: gradient of shape {grad.shape} for an input of shape {value.shape}")
    if _rounding:
        grad = _to_single(grad)
    if not _step and grad.dtype.kind == "c" and value.dtype.kind == "f":
        return grad.real
    return grad


def _to_single(a: Array) -> Array:
    return a.astype({"d": np.float32, "D": np.complex64}[a.dtype.char]) if a.dtype.char in "dD" else a


def rule(
    name: str,
    *,
    cases: Callable[[Draw], Case],
    errors: Callable[[Draw], Sequence[tuple[Case, Raises]]] | None = None,
    aliases: Sequence[str] = (),
    method: bool = True,
    complex: bool = False,
    analytic: bool = True,
    linear: bool = False,
    elementwise: bool = False,
    forward: Callable[[Array, Array], tuple[Array, ...]] | None = None,
    special: str = "",
    mutates: Sequence[str] = (),
    constants: Sequence[int] = (),
    host: bool = False,
    lately: bool = False,
    any_strides: bool = True,
    second_order: bool = True,
    structure: str = "",
    gauge: str = "",
    dtypes: Sequence[str] = (),
    waivers: Sequence[Waiver] = (),
) -> Callable[[Callable[..., Any]], Rule]:
    """Register the decorated function as the rule of torch's ``torch.<name>``. See Rule for the fields."""

    def register(fn: Callable[..., Any]) -> Rule:
        signature = inspect.signature(fn)
        # an annotation is text under `from __future__ import annotations`, else the type that Array names
        marked = tuple(
            p for p, q in signature.parameters.items() if re.search(r"\bArray\b|\bndarray\b", str(q.annotation))
        )
        made = Rule(
            name=name, fn=fn, cases=cases, errors=errors, aliases=tuple(aliases), method=method,
            complex=complex, analytic=analytic, linear=linear, elementwise=elementwise, forward=forward,
            special=special, mutates=tuple(mutates), constants=tuple(constants), host=host, lately=lately,
            any_strides=any_strides, second_order=second_order, structure=structure, gauge=gauge,
            dtypes=tuple(dtypes), waivers=tuple(waivers),
            family=fn.__module__.rsplit(".", 1)[-1], signature=signature,
            tensors=marked or tuple(signature.parameters)[:1],
        )  # fmt: skip
        for path in (name, *aliases):
            if path in _NAMES:
                raise ValueError(f"two rules for torch.{path}: {made.family} and {_NAMES[path].family}")
            _NAMES[path] = made
        _REGISTRY[name] = made
        return made

    return register


def lookup(name: str) -> Rule | None:
    """The rule for a torch path, with or without ``torch.``, by its name, an alias or a method of it; or None.

    An in-place method (``Tensor.abs_``) takes the arguments of its plain one, and has its rule.
    """
    name = name.removeprefix("torch.")
    found = _NAMES.get(name)
    if found is None and name.startswith("Tensor."):
        method = name.removeprefix("Tensor.")
        if method.endswith("_") and not method.endswith("__"):
            return lookup(name[:-1])
        found = _NAMES.get(method)
        if found is not None and not (found.method and "." not in found.name):
            return None
    return found


def rules() -> dict[str, Rule]:
    """Every registered rule by its name, in order of registration."""
    return dict(_REGISTRY)
