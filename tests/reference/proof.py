"""Proves a rule against itself, without torch: vjp against jvp, and second derivatives against each other.

The identities (Griewank and Walther, Evaluating Derivatives, 2008): <g, J v> = <vjp(g), v>, where J v
is the complex step of the forward formula (or a five-point difference of it), and the derivative of
<g, f> is symmetric: <u, D_v vjp(g)> = <v, D_u vjp(g)>.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.draws import SeededDraw
from reference.derive import STEP, Call, difference, imaginary, inner, jvp, stepped, vjp_jvp
from reference.rule import Rule, is_inexact, single_precision, stepping

EXACT, DIFFERENCED = 1e-12, 1e-8


def draw_call(rule: Rule, seed: int, regime: str = "typical", complex: bool = False) -> Call:
    return Call(rule, rule.cases(SeededDraw(f"{rule.name}/{seed}", regime, complex)))


def direction(rng: np.random.Generator, like: Any) -> Any:
    """A random tangent or cotangent for an array; None for one that has no derivative."""
    if not is_inexact(like):
        return None
    v = rng.standard_normal(like.shape)
    return np.asarray(v + 1j * rng.standard_normal(like.shape) if like.dtype.kind == "c" else v)


def close(left: float, right: float, terms: list[Any], tolerance: float) -> bool:
    """Whether two inner products agree relative to the size of their terms."""
    scale = sum(float(np.sum(np.abs(a) * np.abs(b))) for a, b in terms if a is not None and b is not None)
    return abs(left - right) <= tolerance * scale + 1e-300


def prove(rule: Rule, seed: int, regime: str = "typical", complex: bool = False) -> None:
    """Raise AssertionError where the case drawn from this seed refutes the rule."""
    call = draw_call(rule, seed, regime, complex)
    xs = call.arrays
    before = [x.copy() for x in xs]
    outs, pull = call.run(xs)
    rng = np.random.default_rng(seed)
    gs = [direction(rng, o) for o in outs]
    grads = pull(gs)
    assert len(grads) == len(xs), f"{len(grads)} gradients for {len(xs)} arrays"
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, xs)), "an input was changed"
    # an array whose gradient is None stays put: its parameter is not differentiable
    vs = [None if d is None else direction(rng, x) for x, d in zip(xs, grads)]
    if all(v is None for v in vs):
        return  # the op has no derivative
    assert all(d is None or np.all(np.isfinite(d)) for d in grads), "a gradient is not finite"

    exact = call.analytic or rule.linear or rule.forward is not None
    tangents = jvp(call, xs, vs) if exact else difference(lambda a: call.run(a)[0], xs, vs)
    forward, backward = inner(gs, tangents), inner(grads, vs)
    # where the derivative vanishes (x / |x| of one element), rounding of the output itself is left
    sizes = [None if g is None else np.where(np.isfinite(o), o, 0.0) for g, o in zip(gs, outs)]
    terms = [*zip(gs, tangents), *zip(grads, vs), *zip(gs, sizes)]
    tolerance = EXACT if exact else DIFFERENCED
    assert math.isfinite(forward), "the forward tangent is not finite"
    assert close(forward, backward, terms, tolerance), (
        f"<g, J v> = {forward:.17g} but <vjp(g), v> = {backward:.17g} for {call.case}"
    )

    if rule.second_order:
        us = [None if v is None else direction(rng, x) for x, v in zip(xs, vs)]
        along_v, along_u = vjp_jvp(call, xs, vs, gs), vjp_jvp(call, xs, us, gs)
        left, right = inner(us, along_v), inner(vs, along_u)
        tolerance = EXACT * 10 if call.analytic else DIFFERENCED
        # where the second derivative vanishes, rounding of the gradient itself is left, or of terms declared to cancel
        terms = [
            *zip(us, along_v),
            *zip(vs, along_u),
            *zip(grads, vs),
            *zip(gs, sizes),
            *((g, cancelling(call)) for g in gs),
        ]
        assert close(left, right, terms, tolerance), (
            f"second derivatives are not symmetric: {left:.17g} and {right:.17g} for {call.case}"
        )


def cancelling(call: Call) -> float:
    """How large the terms of a second derivative are that are declared to cancel, as far as rounding lets them show."""
    if any(a.size == 0 for a in call.arrays):
        return 0.0
    rooms = [w.room for w in call.rule.waivers if w.room and not w.dtypes and "reverse_over_reverse" in w.checks]
    sizes = [np.abs(room(*call.case.args, **call.case.kwargs)).max(initial=0.0) for room in rooms]
    return 8 * 2.0**-52 / (10 * EXACT) * float(np.nan_to_num(sizes, posinf=0.0).max(initial=0.0)) if sizes else 0.0


def prove_second(rule: Rule, seed: int) -> None:
    """The derivative of the gradient is that of its differences: an elementwise one is symmetric whatever it is.

    Where two sizes of step disagree a kink is near, and nothing is compared.
    """
    call = draw_call(rule, seed)
    xs = call.arrays
    outs, pull = call.run(xs)
    rng = np.random.default_rng(seed)
    gs = [direction(rng, o) for o in outs]
    grads = pull(gs)
    vs = [None if d is None else direction(rng, x) for x, d in zip(xs, grads)]
    if not call.analytic or all(v is None for v in vs):
        return

    def differenced(scale: float) -> list[Any]:
        moved = [None if v is None else scale * v for v in vs]
        found = difference(lambda arrays: call.run(arrays)[1](list(gs)), xs, moved)
        return [None if d is None else d / scale for d in found]

    for exact, wide, narrow, grad in zip(vjp_jvp(call, xs, vs, gs), differenced(1.0), differenced(0.125), grads):
        if exact is not None:
            size = np.abs(exact).max(initial=0.0) + np.abs(grad).max(initial=0.0) + 1e-6
            smooth = np.abs(wide - narrow) <= 1e-8 * size
            assert np.all(np.abs(exact - wide)[smooth] <= 1e-7 * size), (
                f"not the difference of the gradient: {call.case}"
            )


def prove_missing(rule: Rule, seed: int, constant: tuple[Any, ...]) -> None:
    """An input that gets no gradient, and is not one of torch's `constant` ones, does not move the outputs.

    A constant is a parameter, or one array of it: "weight", ("inputs", 1).
    """
    call = draw_call(rule, seed)
    xs = call.arrays
    outs, pull = call.run(xs)
    rng = np.random.default_rng(seed)
    grads = pull([direction(rng, o) for o in outs])
    free = [d is None and not {p[0], p} & set(constant) for d, p in zip(grads, call.paths)]
    vs = [direction(rng, x) if f else None for x, f in zip(xs, free)]
    if all(v is None for v in vs):
        return
    tangents = jvp(call, xs, vs) if call.analytic else difference(lambda a: call.run(a)[0], xs, vs)
    for tangent in tangents:
        assert tangent is None or np.all(np.abs(tangent) < 1e-9), f"a gradient is missing: {call.case}"


def prove_slip(rule: Rule, seed: int) -> None:
    """`slip` is an error of the output that a backward formula reads: linear, and without effect at zero."""
    call = draw_call(rule, seed)
    outs, pull = call.run(call.arrays)
    if not pull.reads_output:  # type: ignore[attr-defined]
        return
    rng = np.random.default_rng(seed)
    gs = [direction(rng, o) for o in outs]
    plain = pull(gs)
    none = pull(gs, np.zeros_like(outs[0]))
    for a, b in zip(plain, none):
        assert (a is None) == (b is None) and (a is None or np.allclose(a, b, rtol=1e-14, atol=0))


def prove_slip_moves(rule: Rule, seed: int) -> None:
    """Where the gradient is a function of the output alone, an error of the output acts as the move of the inputs
    that would bring it: what slip = J v does is D_v vjp(g)."""
    call = draw_call(rule, seed)
    outs, pull = call.run(call.arrays)
    rng = np.random.default_rng(seed)
    gs = [direction(rng, o) for o in outs]
    vs = [None if d is None else direction(rng, x) for x, d in zip(call.arrays, pull(gs))]
    (moved,) = jvp(call, call.arrays, vs)
    with stepping():
        got = imaginary(pull(gs, 1j * STEP * moved))
    _agree(got, vjp_jvp(call, call.arrays, vs, gs), EXACT * 10)


def prove_stepped(rule: Rule, seed: int) -> None:
    """A step does not move the point: the values and gradients of stepped arrays have the real parts of the plain."""
    call = draw_call(rule, seed)
    plain = _answers(call, call.arrays, seed)
    if call.analytic and plain:
        with stepping():
            moved = _answers(call, stepped(call.arrays, [None] * len(call.arrays)), seed)
        _agree(moved, plain, 1e-11)


def prove_real(rule: Rule, seed: int) -> None:
    """Complex numbers without an imaginary part are real numbers."""
    call = draw_call(rule, seed)
    plain = _answers(call, call.arrays, seed)
    _agree(_answers(call, [x + 0j if is_inexact(x) else x for x in call.arrays], seed), plain, 1e-11)


def prove_single(rule: Rule, seed: int) -> None:
    """Computed in single precision, as the tolerance does to see what is rounded, the formula is the same."""
    call = draw_call(rule, seed)
    single = [x.astype(np.float32) if x.dtype == np.float64 else x for x in call.arrays]
    near = [x.astype(np.float64) if x.dtype == np.float32 else x for x in single]
    with single_precision():
        answers = _answers(call, single, seed)
    assert all(a is None or a.dtype.char in "fF" for a in answers), "a constant brought double precision back"
    _agree(answers, _answers(call, near, seed), 1e-3)


def prove_moved(rule: Rule, seed: int) -> None:
    """The body answers where inputs are off by a rounding, of double or of single precision: so the tolerance asks."""
    call = draw_call(rule, seed, complex=rule.complex and seed % 2 == 1)
    outs, _ = call.run(call.arrays)
    gs = [np.ones_like(o) if is_inexact(o) else None for o in outs]
    rng = np.random.default_rng(seed)
    for unit in (2.0**-52, 2.0**-23):
        off = [1.0 + unit * rng.choice([-1.0, 1.0], a.shape) for a in call.arrays]
        moved, pull = call.run([np.asarray(a * f) if is_inexact(a) else a for a, f in zip(call.arrays, off)])
        if [o.shape for o in moved] == [o.shape for o in outs]:  # where equal elements part, unique has more
            pull(gs)


def prove_elementwise(rule: Rule, seed: int) -> None:
    """An element of the one array moves its own element of the output and no other, and so does its gradient."""
    call = draw_call(rule, seed, complex=rule.complex and seed % 2 == 1)
    (x,), ((out,), pull) = call.arrays, call.run(call.arrays)
    assert out.shape == x.shape
    for index in np.ndindex(x.shape) if is_inexact(x) else ():
        moved = x.copy()
        moved[index] += 0.37
        others = np.ones(x.shape, dtype=bool)
        others[index] = False
        assert np.array_equal(call.run([moved])[0][0][others], out[others], equal_nan=True), call.case
        unit = np.zeros_like(out)
        unit[index] = 1.0
        assert not pull([unit])[0][others & np.isfinite(out)].any(), call.case


def prove_single_throughout(rule: Rule, seed: int) -> None:
    """The body itself stays in single precision, so that every one of its roundings is seen and not the last alone."""
    call = draw_call(rule, seed)
    single = [_narrow(x) for x in call.arrays]
    if not any(is_inexact(x) for x in single):
        return
    case = call.replaced(single)
    out, vjp = rule.fn(*case.args, **case.kwargs)
    outs = [np.asarray(o) for o in (out if isinstance(out, (tuple, list)) else (out,))]
    gs = [np.ones(o.shape, _narrow(o).dtype) if is_inexact(o) else None for o in outs]
    grads = vjp(gs if isinstance(out, (tuple, list)) else gs[0]) if vjp else []
    flat = [g for part in grads for g in (part if isinstance(part, (tuple, list)) else [part])]
    wide = [a for a in (*outs, *map(np.asarray, filter(is_inexact, flat))) if a.dtype.char in "dD"]
    assert not wide, f"{len(wide)} of the outputs and gradients are in double precision for {call.case}"


def _narrow(x: Any) -> Any:
    return x.astype({"d": np.float32, "D": np.complex64}.get(x.dtype.char, x.dtype))


def _answers(call: Call, arrays: list[Any], seed: int) -> list[Any]:
    """The outputs that have a derivative, and the gradients for a real cotangent; nothing where there is none."""
    outs, pull = call.run(arrays)
    rng = np.random.default_rng(seed)
    gs = [None if not is_inexact(o) else rng.standard_normal(o.shape).astype(o.real.dtype) for o in outs]
    grads = pull(gs)
    if all(d is None for d in grads):
        return []
    return [*(o for o in outs if is_inexact(o)), *grads]


def _agree(got: list[Any], want: list[Any], tolerance: float) -> None:
    assert len(got) == len(want)
    for a, b in zip(got, want):
        assert (a is None) == (b is None)
        if a is not None:
            size = np.abs(b[np.isfinite(b)]).max(initial=0.0)
            a = a if b.dtype.kind == "c" else a.real
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (size + 1.0))
