"""Between the reference and torch: what there is, where tensors go, and which of two right answers torch gives."""

import numpy as np
import pytest
import torch

from conformance import bridge
from conformance.bridge import Bound, resolve
from conformance.checks.check import plain
from conformance.oracle import Oracle
from reference import lookup
from reference.derive import Call
from reference.rule import Case


def gone(input):
    raise RuntimeError("This function was deprecated since version 1.9 and is now removed. Use another.")


def test_a_function_that_is_left_only_to_say_that_it_was_removed_is_not_there(monkeypatch):
    monkeypatch.setattr(torch, "gone", gone, raising=False)
    monkeypatch.setattr(torch, "come", lambda input: input, raising=False)
    assert resolve("gone") is None
    assert resolve("come") is torch.come


@pytest.mark.parametrize("name, place", [("tensor_split", "cpu"), ("index_select", "meta")])
def test_integers_stay_with_the_host_where_torch_wants_them_there(name, place):
    args = (np.ones(4), np.array([1, 2])) if name == "tensor_split" else (np.ones(4), 0, np.array([1, 2]))
    bound = Bound(plain(lookup(name)), Oracle(Call(lookup(name), Case(args)), "float32"), torch.device("meta"))
    assert [t.device.type for t in bound.tensors] == ["meta", place]


def shared(x, y):
    return 0.5 * x + 0.5 * y


def doubled(x, y):
    return x + y


def broken(x, y):
    raise RuntimeError("no kernel")


@pytest.mark.parametrize("fmax, answer", [(shared, True), (doubled, False), (broken, False)])
def test_one_tie_tells_whether_ties_share(fmax, answer, monkeypatch):
    monkeypatch.setattr(torch, "fmax", fmax)
    assert bridge._shares_ties() is answer
