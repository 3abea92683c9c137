"""Normalisations against their definitions, their invariances, and each other."""

import mpmath
import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(2)


def value(name, *args, **options):
    return lookup(f"nn.functional.{name}")(*args, **options)[0]


def test_batch_norm_in_training_has_mean_zero_and_variance_one_before_the_affine_map():
    x = RNG.standard_normal((5, 3, 4)) * 3 + 7
    y = value("batch_norm", x, None, None, np.array([2.0, 1.0, 3.0]), np.array([1.0, 0.0, -1.0]), True, eps=0.0)
    np.testing.assert_allclose(y.mean((0, 2)), [1, 0, -1], atol=1e-13)
    np.testing.assert_allclose(y.std((0, 2)), [2, 1, 3], rtol=1e-13)


def test_running_statistics_move_by_momentum_with_the_unbiased_variance():
    x, mean, var = RNG.standard_normal((5, 2, 3)), np.array([1.0, 2.0]), np.array([3.0, 4.0])
    lookup("nn.functional.batch_norm")(x, mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean, 0.75 * np.array([1.0, 2.0]) + 0.25 * x.mean((0, 2)), rtol=1e-14)
    np.testing.assert_allclose(var, 0.75 * np.array([3.0, 4.0]) + 0.25 * x.var((0, 2), ddof=1), rtol=1e-14)


def test_instance_statistics_move_towards_the_mean_over_samples():
    x, mean, var = RNG.standard_normal((4, 2, 5)), np.zeros(2), np.ones(2)
    lookup("nn.functional.instance_norm")(x, mean, var, momentum=1.0)
    np.testing.assert_allclose(mean, x.mean((0, 2)), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(var, x.var(2, ddof=1).mean(0), rtol=1e-14)


def test_evaluation_uses_and_keeps_the_running_statistics():
    x, mean, var = RNG.standard_normal((2, 1, 3)), np.array([0.5]), np.array([4.0])
    np.testing.assert_allclose(value("batch_norm", x, mean, var, eps=0.0), (x - 0.5) / 2, rtol=1e-15)
    assert mean == 0.5 and var == 4.0


def test_one_group_per_channel_is_instance_norm_and_one_group_is_layer_norm():
    x = RNG.standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(value("group_norm", x, 3), value("instance_norm", x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(value("group_norm", x, 1), value("layer_norm", x, (3, 4, 5)), rtol=1e-12, atol=1e-14)


def test_layer_norm_forgets_scale_and_shift():
    x = RNG.standard_normal((2, 6))
    y, vjp = lookup("nn.functional.layer_norm")(x, (6,), eps=0.0)
    np.testing.assert_allclose(y, value("layer_norm", 3 * x + 1, (6,), eps=0.0), rtol=1e-12)
    (grad,) = vjp(RNG.standard_normal((2, 6)))
    np.testing.assert_allclose(grad.sum(1), 0, atol=1e-14)  # blind to a shift
    np.testing.assert_allclose((grad * x).sum(1), 0, atol=1e-14)  # blind to a scale


def test_rms_norm_is_the_root_mean_square_at_fifty_digits():
    x = [0.3, -2.0, 1.7]
    with mpmath.workdps(50):
        root = mpmath.sqrt(sum(mpmath.mpf(v) ** 2 for v in x) / 3 + mpmath.mpf(1e-5))
        want = [float(v / root) for v in x]
    np.testing.assert_allclose(value("rms_norm", np.array(x), (3,), eps=1e-5), want, rtol=4e-16)


def test_local_response_norm_divides_by_its_neighbours():
    x = RNG.standard_normal((2, 5, 3))
    for size in (1, 2, 3, 4, 7):
        y = value("local_response_norm", x, size, alpha=0.5, beta=0.75, k=2.0)
        for c in range(5):
            near = x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
            want = x[:, c] / (2.0 + 0.5 / size * (near**2).sum(1)) ** 0.75
            np.testing.assert_allclose(y[:, c], want, rtol=1e-14)


@pytest.mark.parametrize("name, args", [
    ("nn.functional.layer_norm", ((1,),)), ("nn.functional.group_norm", (2,)), ("layer_norm", ((1,),)),
    ("native_layer_norm", ((1,), None, None, 1e-5)), ("group_norm", (2,)),
])  # fmt: skip
def test_of_a_single_number_a_norm_leaves_nothing(name, args):
    x = np.array([[[2.0], [-3.0]]]) if "group" not in name else np.array([[2.0, -3.0]])
    out, vjp = lookup(name)(x, *args)
    outs = out if isinstance(out, tuple) else (out,)
    gs = (np.ones_like(outs[0]), *map(np.zeros_like, outs[1:]))
    assert not outs[0].any() and not vjp(gs if isinstance(out, tuple) else gs[0])[0].any()
