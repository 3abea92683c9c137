"""`torch-conformance bench compare BASE HEAD`: is HEAD slower, faster, the same, wrong, or can it not be said?

Exit codes: 0 every benchmark is SAME or FASTER, 1 some is SLOWER or WRONG, 2 none is, but some is UNDECIDED.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from conformance.bench import fingerprint, results, statistics
from conformance.bench.parity import Item
from conformance.bench.session import Interpreter, Session, WorkerError
from conformance.bench.sources import Source, Stored
from conformance.bench.statistics import FASTER, SAME, SLOWER, UNDECIDED, WRONG, Verdict

# What BASE and HEAD may differ in: it is what is compared.
FREE = ("torch", "cuda", "cudnn", "python")
FREE_STORED = ("torch", "cuda", "cudnn")
EXITS = {SLOWER: 1, WRONG: 1, UNDECIDED: 2, SAME: 0, FASTER: 0}

Pair = tuple[dict[str, Any], dict[str, Any]]  # the blocks of one item, of BASE and of HEAD
Told = Callable[[str], None]


@dataclasses.dataclass
class Comparison:
    """The verdict of one item, the pairs that it comes from, and what is wrong with HEAD's answers."""

    item: str
    place: str
    verdict: Verdict
    pairs: list[Pair]
    wrong: str
    base_wrong: str

    def record(self) -> dict[str, Any]:
        """As a line of a journal; what is infinite is None."""
        times = [[results.figure(block) for block in pair] for pair in self.pairs]
        found: dict[str, Any] = {**vars(self), "verdict": dataclasses.asdict(self.verdict), "pairs": times}
        low, high = self.verdict.interval
        found["verdict"]["interval"] = [None if math.isinf(v) else v for v in (low, high)]
        found["verdict"] = {k: None if isinstance(v, float) and not math.isfinite(v) else v
                            for k, v in found["verdict"].items()}  # fmt: skip
        return found


class Gate:
    """Pairs of processes of BASE and HEAD at one place, and the verdicts that they lead to."""

    def __init__(self, base: Source, head: Source, place: str, session: Session, told: Told, seed: int = 0):
        self.base, self.head, self.place, self.session, self.told = base, head, place, session, told
        self.order = random.Random(seed)
        self.prints: dict[str, dict[str, Any]] = {}

    def compare(self, items: Sequence[Item], pairs: int) -> list[Comparison]:
        """A verdict for each item; of fewer than 8 pairs UNDECIDED. Raises WorkerError, fingerprint.MismatchError."""
        first = self._pairs(items, pairs, 0)
        suspects = [i for i in items if self._alarmed(first[i.id])]

        @functools.cache
        def fresh() -> dict[str, list[Pair]]:
            return self._pairs(suspects, pairs, 1)

        return [self._judged(item, first[item.id], fresh) for item in items]

    @staticmethod
    def _alarmed(pairs: Sequence[Pair]) -> bool:
        return len(pairs) >= statistics.FEWEST and statistics.alarmed(_ratios(pairs))

    def _judged(self, item: Item, first: list[Pair], fresh: Callable[[], dict[str, list[Pair]]]) -> Comparison:
        used = list(first)

        def more() -> list[float]:
            used.extend(fresh()[item.id])
            return _ratios(fresh()[item.id])

        try:
            verdict = statistics.judge(_ratios(first), more)
        except ValueError as error:  # what neither side could measure often enough
            verdict = Verdict(UNDECIDED, math.nan, (0.0, math.inf), math.inf, 1.0, None, len(used), str(error))
        wrong, base_wrong = (next((p[side]["wrong"] for p in used if p[side]["wrong"]), "") for side in (1, 0))
        if wrong:
            verdict = dataclasses.replace(verdict, name=WRONG, reason=f"HEAD's answer is wrong: {wrong}")
        return Comparison(item.id, self.place, verdict, used, wrong, base_wrong)

    def _pairs(self, items: Sequence[Item], count: int, phase: int) -> dict[str, list[Pair]]:
        """Blocks of adjacent processes, by item; the two of a pair run in random order."""
        found: dict[str, list[Pair]] = defaultdict(list, {i.id: [] for i in items})
        for turn in range(count):
            self.told(f"{'confirming, ' if phase else ''}pair {turn + 1} of {count}, {self.place}")
            sides = [0, 1]
            self.order.shuffle(sides)
            at = phase * count + turn
            blocks = {side: self._blocks((self.base, self.head)[side], items, at) for side in sides}
            self._require_comparable()
            for item in items:
                if item.id in blocks[0] and item.id in blocks[1]:
                    found[item.id].append((blocks[0][item.id], blocks[1][item.id]))
        return found

    def _blocks(self, source: Source, items: Sequence[Item], at: int) -> dict[str, dict[str, Any]]:
        """The blocks of one process, by item: measured now, or the next ones of a stored run."""
        side = "base" if source is self.base else "head"
        if isinstance(source, Stored):
            self.prints[side] = source.fingerprints.get(self.place, {})
            stored = {i.id: source.blocks.get((i.id, self.place), []) for i in items}
            return {id: blocks[at] for id, blocks in stored.items() if at < len(blocks)}
        lines = self._measured(source, items)
        self.prints[side] = next(line["fingerprint"] for line in lines if line["kind"] == "process")
        for line in lines:
            if line["kind"] == "died":
                self.told(f"{side}: {line['reason']}")
        return {line["item"]: line for line in lines if line["kind"] == "block"}

    def _measured(self, source: Interpreter, items: Sequence[Item]) -> list[dict[str, Any]]:
        """One process; another in its place where it dies once."""
        try:
            return self.session.measure(source, self.place, items, self.order)
        except WorkerError as error:
            self.told(f"{error}: once more")
            return self.session.measure(source, self.place, items, self.order)

    def _require_comparable(self) -> None:
        stored = isinstance(self.base, Stored) or isinstance(self.head, Stored)
        what = f"{self.base.name} and {self.head.name}"
        if len(self.prints) == 2:
            free = FREE_STORED if stored else FREE
            fingerprint.require_equal(self.prints["base"], self.prints["head"], free, what)


def _ratios(pairs: Sequence[Pair]) -> list[float]:
    return [math.log(results.figure(head) / results.figure(base)) for base, head in pairs]


def exit_code(found: Sequence[Comparison]) -> int:
    """1 before 2 before 0; 2 where there is nothing, which is no pass."""
    codes = {EXITS[c.verdict.name] for c in found}
    return 1 if 1 in codes else 2 if 2 in codes or not codes else 0


def sentence(c: Comparison) -> str:
    """One line for the terminal."""
    v = c.verdict
    low, high = v.interval
    figures = f"{v.ratio:.3f}x [{low:.3f}, {high:.3f}] of {v.pairs} pairs" if math.isfinite(v.ratio) else ""
    seen = f"; a slowdown of {v.smallest:.1%} would have been seen" if math.isfinite(v.smallest) else ""
    extra = seen if v.name in (UNDECIDED, SAME) else ""
    base = f"; BASE's answer is wrong: {c.base_wrong}" if c.base_wrong else ""
    return f"{v.name:9} {c.item} at {c.place}: {figures}{extra} ({v.reason}){base}"
