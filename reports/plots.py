"""Plots as SVG inside the page: lines, dots and vertical spans on linear or logarithmic axes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 68, 16, 14, 46
COLOURS = 6


@dataclasses.dataclass(frozen=True)
class Series:
    """Points of one name.

    spans   (low, high) of each point, drawn as a vertical line through it
    labels  what a point is, shown where a pointer rests on it
    line    whether neighbours are joined; dots whether they are marked
    """

    name: str
    points: Sequence[tuple[float, float]]
    spans: Sequence[tuple[float, float]] = ()
    labels: Sequence[str] = ()
    line: bool = True
    dots: bool = True
    colour: int = 0


@dataclasses.dataclass(frozen=True)
class Axis:
    """One direction of a plot: its words, whether it is logarithmic, what it must reach at least."""

    title: str
    log: bool = True
    least: tuple[float, ...] = ()
    unit: str = ""


class _Scale:
    """Numbers to pixels."""

    def __init__(self, values: Iterable[float], axis: Axis, low: float, high: float):
        known = [v for v in (*values, *axis.least) if math.isfinite(v) and (v > 0 or not axis.log)]
        a, b = (min(known), max(known)) if known else (1.0, 10.0)
        self.axis, self._low, self._high = axis, low, high
        if axis.log:
            self._a, self._b = math.log10(a) - 0.05, math.log10(b) + 0.05
        else:
            room = 0.06 * (b - a) or 0.05 * abs(b) or 1.0
            self._a, self._b = a - room, b + room

    def __call__(self, value: float) -> float:
        at = math.log10(value) if self.axis.log else value
        share = (at - self._a) / (self._b - self._a)
        return self._low + min(1.0, max(0.0, share)) * (self._high - self._low)

    def ticks(self) -> list[float]:
        """Round numbers inside: powers of ten, their 2 and 5 where there are few; else a handful."""
        if self.axis.log:
            decades = range(math.floor(self._a), math.ceil(self._b) + 1)
            steps = (1,) if len(decades) > 5 else (1, 2, 5)
            each = 1 + len(decades) // 9
            found = [m * 10.0**d for d in decades if d % each == 0 for m in steps]
            return [v for v in found if self._a <= math.log10(v) <= self._b]
        step = 10.0 ** math.floor(math.log10((self._b - self._a) / 4))
        step *= next((m for m in (1, 2, 5) if (self._b - self._a) / (m * step) <= 6), 10)
        return [step * k for k in range(math.ceil(self._a / step), math.floor(self._b / step) + 1)]


def plot(title: str, series: Sequence[Series], x: Axis, y: Axis, marks: Sequence[tuple[float, str]] = ()) -> Markup:
    """An SVG with its own description for who cannot see it. `marks` are horizontal lines with a name."""
    every = [p for s in series for p in s.points]
    across = _Scale((p[0] for p in every), x, LEFT, WIDTH - RIGHT)
    heights = [*(p[1] for p in every), *(v for s in series for span in s.spans for v in span), *(v for v, _ in marks)]
    up = _Scale(heights, y, HEIGHT - BOTTOM, TOP)
    parts = [_axes(across, up)]
    for value, name in marks:
        at = up(value)
        parts.append(f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{at - 4:.1f}" text-anchor="end">{escape(name)}</text>')
    parts += [_drawn(s, across, up) for s in series]
    legend = "".join(
        f'<li><i class="c{s.colour % COLOURS}"></i>{escape(s.name)}</li>' for s in series if s.name and len(series) > 1
    )
    said = f"{title}. {x.title} against {y.title}: {', '.join(s.name for s in series if s.name)}"
    return Markup(
        f'<figure class="plot"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg>'
        + (f'<ul class="legend">{legend}</ul>' if legend else "")
        + "</figure>"
    )


def _axes(across: _Scale, up: _Scale) -> str:
    parts = []
    for v in across.ticks():
        at = across(v)
        parts.append(f'<line class="grid-line" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_short(v, across)}</text>')
    for v in up.ticks():
        at = up(v)
        parts.append(f'<line class="grid-line" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_short(v, up)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across.axis.title)}</text>')
    half = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text transform="translate(14 {half}) rotate(-90)" text-anchor="middle">{escape(up.axis.title)}</text>'
    )
    return "".join(parts)


def _drawn(s: Series, across: _Scale, up: _Scale) -> str:
    places = [(across(px), up(py)) for px, py in s.points]
    parts = []
    if s.line and len(places) > 1:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline class="s{s.colour % COLOURS}" points="{path}"/>')
    for (a, _), (low, high) in zip(places, s.spans):
        parts.append(
            f'<line class="s{s.colour % COLOURS}" x1="{a:.1f}" x2="{a:.1f}" y1="{up(low):.1f}" y2="{up(high):.1f}"/>'
        )
    for i, (a, b) in enumerate(places if s.dots else ()):
        hint = f"<title>{escape(s.labels[i])}</title>" if i < len(s.labels) else ""
        parts.append(f'<circle class="c{s.colour % COLOURS}" cx="{a:.1f}" cy="{b:.1f}" r="3.2">{hint}</circle>')
    return "".join(parts)


def _short(value: float, scale: _Scale) -> str:
    """A number of an axis in few letters, with its unit."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}{scale.axis.unit}"
    if value and abs(value) < 1e-2 and scale.axis.unit == "s":
        for size, letter in ((1e-3, "m"), (1e-6, "µ"), (1e-9, "n")):
            if abs(value) >= size * 0.999:
                return f"{value / size:.6g}{letter}{scale.axis.unit}"
    return f"{value:.6g}{scale.axis.unit}"
