"""Planted faults are caught by the checks made for them, a healthy torch shows none, and the floor is low."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from conformance import examples, known, laws, layers, loops, optimizers, programs, schedules
from conformance.behaviours import PROMISES
from conformance.checks import REGISTRY
from conformance.cli import main
from conformance.faults import FAULTS, floor
from conformance.faults.runner import BYSTANDERS, RED, find, judge, run_subject
from conformance.kinds import all_cells
from conformance.target import Target

# One for each way to plant: a kernel, the backward's kernel, forward mode, a batching rule, a patched function.
QUICK = ["storage_offset_ignored", "cotangent_overwritten", "tangent_of_constants", "batch_flipped", "stale_copy"]
QUICK += ["bias_correction_one_step_late", "resumed_one_step_late"]
# A fallback to the CPU shows only on another device: the test backend proves that check. The CPU has no
# capturable optimizers; state that is shared after loading, and more evaluations than max_eval allows, are deviations
# of every torch since 2.1.
# Every torch since 2.5 breaks hidden_rows: tests/core/test_hidden_rows.py shows that it can pass.
# Replicas need two GPUs, and the ONNX evaluator is an extra: tests/test_loops.py proves that check.
ELSEWHERE = {"fallback", "capturable", "state_shared", "evaluations", "hidden_rows", "replicas", "evaluated"}
KINDS = (laws, layers, optimizers, schedules, programs, loops, examples.session)
ALL = {*REGISTRY, *(check for kind in KINDS for check in kind.CHECKS)}
# tests/core/test_mended.py holds that every promise has a fault, or is one that torch itself breaks.
PROMISED = {promise.check for promise in PROMISES.values()}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_check_is_the_natural_detector_of_some_fault() -> None:
    named = {check for fault in FAULTS.values() for check in fault.checks}
    assert named - PROMISED == ALL - ELSEWHERE


def test_every_family_of_promises_has_faults() -> None:
    proved = [subject for fault in FAULTS.values() for subject in fault.subjects]
    for family in {p.family for p in PROMISES.values()}:
        assert any(subject.startswith(f"{family}.") for subject in proved), family


def test_every_optimizer_and_schedule_has_a_fault_of_its_own() -> None:
    proved = {subject for fault in FAULTS.values() for subject in fault.subjects}
    kinds = [cell for cell in all_cells([Target("cpu")]) if cell.kind in ("optimizer", "schedule")]
    assert {cell.subject for cell in kinds} - proved == set()


def test_every_fault_says_what_is_wrong_and_names_subjects_and_checks_that_exist() -> None:
    assert len(FAULTS) >= 60
    subjects = {cell.subject for cell in all_cells([Target("cpu")])}
    for fault in FAULTS.values():
        assert fault.what.endswith("."), fault.name
        assert set(fault.subjects) <= subjects, fault.name
        assert set(fault.green) <= ALL | PROMISED, fault.name


def test_planted_faults_are_caught_under_the_right_name() -> None:
    findings = list(find(QUICK))
    assert [f.fault for f in findings] == QUICK
    for finding in findings:
        assert finding.verdict == "caught", (finding.fault, finding.reason)
        assert set(finding.checks) <= set(finding.red_checks)
        assert finding.failure


@pytest.mark.parametrize("name", QUICK)
def test_a_healthy_torch_shows_nothing_red_on_the_same_subjects(name: str) -> None:
    entries = known.applicable(known.shipped(), torch.__version__)
    for subject in (*FAULTS[name].subjects, *BYSTANDERS):
        for id, (_, outcome, detail) in run_subject(subject, FAULTS[name], cells=3).items():
            assert outcome not in RED or any(e.excuses(id, outcome) for e in entries), (id, detail)


def test_a_fault_that_no_named_check_sees_is_missed() -> None:
    fault = FAULTS["storage_offset_ignored"]
    green = {"atan::layout_offset::cpu::float32": ("layout_offset", "pass", "")}
    finding = judge(fault, {"atan": green}, {})
    assert finding.verdict == "missed"
    assert "atan::layout_offset" in finding.reason


def test_a_fault_that_raises_instead_of_computing_wrongly_is_missed() -> None:
    fault = FAULTS["storage_offset_ignored"]
    raised = {"atan::layout_offset::cpu::float32": ("layout_offset", "error", "RuntimeError")}
    assert judge(fault, {"atan": raised}, {}).verdict == "missed"


def test_a_fault_that_turns_a_bystander_red_is_misnamed() -> None:
    fault = FAULTS["storage_offset_ignored"]
    own = {"atan::layout_offset::cpu::float32": ("layout_offset", "fail", "wrong")}
    other = {"sub::value::cpu::float32": ("value", "fail", "wrong")}
    finding = judge(fault, {"atan": own}, {"sub": other})
    assert finding.verdict == "misnamed"
    assert "sub::value::cpu::float32" in finding.reason


def test_the_command_prints_json_and_exits_0_when_every_fault_is_caught(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "--only", "nan_lost", "--json"]) == 0
    (finding,) = json.loads(capfd.readouterr().out)
    assert finding["fault"] == "nan_lost"
    assert finding["verdict"] == "caught"
    assert finding["red_checks"] == ["special"]


def test_an_unknown_fault_is_wrong_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "--only", "no_such_fault"]) == 2
    assert "unknown fault 'no_such_fault'" in capfd.readouterr().err


def test_the_floor_is_some_32_eps_in_every_dtype() -> None:
    measured = floor.measure(["tanh", "mul"])
    assert set(measured) == set(floor.MEASURED)
    for floors in measured.values():
        assert set(floors) == {"tanh", "mul"}
        assert all(8 <= size <= 64 for size in floors.values())


def test_the_floor_counts_the_ops_within_the_aim_and_lists_those_above() -> None:
    text = floor.shown({"float64": {"sin": 16, "cos": 32, "tan": 64, "exp": 0}})
    assert "16: 1, 32: 1, 64: 1" in text
    assert "32 eps or less: 2 of 3, 66.6 %" in text
    assert "above: tan 64" in text
    assert "red without any injected error: exp" in text
