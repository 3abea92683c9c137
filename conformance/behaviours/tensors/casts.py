"""Tensors in another dtype."""

from __future__ import annotations

import numpy as np
import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import same

FLOATING = {"double": "float64", "float": "float32", "half": "float16", "bfloat16": "bfloat16",
            "cdouble": "complex128", "cfloat": "complex64", "chalf": "complex32"}  # fmt: skip
WHOLE = {"byte": "uint8", "char": "int8", "short": "int16", "int": "int32", "long": "int64"}
LEVELS = {"float32": 2, "float64": 3, "bfloat16": 3}
LINK = "generated/torch.Tensor.to.html"


def nearest(values: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """The values of a floating dtype that are nearest to these, ties to even; none of them is subnormal there."""
    bits = {torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}[dtype]
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits))


def casts_round_to_the_nearest(device: torch.device, dtype: torch.dtype, name: str, wanted: str) -> None:
    """A cast to a floating or complex dtype rounds to the nearest value, ties to even; its gradient is cast back."""
    ties = [1.0 + k * 2.0**-bits for bits in (8, 11, 24) for k in (1, 3)]
    held = nearest(np.array([0.1, -1.7, 300.3, 0.0, *ties]), dtype)
    x = torch.tensor(held, dtype=dtype, device=device, requires_grad=True)
    y = getattr(x, name)()
    same((y.dtype, y.shape), (getattr(torch, wanted), x.shape))
    parts = torch.view_as_real(y) if y.is_complex() else y[:, None]
    want = np.zeros(parts.shape)
    want[:, 0] = nearest(held, parts.dtype)
    same(parts.detach().double().cpu(), torch.from_numpy(want))
    g = torch.tensor([1.0, -2.0, 0.5, 3.0, -4.0, 0.25, 8.0, 1.5, 2.5, -0.75], dtype=parts.dtype, device=device)
    sent = torch.view_as_complex(torch.stack([g, 3 * g], -1)) if y.is_complex() else g
    same(torch.autograd.grad(y, x, sent)[0].cpu(), g.to(dtype).cpu(), "gradient")


for _name, _dtype in FLOATING.items():
    promise("tensors", f"Tensor.{_name}", link=LINK, levels=LEVELS, given={"name": _name, "wanted": _dtype})(
        casts_round_to_the_nearest
    )


def casts_to_integers_drop_the_fraction(device: torch.device, dtype: torch.dtype, name: str, wanted: str) -> None:
    """A cast to integers drops what is behind the point, of negative numbers too, and has no gradient."""
    values = [0.0, 0.9, 1.5, 2.5, 100.5, *([] if name == "byte" else [-0.9, -1.5, -100.5])]
    y = getattr(torch.tensor(values, dtype=dtype, device=device, requires_grad=True), name)()
    same(y.cpu(), torch.tensor([int(v) for v in values], dtype=getattr(torch, wanted)))
    same(y.requires_grad, False)


for _name, _dtype in WHOLE.items():
    promise("tensors", f"Tensor.{_name}", link=LINK, levels=LEVELS, given={"name": _name, "wanted": _dtype})(
        casts_to_integers_drop_the_fraction
    )


@promise("tensors", "Tensor.bool", link=LINK, levels=LEVELS)
def only_zero_is_false(device: torch.device, dtype: torch.dtype) -> None:
    """As a boolean every number but zero is true, however small, and so is nan."""
    tiny = torch.finfo(dtype).tiny
    x = torch.tensor([0.0, -0.0, 0.25, -3.0, tiny, float("nan"), float("inf")], dtype=dtype, device=device)
    same(x.bool().cpu(), torch.tensor([False, False, True, True, True, True, True]))


@promise("tensors", "Tensor.zero_", "Tensor.fill_", link="notes/autograd.html", levels=LEVELS)
def what_is_overwritten_gets_no_gradient(device: torch.device, dtype: torch.dtype) -> None:
    """Filled in place, a tensor keeps its memory, and what stood there before gets a gradient of zero."""
    x = torch.tensor([1.5, -2.0, 3.0], dtype=dtype, device=device, requires_grad=True)
    for fill, value in ((lambda t: t.zero_(), 0.0), (lambda t: t.fill_(0.5), 0.5)):
        y = x * 2
        place = y.data_ptr()
        part = fill(y[:2])
        same(part.data_ptr(), place)
        same(y.detach().cpu(), torch.tensor([value, value, 6.0], dtype=dtype))
        g = torch.tensor([4.0, 5.0, -7.0], dtype=dtype, device=device)
        same(torch.autograd.grad(y, x, g)[0].cpu(), torch.tensor([0.0, 0.0, -14.0], dtype=dtype), "gradient")
