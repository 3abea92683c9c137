"""The report: one HTML file that asks nothing of a network and stays quick at 50,000 cells."""

from __future__ import annotations

import base64
import hashlib
import shlex
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from reports import show, verdict, view
from reports.pack import pack
from reports.records import FAILING, NOT_RUN, Run

TEMPLATES = Path(__file__).parent / "templates"


def write_report(run: Run, path: str | Path) -> None:
    """Write the report of a run to ``path``."""
    Path(path).write_text(render(run), encoding="utf-8")


def render(run: Run) -> str:
    """The report of a run as one HTML document."""
    template = environment().get_template("report.html")
    return template.render(_view(run))


def environment() -> jinja2.Environment:
    """Templates by name, with text escaped and made harmless."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: show.shown(value) if type(value) is str else value,
    )
    filters: dict[str, Any] = {
        "clip": show.clip,
        "link": show.link,
        "moment": show.moment,
        "duration": show.duration,
        "number": show.number,
        "size": show.size,
        "words": lambda text: text.replace("_", " "),
        "plural": verdict.plural,
        "quote": shlex.quote,
    }
    made.filters.update(filters)
    return made


def file(name: str) -> str:
    """A template or a style sheet."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _view(run: Run) -> dict[str, Any]:
    subjects, beyond = view.unexpected(run)
    told = [cell for subject in subjects for cell in subject.told]
    anchors = {cell.id: f"failure-{number}" for number, cell in enumerate(told)}
    script = file("report.js")
    slow_subjects, slow_cells = view.slowest(run)
    found = verdict.counts(run)
    return {
        "run": run,
        "environment": run.environment,
        "verdict": verdict.verdict(run),
        "headline": _VERDICTS[verdict.verdict(run)],
        "sentence": verdict.sentence(run),
        "counts": found,
        "percent": verdict.percent(found.passed, found.applicable),
        "advice": verdict.advice(run),
        "bar": _bar(run),
        "subjects": subjects,
        "beyond": beyond,
        "anchors": anchors,
        "known": view.known(run),
        "gaps": view.gaps(run),
        "waivers": view.waivers(run),
        "elsewhere": view.elsewhere(run),
        "families": view.families(run),
        "targets": view.targets(run),
        "stages": view.stages(run),
        "slow_subjects": slow_subjects,
        "slow_cells": slow_cells,
        "style": Markup(file("report.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "data": Markup(pack(run, anchors)),
        "percentage": verdict.percent,
        "failing": FAILING,
    }


_VERDICTS = {
    "conforms": "Conforms",
    "deviates": "Deviates",
    "incomplete": "Incomplete",
    "stale": "Conforms; the known file is out of date",
}


def _bar(run: Run) -> list[tuple[str, str, int, float, float]]:
    """The parts of the bar over the counts: class, name, cells, offset and width of 100."""
    found = verdict.counts(run)
    silent = {name: found.by.get(name, 0) for name in ("blocked", "not_exercised", NOT_RUN, "unsupported")}
    parts = [
        ("fail", "unexpected", found.unexpected),
        ("known", "known", found.known),
        ("pass", "passed", found.passed - found.waived),
        ("waiver", "passed under a waiver", found.waived),
        *((name, name.replace("_", " "), number) for name, number in silent.items()),
    ]
    parts = [part for part in parts if part[2]]
    # a part of one cell in 50,000 can still be seen
    widths = [max(0.6, 100 * part[2] / found.selected) for part in parts]
    scale = 100 / sum(widths) if widths else 1.0
    offsets = [scale * sum(widths[:place]) for place in range(len(widths))]
    return [(*part, offset, scale * width) for part, offset, width in zip(parts, offsets, widths)]
