"""The commands as a user runs them. They are short: what they say is tested elsewhere."""

from __future__ import annotations

import json
import random
import subprocess
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


def test_a_kernel_that_raises_fails_the_run_by_name(tmp_path):
    left = command("bench", *LAUNCH, "--select", "sum", "--device", "cpu/1", "--processes", 1, "--out", tmp_path,
                   "--setup", SETUPS / "raising_relu.py", out=tmp_path)  # fmt: skip
    assert left.code == 1 and "launch[1]::forward::float32 raised RuntimeError: an illegal memory" in left.stdout
    assert "not measured" not in left.stdout


def stored(folder, ratio, noise, wrong="", count=32):
    """A run of so many processes that nobody measured."""
    rng = random.Random(f"{folder.name}")
    lines = [{"event": "header", "schema": 1, "places": ["cpu/1"]},
             {"event": "process", "place": "cpu/1", "fingerprint": {"device": "cpu"}}]  # fmt: skip
    for turn in range(count):
        seconds = 1e-3 * ratio * (1 + rng.gauss(0, noise))
        columns = {"pipelined": {"min": seconds, "median": seconds}}
        lines.append({"event": "block", "item": "mm[256]::forward::float32", "place": "cpu/1", "round": turn,
                      "columns": columns, "wrong": wrong})  # fmt: skip
    folder.mkdir()
    (folder / "bench.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_exit_code_is_the_gravest_verdict(tmp_path):
    base = stored(tmp_path / "base", 1.0, 0.003)
    for head, code, name in (
        (base, 0, "SAME"),
        (stored(tmp_path / "quick", 0.9, 0.003), 0, "FASTER"),
        (stored(tmp_path / "slow", 1.1, 0.003), 1, "SLOWER"),
        (stored(tmp_path / "quick and wrong", 0.5, 0.003, wrong="result: nan"), 1, "WRONG"),
        (stored(tmp_path / "noisy", 1.0, 0.2), 2, "UNDECIDED"),
    ):
        out = tmp_path / f"compared {name}"
        left = command("bench", "compare", base, head, "--select", "mm[256]::forward*", "--out", out, out=out)
        assert left.code == code and left.stdout.startswith(name), left.stdout + left.stderr
        assert f"<h1>{name}</h1>" in (out / "compare.html").read_text()


def test_wrong_usage_is_one_sentence(tmp_path):
    for words in (
        ("--select", "nothing"), ("--device", "tpu:0"), ("--dtype", "float8"), ("compare", ".", "nowhere"),
        ("compare", ".", ".", "--pairs", 3, *LAUNCH), ("history", tmp_path / "h", "--add", tmp_path),
    ):  # fmt: skip
        left = command("bench", *words, out=tmp_path)
        spoken = [line for line in left.stderr.splitlines() if line.strip()]
        assert left.code == 2 and len(spoken) == 1 and spoken[0].startswith("torch-conformance: "), left.stderr


def test_the_command_never_imports_torch():
    script = ("import sys\nfrom conformance.cli import main\nassert main(['bench', '--list', '--level', '3']) == 0\n"
              "from conformance.bench import gate, measure, parity, store\nimport reports.bench\n"
              "assert 'torch' not in sys.modules")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mm[8192]::training::float32" in done.stdout
