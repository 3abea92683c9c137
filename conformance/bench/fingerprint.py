"""Which machine and which torch a figure is of, exactly: figures of different ones are not compared. No torch here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

FIELDS = ("device", "driver", "cuda", "cudnn", "torch", "tf32", "threads", "cpu", "container", "python", "settings")
UNKNOWN = "unknown"


class MismatchError(Exception):
    """Two fingerprints differ; the sentence names the fields."""


def differences(a: Mapping[str, Any], b: Mapping[str, Any], free: Collection[str] = ()) -> list[str]:
    """The fields in which two fingerprints differ, but for those that may, as "driver: 535 / 550"."""
    names = dict.fromkeys([*FIELDS, *a, *b])
    return [
        f"{name}: {a.get(name, UNKNOWN)} / {b.get(name, UNKNOWN)}"
        for name in names
        if name not in free and _text(a.get(name, UNKNOWN)) != _text(b.get(name, UNKNOWN))
    ]


def require_equal(a: Mapping[str, Any], b: Mapping[str, Any], free: Collection[str] = (), what: str = "") -> None:
    """Raise MismatchError where two fingerprints differ in a field that may not."""
    found = differences(a, b, free)
    if found:
        raise MismatchError(f"{what}: not comparable, they differ in {'; '.join(found)}")


def key(fingerprint: Mapping[str, Any], free: Collection[str] = ()) -> str:
    """A short name for all that is equal."""
    kept = {k: v for k, v in fingerprint.items() if k not in free}
    return hashlib.sha256(_text(kept).encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
