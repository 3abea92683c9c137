"""Level 4 goes on with fresh seeds until its time is up."""

from __future__ import annotations

import time

import pytest

from reports.journal import read
from tests.running import SETUPS, Left, run, select

CELLS = ("--level", "4", "--select", "tanh::value", *select("relu::value"))


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Left:
    out = tmp_path_factory.mktemp("soak")
    env = {"WRONG_FROM": str(time.time() + 25)}
    return run(out, *CELLS, "--budget", 0.8, "--setup", SETUPS / "wrong_later.py", env=env)


def test_a_deviation_that_shows_itself_later_is_found(soaked):
    assert soaked.code == 1
    assert soaked.of("tanh", "value", "float64") == {"fail"}
    assert soaked.of("relu", "value") == {"pass"}


def test_the_failure_names_the_seed_of_its_round(soaked):
    seeds = [line["seed"] for line in soaked.lines if line["event"] == "finish" and line["outcome"] == "fail"]
    assert seeds and min(seeds) > 0


def test_the_rounds_add_up(soaked):
    examples = [f["examples"] for f in soaked.lines if f["event"] == "finish" and f["cell"].startswith("relu")]
    cells = [cell for cell in read(soaked.out).cells.values() if cell.subject == "relu"]
    assert len(examples) > len(cells)
    assert sum(cell.result.examples for cell in cells) >= 2 * max(examples)


def test_it_ends_with_its_budget_and_says_how_far_it_came(soaked):
    assert 47 < soaked.footer["seconds"] < 90
    assert "rounds after the first" in next(line["text"] for line in soaked.lines if line["event"] == "note")
