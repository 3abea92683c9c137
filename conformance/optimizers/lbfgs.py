"""L-BFGS: the iterates and the memory against the two loops; the strong Wolfe conditions of its line search.

How a line search comes to its step is its own affair: what is checked is the conditions that it promises
(Nocedal and Wright, section 3.1, with c1 = 1e-4 and c2 = 0.9), and that each direction is that of the two loops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from conformance import script
from conformance.bridge import array, tensor
from conformance.cells import Cell
from conformance.compare import Mismatch, Tally, compare
from conformance.dtypes import DTYPES, Dtype
from conformance.optimizers import lbfgs_forms as forms
from conformance.optimizers.bounds import mapped, near, rounded, signs, sizes
from conformance.optimizers.checks import LEVELS, Check
from conformance.optimizers.session import OptimizerSession
from conformance.optimizers.trial import Word, number_lines, words
from conformance.script import tensor_text
from conformance.target import Target
from conformance.tolerance import STEP, K, Quantity
from reference.optim import lbfgs
from reference.rule import Case

COUNTS = ("func_evals", "n_iter")
C1, C2 = 1e-4, 0.9


@dataclasses.dataclass
class Trial:
    """A run of L-BFGS; `case` is as the dtype holds it."""

    case: Case
    dtype: Dtype
    target: Target
    tally: Tally
    seed: int
    device: str | None = None
    _lines: Callable[[], list[str]] = list
    _end: list[str] = dataclasses.field(default_factory=list)

    @property
    def script(self) -> str:
        """What shows the failure: torch alone, exit code 1."""
        return "\n".join([*self._lines(), *self._end])

    def run(self, form: Callable[..., Any], **extra: Any) -> Any:
        """What the form returns."""
        make = f"def make(ps):\n    return torch.optim.LBFGS(ps{words({**self.case.kwargs, **extra})})"
        parameters, count, a, u, c = self.case.args

        def text(v: Any) -> str:
            made = self._tensor(v)
            return tensor_text(array(made), made.dtype, repr(str(self.target.torch_device)))

        self._lines = lambda: [
            "import copy, sys", "import torch", *map(script.source, (forms.closure, forms.one, form)), make,
            f"ps = [{', '.join(text(p) + '.requires_grad_()' for p in parameters)}]",
            f"got = {form.__name__}(make, ps, {text(a)}, {text(u)}, {c!r}, {count})",
        ]  # fmt: skip
        self._end = ["print(got)", "sys.exit(1 if isinstance(got, str) and got else 0)"]
        names: dict[str, Any] = {"torch": torch}
        exec(make, names)
        ps = [self._tensor(p).requires_grad_() for p in parameters]
        found = form(names["make"], ps, self._tensor(a), self._tensor(u), c, count)
        self.device = str(ps[0].device)
        return found

    def _tensor(self, a: Any) -> torch.Tensor:
        return tensor(np.asarray(a), self.dtype, self.target.torch_device)

    def match(self, found: list[dict[str, Any]]) -> None:
        """Compare every loss, parameter and state. Raises Mismatch of the first wrong number."""
        shown = lbfgs.run(self.case)
        for t, snapshot in enumerate(shown):
            if set(found[t]) != set(snapshot):
                names = sorted(snapshot)
                self._end = [f"print(sorted(got[{t}]))", f"sys.exit(0 if sorted(got[{t}]) == {names} else 1)"]
                raise Mismatch(f"after step {t}: {sorted(found[t])}, expected {names}")
        labels = [(t, name) for t, s in enumerate(shown) for name in s]
        quantity = self._quantity(labels)
        for i, (t, name) in enumerate(labels):
            value = found[t][name]
            got = array(value) if torch.is_tensor(value) else np.asarray(float(value))
            try:
                compare(f"{name} after step {t}", got, quantity, i, self.tally)
            except Mismatch as wrong:
                self._end = number_lines(wrong, f"torch.as_tensor(got[{t}][{name!r}])")
                raise

    def _quantity(self, labels: list[tuple[int, str]]) -> Quantity:
        def numbers(case: Case, *how: Any) -> list[Any]:
            snapshots = lbfgs.run(case, *how)
            # an iteration that rounding ends elsewhere has other labels: it says nothing of sizes
            return [np.asarray(snapshots[t].get(name, np.nan), np.float64) for t, name in labels]

        base = numbers(self.case)

        def moves(k: int) -> list[Any]:
            rng = np.random.default_rng((self.seed, k))
            moved = numbers(self.case, np.float64, lambda a: a * (1.0 + STEP * signs(rng, a)))
            close = Case(tuple(mapped(a, lambda x: near(rng, x)) for a in self.case.args), self.case.kwargs)
            wide, narrow = numbers(close), numbers(close, np.float32)
            return sizes(base, moved, wide, narrow)

        return Quantity(base, [None if name in COUNTS else self.dtype for _, name in labels], moves)

    def said(self, wrong: str, lines: list[str] | None = None) -> None:
        """Raise Mismatch where a form, or what `lines` do, found something wrong."""
        if lines is not None:
            self._lines, self._end = list, lines
        self.tally.comparisons += 1
        self.tally.elements += 1
        if wrong:
            raise Mismatch(wrong)


def steps(t: Trial) -> None:
    """After every step the loss, the parameters and the memory are those of the two loops."""
    t.match(t.run(forms.steps))


def missing_gradients(t: Trial) -> None:
    """A parameter without a gradient counts as one whose gradient is 0."""
    t.match(t.run(forms.steps))


def stopped(t: Trial) -> None:
    """A step ends early at each tolerance, and after max_eval evaluations; not one iteration sooner or later."""
    t.match(t.run(forms.steps))


def tensor_lr(t: Trial) -> None:
    """A learning rate given as a tensor does what the number does."""
    t.match(t.run(forms.steps, lr=Word(f"torch.tensor({t.case.kwargs['lr']!r}, dtype=torch.float64)")))


def state_dict(t: Trial) -> None:
    """Loaded from its state dict before every step, the run goes on."""
    t.match(t.run(forms.reloaded))


def copies(t: Trial) -> None:
    """Copied before every step, the run goes on."""
    t.match(t.run(forms.copied))


def evaluations(t: Trial) -> None:
    """No step evaluates the closure more than max_eval times, with line search or without."""
    t.said(t.run(forms.evaluations))


def line_search(t: Trial) -> None:
    """A step with line search lies along the direction, and meets the strong Wolfe conditions."""
    parameters, _, a, u, c = t.case.args
    t.case = Case((parameters, 4, a, u, c), {**t.case.kwargs, "max_iter": 1, "max_eval": 25})
    at = lbfgs.objective(np.asarray(a), np.asarray(u), c)
    points: list[np.ndarray] = []
    slopes: list[np.ndarray] = []
    for n, (before, after, d) in enumerate(t.run(forms.searched, line_search_fn="strong_wolfe")):
        x, y, along = (array(v).astype(np.float64) for v in (before, after, d))
        t.tally.comparisons += 1
        t.tally.elements += x.size
        (f0, g0), (f1, g1) = at(x), at(y)
        points, slopes = [*points, x], [*slopes, g0]
        _wolfe(f"step {n}", t.dtype, (x, y, along), (f0, f1), (g0, g1), np.abs(a * y))
        pairs = zip(np.diff(points, axis=0), np.diff(slopes, axis=0))
        kept = [(p, q) for p, q in pairs if (p * q).sum() > lbfgs.ENOUGH][-t.case.kwargs["history_size"] :]
        want = lbfgs.direction(g0, [p for p, _ in kept], [q for _, q in kept])[0]
        # the differences of points and gradients are known to a unit of what they are differences of
        blur = max([1.0, *(np.abs(x).max() / np.abs(p).max() + np.abs(g0).max() / np.abs(q).max() for p, q in kept)])
        if np.abs(along - want).max() > K * t.dtype.eps * blur * x.size**2 * np.abs(want).max():
            raise Mismatch(f"step {n}: the direction {along} is not that of the two loops, {want}")


def _wolfe(step: str, dtype: Dtype, way: Any, losses: Any, gradients: Any, terms: np.ndarray) -> None:
    """Raise Mismatch where a step from x to y along d is no strong Wolfe step of these losses and gradients."""
    (x, y, along), (f0, f1), (g0, g1) = way, losses, gradients
    size = float(((y - x) * along).sum() / (along * along).sum())
    room = K * dtype.eps * x.size
    slope, later = float((g0 * along).sum()), float((g1 * along).sum())
    scale = float(((np.abs(g1) + terms) * np.abs(along)).sum())
    if np.abs(y - x - size * along).max() > room * (np.abs(x) + np.abs(y) + abs(size) * np.abs(along)).max():
        raise Mismatch(f"{step}: it leaves the line of its direction")
    if f1 > f0 + C1 * size * slope + room * (abs(f0) + abs(f1)):
        raise Mismatch(f"{step}: the loss goes from {f0} to {f1}, not down enough for slope {slope}, size {size}")
    if abs(later) > C2 * abs(slope) + room * scale:
        raise Mismatch(f"{step}: the slope goes from {slope} to {later}: no strong Wolfe point")


def errors(t: Trial) -> None:
    """Illegal hyper-parameters, several groups, an unknown line search and a step without closure raise."""
    setup = "p = torch.ones(2, requires_grad=True)"
    for bad in lbfgs.ILLEGAL:
        t.said(*script.refused(setup, f"torch.optim.LBFGS([p]{words(bad)})", "ValueError"))
    two = "[{'params': [p]}, {'params': [torch.ones(1, requires_grad=True)]}]"
    t.said(*script.refused(setup, f"torch.optim.LBFGS({two})", "ValueError"))
    t.said(*script.refused(setup, "torch.optim.LBFGS([p]).step()", "TypeError"))
    closure = "lambda: (p * p).sum().backward() or (p * p).sum()"
    t.said(*script.refused(setup, f"torch.optim.LBFGS([p], line_search_fn='golden').step({closure})", "RuntimeError"))


def _check(run: Callable[[Trial], None], kind: str = "steps", examples: float = 1.0) -> Check:
    return Check(run.__name__, run, LEVELS, kind=kind, examples=examples)  # type: ignore[arg-type]


REGISTRY = {
    c.name: c
    for c in (
        _check(steps), _check(missing_gradients, "missing", 0.5), _check(stopped, "stopped", 2.0),
        _check(tensor_lr, examples=0.5), _check(state_dict), _check(copies, examples=0.5),
        _check(evaluations, "limited"), _check(line_search), _check(errors, examples=0.25),
    )
}  # fmt: skip


def lbfgs_cells(target: Target) -> Iterator[Cell]:
    """Every check in both dtypes, eagerly."""
    if target.mode == "eager":
        for check in REGISTRY.values():
            for dtype, level in check.levels.items():
                yield Cell("optimizer", "optim.LBFGS", "optim", check.name, target.device, target.mode, dtype, level)


def smaller(case: Case) -> Iterator[Case]:
    """One step instead of several."""
    parameters, count, *function = case.args
    if count > 1:
        yield Case((parameters, count - 1, *function), case.kwargs)


class LbfgsSession(OptimizerSession):
    """L-BFGS on one target."""

    checks = REGISTRY
    smaller = staticmethod(smaller)
    arguments = ("parameters", "steps", "a", "u", "c")

    def _trial(self, cell: Cell, case: Case, tally: Tally) -> Trial:
        dtype = DTYPES[cell.dtype]
        return Trial(rounded(case, dtype), dtype, self.target, tally, self.seed)
