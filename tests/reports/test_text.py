"""The terminal gets the same run in forty lines."""

from reports.journal import compare, parse
from reports.text import LINES, comparison, summary
from tests.reports import synthetic as s


def run_of(outcomes, **more):
    return parse(s.encode(s.journal(outcomes, **more)))


def test_each_failing_subject_has_one_line():
    text = summary(run_of({"tanh": "pass", "exp": "fail", "sin": "crash"}), width=200)
    failing = [line for line in text.splitlines() if line.startswith(("  exp", "  sin"))]
    assert failing == [
        "  sin: 1 crash; value::cpu::float32: output differs",
        "  exp: 1 fail; value::cpu::float32, error/allowed 512: output differs",
    ]


def test_the_verdict_comes_first_and_a_command_to_paste_is_never_cut():
    lines = summary(run_of({"nn.functional." + "x" * 90: "fail"}), width=60).splitlines()
    assert lines[0].startswith("torch 2.13.0 deviates: 1 unexpected failure")
    assert any(line.endswith("x::value::cpu::float32.") for line in lines)
    assert all(len(line) <= 60 for line in lines[1 : lines.index("Next:")])


def test_a_large_run_fits_in_forty_lines():
    text = summary(parse(s.encode(s.large(5_000))))
    assert len(text.splitlines()) <= LINES
    for title in ("Failing:", "Known deviations:", "Showed nothing:", "Next:"):
        assert title in text


def test_a_run_in_which_all_fails_fits_in_forty_lines():
    text = summary(run_of({f"op_{n}": "crash" for n in range(300)}))
    assert len(text.splitlines()) <= LINES and "more" in text


def test_what_did_not_run_is_said_with_its_reason():
    text = summary(run_of({"tanh": "pass", "exp": None}, selected=5))
    assert "  1 not run: the run ended before it" in text
    assert "  not run: 3 more were selected and never announced" in text
    assert "go on with --resume" in text


def test_a_conforming_run_has_nothing_to_do():
    assert "Nothing. Keep the journal" in summary(run_of({"tanh": "pass"}))


def test_foreign_text_cannot_command_the_terminal():
    lines = s.journal({"tanh": "error"})
    lines[-1]["failure"]["message"] = "\x1b[2J\x07gone\u202egnp.exe"
    text = summary(parse(s.encode(lines)))
    assert "\\x1b[2J\\x07gone\\x202egnp.exe" in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_comparison_names_the_cells_that_changed():
    text = comparison(compare(run_of({"tanh": "pass", "exp": "fail"}), run_of({"tanh": "crash", "exp": "pass"})))
    assert text.splitlines()[0] == "Regression: 1 cell got worse."
    assert "Worse (1):\n  tanh::value::cpu::float32: pass -> crash" in text
    assert "Better (1):\n  exp::value::cpu::float32: fail -> pass" in text


def test_a_comparison_without_a_change_says_so():
    run = run_of({"tanh": "pass"})
    assert comparison(compare(run, run)).startswith("No regression.")
