"""The detection floor: the smallest relative error of a gradient that turns the check vjp red.

For each op and dtype, torch's gradients over the cases of level 2 are multiplied by 1 + 2^k eps, for
k = 0, 1, ..., until one of them is refused. Run as ``python -m conformance.faults.floor [OP ...]``.
"""

from __future__ import annotations

import collections
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from conformance.bridge import Bound, array, as_torch_has, resolve, tensor
from conformance.cases import draw_calls
from conformance.checks import forms
from conformance.checks.check import plain
from conformance.compare import Mismatch, Tally, compare
from conformance.dtypes import DTYPES, NoCounterpart
from conformance.oracle import Oracle
from conformance.session import EXAMPLES
from reference import rules
from reference.rule import Rule

MEASURED = ("float64", "float32", "bfloat16", "float16")
LEVEL = 2
AIM = 32
# An error of this many eps and seen by none: there is no gradient to be wrong.
LARGEST = 2**40

Gradient = tuple[np.ndarray, Any, int]  # torch's, and array i of the quantity that it must meet


def floor(rule: Rule, dtype: str, seed: int = 0) -> int | None:
    """The smallest power of two times eps that is refused; 0 where torch itself is; None without gradients."""
    found = [gradient for oracle in _oracles(rule, dtype, seed) for gradient in _gradients(rule, oracle)]
    eps = DTYPES[dtype].eps
    if not found:
        return None
    if any(_refused(got, quantity, i) for got, quantity, i in found):
        return 0
    size = 1
    while size <= LARGEST:
        if any(_refused(got * (1 + size * eps), quantity, i) for got, quantity, i in found):
            return size
        size *= 2
    return None


def _oracles(rule: Rule, dtype: str, seed: int) -> Iterator[Oracle]:
    """The oracles of a session's typical cases."""
    crc = zlib.crc32(f"{seed}/{rule.name}".encode())
    for call in draw_calls(rule, "typical", False, crc, EXAMPLES[LEVEL][0]):
        try:
            oracle = Oracle(call, dtype, crc & 0xFFFF)
        except NoCounterpart:  # complex outputs in a dtype that has no complex one
            continue
        if oracle.xs and oracle.ys:
            yield oracle


def _gradients(rule: Rule, oracle: Oracle) -> list[Gradient]:
    """torch's gradients with what they must meet; none where torch refuses the call."""
    place = torch.device("cpu")
    bound = Bound(plain(rule), oracle, place)
    gs = [tensor(oracle.cotangents[i], oracle.dtype, place) for i in oracle.ys]
    try:
        grads = forms.vjp(bound, bound.xs, gs, None, None)  # type: ignore[no-untyped-call]
    except Exception:  # it lacks the dtype, or deviates
        return []
    return [(array(d), oracle.vjp, i) for i, d in enumerate(grads)]


def _refused(got: np.ndarray, quantity: Any, i: int) -> bool:
    try:
        compare("gradient", got, quantity, i, Tally(check="vjp"))
    except Mismatch:
        return True
    return False


def measure(names: Sequence[str], seed: int = 0) -> dict[str, dict[str, int]]:
    """The floors by dtype and op, of the ops that have gradients."""
    result: dict[str, dict[str, int]] = {}
    for dtype in MEASURED:
        floors = {name: floor(as_torch_has(rules()[name]), dtype, seed) for name in names}
        result[dtype] = {name: size for name, size in floors.items() if size is not None}
    return result


def share(floors: dict[str, int]) -> float:
    """The share of ops whose floor is at or below the aim; those where torch deviates do not count."""
    sound = [size for size in floors.values() if size]
    return sum(size <= AIM for size in sound) / max(len(sound), 1)


def shown(measured: dict[str, dict[str, int]]) -> str:
    """For each dtype how many ops have which floor, the share within the aim, and the ops above it."""
    lines = ["detection floor of vjp, in eps of the dtype: how many ops"]
    for dtype, floors in measured.items():
        counts = collections.Counter(floors.values())
        spread = ", ".join(f"{size}: {counts[size]}" for size in sorted(counts) if size)
        within = sum(0 < size <= AIM for size in floors.values())
        total = sum(size > 0 for size in floors.values())
        lines.append(f"{dtype:10}{spread}")
        lines.append(f"{'':10}{AIM} eps or less: {within} of {total}, {int(1000 * share(floors)) / 10} %")
        above = [f"{name} {size}" for name, size in floors.items() if size > AIM]
        lines += [f"{'':10}above: {', '.join(above)}"] if above else []
        wrong = [name for name, size in floors.items() if not size]
        lines += [f"{'':10}red without any injected error: {', '.join(wrong)}"] if wrong else []
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the floors of the ops named, or of all. 0 where nine in ten ops meet the aim in every dtype."""
    names = list(sys.argv[1:] if arguments is None else arguments) or [n for n in rules() if resolve(n)]
    unknown = [name for name in names if name not in rules() or not resolve(name)]
    if unknown:
        print(f"unknown op {unknown[0]!r}", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    measured = measure(names)
    print(shown(measured))
    return 0 if all(share(floors) >= 0.9 for floors in measured.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
