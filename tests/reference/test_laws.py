"""The laws have the moments and distribution functions of scipy.stats; their tests tell right samples from wrong."""

import numpy as np
import pytest
from scipy import stats

from reference import laws

KNOWN = {
    "uniform": (laws.uniform(-1.0, 2.0), stats.uniform(-1.0, 3.0)),
    "normal": (laws.normal(1.0, 2.0), stats.norm(1.0, 2.0)),
    "log_normal": (laws.log_normal(0.25, 0.5), stats.lognorm(0.5, scale=np.exp(0.25))),
    "exponential": (laws.exponential(2.0), stats.expon(scale=0.5)),
    "truncated": (laws.truncated(-0.5, 2.0, -1.0, 3.0), stats.truncnorm(-0.25, 1.75, -0.5, 2.0)),
    "cauchy": (laws.cauchy(1.0, 2.0), stats.cauchy(1.0, 2.0)),
    "geometric": (laws.geometric(0.25), stats.geom(0.25)),
    "poisson": (laws.poisson(3.0), stats.poisson(3.0)),
    "binomial": (laws.binomial(9, 0.25), stats.binom(9, 0.25)),
    "integers": (laws.integers(-3, 2), stats.randint(-3, 2)),
    "coin": (laws.coin(0.25), stats.bernoulli(0.25)),
}
NONE = np.zeros(20_000)


@pytest.mark.parametrize("name", KNOWN)
def test_a_law_has_the_distribution_function_of_scipy(name):
    law, known = KNOWN[name]
    points = np.concatenate([np.linspace(-6, 12, 73), np.arange(-6.0, 12.0)])
    np.testing.assert_allclose(law.upto(points), known.cdf(points), rtol=1e-12, atol=1e-14)
    discrete = hasattr(known.dist, "pmf")
    below = known.cdf(points) - (known.pmf(points) if discrete else 0.0)
    np.testing.assert_allclose((law.below or law.upto)(points), below, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(KNOWN) - {"cauchy"}))
def test_a_law_has_the_moments_of_scipy(name):
    law, known = KNOWN[name]
    mean, variance, kurtosis = known.stats(moments="mvk")
    np.testing.assert_allclose((law.mean, law.variance), (mean, variance), rtol=1e-12)
    np.testing.assert_allclose(law.fourth, (kurtosis + 3) * variance**2, rtol=1e-9)


@pytest.mark.parametrize("name", KNOWN)
def test_samples_of_the_law_pass_and_samples_of_a_near_one_do_not(name):
    law, known = KNOWN[name]
    for seed in range(20):
        y = known.rvs(20_000, random_state=seed).astype(float)
        assert laws.off_support(y, law, NONE) is None
        assert laws.off_distribution(y, law, NONE) is None
        assert laws.off_independence(y) is None
        if np.isfinite(law.mean):
            assert laws.off_moments(y, law, NONE) is None
    # every twentieth number is drawn as its neighbour
    assert laws.off_distribution(np.where(np.arange(y.size) % 20, y, y.max()), law, NONE) is not None
    assert laws.off_independence(np.where(np.arange(y.size) % 8, y, np.roll(y, 1))) is not None


def test_two_gumbel_softmax_numbers_have_the_law_of_their_definition():
    law, rng = laws.binary_concrete(0.75, 0.75), np.random.default_rng(5)
    for tau, right in ((0.75, True), (0.7, False)):
        z = (np.array([0.5, -0.25]) + rng.gumbel(size=(50_000, 2))) / tau
        y = 1 / (1 + np.exp(z[:, 1] - z[:, 0]))
        assert (laws.off_distribution(y, law, np.zeros_like(y)) is None) == right
        assert (laws.off_moments(y, law, np.zeros_like(y)) is None) == right


def test_what_is_wrong_is_told_as_an_expression_that_shows_it():
    y = np.random.default_rng(0).uniform(0.0, 0.9, 20_000)
    wrong = laws.off_distribution(y, laws.uniform(0.0, 1.0), NONE)
    assert abs(eval(wrong.expression, {"y": y, "np": np}) - wrong.want) > wrong.limit


def test_alpha_dropout_keeps_mean_and_variance():
    """Klambauer and others, Self-Normalizing Neural Networks, 2017, section 3."""
    p = 0.25
    a, b = laws.alpha(p)
    # x of mean 0 and variance 1, dropped to the negative limit of selu
    mean = b + a * p * laws._SELU
    variance = a * a * ((1 - p) + p * laws._SELU**2) - (a * p * laws._SELU) ** 2
    assert mean == pytest.approx(0.0, abs=1e-15)
    assert variance == pytest.approx(1.0, rel=1e-12)
