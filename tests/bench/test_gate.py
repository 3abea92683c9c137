"""BASE against HEAD from pairs of processes, with processes that a test has made up."""

from __future__ import annotations

import random

import numpy as np
import pytest

from conformance.bench import fingerprint, gate, measure, results
from conformance.bench.parity import item_from
from conformance.bench.session import Interpreter, WorkerError
from conformance.bench.sources import SourceError, Stored, opened
from conformance.bench.statistics import FASTER, SAME, SLOWER, UNDECIDED, WRONG

MM, ADD = item_from("mm[256]::forward::float32"), item_from("add[4096]::forward::float32")
PRINT = {"device": "cpu", "torch": "2.13.0", "driver": "none"}


def block(item, seconds, wrong=""):
    columns = {"pipelined": {"min": seconds, "median": seconds, "first": [seconds]}}
    return {"kind": "block", "item": item.id, "columns": columns, "wrong": wrong}


class Processes:
    """A session whose processes take `ratios[name][item]` milliseconds, with noise."""

    def __init__(self, ratios, noise=0.003, wrong=None, prints=None, dies=()):
        self.ratios, self.noise, self.wrong, self.dies = ratios, noise, wrong or {}, list(dies)
        self.prints = prints or {}
        self.rng, self.asked = np.random.default_rng(0), []

    def measure(self, interpreter, place, items, order, ceilings=()):
        name = interpreter.name
        self.asked.append((name, tuple(i.id for i in items)))
        if self.dies and self.dies.pop(0):
            raise WorkerError("it died")
        lines = [{"kind": "process", "fingerprint": {**PRINT, **self.prints.get(name, {})}}]
        for item in items:
            seconds = 1e-3 * self.ratios[name].get(item.id, 1.0) * np.exp(self.noise * self.rng.standard_normal())
            lines.append(block(item, seconds, self.wrong.get((name, item.id), "")))
        return lines


def compared(processes, pairs=16, items=(MM, ADD), base=Interpreter("base"), head=Interpreter("head")):  # noqa: B008
    made = gate.Gate(base, head, "cpu/1", processes, lambda text: None)
    return {c.item: c for c in made.compare(items, pairs)}


def names(found):
    return [found[i.id].verdict.name for i in (MM, ADD)]


def test_each_benchmark_gets_its_own_verdict():
    processes = Processes({"base": {}, "head": {MM.id: 1.05}})
    found = compared(processes)
    assert names(found) == [SLOWER, SAME]
    assert gate.exit_code(list(found.values())) == 1
    assert found[MM.id].verdict.ratio == pytest.approx(1.05, abs=0.005)


def test_only_what_raised_an_alarm_is_measured_again():
    processes = Processes({"base": {}, "head": {MM.id: 1.05}})
    compared(processes)
    assert processes.asked[:32].count(("base", (MM.id, ADD.id))) == 16
    assert set(processes.asked[32:]) == {("base", (MM.id,)), ("head", (MM.id,))}


def test_a_pair_is_adjacent_and_in_random_order():
    processes = Processes({"base": {}, "head": {}})
    compared(processes, pairs=32)
    firsts = [processes.asked[i][0] for i in range(0, 64, 2)]
    assert all({processes.asked[i][0], processes.asked[i + 1][0]} == {"base", "head"} for i in range(0, 64, 2))
    assert 6 < firsts.count("base") < 26


def test_faster_passes():
    found = compared(Processes({"base": {}, "head": {MM.id: 0.9}}))
    assert names(found) == [FASTER, SAME] and gate.exit_code(list(found.values())) == 0


def test_faster_and_wrong_is_wrong():
    found = compared(Processes({"base": {}, "head": {MM.id: 0.5}}, wrong={("head", MM.id): "result: nan"}))
    assert names(found) == [WRONG, SAME] and gate.exit_code(list(found.values())) == 1
    assert "result: nan" in gate.sentence(found[MM.id])


def test_a_base_that_is_wrong_is_told_but_does_not_judge_head():
    found = compared(Processes({"base": {}, "head": {}}, wrong={("base", MM.id): "result: nan"}))
    assert names(found) == [SAME, SAME] and "BASE's answer is wrong" in gate.sentence(found[MM.id])


def test_undecided_never_passes():
    found = compared(Processes({"base": {}, "head": {}}, noise=0.1), pairs=8)
    assert names(found) == [UNDECIDED, UNDECIDED] and gate.exit_code(list(found.values())) == 2
    assert "would have been seen" in gate.sentence(found[MM.id])


def test_nothing_at_all_is_no_pass():
    assert gate.exit_code([]) == 2


def test_what_one_side_cannot_measure_is_undecided():
    processes = Processes({"base": {}, "head": {}})
    kept = processes.measure
    processes.measure = lambda i, p, items, o: [
        line for line in kept(i, p, items, o) if i.name == "base" or line.get("item") != MM.id
    ]
    assert names(compared(processes)) == [UNDECIDED, SAME]


def test_other_machines_are_refused_by_name():
    processes = Processes({"base": {}, "head": {}}, prints={"head": {"driver": "550"}})
    with pytest.raises(fingerprint.MismatchError, match="driver: none / 550"):
        compared(processes)


def test_another_torch_is_what_is_compared():
    processes = Processes({"base": {}, "head": {}}, prints={"head": {"torch": "2.14.0"}})
    assert names(compared(processes)) == [SAME, SAME]


def test_a_process_that_dies_once_is_replaced_and_twice_ends_it():
    assert names(compared(Processes({"base": {}, "head": {}}, dies=[True]))) == [SAME, SAME]
    with pytest.raises(WorkerError):
        compared(Processes({"base": {}, "head": {}}, dies=[True, True]))


def test_too_few_pairs_decide_nothing():
    assert names(compared(Processes({"base": {}, "head": {MM.id: 2.0}}), pairs=7)) == [UNDECIDED, UNDECIDED]


def stored(ratio, count, driver="none"):
    rng = random.Random(1)
    blocks = {(MM.id, "cpu/1"): [block(MM, 1e-3 * ratio * (1 + rng.gauss(0, 0.003))) for _ in range(count)]}
    return Stored("stored", blocks, {"cpu/1": {**PRINT, "driver": driver}})


def test_a_stored_run_is_compared_half_by_half():
    found = compared(Processes({"head": {MM.id: 1.1}}), items=(MM,), base=stored(1.0, 32))
    assert found[MM.id].verdict.name == SLOWER and found[MM.id].verdict.pairs == 32


def test_a_short_stored_run_decides_nothing():
    found = compared(Processes({"head": {MM.id: 1.1}}), items=(MM,), base=stored(1.0, 5))
    assert found[MM.id].verdict.name == UNDECIDED


def test_a_stored_run_of_another_machine_is_refused():
    with pytest.raises(fingerprint.MismatchError, match="driver"):
        compared(Processes({"head": {}}), items=(MM,), base=stored(1.0, 32, driver="535"))


def test_sides_are_known_by_what_they_are(tmp_path):
    with opened(".") as here:
        assert isinstance(here, Interpreter)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    with opened(str(tmp_path)) as environment:
        assert environment.python == str(tmp_path / "bin" / "python")
    for wrong in (str(tmp_path / "nothing"), str(tmp_path / "torch.whl")):
        with pytest.raises(SourceError, match="no "), opened(wrong):
            pass
    (tmp_path / "file.jsonl").write_text("{}\n")
    with pytest.raises(SourceError, match="not the journal"), opened(str(tmp_path / "file.jsonl")):
        pass


def test_figures_above_their_ceiling_and_wrong_answers_fail_a_run():
    columns = dict.fromkeys(("latency", "cold", "device", "transfer")) | {"pipelined": {"min": 1e-6}}
    line = {"item": MM.id, "place": "cpu/1", "columns": columns, "wrong": "", "flops": 2 * 256**3, "bytes": 1,
            "memory": None, "warm": {"stable": True}, "round": 0}  # fmt: skip
    sweep = {"products": {"float32": {"256": 1e11}}, "streams": {"copy": {"65536": 1e10}}}
    (row,) = results.results(results.Blocks({(MM.id, "cpu/1"): [line]}, {"cpu/1": [sweep]}))
    assert "missing synchronisation" in row["impossible"]
    (row,) = results.results(results.Blocks({(MM.id, "cpu/1"): [line | {"wrong": "nan"}]}, {"cpu/1": [sweep]}))
    assert row["wrong"] == "nan" and row["columns"] == {}  # no parity, no figure


def test_a_journal_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        measure.lines(tmp_path)
