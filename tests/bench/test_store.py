"""The history: one series for each machine, alarms once, with the commit of the step."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest

from conformance.bench import store
from conformance.bench.fingerprint import MismatchError
from reports.bench import write_history

PRINT = {"device": "NVIDIA H200", "driver": "550", "torch": "2.13.0", "cpu": "x", "threads": 1}


def run(number, seconds=1.0, **fields):
    return store.Run(f"run {number}", 1e9 + 3600 * number, f"{number:040x}", "file", {"cuda:0": {**PRINT, **fields}},
                     {("mm at cuda:0", "cuda:0"): seconds})  # fmt: skip


@pytest.fixture
def history(tmp_path):
    with store.opened(tmp_path / "history.sqlite") as opened:
        yield opened


def filled(history, count=40, step_at=None, **options):
    rng = np.random.default_rng(0)
    raised = []
    for i in range(count):
        slow = 1.05 if step_at is not None and i >= step_at else 1.0
        raised.append(store.add(history, run(i, slow * np.exp(0.01 * rng.standard_normal())), **options))
    return raised


def test_an_alarm_is_raised_once_and_names_the_commit_of_the_step(history):
    raised = filled(history, 40, step_at=25)
    found = [alarm for alarms in raised for alarm in alarms]
    assert len(found) == 1
    assert found[0].change == pytest.approx(0.05, abs=0.015)
    assert f"{25:040x}" in found[0].start or f"{24:040x}" in found[0].start or f"{26:040x}" in found[0].start
    assert next(i for i, alarms in enumerate(raised) if alarms) <= 25 + 8


def test_a_quiet_history_raises_none(history):
    assert not any(filled(history, 60))


def test_an_alarm_stays_told_when_the_store_is_opened_again(tmp_path):
    path = tmp_path / "history.sqlite"
    with store.opened(path) as history:
        filled(history, 36, step_at=25)
    with store.opened(path) as history:
        assert store.add(history, run(99, 1.05)) == []
        assert len(store.exported(history)["series"][0]["alarms"]) == 1


@pytest.mark.parametrize("field", ["driver", "torch", "cpu", "threads", "device"])
def test_another_machine_is_refused_by_name(history, field):
    store.add(history, run(0))
    with pytest.raises(MismatchError, match=field):
        store.add(history, run(1, **{field: "another"}))


def test_what_is_refused_leaves_nothing_behind(tmp_path):
    path = tmp_path / "history.sqlite"
    with store.opened(path) as history:
        store.add(history, run(0))
    with pytest.raises(MismatchError), store.opened(path) as history:
        store.add(history, run(1))
        store.add(history, run(2, driver="another"))
    with store.opened(path) as history:
        assert len(store.exported(history)["runs"]) == 1


def test_a_new_series_begins_where_the_user_says_so(history):
    store.add(history, run(0))
    store.add(history, run(1, driver="560"), fresh=True)
    store.add(history, run(2, driver="560"))
    store.add(history, run(3))
    assert sorted(len(s["points"]) for s in store.exported(history)["series"]) == [2, 2]


def test_a_series_may_follow_a_field(history):
    for i in range(3):
        store.add(history, run(i, torch=f"2.{i}"), follow=("torch",))
    (series,) = store.exported(history)["series"]
    assert len(series["points"]) == 3


def test_a_run_is_added_once(history):
    store.add(history, run(0))
    with pytest.raises(store.HistoryError, match="already"):
        store.add(history, run(0))


def test_runs_are_in_order_of_their_time_not_of_their_adding(history):
    for i in (2, 0, 1):
        store.add(history, run(i, float(i + 1)))
    (series,) = store.exported(history)["series"]
    assert [seconds for _, seconds in series["points"]] == [1.0, 2.0, 3.0]


def test_a_file_that_is_no_store_is_refused(tmp_path):
    path = tmp_path / "x.sqlite"
    path.write_text("not a database, but a text that is long enough to be looked at\n" * 20)
    with pytest.raises(store.HistoryError), store.opened(path):
        pass


def pytest_benchmark_file(path, number, minimum=1e-3, cpu="Xeon", extra=None):
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=number)
    path.write_text(json.dumps({
        "machine_info": {"node": "box", "processor": "x86_64", "machine": "x86_64", "python_version": "3.11.7",
                         "cpu": {"brand_raw": cpu, "count": 2, "hz_actual": [number, 0]}},
        "commit_info": {"id": f"{number:040x}", "branch": "main", "dirty": False},
        "benchmarks": [{"fullname": "tests/test_x.py::test_f", "stats": {"min": minimum}, "extra_info": extra or {}}],
        "datetime": when.isoformat(), "version": "5.1.0",
    }))  # fmt: skip
    return path


def test_files_of_pytest_benchmark_are_imported(history, tmp_path):
    for i in range(3):
        store.add(history, store.from_pytest_benchmark(pytest_benchmark_file(tmp_path / "a.json", i, 1e-3 + i)))
    (series,) = store.exported(history)["series"]
    assert series["benchmark"] == "tests/test_x.py::test_f"
    assert [s for _, s in series["points"]] == [1e-3, 1.001, 2.001]
    with pytest.raises(MismatchError, match="cpu"):
        store.add(history, store.from_pytest_benchmark(pytest_benchmark_file(tmp_path / "a.json", 9, cpu="EPYC")))


def test_their_fingerprint_is_ours_where_they_have_it(tmp_path):
    made = store.from_pytest_benchmark(pytest_benchmark_file(tmp_path / "a.json", 1, extra={"fingerprint": PRINT}))
    assert made.fingerprints["pytest-benchmark"]["torch"] == "2.13.0"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine_info": 3}', '{"machine_info": {}, "datetime": "x"}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(store.HistoryError, match="not a file of pytest-benchmark"):
        store.from_pytest_benchmark(path)


def test_the_page_shows_trends_alarms_and_commits(history, tmp_path):
    filled(history, 40, step_at=25)
    write_history(store.exported(history), tmp_path / "history.html")
    page = (tmp_path / "history.html").read_text()
    assert "1 alarm" in page and "<svg" in page and "NVIDIA H200" in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
