"""Losses against mpmath, loops over their definitions, and the documented meaning of their options."""

import math

import mpmath
import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(0)
EPS = float(np.finfo(np.float64).eps)


def loss(name, *args, **kwargs):
    return lookup(f"nn.functional.{name}")(*args, **kwargs)


def exact_elementwise(name, exact, xs, ts, **options):
    """The value and the gradient for each element, against mpmath at 50 digits."""
    x, t = (np.array(v, dtype=float).reshape(-1) for v in np.meshgrid(xs, ts))
    out, vjp = loss(name, x, t, reduction="none", **options)
    gx = vjp(np.ones_like(out))[0]
    with mpmath.workdps(50):
        for i in range(len(x)):
            a, b = mpmath.mpf(x[i]), mpmath.mpf(t[i])
            for got, want in ((out[i], exact(a, b)), (gx[i], mpmath.diff(lambda v, b=b: exact(v, b), a))):
                assert abs(float(got) - want) <= 8 * EPS * abs(want) + 8 * EPS * (abs(b) < 1), (name, x[i], t[i])


POINTS = [-30.0, -3.0, -0.3, 0.2, 2.5, 30.0]
PROBABILITIES = [1e-6, 0.2, 0.5, 0.99]


def test_elementwise_losses_keep_their_digits():
    exact_elementwise("mse_loss", lambda x, t: (x - t) ** 2, POINTS, [1.0, -0.7])
    exact_elementwise("l1_loss", lambda x, t: abs(x - t), POINTS, [1.0, -0.7])
    exact_elementwise("soft_margin_loss", lambda x, t: mpmath.log1p(mpmath.exp(-t * x)), POINTS, [1.0, -1.0])
    exact_elementwise("poisson_nll_loss", lambda x, t: mpmath.exp(x) - t * x, POINTS[:-1], [0.0, 3.0])
    exact_elementwise(
        "binary_cross_entropy",
        lambda x, t: -t * mpmath.log(x) - (1 - t) * mpmath.log(1 - x),
        PROBABILITIES,
        [0.0, 0.3, 1.0],
    )
    exact_elementwise(
        "binary_cross_entropy_with_logits",
        lambda x, t: t * mpmath.log1p(mpmath.exp(-x)) + (1 - t) * mpmath.log1p(mpmath.exp(x)),
        POINTS,
        [0.0, 0.3, 1.0],
    )
    exact_elementwise("kl_div", lambda x, t: t * (mpmath.log(t) - x), POINTS, [0.1, 2.0])
    exact_elementwise("kl_div", lambda x, t: mpmath.exp(t) * (t - x), POINTS, [-3.0, 0.7], log_target=True)


def test_binary_cross_entropy_bounds_its_logarithms():
    out, _ = loss("binary_cross_entropy", np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), reduction="none")
    assert out.tolist() == [100, 100, 0]


def test_pos_weight_counts_the_positive_examples():
    x, t = RNG.standard_normal(4), np.array([1.0, 0.0, 1.0, 0.0])
    out, _ = loss("binary_cross_entropy_with_logits", x, t, reduction="none", pos_weight=np.array(3.0))
    plain, _ = loss("binary_cross_entropy_with_logits", x, t, reduction="none")
    assert np.allclose(out, plain * np.where(t == 1, 3, 1), rtol=1e-15, atol=1e-15)


def test_huber_and_smooth_l1_are_quadratic_then_linear():
    d, zero = np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 3.0]), np.zeros(6)
    assert loss("huber_loss", d, zero, "none", 2.0)[0].tolist() == [4, 0.5, 0.125, 0, 0.125, 4]
    assert loss("smooth_l1_loss", d, zero, reduction="none", beta=2.0)[0].tolist() == [2, 0.25, 0.0625, 0, 0.0625, 2]
    assert loss("smooth_l1_loss", d, zero, reduction="none", beta=0.0)[0].tolist() == np.abs(d).tolist()


def test_a_weighted_mean_is_over_the_weights_but_for_huber():
    x, w = np.array([1.0, 3.0]), np.array([1.0, 3.0])
    assert loss("mse_loss", x, 0 * x, weight=w)[0] == (1 + 27) / 4
    assert loss("l1_loss", x, 0 * x, weight=w)[0] == (1 + 9) / 4
    assert loss("huber_loss", x, 0 * x, weight=w)[0] == (0.5 + 3 * 2.5) / 2


@pytest.mark.parametrize("name", ["mse_loss", "kl_div", "poisson_nll_loss", "soft_margin_loss"])
def test_the_older_arguments_name_a_reduction(name):
    x, t = RNG.standard_normal((2, 3)), np.full((2, 3), 1.0)
    same = [
        (dict(size_average=False), "sum"), (dict(reduce=False), "none"), (dict(size_average=True), "mean"),
        (dict(size_average=False, reduce=True), "sum"), (dict(size_average=True, reduce=False), "none"),
    ]  # fmt: skip
    for older, reduction in same:
        assert np.array_equal(loss(name, x, t, **older)[0], loss(name, x, t, reduction=reduction)[0])


def test_the_mean_of_nothing_is_nan_and_its_sum_zero():
    nothing = np.zeros((0, 3))
    with np.errstate(invalid="ignore"):
        assert math.isnan(loss("mse_loss", nothing, nothing)[0])
    assert loss("mse_loss", nothing, nothing, reduction="sum")[0] == 0


def test_batchmean_divides_by_the_first_size():
    x, t = RNG.standard_normal((4, 3)), RNG.uniform(0.1, 1, (4, 3))
    assert np.isclose(loss("kl_div", x, t, reduction="batchmean")[0], loss("kl_div", x, t, reduction="sum")[0] / 4)


def test_poisson_adds_stirlings_approximation_above_one():
    t = np.array([0.5, 20.0])
    full, plain = (loss("poisson_nll_loss", 0 * t, t, full=f, reduction="none")[0] for f in (True, False))
    assert full[0] == plain[0]
    assert abs(full[1] - plain[1] - math.lgamma(21)) < 1 / (12 * 20)


def test_gaussian_nll_is_minus_the_log_density():
    x, t, v = RNG.standard_normal(5), RNG.standard_normal(5), RNG.uniform(0.5, 2, 5)
    density = np.exp(-((x - t) ** 2) / (2 * v)) / np.sqrt(2 * math.pi * v)
    assert np.allclose(
        loss("gaussian_nll_loss", x, t, v, True, reduction="none")[0], -np.log(density), rtol=1e-14, atol=1e-14
    )


def test_the_variance_keeps_its_gradient_below_eps():
    _, vjp = loss("gaussian_nll_loss", np.array([1.0]), np.array([0.0]), np.array([0.01]), eps=0.5)
    assert vjp(np.array(1.0))[2].tolist() == [0.5 * (1 / 0.5 - 1 / 0.5**2)]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 2, 2)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_losses_over_classes_are_their_sums(shape, reduction):
    x, w, s = RNG.standard_normal(shape), RNG.uniform(0.5, 2, 3), 0.3
    rest = shape[:0] if len(shape) == 1 else (shape[0], *shape[2:])
    target = RNG.integers(0, 3, rest)
    if rest:
        target.reshape(-1)[0] = -100
    nll, cross, total = np.zeros(rest), np.zeros(rest), 0.0
    for place in np.ndindex(rest):
        row = x[(place[0], slice(None), *place[1:])] if rest else x
        log = row - np.log(np.exp(row).sum())
        t = target[place]
        if t == -100:
            continue
        nll[place] = -w[t] * row[t]
        cross[place] = -(1 - s) * w[t] * log[t] - s / 3 * (w * log).sum()
        total += w[t]
    reduce = {"none": lambda v: v, "sum": np.sum, "mean": lambda v: v.sum() / total}[reduction]
    options = dict(weight=w, reduction=reduction)
    assert np.allclose(loss("nll_loss", x, target, **options)[0], reduce(nll), rtol=1e-14, atol=1e-14)
    assert np.allclose(
        loss("cross_entropy", x, target, label_smoothing=s, **options)[0], reduce(cross), rtol=1e-13, atol=1e-13
    )


def test_probabilities_of_ones_and_zeros_are_class_indices():
    x, target = RNG.standard_normal((4, 3, 2)), RNG.integers(0, 3, (4, 2))
    hot = np.moveaxis(np.eye(3)[target], -1, 1)
    for s in (0.0, 0.2):
        by_class, vjp = loss("cross_entropy", x, target, label_smoothing=s)
        by_share, vjp_share = loss("cross_entropy", x, hot, label_smoothing=s)
        assert np.isclose(by_class, by_share, rtol=1e-14)
        assert np.allclose(vjp(np.array(1.0))[0], vjp_share(np.array(1.0))[0], atol=1e-15, rtol=1e-15)


def test_cross_entropy_survives_large_and_infinite_scores():
    out, vjp = loss("cross_entropy", np.array([[1e4, -1e4, -np.inf]]), np.array([0]))
    assert out == 0 and not vjp(np.array(1.0))[0].any()


def test_margins():
    x = np.array([-2.0, 0.5, 1.0, 3.0])
    out, vjp = loss("hinge_embedding_loss", x, np.array([1.0, -1, -1, -1]), reduction="none")
    assert out.tolist() == [-2, 0.5, 0, 0]
    assert vjp(np.ones(4))[0].tolist() == [1, -1, -1, 0]  # at the margin itself the derivative is -1
    out, _ = loss("margin_ranking_loss", x, 0 * x, np.array([1.0, 1, -1, -1]), 0.5, reduction="none")
    assert out.tolist() == [2.5, 0, 1.5, 3.5]


def test_cosine_embedding_compares_directions():
    a, b = np.array([[3.0, 4.0], [3.0, 4.0], [1.0, 0.0]]), np.array([[4.0, 3.0], [4.0, 3.0], [0.0, 2.0]])
    out, _ = loss("cosine_embedding_loss", a, b, np.array([1.0, -1, -1]), 0.5, reduction="none")
    assert np.allclose(out, [1 - 0.96, 0.96 - 0.5, 0], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("swap", [False, True])
def test_triplet_compares_distances(p, swap):
    a, b, c = RNG.standard_normal((3, 6, 4))
    d = lambda u, v: (np.abs(u - v + 1e-6) ** p).sum(1) ** (1 / p)  # noqa: E731
    far = np.minimum(d(a, c), d(b, c)) if swap else d(a, c)
    out, _ = loss("triplet_margin_loss", a, b, c, 1.5, p, swap=swap, reduction="none")
    assert np.allclose(out, np.maximum(d(a, b) - far + 1.5, 0), rtol=1e-14, atol=1e-14)


def test_poisson_has_stirlings_approximation_right_above_one():
    t = np.array([1.0, 1.25, 2.0])
    full, plain = (loss("poisson_nll_loss", 0 * t, t, full=f, reduction="none")[0] for f in (True, False))
    assert np.allclose(
        full - plain, np.where(t > 1, t * np.log(t) - t + np.log(2 * math.pi * t) / 2, 0), rtol=1e-14, atol=1e-14
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_smoothed_probabilities_are_mixed_with_the_same_for_each_class(reduction):
    """Szegedy et al., arXiv:1512.00567, section 7; the mean is over the samples, whatever the weights are."""
    x, t, w, s = RNG.standard_normal((4, 3)), RNG.dirichlet(np.ones(3), 4), np.array([1.0, 2.0, 0.5]), 0.25
    log = x - np.log(np.exp(x).sum(1, keepdims=True))
    want = -(w * ((1 - s) * t + s / 3) * log).sum(1)
    want = {"none": want, "mean": want.mean(), "sum": want.sum()}[reduction]
    assert np.allclose(
        loss("cross_entropy", x, t, w, label_smoothing=s, reduction=reduction)[0], want, rtol=1e-13, atol=1e-13
    )


def test_a_negative_target_has_no_divergence():
    out, _ = lookup("nn.functional.kl_div")(np.zeros(3), np.array([-0.5, 0.0, 0.5]), reduction="none")
    assert np.isnan(out[0]) and out[1] == 0 and np.isclose(out[2], 0.5 * np.log(0.5))
