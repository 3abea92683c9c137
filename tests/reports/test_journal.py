"""A journal is read whole, or the reader says in one sentence why not."""

import json
import subprocess
import sys

import pytest

from reports.journal import JournalError, counts, parse, percent, read, sentence, verdict
from tests.reports import synthetic as s


def parsed(lines):
    return parse(s.encode(lines))


def whole():
    return [*s.journal({"tanh": "pass", "exp": "fail", "sin": "unsupported"}), s.footer("deviates", exit=1)]


def test_a_run_is_read_with_its_outcomes_and_failures():
    run = parsed(whole())
    assert [cell.outcome for cell in run.cells.values()] == ["pass", "fail", "unsupported"]
    worst = run.cells["exp::value::cpu::float32"].failure.worst
    assert (worst.index, worst.got, worst.count) == ("[1]", "0.7615", 1)
    assert run.header.seed == 7 and run.environment.torch.version == "2.13.0"
    assert run.footer.profile["torch"] == 30.0 and run.seconds == 60.0


def test_a_folder_stands_for_its_journal(tmp_path):
    s.write(tmp_path / "journal.jsonl", whole())
    assert len(read(tmp_path).cells) == 3


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_skipped(cut):
    content = s.encode(whole())
    run = parse(content[:-cut]) if cut > 1 else parse(content[:-1])
    assert (run.footer is None) == (cut > 1)
    assert counts(run).passed == 1


def test_a_line_torn_within_a_character_is_skipped():
    content = s.encode(s.journal({"tanh": "pass"})) + '{"event": "note", "text": "é'.encode()[:-1]
    assert counts(parse(content)).passed == 1


def test_half_a_line_is_forgiven_where_the_run_was_resumed():
    lines = s.journal({"tanh": "pass", "exp": "pass"})
    again = {"event": "resume", "time": s.TIME, "command": [], "environment": s.ENVIRONMENT}
    content = s.encode(lines[:-1]) + b'{"event": "fin\n' + s.encode([again, lines[-1]])
    assert counts(parse(content)).passed == 2


def test_a_resume_under_another_torch_is_noted():
    other = {**s.ENVIRONMENT, "torch": {"version": "2.14.0"}}
    run = parsed([*s.journal({"tanh": "pass"}), {"event": "resume", "time": s.TIME, "environment": other}])
    assert "two torches" in run.notes[0]


def test_a_footer_before_a_resume_is_not_the_end():
    run = parsed([*whole(), {"event": "resume", "time": s.TIME, "environment": s.ENVIRONMENT}])
    assert run.footer is None


def test_the_last_of_two_finishes_counts():
    lines = s.journal({"tanh": "fail"})
    run = parsed([*lines, s.finish(s.cell("tanh"), "pass")])
    assert run.cells["tanh::value::cpu::float32"].outcome == "pass"


def test_several_lines_of_cells_are_united():
    cells = [s.cell("tanh"), s.cell("exp")]
    run = parsed([s.header(cells), s.announce(cells[:1]), s.announce(cells), s.finish(cells[0])])
    assert list(run.cells) == [item["id"] for item in cells]


def test_a_selected_cell_without_a_finish_has_not_run():
    run = parsed(s.journal({"tanh": "pass", "exp": None}))
    assert run.cells["exp::value::cpu::float32"].outcome is None
    assert counts(run).by == {"pass": 1, "not_run": 1}
    assert verdict(run) == "incomplete"


def test_cells_that_were_never_announced_count_as_not_run():
    run = parsed(s.journal({"tanh": "pass"}, selected=10, total=12))
    found = counts(run)
    assert (found.passed, found.applicable, found.selected, found.total) == (1, 10, 10, 12)


def test_infinite_and_undefined_ratios_survive_in_either_spelling():
    lines = s.journal({"tanh": "fail", "exp": "fail"})
    lines[-1] |= {"ratio": float("inf"), "ulp": "nan"}
    result = parsed(lines).cells["exp::value::cpu::float32"].result
    assert result.ratio == float("inf") and result.ulp != result.ulp


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a journal"),
        (b"<html>", "not a journal"),
        (b'{"event": "note"}\n', "not a journal"),
        (b"\xff\xfe\x00", "not a journal"),
        (b'{"event": "header", "schema": 2}\n', "line 1: schema version 2 is unknown"),
        (b'{"event": "header", "schema": 1}\n', "line 1: 'environment' is missing"),
    ],
)
def test_what_is_no_journal_is_named_so(content, complaint):
    with pytest.raises(JournalError, match=complaint):
        parse(content)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "this is not a JSON object"),
        ("[1]", "this is not a JSON object"),
        ("[" * 100_000, "this is not a JSON object"),
        ('{"event": "dance"}', "the event 'dance' is not of this schema"),
        ('{"time": 1}', "'event' is missing"),
        ('{"event": "finish", "cell": "x", "outcome": "good"}', "the outcome 'good' is not of this schema"),
        ('{"event": "finish", "cell": "x", "outcome": "pass"}', "the cell 'x' finished and was never"),
        ('{"event": "finish", "cell": "x", "outcome": "pass", "ratio": "big"}', "'ratio' should be a float"),
        (
            '{"event": "finish", "cell": "x", "outcome": "fail", "failure": "no"}',
            "'failure' should be a dict",
        ),
        ('{"event": "cells", "cells": ["x"]}', "'cells' should hold objects"),
        ('{"event": "footer", "complete": 1}', "'verdict' is missing"),
    ],
)
def test_a_malformed_line_in_the_middle_is_named_by_its_number(line, complaint):
    lines = [json.dumps(item) for item in s.journal({"tanh": "pass"})]
    content = "\n".join([*lines[:2], line, *lines[2:]]) + "\n"
    with pytest.raises(JournalError, match=f"line 3: {complaint}") as raised:
        parse(content.encode())
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(JournalError, match="no such file"):
        read(tmp_path / "gone.jsonl")
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(JournalError, match=r"cannot be read \(Is a directory\)"):
        read(tmp_path)


def test_no_percentage_is_rounded_up():
    assert percent(49_999, 50_000) == "99.9 %"
    assert percent(50_000, 50_000) == "100.0 %"
    assert percent(0, 0) == "n/a"


def test_applicable_is_what_is_left_without_the_unsupported():
    found = counts(parsed(whole()))
    assert (found.passed, found.applicable, found.total) == (1, 2, 3)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({"tanh": "pass"}, "conforms"),
        ({"tanh": "pass", "sin": "unsupported", "cos": "not_exercised"}, "conforms"),
        ({"tanh": "pass", "exp": "error"}, "deviates"),
        ({"tanh": None, "exp": "crash"}, "deviates"),
        ({"tanh": "pass", "exp": None}, "incomplete"),
        ({"tanh": "unsupported"}, "incomplete"),
        ({}, "incomplete"),
    ],
)
def test_without_a_footer_the_outcomes_give_the_verdict(outcomes, expected):
    assert verdict(parsed(s.journal(outcomes))) == expected


def test_a_footer_cannot_hide_a_failure():
    assert verdict(parsed([*s.journal({"tanh": "pass", "exp": "fail"}), s.footer("conforms")])) == "deviates"


def test_a_known_deviation_does_not_deviate_and_is_counted():
    lines = s.journal({"tanh": "pass", "exp": "fail"})
    lines[-1]["known"] = {"reason": "r", "link": ""}
    run = parsed(lines)
    assert verdict(run) == "conforms" and counts(run).known == 1 and counts(run).unexpected == 0


def test_the_sentence_has_the_three_counts():
    assert sentence(parsed(whole())) == (
        "torch 2.13.0 deviates: 1 unexpected failure (1 fail) in 1 subject; 1 passed / 2 applicable / 3 total."
    )


def test_reading_and_reporting_need_neither_torch_nor_the_suite():
    code = "import sys, reports.html, reports.journal, reports.text; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "reference", "conformance"} & set(names.split())
