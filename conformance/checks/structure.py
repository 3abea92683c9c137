"""The checks that are not a comparison of one call's numbers: types, promises, refusals."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from conformance.bridge import Bound, array, dtype_of, resolve, stays, tensor
from conformance.checks import forms
from conformance.checks.check import Evidence, Trial, Unsupported, check
from conformance.checks.wants import NO_DERIVATIVE, ONCE, forward_once, wants_gradients, wants_outputs
from conformance.compare import Mismatch, compare_exactly
from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES
from conformance.target import Target
from reference.derive import Call
from reference.rule import Raises, Rule, is_inexact


def _both_passes(bound: Bound, gs: list[torch.Tensor]) -> list[Any]:
    """All outputs of one call, and the gradients under the cotangents."""
    xs = forms.leaves(bound.xs)
    outs = bound.outputs(*xs)
    return [*outs, *(torch.autograd.grad([outs[i] for i in bound.ys], xs, gs) if xs else [])]


def _cotangents(trial: Trial, bound: Bound) -> list[torch.Tensor]:
    o = bound.oracle
    return [tensor(o.cotangents[i], o.dtype, trial.place) for i in o.ys if o.xs]


@check("unchanged", ONCE)
def unchanged(trial: Trial) -> None:
    """Forward and backward leave inputs and cotangents as they were, bit for bit."""
    bound = trial.bound()
    gs = _cotangents(trial, bound)
    frozen = set(trial.rule.mutates)
    kept = [(path[0], t) for path, t in zip(bound.oracle.call.paths, bound.tensors) if path[0] not in frozen]
    before = [array(t).copy() for _, t in kept] + [array(g).copy() for g in gs]
    _both_passes(bound, gs)
    after = [(str(name), t) for name, t in kept] + [("the cotangent", g) for g in gs]
    for (name, t), old in zip(after, before):
        compare_exactly(f"{name} after forward and backward", array(t), old, trial.tally)


@check("repeat", {"float32": 3, "float64": 3}, regime="large")
def repeat(trial: Trial) -> None:
    """The same call gives the same bits, value and gradients, at a size at which threads race.

    Under torch.use_deterministic_algorithms, as documented: without it some ops may add up in any order.
    """
    runs = []
    with _threads(max(2, torch.get_num_threads())), _deterministic():
        for _ in range(2):
            bound = trial.bound()
            runs.append([array(t).copy() for t in _both_passes(bound, _cotangents(trial, bound))])
    for i, (first, second) in enumerate(zip(*runs)):
        compare_exactly(f"result {i} of a second run", second, first, trial.tally)


@check("errors", {"float32": 2}, needs=lambda r, t: None if r.errors else "no illegal call is declared")
def errors(trial: Trial) -> None:
    """Illegal calls raise, with the right type of exception."""
    assert trial.rule.errors is not None
    for case, expected in trial.rule.errors(SeededDraw(f"{trial.rule.name}/errors/{trial.index}")):
        args = [_to_torch(trial, v) for v in case.args]
        kwargs = {k: _to_torch(trial, v) for k, v in case.kwargs.items()}
        trial.tally.comparisons += 1
        trial.tally.elements += 1
        try:
            out = trial.bound().function(*args, **kwargs)
        except expected:
            continue
        except Exception as error:
            raise Mismatch(
                f"{_shown(case)}: raised {type(error).__name__} ({str(error).splitlines()[0][:120]}),"
                f" expected {_names(expected)}"
            ) from error
        raise Mismatch(f"{_shown(case)}: returned {_brief(out)}, expected {_names(expected)}")


def _names(expected: Raises) -> str:
    kinds = expected if isinstance(expected, tuple) else (expected,)
    return " or ".join(kind.__name__ for kind in kinds)


def _to_torch(trial: Trial, value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return tensor(np.asarray(value), trial.oracle.dtype, trial.place)
    if isinstance(value, (list, tuple)):
        return type(value)(_to_torch(trial, v) for v in value)
    return value


def _shown(case: Any) -> str:
    def one(v: Any) -> str:
        return f"tensor{tuple(v.shape)}" if isinstance(v, np.ndarray) else repr(v)

    return f"({', '.join([*map(one, case.args), *(f'{k}={one(v)}' for k, v in case.kwargs.items())])})"


def _brief(out: Any) -> str:
    return f"a tensor of shape {tuple(out.shape)}" if isinstance(out, torch.Tensor) else f"a {type(out).__name__}"


@check("meta", {"float32": 2, "bfloat16": 3, "complex64": 3})
def meta(trial: Trial) -> None:
    """On the meta device: the shapes and dtypes of the real outputs."""
    bound = trial.bound()
    real = bound.outputs(*bound.xs)
    bound = trial.bound()
    bound.change(lambda t: t if stays(trial.rule, "i" if t.dtype == torch.int64 else "f") else t.to("meta"))
    with _without_values():
        shadows = bound.outputs(*bound.xs)
    _same_form(trial, shadows, real, "meta", strides=False)


@check("fake", {"float32": 3, "bfloat16": 3, "complex64": 3})
def fake(trial: Trial) -> None:
    """Under fake tensors: the shapes, dtypes and devices of the real outputs."""
    try:
        from torch._subclasses.fake_tensor import FakeTensorMode
    except ImportError as error:
        raise Unsupported("this torch has no fake tensors") from error
    bound = trial.bound()
    real = bound.outputs(*bound.xs)
    bound = trial.bound()
    mode = FakeTensorMode()
    bound.change(mode.from_tensor)
    with mode, _without_values():
        shadows = bound.outputs(*bound.xs)
    _same_form(trial, shadows, real, "fake", strides=False)
    for shadow, t in zip(shadows, real):
        if shadow.device != t.device:
            raise Mismatch(f"fake output on {shadow.device}, really on {t.device}")


@contextlib.contextmanager
def _without_values() -> Iterator[None]:
    """Where an op asks for the values of tensors that have none, the check says nothing of it."""
    try:
        yield
    except Exception as error:
        asked = type(error).__name__ in ("DynamicOutputShapeException", "DataDependentOutputException")
        if asked or "meta tensor" in str(error) or "it's on meta" in str(error):
            raise Unsupported(f"what it does depends on values: {str(error).splitlines()[0]}") from error
        raise


def _same_form(trial: Trial, shadows: list[Any], real: list[Any], what: str, strides: bool) -> None:
    if len(shadows) != len(real):
        raise Mismatch(f"{len(shadows)} {what} outputs, really {len(real)}")
    for shadow, t in zip(shadows, real):
        trial.tally.comparisons += 1
        trial.tally.elements += 1
        if shadow.shape != t.shape or shadow.dtype != t.dtype:
            raise Mismatch(f"{what} output {tuple(shadow.shape)} {shadow.dtype}, really {tuple(t.shape)} {t.dtype}")


SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)


@check(
    "special", {"float64": 2, "float32": 2, "bfloat16": 3, "float16": 3},
    needs=lambda r, t: None if r.special else "the rule does not state what infinities and nans give",
)  # fmt: skip
def special(trial: Trial) -> None:
    """nan, infinities, signed zeros and subnormal numbers give what the formula gives."""
    oracle = trial.oracle
    rng = np.random.default_rng(trial.index)
    subnormal = oracle.dtype.smallest * 3
    arrays = []
    for a in oracle.arrays:
        if is_inexact(a) and a.dtype.kind == "f" and a.size:
            mask = rng.random(a.shape) < 0.5
            made = np.where(mask, rng.choice([*SPECIAL, subnormal], a.shape), a)
            # one subnormal number: the product of two is 0 in torch alone, and 0 times infinity no number
            again = np.cumsum(made == subnormal).reshape(made.shape) > 1
            arrays.append(np.where(again & (made == subnormal), a, made))
        else:
            arrays.append(a)
    changed = trial.oracle_for(Call(trial.rule, oracle.call.replaced(arrays)), trial.dtype)
    bound = trial.bound(oracle=changed)
    bound.places = []  # values only: no input is differentiable here
    outs = bound.outputs()
    trial.evidence = Evidence(forms.value, bound, wants_outputs(changed))
    for i, found in enumerate(outs):
        if len(outs) == 1 or i in changed.ys:  # which of several nans an index beside a value names is open
            trial.match(found, ("output", changed.value, i), signed_zero=trial.rule.special == "ieee")


@check(
    "parallel",
    {"float32": 3, "float64": 3, "bfloat16": 3, "complex64": 3},
    regime="large",
)
def parallel(trial: Trial) -> None:
    """Past the size at which kernels go parallel, on more than one thread: value and gradients."""
    if max(a.size for a in trial.call.arrays) < 2**15:
        raise Unsupported("no case of this op is that large")
    with _threads(max(2, torch.get_num_threads())):
        bound = trial.bound()
        o = bound.oracle
        trial.run(forms.value_and_vjp, bound, [*wants_outputs(o), *wants_gradients(o)])


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_bfloat16(trial: Trial) -> list[Call]:
    """What bfloat16 leaves of the call."""
    return [Call(trial.rule, trial.call.replaced(trial.oracle_for(trial.call, "bfloat16").arrays))]


@check("autocast", {"float32": 2}, applies=forward_once, absent=NO_DERIVATIVE, makes=_in_bfloat16)
def autocast(trial: Trial) -> None:
    """Under autocast to bfloat16: right to the precision of the dtype that comes out."""
    exact = trial.oracle_for(trial.call, "bfloat16")
    [call] = _in_bfloat16(trial)
    wide = trial.oracle_for(call, "float32")
    wide.cotangents = exact.cotangents
    bound = trial.bound(oracle=wide)
    with torch.autocast(trial.place.type, dtype=torch.bfloat16):
        xs = forms.leaves(bound.xs)
        outs = bound(*xs)
    lowered = any(o.dtype == torch.bfloat16 for o in outs)
    oracle = exact if lowered else wide
    wants = wants_outputs(oracle)
    for found, want in zip(outs, wants):
        if found.dtype not in (torch.bfloat16, torch.float32):
            raise Mismatch(f"{want[0]}: dtype {found.dtype} under autocast")
        trial.match(found, want, exact_dtype=False)
    gs = [tensor(wide.cotangents[i], wide.dtype, trial.place).to(o.dtype) for i, o in zip(wide.ys, outs)]
    gradients = oracle.vjp_under(exact.cotangents)
    for found, want in zip(torch.autograd.grad(outs, xs, gs), wants_gradients(oracle, gradients)):
        if found.dtype != torch.float32:
            raise Mismatch(f"{want[0]}: dtype {found.dtype}, expected that of the leaf, torch.float32")
        trial.match(found, want, exact_dtype=False)


def _documented_promotion(rule: Rule, target: Target) -> str | None:
    doc = getattr(resolve(rule.name), "__doc__", None) or ""
    return None if "type promotion" in doc else "the documentation promises no type promotion"


def _several_floats(trial: Trial) -> bool:
    return sum(map(is_inexact, trial.call.arrays)) > 1


@check(
    "promotion", {"float32": 2, "bfloat16": 3}, needs=_documented_promotion, applies=_several_floats,
    absent="no case has two floating tensors",
)  # fmt: skip
def promotion(trial: Trial) -> None:
    """Operands of two dtypes: the result has the wider one (0-d tensors do not widen), each gradient its input's."""
    narrow, wide = DTYPES[trial.dtype], DTYPES["float64" if trial.dtype == "float32" else "float32"]
    places = [i for i, a in enumerate(trial.call.arrays) if is_inexact(a)]
    dtypes = {i: narrow if k % 2 == 0 else wide for k, i in enumerate(places)}
    arrays = [dtypes[i].round(a) if i in dtypes else a for i, a in enumerate(trial.call.arrays)]
    ranks = {d: max(arrays[i].ndim > 0 for i in places if dtypes[i] is d) for d in (narrow, wide)}
    result = wide if ranks[wide] >= ranks[narrow] else narrow
    oracle = trial.oracle_for(Call(trial.rule, trial.call.replaced(arrays)), result.name)
    bound = trial.bound(oracle=oracle)
    bound.tensors = [tensor(a, dtypes.get(i), trial.place) for i, a in enumerate(arrays)]
    both = _both_passes(bound, _cotangents(trial, bound))
    outs, grads = both[: len(oracle.outs)], both[len(oracle.outs) :]
    for i, want in zip(bound.ys, wants_outputs(oracle)):
        trial.match(outs[i], want)
    # a gradient passes through the result's dtype and its own: the coarser one says how far off it may be
    allowed = copy.copy(oracle.vjp)
    allowed.dtypes = [result if result is narrow else dtypes[i] for i in oracle.xs]
    for found, place, want in zip(grads, oracle.xs, wants_gradients(oracle, allowed)):
        if found.dtype != dtype_of(dtypes[place].name):
            raise Mismatch(f"{want[0]}: dtype {found.dtype}, expected that of its input, torch.{dtypes[place].name}")
        trial.match(found, want, exact_dtype=False)


def _accelerator(rule: Rule, target: Target) -> str | None:
    return "the CPU has nothing to fall back to" if target.device == "cpu" else None


@check("fallback", {"float32": 1}, needs=_accelerator, applies=forward_once)
def fallback(trial: Trial) -> None:
    """Nothing is computed on the CPU behind the caller's back."""
    from torch.profiler import ProfilerActivity, profile

    bound = trial.bound()
    o = bound.oracle
    xs = forms.leaves(bound.xs)
    gs = [tensor(o.cotangents[i], o.dtype, trial.place) for i in o.ys]
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        outs = bound(*xs)
        grads = torch.autograd.grad(outs, xs, gs)
    names = {event.key for event in seen.key_averages()}
    copies = sorted(n for n in names if n in ("aten::_to_cpu", "aten::_copy_from_and_resize"))
    trial.tally.comparisons += 1
    trial.tally.elements += 1
    if copies:
        raise Mismatch(f"fell back to the CPU ({', '.join(copies)} ran)")
    for what, t in [*(("output", t) for t in outs), *(("gradient", t) for t in grads)]:
        if t.device.type != trial.place.type:
            raise Mismatch(f"{what} on {t.device}, expected on {trial.place}")
