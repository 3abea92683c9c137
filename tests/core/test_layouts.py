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


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("what", VALUES)
def test_the_values_and_signs_are_the_same(what: str, layout: str) -> None:
    x = VALUES[what]
    if layout in ("conj", "neg") and not (x.is_complex() or (layout == "neg" and x.is_floating_point())):
        pytest.skip("a lazy conjugate or negative of such numbers does not exist")
    y = LAYOUTS[layout](x)
    assert y.dtype == x.dtype and torch.equal(y, x)
    if x.is_complex():
        x, y = torch.view_as_real(x), torch.view_as_real(y.resolve_conj())
    assert x.dtype == torch.bool or torch.equal(torch.signbit(y), torch.signbit(x))


def test_equal_slices_share_their_memory() -> None:
    assert LAYOUTS["expanded"](torch.zeros(3, 2)).stride() == (0, 1)
