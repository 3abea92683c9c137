"""The checks of memory layouts: the same values, held in another way."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.bridge import tensor
from conformance.checks import forms, layouts
from conformance.checks.check import REGISTRY, Check, Trial
from conformance.checks.wants import ONCE, wants_gradients, wants_outputs
from conformance.oracle import Oracle


def _layout(name: str) -> None:
    change: Any = layouts.LAYOUTS[name]

    def run(trial: Trial) -> None:
        o = _with_even_cotangents(trial) if name == "expanded" else trial.oracle
        bound = trial.bound(oracle=o)
        bound.tensors = [change(t) for t in bound.tensors]
        bound.layout = change
        if o.xs:
            trial.run(forms.vjp_and_subset, bound, 2 * wants_gradients(o, o.vjp))
        trial.run(forms.value, bound, wants_outputs(o))

    def applies(trial: Trial) -> bool:
        o = trial.oracle
        gs = [_even(o.cotangents[i]) if name == "expanded" else o.cotangents[i] for i in o.ys if o.xs]
        made = [tensor(a, o.dtype, trial.place) for a in [*o.arrays, *gs]]
        return any(_differs(change(t), t) for t in made)

    run.__doc__ = (change.__doc__ or "").strip()
    levels = {"complex64": 2, "complex128": 3} if name == "conj" else ONCE
    REGISTRY[f"layout_{name}"] = Check(
        f"layout_{name}",
        run,
        levels,
        applies=applies,
        absent="no case has a tensor that this layout changes",
        needs=lambda rule, target: None if rule.any_strides else "the documentation asks for strides that fit",
    )


def _with_even_cotangents(trial: Trial) -> Oracle:
    """The oracle with cotangents that do not change along a dimension, as those of a sum do not."""
    return trial.oracle.under([None if g is None else _even(g) for g in trial.oracle.cotangents])


def _even(g: np.ndarray) -> np.ndarray:
    """g with its first slice repeated along the first dimension longer than 1."""
    d = next((d for d, n in enumerate(g.shape) if n > 1), None)
    return g if d is None else np.repeat(g.take([0], d), g.shape[d], d)


def _differs(changed: Any, t: Any) -> bool:
    return bool(
        changed.stride() != t.stride()
        or changed.storage_offset() != t.storage_offset()
        or changed.is_conj() != t.is_conj()
        or changed.is_neg() != t.is_neg()
    )


for _name in layouts.LAYOUTS:
    _layout(_name)
