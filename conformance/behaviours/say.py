"""What promises compare with. torch and NumPy alone, and short: a reproduction script takes along what it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from conformance.checks.check import Unsupported


def same(got: Any, want: Any, what: str = "result") -> None:
    """Equal in type and value, exactly: numbers, text, tensors (dtype and shape too), lists and dicts of those."""
    if isinstance(want, torch.Tensor):
        right = isinstance(got, torch.Tensor) and got.dtype == want.dtype and got.shape == want.shape
        right = right and np.array_equal(numbers(got), numbers(want), equal_nan=want.dtype.is_floating_point)
        assert right, f"{what}: got {got!r}, want {want!r}"
    elif isinstance(want, (list, tuple)):
        assert type(got) is type(want) and len(got) == len(want), f"{what}: got {got!r}, want {want!r}"
        for i, (g, w) in enumerate(zip(got, want)):
            same(g, w, f"{what}[{i}]")
    elif isinstance(want, dict):
        assert isinstance(got, dict) and list(got) == list(want), f"{what}: got {got!r}, want {want!r}"
        for key in want:
            same(got[key], want[key], f"{what}[{key!r}]")
    else:
        assert type(got) is type(want) and got == want, f"{what}: got {got!r}, want {want!r}"


def numbers(t: torch.Tensor) -> np.ndarray:
    """The numbers of a tensor on any device, unrounded; floating ones as float64."""
    t = t.detach().resolve_conj().resolve_neg().cpu()
    return (t.double() if t.dtype.is_floating_point else t).numpy()


def close(got: torch.Tensor, want: Any, what: str = "result", scale: Any = 0.0) -> None:
    """Within 8 eps (|want| + scale) of an array in float64; `scale` is the size of the terms that were added up."""
    want, found = np.asarray(want), numbers(got)
    assert found.shape == want.shape, f"{what}: shape {found.shape}, want {want.shape}"
    allowed = 8 * torch.finfo(got.dtype).eps * (np.abs(want) + scale)
    wrong = ~(np.abs(found - want) <= allowed)
    assert not wrong.any(), f"{what}: got {found[wrong][0]!r}, want {want[wrong][0]!r}, allowed {allowed[wrong][0]:.2g}"


def raises(kind: type[Exception] | tuple[type[Exception], ...], call: Callable[[], Any], *words: str) -> None:
    """`call` raises this kind of error, or one of these, whose text has these words."""
    try:
        out = call()
    except kind as error:
        for word in words:
            assert word in str(error), f"{word!r} is not in the error: {error}"
        return
    raise AssertionError(f"returned {out!r} where {getattr(kind, '__name__', kind)} was promised")


def documented(thing: Any, words: str) -> None:
    """Go on only where the documentation that comes with this torch already says so."""
    if words not in " ".join((thing.__doc__ or "").split()):
        raise Unsupported(f"this torch does not promise it: its documentation lacks {words!r}")
