"""Smaller runs than a given one, the most promising first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from reference.rule import Case


def smaller(case: Case) -> Iterator[Case]:
    """Fewer steps, fewer parameters, no groups, fewer options, one element of a parameter."""
    parameters, steps, groups = case.args
    for count in range(1, len(steps)):
        yield Case((parameters, steps[:count], groups), case.kwargs)
    if not groups and len(parameters) > 1:
        for i in range(len(parameters)):
            yield Case(([parameters[i]], [[step[i]] for step in steps], []), case.kwargs)
    if groups:
        yield Case((parameters, steps, []), case.kwargs)
    for name in case.kwargs:
        yield Case(case.args, {k: v for k, v in case.kwargs.items() if k != name})
    if len(parameters) == 1:
        p = np.asarray(parameters[0])
        if p.ndim == 1 and p.size > 1 and not any(isinstance(s[0], tuple) for s in steps):
            for i in range(p.size):
                yield Case(([p[i : i + 1]], [[_part(s[0], i)] for s in steps], groups), case.kwargs)


def _part(g: Any, i: int) -> Any:
    return None if g is None else np.asarray(g)[i : i + 1]
