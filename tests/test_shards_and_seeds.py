"""Shards that together are the whole, and seeds that decide the inputs and nothing else."""

from __future__ import annotations

import pytest

from tests.running import SETUPS, Left, command, lines, run, said, select

WORDS = ("--setup", SETUPS / "wrong_tanh.py", *select("relu", "tanh", "exp", "neg"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return run(tmp_path_factory.mktemp("whole"), *WORDS)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Left]:
    return [run(tmp_path_factory.mktemp("shard"), *WORDS, "--shard", f"{i}/2") for i in (1, 2)]


def _cases(left: Left) -> dict[str, str]:
    return {cell: line["failure"]["case"] for cell, line in left.finishes.items() if line["failure"]}


def test_shards_are_disjoint_and_each_has_work(shards):
    first, second = (set(shard.outcomes) for shard in shards)
    assert first and second and not first & second


def test_the_merged_shards_equal_the_whole(shards, whole, tmp_path):
    merged = command("merge", *(shard.out for shard in shards), "--out", tmp_path, out=tmp_path)
    assert merged.outcomes == whole.outcomes
    assert merged.code == whole.code == 1
    assert (tmp_path / "report.html").exists()


def test_a_merge_that_lacks_a_shard_is_refused_in_one_sentence(shards, tmp_path):
    left = command("merge", shards[0].out, "--out", tmp_path / "m", out=tmp_path)
    assert left.code in (2, 3)
    assert "shard" in said(left)


def test_one_shard_finds_what_the_whole_found(shards, whole):
    assert {**_cases(shards[0]), **_cases(shards[1])} == _cases(whole)


def test_the_same_seed_gives_the_same_cells_inputs_and_verdict(whole, tmp_path):
    again = run(tmp_path, *WORDS)
    assert _cases(again) == _cases(whole) and _cases(whole)
    assert again.outcomes == whole.outcomes
    assert again.footer["verdict"] == whole.footer["verdict"] == "deviates"
    assert _evidence(again) == _evidence(whole)


def test_another_seed_gives_other_inputs_to_the_same_cells(whole, tmp_path):
    other = run(tmp_path, *WORDS, "--seed", 1)
    assert other.outcomes == whole.outcomes
    assert _evidence(other) != _evidence(whole)


def _evidence(left: Left) -> dict[str, tuple[object, ...]]:
    """What the inputs decide of every cell that passed: their size, and how near the results came."""
    return {
        cell: (line["examples"], line["elements"], line["ratio"], line["ulp"])
        for cell, line in left.finishes.items()
        if line["outcome"] == "pass"
    }


def test_resume_refuses_the_journal_of_another_run(whole, tmp_path):
    for words, what in ((("--seed", 1), "seed"), (("--level", 2), "other cells")):
        left = command("run", "--device", "cpu", "--mode", "eager", "--level", 1, *words, "--resume",
                       "--out", whole.out, out=whole.out)  # fmt: skip
        assert left.code == 2
        assert what in said(left)


def test_resume_of_a_finished_run_does_nothing_again(whole, tmp_path):
    started = sum(line["event"] == "start" for line in lines(whole.out))
    again = run(whole.out, *WORDS, "--resume")
    assert again.code == 1
    assert sum(line["event"] == "start" for line in again.lines) == started
