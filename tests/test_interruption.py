"""Ctrl-C and SIGKILL lose nothing that had finished, leave no process behind, and --resume completes the run."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import ROOT, SETUPS, SMALL, Left, arguments, lines, run, select

WORDS = ("--setup", SETUPS / "slow_tanh.py", *select("relu", "tanh"))


def _group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def _parent(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()


@dataclasses.dataclass
class Ended:
    """A run that was ended from outside while tanh was running."""

    how: Callable[[subprocess.Popen[str]], None]
    code: int
    stderr: str
    before: dict[str, str]  # what had finished when the signal was sent
    after: dict[str, str]
    pids: set[int]
    out: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return run(tmp_path_factory.mktemp("whole"), *WORDS)


@pytest.fixture(scope="module", params=[_group, _parent, _kill], ids=["sigint to the group", "sigint", "sigkill"])
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    out = tmp_path_factory.mktemp("ended")
    process = _started(out)
    try:
        _wait_for(lambda: len(_outcomes(out)) >= 6 and "tanh::value::cpu::float64" in _outcomes(out))
        before, pids = _outcomes(out), {line["pid"] for line in lines(out) if line["event"] == "start"}
        request.param(process)
        _, stderr = process.communicate(timeout=60)
        yield Ended(request.param, process.returncode, stderr, before, _outcomes(out), pids, out)
    finally:
        process.kill()
        process.wait()


def _started(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments("run", *SMALL, *WORDS, "--out", out), cwd=ROOT, env={**os.environ, "SLOW": "1"}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def _outcomes(out: Path) -> dict[str, str]:
    if not (out / "journal.jsonl").exists():
        return {}
    return {line["cell"]: line["outcome"] for line in lines(out) if line["event"] == "finish"}


def _wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_what_had_finished_is_kept_and_the_rest_is_not_invented(ended, whole):
    assert ended.before.items() <= ended.after.items()
    assert set(ended.after) < set(whole.outcomes)


def test_no_worker_outlives_the_run(ended):
    assert ended.pids
    _wait_for(lambda: not any(map(_alive, ended.pids)), 10)


def test_an_interrupted_run_ends_with_a_footer_and_exit_code_3(ended):
    if ended.how is _kill:
        assert ended.code == -signal.SIGKILL
        return
    assert ended.code == 3
    assert "Traceback" not in ended.stderr
    footer = lines(ended.out)[-1]
    assert footer["event"] == "footer" and footer["interrupted"] and not footer["complete"]
    assert (ended.out / "report.html").exists()


def test_resume_completes_to_the_outcomes_of_an_uninterrupted_run(ended, whole):
    resumed = run(ended.out, *WORDS, "--resume")
    assert resumed.outcomes == whole.outcomes
    assert resumed.code == whole.code == 0
    starts = [line["cell"] for line in resumed.lines if line["event"] == "start"]
    assert all(starts.count(cell) == 1 for cell in ended.before), "what had finished is not run again"


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.6])
def test_ctrl_c_while_the_workers_start_leaves_no_traceback(tmp_path, moment):
    process = _started(tmp_path)
    _wait_for((tmp_path / "journal.jsonl").exists)
    time.sleep(moment)
    _group(process)
    _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    assert process.returncode == 3
