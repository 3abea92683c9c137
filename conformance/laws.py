"""Random functions against their laws: distribution, moments, independence, the seed, the gradient through a draw.

Seeds are fixed, so that a run gives the same verdict each time; were they not, each test would call a right
torch wrong once in 1e9 times (reference.laws).
"""

from __future__ import annotations

import inspect
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from conformance.bridge import array, convert, dtype_of, resolve, tensor
from conformance.cells import Cell
from conformance.checks.check import Clock, capability_reason
from conformance.dtypes import DTYPES, Dtype
from conformance.journal import failure
from conformance.session import Options, Result
from conformance.target import Target, holds, synchronize
from conformance.tolerance import K
from reference import init, laws
from reference.laws import Setting, Wrong

LAWS = {**laws.LAWS, **init.LAWS}

LEVELS = {"float32": 2, "float64": 3, "bfloat16": 3, "float16": 3}
# Numbers in a sample by level: an error of a law of 2 % shows in the first, of 0.3 % in the last.
NUMBERS = {1: 20_000, 2: 20_000, 3: 50_000, 4: 1_000_000}
SMALL = 97  # numbers in a sample whose every element is looked at


def first(out: Any) -> torch.Tensor:
    """The numbers that a call has drawn: its output, or the first of several."""
    made: torch.Tensor = out[0] if isinstance(out, tuple) else out
    return made


class Draws:
    """The calls of one setting."""

    def __init__(self, subject: str, setting: Setting, dtype: Dtype, target: Target):
        self.subject, self.setting, self.dtype, self.device = subject, setting, dtype, target.torch_device
        self.function: Callable[..., Any] = resolve(subject)

    def arguments(self, n: int) -> tuple[list[Any], dict[str, Any]]:
        args = convert(list(self.setting.args(n)), self.dtype, self.device)
        kwargs = dict(self.setting.kwargs)
        if self.setting.factory:
            kwargs |= {"dtype": dtype_of(self.dtype.name), "device": self.device}
        return args, kwargs

    def draw(self, n: int, seed: int, **more: Any) -> torch.Tensor:
        """One call after torch.manual_seed; the first output of several."""
        args, kwargs = self.arguments(n)
        torch.manual_seed(seed)
        return first(self.function(*args, **kwargs, **more))

    def call(self, n: int) -> str:
        """The call as Python."""
        args, kwargs = self.arguments(n)
        words = [*map(_word, args), *(f"{k}={_word(v)}" for k, v in kwargs.items())]
        return f"torch.{self.subject}({', '.join(words)})"

    def sample(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Independent numbers, and how far rounding to the dtype may have moved each."""
        y = self.setting.numbers(array(self.draw(n, seed)).astype(np.float64))
        return y, self.dtype.eps * (np.abs(y) + self.dtype.smallest)


# What a check found: "" where all is right, None where it does not apply, else what is wrong.
Found = Wrong | str | None


def distribution(d: Draws, n: int, seed: int) -> Found:
    """Every number is in the support, and their distribution function is the documented one."""
    law = d.setting.of(n)
    if d.setting.whole is not None and not d.setting.whole(array(d.draw(n, seed)), d.dtype.eps):
        return "the numbers do not fit together"
    if law is None:
        return "" if d.setting.whole is not None else None
    y, room = d.sample(n, seed)
    largest = d.dtype.largest
    low, high = law.upto(np.array([-largest, largest]))
    if low + (1.0 - high) > laws.ERROR_RATE:  # the law goes beyond the dtype's range
        y, room = np.clip(y, -largest, largest), np.minimum(room, d.dtype.eps * largest)
    if not np.isfinite(y).all():
        return f"{int((~np.isfinite(y)).sum())} of {y.size} numbers are not finite"
    return laws.off_support(y, law, room) or laws.off_distribution(y, law, room) or ""


def moments(d: Draws, n: int, seed: int) -> Found:
    """Mean and variance are the documented ones."""
    law = d.setting.of(n)
    if law is None or not np.isfinite(law.mean):
        return None
    y, room = d.sample(n, seed)
    return laws.off_moments(y, law, room) or ""


def independence(d: Draws, n: int, seed: int) -> Found:
    """Neighbours are not correlated, nor is a second call with the first."""
    if d.setting.law is None:
        return None
    y, _ = d.sample(n, seed)
    args, kwargs = d.arguments(n)
    out = first(d.function(*args, **kwargs))  # goes on from where the sample ended
    second = d.setting.numbers(array(out).astype(np.float64))
    n = min(y.size, second.size)  # a sample may leave out zeros
    wrong = laws.off_independence(np.stack([y[:n], second[:n]], axis=1).ravel())
    return laws.off_independence(y) or (f"a call and the next: {wrong.text}" if wrong else "")


def seed(d: Draws, n: int, seed: int) -> Found:
    """The same seed gives the same numbers, another one others; a generator is used and the global one left alone."""
    first, again, other = (array(d.draw(SMALL, s)) for s in (seed, seed, seed + 1))
    if not np.array_equal(first, again):
        return "the same seed gives other numbers"
    if np.array_equal(first, other):
        return "another seed gives the same numbers"
    if not d.setting.factory and not _takes_generator(d.subject):
        return ""
    made = [torch.Generator(device=d.device) for _ in range(2)]
    torch.manual_seed(seed)
    before = torch.get_rng_state() if d.device.type == "cpu" else None
    drawn = []
    for generator in made:
        generator.manual_seed(seed)
        args, kwargs = d.arguments(SMALL)
        drawn.append(array(d.function(*args, **kwargs, generator=generator)))
    if not np.array_equal(drawn[0], drawn[1]):
        return "two generators of one seed give different numbers"
    if before is not None and not torch.equal(before, torch.get_rng_state()):
        return "a call with a generator moves the global one"
    return ""


def gradient(d: Draws, n: int, seed: int) -> Found:
    """The gradient is that of the same draw."""
    if d.setting.gradient is None:
        return None
    args, kwargs = d.arguments(SMALL)
    rng = np.random.default_rng(seed)
    x, g = (_direction(rng, args[0].shape, d) for _ in range(2))
    args[0] = x.requires_grad_()
    torch.manual_seed(seed)
    y = first(d.function(*args, **kwargs))
    (got,) = torch.autograd.grad(y, x, g)
    want = d.setting.gradient(array(x), array(y), array(g))
    # the draw is read off the rounded output
    allowed = K * d.dtype.eps * (np.abs(want) + np.abs(array(g)))
    error = np.abs(array(got) - want)
    if (error <= allowed).all():
        return ""
    place = np.unravel_index(int(np.argmax(error / allowed)), error.shape)
    where = ", ".join(map(str, place))
    found, wanted, drawn = (float(a[place]) for a in (array(got), want, array(y)))
    return f"gradient[{where}]: got {found!r}, want {wanted!r} for the draw {drawn!r}"


def _direction(rng: np.random.Generator, shape: Any, d: Draws) -> torch.Tensor:
    u = rng.uniform(0.5, 1.5, tuple(shape)) * rng.choice([-1.0, 1.0], tuple(shape))
    return tensor(u, d.dtype, d.device)


def _takes_generator(subject: str) -> bool:
    function = resolve(subject)
    if inspect.isfunction(function):
        return "generator" in inspect.signature(function).parameters
    return "generator=" in (getattr(function, "__doc__", None) or "").split("\n\n")[0]


CHECKS: dict[str, Callable[[Draws, int, int], Found]] = {
    f.__name__: f for f in (distribution, moments, independence, seed, gradient)
}


def law_cells(target: Target) -> Iterator[Cell]:
    """Every check of every random function in every floating dtype, eagerly."""
    if target.mode == "eager":
        for subject in LAWS:
            for check in CHECKS:
                for dtype, level in LEVELS.items():
                    yield Cell("law", f"laws.{subject}", "laws", check, target.device, target.mode, dtype, level)


class LawSession:
    """One random function on one target."""

    def __init__(self, subject: str, target: Target, options: Options, clock: Clock):
        self.subject, self.target, self.options, self.clock = subject.removeprefix("laws."), target, options, clock
        self.n = NUMBERS[options.level]
        self.seed = zlib.crc32(f"{options.seed}/{subject}".encode()) & 0x7FFFFFFF

    def run(self, cell: Cell) -> Result:
        """The outcome of one cell: of all settings of the function, the first that is wrong."""
        if not holds(self.target.device, cell.dtype):
            return Result("unsupported", detail=f"{self.target.device} has no {cell.dtype}")
        if resolve(self.subject) is None:
            return Result("unsupported", detail=f"this torch has no torch.{self.subject}")
        started = time.perf_counter()
        result = self._outcome(cell)
        result.seconds, result.seed = time.perf_counter() - started, self.options.seed
        self.clock.add("torch", started)
        return result

    def _outcome(self, cell: Cell) -> Result:
        examples, missing = 0, "the check does not apply to this function"
        for setting in LAWS[self.subject]:
            draws = Draws(self.subject, setting, DTYPES[cell.dtype], self.target)
            state = torch.get_rng_state()
            try:
                wrong = CHECKS[cell.check](draws, self.n, self.seed)
                synchronize(self.target.torch_device)
            except Exception as error:
                reason = capability_reason(error)
                if reason is None:
                    return self._failed(cell, draws, f"{type(error).__name__}: {error}", "error")
                missing, wrong = reason, None
            finally:
                torch.set_rng_state(state)
            if wrong:
                return self._failed(cell, draws, wrong, "fail")
            examples += wrong is not None
        if not examples:
            return Result("unsupported", detail=missing)
        return Result("pass", examples, examples * self.n, self.target.device)

    def _failed(self, cell: Cell, draws: Draws, wrong: Wrong | str, outcome: str) -> Result:
        message = wrong if isinstance(wrong, str) else wrong.text
        script = self._script(cell, draws, wrong) if isinstance(wrong, Wrong) else ""
        told = failure(message, draws.call(4), script, shrunk=True)
        return Result(outcome, 1, detail=message[:400], failure=told)

    def _script(self, cell: Cell, draws: Draws, wrong: Wrong) -> str:
        return "\n".join(
            [
                f"# {cell.id}",
                "import sys, numpy as np, torch",
                f"torch.manual_seed({self.seed})",
                f"y = {draws.call(self.n)}",
                "y = (y[0] if isinstance(y, tuple) else y).double().cpu().numpy()",
                f"y = {draws.setting.sample}",
                f"got = {wrong.expression}",
                f"print('got', got, 'want', {wrong.want!r}, 'by chance', {wrong.limit!r})",
                f"sys.exit(1 if abs(got - {wrong.want!r}) > {wrong.limit!r} else 0)",
            ]
        )


def _word(value: Any) -> str:
    """An argument as Python; a tensor whose rows are alike by its first row."""
    if isinstance(value, torch.Tensor):
        made = f"dtype={value.dtype}, device={str(value.device)!r}"
        if value.numel() and bool((value == value.reshape(-1)[0]).all()):
            return f"torch.full({tuple(value.shape)}, {value.reshape(-1)[0].item()!r}, {made})"
        if value.dim() > 1 and bool((value == value[:1]).all()):
            return f"torch.tensor({value[:1].tolist()}, {made}).repeat({value.shape[0]}, 1)"
        return f"torch.tensor({value.tolist()}, {made})"
    return f"torch.device({str(value)!r})" if isinstance(value, torch.device) else repr(value)
