"""Promises that torch itself breaks in every release so far, each with a way to mend a torch.

docs/promises.md names no fault for them: a plant would find the promise broken already. That torch breaks them shows
that they can fail; tests/core/test_mended.py shows that a torch which is right would pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Mend = Callable[[pytest.MonkeyPatch], None]
MENDED: dict[tuple[str, str], Mend] = {}  # by subject and check


def mends(*promises: tuple[str, str]) -> Callable[[Mend], Mend]:
    """The decorated function mends what breaks these promises, for as long as a test runs."""

    def register(mend: Mend) -> Mend:
        MENDED.update(dict.fromkeys(promises, mend))
        return mend

    return register


def mend(subject: str) -> Callable[[Any], Any]:
    """The same of the one promise that the decorated function is named after; it is given what sets an attribute."""

    def register(function: Any) -> Any:
        MENDED[subject, function.__name__] = lambda patch: function(patch.setattr)
        return function

    return register
