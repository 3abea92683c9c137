"""An out-of-tree backend, right and wrong in known ways: what the suite says of each, on a machine without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import Left, command, select

pytest.importorskip("torch")
backend_registration = pytest.importorskip("torch.utils.backend_registration")
if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
    pytest.skip("this torch cannot register a backend from Python (2.10 can)", allow_module_level=True)

TOY = Path(__file__).parent / "toy"
BOTH = ("cpu", "toy:0")


def _run(out: Path, variant: str | None, *words: object, device: tuple[str, ...] = BOTH, level: int = 1) -> Left:
    setup = [w for name in ("backend", variant) if name for w in ("--setup", TOY / f"{name}.py")]
    place = [w for name in device for w in ("--device", name)]
    common = ("--mode", "eager", "--workers", "2", "--known", "none", "--level", level, "--out", out)
    return command("run", *setup, *place, *common, *words, out=out)


# right


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Left:
    subjects = ("relu", "exp", "matmul", "sum", "nn.functional.linear", "fft.hfft", "conv2d")
    words = [f"{subject}::{check}" for subject in subjects for check in ("value", "vjp", "jvp")]
    out = tmp_path_factory.mktemp("right")
    return _run(out, None, *select("tensor", *words, "exp::fallback", "relu::fallback"), level=2)


def test_the_device_is_found_and_named_in_the_environment(tmp_path):
    left = command("doctor", "--setup", TOY / "backend.py", out=tmp_path)
    assert left.code == 0
    assert '"device": "toy:0"' in left.stdout


@pytest.mark.parametrize("check", ["creation", "copy", "equality"])
def test_the_plumbing_of_a_right_backend_passes(right, check):
    assert right.of("tensor", check, "toy:0") == {"pass"}


@pytest.mark.parametrize("check", ["value", "vjp", "jvp"])
def test_values_and_derivatives_of_a_right_backend_pass(right, check):
    assert right.of(check, "toy:0", "float64") == {"pass"}
    assert right.of(check, "toy:0", "float32") == {"pass"}


def test_a_passing_cell_says_on_which_device_its_outputs_were(right):
    assert right.finishes["exp::vjp::toy:0::float32"]["device"] == "toy:0"
    assert right.finishes["exp::vjp::cpu::float32"]["device"] == "cpu"


def test_a_right_backend_does_not_fall_back_to_the_cpu(right):
    assert right.of("fallback", "toy:0") == {"pass"}
    assert right.of("fallback", "cpu") == {"unsupported"}


# broken plumbing


@pytest.fixture(
    scope="module",
    params=[("loses_the_offset", "copy", "differs"),
            ("always_equal", "equality", "a changed element was not seen")],
    ids=["a copy that loses the offset", "an equality that says yes"],
)  # fmt: skip
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Left, str, str]:
    variant, check, what = request.param
    return _run(tmp_path_factory.mktemp("broken"), variant, *select("tensor", "relu", "tanh")), check, what


def test_broken_plumbing_fails_by_its_own_name(broken):
    left, check, what = broken
    assert "fail" in left.of("tensor", check, "toy:0")
    assert what in left.finishes[f"tensor::{check}::toy:0::float32"]["detail"]
    assert left.code == 1


def test_everything_behind_broken_plumbing_is_blocked_under_that_one_cause(broken):
    left, check, _ = broken
    behind = [f for cell, f in left.finishes.items() if "::toy:0::" in cell and not cell.startswith("tensor::")]
    assert {f["outcome"] for f in behind} == {"blocked"}
    assert len({f["detail"] for f in behind}) == 1
    assert f"tensor::{check}::toy:0::" in behind[0]["detail"]


def test_the_cpu_is_not_blocked_by_the_plumbing_of_another_device(broken):
    left, _, _ = broken
    assert left.of("cpu") == {"pass", "unsupported"}


# wrong ops


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Left:
    words = [
        f"{subject}::{check}" for subject in ("tanh", "sigmoid", "exp", "relu", "neg") for check in ("value", "vjp")
    ]
    more = ("tanh::fallback", "exp::layout_transposed", "exp::layout_strided", "exp::layout_offset")
    return _run(tmp_path_factory.mktemp("wrong"), "wrong_ops", *select(*words, *more), level=2)


def test_an_output_left_on_the_cpu_is_a_failure(wrong):
    assert wrong.of("tanh", "value", "toy:0") == {"fail"}
    assert "on cpu, expected on toy:0" in wrong.finishes["tanh::value::toy:0::float32"]["detail"]
    assert wrong.of("tanh", "fallback", "toy:0") <= {"fail", "error"}


def test_a_core_op_that_is_not_implemented_is_an_error_and_a_further_dtype_of_it_unsupported(wrong):
    for dtype in ("float64", "float32"):
        assert wrong.of("sigmoid", "value", "toy:0", dtype) == {"error"}
    assert wrong.of("sigmoid", "value", "toy:0", "bfloat16") == {"unsupported"}
    assert "not there yet on toy" in wrong.finishes["sigmoid::value::toy:0::bfloat16"]["detail"]


def test_a_kernel_that_ignores_strides_is_right_on_dense_tensors_and_fails_on_others(wrong):
    assert wrong.of("exp", "value", "toy:0") == {"pass"}
    failing = {cell.split("::")[1] for cell, o in wrong.outcomes.items() if cell.startswith("exp::") and o == "fail"}
    assert {"layout_transposed", "layout_strided"} == failing


def test_a_result_that_is_off_by_a_thousandth_fails(wrong):
    assert wrong.of("relu", "value", "toy:0", "float32") == {"fail"}


def test_an_op_that_is_right_passes_beside_wrong_ones(wrong):
    assert wrong.of("neg", "value", "toy:0") == wrong.of("neg", "vjp", "toy:0") == {"pass"}


def test_the_cpu_is_not_touched_by_the_wrong_ops_of_another_device(wrong):
    assert wrong.of("cpu") <= {"pass", "unsupported", "not_exercised"}


# a device that is lost


@pytest.fixture(scope="module")
def sticky(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return _run(tmp_path_factory.mktemp("sticky"), "sticky", *select("tensor", "tanh", "relu"))


def test_a_sticky_error_is_a_crash_of_the_cell_that_met_it(sticky):
    assert sticky.of("tanh", "toy:0") == {"crash"}
    assert "no longer answers" in sticky.finishes["tanh::value::toy:0::float32"]["detail"]


def test_a_sticky_error_costs_one_cell_for_each_worker_and_no_other_op(sticky):
    pids = [line["pid"] for line in sticky.lines if line["event"] == "start" and line["cell"].startswith("tanh::")
            and "::toy:0::" in line["cell"]]  # fmt: skip
    assert len(set(pids)) == len(pids), "the worker was replaced after each"
    assert sticky.of("relu", "value", "toy:0") == sticky.of("relu", "vjp", "toy:0") == {"pass"}
    assert sticky.of("tensor", "toy:0") == {"pass"}
    assert sticky.of("tanh", "vjp", "cpu") == {"pass"}
