"""The update rules of optimizers, proved without torch: closed forms on quadratics, published values, invariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reference.optim import ALL, OPTIMIZERS, lbfgs
from reference.optim.descent import asgd, rprop, sgd
from reference.optim.moments import adam, adamax, adamw, nadam, radam, sparse_adam
from reference.optim.muon import muon
from reference.optim.scaled import adadelta, adafactor, adagrad, rmsprop

RNG = np.random.default_rng(0)


def walk(update: Any, p: np.ndarray, gradients: Any, **options: Any) -> list[np.ndarray]:
    """The parameter after each step; a gradient may be a function of it."""
    state: dict[str, Any] = {}
    found = []
    for g in gradients:
        p, state = update(p, g(p) if callable(g) else g, state, **options)
        found.append(p)
    return found


# closed forms


def test_descent_on_a_quadratic_shrinks_by_the_same_factor() -> None:
    for t, p in enumerate(walk(sgd, np.array([3.0]), [lambda p: 2.0 * p] * 5, lr=0.1), 1):
        assert p[0] == pytest.approx(3.0 * 0.8**t, rel=1e-14)


def test_momentum_on_a_quadratic_is_the_linear_recursion_of_polyak() -> None:
    lr, mu, curvature = 0.1, 0.9, 2.0
    companion = np.array([[1.0 + mu - lr * curvature, -mu], [1.0, 0.0]])  # p_{t+1} = (1 + mu - lr c) p_t - mu p_{t-1}
    path = walk(sgd, np.array([3.0]), [lambda p: curvature * p] * 8, lr=lr, momentum=mu)
    for t, p in enumerate(path, 1):
        assert p[0] == pytest.approx((np.linalg.matrix_power(companion, t) @ [3.0, 3.0])[0], rel=1e-12)


def test_nesterov_looks_ahead() -> None:
    """The gradient is that of the point ahead, which is torch's variable (Sutskever et al., equations 3 and 4)."""
    lr, mu = 0.1, 0.9
    velocity, theta, path = 0.0, 3.0, []
    for _ in range(6):
        velocity = mu * velocity - lr * 2.0 * (theta + mu * velocity)
        theta += velocity
        path.append(theta + mu * velocity)
    mine = walk(sgd, np.array([3.0]), [lambda p: 2.0 * p] * 6, lr=lr, momentum=mu, nesterov=True)
    np.testing.assert_allclose([float(p[0]) for p in mine], path, rtol=1e-12)


def test_the_average_of_asgd_is_the_mean_of_the_points_after_step_t0_plus_1() -> None:
    state: dict[str, Any] = {}
    p, points = np.array([1.0]), []
    for g in RNG.standard_normal((9, 1)):
        p, state = asgd(p, g, state, lr=0.1, lambd=0.0, alpha=0.0, t0=3.0)
        points.append(p[0])
    assert state["ax"][0] == pytest.approx(np.mean(points[4:]), rel=1e-12)


def test_a_constant_gradient_makes_unit_steps_of_all_that_divide_by_its_size() -> None:
    g = np.array([1e-3, -5.0, 700.0])
    unit = -0.1 * np.sign(g)
    for update, options in (
        (adam, {}), (adamw, {"weight_decay": 0.0}), (adamax, {}), (rmsprop, {"alpha": 0.0}),
    ):  # fmt: skip
        for t, p in enumerate(walk(update, np.zeros(3), [g] * 4, lr=0.1, eps=0.0, **options), 1):
            np.testing.assert_allclose(p, t * unit, rtol=1e-9, err_msg=update.__name__)


def test_adagrad_under_a_constant_gradient_goes_as_the_sum_of_inverse_roots() -> None:
    path = walk(adagrad, np.zeros(1), [np.array([7.0])] * 6, lr=0.1, eps=0.0)
    assert path[-1][0] == pytest.approx(-0.1 * sum(n**-0.5 for n in range(1, 7)), rel=1e-12)


def test_the_first_step_of_adadelta_is_that_of_zeiler() -> None:
    (p,) = walk(adadelta, np.zeros(1), [np.array([2.0])], lr=1.0, rho=0.95, eps=1e-6)
    assert p[0] == pytest.approx(-math.sqrt(1e-6) / math.sqrt(0.05 * 4.0 + 1e-6) * 2.0, rel=1e-12)


def test_adam_by_hand_for_two_steps() -> None:
    """Algorithm 1 of Kingma and Ba, with g = 1 and then -2, worked out with fractions."""
    first, second = walk(adam, np.zeros(1), [np.array([1.0]), np.array([-2.0])], lr=1.0, betas=(0.5, 0.75), eps=0.0)
    assert first[0] == -1.0
    m, v = (0.5 * 0.5 + 0.5 * -2.0) / 0.75, (0.75 * 0.25 + 0.25 * 4.0) / (1 - 0.75**2)
    assert second[0] == pytest.approx(-1.0 - m / math.sqrt(v), rel=1e-14)


def test_nadam_without_decay_of_its_momentum_is_dozats_average_of_now_and_next() -> None:
    beta = 0.5 * 0.9  # 0.9 (1 - 0.96^0 / 2)
    (p,) = walk(nadam, np.zeros(1), [np.array([3.0])], lr=1.0, betas=(0.9, 0.99), eps=0.0, momentum_decay=0.0)
    expected = beta * 0.1 * 3.0 / (1 - beta * beta) + (1 - beta) * 3.0 / (1 - beta)
    assert p[0] == pytest.approx(-expected / 3.0, rel=1e-12)


def test_radam_is_plain_momentum_until_the_variance_is_tractable() -> None:
    """With beta2 = 0.999 rho_t is above 5 from the sixth step on (Liu et al., section 4.2)."""
    g = np.array([1e-3, 100.0])
    path = walk(radam, np.zeros(2), [g] * 6, lr=0.1, betas=(0.9, 0.999), eps=0.0)
    for t in range(5):
        np.testing.assert_allclose(path[t], -(t + 1) * 0.1 * g, rtol=1e-9)
    sixth = path[5] - path[4]
    assert sixth[0] == pytest.approx(sixth[1], rel=1e-9)  # from here on it divides by the size


def test_rprop_grows_and_turns() -> None:
    path = walk(rprop, np.zeros(1), [np.array([g]) for g in (1.0, 9.0, -1.0, -1.0)], lr=0.1, etas=(0.5, 1.2))
    steps = np.diff([0.0, *(float(p[0]) for p in path)])
    np.testing.assert_allclose(steps, [-0.1, -0.12, 0.0, 0.06], rtol=1e-12)


def test_adafactor_has_the_rank_one_moment_that_keeps_row_and_column_means() -> None:
    g = RNG.standard_normal((4, 6))
    _, state = adafactor(np.ones((4, 6)), g, {}, lr=0.1, eps=(0.0, 1e-3))
    v = state["row_var"] * state["col_var"] / state["row_var"].mean()
    np.testing.assert_allclose(v.mean(1, keepdims=True), (g * g).mean(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(v.mean(0, keepdims=True), (g * g).mean(0, keepdims=True), rtol=1e-12)
    assert np.linalg.matrix_rank(v) == 1


def test_the_direction_of_muon_is_nearly_orthogonal() -> None:
    g = RNG.standard_normal((6, 4))
    (p,) = walk(muon, np.zeros((6, 4)), [g], lr=1.0, weight_decay=0.0, nesterov=False)
    sizes = np.linalg.svd(-p / math.sqrt(6 / 4), compute_uv=False)
    assert sizes.min() > 0.6 and sizes.max() < 1.3  # as published: within about 0.3 of 1
    u, _, v = np.linalg.svd(g, full_matrices=False)
    assert np.sum(-p * (u @ v)) > 0.9 * 4 * math.sqrt(6 / 4) * 0.8


def test_lbfgs_ends_on_a_quadratic_where_newton_would() -> None:
    """With exact steps of a convex quadratic its direction is that of conjugate gradients: n steps suffice."""
    a = np.diag([1.0, 2.0, 5.0])
    x, steps, changes = np.array([1.0, -2.0, 3.0]), [], []
    for _ in range(3):
        g = a @ x
        d, _, _ = lbfgs.direction(g, steps, changes)
        move = -(g @ d) / (d @ a @ d) * d
        steps, changes, x = [*steps, move], [*changes, a @ move], x + move
    assert np.abs(x).max() < 1e-12


def test_lbfgs_meets_the_secant_equation() -> None:
    s, y = [np.array([1.0, 2.0]), np.array([0.5, -1.0])], [np.array([3.0, 1.0]), np.array([0.25, -2.0])]
    d, _, _ = lbfgs.direction(y[-1], s, y)
    np.testing.assert_allclose(d, -s[-1], rtol=1e-12)  # H y = s for the last pair


def test_the_gradient_of_the_objective_says_how_it_changes() -> None:
    at = lbfgs.objective(np.array([1.0, 2.0]), np.array([0.5, -0.5]), 0.25)
    x, way, h = np.array([0.3, -0.7, 9.0]), np.array([1.0, 2.0, 3.0]), 1e-6
    slope = (at(x + h * way)[0] - at(x - h * way)[0]) / (2 * h)
    assert slope == pytest.approx(float(at(x)[1] @ way), rel=1e-8)


# invariances


@pytest.mark.parametrize("update", [adam, adamax, adagrad, rmsprop, adadelta])
def test_scaling_all_gradients_changes_nothing_where_eps_is_nothing(update: Any) -> None:
    gs = RNG.standard_normal((4, 3))
    eps = 1e-30 if update is adadelta else 0.0  # without any, it would never begin
    small, large = (walk(update, np.ones(3), k * gs, lr=0.1, eps=eps) for k in (1.0, 64.0))
    np.testing.assert_allclose(small[-1], large[-1], rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n not in ("SparseAdam", "Muon")])
def test_maximize_is_the_descent_of_the_negative(name: str) -> None:
    update, p, gs = OPTIMIZERS[name].update, np.ones(3), RNG.standard_normal((3, 3))
    options = {"eps": (1e-6, 1e-3)} if name == "Adafactor" else {}
    np.testing.assert_array_equal(
        walk(update, p, gs, maximize=True, **options)[-1], walk(update, p, -gs, **options)[-1]
    )


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if OPTIMIZERS[n].flat and n != "SparseAdam"])
def test_elements_do_not_see_each_other(name: str) -> None:
    update, p, gs = OPTIMIZERS[name].update, RNG.standard_normal(4), RNG.standard_normal((3, 4))
    whole = walk(update, p, gs)[-1]
    parts = [walk(update, p[i : i + 1], gs[:, i : i + 1])[-1] for i in range(4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_decoupled_decay_does_not_pass_through_the_moments() -> None:
    gs = RNG.standard_normal((3, 4))
    state: dict[str, Any] = {}
    other: dict[str, Any] = {}
    p = q = np.ones(4)
    for g in gs:
        p, state = adamw(p, g, state, lr=0.1, weight_decay=0.5)
        q, other = adamw(q, g, other, lr=0.1, weight_decay=0.0)
    np.testing.assert_array_equal(state["exp_avg"], other["exp_avg"])
    _, coupled = adam(np.ones(4), gs[0], {}, lr=0.1, weight_decay=0.5)
    np.testing.assert_allclose(coupled["exp_avg"], 0.1 * (gs[0] + 0.5), rtol=1e-12)


def test_amsgrad_keeps_the_largest_average_of_squares() -> None:
    state: dict[str, Any] = {}
    seen = []
    for g in (1.0, 10.0, 0.1):
        _, state = adam(np.zeros(1), np.array([g]), state, betas=(0.9, 0.5), amsgrad=True)
        seen.append((float(state["exp_avg_sq"][0]), float(state["max_exp_avg_sq"][0])))
    assert [m for _, m in seen] == pytest.approx([0.5, 50.25, 50.25]) and seen[-1][0] < 26


def test_rows_without_a_gradient_wait_under_sparse_adam() -> None:
    total = np.zeros((3, 2))
    total[1] = 4.0
    p, state = sparse_adam(np.ones((3, 2)), (np.array([1]), total), {}, lr=0.1)
    assert (
        (p[[0, 2]] == 1.0).all()
        and np.allclose(p[1], 0.9, rtol=1e-8, atol=0)  # eps
        and not state["exp_avg"][[0, 2]].any()
    )


def test_all_optimizers_have_a_name_and_a_source() -> None:
    for name, optimizer in ALL.items():
        assert optimizer.name == name and "Source:" in (optimizer.update.__doc__ or "")


def test_the_relative_step_of_adafactor_falls_with_the_root_of_time_once_that_is_less_than_lr() -> None:
    """For equal elements and gradients U is 1, and each step takes the share min(lr, 1 / sqrt(t)) of what is left."""
    want = 3.0
    for t, p in enumerate(walk(adafactor, np.full(4, 3.0), [np.full(4, 0.5)] * 6, lr=0.6, eps=(1e-30, 1e-6)), 1):
        want *= 1 - min(0.6, 1 / math.sqrt(t))
        assert p == pytest.approx(np.full(4, want), rel=1e-12)
