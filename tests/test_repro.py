"""The script of a failure: torch and NumPy alone, short, tried in a fresh process, and run by ``repro``."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from conformance.confirm import confirm
from tests.running import SETUPS, Left, command, run, said, select

CELL = "tanh::vjp::cpu::float32"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Core checks of an op whose gradient is off by a thousandth."""
    return run(tmp_path_factory.mktemp("failed"), "--setup", SETUPS / "wrong_tanh.py", *select("tanh"))


def _scripts(left: Left) -> list[str]:
    found = [line["failure"]["script"] for line in left.finishes.values() if line["failure"]]
    assert found
    return found


def _modules(script: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def test_a_script_uses_torch_and_numpy_alone(failed):
    for script in _scripts(failed):
        assert _modules(script) <= {"torch", "numpy", "sys"}


def test_the_script_of_a_shrunk_core_case_has_under_thirty_lines(failed):
    assert all(line["failure"]["shrunk"] for line in failed.finishes.values() if line["failure"])
    assert all(len(script.splitlines()) < 30 for script in _scripts(failed))


def test_a_failure_is_confirmed_in_a_fresh_process_with_the_same_setup(failed):
    assert {line["failure"]["confirmed"] for line in failed.finishes.values() if line["failure"]} == {True}


def test_without_the_setup_that_causes_it_the_same_script_shows_nothing(failed):
    assert confirm(_scripts(failed)) == [False] * len(_scripts(failed))


def test_a_real_deviation_is_confirmed_in_any_process_and_a_hanging_script_counts_as_one():
    right = "import sys, torch\nsys.exit(0 if torch.ones(2).sum() == 2 else 1)"
    wrong = "import sys, torch\nsys.exit(0 if torch.ones(2).sum() == 3 else 1)"
    dying = "import ctypes\nctypes.string_at(0)"
    hanging = "import time\ntime.sleep(60)"
    assert confirm([right, wrong, dying, hanging], seconds=3) == [False, True, True, True]


def test_repro_prints_the_script_and_runs_it_under_the_setup_of_its_run(failed):
    left = command("repro", CELL, "--journal", failed.out, out=failed.out)
    assert failed.finishes[CELL]["failure"]["script"] in left.stdout
    assert left.code == 1
    assert "the deviation is there" in left.stdout


def test_repro_print_runs_nothing(failed):
    left = command("repro", CELL, "--journal", failed.out, "--print", out=failed.out)
    assert left.code == 0
    assert left.stdout.strip() == failed.finishes[CELL]["failure"]["script"].strip()


def test_a_printed_script_is_a_program(failed, tmp_path):
    path = tmp_path / "repro.py"
    path.write_text(failed.finishes[CELL]["failure"]["script"])
    assert subprocess.run([sys.executable, str(path)], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("cell", ["no::such::cell::here", "tanh::value::cpu::float32"])
def test_repro_of_a_cell_without_a_script_says_so_in_one_sentence(failed, cell):
    left = command("repro", cell, "--journal", failed.out, out=failed.out)
    assert left.code == 2
    assert cell in said(left)
