"""What stands around the steps: checks that no fault of the list can prove on every machine."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance import loops
from conformance.checks.check import Clock
from conformance.session import Options, Result
from conformance.target import Target


def result(subject: str, check: str, dtype: str = "float32") -> Result:
    cells = {(c.subject, c.check, c.dtype): c for c in loops.loop_cells(Target("cpu"))}
    session = loops.LoopSession(subject, Target("cpu"), Options(), Clock())
    return session.run(cells[subject, check, dtype])


def test_every_subject_has_its_checks_once() -> None:
    ids = [c.id for c in loops.loop_cells(Target("cpu"))]
    assert len(ids) == len(set(ids)) and not list(loops.loop_cells(Target("cpu", "inductor")))


def test_the_exported_network_is_evaluated_and_a_wrong_weight_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    assert result("onnx.export", "evaluated").outcome == "pass"
    original = torch.onnx.export

    @functools.wraps(original)
    def wrong(model: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            next(model.parameters())[0] *= 1.001
        return original(model, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, "export", wrong)
    found = result("onnx.export", "evaluated")
    assert found.outcome == "fail" and found.detail.startswith("number 0[")


def test_without_onnx_the_cell_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = result("onnx.export", "evaluated")
    assert found.outcome == "not_exercised" and "torch-conformance[onnx]" in found.detail


def test_replicas_say_that_there_is_one_device_only() -> None:
    found = result("nn.DataParallel", "replicas")
    assert found.outcome == "not_exercised" and "CUDA" in found.detail


def test_a_script_stands_alone_and_exits_1_while_the_deviation_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda ps, most, **given: clip(ps, 1.01 * most, **given))
    found = result("loops.clipping", "clipped", "float64")
    assert found.outcome == "fail" and found.failure is not None
    fault = (
        "clip = torch.nn.utils.clip_grad_norm_\n"
        "torch.nn.utils.clip_grad_norm_ = lambda ps, most, **given: clip(ps, 1.01 * most, **given)"
    )
    for planted, code in (("", 0), (fault, 1)):
        script = tmp_path / "script.py"
        script.write_text(found.failure["script"].replace("import torch\n", f"import torch\n{planted}\n", 1))
        done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
