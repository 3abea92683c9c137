"""A call is taken apart and put back whatever its form, and derived from without anything declared."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from reference import lookup, rules
from reference.derive import Call, difference, imaginary, jvp, stepped, transposed, truncation, vjp_jvp
from reference.draw import Draw
from reference.rule import Array, Case, Rule, is_array, is_inexact, rule, single_precision, stepping
from tests.reference.proof import draw_call

A, B, C = np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([5, 6])


def made(fn: object, name: str, **options: object) -> Rule:
    """A rule that is in no registry afterwards."""
    module = sys.modules[Rule.__module__]
    registry, names = dict(module._REGISTRY), dict(module._NAMES)
    try:
        return rule(name, cases=lambda draw: Case(), **options)(fn)
    finally:
        for kept, whole in ((registry, module._REGISTRY), (names, module._NAMES)):
            whole.clear()
            whole.update(kept)


def _joined(tensors: list[Array], weight: Array | float = 1.0, *, bias: Array | None = None, scale=1.0):
    total = sum(t.sum() for t in tensors) * weight + (0 if bias is None else bias) * scale
    return total, lambda g: ([g * weight + 0 * t for t in tensors], g * sum(t.sum() for t in tensors), g * scale)


def _all(*operands: Array):
    return sum(o.sum() for o in operands), lambda g: tuple(np.full(o.shape, g) for o in operands)


JOINED, ALL = made(_joined, "joined"), made(_all, "all_of")


@pytest.mark.parametrize(
    ("case", "paths"),
    [
        (Case(([A, B],)), [("tensors", 0), ("tensors", 1)]),
        (Case(((A, B), np.array(2.0))), [("tensors", 0), ("tensors", 1), ("weight",)]),
        (Case(([A],), {"weight": np.array(2.0)}), [("tensors", 0), ("weight",)]),
        (Case(([A], 2.0)), [("tensors", 0)]),
        (Case(([A],), {"bias": np.array(1.0), "weight": 3.0}), [("tensors", 0), ("bias",)]),
        (Case((), {"bias": np.array(1.0), "tensors": [A], "scale": 2.0}), [("tensors", 0), ("bias",)]),
        (Case(([A], 1.0), {"bias": None}), [("tensors", 0)]),
    ],
    ids=str,
)
def test_a_call_lists_its_arrays_in_signature_order_and_puts_others_in_their_places(case, paths):
    call = Call(JOINED, case)
    assert call.paths == paths
    marks = [object() for _ in call.arrays]
    back = call.replaced(marks)
    flat = []
    for value in [*back.args, *(back.kwargs[k] for k in ("tensors", "weight", "bias") if k in back.kwargs)]:
        flat += list(value) if isinstance(value, (list, tuple)) else [value]
    assert [v for v in flat if type(v) is object] == marks
    assert {k: v for k, v in back.kwargs.items() if type(v) in (float, type(None))} == {
        k: v for k, v in case.kwargs.items() if type(v) in (float, type(None))
    }
    assert type(back.args[0] if back.args else back.kwargs["tensors"]) is type(
        case.args[0] if case.args else case.kwargs["tensors"]
    )


def test_the_case_that_was_taken_apart_is_not_changed():
    case = Case(([A, B],), {"bias": np.array(1.0)})
    Call(JOINED, case).replaced([None, None, None])
    assert case.args[0][0] is A and case.kwargs["bias"] == 1.0


@pytest.mark.parametrize(("args", "count"), [((A, B, C), 3), ((A,), 1), (([A, B],), 2), ((), 0)])
def test_operands_are_arrays_each_or_a_list_of_them(args, count):
    call = Call(ALL, Case(args))
    assert len(call.arrays) == count
    back = call.replaced([a + 1 for a in call.arrays])
    flat = back.args[0] if args and isinstance(args[0], list) else back.args
    assert [x.tolist() for x in flat] == [(a + 1).tolist() for a in call.arrays]


def test_gradients_come_one_for_each_array_in_signature_order_and_numbers_get_none():
    grads = Call(JOINED, Case(([A, B], np.array(2.0)), {"bias": np.array(1.0), "scale": 3.0})).run
    outs, pull = grads([A, B, np.array(2.0), np.array(1.0)])
    assert float(outs[0]) == 23.0
    got = pull([np.array(1.0)])
    assert [np.asarray(d).tolist() for d in got] == [[2.0, 2.0], [[2.0, 2.0]], 10.0, 3.0]
    _, pull = JOINED([A, B], 2.0, bias=np.array(1.0))
    lists, bias = pull(1.0)
    assert [d.tolist() for d in lists] == [[2.0, 2.0], [[2.0, 2.0]]] and bias == 1.0


def test_a_case_is_rebuilt_from_its_own_arrays_for_every_rule():
    for each in rules().values():
        for seed in range(3):
            call = draw_call(each, seed)
            back = Call(each, call.replaced(call.arrays))
            assert back.paths == call.paths and all(a is b for a, b in zip(back.arrays, call.arrays))


def same(a: Array, b: Array) -> bool:
    return np.asarray(a).dtype == b.dtype and np.asarray(a).tobytes() == b.tobytes()


def test_the_arrays_of_a_call_are_those_of_the_bound_signature():
    for each in rules().values():
        call = draw_call(each, 1)
        bound = each.signature.bind(*call.case.args, **call.case.kwargs).arguments
        found = []
        for name in (n for n in bound if n in each.tensors):
            values = bound[name] if isinstance(bound[name], (list, tuple)) else [bound[name]]
            for v in values:
                found += [w for w in (v if isinstance(v, (list, tuple)) else [v]) if is_array(w)]
        assert len(found) == len(call.arrays) and all(map(same, found, call.arrays)), each.name


def test_every_rule_gives_one_gradient_for_each_array_of_its_shape_and_none_for_integers():
    for each in rules().values():
        for seed in range(2):
            call = draw_call(each, seed)
            outs, pull = call.run(call.arrays)
            grads = pull([np.ones_like(o) if o.dtype.kind in "fc" else None for o in outs])
            assert len(grads) == len(call.arrays), each.name
            for d, a in zip(grads, call.arrays):
                assert d is None or (d.shape == a.shape and a.dtype.kind in "fc"), each.name


@pytest.mark.parametrize("path", ["relu", "torch.relu", "Tensor.relu", "torch.Tensor.relu"])
def test_a_rule_is_found_by_its_name_and_its_method(path):
    assert lookup(path) is rules()["relu"]


def test_aliases_lead_to_the_rule_that_lists_them():
    for each in rules().values():
        for alias in each.aliases:
            assert lookup(alias) is lookup(f"torch.{alias}") is each


def test_what_there_is_not_is_none():
    functional = next(n for n in rules() if n.startswith("nn.functional."))
    for path in (
        "",
        "torch",
        "torch.",
        "nosuch",
        "Tensor.nosuch",
        "torch.nn",
        f"Tensor.{functional}",
        "Tensor.Tensor.relu",
    ):
        assert lookup(path) is None
    without = next(
        r for r in rules().values() if not r.method and "." not in r.name and f"Tensor.{r.name}" not in r.aliases
    )
    assert lookup(f"Tensor.{without.name}") is None


def test_a_path_belongs_to_one_rule():
    with pytest.raises(ValueError, match="two rules"):
        made(lambda x: x, "another", aliases=("relu",))
    assert lookup("another") is None


# derivatives


def test_the_complex_step_is_exact_to_rounding_in_double_and_in_single_precision():
    call = Call(rules()["exp"], Case((np.array([0.5, -1.0, 2.0]),)))
    v = np.array([1.0, 0.5, -2.0])
    want = np.exp(call.arrays[0]) * v
    assert np.allclose(jvp(call, call.arrays, [v])[0], want, rtol=4e-16, atol=0)
    single = jvp(call, [call.arrays[0].astype(np.float32)], [v.astype(np.float32)])[0]
    assert np.allclose(single, want, rtol=4e-7, atol=0)


@pytest.mark.parametrize(
    "name", ["mul", "tanh", "matmul", "logsumexp", "nn.functional.softmax", "nn.functional.layer_norm"]
)
def test_single_precision_gives_tangents_and_second_derivatives_near_those_in_double(name):
    for seed in range(8):
        call = draw_call(rules()[name], seed)
        if not all(map(is_inexact, call.arrays)):
            continue
        rng = np.random.default_rng(seed)
        outs, _ = call.run(call.arrays)
        vs, gs = ([rng.normal(size=a.shape) for a in group] for group in (call.arrays, outs))
        narrow = [[a.astype(np.float32) for a in group] for group in (call.arrays, vs, gs)]
        for wide, small in (
            (jvp(call, call.arrays, vs), jvp(call, *narrow[:2])),
            (vjp_jvp(call, call.arrays, vs, gs), vjp_jvp(call, *narrow)),
        ):
            for a, b in zip(wide, small):
                scale = np.max(np.abs(a), initial=0.0) + 1.0
                assert np.all(np.abs(a - b) <= 2e-3 * scale), name


def test_tangent_by_step_by_transposition_and_by_difference_agree():
    call = draw_call(rules()["nn.functional.softmax"], 5)
    vs = [np.random.default_rng(0).normal(size=a.shape) for a in call.arrays]
    by_step = jvp(call, call.arrays, vs)[0]
    assert np.allclose(transposed(call, call.arrays, vs)[0], by_step, rtol=1e-13, atol=1e-15)
    assert np.allclose(difference(lambda xs: call.run(xs)[0], call.arrays, vs)[0], by_step, rtol=1e-9, atol=1e-12)


def test_single_precision_is_not_left_beside_a_constant_in_double():
    x, kept = np.array([0.1, 0.7], np.float32), np.array([1.0, 0.0])
    with single_precision():
        out, pull = lookup("mul")(x, kept)
        assert out.dtype == np.float32 and pull(np.ones(2))[0].dtype == np.float32
        assert lookup("mul")(x.astype(np.complex64), kept)[0].dtype == np.complex64
    assert lookup("mul")(x, kept)[0].dtype == np.float64


def test_integers_are_not_stepped_and_have_no_tangent():
    with stepping():
        kept, moved = stepped([np.array([1, 2]), np.array([1.0])], [None, np.array([3.0])])
    assert kept.dtype.kind == "i" and moved.imag == 3e-150
    assert imaginary([np.array([1]), None, moved])[:2] == [None, None]


def test_a_source_of_choices_must_say_how_it_chooses():
    with pytest.raises(NotImplementedError):
        Draw().boolean()


@pytest.mark.parametrize("at, much", [(0.03 + 0.02j, 1e-4), (3.0 + 2.0j, 1e-11)])
def test_a_difference_knows_how_far_a_singularity_leads_it_astray(at, much):
    """The gradient of |z| is z / |z|, whose change along v is (v - z Re(conj(z) v) / |z|^2) / |z|."""
    z, v = np.array([at]), np.array([1.0 - 1.5j])
    call = Call(lookup("abs"), Case((z,)))
    exact = (v - z * (np.conj(z) * v).real / np.abs(z) ** 2) / np.abs(z)
    off = np.abs(vjp_jvp(call, [z], [v], [np.ones(1)])[0] - exact)
    assert off < truncation(call, [z], [v])([np.ones(1)])[0] + 4e-12 < much * np.abs(exact)


def test_integers_and_masks_beside_the_inputs_leave_the_step_exact():
    x, mask = np.ones((2, 3)), np.array([[True, False, True]] * 2)
    assert Call(lookup("masked_fill"), Case((x, mask, np.array(2.0)))).analytic
    assert Call(lookup("gather"), Case((x, 1, np.array([[0], [2]])))).analytic
    assert not Call(lookup("masked_fill"), Case((x + 0j, mask, np.array(2.0)))).analytic


def test_a_step_keeps_the_sign_of_zeros():
    """copysign(x, -0.0) is -|x|: its slope at 2 is -1."""
    call = Call(lookup("copysign"), Case((np.array([2.0]), np.array([-0.0]))))
    assert jvp(call, call.arrays, [np.array([3.0]), np.array([5.0])])[0] == -3.0


def test_an_array_without_dimensions_keeps_its_precision_when_it_is_stepped():
    for dtype, wanted in ((np.float64, np.complex128), (np.float32, np.complex64)):
        (moved,) = stepped([np.array(3.0, dtype)], [np.array(1.0, dtype)])
        assert moved.dtype == wanted and moved.imag > 0
