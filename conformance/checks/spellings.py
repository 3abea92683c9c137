"""The checks of other ways to write a call: aliases, methods, in place, and out=."""

from __future__ import annotations

from conformance.bridge import Spelling, resolve
from conformance.checks import forms
from conformance.checks.check import REGISTRY, Check, Trial, Unsupported, changing, spelled
from conformance.checks.wants import ONCE, wants_gradients, wants_outputs
from conformance.gauges import GAUGES
from reference.rule import Rule, is_array


def documented_out(rule: Rule) -> bool:
    """Whether the documentation promises ``out=``."""
    doc = getattr(resolve(rule.name), "__doc__", None) or ""
    return "out=None" in doc.split("\n\n")[0] or "out (Tensor" in doc or "out (tuple" in doc


def spellings(rule: Rule) -> list[Spelling]:
    """Every other way to write the call: aliases, the method, a method's alias."""
    paths = [*rule.aliases]
    if rule.method and "." not in rule.name:
        paths.append(f"Tensor.{rule.name}")
    return [spelled(rule, p) for p in paths if callable(resolve(p))]  # an attribute is none: its __get__ is


def in_place(rule: Rule) -> dict[str, Spelling]:
    """The in-place methods by name."""
    if rule.name.endswith("_") and not rule.name.endswith("__"):
        return {rule.name: changing(rule.name)}
    if not rule.method:
        return {}
    plain = [n for n in (rule.name.removeprefix("nn.functional."), *rule.aliases) if "." not in n]
    methods = {n: f"Tensor.{n}_" for n in plain if resolve(f"Tensor.{n}_") is not None}
    return {n: changing(method) for n, method in methods.items()}


def _spellings(trial: Trial) -> None:
    """Every alias and method gives the same values and gradients."""
    for spelling in spellings(trial.rule):
        if ".Tensor." in spelling.text + spelling.preamble and not _starts_with_a_tensor(trial):
            continue
        bound = trial.bound(spelling)
        o = bound.oracle
        trial.run(forms.value_and_vjp, bound, [*wants_outputs(o), *wants_gradients(o)])


def _inplace(trial: Trial) -> None:
    """The in-place method and its aliases: values, gradients, and the version counter."""
    for spelling in in_place(trial.rule).values():
        bound = trial.bound(spelling)
        o = bound.oracle
        trial.run(forms.value_and_vjp, bound, [*wants_outputs(o), *wants_gradients(o)])


def _starts_with_a_tensor(trial: Trial) -> bool:
    args = trial.call.case.args
    return bool(args) and is_array(args[0])


def _fits_in_place(trial: Trial) -> bool:
    o = trial.oracle
    if not (_starts_with_a_tensor(trial) and 0 in (o.xs or [0]) and len(o.outs) == 1):
        return False
    first = o.call.arrays[0]
    return bool(o.outs[0].shape == first.shape and o.outs[0].dtype == first.dtype)


_OUT = """def with_out(*args, **kwargs):
    plain = {path}(*args, **kwargs)
    many = isinstance(plain, tuple)
    for strided in (False, True):
        # filled with a value that must not survive, contiguous and with gaps
        outs = [torch.full([2 * n for n in p.shape] if strided else p.shape, 77, dtype=p.dtype, device=p.device)
                for p in (plain if many else [plain])]
        outs = [o[tuple(slice(None, None, 2) for _ in o.shape)] if strided else o for o in outs]
        {path}(*args, **kwargs, out=tuple(outs) if many else outs[0])
    return {fixed}(tuple(outs) if many else outs[0])"""


def _out(trial: Trial) -> None:
    """``out=`` writes the values into the tensor given, contiguous or strided."""
    gauge = trial.rule.gauge
    text = _OUT.format(path=f"torch.{trial.rule.name}", fixed="fixed" if gauge else "")
    bound = trial.bound(Spelling("with_out", f"{GAUGES[gauge]}\n{text}" if gauge else text))
    if not bound.oracle.ys:
        raise Unsupported("no output has a floating dtype")
    try:
        trial.run(forms.value, bound, wants_outputs(bound.oracle))
    except TypeError as error:
        raise Unsupported("this overload takes no out=") from error


REGISTRY["spellings"] = Check(
    "spellings", _spellings, ONCE,
    needs=lambda rule, target: None if spellings(rule) else "the op has one spelling",
)  # fmt: skip
REGISTRY["inplace"] = Check(
    "inplace", _inplace, ONCE, applies=_fits_in_place, absent="no case's result fits in its first argument",
    needs=lambda rule, target: None if in_place(rule) else "the op has no in-place method",
)  # fmt: skip
REGISTRY["out"] = Check(
    "out", _out, ONCE,
    needs=lambda rule, target: None if documented_out(rule) else "the documentation promises no out=",
)  # fmt: skip
