"""A kernel that dies, hangs or leaves costs the cells that run it, and nothing else."""

from __future__ import annotations

import pytest

from tests.running import SETUPS, Left, command, run, said, select

# subject -> the outcome of its vjp, whose kernel is replaced; see setups/dying_kernels.py
ENDS = {
    "tanh": "crash",
    "nn.functional.silu": "crash",
    "sigmoid": "timeout",
    "nn.functional.mish": "error",
    "nn.functional.logsigmoid": "error",
    "nn.functional.softplus": "error",
}
DTYPES = ("float64", "float32")


@pytest.fixture(scope="module")
def dying(tmp_path_factory: pytest.TempPathFactory) -> Left:
    out = tmp_path_factory.mktemp("dying")
    setup = ("--setup", SETUPS / "dying_kernels.py", "--cell-timeout", 6)
    return run(out, *setup, *select("relu", *ENDS))


def test_every_cell_has_an_outcome(dying):
    cells = {c["id"] for line in dying.lines if line["event"] == "cells" for c in line["cells"]}
    assert set(dying.outcomes) == cells
    assert dying.footer["complete"]


@pytest.mark.parametrize("subject", ENDS)
def test_a_kernel_that_ends_badly_costs_the_cells_that_run_it(dying, subject):
    assert dying.of(subject, "vjp") == {ENDS[subject]}
    assert dying.of(subject, "value") == {"pass"}


def test_an_op_whose_kernels_are_whole_is_not_touched(dying):
    assert dying.of("relu", "value") == dying.of("relu", "vjp") == {"pass"}


def test_a_failure_says_how_the_kernel_ended(dying):
    detail = {subject: dying.finishes[f"{subject}::vjp::cpu::float32"]["detail"] for subject in ENDS}
    assert "SIGSEGV" in detail["tanh"]
    assert "exited with code 7" in detail["nn.functional.silu"]
    assert "did not end within 6 s" in detail["sigmoid"]
    assert "SystemExit" in detail["nn.functional.mish"]
    assert "no memory for the gradient" in detail["nn.functional.logsigmoid"]
    assert "allocate" in detail["nn.functional.softplus"]


@pytest.mark.parametrize("subject", ["tanh", "nn.functional.silu", "sigmoid"])
def test_the_case_that_killed_a_worker_is_found_and_has_a_script(dying, subject):
    for dtype in DTYPES:
        failure = dying.finishes[f"{subject}::vjp::cpu::{dtype}"]["failure"]
        assert "torch.autograd.grad" in failure["script"]
        assert failure["confirmed"] is True


def test_the_verdict_is_that_it_deviates(dying):
    assert dying.code == 1
    assert dying.footer["verdict"] == "deviates"
    assert "Traceback" not in dying.stderr


def test_workers_that_die_at_their_start_end_the_run_in_one_sentence(tmp_path):
    left = run(tmp_path, "--setup", SETUPS / "dies_in_workers.py", *select("relu"))
    assert left.code == 3
    assert "the workers end at their start" in said(left)
    assert left.outcomes == {}
    assert left.footer["verdict"] == "incomplete"


def test_workers_that_cannot_import_the_setup_say_why(tmp_path):
    left = run(tmp_path, "--setup", SETUPS / "raises_in_workers.py", *select("relu"))
    assert left.code == 3
    assert "no such device in a worker" in said(left)


def test_the_environment_tells_the_instruction_set_of_the_kernels(tmp_path):
    left = command("doctor", out=tmp_path, env={"ATEN_CPU_CAPABILITY": "default"})
    assert '"capability": "DEFAULT"' in left.stdout
