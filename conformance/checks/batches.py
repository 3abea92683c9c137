"""The checks of torch.vmap: a case and half of it side by side."""

from __future__ import annotations

from conformance.checks import forms
from conformance.checks.check import REGISTRY, Check, Trial, Unsupported
from conformance.checks.wants import NO_DERIVATIVE, ONCE, forward_once, wants_gradients, wants_outputs
from conformance.compare import Mismatch
from conformance.oracle import Oracle
from reference.derive import Call
from reference.rule import is_inexact


def _and_half(trial: Trial) -> list[Call]:
    """The call, and another with every other differentiable input halved (exact in binary)."""
    o = trial.oracle
    halved = set(_batched(o)[::2])
    arrays = [a / 2 if i in halved else a for i, a in enumerate(o.arrays)]
    return [trial.call, Call(trial.rule, o.call.replaced(arrays))]


def _with_half(trial: Trial) -> list[Oracle]:
    """The oracles of both."""
    o, other = [trial.oracle_for(call, trial.dtype) for call in _and_half(trial)]
    if other.xs != o.xs or any(a.shape != b.shape for a, b in zip(o.outs, other.outs)):
        raise Unsupported("the outputs' shape depends on the values")
    other.cotangents = o.cotangents
    return [o, other]


def _batched(o: Oracle) -> list[int]:
    """The places of the inputs that a batch may hold: the differentiable ones, else those of floating numbers."""
    return o.xs or [i for i, a in enumerate(o.arrays) if is_inexact(a)]


def _vmap(trial: Trial) -> None:
    """torch.vmap over a batch of two, every other input shared."""
    bound = trial.bound()
    bound.places = _batched(trial.oracle)
    trial.run(forms.vmap, bound, [w for o in _with_half(trial) for w in wants_outputs(o)])


def _vmap_vjp(trial: Trial) -> None:
    """torch.vmap over torch.func.vjp: gradients per sample."""
    first, second = _with_half(trial)
    own, other = wants_gradients(first), wants_gradients(second, second.vjp_under(first.cotangents))
    try:
        trial.run(forms.vmap_vjp, trial.bound(), [*own, *other])
    except Mismatch:
        # a case keeps away from kinks; half of it was not drawn, so it may turn on how a dtype rounds
        of_half = trial.evidence is not None and trial.evidence.place >= len(own)
        if of_half and second.jumps(first.cotangents):
            raise Unsupported("half of the case is nearer to a kink than rounding") from None
        raise


REGISTRY["vmap"] = Check(
    "vmap", _vmap, ONCE, applies=lambda trial: bool(_batched(trial.oracle)), makes=_and_half
)  # fmt: skip
REGISTRY["vmap_vjp"] = Check(
    "vmap_vjp", _vmap_vjp, ONCE, applies=forward_once, absent=NO_DERIVATIVE, makes=_and_half
)  # fmt: skip
