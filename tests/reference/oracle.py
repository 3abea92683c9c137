"""Independent values for the forward formulas: mpmath at 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import mpmath
import numpy as np

from reference import lookup

EPS = float(np.finfo(np.float64).eps)


def assert_matches_mpmath(
    name: str, exact: Callable[..., object], points: Iterable[float], ulps: float = 4.0, **options: object
) -> None:
    """The rule's value and gradient at each point, within `ulps` eps of mpmath's value and derivative.

    The allowance grows with the condition number, |x f'(x) / f(x)|: the input itself is rounded.
    """
    rule = lookup(name)
    assert rule is not None
    xs = np.array(list(points), dtype=np.float64)
    out, vjp = rule(xs, **options)
    (grad,) = vjp(np.ones_like(out))
    with mpmath.workdps(50):
        for x, value, slope in zip(xs, out, grad):
            for got, order in ((value, 0), (slope, 1)):
                want = exact(mpmath.mpf(x)) if order == 0 else mpmath.diff(exact, mpmath.mpf(x))
                error = abs(mpmath.mpf(float(got)) - want)
                assert error <= ulps * EPS * abs(want) + mpmath.mpf(2) ** -1070, (
                    f"{name}: {'derivative' if order else 'value'} at {x!r}: {got!r}, exactly {mpmath.nstr(want, 20)}"
                )
