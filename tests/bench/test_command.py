"""The commands as a user runs them. They are short: what they say is tested elsewhere."""

from __future__ import annotations

import json
import sys

from tests.running import ROOT, SETUPS, command

LAUNCH = ("--select", "launch", "--seconds", "0.001")


def test_a_run_leaves_figures_a_page_and_a_history(tmp_path):
    store = tmp_path / "history.sqlite"
    left = command("bench", *LAUNCH, "--device", "cpu/1", "--processes", 2, "--out", tmp_path / "run", "--store", store,
                   out=tmp_path)  # fmt: skip
    assert left.code == 0, left.stdout + left.stderr
    assert "Measured, and right" in left.stdout
    lines = [json.loads(line) for line in (tmp_path / "run" / "bench.jsonl").read_text().splitlines()]
    blocks = [line for line in lines if line["event"] == "block"]
    assert len(blocks) == 2 and all(b["wrong"] == "" and b["columns"]["latency"]["min"] > 0 for b in blocks)
    assert lines[0]["absent"] or "device" in blocks[0]["columns"]
    assert (tmp_path / "run" / "bench.html").exists() and store.exists()
    # the same run is not added twice; one sentence says so
    again = command("bench", "history", store, "--add", tmp_path / "run", out=tmp_path)
    assert again.code == 2 and "already" in again.stderr


def test_a_wrong_torch_gets_no_figure_and_fails_the_run(tmp_path):
    left = command("bench", *LAUNCH, "--device", "cpu/1", "--processes", 1, "--out", tmp_path,
                   "--setup", SETUPS / "wrong_relu.py", out=tmp_path)  # fmt: skip
    assert left.code == 1 and "WRONG" in left.stdout and "1 wrong" in left.stdout


def test_faster_and_wrong_is_wrong(tmp_path):
    left = command("bench", "compare", ".", ".", *LAUNCH, "--pairs", 8, "--head-setup", SETUPS / "wrong_relu.py",
                   "--out", tmp_path, out=tmp_path, seconds=600)  # fmt: skip
    assert left.code == 1 and left.stdout.startswith("WRONG"), left.stdout + left.stderr
    assert (tmp_path / "compare.html").exists()


def test_wrong_usage_is_one_sentence(tmp_path):
    for words in (
        ("--select", "nothing"), ("--device", "tpu:0"), ("--dtype", "float8"), ("compare", ".", "nowhere"),
        ("compare", ".", ".", "--pairs", 3, *LAUNCH), ("history", tmp_path / "h", "--add", tmp_path),
    ):  # fmt: skip
        left = command("bench", *words, out=tmp_path)
        spoken = [line for line in left.stderr.splitlines() if line.strip()]
        assert left.code == 2 and len(spoken) == 1 and spoken[0].startswith("torch-conformance: "), left.stderr


def test_the_command_never_imports_torch():
    import subprocess

    script = ("import sys\nfrom conformance.cli import main\nassert main(['bench', '--list', '--level', '3']) == 0\n"
              "from conformance.bench import gate, measure, parity, store\nimport reports.bench\n"
              "assert 'torch' not in sys.modules")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mm[8192]::training::float32" in done.stdout
