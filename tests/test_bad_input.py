"""Whatever is wrong with the request or the machine: one clear sentence on stderr, and the exit code for it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ROOT, SETUPS, SMALL, Left, arguments, command, lines, run, said, select


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--device", "quantum"), "unknown device 'quantum': this torch reports cpu"),
        (("--device", "cuda:77"), "unknown device 'cuda:77'"),
        (("--mode", "turbo"), "unknown mode 'turbo'"),
        (("--select", "relu", "--select", "rleu"), "--select rleu: no cell matches"),
        (("--setup", "/nowhere/backend.py"), "--setup /nowhere/backend.py: no such file"),
        (("--setup", "no_such_module_at_all"), "--setup no_such_module_at_all: "),
        (("--setup", SETUPS / "leaves.py"), "--setup"),
        (("--known", "/nowhere.toml"), "/nowhere.toml: there is no such file"),
    ],
)
def test_a_request_for_what_is_not_there_is_exit_code_2(tmp_path, words, what):
    left = command("run", "--level", "1", *words, "--out", tmp_path / "out", out=tmp_path / "out")
    assert left.code == 2
    assert what in said(left)
    assert not left.out.exists(), "nothing is left behind by a request that cannot be met"


NONSENSE = (
    ("--level", "5"), ("--shard", "3/2"), ("--seed", "x"), ("--workers", "two"), ("--workers", "0"),
    ("--cell-timeout", "0"), ("--cell-timeout", "nan"), ("--no",),
)  # fmt: skip


@pytest.mark.parametrize("words", NONSENSE, ids=" ".join)
def test_an_option_that_makes_no_sense_is_exit_code_2(words):
    left = command("run", *words, out=ROOT)
    assert left.code == 2
    assert "Traceback" not in left.stderr and words[0].strip("-") in left.stderr


# torches that are missing or broken: a package of that name, found first


def _torch(folder: Path, text: str) -> dict[str, str]:
    package = folder / "torch"
    package.mkdir()
    (package / "__init__.py").write_text(text)
    return {"PYTHONPATH": str(folder)}


HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Hidden())
"""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("raise ImportError('libcudart.so.99: cannot open shared object file\\nand more')", "libcudart.so.99"),
        ("raise SystemExit(5)", "importing torch failed: SystemExit: 5"),
        ("raise AssertionError", "importing torch failed: AssertionError"),
        ("import ctypes; ctypes.string_at(0)", "importing torch, or asking what it has, ended the process (signal 11)"),
        ("import os; os._exit(4)", "importing torch, or asking what it has, ended the process (exit code 4)"),
        ("import os; os.abort()", "importing torch, or asking what it has, ended the process (signal 6)"),
        ("__version__ = '2.13.0'", "this torch is broken: it has no torch.tensor"),
        ("__version__ = '2.13.0'\ntensor = autograd = None\n", "torch"),
    ],
)
def test_a_torch_that_cannot_be_used_is_exit_code_3(tmp_path, text, what):
    left = run(tmp_path / "out", *select("relu"), env=_torch(tmp_path, text))
    assert left.code == 3
    assert what in said(left)


def test_no_torch_is_exit_code_3(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    left = run(tmp_path / "out", *select("relu"), env={"PYTHONPATH": str(tmp_path)})
    assert left.code == 3
    assert "torch is not installed" in said(left)


# a place for the results that cannot take them


def test_an_out_folder_that_cannot_be_made_is_exit_code_3(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing/here")):
        left = run(out, *select("relu"))
        assert left.code == 3
        assert f"--out {out}" in said(left)


def test_a_journal_that_cannot_be_opened_is_exit_code_3(tmp_path):
    (tmp_path / "journal.jsonl").mkdir()
    left = run(tmp_path, *select("relu"))
    assert left.code == 3
    assert f"--out {tmp_path}" in said(left)


def _limited(out: Path, size: int) -> Left:
    """A run whose files may not grow beyond `size` bytes: what a full disk looks like to it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run(
        arguments("run", *SMALL, *select("relu", "tanh"), "--out", out), cwd=ROOT, preexec_fn=limit, text=True,
        capture_output=True, check=False, timeout=120, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return Left(done.returncode, done.stdout, done.stderr, out)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return run(tmp_path_factory.mktemp("small"), *select("relu", "tanh"))


def _size_until(left: Left, cells: int) -> int:
    """The bytes of a journal up to and with its n-th finish line."""
    size = seen = 0
    for line in (left.out / "journal.jsonl").read_bytes().splitlines(keepends=True):
        size += len(line)
        seen += b'"finish"' in line
        if seen == cells:
            return size
    raise AssertionError("so many cells there are not")


def test_a_disk_that_is_full_from_the_start_is_exit_code_3(tmp_path):
    left = _limited(tmp_path / "out", 0)
    assert left.code == 3
    assert "journal.jsonl" in said(left)


def test_a_disk_that_fills_up_keeps_what_had_finished_and_resume_goes_on(tmp_path, small):
    left = _limited(tmp_path, _size_until(small, 5) + 50)
    assert left.code == 3
    assert "journal.jsonl" in said(left)
    kept = left.outcomes
    assert kept and kept.items() <= small.outcomes.items()
    resumed = run(tmp_path, *select("relu", "tanh"), "--resume")
    assert resumed.outcomes == small.outcomes
    assert resumed.code == 0


def test_a_disk_that_is_full_when_the_report_is_written_keeps_the_journal(tmp_path, small):
    left = _limited(tmp_path, (small.out / "journal.jsonl").stat().st_size + 500)
    assert left.code == 3
    assert "report" in said(left)
    assert left.outcomes == small.outcomes


# journals that are torn, or of something else


def _torn(small: Left, folder: Path) -> Path:
    shutil.copytree(small.out, folder / "torn")
    journal = folder / "torn" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[: _size_until(small, 4) + 40])
    return folder / "torn"


def test_a_torn_last_line_is_skipped_and_resume_completes_the_run(small, tmp_path):
    out = _torn(small, tmp_path)
    resumed = run(out, *select("relu", "tanh"), "--resume")
    assert resumed.code == 0, resumed.stderr
    assert resumed.outcomes == small.outcomes
    assert command("verify", out, out=out).code == 0


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "this is not a journal"),
        ("hello\n", "this is not a journal"),
        ('{"event": "header", "schema": 99}\n', "schema version 99"),
        (None, "there is no such file"),
    ],
)
def test_resume_of_what_is_no_journal_is_exit_code_2(tmp_path, content, what):
    if content is not None:
        (tmp_path / "journal.jsonl").write_text(content)
    left = run(tmp_path, *select("relu"), "--resume")
    assert left.code == 2
    assert what in said(left)
    if content is not None:
        assert (tmp_path / "journal.jsonl").read_text() == content, "it is left as it was"


@pytest.mark.parametrize("words", [("report",), ("verify",), ("compare", "b"), ("repro", "--journal")])
def test_commands_that_read_a_journal_refuse_what_is_none(tmp_path, words):
    (tmp_path / "journal.jsonl").write_text("hello\n")
    line = {"compare": ("compare", tmp_path, tmp_path), "repro": ("repro", "x", "--journal", tmp_path)}
    left = command(*line.get(words[0], (words[0], tmp_path)), out=tmp_path)
    assert left.code == 2
    assert "this is not a journal" in said(left)


def test_a_run_that_did_no_work_is_exit_code_3(tmp_path):
    left = run(tmp_path, "--select", "relu::fallback")
    assert left.code == 3
    assert set(left.outcomes.values()) == {"unsupported"}


def test_the_journal_of_a_run_that_is_cut_off_is_still_whole_lines(small):
    assert len(lines(small.out)) == len((small.out / "journal.jsonl").read_bytes().splitlines())
