"""The tape against gradients derived by hand, and against the complex step of the whole program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from reference.derive import STEP
from reference.rule import is_inexact, stepping
from reference.tape import Node, Tape

RNG = np.random.default_rng(2)
A, B, X = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), RNG.standard_normal((3, 4))

Build = Callable[..., Any]


def gradients(build: Build, *values: np.ndarray) -> list[Any]:
    """Of the node that `build` makes of a tape and one variable for each value."""
    tape = Tape()
    grads = tape.backward(build(tape, *[tape.variable(v) for v in values]))
    return list(grads.values())


def stepped_gradients(build: Build, *values: np.ndarray) -> list[np.ndarray]:
    """The same, of a scalar result, one element at a time by the complex step of the whole program."""
    grads = [np.zeros(v.shape) for v in values]
    for i, grad in enumerate(grads):
        for index in np.ndindex(grad.shape):
            moved = [v.astype(complex) for v in values]
            moved[i][index] += 1j * STEP
            tape = Tape()
            with stepping():
                result = build(tape, *[tape.variable(m) for m in moved])
            grad[index] = result.value.imag / STEP
    return grads


def agrees_with_the_complex_step(build: Build, *values: np.ndarray) -> bool:
    pairs = zip(gradients(build, *values), stepped_gradients(build, *values))
    return all(np.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in pairs)


def squares(tape: Tape, node: Node) -> Any:
    return tape.apply("sum", tape.apply("mul", node, node))


def test_the_gradient_of_a_matrix_product_is_the_textbook_one() -> None:
    tape = Tape()
    a, b = tape.variable(A), tape.variable(B)
    product = tape.apply("matmul", a, b)
    g = RNG.standard_normal((3, 2))
    grads = tape.backward(product, g)
    np.testing.assert_array_equal(product.value, A @ B)
    np.testing.assert_allclose(grads[a], g @ B.T, rtol=1e-14)
    np.testing.assert_allclose(grads[b], A.T @ g, rtol=1e-14)


def test_without_a_cotangent_the_result_is_weighted_with_ones() -> None:
    (grad,) = gradients(lambda tape, x: tape.apply("exp", x), X)
    np.testing.assert_allclose(grad, np.exp(X), rtol=1e-14)


def test_a_node_that_is_used_several_times_has_the_sum_of_its_uses() -> None:
    (grad,) = gradients(lambda tape, x: tape.apply("mul", tape.apply("mul", x, x), x), X)
    np.testing.assert_allclose(grad, 3 * X**2, rtol=1e-14)


def test_a_shared_subexpression_is_walked_once_with_everything_that_uses_it() -> None:
    def build(tape: Tape, x: Node) -> Any:
        shared = tape.apply("tanh", x)
        left, right = tape.apply("exp", shared), tape.apply("mul", shared, x)
        return tape.apply("sum", tape.apply("add", tape.apply("mul", left, right), shared))

    assert agrees_with_the_complex_step(build, X)


def test_a_chain_that_doubles_its_node_forty_times_is_walked_in_forty_steps() -> None:
    def build(tape: Tape, x: Node) -> Any:
        for _ in range(40):  # 2^40 paths lead back to x
            x = tape.apply("add", x, x)
        return x

    assert gradients(build, np.array(1.0))[0] == 2.0**40


def test_a_two_layer_network_agrees_with_the_complex_step() -> None:
    def build(tape: Tape, w1: Node, b1: Node, w2: Node) -> Any:
        h = tape.apply("nn.functional.relu", tape.apply("nn.functional.linear", X, w1, b1))
        return squares(tape, tape.apply("sub", tape.apply("matmul", h, w2), np.ones((3, 2))))

    assert agrees_with_the_complex_step(
        build, RNG.standard_normal((5, 4)), RNG.standard_normal(5), RNG.standard_normal((5, 2))
    )


def test_a_variable_that_the_result_does_not_depend_on_has_no_gradient() -> None:
    tape = Tape()
    x, unused, other = tape.variable(X), tape.variable(A), tape.variable(B)
    aside = tape.apply("exp", other)
    grads = tape.backward(tape.apply("exp", x))
    assert list(grads) == [x, unused, other]
    assert grads[unused] is None and grads[other] is None and aside.tracked


def test_no_gradient_flows_through_detach() -> None:
    (grad,) = gradients(lambda tape, x: tape.apply("mul", x, tape.detach(x)), X)
    np.testing.assert_array_equal(grad, X)


def test_a_detached_node_shares_its_array_and_is_still_told_apart() -> None:
    tape = Tape()
    x = tape.variable(X)
    cut = tape.detach(x)
    assert cut.value is x.value
    np.testing.assert_array_equal(tape.backward(tape.apply("sub", cut, x))[x], -np.ones_like(X))


def test_integers_are_not_tracked() -> None:
    tape = Tape()
    x, index = tape.variable(X), tape.variable(np.array([2, 0, 2]))
    picked = tape.apply("index_select", x, 0, index)
    grads = tape.backward(picked)
    assert grads[index] is None
    np.testing.assert_array_equal(grads[x], np.array([1.0, 0.0, 2.0])[:, None] * np.ones((3, 4)))


def test_nodes_may_stand_in_a_list_together_with_arrays_and_with_themselves() -> None:
    tape = Tape()
    x, y = tape.variable(X), tape.variable(A)
    joined = tape.apply("cat", [x, A, y, x], dim=1)
    g = RNG.standard_normal((3, 16))
    grads = tape.backward(joined, g)
    np.testing.assert_array_equal(grads[x], g[:, :4] + g[:, 12:])
    np.testing.assert_array_equal(grads[y], g[:, 8:12])


def test_a_rule_of_several_outputs_gives_a_node_for_each() -> None:
    tape = Tape()
    x = tape.variable(X)
    values, indices = tape.apply("max", x, 1)
    assert values.tracked and not indices.tracked
    grads = tape.backward(values, np.array([1.0, 2.0, 3.0]))
    want = np.zeros_like(X)
    want[np.arange(3), X.argmax(1)] = [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(grads[x], want)


def test_outputs_of_one_call_that_are_used_apart_meet_again_in_it() -> None:
    def build(tape: Tape, x: Node) -> Any:
        spread, mean = tape.apply("var_mean", x, 1)
        return tape.apply("sum", tape.apply("mul", spread, tape.apply("exp", mean)))

    assert agrees_with_the_complex_step(build, X)


def test_several_results_are_walked_together() -> None:
    tape = Tape()
    x = tape.variable(X)
    a, b = tape.apply("exp", x), tape.apply("mul", x, x)
    together = tape.backward([a, b, a], [A, X, A])
    np.testing.assert_allclose(together[x], 2 * A * np.exp(X) + 2 * X * X, rtol=1e-14)


def test_several_backward_passes_accumulate() -> None:
    tape = Tape()
    x, unused = tape.variable(X), tape.variable(A)
    a, b = tape.apply("exp", x), tape.apply("mul", x, x)
    grads = tape.backward(b, into=tape.backward(a))
    np.testing.assert_allclose(grads[x], np.exp(X) + 2 * X, rtol=1e-14)
    assert grads[unused] is None


def test_a_backward_pass_leaves_the_tape_as_it_was() -> None:
    tape = Tape()
    x = tape.variable(X)
    loss = squares(tape, tape.apply("tanh", x))
    first, second = tape.backward(loss)[x], tape.backward(loss)[x]
    np.testing.assert_array_equal(first, second)


def test_a_variable_is_its_own_result() -> None:
    tape = Tape()
    x = tape.variable(X)
    np.testing.assert_array_equal(tape.backward(x, A)[x], A)


def test_complex_variables_follow_the_conjugate_convention() -> None:
    tape = Tape()
    z = tape.variable(X + 1j * A)
    g = A - 2j * X
    np.testing.assert_allclose(tape.backward(tape.apply("exp", z), g)[z], np.conj(np.exp(z.value)) * g, rtol=1e-14)


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(LookupError, match=r"no rule for torch\.nonsense"):
        Tape().apply("nonsense", X)


def test_a_cotangent_of_another_shape_is_refused() -> None:
    tape = Tape()
    x = tape.variable(X)
    with pytest.raises(ValueError, match=r"shape \(4, 2\)"):
        tape.backward(tape.apply("exp", x), B)


def test_constants_alone_are_not_recorded() -> None:
    tape = Tape()
    node = tape.apply("exp", X)
    assert not node.tracked and is_inexact(node.value)
    results: Sequence[Any] = list(tape.backward(node).values())
    assert results == []
