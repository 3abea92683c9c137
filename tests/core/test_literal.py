"""A case is written as one line of Python and read back as it was; what is read is never run."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

from conformance import literal
from conformance.draws import SeededDraw
from reference import rules
from reference.derive import Call
from reference.draw import REGIMES
from reference.rule import Case

SMALL = [r for r in REGIMES if r != "large"]


def same(a: Any, b: Any) -> bool:
    """Equal in type, dtype, shape and every bit that a number has."""
    if isinstance(a, (np.ndarray, np.generic)):
        a = np.asarray(a)
        return isinstance(b, np.ndarray) and (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    return repr(a) == repr(b)


@pytest.mark.parametrize("shape", [(), (2, 3), (5000,), (1, 4000), (70, 2, 40), (3, 0), (1, 1, 600, 2)])
@pytest.mark.parametrize("length", [10, 240])
def test_the_beginning_of_a_case_is_that_of_the_whole_text(shape, length):
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    for case in (Case((x * 0.5, x), dict(dim=1)), Case((1.5, [x]), dict(weight=x * 1j, bias=None))):
        assert literal.beginning(case, length) == literal.write(case)[:length]


def assert_returns(case: Case) -> None:
    text = literal.write(case)
    back = literal.read(text)
    assert same(case.args, back.args) and same(case.kwargs, back.kwargs), text
    assert "\n" not in text and literal.write(back) == text


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("regime", SMALL)
def test_every_case_that_is_drawn_comes_back(regime, complex):
    for rule in rules().values():
        for seed in range(1 if regime == "edges" else 3):
            if rule.complex or not complex:
                case = rule.cases(SeededDraw(f"{rule.name}/{seed}", regime, complex))
                if sum(a.size for a in Call(rule, case).arrays) < 2000:  # more takes long, and shows no more
                    assert_returns(case)


def test_a_large_case_comes_back():
    for name in ("relu", "nn.functional.linear"):
        assert_returns(rules()[name].cases(SeededDraw(name, "large")))


@pytest.mark.parametrize(
    "value",
    [
        0, -3, True, None, "mean", 1.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), -float("inf"), 2j,
        complex(-0.0, 3),
        (), (1,), (1, (2, [3.0])), [], [1, None], slice(None), slice(1, -1, 2), ..., (..., None, slice(0, 2)),
        np.array(2.5), np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]), np.array([[1, 2]]), np.array(True),
        np.array([1 + 2j, complex(np.nan, -np.inf), complex(-0.0, 0.0)]), np.zeros((2, 0, 3)),
        np.zeros((0,), np.int64), np.zeros((0, 1), bool), np.zeros((1, 0), complex), np.array(2**62),
        [np.ones(2), np.ones((1, 1))], (np.array([0, 1]), slice(None), np.array([True, False])),
    ],
    ids=repr,
)  # fmt: skip
def test_every_kind_of_argument_comes_back(value):
    assert_returns(Case((value,), {"option": value}))


def test_a_case_without_arguments_comes_back():
    assert literal.write(Case()) == "f()"
    assert_returns(Case())


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "f", "3", "f(", "f(1", "f(1))", "f(1) + 2", "f(x)", "f(1)(2)", "f(1); f(2)", "g(1)", "np.f(1)",
        "x = f(1)",
        "f(*[1, 2])", "f(**{'a': 1})", "f(a=1, a=2)", "f(a.b)", "f(1 if 2 else 3)", "f([i for i in 3])", "f(lambda: 0)",
        "f(array())", "f(array(1, 2, 3))", "f(array([[1], [1, 2]]))", "f(array(['a']))", "f(array([1], 'nosuch'))",
        "f(array([1], dtype='int64'))", "f(array([1], 'O'))", "f(array([10**30], 'int64'))",
        f"f(array([{10**30}], 'int64'))",
        "f(empty((-1,)))", "f(empty((10, 10)))", "f(empty((10**15,)))", f"f(empty(({10**15},)))", "f(float('x'))",
        "f(complex('x'))", "f(slice())", "f(eval('1'))", "f(__import__('os'))", "f(print(1))", "f(array.__class__)",
        "f(\0)", "f(" + "(" * 500 + ")" * 501, "f(" + "-" * 20000 + "1)", "f(" + "[" * 150 + "]" * 150 + "," * 2 + ")",
    ],
    ids=lambda t: t[:30],
)  # fmt: skip
def test_text_that_is_no_case_is_a_value_error(text):
    with pytest.raises(ValueError, match="not a case"):
        literal.read(text)


def test_nothing_that_is_read_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in ("open('made', 'w')", "__import__('os').mkdir('made')", "exec('open(\"made\", \"w\")')",
                 "array(open('made', 'w'))", "(lambda: open('made', 'w'))()", "[].append(open('made'))"):  # fmt: skip
        with pytest.raises(ValueError):
            literal.read(f"f({word})")
    assert not list(tmp_path.iterdir())


def test_the_text_is_python():
    case = rules()["conv2d"].cases(SeededDraw(0))
    assert isinstance(ast.parse(literal.write(case), mode="eval").body, ast.Call)
