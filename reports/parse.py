"""From the objects of a journal's lines to records; whatever is not of the schema raises JournalError."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from reports.records import (
    OUTCOMES,
    VERDICTS,
    Cell,
    Device,
    Environment,
    Failure,
    Footer,
    Header,
    JournalError,
    Known,
    Result,
    Stale,
    Torch,
    Worst,
)

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Fields:
    """A JSON object whose members are asked for by name and type."""

    where: str
    data: Mapping[str, Any]

    def wrong(self, what: str) -> JournalError:
        return JournalError(f"{self.where}: {what}.")

    def need(self, name: str, kind: type[T]) -> T:
        value = self.find(name, kind)
        if value is None:
            raise self.wrong(f"{name!r} is missing")
        return value

    def find(self, name: str, kind: type[T]) -> T | None:
        value = self.data.get(name)
        if kind is float and type(value) is int and abs(value) < 2**1000:
            value = float(value)
        if value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
            return value
        raise self.wrong(f"{name!r} should be a {kind.__name__} and is {value!r:.40}")

    def real(self, name: str) -> float | None:
        """A number that may not be finite: JSON has no word for those, so they may come as strings."""
        value = self.data.get(name)
        return float(value) if value in ("inf", "-inf", "nan") else self.find(name, float)

    def text(self, name: str) -> str:
        """Whatever it is, as text: empty where it is missing."""
        value = self.data.get(name)
        return "" if value is None else value if isinstance(value, str) else json.dumps(value)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in self.find(name, list) or ())

    def record(self, name: str) -> Fields | None:
        value = self.find(name, dict)
        return None if value is None else Fields(f"{self.where}, {name!r}", value)

    def records(self, name: str) -> Iterable[Fields]:
        for item in self.find(name, list) or ():
            if not isinstance(item, dict):
                raise self.wrong(f"{name!r} should hold objects and holds {item!r:.40}")
            yield Fields(f"{self.where}, {name!r}", item)


def read_header(line: Fields) -> Header:
    """The first line."""
    environment = line.record("environment")
    if environment is None:
        raise line.wrong("'environment' is missing")
    return Header(
        time=line.need("time", float),
        run=line.need("run", str),
        command=line.texts("command"),
        level=line.need("level", int),
        seed=line.find("seed", int),
        shard=_shard(line),
        select=line.texts("select"),
        known=line.find("known", str),
        environment=read_environment(environment),
        total=line.need("total", int),
        manifest=line.need("manifest", str),
        selected=line.need("selected", int),
    )


def _shard(line: Fields) -> tuple[int, int] | None:
    pair = line.find("shard", list)
    if pair is None:
        return None
    if len(pair) != 2 or any(type(item) is not int for item in pair) or not 1 <= pair[0] <= pair[1]:
        raise line.wrong(f"'shard' should be [i, n] with i from 1 to n and is {pair!r:.40}")
    return pair[0], pair[1]


def read_environment(data: Fields) -> Environment:
    """The machine and its software."""
    torch = data.record("torch") or Fields(data.where, {})
    names = ("python", "numpy", "scipy", "platform", "cpu", "cores", "threads")
    return Environment(
        torch=Torch(**{field.name: torch.text(field.name) for field in dataclasses.fields(Torch)}),
        setup=data.texts("setup"),
        devices=tuple(_device(item) for item in data.records("devices")),
        modes=data.texts("modes"),
        packages={name: str(version) for name, version in (data.find("packages", dict) or {}).items()},
        **{name: data.text(name) for name in names},
    )


def _device(item: Fields) -> Device:
    return Device(
        device=item.need("device", str),
        name=item.text("name"),
        memory=item.find("memory", int),
        capability=item.text("capability"),
        driver=item.text("driver"),
        dtypes=item.texts("dtypes"),
    )


def read_cell(item: Fields) -> Cell:
    """One cell of a `cells` line."""
    names = ("kind", "family", "subject", "check", "device", "mode", "dtype")
    texts: dict[str, Any] = {name: item.text(name) for name in names}
    return Cell(id=item.need("id", str), level=item.find("level", int) or 1, **texts)


def read_result(line: Fields) -> Result:
    """A `finish` line."""
    outcome = line.need("outcome", str)
    if outcome not in OUTCOMES:
        raise line.wrong(f"the outcome {outcome!r:.40} is not of this schema")
    known, failure = line.record("known"), line.record("failure")
    seed = line.data.get("seed")
    return Result(
        time=line.find("time", float) or 0.0,
        outcome=outcome,
        examples=line.find("examples", int) or 0,
        elements=line.find("elements", int) or 0,
        device=line.find("device", str),
        ratio=line.real("ratio"),
        ulp=line.real("ulp"),
        seconds=_finite(line.find("seconds", float)),
        seed=seed if isinstance(seed, (int, str)) else None,
        detail=line.text("detail"),
        waiver=line.find("waiver", str),
        known=Known(known.text("reason"), known.text("link")) if known else None,
        failure=_failure(failure) if failure else None,
        farthest=line.text("farthest"),
    )


def _failure(data: Fields) -> Failure:
    worst = data.record("worst")
    return Failure(
        message=data.text("message"),
        case=data.text("case"),
        worst=_worst(worst) if worst else None,
        script=data.text("script"),
        confirmed=data.find("confirmed", bool),
        shrunk=bool(data.find("shrunk", bool)),
        traceback=data.text("traceback"),
    )


def _worst(data: Fields) -> Worst:
    names = ("what", "index", "got", "want", "error", "allowed")
    texts = {name: data.text(name) for name in names}
    return Worst(count=data.find("count", int), size=data.find("size", int), **texts)


def read_footer(line: Fields) -> Footer:
    """The last line."""
    verdict = line.need("verdict", str)
    if verdict not in VERDICTS:
        raise line.wrong(f"the verdict {verdict!r:.40} is not of this schema")
    counts, profile = line.record("counts"), line.record("profile")
    return Footer(
        complete=line.need("complete", bool),
        interrupted=line.need("interrupted", bool),
        counts={name: counts.need(name, int) for name in counts.data} if counts else {},
        seconds=_finite(line.need("seconds", float)),
        verdict=verdict,
        exit=line.need("exit", int),
        stale=tuple(
            Stale(*(item.text(name) for name in ("pattern", "reason", "link", "why"))) for item in line.records("stale")
        ),
        profile={name: _finite(profile.need(name, float)) for name in profile.data} if profile else {},
    )


def _finite(seconds: float | None) -> float:
    return seconds if seconds is not None and math.isfinite(seconds) and seconds > 0 else 0.0
