"""Promises: how they are registered, run, and told of when broken."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from conformance.behaviours import PROMISES
from conformance.behaviours.say import close, raises, same
from conformance.standalone import standalone

ALL = list(PROMISES.values())


@pytest.mark.parametrize("promise", ALL, ids=lambda p: f"{p.subject}::{p.check}")
def test_a_promise_says_what_is_promised_and_where(promise):
    assert promise.text.endswith(".") and len(promise.text) > 20
    assert promise.link.startswith("https://docs.pytorch.org/docs/stable/") and ".html" in promise.link


@pytest.mark.parametrize(
    "promise", {p.run: p for p in ALL if not p.searches}.values(), ids=lambda p: f"{p.subject}::{p.check}"
)
def test_a_promise_is_a_script_of_torch_and_numpy_alone(promise):
    text = standalone(promise.run, "")
    assert "conformance" not in text and "reference" not in text.replace("torch.", "")
    compile(text, promise.check, "exec")


def test_the_script_of_a_promise_passes_and_fails_as_the_promise_does(tmp_path):
    promise = PROMISES["autograd.inference_mode", "inference_tensors_are_not_recorded_later"]
    text = standalone(promise.run, f"{promise.check}(torch.device('cpu'), torch.float32)")
    for name, before, code in (("right", "", 0), ("wrong", "torch.inference_mode = torch.no_grad\n", 1)):
        script = tmp_path / f"{name}.py"
        script.write_text(text.replace("import torch\n", f"import torch\n{before}", 1))
        assert subprocess.run([sys.executable, script], capture_output=True).returncode == code


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (1, 1.0),
        (True, 1),
        ([1], (1,)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(2), torch.zeros(2, 1)),
        (torch.tensor([1.0]), torch.tensor([1.0 + 2**-23])),
    ],
)
def test_things_of_another_type_order_shape_or_value_are_not_the_same(got, want):
    with pytest.raises(AssertionError):
        same(got, want)


def test_equal_things_are_the_same():
    nan = torch.tensor([float("nan"), 1.0], dtype=torch.bfloat16)
    same([1, {"a": (nan, "text")}], [1, {"a": (nan.clone(), "text")}])


def test_close_allows_rounding_and_nothing_more():
    eps = torch.finfo(torch.float32).eps
    close(torch.tensor([1 + 8 * eps]), [1.0])
    with pytest.raises(AssertionError, match="allowed"):
        close(torch.tensor([1 + 9 * eps]), [1.0])
    with pytest.raises(AssertionError, match="shape"):
        close(torch.zeros(2), 0.0)
    with pytest.raises(AssertionError):
        close(torch.tensor([float("nan")]), [1.0])


def test_a_call_must_raise_what_was_promised():
    raises(ValueError, lambda: int("x"), "invalid literal")
    with pytest.raises(AssertionError, match="returned 1"):
        raises(ValueError, lambda: int("1"))
    with pytest.raises(AssertionError, match="not in the error"):
        raises(ValueError, lambda: int("x"), "something else")
    with pytest.raises(TypeError):
        raises(ValueError, lambda: int([]))  # type: ignore[call-overload]
