"""The classic trainings in torch: they agree with the reference, and planted faults are seen and named."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance import trainings
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.programs import ProgramSession, program_cells
from conformance.session import Options, Result
from conformance.spellings import SPELLINGS
from conformance.target import Target

CPU = Target("cpu")
NAMES = [name.rsplit(".", 1)[-1] for name in SPELLINGS if name.startswith("programs.two_layer.")]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cells(name: str) -> dict[str, Cell]:
    """The cells of a program by check and dtype."""
    subject = f"programs.two_layer.{name}"
    return {f"{c.check} {c.dtype}": c for c in program_cells(CPU) if c.subject == subject}


def result(name: str, cell: str, seed: int = 0, level: int = 1) -> Result:
    session = ProgramSession(f"programs.two_layer.{name}", CPU, Options(level=level, seed=seed), Clock())
    return session.run(cells(name)[cell])


def scaled_backward(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, factor: float) -> None:
    """Multiply the gradient that flows into one call's result, as a wrong backward kernel would."""
    original, count = getattr(owner, name), [0]

    def faulty(*args: Any) -> Any:
        out = original(*args)
        count[0] += 1
        if count[0] == call and out.requires_grad:
            out.register_hook(lambda g: g * factor)
        return out

    monkeypatch.setattr(owner, name, faulty)


def scaled_result(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], call: int, factor: float) -> None:
    """Multiply the result of one call of mm that has this shape."""
    original, count = torch.Tensor.mm, [0]

    def faulty(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        out = original(self, other)
        count[0] += tuple(out.shape) == shape
        return out * factor if tuple(out.shape) == shape and count[0] == call else out

    monkeypatch.setattr(torch.Tensor, "mm", faulty)


def with_argument(monkeypatch: pytest.MonkeyPatch, optimizer: Any, **changed: float) -> None:
    original = optimizer.__init__
    monkeypatch.setattr(
        optimizer, "__init__", lambda self, params, **given: original(self, params, **{**given, **changed})
    )


def bias_correction_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam takes its second step for its third."""
    original, count = torch.optim.Adam.step, [0]

    def faulty(self: torch.optim.Adam) -> Any:
        count[0] += 1
        if count[0] == 2:
            for state in self.state.values():
                state["step"] += 1
        return original(self)

    monkeypatch.setattr(torch.optim.Adam, "step", faulty)


FAULTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "tensors: a gradient off by 1e-3 in step 5": (
        "tensors", lambda m: scaled_result(m, (1000, 100), 6, 1.001),
    ),
    "autograd: a gradient off by 1e-3 in step 5": (
        "autograd", lambda m: scaled_backward(m, torch.Tensor, "mm", 11, 1.001),
    ),
    "function: a gradient off by 1e-3 in step 5": (
        "function", lambda m: scaled_backward(m, torch.Tensor, "mm", 11, 1.001),
    ),
    "sequential: a gradient off by 1e-3 in step 5": (
        "sequential", lambda m: scaled_backward(m, torch.nn.Linear, "forward", 11, 1.001),
    ),
    "module: a gradient off by 1e-3 in step 5": (
        "module", lambda m: scaled_backward(m, torch.nn.Linear, "forward", 11, 1.001),
    ),
    "adam: a gradient off by 1e-3 in step 0": (
        "adam", lambda m: scaled_backward(m, torch.nn.Linear, "forward", 1, 1.001),
    ),
    "dynamic: a gradient off by 1e-3 in step 0": (
        "dynamic", lambda m: scaled_backward(m, torch.nn.Linear, "forward", 1, 1.001),
    ),
    "dynamic: momentum 0.899": ("dynamic", lambda m: with_argument(m, torch.optim.SGD, momentum=0.899)),
    "adam: bias correction off by one step": ("adam", bias_correction_off_by_one),
    "adam: beta2 0.99": ("adam", lambda m: with_argument(m, torch.optim.Adam, betas=(0.9, 0.99))),
}  # fmt: skip


def test_every_program_has_two_checks_in_two_dtypes() -> None:
    assert NAMES == ["tensors", "autograd", "function", "sequential", "adam", "module", "dynamic"]
    for name in NAMES:
        assert set(cells(name)) == {f"{c} {d}" for c in ("losses", "parameters") for d in ("float64", "float32")}
    assert not list(program_cells(Target("cpu", "inductor")))


@pytest.mark.parametrize("seed", range(10))
def test_every_program_passes_from_ten_seeds(seed: int) -> None:
    for name in NAMES:
        session = ProgramSession(f"programs.two_layer.{name}", CPU, Options(level=1, seed=seed), Clock())
        for cell in cells(name).values():
            found = session.run(cell)
            assert (found.outcome, found.failure) == ("pass", None), found.detail
            assert found.ratio is not None and found.ratio < 0.9


@pytest.mark.parametrize("name", ["tensors", "module", "adam", "dynamic"])
def test_in_float64_every_loss_of_all_500_steps_is_compared_to_many_digits(name: str) -> None:
    found = result(name, "losses float64", level=2)
    assert (found.outcome, found.elements, found.detail) == ("pass", 500, "")


def test_in_float32_the_result_says_from_which_step_on_nothing_is_compared() -> None:
    found = result("tensors", "losses float32", level=2)  # its loss falls by 13 orders of magnitude
    assert found.outcome == "pass" and 200 < found.elements < 500
    assert found.detail.startswith(f"not compared: from step {found.elements} on")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen_in_float32(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, plant = FAULTS[fault]
    plant(monkeypatch)
    found = result(name, "losses float32", seed=1)
    assert found.outcome == "fail" and found.failure is not None
    step = found.failure["worst"]["index"][0]
    assert found.detail.startswith(f"loss of step {step}: got ")


def test_an_eps_of_adam_that_is_a_tenth_too_large_is_seen_in_float64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_argument(monkeypatch, torch.optim.Adam, eps=1.1e-8)
    assert result("adam", "losses float64").outcome == "fail"


def test_a_fault_is_named_by_the_first_loss_that_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled_result(monkeypatch, (1000, 100), 6, 1.01)  # the gradient of step 5 makes the loss of step 6
    for dtype in ("float64", "float32"):
        monkeypatch.undo()
        scaled_result(monkeypatch, (1000, 100), 6, 1.01)
        found = result("tensors", f"losses {dtype}")
        assert found.failure is not None and found.failure["worst"]["index"] == [6]


def test_the_final_parameters_show_a_fault_of_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled_result(monkeypatch, (1000, 100), 50, 1.1)
    session = ProgramSession("programs.two_layer.tensors", CPU, Options(level=1), Clock())
    assert session.run(cells("tensors")["losses float64"]).outcome == "pass"
    found = session.run(cells("tensors")["parameters float64"])
    assert found.outcome == "fail" and found.detail.startswith("parameter 0[")


def test_a_loss_that_is_not_a_number_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled_result(monkeypatch, (64, 10), 3, float("nan"))
    found = result("tensors", "losses float32")
    assert found.failure is not None and found.failure["worst"]["index"] == [2]


def test_an_exception_in_torch_is_an_error_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(torch.Tensor, "mm", broken)
    found = result("tensors", "losses float32")
    assert found.outcome == "error" and found.failure is not None
    assert "no such kernel" in found.detail and "broken" in found.failure["traceback"]


def exit_code(script: str, tmp_path: Path, fault: str = "") -> int:
    path = tmp_path / "script.py"
    path.write_text(script.replace("import sys, numpy as np, torch\n", f"import sys, numpy as np, torch\n{fault}\n", 1))
    done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.mark.parametrize(("check", "name"), [*(("losses", n) for n in NAMES), ("parameters", "module")])
def test_a_script_stands_alone_and_exits_1_while_the_deviation_is_there(
    name: str, check: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = torch.Tensor.clamp
    monkeypatch.setattr(torch.Tensor, "clamp", lambda self, **given: original(self, **given) * 1.01)
    relu = torch.nn.functional.relu
    monkeypatch.setattr(torch.nn.functional, "relu", lambda x, inplace=False: relu(x) * 1.01)
    found = result(name, f"{check} float32")
    assert found.outcome == "fail" and found.failure is not None
    script = found.failure["script"]
    assert "reference" not in script.split("import sys")[1] and "conformance" not in script.split("import sys")[1]
    assert exit_code(script, tmp_path) == 0  # this torch is right
    fault = (
        "clamp, relu = torch.Tensor.clamp, torch.nn.functional.relu\n"
        "torch.Tensor.clamp = lambda self, **given: clamp(self, **given) * 1.01\n"
        "torch.nn.functional.relu = lambda x, inplace=False: relu(x) * 1.01"
    )
    assert exit_code(script, tmp_path, fault) == 1


def test_the_programs_read_like_their_tutorial() -> None:
    assert len(trainings.tensors.__code__.co_names) < 20
    with torch.no_grad():
        losses, _ = trainings.tensors(*(torch.ones(2, 2) for _ in range(2)), [torch.ones(2, 2), torch.ones(2, 2)], 1)
    assert losses == [4 * 9.0]


def test_cells_of_a_program_share_one_run_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    spelling = SPELLINGS["programs.two_layer.tensors"]
    counted = dataclasses.replace(spelling, sources=(lambda *a: (runs.append(1), spelling.train(*a))[1],))
    monkeypatch.setitem(SPELLINGS, "programs.two_layer.tensors", counted)
    session = ProgramSession("programs.two_layer.tensors", CPU, Options(level=1), Clock())
    outcomes = [session.run(c).outcome for c in cells("tensors").values()]
    assert outcomes == ["pass"] * 4 and len(runs) == 2
