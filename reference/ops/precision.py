"""Which precision operands and what is made of them have: integers and constants never widen it."""

from __future__ import annotations

import numpy as np

from reference.rule import is_array, is_inexact


def floating(x):
    """x, or its float64 if it holds integers or bools: numpy would take bools to float16."""
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def matched(*operands):
    """The operands as torch promotes them: integers take the precision of the reals beside them (numpy would take both
    to double), and a number among integers their dtype."""
    dtypes = [x.real.dtype for x in operands if is_array(x)]
    if reals := [d for d in dtypes if d.kind == "f"]:
        return tuple(x.astype(np.result_type(*reals)) if is_array(x) and not is_inexact(x) else x for x in operands)
    if integers := [d for d in dtypes if d.kind in "iu"]:
        return tuple(np.asarray(x).astype(np.result_type(*integers)) if type(x) is int else x for x in operands)
    return operands


def operand(x, other):
    """x as an array; numbers and integers take the precision of floating numbers beside them, as in torch."""
    if is_inexact(x) or not is_inexact(other):
        return np.asarray(x)
    dtype = np.result_type(other.dtype, np.complex64) if isinstance(x, complex) else other.real.dtype
    return np.asarray(x).astype(dtype, casting="same_kind")


def precise(share, x):
    """A share in the precision of x; in double where x holds integers."""
    return share.astype(np.result_type(x.dtype, np.float32))


def common(tensors):
    """The dtype of tensors put together: integers do not widen numbers."""
    return np.result_type(*([x for x in tensors if is_inexact(x)] or tensors))
