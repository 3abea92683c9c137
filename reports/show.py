"""Numbers, times and foreign text as a person should see them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_CLIP = 6000  # characters of a message or a traceback: a page is read, the journal keeps all of it
# what a terminal or a bidirectional renderer would obey instead of show
_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """Text whose control characters are visible instead of effective."""
    return _UNSHOWN.sub(lambda match: f"\\x{ord(match[0]):02x}", text.replace("\r\n", "\n"))


def clip(text: str) -> str:
    """The beginning and the end of a long text."""
    if len(text) <= _CLIP:
        return text
    left_out = f"[... {len(text) - _CLIP:,} characters, see the journal ...]"
    return f"{text[: _CLIP // 2]}\n{left_out}\n{text[-_CLIP // 2 :]}"


def link(text: str) -> str:
    """The address, where it is one that a reader can follow without harm, else nothing."""
    return text if re.fullmatch(r"https?://[^\s\"'<>]+", text) else ""


def moment(seconds: float) -> str:
    """A time since the epoch, in UTC."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "unknown"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds >= 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    if seconds >= 60:
        return f"{seconds // 60:.0f} min {seconds % 60 // 1:.0f} s"
    if seconds >= 0.1:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2f} s"
    return f"{seconds * 1000:.1f} ms"


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:,.0f}" if 1000 <= value < 1e9 else f"{value:.3g}"


def size(memory: int | None) -> str:
    """Bytes in GiB."""
    return f"{memory / 2**30:.1f} GiB" if memory else ""
