"""What this torch does not have is told from what it does wrong; a case that fails leaves nothing behind."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from conformance.bridge import _carries_derivative
from conformance.checks.check import Check, Clock, Trial, missing_keyword
from conformance.compare import Tally
from conformance.session import OpSession, Options, _attempt, _Seen
from conformance.target import Target
from reference.derive import Call
from reference.rule import Case


def trial(subject: str, *args: object, **kwargs: object) -> Trial:
    session = OpSession(subject, Target("cpu"), Options(shrink=False), Clock())
    call = Call(session.rule, Case(args, kwargs))
    return Trial(session.rule, session.target, "float64", call, session._oracle, Tally(), session.clock)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("stft() got an unexpected keyword argument 'align_to_window'", True),
        ("Tensor.stft() got an unexpected keyword argument 'align_to_window'", True),
        ("stft() got an unexpected keyword argument 'center'", False),  # not in the case: torch's own mistake
        ("pad() got an unexpected keyword argument 'align_to_window'", False),
        ("stft() missing 1 required positional argument", False),
    ],
)
def test_a_keyword_of_the_case_that_the_function_does_not_know_is_missing(text, missing):
    t = trial("stft", np.zeros(8), 4, align_to_window=True)
    assert bool(missing_keyword(TypeError(text), t)) == missing


def test_a_missing_keyword_is_unsupported_even_where_a_value_must_be():
    def run(t: Trial) -> None:
        raise TypeError("stft() got an unexpected keyword argument 'align_to_window'")

    t, seen = trial("stft", np.zeros(8), 4, align_to_window=True), _Seen()
    session = OpSession("stft", Target("cpu"), Options(shrink=False), Clock())
    assert session._try(Check("value", run, {}), t, seen) is None
    assert "align_to_window" in seen.missing


def raising(error: Exception) -> object:
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            raise error

    return Function.apply


@pytest.mark.parametrize(
    ("function", "carries"),
    [
        (torch.exp, True),
        (lambda x: x.detach().exp(), False),
        (raising(NotImplementedError("the derivative for 'nextafter' is not implemented.")), False),
        (raising(RuntimeError("derivative for aten::aminmax is not implemented")), False),
        (raising(RuntimeError("start (-1) + length (2) exceeds dimension size (1)")), True),  # has one, and it is wrong
    ],
)
def test_a_function_has_a_derivative_unless_it_says_that_it_has_not(function, carries):
    assert _carries_derivative(function, Case((np.array([0.75, 0.5]),))) == carries


@pytest.mark.parametrize("attempt", ["once", "again"])
def test_what_a_failed_case_held_is_let_go_while_its_error_is_kept(attempt):
    held: list[weakref.ref[torch.Tensor]] = []

    def run(t: Trial) -> None:
        kept = torch.zeros(1)
        held.append(weakref.ref(kept))
        raise AssertionError("wrong")

    t, check = trial("exp", np.zeros(1)), Check("value", run, {})
    session = OpSession("exp", Target("cpu"), Options(shrink=False), Clock())
    error = session._try(check, t, _Seen()) if attempt == "once" else _attempt(check, t)
    assert isinstance(error, AssertionError) and held[0]() is None
