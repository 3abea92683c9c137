"""Cases by Hypothesis: drawn once for a unit, and drawn again to shrink the one that failed.

Hypothesis is deterministic for a seed as long as the test does not fail. Drawing with a test that never
fails gives the pool; the same test with the same seed that raises where one cell fails meets the same
cases again and then shrinks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, strategies

from conformance.draws import HypothesisDraw
from reference.derive import Call
from reference.rule import Case, Rule


def draw_calls(rule: Rule, regime: str, complex: bool, seed: int, count: int) -> list[Call]:
    """`count` cases of the rule (fewer where there are no more)."""
    calls: list[Call] = []
    _drive(rule, regime, complex, seed, count, calls.append)
    return calls


def shrink(
    rule: Rule,
    regime: str,
    complex: bool,
    seed: int,
    count: int,
    fails: Callable[[Call], bool],
    seconds: float,
) -> Call | None:
    """The smallest failing case found within the time; None where none of the same cases fails again."""
    smallest: Call | None = None
    deadline = time.monotonic() + seconds

    def visit(call: Call) -> None:
        nonlocal smallest
        if time.monotonic() < deadline and fails(call):
            smallest = call
            raise _Found

    with contextlib.suppress(_Found, hypothesis.errors.HypothesisException):
        _drive(rule, regime, complex, seed, count, visit)
    return smallest


class _Found(Exception):
    pass


def _drive(rule: Rule, regime: str, complex: bool, seed: int, count: int, visit: Callable[[Call], Any]) -> None:
    @strategies.composite
    def cases(draw: Any) -> Case:
        return rule.cases(HypothesisDraw(draw, regime, complex))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, database=None, deadline=None, derandomize=False, print_blob=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet, report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(cases())
    def test(case: Case) -> None:
        visit(Call(rule, case))

    test()
