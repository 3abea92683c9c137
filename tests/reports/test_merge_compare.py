"""Shards are proved before they are merged, and nothing cancels out between two runs."""

import pytest

from reports.journal import JournalError, compare, counts, merge, parse, verdict
from tests.reports import synthetic as s

CELLS = [s.cell(subject) for subject in ("tanh", "exp", "sin", "cos", "tan", "log")]


def shard(i, n=2, cells=None, end=True, finished=True, **more):
    mine = CELLS[i - 1 :: n] if cells is None else cells
    first = s.header(CELLS, shard=[i, n], selected=len(mine), **more)
    lines = [first, s.announce(mine), *(s.finish(item) for item in mine if finished)]
    return parse(s.encode([*lines, s.footer(seconds=30.0)] if end else lines), f"shard-{i}")


def merged(*runs):
    return parse("\n".join(merge(runs)).encode() + b"\n")


def test_shards_become_one_run():
    run = merged(shard(2), shard(1))
    assert set(run.cells) == {item["id"] for item in CELLS}
    assert run.header.shard is None and run.header.selected == 6
    assert run.footer.complete and verdict(run) == "conforms" and run.seconds == 60.0
    assert run.footer.profile["torch"] == 60.0


def test_a_merge_keeps_all_that_a_journal_says_about_a_cell():
    lines = [
        s.header(CELLS[:1], shard=[1, 1]),
        s.announce(CELLS[:1]),
        s.finish(CELLS[0], "fail", ratio="inf"),
    ]
    run = parse(s.encode(lines))
    again = merged(run)
    assert again.cells == run.cells and again.environment == run.environment


@pytest.mark.parametrize(
    ("runs", "complaint"),
    [
        (list, "nothing to merge"),
        (lambda: [shard(1)], "Missing shard: 2/2"),
        (lambda: [shard(1, 4), shard(3, 4)], "Missing shards: 2/4, 4/4"),
        (lambda: [shard(1), shard(1)], "Shard 1/2 is there twice: shard-1 and shard-1"),
        (lambda: [shard(1), shard(2, 3)], "shard-1 is one of 2, shard-2 of 3"),
        (lambda: [shard(1), shard(2, seed=8)], "shard-1 has seed 7, shard-2 has 8"),
        (lambda: [shard(1), shard(2, level=3)], "has level 2, shard-2 has 3"),
        (lambda: [shard(1), shard(2, manifest="0")], "has manifest"),
        (
            lambda: [shard(1), shard(2, environment={"torch": {"version": "2.14.0"}})],
            "has torch version 2.13.0, shard-2 has 2.14.0",
        ),
        (lambda: [shard(1), shard(2, cells=CELLS[1::2] + CELLS[:1])], "more than one shard: tanh::value"),
        (lambda: [shard(1), shard(2, cells=CELLS[1:2])], "the run has 6 cells and its shards hold 4"),
        (lambda: [shard(1), shard(2, cells=[*CELLS[1:4:2], s.cell("abs")])], "not those of the manifest"),
        (lambda: [parse(s.encode(s.journal({"tanh": "pass"})))], "is not a shard"),
    ],
)
def test_what_is_missing_or_doubled_is_named(runs, complaint):
    with pytest.raises(JournalError, match=complaint):
        merge(runs())


def test_a_shard_that_never_named_all_its_cells_is_not_merged():
    lines = [s.header(CELLS, shard=[1, 1]), s.announce(CELLS[:2])]
    with pytest.raises(JournalError, match="promises 6 cells and it names 2"):
        merge([parse(s.encode(lines))])


def test_an_interrupted_shard_leaves_the_merged_run_incomplete():
    run = merged(shard(1), shard(2, end=False, finished=False))
    assert verdict(run) == "incomplete" and run.footer.interrupted and not run.footer.complete


def test_an_entry_is_stale_that_a_shard_has_judged():
    def ended(i, *patterns):
        entries = [{"pattern": p, "reason": "r", "link": "", "why": "gone"} for p in patterns]
        mine = CELLS[i - 1 :: 2]
        lines = [s.header(CELLS, shard=[i, 2], selected=3), s.announce(mine), *map(s.finish, mine)]
        return parse(s.encode([*lines, s.footer("stale", stale=entries)]))

    run = merged(ended(1, "a", "b"), ended(2, "b"))
    assert [entry.pattern for entry in run.footer.stale] == ["a", "b"] and verdict(run) == "stale"
    assert verdict(merged(ended(1), ended(2))) != "stale"


def test_shards_of_a_selection_need_no_more_than_it():
    one = shard(1, cells=CELLS[:1], select=["tanh", "exp"])
    two = shard(2, cells=CELLS[1:2], select=["tanh", "exp"])
    assert counts(merged(one, two)).total == 6


def test_another_machine_is_noted():
    run = merged(shard(1), shard(2, environment={**s.ENVIRONMENT, "cpu": "Xeon"}))
    assert "another machine" in run.notes[0]


def run_of(outcomes, **more):
    return parse(s.encode(s.journal(outcomes, **more)))


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ("pass", "fail", "worse"),
        ("fail", "crash", "worse"),
        ("fail", "timeout", "worse"),
        ("pass", "unsupported", "worse"),
        ("pass", None, "worse"),
        ("crash", "fail", "better"),
        ("blocked", "pass", "better"),
        ("error", "fail", "changed"),
        ("fail", "unsupported", "changed"),
        ("fail", None, "changed"),
        ("blocked", "not_exercised", "changed"),
    ],
)
def test_each_cell_is_judged_by_itself(before, after, direction):
    found = compare(run_of({"tanh": before}), run_of({"tanh": after}))
    assert len(getattr(found, direction)) == 1
    assert sum(len(changes) for changes in (found.worse, found.better, found.changed)) == 1


def test_equal_runs_have_no_changes():
    run = run_of({"tanh": "pass", "exp": "fail"})
    found = compare(run, run)
    assert not (found.worse or found.better or found.changed or found.added or found.removed or found.regressions)


def test_a_fix_does_not_make_up_for_a_break():
    found = compare(run_of({"tanh": "pass", "exp": "fail"}), run_of({"tanh": "fail", "exp": "pass"}))
    assert len(found.worse) == len(found.better) == 1
    assert found.regressions == ("1 cell got worse.",)


def test_a_shrinking_total_is_a_regression():
    found = compare(run_of({"tanh": "pass", "exp": "pass"}), run_of({"tanh": "pass"}))
    assert [change.id for change in found.removed] == ["exp::value::cpu::float32"]
    assert "The total shrank from 2 to 1." in found.regressions


def test_a_swapped_cell_is_a_regression_although_the_total_stays():
    found = compare(run_of({"tanh": "pass", "exp": "pass"}), run_of({"tanh": "pass", "sin": "pass"}))
    assert len(found.added) == len(found.removed) == 1
    assert found.regressions == ("1 cell of the earlier run is gone.",)


def test_a_selection_of_the_same_suite_is_not_a_regression():
    full = run_of({"tanh": "pass", "exp": "pass"})
    part = run_of({"tanh": "pass"}, total=2, manifest=full.header.manifest)
    assert compare(full, part).regressions == ()


def test_a_failure_out_of_sight_is_a_regression():
    found = compare(run_of({"tanh": "fail"}), run_of({"tanh": "unsupported"}))
    assert found.regressions == ("1 failure of the earlier run can no longer be seen.",)


def test_a_new_cell_that_fails_is_a_regression():
    found = compare(run_of({"tanh": "pass"}), run_of({"tanh": "pass", "exp": "crash"}))
    assert found.regressions == ("1 new cell failed.",)


def test_a_failure_that_is_no_longer_known_is_worse():
    known, unknown = s.journal({"tanh": "fail"}), s.journal({"tanh": "fail"})
    known[-1]["known"] = {"reason": "r", "link": ""}
    found = compare(parse(s.encode(known)), parse(s.encode(unknown)))
    assert str(found.worse[0]) == "tanh::value::cpu::float32: known fail -> fail"
