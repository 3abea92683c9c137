"""The reference's answers are right, and its random directions are what torch can hold."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from conformance.draws import SeededDraw
from conformance.dtypes import DTYPES, NoCounterpart
from conformance.higher import is_smooth
from conformance.oracle import Oracle
from reference import lookup, rules
from reference.derive import Call
from reference.rule import Case, is_inexact

# rule: the function and how it is written in mpmath
SMOOTH = {
    "exp": mpmath.exp,
    "sin": mpmath.sin,
    "log1p": lambda x: mpmath.log(1 + x),
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "erf": mpmath.erf,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "nn.functional.softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "nn.functional.gelu": lambda x: x * mpmath.ncdf(x),
}
KNOWN = {name: f for name, f in SMOOTH.items() if lookup(name) is not None}


def oracle(name: str, *args: object, dtype: str = "float64", seed: int = 0, **kwargs: object) -> Oracle:
    return Oracle(Call(lookup(name), Case(args, kwargs)), dtype, seed)


def assert_close(got: object, want: object, tolerance: float = 1e-13) -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= tolerance * np.max(np.abs(want), initial=1e-30)), (got, want)


def derivative(f: object, xs: np.ndarray, order: int) -> np.ndarray:
    with mpmath.workdps(40):
        return np.array([float(mpmath.diff(f, mpmath.mpf(x), order)) for x in xs])


def test_there_are_enough_functions_to_compare_with():
    assert len(KNOWN) >= 7


@pytest.mark.parametrize("name", KNOWN)
def test_tangents_and_second_derivatives_are_those_of_mpmath(name):
    x = np.array([0.3, 0.71, 1.9])
    o = oracle(name, x)
    g, v, u = o.cotangents[0], o.tangents[0], o.others[0]
    first, second = derivative(KNOWN[name], x, 1), derivative(KNOWN[name], x, 2)
    assert_close(o.jvp.wants[0], first * v)
    assert_close(o.vjp.wants[0], first * g)
    assert_close(o.second.wants[0], second * v * g, 1e-12)
    assert_close(o.second_forward.wants[0], second * v * u, 1e-12)


@pytest.mark.parametrize("name", KNOWN)
def test_third_derivatives_are_those_of_mpmath_as_far_as_is_allowed(name):
    x = np.array([0.3, 0.71, 1.9])
    o = oracle(name, x)
    exact = derivative(KNOWN[name], x, 3) * o.cotangents[0] * o.tangents[0] * o.others[0]
    allowed = o.third.allowed(0, 0)
    assert is_smooth(o)
    assert np.all(np.abs(o.third.wants[0] - exact) <= allowed)
    assert np.all(allowed <= 1e-10)


def test_the_third_derivative_of_a_complex_power_is_that_of_algebra():
    rng = np.random.default_rng(2)
    o = oracle("pow", rng.normal(size=3) + 1j * rng.normal(size=3), 3, dtype="complex128")
    exact = o.cotangents[0] * np.conj(6.0 * o.tangents[0] * o.others[0])
    assert np.all(np.abs(o.third.wants[0] - exact) <= o.third.allowed(0, 0))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("nn.functional.huber_loss", (np.array([1.0]), np.array([0.0]))),  # the second derivative jumps
        ("nn.functional.elu", (np.array([2.0**-12]),)),  # within the steps
        ("nn.functional.hardswish", (np.array([3.0]),)),
        ("sqrt", (np.array([2.0**-8]),)),  # a singularity within the steps
    ],
)
def test_there_is_no_third_derivative_at_a_kink(name, args):
    assert not is_smooth(oracle(name, *args))


def test_tangents_and_second_derivatives_of_a_product_are_those_of_algebra():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    o = oracle("matmul", a, b)
    (g,), (va, vb), (ua, ub) = o.cotangents, o.tangents, o.others
    assert_close(o.jvp.wants[0], va @ b + a @ vb)
    assert_close(o.second.wants[0], g @ vb.T)
    assert_close(o.second.wants[1], va.T @ g)
    assert_close(o.second_forward.wants[0], va @ ub + ua @ vb)


def test_the_tangent_of_a_complex_product_is_that_of_algebra():
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=3) + 1j * rng.normal(size=3) for _ in range(2))
    o = oracle("mul", a, b, dtype="complex128")
    (va, vb), (g,) = o.tangents, o.cotangents
    assert_close(o.jvp.wants[0], va * b + a * vb)
    assert_close(o.vjp.wants[0], np.conj(b) * g)
    assert_close(o.second.wants[0], np.conj(vb) * g, 1e-9)


@pytest.mark.parametrize(
    "name", ["mul", "logsumexp", "nn.functional.softmax", "var", "nn.functional.layer_norm", "matmul"]
)
def test_the_second_derivative_of_the_outputs_agrees_with_differences(name):
    for seed in range(5):
        call = Call(lookup(name), lookup(name).cases(SeededDraw(f"{name}/{seed}")))
        o = Oracle(call, "float64", seed)
        if not o.ys or not o.xs or not all(a.size for a in o.arrays):
            continue
        h = 1e-4

        def at(i: float, j: float, o: Oracle = o, h: float = h) -> np.ndarray:
            moved = [
                a if v is None else a + h * (i * v + j * u) for a, v, u in zip(o.arrays, o.tangents, o.others)
            ]  # fmt: skip
            return o.call.run(moved)[0][o.ys[0]]

        with np.errstate(all="ignore"):
            by_difference = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * h * h)
        want = o.second_forward.wants[0]
        finite = np.isfinite(want)  # a variance of one number is nan
        scale = 1 + np.max(np.abs(o.outs[o.ys[0]][finite]), initial=0.0) + np.max(np.abs(want[finite]), initial=0.0)
        assert np.all(np.abs(by_difference - want)[finite] <= 3e-6 * scale), name


def every_direction(o: Oracle) -> list[np.ndarray]:
    return [d for d in (*o.cotangents, *o.tangents, *o.others) if d is not None]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "complex64", "complex128"])
def test_inputs_and_directions_are_exactly_what_the_dtype_holds(dtype):
    for rule in rules().values():
        if DTYPES[dtype].complex and not rule.complex:
            continue
        call = Call(rule, rule.cases(SeededDraw(rule.name, complex=DTYPES[dtype].complex)))
        try:
            o = Oracle(call, dtype)
        except NoCounterpart:
            assert dtype == "bfloat16"
            continue
        for a in [a for a in o.arrays if is_inexact(a)] + every_direction(o):
            held = DTYPES[dtype].with_complex if a.dtype.kind == "c" else DTYPES[dtype].real
            assert np.array_equal(held.round(a), a, equal_nan=True), rule.name


def test_directions_keep_away_from_zero_and_have_the_shape_and_kind_of_what_they_are_for():
    o = oracle("matmul", np.ones((30, 20)), np.ones((20, 10)))
    for d, like in zip([*o.cotangents, *o.tangents], [*o.outs, *o.arrays]):
        assert d.shape == like.shape and d.dtype == like.dtype
        assert np.abs(d).min() >= 0.5 and np.abs(d).max() <= 1.5
        assert (d > 0).any() and (d < 0).any()


def test_integers_have_no_direction():
    o = oracle("index_select", np.ones((3, 2)), 0, np.array([0, 2]))
    assert o.tangents[1] is None and o.others[1] is None and o.xs == [0]
    o = oracle("argsort", np.ones(3)) if lookup("argsort") else oracle("max", np.array([[1.0, 2.0]]), 1)
    assert o.cotangents[-1] is None


def test_the_same_seed_gives_the_same_directions_and_another_gives_others():
    def drawn(seed: int, dtype: str = "float32") -> list[bytes]:
        return [
            d.tobytes()
            for d in every_direction(oracle("matmul", np.ones((3, 2)), np.ones((2, 3)), dtype=dtype, seed=seed))
        ]

    assert drawn(5) == drawn(5)
    assert not set(drawn(5)) & set(drawn(6))
    assert not set(drawn(5)) & set(drawn(5, "float64"))
    assert len(set(drawn(5))) == 5


def test_the_same_seed_gives_the_same_sensitivity():
    first, second = (
        oracle("nn.functional.softmax", np.array([[0.1, 2.0, -1.0]]), dim=1, dtype="float32") for _ in range(2)
    )
    assert np.array_equal(first.vjp.allowed(0, 24), second.vjp.allowed(0, 24))


def test_an_oracle_leaves_the_case_as_it_is():
    rng = np.random.default_rng(4)
    mean, var = rng.normal(size=3), rng.uniform(1, 2, 3)
    arrays = [rng.normal(size=(4, 3)), mean.copy(), var.copy()]
    o = oracle("nn.functional.batch_norm", *arrays, training=True)
    assert o.vjp.allowed(0, 4).shape == (4, 3) and o.second.wants
    assert np.array_equal(arrays[1], mean) and np.array_equal(arrays[2], var)


def test_gradients_under_other_cotangents_are_linear_in_them():
    o = oracle("nn.functional.softmax", np.array([[0.5, 1.0, -1.0]]), dim=1)
    twice = [2.0 * g for g in o.cotangents]
    assert_close(o.vjp_under(twice).wants[0], 2 * o.vjp.wants[0])
    assert_close(o.under(twice).vjp.wants[0], 2 * o.vjp.wants[0])
    assert not np.any(o.vjp_under([0 * g for g in o.cotangents]).wants[0])


def test_bfloat16_has_no_complex_inputs():
    with pytest.raises(NoCounterpart):
        oracle("mul", np.ones(2, complex), np.ones(2), dtype="bfloat16")


def jumps(name, dtype, *args, **options):
    oracle = Oracle(Call(rules()[name], Case(tuple(map(np.asarray, args)), options)), dtype)
    return oracle.jumps(oracle.cotangents)


def test_a_kink_that_is_nearer_than_rounding_is_told_from_one_that_is_farther():
    ranking = "nn.functional.margin_ranking_loss"
    # 0.5 - d is 0.0005 above or below the kink: bfloat16 cannot tell, float32 can
    for d in (0.4995, 0.5005):
        x = np.asarray([1.0 + d])
        assert jumps(ranking, "bfloat16", x, [1.0], [1.0], margin=0.5)
        assert not jumps(ranking, "float32", x, [1.0], [1.0], margin=0.5)
    assert not jumps(ranking, "bfloat16", [1.25], [1.0], [1.0], margin=0.5)


@pytest.mark.parametrize("name", KNOWN)
def test_a_smooth_function_never_jumps(name):
    for seed in range(3):
        call = Call(rules()[name], rules()[name].cases(SeededDraw(f"jumps/{name}/{seed}", "typical")))
        for dtype in ("float64", "float32", "bfloat16"):
            oracle = Oracle(call, dtype)
            assert not oracle.jumps(oracle.cotangents)


def test_an_element_that_leaves_its_domain_when_moved_does_not_hide_the_sensitivity_of_the_others():
    # moved below 2, the exponent makes the second derivative at 0 infinite; at 1.75 terms of size 7 cancel
    call = Call(rules()["pow"], Case((np.asarray([0.0, 1.75]), np.asarray([2.0, 2.75]))))
    oracle = Oracle(call, "float64")
    assert oracle.second_forward.sensitivity(0, 24)[1] > 1.0


def test_a_complex_difference_across_a_kink_says_nothing_and_elsewhere_what_it_did():
    x = np.array([[1 + 1j, 1 + 1j], [1 + 0.5j, -0.5 - 2j]])  # the deviation of equal elements has a kink
    o = Oracle(Call(lookup("std"), Case((x,), dict(dim=1))), "complex128")
    flat, smooth = o.second.allowed(0, 1)
    assert np.all(np.isinf(flat)) and np.all(smooth < 1e-8)
