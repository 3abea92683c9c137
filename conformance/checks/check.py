"""What a check is, and the trial that it is given."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from conformance.bridge import Bound, Spelling, array, tensor
from conformance.compare import Mismatch, Tally, compare
from conformance.gauges import GAUGES
from conformance.oracle import Oracle
from conformance.target import Target
from conformance.tolerance import Quantity
from reference.derive import Call
from reference.rule import Rule


class Unsupported(Exception):
    """The subject, dtype or device does not have what the check is about; the text says what."""


# A want: what it is, in words, and the array of a Quantity that it must meet.
Want = tuple[str, Quantity, int]
Form = Callable[[Any, Any, Any, Any, Any], list[torch.Tensor]]


@dataclasses.dataclass
class Evidence:
    """What a reproduction script needs to know of a comparison: which form, on which call, expecting what."""

    form: Form
    bound: Bound
    wants: Sequence[Want]
    place: int = 0


@dataclasses.dataclass
class Clock:
    """Seconds by stage, for the profile of a run."""

    stages: dict[str, float] = dataclasses.field(default_factory=dict)

    def add(self, stage: str, since: float) -> float:
        """Book the time since `since` on a stage; returns now."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - since
        return now


@dataclasses.dataclass
class Trial:
    """One check on one case in one dtype on one target."""

    rule: Rule
    target: Target
    dtype: str
    call: Call
    oracle_for: Callable[[Call, str], Oracle]
    tally: Tally
    clock: Clock
    index: int = 0
    evidence: Evidence | None = None
    device: str | None = None
    # how the rule is called, where that depends on the case
    spell: Callable[[Call], Spelling] | None = None
    # where a check compares no numbers: the script that shows its failure
    script: str = ""
    # told of the evidence before torch runs: the search for the case that kills a worker listens here
    announce: Callable[[Trial], None] | None = None

    @property
    def oracle(self) -> Oracle:
        return self.oracle_for(self.call, self.dtype)

    @property
    def place(self) -> torch.device:
        return self.target.torch_device

    def bound(self, spelling: Spelling | None = None, oracle: Oracle | None = None) -> Bound:
        """The call in torch, in the rule's own spelling or another."""
        own = self.spell(self.call) if self.spell else plain(self.rule)
        return Bound(spelling or own, oracle or self.oracle, self.place)

    def run(self, form: Form, bound: Bound, wants: Sequence[Want], written: bool = False) -> None:
        """Run a form on a bound call and compare everything that it returns with the wants.

        With `written` the form gets a plain function, as a user would write it: what a compiler sees.
        """
        self.evidence = Evidence(form, bound, wants)
        if self.announce:
            self.announce(self)
        oracle = bound.oracle
        xs = bound.xs
        reads = arguments_read(form)

        def made(arrays: Sequence[Any], places: Sequence[int]) -> list[torch.Tensor]:
            return [tensor(arrays[i], oracle.dtype, self.place) for i in places]

        gs = made(oracle.cotangents, oracle.ys) if "gs" in reads else []
        gs = [bound.layout(g) for g in gs] if bound.layout else gs
        vs = made(oracle.tangents, oracle.xs) if "vs" in reads else []
        us = made(oracle.others, oracle.xs) if "us" in reads else []
        since = time.perf_counter()
        try:
            got = form(bound.written() if written else bound, xs, gs, vs, us)
        finally:
            since = self.clock.add("torch", since)
        if len(got) != len(wants):
            raise Mismatch(f"{len(got)} results, expected {len(wants)}")
        for place, (found, want) in enumerate(zip(got, wants)):
            self.evidence.place = place
            self.match(found, want)
        self.clock.add("compare", since)

    def match(self, found: Any, want: Want, exact_dtype: bool = True, signed_zero: bool = False) -> None:
        """Compare one tensor with what is wanted: its type, device, dtype, shape and numbers."""
        what, quantity, i = want
        if not isinstance(found, torch.Tensor):
            raise Mismatch(f"{what}: a {type(found).__name__} where a tensor was expected")
        self.device = str(found.device)
        if found.device.type != self.place.type:
            raise Mismatch(f"{what}: on {found.device}, expected on {self.place}")
        dtype = quantity.dtypes[i]
        expected = np.asarray(quantity.wants[i]).dtype.name if dtype is None else dtype.name
        if exact_dtype and str(found.dtype) != f"torch.{expected}":
            raise Mismatch(f"{what}: dtype {found.dtype}, expected torch.{expected}")
        compare(what, array(found), quantity, i, self.tally, signed_zero)


@dataclasses.dataclass(frozen=True)
class Check:
    """A property of an op.

    levels   the lowest level at which it runs, for each dtype; dtypes that are missing never run
    regime   the sizes of its cases (see reference.draw)
    modes    the execution modes in which it makes sense
    needs    the capability: a reason why this rule on this target cannot have it, or None
    applies  whether a case exercises it; `absent` is the reason given where no case does
    makes    the calls that it makes of a case, where that is not the call itself: a known deviation may be of those
    """

    name: str
    run: Callable[[Trial], None]
    levels: Mapping[str, int]
    regime: str = "typical"
    modes: tuple[str, ...] = ("eager",)
    needs: Callable[[Rule, Target], str | None] | None = None
    applies: Callable[[Trial], bool] | None = None
    absent: str = "no case of this op exercises it"
    makes: Callable[[Trial], list[Call]] | None = None

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").strip().split("\n")[0]


REGISTRY: dict[str, Check] = {}


def check(name: str, levels: Mapping[str, int], **options: Any) -> Callable[[Callable[[Trial], None]], Check]:
    """Register the decorated function as a check of ops. See Check for the options."""

    def register(run: Callable[[Trial], None]) -> Check:
        made = REGISTRY[name] = Check(name, run, levels, **options)
        return made

    return register


@functools.cache
def arguments_read(form: Form) -> frozenset[str]:
    """The names that a form's body reads: directions that it does not read are not made."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(form)))
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name))


@functools.cache
def plain(rule: Rule) -> Spelling:
    """The rule's own torch path."""
    return spelled(rule, rule.name)


def spelled(rule: Rule, path: str) -> Spelling:
    """A torch path of the rule.

    Derivatives along other matrices than the op is meant for are projected away, and what its outputs are unique
    up to is settled.
    """
    if path.endswith("_") and not path.endswith("__"):
        return changing(path, counted=False)  # a batch under vmap counts no versions
    text, preamble = f"torch.{path}", []
    if rule.structure:
        preamble.append(_PROJECTED[rule.structure].format(path=text))
        text = "projected"
    if rule.gauge:
        preamble += [GAUGES[rule.gauge], _GAUGED.format(path=text)]
        text = "gauged"
    return Spelling(text, "\n".join(preamble))


_GAUGED = """def gauged(*args, **kwargs):
    return fixed({path}(*args, **kwargs))"""


def changing(path: str, counted: bool = True) -> Spelling:
    """An in-place method, applied to a copy of the first argument, which it must return."""
    return Spelling(
        "inplace",
        "def inplace(x, *args, **kwargs):\n    y = x.clone()\n    version = y._version\n"
        f"    out = torch.{path}(y, *args, **kwargs)\n"
        "    assert out is y, 'the in-place method returned another tensor'\n"
        + (
            "    assert y._version > version or torch.equal(y.detach(), x.detach()), 'its version was not counted'\n"
            if counted
            else ""
        )
        + "    return out",
    )


_PROJECTED = {
    "hermitian": """def projected(A, *args, **kwargs):
    # the values of A as they are, its derivatives made Hermitian
    other = (A.mH - A) / 2
    return {path}(A + (other - other.detach()), *args, **kwargs)""",
    "optional": """def projected(A, *args, **kwargs):
    # the values of A as they are, its derivatives made Hermitian where it is meant to be
    other = (A.mH - A) / 2 if kwargs.get("hermitian") else A * 0
    return {path}(A + (other - other.detach()), *args, **kwargs)""",
    "triangular second": """def projected(B, L, upper=False):
    # the values of L as they are, its derivatives made triangular
    return {path}(B, torch.triu(L) if upper else torch.tril(L), upper)""",
    "triangular": """def projected(L, upper=False):
    # the values of L as they are, its derivatives made triangular
    return {path}(torch.triu(L) if upper else torch.tril(L), upper)""",
}


# Phrases by which torch says that it does not have something, rather than that it failed.
_CAPABILITY = re.compile(
    r"not implemented for|is not implemented|not yet implemented|not supported|does ?n[o']t support|unsupported"
    r"|not currently supported|isn't supported|do(n't| not) yet support|only supports|support (is )?only"
    r"|only tensors of floating point|not compiled with"
    r"|derivative for .* is not|Batching rule not implemented|vmap: .*(data-dependent|dynamic|in-place|\.item\(\))"
    r"|Expected all (in|out)puts to be real|data-dependent|were not batched|does not have a deterministic"
    r"|no kernel|Could not run|DynamicOutputShape|data is not allocated yet|in randomness error mode"
    r"|have a batching rule|(expected|supports) .* (but got|to be) .*(half|bfloat)"
    r"|handle types other than|expected a tensor .* of float, double|must override the setup_context"
    r"|Expected floating point type for result tensor",
    re.IGNORECASE,
)


def capability_reason(error: BaseException) -> str | None:
    """The first line of an error that says "I do not have this"; None for any other error."""
    if not isinstance(error, (NotImplementedError, RuntimeError, TypeError, ValueError)):
        return None
    text = str(error).strip().split("\n")[0]
    if isinstance(error, NotImplementedError) or _CAPABILITY.search(text):
        return text[:300] or type(error).__name__
    return None


def missing_keyword(error: BaseException, trial: Trial) -> str | None:
    """The line by which torch's function says that it does not know a keyword of the case, as older releases do."""
    name = re.escape(trial.rule.name.rsplit(".", 1)[-1])
    told = re.search(rf"\b{name}\(\) got an unexpected keyword argument '(\w+)'", str(error))
    return told[0] if told and told[1] in trial.call.case.kwargs else None
