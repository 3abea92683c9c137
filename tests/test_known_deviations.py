"""Known deviations: a worse outcome is a regression, a better one must be acknowledged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conformance import known
from conformance.checks.check import Clock
from conformance.kinds import all_cells, session
from conformance.session import Options
from conformance.target import Target
from reference.derive import Call
from reference.rule import Case
from tests.running import SETUPS, Left, command, said, select

WRONG = ("--setup", SETUPS / "wrong_tanh.py", *select("relu", "tanh", "sigmoid"))
ENTRY = '[[deviation]]\nid = "{id}"\noutcome = "{outcome}"\nreason = "a thousandth"\nlink = "https://x/1"\n{more}\n'


def _file(folder: Path, *entries: tuple[str, str, str]) -> Path:
    path = folder / "known.toml"
    path.write_text("".join(ENTRY.format(id=id, outcome=outcome, more=more) for id, outcome, more in entries))
    return path


def _run(folder: Path, *entries: tuple[str, str, str], env: dict[str, str] | None = None) -> Left:
    words = ("--level", "1", "--device", "cpu", "--mode", "eager", "--workers", "2", *WRONG)
    out = folder / "out"
    return command("run", *words, "--known", _file(folder, *entries), "--out", out, out=out, env=env)


@pytest.fixture(scope="module")
def excused(tmp_path_factory: pytest.TempPathFactory) -> Left:
    case = """case = 'f(array([0.25, 0.75]))'"""
    entries = [("tanh::vjp::cpu::*", "fail", case), ("sigmoid::vjp::*", "crash", "")]
    return _run(tmp_path_factory.mktemp("known"), *entries, env={"CRASH": "1"})


def test_a_run_whose_every_failure_is_known_conforms(excused):
    assert excused.of("tanh", "vjp") == {"fail"} and excused.of("sigmoid", "vjp") == {"crash"}
    assert excused.code == 0
    assert excused.footer["verdict"] == "conforms"


def test_a_known_failure_carries_its_reason_and_link(excused):
    line = excused.finishes["tanh::vjp::cpu::float32"]
    assert line["known"] == {"reason": "a thousandth", "link": "https://x/1"}


def test_the_pinned_case_is_tried_first(excused):
    line = excused.finishes["tanh::vjp::cpu::float64"]
    assert line["examples"] == 1


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A crash where a failure was expected, a failure where a crash was, and an entry that has gone."""
    entries = [
        ("tanh::vjp::cpu::float[36]*", "crash", ""),
        ("sigmoid::vjp::*", "fail", ""),
        ("relu::vjp::cpu::float[36]*", "fail", ""),
        ("relu::value::*", "fail", 'torch = "<2"'),
        ("relu::value::*", "fail", 'device = "cuda*"'),
    ]
    return _run(tmp_path_factory.mktemp("mixed"), *entries, env={"CRASH": "1"})


def test_a_worse_outcome_than_the_known_one_is_a_regression(mixed):
    assert mixed.finishes["sigmoid::vjp::cpu::float32"]["outcome"] == "crash"
    assert mixed.finishes["sigmoid::vjp::cpu::float32"]["known"] is None
    assert mixed.code == 1


def test_a_milder_outcome_is_excused_and_must_be_acknowledged(mixed):
    assert mixed.finishes["tanh::vjp::cpu::float32"]["known"] is not None
    assert {e["pattern"] for e in mixed.footer["stale"]} == {
        "tanh::vjp::cpu::float[36]*",
        "relu::vjp::cpu::float[36]*",
    }


def test_an_entry_of_another_version_or_device_is_not_judged(mixed):
    assert "relu::value::*" not in {e["pattern"] for e in mixed.footer["stale"]}


def test_a_deviation_that_has_gone_is_exit_code_4(tmp_path):
    left = _run(tmp_path, ("tanh::vjp::*", "fail", ""), ("relu::vjp::cpu::float[36]*", "fail", ""))
    assert left.code == 4
    assert [e["pattern"] for e in left.footer["stale"]] == ["relu::vjp::cpu::float[36]*"]


def test_a_smoke_run_does_not_judge_an_entry_that_covers_more_than_it_runs(tmp_path):
    left = _run(tmp_path, ("tanh::vjp::*", "fail", ""), ("relu::vjp::*", "fail", ""))
    assert left.code == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[[deviation]\n", "malformed TOML"),
        ('[[deviation]]\nid = "x"\noutcome = "fail"\n', "no 'reason'"),
        ('[[deviation]]\nid = "x"\noutcome = "pass"\nreason = "r"\n', "outcome must be"),
        ('[[deviation]]\nid = "x"\noutcome = "fail"\nreason = "r"\ncolour = "red"\n', "unknown field 'colour'"),
        ('[[deviation]]\nid = "x"\noutcome = "fail"\nreason = "r"\ntorch = "new"\n', "Invalid specifier"),
        ('[[deviation]]\nid = 3\noutcome = "fail"\nreason = "r"\n', "every field is a string"),
        ('[[deviation]]\nid = "x"\noutcome = []\nreason = "r"\n', "every field is a string"),
        ('[[deviation]]\nid = "x"\noutcome = "fail"\nreason = "r"\ncase = "f(3 +"\n', "not a case"),
        ('[[deviation]]\nid = "x"\noutcome = "fail"\nreason = "r"\nwhere = "n > 0"\n', "where needs a case"),
        ("deviation = 3\n", "only [[deviation]]"),
        ("deviation = [3]\n", "only [[deviation]]"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_one_sentence(tmp_path, text, what):
    path = tmp_path / "known.toml"
    path.write_text(text)
    with pytest.raises(known.KnownFileError) as raised:
        known.load(path)
    assert what in str(raised.value) and str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_malformed_known_file_is_exit_code_2_and_one_sentence(tmp_path):
    path = tmp_path / "known.toml"
    path.write_text("[[deviation]\n")
    left = command("run", "--known", path, *select("relu"), "--out", tmp_path / "out", out=tmp_path)
    assert left.code == 2
    assert "malformed TOML" in said(left)


def test_a_rare_deviation_that_does_not_show_is_not_stale(tmp_path):
    (tmp_path / "known.toml").write_text(
        '[[deviation]]\nid = "a::value::*"\noutcome = "fail"\nwhen = "sometimes"\nreason = "rare"\n'
    )
    entries = known.load(tmp_path / "known.toml")
    assert known.stale(entries, {"a::value::cpu::float32": "pass"}, {"a::value::cpu::float32": 1}, 2, True) == []
    assert known.stale(entries, {"b::value::cpu::float32": "pass"}, {"b::value::cpu::float32": 1}, 2, True) != []


def test_a_condition_excuses_its_pinned_case_alone_whether_that_fails_or_raises():
    entry = known.Deviation(("tanh::vjp::*",), "crash", "a reason", "", case="f(array([0.0]))", where="input == 0")
    for outcome in ("fail", "error"):
        assert known.match([entry], "tanh::vjp::cpu::float32", outcome, pinned_alone=True)
        assert not known.match([entry], "tanh::vjp::cpu::float32", outcome, pinned_alone=False)
    # a process that ended cannot tell which case it was
    assert known.match([entry], "tanh::vjp::cpu::float32", "crash", pinned_alone=False)


def test_a_cell_of_which_an_entry_keeps_out_every_case_says_so():
    cell = next(c for c in all_cells([Target("cpu")]) if c.id == "tanh::vjp::cpu::float32")
    pinned = ((cell.id, "f(array([0.25]))", "input.size >= 0"),)
    found = session(cell.kind, cell.subject, Target("cpu"), Options(level=1, pinned=pinned), Clock()).run(cell)
    assert found.outcome == "not_exercised" and "a known deviation speaks of every case" in found.detail


@pytest.mark.parametrize(
    ("check", "number", "kept_out"),
    [
        ("vjp", 0.125, True), ("vjp", 0.25, False), ("vjp", 0.125 + 2**-20, False),
        ("vmap_vjp", 0.25, True), ("vmap_vjp", 0.5, False),  # beside half of it
        ("autocast", 0.125 + 2**-20, True), ("autocast", 0.25, False),  # in bfloat16
    ],
)  # fmt: skip
def test_a_condition_is_asked_of_every_call_that_a_check_makes_of_a_case(check, number, kept_out):
    cell = next(c for c in all_cells([Target("cpu")]) if c.id == f"tanh::{check}::cpu::float32")
    pinned = ((cell.id, "f(array([0.125]))", "(input == 0.125).any()"),)
    made = session(cell.kind, cell.subject, Target("cpu"), Options(level=2, pinned=pinned), Clock())
    assert made._kept_out(cell, Call(made.rule, Case((np.array([number]),)))) == kept_out


def test_a_cell_whose_dtype_holds_no_complex_numbers_is_unsupported_beside_a_condition_too():
    cell = next(c for c in all_cells([Target("cpu")]) if c.id == "polar::vmap_vjp::cpu::bfloat16")
    pinned = ((cell.id, "f(array([0.0]), array([0.5]))", "np.any(abs == 0)"),)
    found = session(cell.kind, cell.subject, Target("cpu"), Options(level=3, pinned=pinned), Clock()).run(cell)
    assert found.outcome == "unsupported" and "no complex counterpart" in found.detail
