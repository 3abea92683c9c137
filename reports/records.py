"""What a journal says, as records: schema version 1 of `docs/journal.md`, field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

SCHEMA = 1
NOT_RUN = "not_run"  # how a cell without an outcome is counted and shown

# from mild to grave; equal numbers are equally grave
SEVERITY: Mapping[str, int] = {
    "pass": 0,
    "unsupported": 1,
    "not_exercised": 1,
    "blocked": 1,
    NOT_RUN: 1,
    "error": 2,
    "fail": 2,
    "timeout": 3,
    "crash": 4,
}
OUTCOMES = tuple(outcome for outcome in SEVERITY if outcome != NOT_RUN)
FAILING = tuple(outcome for outcome, severity in SEVERITY.items() if severity >= 2)
VERDICTS = ("conforms", "deviates", "incomplete", "stale")
SHOWED_NOTHING = tuple(outcome for outcome, severity in SEVERITY.items() if severity == 1)


class JournalError(Exception):
    """A journal cannot be read, merged or compared; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Torch:
    """The torch that was the subject. ``config`` is torch.__config__.show()."""

    version: str
    git: str
    cuda: str
    hip: str
    debug: str
    path: str
    config: str


@dataclasses.dataclass(frozen=True)
class Device:
    """One device of the machine. ``memory`` is in bytes, None where it is not known."""

    device: str
    name: str
    memory: int | None
    capability: str
    driver: str
    dtypes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Environment:
    """The machine and its software; what the writer did not know is empty."""

    torch: Torch
    python: str
    numpy: str
    scipy: str
    platform: str
    cpu: str
    cores: str
    threads: str
    setup: tuple[str, ...]
    devices: tuple[Device, ...]
    modes: tuple[str, ...]
    packages: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Header:
    """What the run set out to do. ``shard`` is (i, n) with i from 1 to n; ``time`` is its first second."""

    time: float
    run: str
    command: tuple[str, ...]
    level: int
    seed: int | None
    shard: tuple[int, int] | None
    select: tuple[str, ...]
    known: str | None
    environment: Environment
    total: int
    manifest: str
    selected: int


@dataclasses.dataclass(frozen=True)
class Worst:
    """The worst element; numbers are strings, so that nan, inf and complex survive."""

    what: str
    index: str
    got: str
    want: str
    error: str
    allowed: str
    count: int | None
    size: int | None


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a cell failed, and how to see it again."""

    message: str
    case: str
    worst: Worst | None
    script: str
    confirmed: bool | None
    shrunk: bool
    traceback: str


@dataclasses.dataclass(frozen=True)
class Known:
    """The entry of the known file that explains a deviation."""

    reason: str
    link: str


@dataclasses.dataclass(frozen=True)
class Result:
    """How a cell ended: ``ratio`` is the worst error/allowed, ``ulp`` the largest error in last places."""

    time: float
    outcome: str
    examples: int
    elements: int
    device: str | None
    ratio: float | None
    ulp: float | None
    seconds: float
    seed: int | str | None
    detail: str
    waiver: str | None
    known: Known | None
    failure: Failure | None
    farthest: str = ""


def together(first: Result, second: Result) -> Result:
    """What two finishes of one cell say: two passes on different seeds (a soak) add up, else the last one counts."""
    if not first.outcome == second.outcome == "pass" or first.seed == second.seed:
        return second
    farther = first if (first.ulp or 0.0) > (second.ulp or 0.0) else second
    return dataclasses.replace(
        second,
        farthest=farther.farthest,
        examples=first.examples + second.examples,
        elements=first.elements + second.elements,
        seconds=first.seconds + second.seconds,
        ratio=_larger(first.ratio, second.ratio),
        ulp=_larger(first.ulp, second.ulp),
        waiver=first.waiver or second.waiver,
        seed=first.seed,
    )


def _larger(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell that the run should bring. ``started`` without a ``result``: the run ended in it."""

    id: str
    kind: str
    family: str
    subject: str
    check: str
    device: str
    mode: str
    dtype: str
    level: int
    started: bool = False
    result: Result | None = None

    @property
    def outcome(self) -> str | None:
        """The last outcome, or None where the cell did not run."""
        return self.result.outcome if self.result else None

    @property
    def status(self) -> str:
        """The outcome, or ``not_run``."""
        return self.outcome or NOT_RUN

    @property
    def failing(self) -> bool:
        """Whether it failed in any way, known or not."""
        return self.status in FAILING

    @property
    def known(self) -> Known | None:
        """The known deviation that explains this cell."""
        return self.result.known if self.result else None

    @property
    def failure(self) -> Failure | None:
        """What is recorded about the failure."""
        return self.result.failure if self.result else None


@dataclasses.dataclass(frozen=True)
class Stale:
    """An entry of the known file that matched nothing or whose deviation has gone."""

    pattern: str
    reason: str
    link: str
    why: str


@dataclasses.dataclass(frozen=True)
class Footer:
    """How the run ended. ``profile`` is seconds by stage."""

    complete: bool
    interrupted: bool
    counts: Mapping[str, int]
    seconds: float
    verdict: str
    exit: int
    stale: tuple[Stale, ...]
    profile: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
    """A whole journal, its ``cells`` in the order of their announcement. No footer: it was interrupted."""

    path: str
    header: Header
    cells: Mapping[str, Cell]
    notes: tuple[str, ...]
    footer: Footer | None
    last: float  # the time of the last line

    @property
    def environment(self) -> Environment:
        """The environment in which the run began."""
        return self.header.environment

    @property
    def seconds(self) -> float:
        """How long the run took, from its journal's own clock where it has no footer."""
        return self.footer.seconds if self.footer else max(0.0, self.last - self.header.time)
