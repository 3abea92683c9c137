"""An op without a derivative: all its outputs are compared, and no check asks for what it has not."""

from __future__ import annotations

import pytest

from conformance.bridge import Bound
from conformance.cells import Cell
from conformance.checks import REGISTRY
from conformance.checks.check import Clock
from conformance.session import OpSession, Options
from conformance.target import Target

COMPARED = ("value", "edges", "layout_strided", "vmap", "spellings", "unchanged", "repeat", "parallel")
DERIVED = ("vjp", "jvp", "reverse_over_reverse", "func_vjp", "batched_grad", "vmap_vjp", "autocast")


def outcome(check: str):
    session = OpSession("argsort", Target("cpu", "eager"), Options(shrink=False), Clock())
    level = REGISTRY[check].levels["float32"]
    return session.run(Cell("op", "argsort", "sorting", check, "cpu", "eager", "float32", level))


@pytest.mark.parametrize("check", COMPARED)
def test_values_are_compared(check):
    found = outcome(check)
    assert found.outcome == "pass" and found.elements > 0, found


@pytest.mark.parametrize("check", DERIVED)
def test_derivatives_are_not_asked_for(check):
    found = outcome(check)
    assert (found.outcome, found.detail) == ("unsupported", "the op has no derivative")


@pytest.mark.parametrize("check", [c for c in COMPARED if c not in ("unchanged", "repeat")])
def test_a_wrong_integer_is_seen(check, monkeypatch):
    right = Bound.outputs
    monkeypatch.setattr(Bound, "outputs", lambda *args: [t + 1 for t in right(*args)])
    assert outcome(check).outcome == "fail"
