"""The script of a failure runs by itself: exit code 0 on a torch that is right, 1 where it is not what is wanted."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from conformance import confirm, script
from conformance.cases import draw_calls
from conformance.checks import REGISTRY, Check, Trial
from conformance.checks.check import Clock, Unsupported
from conformance.compare import Mismatch, Tally, Worst
from conformance.dtypes import DTYPES, NoCounterpart
from conformance.oracle import Oracle
from conformance.target import Target
from reference import rules
from reference.derive import Call
from reference.rule import Case, Rule

pytestmark = pytest.mark.filterwarnings("ignore")

FAMILIES = (
    "tanh", "mul", "matmul", "nn.functional.softmax", "sum", "max", "nn.functional.layer_norm", "cat", "conv2d",
    "gather", "sort", "where", "nn.functional.mse_loss", "fft.rfft", "linalg.inv", "var_mean",
)  # fmt: skip
SUBJECTS = [name for name in FAMILIES if name in rules()]
CPU = Target("cpu")
NUMERIC = [c for c in REGISTRY.values() if "eager" in c.modes and c.regime != "large"]


def trial_of(check: Check, rule: Rule, dtype: str, call: Call) -> Trial:
    oracles: dict[tuple[int, str], Oracle] = {}

    def oracle_for(call: Call, dtype: str) -> Oracle:
        return oracles.setdefault((id(call), dtype), Oracle(call, dtype))

    return Trial(rule, CPU, dtype, call, oracle_for, Tally(check=check.name), Clock())


def passing(check: Check, rule: Rule) -> Iterator[Trial]:
    """Trials that torch passed, and that left something to write a script from."""
    dtypes = [d for d in ("float32", "complex64") if d in check.levels and (rule.complex or d == "float32")]
    for dtype in dtypes or ["float64"]:
        for call in draw_calls(rule, check.regime, DTYPES[dtype].complex, 0, 6):
            trial = trial_of(check, rule, dtype, call)
            try:
                if (check.needs and check.needs(rule, CPU)) or (check.applies and not check.applies(trial)):
                    continue
                check.run(trial)
            except (Unsupported, NoCounterpart, Mismatch, RuntimeError, NotImplementedError):
                continue
            if trial.evidence is not None and trial.tally.waiver is None:
                yield trial


def planted(trial: Trial) -> bool:
    """Make the trial want something else than it got; False where there is nothing in it."""
    evidence = trial.evidence
    for place, (what, quantity, i) in enumerate(evidence.wants):
        if np.size(quantity.wants[i]) and np.all(np.isfinite(quantity.wants[i])):
            other = copy.copy(quantity)
            other.wants = list(quantity.wants)
            other.wants[i] = np.asarray(quantity.wants[i]) * 2 + 1
            evidence.wants = [*evidence.wants[:place], (what, other, i), *evidence.wants[place + 1 :]]
            evidence.place = place
            return True
    return False


@pytest.fixture(scope="module")
def scripts() -> dict[tuple[str, str], tuple[str, str | None]]:
    """(check, subject): the script of a healthy trial, and that of one with a planted error."""
    torch.set_num_threads(1)
    found = {}
    for turn, check in enumerate(NUMERIC):
        for k in range(len(SUBJECTS)):  # each check with the next family that it fits, so that all have their share
            rule = rules()[SUBJECTS[(turn + k) % len(SUBJECTS)]]
            trial = next(passing(check, rule), None)
            if trial is None:
                continue
            trial.evidence.place = 0
            name = f"{rule.name}::{check.name}::cpu::{trial.dtype}"
            healthy = script.write(name, trial, Mismatch("gradient: got 1.0, want 2.0"))
            wrong = script.write(name, trial, Mismatch("gradient: got 1.0, want 2.0")) if planted(trial) else None
            found[check.name, rule.name] = (healthy, wrong)
            break
    return found


def test_every_check_that_compares_numbers_has_a_script(scripts):
    without = {c.name for c in NUMERIC} - {check for check, _ in scripts}
    # these compare no call with the reference, or need a device
    assert without <= {"unchanged", "errors", "meta", "fake", "autocast", "promotion", "fallback"}
    assert len({subject for _, subject in scripts}) >= 10


def test_a_script_is_python_that_imports_torch_and_numpy_alone(scripts):
    for healthy, wrong in scripts.values():
        for text in filter(None, (healthy, wrong)):
            imported = set()
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Import):
                    imported |= {a.name.split(".")[0] for a in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(str(node.module).split(".")[0])
            assert imported <= {"sys", "numpy", "torch"}
            assert "conformance" not in text and "reference." not in text


def test_a_script_names_its_cell_and_the_deviation(scripts):
    for (check, subject), (healthy, _) in scripts.items():
        first, second = healthy.splitlines()[:2]
        assert first.startswith(f"# {subject}::{check}::cpu::") and second == "# gradient: got 1.0, want 2.0"


def test_a_script_of_a_small_case_can_be_read(scripts):
    lengths = sorted(len(healthy.splitlines()) for healthy, _ in scripts.values())
    assert lengths[len(lengths) // 2] < 30 and lengths[-1] < 60


def test_scripts_exit_with_0_on_a_healthy_torch_and_with_1_where_something_else_is_wanted(scripts):
    healthy = {name: text for name, (text, _) in scripts.items()}
    wrong = {name: text for name, (_, text) in scripts.items() if text is not None}
    shown = confirm.confirm([*healthy.values(), *wrong.values()])
    assert [n for n, there in zip(healthy, shown) if there is not False] == []
    assert [n for n, there in zip(wrong, shown[len(healthy) :]) if there is not True] == []
    assert len(wrong) > len(healthy) / 2


# what is not a number out of bounds


def value_of(name: str, *args: object, dtype: str = "float32", **kwargs: object) -> Trial:
    rule = rules()[name]
    trial = trial_of(REGISTRY["value"], rule, dtype, Call(rule, Case(args, kwargs)))
    REGISTRY["value"].run(trial)
    return trial


def wanting(trial: Trial, place: int, want: np.ndarray, error: Mismatch | None = None, dtype: str = "") -> str:
    """The script of a trial that wants something else of one result."""
    trial.evidence.place = place
    _, quantity, i = trial.evidence.wants[place]
    quantity.wants[i] = want
    if dtype:
        quantity.dtypes[i] = DTYPES[dtype]
    return script.write("x", trial, error or Mismatch("nothing said"))


def test_a_wrong_index_dtype_shape_or_sign_of_zero_is_shown():
    largest = value_of("max", np.array([[1.0, 3.0], [5.0, 4.0]]), 1)
    assert [what for what, _, _ in largest.evidence.wants] == ["output 0", "output 1"]
    negative = value_of("neg", np.array([0.0, 1.0]))
    zero = Mismatch("output[0]: got -0.0, want 0.0", Worst("output", [0], "-0.0", "0.0", "inf", "0.0", 1, 2))
    right, other = np.array([0.0, -1.0]), np.array([[0.0, -1.0]])
    scripts = {
        "the index as it is": wanting(largest, 1, np.array([1, 0])),
        "the value as it is": wanting(negative, 0, right),
        "another index": wanting(largest, 1, np.array([0, 0])),
        "the other sign of zero": wanting(negative, 0, right, zero),
        "a shape that would broadcast": wanting(negative, 0, other),
        "another dtype": wanting(negative, 0, right, dtype="float64"),
    }
    shown = dict(zip(scripts, confirm.confirm(list(scripts.values()))))
    assert shown == {what: not what.endswith("as it is") for what in scripts}


def test_a_check_that_leaves_no_evidence_has_no_script():
    rule = rules()["relu"]
    trial = trial_of(REGISTRY["meta"], rule, "float32", Call(rule, Case((np.ones(2),))))
    assert script.write("x", trial, Mismatch("")) == ""


def test_large_inputs_are_packed_and_unpack_to_what_they_were():
    x = np.random.default_rng(0).normal(size=(30, 40))
    trial = value_of("tanh", x)
    text = script.write("x", trial, Mismatch(""))
    assert max(map(len, text.splitlines())) < 40_000 and "frombuffer" in text
    assert confirm.confirm([text]) == [False]


def test_a_script_that_kills_its_process_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    killed = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    assert confirm.confirm([killed, "while True: pass\n", ""], seconds=1.0) == [True, True, False]
    assert not list(tmp_path.glob("conformance-confirm-*"))
