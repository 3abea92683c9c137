"""Forward mode and second order of any rule, with nothing declared beside its vjp.

The tangent of an analytic body is the complex step, ``imag(f(x + i h v)) / h``, exact to rounding
since h is so small that its square vanishes (Squire and Trapp, SIAM Review 40, 1998). The same step
through the hand-written vjp gives the derivative of the gradient. Where a body is not analytic
(complex inputs, factorisations), the tangent is the transpose of the vjp, for a linear one that of its
own values, or written by hand, and the derivative of the gradient an extrapolated difference.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.rule import Array, Case, Rule, is_array, is_inexact, is_list, stepping

STEP = 1e-150
SINGLE_STEP = 2.0**-40  # its square vanishes beside single precision, and it does not underflow there
DIFFERENCE = 2.0**-10


class Call:
    """A case taken apart: `arrays` in signature order (lists spread out), and ways to run it on others.

    `paths[i]` says where `arrays[i]` stands: (parameter,) or (parameter, place in its list).
    """

    def __init__(self, rule: Rule, case: Case):
        self.rule, self.case = rule, case
        self.arrays: list[Array] = []
        self.paths: list[tuple[Any, ...]] = []
        self._places: list[tuple[Any, ...]] = []  # (position or keyword), then the place in a list
        for name, place, value in rule.tensor_arguments(case.args, case.kwargs):
            several = enumerate(value, start=place) if name == rule.variadic else [(place, value)]
            for at, v in several:
                if is_array(v):
                    self._add(np.asarray(v), (name,), (at,))
                elif is_list(v):
                    for i, w in enumerate(v):
                        self._add(np.asarray(w), (name, i), (at, i))
        self.analytic = rule.analytic and not any(a.dtype.kind == "c" for a in self.arrays)

    def _add(self, array: Array, path: tuple[Any, ...], place: tuple[Any, ...]) -> None:
        self.arrays.append(array)
        self.paths.append(path)
        self._places.append(place)

    def replaced(self, arrays: Sequence[Any]) -> Case:
        """The same call with other arrays (or tensors) in the places of its own."""
        args, kwargs = list(self.case.args), dict(self.case.kwargs)
        for place, value in zip(self._places, arrays):
            holder: Any = kwargs if isinstance(place[0], str) else args
            if len(place) == 1:
                holder[place[0]] = value
            else:
                spread = list(holder[place[0]])
                spread[place[1]] = value
                holder[place[0]] = type(holder[place[0]])(spread)
        return Case(tuple(args), kwargs)

    def run(self, arrays: Sequence[Array]) -> tuple[list[Array], Callable[..., list[Any]]]:
        """Flat outputs, and a vjp from flat cotangents to one gradient (or None) for each of `arrays`."""
        if self.rule.mutates:
            arrays = [a.copy() if p[0] in self.rule.mutates else a for a, p in zip(arrays, self.paths)]
        case = self.replaced(arrays)
        outs, pull = self.rule(*case.args, **case.kwargs)
        many = isinstance(outs, tuple)

        def vjp(gs: Sequence[Any], slip: Any = None) -> list[Any]:
            flat: list[Any] = []
            for grad in pull(tuple(gs) if many else gs[0], slip):
                flat.extend(grad) if isinstance(grad, list) else flat.append(grad)
            return flat

        vjp.reads_output = pull.reads_output  # type: ignore[attr-defined]
        return (list(outs) if many else [outs]), vjp


def step_of(arrays: Sequence[Array]) -> float:
    """The complex step for these arrays: single precision has a smaller range."""
    single = any(a.dtype in (np.float32, np.complex64) for a in arrays)
    return SINGLE_STEP if single else STEP


def stepped(arrays: Sequence[Array], tangents: Sequence[Any]) -> list[Array]:
    """Every real array made complex, its tangent (or nothing) in the imaginary part."""
    h = step_of(arrays)
    return [a if not is_inexact(a) else _stepped(a, 0.0 if v is None else h * v) for a, v in zip(arrays, tangents)]


def _stepped(a: Array, imag: Any) -> Array:
    """a + i imag, part by part: a sum would turn zeros of negative sign into positive ones."""
    out = np.empty(a.shape, np.result_type(a.dtype, np.complex64))  # dtypes: NumPy 1 looks at the value of 0-d arrays
    out.real, out.imag = a, imag
    return out


def imaginary(values: Sequence[Any], step: float = STEP) -> list[Any]:
    """What the step brought: the imaginary parts over h; None for integers and missing gradients."""
    return [None if v is None or v.dtype.kind not in "fc" else np.asarray(v.imag) / step for v in values]


def jvp(call: Call, arrays: Sequence[Array], tangents: Sequence[Any], product: Product | None = None) -> list[Any]:
    """The tangents of the flat outputs (None for outputs of integers) for the tangents of the arrays."""
    if call.analytic:
        with stepping():
            return imaginary(call.run(stepped(arrays, tangents))[0], step_of(arrays))
    if call.rule.linear:
        return multilinear(call, arrays, tangents)
    if call.rule.forward is not None:
        return list(call.rule.forward(arrays[0], tangents[0]))
    return transposed(call, arrays, tangents, product)


def multilinear(call: Call, arrays: Sequence[Array], tangents: Sequence[Any]) -> list[Any]:
    """The jvp of a rule that is linear in each array: the rule of each tangent in its array's place, added up.

    A bias is added to what the others make: it moves alone, and they move without it.
    """
    bias = [path == ("bias",) for path in call.paths]

    def moved(i: int) -> list[Any]:
        there = [np.zeros_like(a) if is_inexact(a) and bias[i] != b else a for a, b in zip(arrays, bias)]
        return call.run([*there[:i], tangents[i], *there[i + 1 :]])[0]

    parts = [moved(i) for i, v in enumerate(tangents) if v is not None]
    return [sum(several) if is_inexact(several[0]) else None for several in zip(*parts)]


def transposed(
    call: Call, arrays: Sequence[Array], tangents: Sequence[Any], product: Product | None = None
) -> list[Any]:
    """The jvp read off the vjp."""
    outs, vjp = call.run(arrays)
    return [
        transpose(call.rule, outs, i, vjp, tangents, product or inner) if is_inexact(out) else None
        for i, out in enumerate(outs)
    ]


def transpose(
    rule: Rule, outs: Sequence[Array], i: int, pull: Callable[[list[Any]], list[Any]], vectors: Sequence[Any],
    product: Product,
) -> Array:  # fmt: skip
    """The i-th output of the map that `pull` transposes, one element at a time: Re<e, J v> = Re<pull(e), v>."""
    out = outs[i]
    result = np.zeros(out.shape, out.dtype)
    for unit in (1.0, 1j) if out.dtype.kind == "c" else (1.0,):
        if rule.elementwise:  # no element meets another: all at once
            (grad,), (vector,) = pull([np.full_like(out, unit)]), vectors
            result = result + unit * (np.conj(grad) * vector).real
            continue
        for index in np.ndindex(out.shape):
            basis: list[Any] = [np.zeros_like(o) if is_inexact(o) else None for o in outs]
            basis[i][index] = unit
            result[index] += unit * product(pull(basis), vectors)
    return np.asarray(result)


def inner(left: Sequence[Any], right: Sequence[Any]) -> float:
    """Re<left, right> over flat lists; a missing entry is zero."""
    return float(sum(np.sum((np.conj(a) * b).real) for a, b in zip(left, right) if a is not None and b is not None))


def finite_inner(left: Sequence[Any], right: Sequence[Any]) -> float:
    """The inner product without what is not finite: a zero times an element that has left the domain."""
    terms = [(np.conj(a) * b).real for a, b in zip(left, right) if a is not None and b is not None]
    return float(sum(np.sum(t, where=np.isfinite(t)) for t in terms))


Product = Callable[[Sequence[Any], Sequence[Any]], float]


def vjp_jvp(call: Call, arrays: Sequence[Array], tangents: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """The derivative of ``x -> vjp_x(g)`` in the direction of the tangents: one entry for each array.

    By the symmetry of second derivatives this one oracle serves all four compositions of reverse
    and forward mode.
    """
    return along(call, arrays, tangents)(cotangents)


def along(call: Call, arrays: Sequence[Array], tangents: Sequence[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """vjp_jvp as a function of the cotangents: the forward pass, which does not depend on them, is made once."""
    if not call.analytic:
        at = _gradients(call, arrays, tangents)
        return lambda cotangents: extrapolations(lambda h: at(h, cotangents))[-1]
    with stepping():
        _, vjp = call.run(stepped(arrays, tangents))

    def derivative(cotangents: Sequence[Any]) -> list[Any]:
        with stepping():
            return imaginary(vjp(list(cotangents)), step_of(arrays))

    return derivative


def truncation(call: Call, arrays: Sequence[Array], tangents: Sequence[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """A bound of how far `along` is off where it is a difference: what the last extrapolation still moved."""
    at = _gradients(call, arrays, tangents)

    def bound(cotangents: Sequence[Any]) -> list[Any]:
        *_, before, last = extrapolations(lambda h: at(h, cotangents))
        return apart(last, before)

    return bound


def apart(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
    """|left - right|, and 0 where either is not finite."""
    sizes = [0.0 if a is None else np.abs(a - b) for a, b in zip(left, right)]
    return [np.where(np.isfinite(s), s, 0.0) for s in sizes]


def third(
    call: Call, arrays: Sequence[Array], vs: Sequence[Any], us: Sequence[Any], cotangents: Sequence[Any]
) -> list[list[Any]]:
    """The extrapolations of the derivative of vjp_jvp (along vs) in the direction us; the last is the best."""
    return extrapolations(lambda h: vjp_jvp(call, _moved(arrays, us, h), vs, cotangents))


def _gradients(
    call: Call, arrays: Sequence[Array], tangents: Sequence[Any]
) -> Callable[[float, Sequence[Any]], list[Any]]:
    """(h, cotangents) -> the gradients at arrays + h tangents."""
    pull = functools.cache(lambda h: call.run(_moved(arrays, tangents, h))[1])
    return lambda h, cotangents: pull(h)(list(cotangents))


def _moved(arrays: Sequence[Array], tangents: Sequence[Any], h: float) -> list[Array]:
    return [a if v is None else np.asarray(a + h * v) for a, v in zip(arrays, tangents)]


def difference(fn: Callable[[list[Array]], list[Any]], arrays: Sequence[Array], tangents: Sequence[Any]) -> list[Any]:
    """The directional derivative of fn, by the last of the extrapolations."""
    return extrapolations(lambda h: fn(_moved(arrays, tangents, h)))[-1]


def extrapolations(at: Callable[[float], list[Any]]) -> list[list[Any]]:
    """The derivative at 0 by central differences, extrapolated 0, 1, 2 and 3 times (Richardson).

    The truncation error of the last falls with h to the eighth; with h = 2**-10 rounding dominates, some 1e-12
    of the values, unless a singularity is nearer than an eighth.
    """

    def central(h: float) -> list[Any]:
        return [None if not is_inexact(p) else (p - m) / (2 * h) for p, m in zip(at(h), at(-h))]

    h = DIFFERENCE
    rows = [central(h), central(2 * h), central(4 * h), central(8 * h)]
    finest = [rows[0]]
    for ratio in (4.0, 16.0, 64.0):
        rows = [_extrapolate(fine, coarse, ratio) for fine, coarse in itertools.pairwise(rows)]
        finest.append(rows[0])
    return finest


def _extrapolate(fine: list[Any], coarse: list[Any], ratio: float) -> list[Any]:
    return [None if f is None else (ratio * f - c) / (ratio - 1.0) for f, c in zip(fine, coarse)]
