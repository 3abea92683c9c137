"""Percent of the measured limit, and what cannot be: the roofline. No torch here.

A computation of F flops and B bytes takes at least max(F / flops a second, B / bytes a second). Source: Williams,
Waterman and Patterson, Roofline, CACM 52, 2009.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

TOLERATED = 1.03  # of a ceiling: beyond it the measurement is wrong, not the device quick


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """The best of all sweeps of a place in a session."""

    products: Mapping[str, float]  # flop/s by dtype
    streams: tuple[tuple[int, float], ...]  # (bytes touched, byte/s)

    def flops(self, dtype: str) -> float | None:
        """The most flops a second in the dtype; None where no product ran."""
        return self.products.get(dtype)

    def bandwidth(self, moved: float) -> float | None:
        """The most bytes a second that any stream of at least half so many bytes reached: caches serve small ones."""
        return max((rate for size, rate in self.streams if size >= moved / 2), default=self.largest)

    @property
    def largest(self) -> float | None:
        """The bandwidth of the largest streams."""
        sizes = sorted(self.streams)[-3:]
        return max((rate for _, rate in sizes), default=None)


def gathered(sweeps: Iterable[Mapping[str, Any]]) -> Ceilings:
    """The ceilings of sweeps as they stand in a journal: the best of every size."""
    products: dict[str, float] = {}
    streams: dict[int, float] = {}
    for sweep in sweeps:
        for dtype, rates in sweep["products"].items():
            products[dtype] = max([products.get(dtype, 0.0), *rates.values()])
        for rates in sweep["streams"].values():
            for size, rate in rates.items():
                streams[int(size)] = max(streams.get(int(size), 0.0), rate)
    return Ceilings(products, tuple(sorted(streams.items())))


@dataclasses.dataclass(frozen=True)
class Share:
    """How much of its limit a result reaches: 0.5 is half. `by` says which ceiling is the nearer one."""

    share: float
    by: str

    @property
    def impossible(self) -> bool:
        return self.share > TOLERATED


def share(seconds: float, flops: int, moved: int, dtype: str, ceilings: Ceilings) -> Share | None:
    """The share of the limit; None where nothing is counted or no ceiling was measured."""
    least: list[tuple[float, str]] = []
    rate, bandwidth = ceilings.flops(dtype), ceilings.bandwidth(moved)
    if flops and rate:
        least.append((flops / rate, "compute"))
    if moved and bandwidth:
        least.append((moved / bandwidth, "memory"))
    if not least or seconds <= 0:
        return None
    time, by = max(least)
    return Share(time / seconds, by)
