"""Machines: random programs on torch and on the model, and what is left of one that differs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch import nn

from conformance.behaviours.machines import driver
from conformance.behaviours.machines.edits import EDITS
from conformance.behaviours.machines.passes import PASSES

MACHINES = {"edits": EDITS, "passes": PASSES}


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_torch_follows_the_model(name, seed):
    driver.check(MACHINES[name], 900_000 + seed, 40)


def test_the_same_seed_makes_the_same_program():
    def lines(seed):
        told = []

        def moves(names):
            for _, line in zip(range(30), EDITS.moves(driver.random.Random(seed), names)):
                told.append(line)
                yield line

        assert driver.difference(EDITS, moves, "cpu") is None
        return told

    assert lines(5) == lines(5) != lines(6)


def test_what_differs_is_shrunk_to_a_script_of_torch_alone(monkeypatch, tmp_path):
    def shallow(self, mode=True):
        self.training = mode
        return self

    with monkeypatch.context() as patch:
        patch.setattr(nn.Module, "train", shallow)
        with pytest.raises(driver.Differs) as caught:
            for seed in range(50):
                driver.check(EDITS, seed, 40)
    text = caught.value.script
    assert len(text.splitlines()) < 30 and "conformance" not in text and "reference" not in text
    broken = "import torch\ndef shallow(self, mode=True):\n    self.training = mode\n    return self\n"
    for before, code in (("", 0), (f"{broken}torch.nn.Module.train = shallow\n", 1)):
        file = tmp_path / "script.py"
        file.write_text(before + text)
        assert subprocess.run([sys.executable, file], capture_output=True).returncode == code


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["m1 = Module(); m1.tag = 'm1'", "m1.a = 3", "hasattr(m1, 'a')"], 0),
        (["m1 = Module(); m1.tag = 'm1'", "m1.register_buffer('', None)"], 0),
    ],
)
def test_a_line_that_both_refuse_is_no_difference(lines, code):
    assert driver.difference(EDITS, lambda names: lines, "cpu") is None


def test_a_line_of_which_the_model_says_nothing_is_asked_of_neither():
    lines = ["m1 = Module(); m1.tag = 'm1'", "m1.b = tensor([1.5]); m1.a = m1"]
    assert driver.difference(EDITS, lambda names: lines, "cpu") is None
