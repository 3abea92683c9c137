"""The entries that are shipped are about what they say: their cases are calls, for which their conditions hold."""

from __future__ import annotations

import functools

import pytest

from conformance import literal
from conformance.checks.check import Clock
from conformance.kinds import all_cells, session
from conformance.known import Deviation, shipped
from conformance.session import OpSession, Options, _holds
from conformance.target import MODES, Target
from reference.derive import Call
from reference.rule import Rule

CELLS = all_cells([Target("cpu", mode) for mode in MODES])
KINDS = {cell.subject: cell.kind for cell in CELLS}


@functools.cache
def rule_of(subject: str) -> Rule | None:
    """The rule of an op or a layer; None for what takes no cases of that form."""
    made = session(KINDS[subject], subject, Target("cpu"), Options(), Clock())
    return made.rule if isinstance(made, OpSession) else None


def about(entry: Deviation) -> list[Rule]:
    subjects = {c.subject for c in CELLS if entry.touches(c.subject) and entry.covers(c.id)}
    return [rule for rule in map(rule_of, sorted(subjects)) if rule]


@pytest.mark.parametrize("entry", [e for e in shipped() if e.where], ids=lambda e: e.patterns[0])
def test_the_condition_holds_for_the_pinned_case(entry):
    for rule in about(entry):
        assert _holds(entry.where, Call(rule, literal.read(entry.case))), rule.name


@pytest.mark.parametrize("entry", [e for e in shipped() if e.case], ids=lambda e: e.patterns[0])
def test_the_pinned_case_is_a_call_of_every_subject(entry):
    for rule in about(entry):
        call = Call(rule, literal.read(entry.case))
        call.run(call.arrays)
