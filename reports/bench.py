"""Pages of benchmarks: a run, a comparison, a history. From lines and plain values alone, without a script."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reports import html, show
from reports.plots import Axis, Series, plot

Line = Mapping[str, Any]
COLUMNS = ("latency", "pipelined", "cold", "device", "transfer")
VERDICTS = ("WRONG", "SLOWER", "UNDECIDED", "FASTER", "SAME")
TAGS = {"WRONG": "crash", "SLOWER": "fail", "UNDECIDED": "known", "FASTER": "pass", "SAME": "pass"}
MOST_PLOTS = 60


def _page(name: str, values: Mapping[str, Any], path: Path) -> None:
    environment = html.environment()
    environment.filters.update(seconds=seconds, percent=percent, tag=TAGS.__getitem__)
    style = Markup(html.file("report.css") + html.file("bench.css"))
    path.write_text(environment.get_template(name).render(style=style, **values), encoding="utf-8")


def seconds(value: float | None) -> str:
    """A time in the unit that fits."""
    if value is None:
        return "\N{EN DASH}"
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def percent(value: float | None) -> str:
    """A share in percent."""
    return "\N{EN DASH}" if value is None else f"{100 * value:.3g}%"


# a run


def write_page(lines: Sequence[Line], path: Path) -> None:
    """The page of a bench run from the lines of its journal."""
    header, figures, footer = lines[0], _only(lines, "figures"), _only(lines, "footer")
    rows = figures.get("results", [])
    bad = [r for r in rows if r["wrong"] or r["impossible"]]
    _page("bench.html", {
        "header": header, "rows": rows, "bad": bad, "footer": footer, "columns": COLUMNS,
        "died": [x for x in lines if x["event"] == "died"],
        "unmeasured": _reasons(lines), "speedups": _speedups(figures), "crossovers": figures.get("crossovers", []),
        "plots": [*_speedup_plots(figures), *_rooflines(lines, rows)],
        "ceilings": _ceilings(lines), "settings": _settings(lines), "states": _states(lines),
        "headline": _headline(bad, lines),
    }, path)  # fmt: skip


def summary(lines: Sequence[Line]) -> str:
    """What the terminal shows of a run."""
    figures = _only(lines, "figures")
    rows = figures.get("results", [])
    width = max((len(r["item"]) for r in rows), default=10)
    text = [f"{'benchmark':{width}}  {'place':10} {'latency':>9} {'pipelined':>9} {'cold':>9} {'limit':>7}"]
    for r in rows:
        if r["wrong"]:
            text.append(f"{r['item']:{width}}  {r['place']:10} WRONG: {r['wrong']}")
            continue
        times = " ".join(f"{seconds(r['columns'][c]):>9}" for c in COLUMNS[:3])
        text.append(f"{r['item']:{width}}  {r['place']:10} {times} {percent(r['share']):>7} {r['by'] or ''}")
        if r["impossible"]:
            text.append(f"{'':{width}}  ERROR OF MEASUREMENT: {r['impossible']}")
    for s in figures.get("speedups", []):
        text.append(f"{s['item']:{width}}  {s['place']} is {_times(s)} as fast as {s['against']}")
    text += [f"not measured: {reason} ({count})" for reason, count in _reasons(lines)]
    text += [f"died: {x['reason']}" for x in lines if x["event"] == "died"]
    return "\n".join(
        [*text, *lines[0]["absent"], f"\n{_headline([r for r in rows if r['wrong'] or r['impossible']], lines)}"]
    )


def _times(s: Line) -> str:
    high = "inf" if s["high"] is None else f"{s['high']:.3g}"
    return f"{s['ratio']:.3g}x [{s['low']:.3g}, {high}]"


def _headline(bad: Sequence[Line], lines: Sequence[Line]) -> str:
    wrong, impossible = sum(bool(r["wrong"]) for r in bad), sum(bool(r["impossible"]) for r in bad)
    died = sum(x["event"] == "died" for x in lines)
    said = [f"{n} {what}" for n, what in ((wrong, "wrong"), (impossible, "impossible"), (died, "died")) if n]
    return ", ".join(said) if said else "Measured, and right"


def _only(lines: Iterable[Line], event: str) -> Line:
    return next((line for line in lines if line["event"] == event), {})


def _reasons(lines: Iterable[Line]) -> list[tuple[str, int]]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in lines:
        if line["event"] == "unmeasured":
            found[line["reason"]].add((line["item"], line["place"]))
    return [(reason, len(which)) for reason, which in found.items()]


def _speedups(figures: Line) -> list[dict[str, Any]]:
    return [{**s, "times": _times(s)} for s in figures.get("speedups", [])]


def _parts(item: str) -> tuple[str, int, str, str]:
    name, mode, dtype = item.split("::")
    return name.partition("[")[0], int(name.partition("[")[2].rstrip("]")), mode, dtype


def _speedup_plots(figures: Line) -> list[Markup]:
    groups: dict[tuple[str, str, str], dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for s in figures.get("speedups", []):
        workload, _, mode, dtype = _parts(s["item"])
        groups[workload, mode, dtype][f"{s['place']} against {s['against']}"].append(s)
    found = []
    for (workload, mode, dtype), places in groups.items():
        if max(map(len, places.values())) < 2:
            continue
        drawn = []
        for colour, (place, rows) in enumerate(places.items()):
            rows = sorted(rows, key=lambda s: _parts(s["item"])[1])
            points = [(float(_parts(s["item"])[1]), s["ratio"]) for s in rows]
            spans = [(max(s["low"], s["ratio"] / 10), min(s["high"] or math.inf, s["ratio"] * 10)) for s in rows]
            drawn.append(Series(place, points, spans, [_times(s) for s in rows], colour=colour))
        title = f"{workload}, {mode}, {dtype}: how many times as fast"
        found.append(plot(title, drawn, Axis("size"), Axis("speedup", least=(1.0,)), [(1.0, "as fast")]))
    return found[:MOST_PLOTS]


def _rooflines(lines: Sequence[Line], rows: Sequence[Line]) -> list[Markup]:
    """For every place: what was reached against flops for each byte, under the ceilings."""
    found = []
    for place, sweeps in itertools.groupby(_swept(lines), key=lambda x: x["place"]):
        bandwidth, products = _best(list(sweeps))
        points = [(r, r["flops"] / r["bytes"], r["flops"] / r["columns"]["pipelined"])
                  for r in rows if r["place"] == place and r["flops"] and r["bytes"] and not r["wrong"]]  # fmt: skip
        if not points or not bandwidth:
            continue
        low, high = min(p[1] for p in points) / 2, max(p[1] for p in points) * 2
        drawn = []
        for colour, (dtype, rate) in enumerate(products.items()):
            knee = rate / bandwidth
            roof = sorted({low, min(max(knee, low), high), high})
            mine = [p for p in points if _parts(p[0]["item"])[3] == dtype]
            drawn.append(
                Series(f"{dtype} ceiling", [(i, min(rate, i * bandwidth)) for i in roof], dots=False, colour=colour)
            )
            labels = [f"{p[0]['item']}: {percent(p[0]['share'])} of its limit" for p in mine]
            drawn.append(Series(dtype, [p[1:] for p in mine], labels=labels, line=False, colour=colour))
        found.append(plot(f"Roofline of {place}", drawn, Axis("flops for each byte"), Axis("flops a second")))
    return found


def _swept(lines: Iterable[Line]) -> list[Line]:
    return sorted((x for x in lines if x["event"] == "ceilings"), key=lambda x: str(x["place"]))


def _best(sweeps: Sequence[Line]) -> tuple[float, dict[str, float]]:
    """The best bandwidth of any stream, and the best product of each dtype."""
    streams = [rate for s in sweeps for rates in s["streams"].values() for rate in rates.values()]
    products: dict[str, float] = {}
    for s in sweeps:
        for dtype, rates in s["products"].items():
            products[dtype] = max([products.get(dtype, 0.0), *rates.values()])
    return max(streams, default=0.0), products


def _ceilings(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """(place, what, how much)."""
    found = []
    for place, sweeps in itertools.groupby(_swept(lines), key=lambda x: x["place"]):
        known = list(sweeps)
        for dtype, rate in _best(known)[1].items():
            found.append((place, f"matrix product, {dtype}", f"{rate / 1e9:,.4g} Gflop/s"))
        for name in known[0]["streams"]:
            rates: dict[int, float] = defaultdict(float)
            for s in known:
                for size, rate in s["streams"][name].items():
                    rates[int(size)] = max(rates[int(size)], rate)
            small, large = max(rates.values()), rates[max(rates)]
            found.append((place, f"{name}, best size", f"{small / 1e9:,.4g} GB/s"))
            found.append((place, f"{name}, largest size", f"{large / 1e9:,.4g} GB/s"))
    return found


def _settings(lines: Iterable[Line]) -> list[tuple[str, dict[str, Any]]]:
    return list({x["place"]: {**x["fingerprint"], **x["settings"]} for x in lines if x["event"] == "process"}.items())


def _states(lines: Iterable[Line]) -> list[tuple[str, str, str]]:
    """(place, what, from least to most) of what the device told of itself at each block."""
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for line in lines:
        if line["event"] in ("block", "process"):
            for name, value in (line.get("state") or {}).items():
                found[line["place"], name].append(value)
    return [(place, name, _range(values)) for (place, name), values in found.items()]


def _range(values: Sequence[Any]) -> str:
    if all(isinstance(v, (int, float)) for v in values):
        return f"{min(values):g} to {max(values):g}, median {statistics.median(values):g}"
    return ", ".join(sorted({str(v) for v in values}))


# a comparison


def write_comparison(journal: Path, path: Path) -> None:
    """The page of `bench compare` from its journal."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    verdicts = [line for line in lines if line["event"] == "verdict"]
    verdicts.sort(key=lambda v: VERDICTS.index(v["verdict"]["name"]))
    counts = {name: sum(v["verdict"]["name"] == name for v in verdicts) for name in VERDICTS}
    _page("compare.html", {
        "header": lines[0], "verdicts": verdicts, "counts": counts, "code": _only(lines, "footer").get("code"),
        "headline": next((name for name in VERDICTS if counts[name]), "Nothing was compared"),
        "plots": [_pair_plot(v) for v in verdicts[:MOST_PLOTS]],
    }, path)  # fmt: skip


def _pair_plot(v: Line) -> Markup:
    ratios = [(float(i + 1), head / base) for i, (base, head) in enumerate(v["pairs"])]
    title = f"{v['verdict']['name']}: {v['item']} at {v['place']}"
    dots = Series("HEAD / BASE", ratios, labels=[f"pair {i:.0f}: {r:.4f}" for i, r in ratios], line=False)
    axis = Axis("HEAD / BASE", log=False, least=(0.98, 1.02))
    return plot(title, [dots], Axis("pair", log=False), axis, [(0.98, "-2%"), (1.02, "+2%")])


# a history


def write_history(data: Mapping[str, Any], path: Path) -> None:
    """The page of a history: trends, alarms and their commits. See conformance.bench.store.exported."""
    shown = [_trend(s, data["runs"]) for s in data["series"]]
    shown.sort(key=lambda s: -len(s["alarms"]))
    _page("history.html", {
        "series": shown, "runs": data["runs"], "fingerprints": data["fingerprints"],
        "alarms": [(s["benchmark"], a) for s in shown for a in s["alarms"]],
        "beyond": max(0, len(shown) - MOST_PLOTS), "most": MOST_PLOTS,
    }, path)  # fmt: skip


def _trend(series: Line, runs: Mapping[int, Line]) -> dict[str, Any]:
    place = {run: i + 1 for i, (run, _) in enumerate(series["points"])}
    points = [(float(i + 1), value) for i, (_, value) in enumerate(series["points"])]
    labels = [f"{_name(runs[run])}: {seconds(value)}" for run, value in series["points"]]
    drawn = [Series("runs", points, labels=labels, colour=0)]
    alarms = []
    for a in series["alarms"]:
        at = place[a["start"]]
        drawn.append(
            Series(f"alarm at run {place[a['raised']]}", [(at, a["before"]), (at, a["after"])], dots=False, colour=1)
        )
        alarms.append({"change": a["after"] / a["before"] - 1, "before": a["before"], "after": a["after"],
                       "start": _name(runs[a["start"]]), "raised": _name(runs[a["raised"]])})  # fmt: skip
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    image = plot(series["benchmark"], drawn, Axis("run", log=False),
                 Axis("seconds", log=False, least=(0.98 * low, 1.02 * high), unit="s"))  # fmt: skip
    return {"benchmark": series["benchmark"], "key": series["key"], "count": len(points), "last": points[-1][1],
            "alarms": alarms, "plot": image}  # fmt: skip


def _name(run: Line) -> str:
    return f"{(run['commit'] or run['name'])[:12]} of {show.moment(run['time'])}"
