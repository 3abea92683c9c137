"""From blocks to figures: what a journal of a bench run says. No torch here."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conformance.bench import limits, statistics
from conformance.bench.parity import item_from
from conformance.bench.timing import COLUMNS
from conformance.bench.workloads import WORKLOADS

FIGURE = "pipelined"  # the column that speedups, the gate and the history use
Key = tuple[str, str]  # item, place


@dataclasses.dataclass(frozen=True)
class Blocks:
    """What was measured: blocks by item and place in order of the processes, and sweeps by place."""

    blocks: Mapping[Key, Sequence[Mapping[str, Any]]]
    sweeps: Mapping[str, Sequence[Mapping[str, Any]]]


def gather(lines: Iterable[Mapping[str, Any]]) -> Blocks:
    """Sort a journal's lines."""
    blocks: dict[Key, list[Mapping[str, Any]]] = defaultdict(list)
    sweeps: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["event"] == "block":
            blocks[line["item"], line["place"]].append(line)
        elif line["event"] == "ceilings":
            sweeps[line["place"]].append(line)
    return Blocks(blocks, sweeps)


def figure(block: Mapping[str, Any]) -> float:
    """The minimum of a block in seconds."""
    return float(block["columns"][FIGURE]["min"])


def results(found: Blocks) -> list[dict[str, Any]]:
    """One record for each item and place: seconds by column, the share of the limit, and what is wrong.

    Wrong answers leave no figures: the columns are empty.
    """
    ceilings = {place: limits.gathered(sweeps) for place, sweeps in found.sweeps.items()}
    return [_result(key, found.blocks[key], ceilings.get(key[1])) for key in sorted(found.blocks, key=_order)]


def _order(key: Key) -> tuple[Any, ...]:
    """The order of a table: by workload as they are declared, then by size."""
    item = item_from(key[0])
    return list(WORKLOADS).index(item.workload), item.mode, item.dtype, item.size, key[1]


def _result(key: Key, blocks: Sequence[Mapping[str, Any]], ceilings: limits.Ceilings | None) -> dict[str, Any]:
    id, place = key
    wrong = next((b["wrong"] for b in blocks if b["wrong"]), "")
    record: dict[str, Any] = {
        "item": id, "place": place, "wrong": wrong, "processes": len(blocks), "columns": {}, "spread": None,
        "share": None, "by": None, "impossible": "", "flops": blocks[0]["flops"], "bytes": blocks[0]["bytes"],
        "memory": max((b["memory"] for b in blocks if b["memory"] is not None), default=None),
        "unstable": sum(not b["warm"]["stable"] for b in blocks),
    }  # fmt: skip
    if wrong:
        return record
    best = {
        name: min((b["columns"][name]["min"] for b in blocks if b["columns"].get(name)), default=None)
        for name in COLUMNS
    }
    minima = [figure(b) for b in blocks]
    record.update(columns=best, spread=max(minima) / min(minima) - 1)
    if ceilings is None:
        return record
    shares = {
        name: limits.share(seconds, record["flops"], record["bytes"], item_from(id).dtype, ceilings)
        for name, seconds in best.items()
        if seconds is not None
    }
    usual = shares.get(FIGURE)
    if usual is not None:
        record.update(share=usual.share, by=usual.by)
    beyond = {name: s for name, s in shares.items() if s is not None and s.impossible}
    if beyond:
        name, worst = max(beyond.items(), key=lambda pair: pair[1].share)
        record["impossible"] = (
            f"{name} reaches {worst.share:.0%} of the measured {worst.by} ceiling: an error of measurement, "
            "such as a missing synchronisation"
        )
    return record


def speedups(found: Blocks, places: Sequence[str]) -> list[dict[str, Any]]:
    """How much faster a place is than each place of the CPU before it, from log-ratios of processes of one round."""
    rows = []
    for id, place in sorted(found.blocks, key=_order):
        for base in places[: places.index(place)]:
            if base.startswith("cpu"):
                row = _speedup(found, id, base, place)
                rows += [] if row is None else [row]
    return rows


def _speedup(found: Blocks, id: str, base: str, place: str) -> dict[str, Any] | None:
    blocks, against = found.blocks[id, place], found.blocks.get((id, base), ())
    ratios = [math.log(figure(a) / figure(b)) for a in against for b in blocks if a["round"] == b["round"]]
    if not ratios or any(b["wrong"] for b in (*blocks, *against)):
        return None
    ratio, low, high = statistics.speedup(ratios)
    high_or_none = None if math.isinf(high) else high
    return {"item": id, "place": place, "against": base, "ratio": ratio, "low": low, "high": high_or_none,
            "pairs": len(ratios)}  # fmt: skip


def crossovers(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Between which sizes each place begins to win, for every workload of two sizes or more."""
    groups: dict[tuple[str, ...], dict[int, tuple[float, float, float]]] = defaultdict(dict)
    for row in rows:
        item = item_from(row["item"])
        high = math.inf if row["high"] is None else row["high"]
        groups[item.workload, item.mode, item.dtype, row["place"], row["against"]][item.size] = (
            row["ratio"], row["low"], high,
        )  # fmt: skip
    found = []
    for (workload, mode, dtype, place, against), by_size in groups.items():
        if len(by_size) > 1:
            sizes = sorted(by_size)
            below, above = statistics.crossover(sizes, [by_size[n] for n in sizes])
            found.append({"workload": workload, "mode": mode, "dtype": dtype, "place": place, "against": against,
                          "sizes": sizes, "slower_up_to": below, "faster_from": above})  # fmt: skip
    return found
