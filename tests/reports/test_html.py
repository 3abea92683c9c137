"""The report says all that a run found, in one file, whatever the run put into its texts."""

import html
import json
import re
import time

import pytest

from reports.html import render, write_report
from reports.journal import parse
from tests.reports import synthetic as s

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&<!--{{ 7 * 7 }}\x1b[2J\ud800"


def run_of(outcomes, **more):
    return parse(s.encode(s.journal(outcomes, **more)))


def data_of(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    return json.loads(text)


def hostile():
    name = HOSTILE.removesuffix("\ud800")
    item = s.cell(name, name, family=HOSTILE)
    texts = dict.fromkeys(("message", "case", "script", "traceback"), HOSTILE)
    worst = dict.fromkeys(("what", "index", "got", "want", "error", "allowed"), HOSTILE)
    bad = s.failure(**texts, worst=worst)
    other = s.cell("known")
    return [
        s.header([item, other], command=[HOSTILE], select=[HOSTILE]),
        s.announce([item, other]),
        s.finish(item, "fail", detail=HOSTILE, failure=bad),
        s.finish(other, "fail", known={"reason": HOSTILE, "link": "javascript:alert(3)"}),
        {"event": "note", "time": s.TIME, "text": HOSTILE},
        s.footer("deviates", stale=[dict.fromkeys(("pattern", "reason", "link", "why"), HOSTILE)]),
    ]


def test_hostile_text_stays_text():
    page = render(parse(s.encode(hostile())))
    assert page.count("<script") == 2 and page.count("</script") == 2
    assert "<img" not in page and "javascript:" not in re.findall(r'href="([^"]*)"', page)
    assert "{{ 7 * 7 }}" in page
    assert data_of(page)["families"][0] == HOSTILE
    page.encode("utf-8")


def test_only_web_addresses_become_links():
    lines = s.journal({"tanh": "fail", "exp": "fail"})
    lines[-1]["known"] = {"reason": "r", "link": "https://github.com/pytorch/pytorch/issues/1"}
    lines[-2]["known"] = {"reason": "q", "link": "javascript:alert(1)"}
    links = re.findall(r'<a href="([^#][^"]*)"', render(parse(s.encode(lines))))
    assert links == ["https://github.com/pytorch/pytorch/issues/1"]


def test_the_page_asks_nothing_of_a_network():
    page = render(run_of({"tanh": "fail"}))
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["'](?!#)|@import|url\(""", page)


def test_a_failure_is_told_in_full():
    page = html.unescape(render(run_of({"tanh": "fail"})))
    for text in (s.SCRIPT, "tanh(array([1.0, 2.0]))", "confirmed in a fresh process", "0.7616", "2e-7"):
        assert text in page
    assert "1 of 2 are out of bounds" in page and "torch-conformance repro tanh::value::cpu::float32" in page


@pytest.mark.parametrize(
    ("confirmed", "said"),
    [(None, "not tried"), (False, "did not show the deviation"), (True, "confirmed in")],
)
def test_it_is_said_whether_the_script_was_confirmed(confirmed, said):
    lines = s.journal({"tanh": "fail"})
    lines[-1]["failure"]["confirmed"] = confirmed
    assert said in render(parse(s.encode(lines)))


def test_all_that_showed_nothing_has_a_reason_and_a_count():
    lines = s.journal({"a": "blocked", "b": "blocked", "c": "not_exercised", "d": None, "e": "pass"})
    for line in lines[2:4]:
        line["detail"] = "copy failed"
    page = re.sub(r"\s*<[^>]+>\s*", "|", render(parse(s.encode(lines))))
    assert re.search(r"blocked\|+copy failed\|+2\|", page)
    assert re.search(r"not exercised\|+no reason given\|+1\|", page)
    assert re.search(r"not run\|+the run ended before it\|+1\|", page)


def test_waivers_and_stale_entries_are_listed():
    lines = s.journal({"tanh": "pass"})
    lines[-1]["waiver"] = "ill-conditioned"
    stale = {"pattern": "old::*", "reason": "r", "link": "", "why": "matched nothing"}
    page = render(parse(s.encode([*lines, s.footer("stale", stale=[stale])])))
    assert "ill-conditioned" in page and "old::*" in page and "matched nothing" in page
    assert "1 passed (1 of them under a waiver)" in page


def test_outputs_on_another_device_are_named():
    lines = [s.header([s.cell(device="xpu:0")]), s.announce([s.cell(device="xpu:0")])]
    page = render(parse(s.encode([*lines, s.finish(s.cell(device="xpu:0"), device="cpu")])))
    assert "1 passing cell were on another device" in page


@pytest.mark.parametrize("outcomes", [{}, {"tanh": None}, {"tanh": "unsupported"}])
def test_a_run_that_shows_nothing_still_has_a_report(outcomes):
    assert "<h1>Incomplete</h1>" in render(run_of(outcomes))


def test_numbers_that_are_not_finite_reach_the_script():
    lines = s.journal({"tanh": "fail", "exp": "fail"})
    lines[-2] |= {"ratio": "inf", "ulp": "nan"}
    columns = data_of(render(parse(s.encode(lines))))["columns"]
    assert columns["ratio"][0] == -1 and columns["ulp"][0] == -2


def test_every_cell_can_be_named_from_the_data():
    odd = {**s.cell("exp"), "id": "something else"}
    cells = [s.cell("tanh"), odd]
    data = data_of(render(parse(s.encode([s.header(cells), s.announce(cells)]))))
    assert data["endings"] == [[True, "cpu::float32"], [False, "something else"]]


def test_fifty_thousand_cells_fit_in_five_megabytes(tmp_path):
    run = parse(s.encode(s.large()))
    began = time.perf_counter()
    write_report(run, tmp_path / "report.html")
    assert time.perf_counter() - began < 20  # about one second on an idle core
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


def test_a_device_on_which_all_fails_still_fits():
    outcomes = {f"op_{n}": "error" for n in range(20_000)}
    lines = s.journal(outcomes)
    for number, line in enumerate(lines[2:]):
        line["failure"]["message"] = f"{number} " + "x" * 20_000
    page = render(parse(s.encode(lines)))
    assert len(page) < 6_000_000
    assert "And 19,700 subjects more" in page
