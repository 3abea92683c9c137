"""A layout holds the same values in another way."""

from __future__ import annotations

import pytest
import torch

from conformance.checks.layouts import LAYOUTS

VALUES = {
    "vector": torch.arange(6.0),
    "constant": torch.ones(3, 2),
    "zeros of both signs": torch.tensor([0.0, -0.0]),
    "complex zeros": torch.tensor([complex(0.0, -0.0), complex(-0.0, 0.0)]),
    "image": torch.arange(48.0, dtype=torch.bfloat16).reshape(2, 3, 2, 4),
    "whole": torch.tensor([[1, 1], [2, 2]]),
    "truth": torch.tensor([True, True]),
    "none": torch.zeros(0, 2),
}


def fits(layout: str, x: torch.Tensor) -> bool:
    """Only complex numbers have a lazy conjugate, only they and floating ones a lazy negative."""
    return x.is_complex() or (layout != "conj" and (layout != "neg" or x.is_floating_point()))


@pytest.mark.parametrize(("what", "layout"), [(w, n) for w, x in VALUES.items() for n in LAYOUTS if fits(n, x)])
def test_the_values_and_signs_are_the_same(what: str, layout: str) -> None:
    x = VALUES[what]
    y = LAYOUTS[layout](x)
    assert y.dtype == x.dtype and torch.equal(y, x)
    if x.is_complex():
        x, y = torch.view_as_real(x), torch.view_as_real(y.resolve_conj())
    assert x.dtype == torch.bool or torch.equal(torch.signbit(y), torch.signbit(x))


def test_equal_slices_share_their_memory() -> None:
    assert LAYOUTS["expanded"](torch.zeros(3, 2)).stride() == (0, 1)
