"""The model of modules by itself: the statements of nn.Module's documentation, without torch."""

from __future__ import annotations

import copy

import pytest

from reference.mechanics import Module, ModuleList, OutOfScope, Parameter, ParameterDict, Sequential, tensor


def leaf(*values):
    m = Module()
    m.w = Parameter(tensor(list(values)))
    return m


def test_a_name_is_one_thing_at_a_time():
    m = Module()
    m.a = 3
    m.a = Parameter(tensor([1.0]))
    assert "a" not in m.__dict__ and list(m._parameters) == ["a"]
    with pytest.raises(TypeError):
        m.a = 3
    m.a = None
    assert m.a is None and list(m.named_parameters()) == []


def test_a_shared_parameter_is_listed_once_and_saved_under_every_name():
    m = Sequential(leaf(1.0), leaf(2.0))
    m[1].w = m[0].w
    assert [n for n, _ in m.named_parameters()] == ["0.w"]
    assert list(m.state_dict()) == ["0.w", "1.w"]
    made = copy.deepcopy(m)
    assert made[0].w is made[1].w is not m[0].w


def test_a_saved_tensor_is_a_reference():
    m = leaf(1.0)
    saved = m.state_dict()
    m.w.copy_(tensor([5.0]))
    assert saved["w"].tolist() == [5.0] and not saved["w"].requires_grad


def test_a_load_takes_what_fits_and_complains_of_the_rest():
    m = leaf(1.0)
    m.register_buffer("seen", tensor([0]))
    m.register_buffer("passing", tensor([0]), persistent=False)
    with pytest.raises(RuntimeError):
        m.load_state_dict({"w": tensor([3.0]), "b": tensor([1.0])})
    assert m.w.tolist() == [3.0]
    told = m.load_state_dict({"w": tensor([4.0]), "b": tensor([1.0])}, strict=False)
    assert (told.missing_keys, told.unexpected_keys) == (["seen"], ["b"])


def test_integers_that_cannot_be_assigned_are_complained_of_after_the_hooks():
    m, called = ParameterDict({"a": tensor([1.0])}), []
    m.register_load_state_dict_post_hook(lambda module, keys: called.append(module is m))
    with pytest.raises(RuntimeError, match="loading"):
        m.load_state_dict({"a": tensor([1])}, assign=True)
    assert called == [True] and m["a"].value.tolist() == [1.0]


def test_lists_are_numbered_anew_after_every_edit():
    modules = ModuleList([leaf(float(i)) for i in range(4)])
    del modules[1:3]
    modules.insert(1, leaf(9.0))
    assert [(n, p.tolist()) for n, p in modules.named_parameters()] == [("0.w", [0.0]), ("1.w", [9.0]), ("2.w", [3.0])]


def test_a_dict_is_taken_in_sorted_order_and_pairs_in_theirs():
    assert list(ParameterDict({"b": tensor([1.0]), "a": tensor([2.0])})) == ["a", "b"]
    assert list(ParameterDict([("b", tensor([1.0])), ("a", tensor([2.0]))])) == ["b", "a"]


def test_a_module_inside_itself_is_out_of_scope():
    m = Sequential(leaf(1.0))
    with pytest.raises(OutOfScope):
        m[0].child = m
