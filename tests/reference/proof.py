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
from reference.derive import Call, difference, inner, jvp, vjp_jvp
from reference.rule import Rule, is_inexact

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

    tangents = jvp(call, xs, vs) if call.analytic else difference(lambda a: call.run(a)[0], xs, vs)
    forward, backward = inner(gs, tangents), inner(grads, vs)
    # where the derivative vanishes (x / |x| of one element), rounding of the output itself is left
    sizes = [None if g is None else np.where(np.isfinite(o), o, 0.0) for g, o in zip(gs, outs)]
    terms = [*zip(gs, tangents), *zip(grads, vs), *zip(gs, sizes)]
    tolerance = EXACT if call.analytic else DIFFERENCED
    assert math.isfinite(forward), "the forward tangent is not finite"
    assert close(forward, backward, terms, tolerance), (
        f"<g, J v> = {forward:.17g} but <vjp(g), v> = {backward:.17g} for {call.case}"
    )

    if rule.second_order:
        us = [None if v is None else direction(rng, x) for x, v in zip(xs, vs)]
        along_v, along_u = vjp_jvp(call, xs, vs, gs), vjp_jvp(call, xs, us, gs)
        left, right = inner(us, along_v), inner(vs, along_u)
        tolerance = EXACT * 10 if call.analytic else DIFFERENCED
        # where the second derivative vanishes, rounding of the gradient itself is left
        terms = [*zip(us, along_v), *zip(vs, along_u), *zip(grads, vs), *zip(gs, sizes)]
        assert close(left, right, terms, tolerance), (
            f"second derivatives are not symmetric: {left:.17g} and {right:.17g} for {call.case}"
        )


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
