"""A rule's signature is torch's own, as far as torch tells it: names, order, defaults, keyword-only marks."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from conformance.bridge import resolve
from reference import rules
from reference.rule import Rule

POSITIONAL, KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
NONE = inspect.Parameter.empty

# What the installed torch does not tell about a rule, and why; anything else must agree.
UNTOLD = {
    "Tensor.where": "the schema is that of torch.where; the documentation gives (condition, y), whose name is `other`",
    "nonzero": "the schema has no as_tuple, which the Python binding adds",
    **dict.fromkeys(("Tensor.T.__get__", "Tensor.H.__get__", "Tensor.mT.__get__"), "an attribute: its getter"),
    **dict.fromkeys(
        ("dsplit", "hsplit", "vsplit", "tensor_split"),
        "the documentation gives indices_or_sections, the schemas of its overloads one of both",
    ),
    **dict.fromkeys(("eq", "ne"), "TorchScript registers comparisons of lists and numbers under the same name"),
    "Tensor.polygamma": "the schema begins with n, the method with its tensor",
    "Tensor.to": "overloads that begin with a dtype, a device or a tensor: one parameter stands for each",
    "split": "the function and the method name the size of a piece otherwise",
    "einsum": "takes *args; the documentation gives (equation, *operands)",
    **dict.fromkeys(
        ("rnn_tanh", "rnn_relu", "gru", "lstm"),
        "two overloads whose arguments stand in different places, padded and packed: *operands, or by name",
    ),
}
# Parameters in which a rule that merges overloads cannot be as each of them is, and what it does.
APART = {
    **{(n, "other"): "torch.max(a, b) binds b to `dim`, which takes an array too" for n in ("max", "min")},
    **{
        (n, "unbiased"): "None: not given, since `correction` says the same"
        for n in ("var", "std", "var_mean", "std_mean")
    },
    ("scatter", "value"): "torch.scatter(x, dim, index, 2.0) binds the number to `src`, which takes numbers too",
    ("sort", "reverse"): "a method of lists in TorchScript, registered under the same name",
    ("isin", "element"): "torch.isin(2.0, x) binds the number to `elements`, which takes numbers too",
    ("isin", "test_element"): "torch.isin(x, 2.0) binds the number to `test_elements`, which takes numbers too",
    ("round", "decimals"): "an overload of its own, in which it has no default",
    ("Tensor.contiguous", "memory_format"): "a member of an enumeration is None here",
    ("Tensor.view", "dtype"): "another function of the same name: bits read as another dtype have no derivative",
}

Parameter = tuple[str, Any, Any]  # name, kind, default


def of_rule(rule: Rule) -> list[Parameter]:
    return [(p.name, p.kind, plain(p.default)) for p in rule.signature.parameters.values()]


def plain(default: Any) -> Any:
    """A default in the form in which all of torch's sources can be compared: [1, 1] and 1, 2.0 and 2, [] and None."""
    if isinstance(default, (list, tuple)):
        return (plain(default[0]) if default else None) if len(set(default)) <= 1 else tuple(map(float, default))
    return float(default) if type(default) in (int, float) else default


def of_python(function: Any) -> list[Parameter] | None:
    """The signature of a function that is written in Python, its overloads by the dispatched one that has most."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    found = [(p.name, p.kind, plain(p.default)) for p in signature.parameters.values() if p.name != "out"]
    if [kind for _, kind, _ in found] == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]:
        closed = inspect.getclosurevars(function).nonlocals  # a boolean dispatch between two Python functions
        return of_python(closed["if_true"]) if "if_true" in closed else None
    return found


def schemas(name: str) -> Iterator[Any]:
    """The schemas of a builtin that take one at least, without out=."""
    last = name.rsplit(".", 1)[-1]
    group = name.split(".")[0]
    named = f"{group}_{last}" if group in ("linalg", "fft", "special") else last
    for path in dict.fromkeys((named, {"logsigmoid": "log_sigmoid"}.get(named, named))):
        try:
            found = torch._C._jit_get_schemas_for_operator(f"aten::{path}")
        except (AttributeError, RuntimeError):
            continue
        for schema in found:
            if any("Tensor" in str(a.type) for a in schema.arguments) and not any(a.is_out for a in schema.arguments):
                yield schema


def of_schema(schema: Any, method: bool) -> list[Parameter]:
    result = []
    for a in schema.arguments:
        name = "input" if a.name == "self" and not method else a.name
        default = a.default_value if a.has_default_value() else NONE
        result.append((name, KEYWORD if a.kwarg_only else POSITIONAL, plain(default)))
    return result


def of_docstring(function: Any) -> list[Parameter] | None:
    """The signature at the head of the documentation."""
    head = re.match(r"\s*[\w.]*\((.*?)\)\s*(->|$)", (function.__doc__ or "").replace("\n", " ") + "\n")
    if head is None:
        return None
    try:
        made = ast.parse(f"def f({head[1]}): pass").body[0]
    except SyntaxError:
        return None
    assert isinstance(made, ast.FunctionDef)
    spec, found = made.args, []
    defaults = [None] * (len(spec.args) - len(spec.defaults)) + list(spec.defaults)
    for kind, names, values in ((POSITIONAL, spec.args, defaults), (KEYWORD, spec.kwonlyargs, spec.kw_defaults)):
        for a, value in zip(names, values):
            try:
                default = NONE if value is None else plain(ast.literal_eval(value))
            except ValueError:
                return None
            found.append((a.arg, kind, default))
    return [p for p in found if p[0] != "out"]


def disagreements(rule: Rule, overloads: list[list[Parameter]]) -> list[str]:
    """What of the overloads the rule does not have, or has otherwise. A merged rule may follow any one of them."""
    mine = {name: (kind, default) for name, kind, default in of_rule(rule)}
    order = [name for name in mine if mine[name][0] is not KEYWORD]
    found = []
    for name in dict.fromkeys(p[0] for overload in overloads for p in overload):
        kinds = {kind for overload in overloads for n, kind, _ in overload if n == name}
        defaults = [default for overload in overloads for n, _, default in overload if n == name]
        if (rule.name, name) in APART:
            continue
        if name not in mine:
            found.append(f"no parameter {name}")
        elif mine[name][0] not in kinds:
            found.append(f"{name} is {'' if KEYWORD in kinds else 'not '}keyword-only")
        elif mine[name][1] not in defaults and not (mine[name][1] is None and NONE in defaults):
            found.append(f"{name}={defaults}, here {mine[name][1]!r}")
    for overload in overloads:
        places = [order.index(name) for name, kind, _ in overload if kind is not KEYWORD and name in order]
        if places != sorted(places):
            found.append(f"another order: {[p[0] for p in overload]}")
    return found


def told(rule: Rule, name: str) -> tuple[str, list[list[Parameter]]]:
    """Where torch tells the signature of one of a rule's names, and its overloads."""
    function = resolve(name)
    python = of_python(function)
    if python is not None:
        return "inspect", [python]
    found = [of_schema(s, name.startswith("Tensor.")) for s in schemas(name)]
    if found:
        return "schema", found
    documented = of_docstring(function)
    return ("documentation", [documented]) if documented else ("", [])


@pytest.mark.parametrize("name", sorted(n for n in set(rules()) - set(UNTOLD) if resolve(n) is not None))
def test_the_signature_is_torchs(name):
    rule = rules()[name]
    where, overloads = told(rule, name)
    assert overloads, f"torch tells nothing of {name}: give the reason in UNTOLD"
    wrong = disagreements(rule, overloads)
    named = {p[0] for n in (name, *rule.aliases) for overload in told(rule, n)[1] for p in overload}
    # *more takes the sizes of a method one by one
    extra = {n for n, kind, _ in of_rule(rule) if n not in named and kind is not inspect.Parameter.VAR_POSITIONAL}
    assert not wrong and not extra, f"{name} by {where}: {', '.join(wrong)}; of its own: {sorted(extra)}"


def test_what_is_said_of_a_rule_is_of_a_rule_that_there_is():
    assert set(UNTOLD) | {name for name, _ in APART} <= set(rules())
    absent = ("dtype", "reverse", "element", "test_element")
    assert all(parameter in rules()[name].signature.parameters or parameter in absent for name, parameter in APART)


def test_a_signature_that_is_wrong_is_seen():
    """Each kind of disagreement, against the rules as they are."""
    add, conv = told(rules()["add"], "add")[1], told(rules()["conv2d"], "conv2d")[1]
    assert disagreements(rules()["mul"], add) == ["no parameter alpha"]
    assert any("dilation" in f or "order" in f for f in disagreements(rules()["conv_transpose2d"], conv))
    assert "beta=[3.0], here 1.0" in disagreements(rules()["addmm"], [[("beta", KEYWORD, 3.0)]])
    assert "beta is not keyword-only" in disagreements(rules()["addmm"], [[("beta", POSITIONAL, 1.0)]])
    assert "mat1 is keyword-only" in disagreements(rules()["addmm"], [[("mat1", KEYWORD, NONE)]])
