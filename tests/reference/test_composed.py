"""Random programs: their memory, their gradients, and that what is drawn is legal."""

from __future__ import annotations

import numpy as np
import pytest

from conformance import literal
from conformance.draws import SeededDraw
from reference.composed import PROGRAMS, carried_out
from reference.derive import Call, jvp
from reference.rule import is_stepping, stepping

X = np.array([[1.0, 2.0], [3.0, 4.0]])


def values(*steps, outs, inputs=(X,)):
    return carried_out(list(inputs), steps, outs)[0]


def test_a_view_shares_memory_both_ways():
    clone, row = ("call", "clone", ("v0",), {}), ("view", "select", ("v1", 0, 1), {})
    through_the_view = ("inplace", "mul", ("v2", 10.0), {})
    whole, part = values(clone, row, through_the_view, outs=("v1", "v2"))
    assert whole.tolist() == [[1, 2], [30, 40]] and part.tolist() == [30, 40]
    through_the_base = ("inplace", "neg", ("v1",), {})
    assert values(clone, row, through_the_base, outs=("v2",))[0].tolist() == [-3, -4]


def test_a_view_of_a_view_is_placed_in_the_base():
    steps = (
        ("call", "clone", ("v0",), {}),
        ("view", "transpose", ("v1", 0, 1), {}),
        ("view", "narrow", ("v2", 0, 1, 1), {}),
        ("inplace", "mul", ("v3", 0.5), {}),
    )
    assert values(*steps, outs=("v1",))[0].tolist() == [[1, 1], [3, 2]]


def test_a_change_in_place_replaces_the_gradient_of_what_it_overwrites():
    steps = (("call", "clone", ("v0",), {}), ("view", "select", ("v1", 0, 0), {}), ("inplace", "mul", ("v2", 3.0), {}))
    _, vjp = carried_out([X], steps, ("v1",))
    (grads,) = vjp([np.array([[1.0, 2.0], [4.0, 8.0]])])
    assert grads[0].tolist() == [[3, 6], [4, 8]]


def test_a_shared_value_collects_the_gradients_of_its_uses():
    steps = (("call", "mul", ("v0", "v0"), {}), ("call", "add", ("v1", "v0"), {}))
    _, vjp = carried_out([X], steps, ("v2",))
    ((grad,),) = vjp([np.ones((2, 2))])
    assert grad.tolist() == (2 * X + 1).tolist()


@pytest.mark.parametrize("kind", ["detach", "no_grad"])
def test_a_constant_passes_neither_gradient_nor_step(kind):
    steps = ((kind, "clone", ("v0",), {}), ("call", "mul", ("v1", "v0"), {}))
    _, vjp = carried_out([X], steps, ("v2",))
    assert vjp([np.ones((2, 2))])[0][0].tolist() == X.tolist()
    with stepping():
        assert is_stepping()
        (out,), _ = carried_out([X + 1e-30j], steps, ("v2",))
    assert np.allclose(out.imag / 1e-30, X, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_adjoint_to_the_complex_step(name):
    for seed in range(60):
        call = Call(PROGRAMS[name], PROGRAMS[name].cases(SeededDraw(f"{name}/{seed}")))
        outs, vjp = call.run(call.arrays)
        rng = np.random.default_rng(seed)
        gs = [rng.standard_normal(o.shape) for o in outs]
        ts = [rng.standard_normal(a.shape) for a in call.arrays]
        forward = sum((g * t).sum() for g, t in zip(gs, jvp(call, call.arrays, ts)))
        backward = sum((g * t).sum() for g, t in zip(vjp(gs), ts) if g is not None)
        assert abs(forward - backward) <= 1e-12 * (1 + sum(np.abs(g).sum() for g in gs) * 64)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_small_moderate_and_can_be_written_down(name):
    kinds = set()
    for seed in range(100):
        case = PROGRAMS[name].cases(SeededDraw(f"{name}/{seed}"))
        inputs, steps, outs = case.args
        assert len(inputs) in (2, 3) and 2 <= len(steps) <= 12 and 1 <= len(outs) <= 4
        assert all(np.abs(o).max(initial=0) < 100 for o in carried_out(inputs, steps, outs)[0])
        assert repr(literal.read(literal.write(case))) == repr(case)
        kinds |= {step[0] for step in steps}
    expected = {
        "composed.calls": {"call", "detach"},
        "composed.views": {"call", "view", "detach"},
        "composed.changes": {"call", "view", "inplace"},
        "composed.asides": {"call", "view", "detach", "no_grad", "checkpoint", "function"},
    }
    assert kinds == expected[name]
