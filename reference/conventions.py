"""What the documentation leaves open and releases of torch have chosen differently; the reference follows either.

At a tie a maximum has more than one subgradient. Until 2.13 torch gives all of the gradient to the first operand in
``clamp``, ``fmax``, ``fmin`` and the hinges that are made of ``clamp``. Since 2.14 operands that tie share it, as those
of ``maximum`` always did; the share of a bound that is a number is all, so that a value on it has none.
"""

from __future__ import annotations

from collections.abc import Callable

_choice: bool | Callable[[], bool] = False


def ties_are_shared() -> bool:
    """Whether operands that tie share the gradient, rather than the first having it all."""
    global _choice
    if callable(_choice):
        _choice = _choice()
    return _choice


def share_ties(choice: bool | Callable[[], bool]) -> None:
    """Choose for the whole process; a function is called when its answer first matters, and never again."""
    global _choice
    _choice = choice
