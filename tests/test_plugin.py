"""`pytest` runs the cells of the command, with its options, and leaves its journal and report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT, SETUPS, Left, select

QUIET = ("-p", "no:cacheprovider", "-p", "no:benchmark", "-q")
LEVEL_1 = ("--level", "1", "--device", "cpu", "--mode", "eager", "--workers", "2")
KNOWN = '[[deviation]]\nid = "sigmoid::vjp::*"\noutcome = "crash"\nreason = "it dies by arrangement"\n'


def pytest_run(out: Path, *words: object, folder: Path = ROOT, env: dict[str, str] | None = None) -> Left:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *QUIET, *map(str, words), "--out", str(out)], cwd=folder, text=True,
        capture_output=True, timeout=300, check=False, env={**os.environ, **(env or {})},
    )  # fmt: skip
    return Left(done.returncode, done.stdout, done.stderr, out)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """tanh's gradient is a thousandth too large, that of sigmoid kills the process, which is known; exp is left out."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "known.toml").write_text(KNOWN)
    words = ("--setup", SETUPS / "wrong_tanh.py", "--known", folder / "known.toml", "-k", "not exp")
    return pytest_run(
        folder / "out", *LEVEL_1, *words, *select("relu", "tanh", "sigmoid", "exp"), env={"CRASH": "1"}
    )  # fmt: skip


def failed(left: Left) -> list[str]:
    """The lines of pytest's summary that name a failing subtest."""
    return [line for line in left.stdout.splitlines() if line.startswith("SUBFAILED")]


def test_pytest_in_the_checkout_runs_the_cells_and_leaves_journal_and_report(broken):
    assert broken.of("relu", "vjp") == {"pass"}
    assert broken.of("tanh", "vjp") == {"fail"} and broken.of("sigmoid", "vjp") == {"crash"}
    assert broken.footer["complete"] and broken.footer["verdict"] == "deviates"
    assert "<html" in (broken.out / "report.html").read_text()
    assert "report.html" in broken.stdout


def test_a_deviation_is_exit_code_1_and_a_failing_subtest_that_can_be_read(broken):
    assert broken.code == 1
    (line,) = [line for line in failed(broken) if "float64" in line]
    assert "tanh::vjp::cpu::float64" in line
    assert "fail: gradient of input" in broken.stdout and "allowed" in broken.stdout
    assert "Traceback" not in broken.stdout + broken.stderr


def test_a_known_deviation_is_an_expected_failure(broken):
    assert "it dies by arrangement" in broken.stdout
    assert not [line for line in failed(broken) if "sigmoid" in line]


def test_a_failure_has_a_script_that_is_confirmed(broken):
    failure = broken.finishes["tanh::vjp::cpu::float32"]["failure"]
    assert failure["confirmed"] is True and failure["script"]


def test_what_k_leaves_out_is_neither_announced_nor_run(broken):
    announced = {c["subject"] for line in broken.lines if line["event"] == "cells" for c in line["cells"]}
    assert announced == {"relu", "tanh", "sigmoid"} == {cell.split("::")[0] for cell in broken.outcomes}


def test_resume_runs_what_is_missing_and_nothing_else(broken, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(broken.out, out)
    journal = (out / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in journal if '"footer"' not in line and not ("relu::" in line and '"finish"' in line)]
    (out / "journal.jsonl").write_text("".join(kept))
    words = ("--setup", SETUPS / "wrong_tanh.py", "--known", "none", "-k", "not exp", "--resume")
    again = pytest_run(out, *LEVEL_1, *words, *select("relu", "tanh", "sigmoid", "exp"))
    assert again.code == 1
    assert again.outcomes == broken.outcomes
    lines_after = again.lines[[line["event"] for line in again.lines].index("resume") :]
    assert {line["cell"].split("::")[0] for line in lines_after if line["event"] == "start"} == {"relu"}
    assert "not run" not in again.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("empty")
    words = ("--pyargs", "conformance", "-n", "2", "--known", "none", *LEVEL_1)
    return pytest_run(folder / "out", *words, *select("relu", "tanh"), folder=folder)


def test_the_installed_package_runs_from_an_empty_directory_in_two_processes(elsewhere):
    assert elsewhere.code == 0, elsewhere.stdout + elsewhere.stderr
    assert elsewhere.footer["complete"] and elsewhere.footer["verdict"] == "conforms"
    assert {cell.split("::")[0] for cell in elsewhere.outcomes} == {"relu", "tanh"}
    assert (elsewhere.out / "report.html").exists()


def test_each_cell_is_run_once_however_many_processes_there_are(elsewhere):
    started = [line["cell"] for line in elsewhere.lines if line["event"] == "start"]
    assert sorted(started) == sorted(elsewhere.outcomes)
    assert sum(line["event"] == "header" for line in elsewhere.lines) == 1


# wrong usage


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--level", "9"), "invalid choice: 9"),
        (("--shard", "3/2"), "'3/2': I must be from 1 to N"),
        (("--cell-timeout", "0"), "'0' is not a length of time"),
        (("--known", "/nowhere.toml"), "torch-conformance: /nowhere.toml: there is no such file"),
        (("--device", "cpu", "--select", "rleu"), "torch-conformance: --select rleu: no cell matches"),
    ],
)
def test_wrong_usage_is_exit_code_4_of_pytest_and_one_sentence(tmp_path, words, what):
    left = pytest_run(tmp_path / "out", *words)
    assert left.code == pytest.ExitCode.USAGE_ERROR
    assert left.stderr.count("ERROR") == 1 and what in left.stderr
    assert "Traceback" not in left.stdout + left.stderr
    assert not left.out.exists()


def test_an_out_folder_that_cannot_be_made_is_exit_code_3_and_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    left = pytest_run(tmp_path / "file" / "out", *LEVEL_1, *select("relu"))
    assert left.code == 3
    assert f"torch-conformance: --out {tmp_path}/file/out" in left.stdout + left.stderr
    assert "Traceback" not in left.stdout + left.stderr


def test_collecting_only_lists_the_units_and_starts_nothing(tmp_path):
    left = pytest_run(tmp_path / "out", "--collect-only", *LEVEL_1, *select("relu", "tanh"))
    assert left.code == 0
    assert "test_op[relu::cpu]" in left.stdout and "test_op[tanh::cpu]" in left.stdout
    assert not left.out.exists()


# tests of others


def test_the_plugin_imports_neither_torch_nor_numpy_nor_the_rest_of_the_project():
    heavy = "('torch', 'numpy', 'scipy', 'hypothesis', 'reference', 'reports', 'conformance.run')"
    code = f"import sys, conformance.plugin; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "[]"


OTHERS = """
import sys
import pytest

@pytest.mark.parametrize("name", ["relu::cpu", "tanh::cpu"])
def test_op(name):
    assert not {"torch", "numpy", "conformance.run"} & set(sys.modules)
"""


@pytest.mark.parametrize("words", [(), ("-n", "2")])
def test_tests_of_another_project_start_no_run_and_import_no_torch(tmp_path, words):
    (tmp_path / "test_theirs.py").write_text(OTHERS)
    left = pytest_run(
        tmp_path / "out", *words, "-p", "no:hypothesispytest", tmp_path / "test_theirs.py", folder=tmp_path
    )
    assert left.code == 0, left.stdout
    assert "2 passed" in left.stdout and "torch-conformance" not in left.stdout
    assert not left.out.exists()


def test_the_projects_own_tests_start_no_run(tmp_path):
    left = pytest_run(tmp_path / "out", "tests/reports/test_text.py")
    assert left.code == 0, left.stdout
    assert "torch-conformance" not in left.stdout.partition("passed")[0]
    assert not left.out.exists()


def test_a_session_that_stops_at_the_first_failure_stops_the_workers_too(tmp_path):
    words = (*LEVEL_1, "-x", "--known", "none", "--setup", SETUPS / "wrong_tanh.py", "--workers", "1")
    left = pytest_run(tmp_path / "out", *words, "--select", "activation", "--select", "pointwise")
    assert left.code == 1
    assert left.footer["verdict"] == "deviates" and not left.footer["complete"]
    assert not (left.out / "running").exists()
