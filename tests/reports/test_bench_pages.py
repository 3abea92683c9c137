"""The pages of a bench run, a comparison and a history: what they say, and that they are pages for everybody."""

from __future__ import annotations

import json
import re

import pytest

from reports import bench, plots
from tests.reports.synthetic import ENVIRONMENT, TIME
from tests.reports.test_browser import CHROMIUM, UNNAMED, WEAK, sync_api

PRINT = {"device": "cpu", "driver": "none", "torch": "2.13.0", "threads": 1, "settings": {"a": 1}}
SIZES = (16, 256, 4096)


def row(size, place, **changed):
    columns = {"latency": 2e-6 * size, "pipelined": 1e-6 * size, "cold": 3e-6, "device": None, "transfer": None}
    return {"item": f"mm[{size}]::forward::float32", "place": place, "wrong": "", "processes": 5, "columns": columns,
            "spread": 0.01, "share": 0.5, "by": "compute", "impossible": "", "flops": 2 * size**3,
            "bytes": 12 * size**2, "memory": None, "unstable": 0} | changed  # fmt: skip


def journal(*extra, rows=None):
    rows = rows or [row(n, place) for n in SIZES for place in ("cpu/1", "cpu/2")]
    speedups = [{"item": f"mm[{n}]::forward::float32", "place": "cpu/2", "against": "cpu/1", "ratio": n / 256,
                 "low": n / 300, "high": None if n == 16 else n / 200, "pairs": 5} for n in SIZES]  # fmt: skip
    crossing = {"workload": "mm", "mode": "forward", "dtype": "float32", "place": "cpu/2", "against": "cpu/1",
                "sizes": SIZES, "slower_up_to": 16, "faster_from": None}  # fmt: skip
    sweep = {"products": {"float32": {"256": 9e10}}, "streams": {"copy": {"65536": 4e10, "1048576": 1e10}}}
    return [
        {"event": "header", "time": TIME, "environment": ENVIRONMENT, "absent": ["No accelerator was measured."],
         "places": ["cpu/1", "cpu/2"], "processes": 5},
        *({"event": "process", "place": p, "settings": {"threads": 1}, "fingerprint": PRINT, "state": {"load": 1.5}}
          for p in ("cpu/1", "cpu/2")),
        *({"event": "ceilings", "place": p, "round": 0, **sweep} for p in ("cpu/1", "cpu/2")),
        *extra,
        {"event": "figures", "results": rows, "speedups": speedups, "crossovers": [crossing]},
        {"event": "footer", "code": 0},
    ]  # fmt: skip


HOSTILE = "<img src=x onerror=alert(1)>\u202e"
WRONG = [row(16, "cpu/1", wrong=HOSTILE, columns={}, spread=None, share=None, by=None),
         row(256, "cpu/1", impossible="latency reaches 444% of the measured compute ceiling")]  # fmt: skip
UNMEASURED = {"event": "unmeasured", "item": "mm[16]::forward::tf32", "place": "cpu/1", "reason": "TF32 is for CUDA"}
DIED = {"event": "died", "place": "cpu/2", "round": 1, "reason": "a process ended with signal 11"}


def verdict(name, level, **changed):
    found = {"name": name, "ratio": level, "interval": [0.99 * level, 1.01 * level], "smallest": 0.02, "p": 0.001,
             "confirmed": None, "pairs": 8, "reason": "because"} | changed  # fmt: skip
    pairs = [[1e-3, 1e-3 * level]] * 8
    return {"event": "verdict", "item": "mm[256]::forward::float32", "place": "cpu/1", "verdict": found,
            "pairs": pairs, "wrong": "", "base_wrong": ""}  # fmt: skip


NOTHING = {"ratio": None, "interval": [None, None], "smallest": None}
VERDICTS = [verdict("SAME", 1.0), verdict("SLOWER", 1.1), verdict("UNDECIDED", 1.0, **NOTHING)]
HISTORY = {
    "runs": {i: {"name": f"run {i}", "time": TIME + i, "commit": f"{i:040x}", "source": "x"} for i in range(1, 31)},
    "fingerprints": {"cpu/1:abc": PRINT},
    "series": [
        {"benchmark": "mm at cpu/1", "key": "cpu/1:abc", "points": [(i, 1e-3 * (1.05 if i > 20 else 1.0))
                                                                    for i in range(1, 31)],
         "alarms": [{"start": 21, "raised": 25, "before": 1e-3, "after": 1.05e-3}]},
        {"benchmark": "one point", "key": "cpu/1:abc", "points": [(1, 2.0)], "alarms": []},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    bench.write_page(journal(UNMEASURED), folder / "right.html")
    bench.write_page(journal(DIED, rows=WRONG), folder / "wrong.html")
    lines = [{"event": "header", "time": TIME, "base": "a", "head": "b", "pairs": 8}, *VERDICTS,
             {"event": "footer", "code": 1}]  # fmt: skip
    (folder / "compare.jsonl").write_text("\n".join(map(json.dumps, lines)))
    bench.write_comparison(folder / "compare.jsonl", folder / "compare.html")
    bench.write_history(HISTORY, folder / "history.html")
    return {path.stem: path for path in folder.glob("*.html")}


def test_a_run_says_what_it_measured_and_what_not(pages):
    page = pages["right"].read_text()
    for text in ("Measured, and right", "No accelerator was measured.", "TF32 is for CUDA", "Roofline of cpu/1",
                 "how many times as fast", "Surely slower up to size", "90 Gflop/s", "none measured"):  # fmt: skip
        assert text in page, text


def test_wrong_and_impossible_results_come_first(pages):
    page = pages["wrong"].read_text()
    assert "1 wrong, 1 impossible, 1 died" in page and "signal 11" in page
    assert page.index("reaches 444%") < page.index("Figures")
    assert "<img" not in page and "\u202e" not in page


def test_the_gravest_verdict_is_the_headline(pages):
    page = pages["compare"].read_text()
    assert re.search(r"<h1>SLOWER</h1>", page)
    assert page.index('fail">SLOWER') < page.index('known">UNDECIDED') < page.index('pass">SAME')


def test_a_history_names_the_commit_of_a_step(pages):
    page = pages["history"].read_text()
    assert "1 alarm" in page and f"{21:040x}"[:12] in page and "+5.0%" in page


def test_the_summary_says_the_same_in_text():
    text = bench.summary(journal(UNMEASURED, DIED, rows=WRONG))
    for part in ("WRONG", "ERROR OF MEASUREMENT", "TF32 is for CUDA (1)", "No accelerator", "signal 11", "inf]"):
        assert part in text


@pytest.mark.parametrize("points", [[], [(1.0, 1.0)], [(1.0, 1.0), (1.0, 1.0)], [(1e-9, 1e12), (1e9, 1e-12)]])
@pytest.mark.parametrize("log", [True, False])
def test_any_points_can_be_plotted(points, log):
    axis = plots.Axis("a", log=log)
    image = str(plots.plot("title", [plots.Series("s", points)], axis, axis))
    assert image.count("<circle") == len(points) and "nan" not in image and "inf" not in image


@pytest.mark.parametrize(
    ("value", "text"), [(None, "\N{EN DASH}"), (2.0, "2 s"), (0.0123, "12.3 ms"), (4.56e-6, "4.56 µs"), (7e-9, "7 ns")]
)
def test_times_are_in_the_unit_that_fits(value, text):
    assert bench.seconds(value) == text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_silent_fits_and_can_be_read(pages, scheme):
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        for path in pages.values():
            page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
            complaints = []
            page.on("console", lambda message, to=complaints: to.append(message.text))
            page.on("request", lambda request, to=complaints: request.url.startswith("file:") or to.append(request.url))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
            assert page.evaluate(UNNAMED) == [] and page.evaluate(WEAK) == []
            assert complaints == []
        browser.close()
