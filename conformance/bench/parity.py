"""Whether what was timed is right: the answers of a worker against the reference in NumPy. No torch here.

A worker leaves its answers in a file; this process reads it, evaluates the reference on the rows that were kept, and
compares by the tolerance model of the whole suite. The cotangent is zero outside those rows, so that gradients of what
all rows share are complete too.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conformance.bench.workloads import WORKLOADS, Workload
from conformance.compare import Mismatch, Tally, compare
from conformance.dtypes import DTYPES, Dtype
from conformance.oracle import Oracle
from conformance.tolerance import K, Quantity
from reference.derive import Call
from reference.rule import Array, Case, is_inexact

TF32 = dataclasses.replace(DTYPES["float32"], name="float32", digits=11)  # products of numbers of 11 digits
MOVES = 4  # of inputs and parameters, by which a network's own spread is measured


@dataclasses.dataclass(frozen=True)
class Item:
    """One thing to measure: a workload at a size, in a mode and a dtype."""

    workload: str
    size: int
    mode: str
    dtype: str

    @property
    def id(self) -> str:
        return f"{self.workload}[{self.size}]::{self.mode}::{self.dtype}"


def item_from(id: str) -> Item:
    """The item of an id. Raises ValueError."""
    head, _, rest = id.partition("]::")
    name, _, size = head.partition("[")
    mode, _, dtype = rest.partition("::")
    if name not in WORKLOADS or not size.isdigit() or mode not in WORKLOADS[name].modes:
        raise ValueError(f"{id}: no such benchmark")
    return Item(name, int(size), mode, dtype)


def rows(workload: Workload, batch: int, seed: int) -> Array:
    """The rows of the result that are checked: the first, the last, and others by chance; all where there are few."""
    if batch <= workload.most:
        return np.arange(batch)
    chosen = np.random.default_rng([seed, batch]).choice(batch - 2, workload.most - 2, replace=False) + 1
    return np.sort(np.concatenate([[0], chosen, [batch - 1]]))


def cotangent(shape: Sequence[int], kept: Array | None, seed: int) -> Array:
    """Random numbers of size 1/2 to 3/2 in float32, zero outside the rows that are kept."""
    u = np.random.default_rng([seed, 1]).uniform(-1.0, 1.0, tuple(shape)).astype(np.float32)
    g = u + np.copysign(np.float32(0.5), u)
    if kept is None:
        return np.asarray(g)
    masked = np.zeros_like(g)
    masked[kept] = g[kept]
    return masked


def subset(workload: Workload, arrays: Sequence[Array], kept: Array) -> list[Array]:
    """The arrays with the kept rows alone, where they have rows."""
    return [a[kept] if i in workload.rows else a for i, a in enumerate(arrays)]


def check(item: Item, path: Path, seed: int) -> str:
    """Empty where the answers in the file are right; else a sentence that says what is wrong with them."""
    with np.load(path) as found:
        got = [np.asarray(found[f"got{i}"], np.float64) for i in range(len(found.files))]
    wanted = _wanted(item, seed)
    if len(got) != len(wanted):
        return f"{len(got)} results, expected {len(wanted)}"
    try:
        for i, (g, (what, quantity, place)) in enumerate(zip(got, wanted)):
            if WORKLOADS[item.workload].network:
                _by_norm(what, g, item, i, seed)
            else:
                compare(what, g, quantity, place, Tally(check="value"))
    except Mismatch as error:
        return str(error).splitlines()[0]
    return ""


def _dtype(item: Item) -> Dtype:
    return TF32 if item.dtype == "tf32" else DTYPES[item.dtype]


@functools.lru_cache(maxsize=8)
def _case(item: Item, seed: int) -> tuple[Workload, list[Array], Array | None]:
    """The workload, its arrays on the kept rows, and the cotangent there, as the dtype holds them."""
    workload = WORKLOADS[item.workload]
    arrays = workload.arrays(item.size, seed)
    kept = rows(workload, arrays[workload.rows[0]].shape[0], seed) if workload.rows else None
    some = arrays if kept is None else subset(workload, arrays, kept)
    hold = DTYPES["float32" if item.dtype == "tf32" else item.dtype]
    some = [hold.round(a.astype(np.float64)) if is_inexact(a) else a for a in some]
    if item.mode != "training":
        return workload, some, None
    full = [arrays[workload.rows[0]].shape[0]] if kept is not None else []
    shape = np.shape(workload.compute(some)[0])
    g = cotangent([*full, *shape[1:]] if kept is not None else shape, kept, seed)
    return workload, some, hold.round((g if kept is None else g[kept]).astype(np.float64))


@functools.lru_cache(maxsize=8)
def _wanted(item: Item, seed: int) -> list[tuple[str, Quantity, int]]:
    """What each result is called, and where its expected values are."""
    workload, arrays, g = _case(item, seed)
    oracle = Oracle(Call(workload.rule(), Case((arrays,))), "float32" if item.dtype == "tf32" else item.dtype, seed)
    value = oracle.value
    named = [("result", value, 0)]
    if g is not None:
        pulled = oracle.vjp_under([g])
        named += [(f"gradient of input {i}", pulled, k) for k, i in enumerate(oracle.xs)]
    for quantity in {id(q): q for _, q, _ in named}.values():
        quantity.dtypes[:] = [None if d is None else _dtype(item) for d in quantity.dtypes]
    return named


# networks


def _by_norm(what: str, got: Array, item: Item, i: int, seed: int) -> None:
    """Raise Mismatch where a result is farther from the reference, in the 2-norm, than rounding explains.

    Measured: how far the whole result moves when every input and parameter is moved by a unit in the last place, at a
    few random moves, gates that turn included.
    """
    wants, room = _spread(item, seed)
    want = wants[i]
    if got.shape != want.shape:
        raise Mismatch(f"{what}: shape {got.shape}, expected {want.shape}")
    error = float(np.linalg.norm(got - want))
    if not error <= room[i]:
        raise Mismatch(f"{what}: {error:.3g} from the reference in norm, {room[i]:.3g} is allowed")


@functools.lru_cache(maxsize=8)
def _spread(item: Item, seed: int) -> tuple[list[Array], list[float]]:
    workload, arrays, g = _case(item, seed)
    eps = _dtype(item).eps

    def at(values: Sequence[Array], cotangent: Array | None) -> list[Array]:
        out, pull = workload.compute(list(values))
        if cotangent is None:
            return [np.asarray(out)]
        return [np.asarray(out), *(np.asarray(d) for d in pull(cotangent)[0] if d is not None)]

    def moved(a: Array | None, rng: np.random.Generator) -> Any:
        return a if a is None or not is_inexact(a) else a * (1 + eps * rng.choice([-1.0, 1.0], a.shape))

    wants = at(arrays, g)
    room = [0.0] * len(wants)
    for k in range(MOVES):
        rng = np.random.default_rng([seed, k, 2])
        found = at([moved(a, rng) for a in arrays], moved(g, rng))
        room = [max(r, float(np.linalg.norm(f - w))) for r, f, w in zip(room, found, wants)]
    return wants, [K * (r + eps * float(np.linalg.norm(w)) + _dtype(item).smallest * math.sqrt(w.size))
                   for r, w in zip(room, wants)]  # fmt: skip
