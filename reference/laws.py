"""What random functions promise: the law of the numbers that they draw, and the gradient through a draw.

A law is a distribution function, taken from the documentation; the numbers of one call are independent. The
distribution of a sample is held against it by the inequality of Dvoretzky, Kiefer and Wolfowitz,

    P(sup |F_n - F| > e) <= 2 exp(-2 n e^2)      (with Massart's constant, Annals of Probability 18, 1990),

which holds for every law, discrete ones too, so that one test with a stated error rate serves all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from reference.rule import Array

ERROR_RATE = 1e-9  # of each test, were its seed not fixed
EULER = 0.57721566490153286061


@dataclasses.dataclass(frozen=True)
class Law:
    """The distribution of one number.

    upto      x -> P(X <= x)
    below     x -> P(X < x), where that differs
    mean, variance, fourth    its moments, the last two central; nan where it has none
    low, high the ends of its support
    values    the values that it can take, where they are few
    """

    upto: Callable[[Array], Array]
    mean: float
    variance: float
    fourth: float
    low: float
    high: float
    below: Callable[[Array], Array] | None = None
    values: tuple[float, ...] = ()


def among(values: tuple[float, ...], shares: tuple[float, ...]) -> Law:
    """Finitely many values with these probabilities."""
    x, p = np.asarray(values, float), np.asarray(shares, float)
    order = np.argsort(x)
    x, p = x[order], p[order]
    cumulative = np.concatenate([[0.0], np.cumsum(p)])
    mean = float((p * x).sum())
    return Law(
        lambda t: cumulative[np.searchsorted(x, t, "right")], mean, float((p * (x - mean) ** 2).sum()),
        float((p * (x - mean) ** 4).sum()), float(x[0]), float(x[-1]),
        lambda t: cumulative[np.searchsorted(x, t, "left")], tuple(x),
    )  # fmt: skip


def coin(p: float, yes: float = 1.0, no: float = 0.0) -> Law:
    """`yes` with probability p, else `no`."""
    return among((no, yes), (1.0 - p, p))


def integers(low: int, high: int) -> Law:
    """Every integer of [low, high) alike."""
    count = high - low
    return among(tuple(float(v) for v in range(low, high)), (1.0 / count,) * count)


def uniform(low: float, high: float) -> Law:
    """Between low and high alike."""
    wide = high - low
    return Law(lambda t: np.clip((t - low) / wide, 0, 1), (low + high) / 2, wide**2 / 12, wide**4 / 80, low, high)


def normal(mean: float, std: float) -> Law:
    """Gauss's law."""
    return Law(lambda t: special.ndtr((t - mean) / std), mean, std**2, 3 * std**4, -math.inf, math.inf)


def truncated(mean: float, std: float, low: float, high: float) -> Law:
    """A normal number drawn again until it is between low and high.

    Moments of the standardized number by integration by parts: with f the density of Gauss's law and Z the
    probability of [a, b],  m_k = (k - 1) m_{k-2} + (a^(k-1) f(a) - b^(k-1) f(b)) / Z.
    """
    a, b = (low - mean) / std, (high - mean) / std
    share = float(special.ndtr(b) - special.ndtr(a))
    fa, fb = (math.exp(-t * t / 2) / math.sqrt(2 * math.pi) / share for t in (a, b))
    m = [1.0, fa - fb]
    for k in (2, 3, 4):
        m.append((k - 1) * m[k - 2] + a ** (k - 1) * fa - b ** (k - 1) * fb)
    variance, fourth = m[2] - m[1] ** 2, m[4] - 4 * m[1] * m[3] + 6 * m[1] ** 2 * m[2] - 3 * m[1] ** 4
    return Law(
        lambda t: np.clip((special.ndtr((t - mean) / std) - special.ndtr(a)) / share, 0, 1),
        mean + std * m[1], std**2 * variance, std**4 * fourth, low, high,
    )  # fmt: skip


def log_normal(mean: float, std: float) -> Law:
    """exp of a normal number."""

    def moment(k: int) -> float:
        return math.exp(k * mean + k * k * std * std / 2)

    first, second, third, fourth = map(moment, (1, 2, 3, 4))
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    return Law(
        lambda t: special.ndtr((np.log(np.maximum(t, 1e-300)) - mean) / std), first, second - first**2, central,
        0.0, math.inf,
    )  # fmt: skip


def exponential(rate: float) -> Law:
    """The time until an event of this rate."""
    return Law(lambda t: -np.expm1(-rate * np.maximum(t, 0)), 1 / rate, 1 / rate**2, 9 / rate**4, 0.0, math.inf)


def cauchy(median: float, scale: float) -> Law:
    """Cauchy's law, which has no moments."""
    return Law(
        lambda t: 0.5 + np.arctan((t - median) / scale) / math.pi, math.nan, math.nan, math.nan, -math.inf, math.inf
    )


def softmax(logits: tuple[float, ...]) -> tuple[float, ...]:
    """How often each of several logits is the largest after Gumbel noise: their softmax."""
    e = np.exp(np.asarray(logits) - max(logits))
    return tuple(e / e.sum())


def binary_concrete(logit: float, tau: float) -> Law:
    """The first of two Gumbel-softmax numbers whose logits differ by `logit`: sigmoid((logit + noise) / tau).

    The noise, a difference of two Gumbel numbers, is logistic (Maddison et al., arXiv:1611.00712).
    """
    nodes, weights = np.polynomial.legendre.leggauss(400)
    y = special.expit((special.logit((nodes + 1) / 2) + logit) / tau)
    mean = float((weights * y).sum() / 2)
    variance, fourth = (float((weights * (y - mean) ** k).sum() / 2) for k in (2, 4))
    return Law(lambda t: special.expit(tau * special.logit(np.clip(t, 0, 1)) - logit), mean, variance, fourth, 0.0, 1.0)


def geometric(p: float) -> Law:
    """The number of trials up to the first success."""
    q = 1 - p
    variance = q / p**2
    return Law(
        lambda t: np.where(t < 1, 0.0, 1 - q ** np.floor(np.maximum(t, 0))), 1 / p, variance,
        variance**2 * (9 + p**2 / q), 1.0, math.inf,
        lambda t: np.where(t <= 1, 0.0, 1 - q ** (np.ceil(np.maximum(t, 1)) - 1)),
    )  # fmt: skip


def poisson(rate: float) -> Law:
    """The number of events at this rate."""
    return Law(
        lambda t: np.where(t < 0, 0.0, special.pdtr(np.floor(np.maximum(t, 0)), rate)), rate, rate,
        rate + 3 * rate**2, 0.0, math.inf,
        lambda t: np.where(t <= 0, 0.0, special.pdtr(np.maximum(np.ceil(t) - 1, 0), rate)),
    )  # fmt: skip


def binomial(count: int, p: float) -> Law:
    """The number of successes among `count` trials."""
    k = np.arange(count + 1)
    shares = special.binom(count, k) * p**k * (1 - p) ** (count - k)
    return among(tuple(k.astype(float)), tuple(shares))


# what a call draws


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to call a random function, with what it promises then.

    args      n -> the arguments for a sample of n numbers, tensors as arrays
    law       of each number, or n -> that law; None where only the gradient and the seed are tested
    kwargs    keyword arguments
    factory   the function makes its tensor: dtype and device are given as keywords
    gradient  (x, y, g) -> the gradient of the first argument, that the draw y of f(x) leaves no choice in
    whole     (y, eps of its dtype) -> whether the numbers together are right (a permutation, one hot in each row)
    integers  the numbers come as integers, whatever the dtype
    sample    the independent numbers in y, as Python
    """

    args: Callable[[int], tuple[Any, ...]]
    law: Law | Callable[[int], Law] | None
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    factory: bool = False
    gradient: Callable[[Array, Array, Array], Array] | None = None
    whole: Callable[[Array, float], bool] | None = None
    integers: bool = False
    sample: str = "y.ravel()"

    def numbers(self, y: Array) -> Array:
        """The independent numbers in y."""
        return np.asarray(eval(self.sample, {"y": y, "np": np}), float)

    def of(self, n: int) -> Law | None:
        """The law of each of n numbers."""
        return self.law if self.law is None or isinstance(self.law, Law) else self.law(n)


def masked(x: Array, y: Array, g: Array) -> Array:
    """Where y = m x, the gradient is m g with the same m."""
    return np.asarray(g * y / x)


def filling(law: Law, *args: Any, **kwargs: Any) -> tuple[Setting, ...]:
    """An in-place method that fills a tensor."""
    return (Setting(lambda n: (np.zeros(n), *args), law, kwargs),)


def dropping(p: float, **kwargs: Any) -> Setting:
    """Dropout of ones: each is dropped with probability p, else divided by 1 - p."""
    return Setting(lambda n: (np.ones(n), p), coin(1 - p, 1 / (1 - p)), kwargs, gradient=masked)


OF_CHANNELS = "y.reshape(y.shape[1], -1)[:, 0]"


def _same_in_each_channel(y: Array, eps: float) -> bool:
    flat = y.reshape(y.shape[1], -1)
    return bool((flat == flat[:, :1]).all())


def channels(dims: int, p: float, **kwargs: Any) -> Setting:
    """Dropout of whole channels, each of two elements in every dimension: told by their first elements."""
    return Setting(
        lambda n: (np.ones((1, n, *(2,) * dims)), p), coin(1 - p, 1 / (1 - p)), kwargs, gradient=masked,
        whole=_same_in_each_channel, sample=OF_CHANNELS,
    )  # fmt: skip


# alpha dropout keeps mean 0 and variance 1: with a' the value of selu at minus infinity, a dropped x becomes
# a' and the result is scaled by A and moved by B (Klambauer and others, Self-Normalizing Neural Networks, 2017)
_SELU = -1.0507009873554805 * 1.6732632423543772


def alpha(p: float) -> tuple[float, float]:
    """A and B for a share p of dropped numbers."""
    a = ((1 - p) * (1 + p * _SELU**2)) ** -0.5
    return a, -a * p * _SELU


def alpha_dropping(p: float, dims: int = 0, **kwargs: Any) -> Setting:
    """Alpha dropout of ones."""
    a, b = alpha(p)
    dropped = a * _SELU + b
    return Setting(
        lambda n: (np.ones((1, n, *(2,) * dims)) if dims else np.ones(n), p),
        among((dropped, a + b), (p, 1 - p)), kwargs,
        gradient=lambda x, y, g: np.where(np.abs(y - dropped) < 1e-2, 0.0, a) * g,
        whole=_same_in_each_channel if dims else None, sample=OF_CHANNELS if dims else Setting.sample,
    )  # fmt: skip


def leaking(lower: float, upper: float, **kwargs: Any) -> Setting:
    """rrelu of minus ones: minus a slope between lower and upper."""
    return Setting(lambda n: (-np.ones(n), lower, upper), uniform(-upper, -lower), kwargs, gradient=masked)


def _permutation(y: Array, eps: float) -> bool:
    return np.array_equal(np.sort(y), np.arange(y.size))


def _one_hot(y: Array, eps: float) -> bool:
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all())


def _softmax_gradient(tau: float) -> Callable[[Array, Array, Array], Array]:
    return lambda x, y, g: y * (g - (g * y).sum(axis=-1, keepdims=True)) / tau


_LOGITS = (0.5, -1.0, 0.25)
_TRAINING = {"training": True}
_EIGHTHS = (1 / 8, 2 / 8, 5 / 8)

LAWS: dict[str, tuple[Setting, ...]] = {
    "rand": (Setting(lambda n: (n,), uniform(0, 1), factory=True),),
    "randn": (Setting(lambda n: (n,), normal(0, 1), factory=True),),
    "randint": (
        Setting(lambda n: (7, (n,)), integers(0, 7), factory=True),
        Setting(lambda n: (-3, 2, (n,)), integers(-3, 2), factory=True),
    ),
    "randperm": (
        Setting(lambda n: (n,), None, whole=_permutation, integers=True),
    ),
    "rand_like": (Setting(lambda n: (np.zeros(n),), uniform(0, 1)),),
    "randn_like": (Setting(lambda n: (np.zeros(n),), normal(0, 1)),),
    "randint_like": (Setting(lambda n: (np.zeros(n), 5), integers(0, 5)),),
    "normal": (
        Setting(lambda n: (np.full(n, 1.0), np.full(n, 0.5)), normal(1, 0.5)),
        Setting(lambda n: (np.full(n, -2.0), 2.0), normal(-2, 2)),
        Setting(lambda n: (0.5, np.full(n, 2.0)), normal(0.5, 2)),
        Setting(lambda n: (0.5, 1.5, (n,)), normal(0.5, 1.5), factory=True),
    ),
    "bernoulli": (
        Setting(lambda n: (np.full(n, 0.25),), coin(0.25)),
        Setting(lambda n: (np.zeros(n), 0.75), coin(0.75)),
    ),
    "binomial": (Setting(lambda n: (np.full(n, 9.0), np.full(n, 0.25)), binomial(9, 0.25)),),
    "poisson": (
        Setting(lambda n: (np.full(n, 3.0),), poisson(3.0)),
        Setting(lambda n: (np.full(n, 15.0),), poisson(15.0)),
    ),
    "multinomial": (
        Setting(lambda n: (np.array([1.0, 0.0, 2.0, 5.0]), n, True), among((0, 2, 3), _EIGHTHS), integers=True),
        Setting(lambda n: (np.tile([1.0, 0.0, 2.0, 5.0], (n, 1)), 1), among((0, 2, 3), _EIGHTHS), integers=True),
        Setting(
            lambda n: (np.tile([1.0, 2.0, 5.0], (n, 1)), 3), among((0, 1, 2), _EIGHTHS), integers=True,
            whole=lambda y, eps: bool((np.sort(y, axis=1) == np.arange(3)).all()), sample="y[:, 0]",
        ),
    ),
    "Tensor.uniform_": filling(uniform(-1.0, 2.0), -1.0, 2.0),
    "Tensor.normal_": filling(normal(1.0, 2.0), 1.0, 2.0),
    "Tensor.log_normal_": filling(log_normal(0.0, 0.5), 0.0, 0.5),
    "Tensor.exponential_": filling(exponential(2.0), 2.0),
    "Tensor.cauchy_": filling(cauchy(1.0, 2.0), 1.0, 2.0),
    "Tensor.geometric_": filling(geometric(0.25), 0.25),
    "Tensor.bernoulli_": (*filling(coin(0.25), 0.25), Setting(lambda n: (np.zeros(n), np.full(n, 0.75)), coin(0.75))),
    "Tensor.random_": (*filling(integers(0, 9), 9), *filling(integers(-2, 5), -2, 5)),
    "nn.functional.dropout": (dropping(0.25), dropping(0.5, training=True), dropping(0.75, **_TRAINING)),
    "nn.functional.dropout1d": (channels(1, 0.25),),
    "nn.functional.dropout2d": (channels(2, 0.25),),
    "nn.functional.dropout3d": (channels(3, 0.5),),
    "nn.functional.alpha_dropout": (alpha_dropping(0.25, **_TRAINING),),
    "nn.functional.feature_alpha_dropout": (alpha_dropping(0.25, 2, **_TRAINING),),
    "nn.functional.rrelu": (leaking(0.125, 0.5, **_TRAINING),),
    "nn.functional.gumbel_softmax": (
        Setting(
            lambda n: (np.tile([0.5, -0.25], (n, 1)),), binary_concrete(0.75, 0.75), {"tau": 0.75},
            gradient=_softmax_gradient(0.75), sample="y[:, 0]",
            whole=lambda y, eps: bool((np.abs(y.sum(axis=-1) - 1) <= 8 * eps).all()),
        ),
        Setting(
            lambda n: (np.tile(_LOGITS, (n, 1)),), among((0, 1, 2), softmax(_LOGITS)), {"hard": True, "tau": 3.0},
            sample="y.argmax(axis=-1)", whole=_one_hot,
        ),
    ),
    "dropout": (Setting(lambda n: (np.ones(n), 0.25, True), coin(0.75, 4 / 3), gradient=masked),),
    "native_dropout": (Setting(lambda n: (np.ones(n), 0.25, True), coin(0.75, 4 / 3), gradient=masked),),
    "feature_dropout": (
        dataclasses.replace(channels(2, 0.25), args=lambda n: (np.ones((1, n, 2, 2)), 0.25, True)),
    ),
    "alpha_dropout": (
        dataclasses.replace(alpha_dropping(0.25), args=lambda n: (np.ones(n), 0.25, True)),
    ),
    "feature_alpha_dropout": (
        dataclasses.replace(alpha_dropping(0.25, 2), args=lambda n: (np.ones((1, n, 2, 2)), 0.25, True)),
    ),
    "rrelu": (Setting(lambda n: (-np.ones(n), 0.125, 0.5, True), uniform(-0.5, -0.125), gradient=masked),),
}  # fmt: skip


# tests; each gives None or what is wrong


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A number that a sample y should not give: `expression`, Python over y, is farther than `limit` from `want`."""

    text: str
    expression: str
    want: float
    limit: float


def off_support(y: Array, law: Law, room: Array) -> Wrong | None:
    """Numbers that the law cannot give; `room` is the rounding of each."""
    if law.values:
        near = np.abs(y[:, None] - np.asarray(law.values)).min(axis=1)
        wrong = near > room
    else:
        wrong = ~((y >= law.low - room) & (y <= law.high + room))
    if not wrong.any():
        return None
    strange = float(y[wrong][0])
    text = f"{int(wrong.sum())} of {y.size} numbers are outside the support, such as {strange!r}"
    return Wrong(text, f"(y == {strange!r}).sum()" if math.isfinite(strange) else "(~np.isfinite(y)).sum()", 0.0, 0.0)


def off_distribution(y: Array, law: Law, room: Array) -> Wrong | None:
    """The distance of the sample's distribution function from the law's, by the inequality above."""
    order = np.argsort(y)
    x, around = y[order], room[order]
    n = x.size
    # the numbers are rounded: each stands for those around it
    most, least = law.upto(x + around), (law.below or law.upto)(x - around)
    above = np.searchsorted(x, x, "right") / n - most
    under = least - np.searchsorted(x, x, "left") / n
    limit = math.sqrt(math.log(2 / ERROR_RATE) / (2 * n))
    if not n or max(above.max(), under.max()) <= limit:
        return None
    if above.max() >= under.max():
        i = int(np.argmax(above))
        expression, want, got = f"(y <= {float(x[i])!r}).mean()", float(most[i]), float(above[i] + most[i])
    else:
        i = int(np.argmax(under))
        expression, want, got = f"(y < {float(x[i])!r}).mean()", float(least[i]), float(least[i] - under[i])
    text = f"{expression} of {n} numbers is {got:.4g}, by the law {want:.4g}, {limit:.2g} is chance"
    return Wrong(text, expression, want, limit)


def off_moments(y: Array, law: Law, room: Array) -> Wrong | None:
    """Mean and variance, by the central limit theorem."""
    z = float(-special.ndtri(ERROR_RATE / 2))
    n, slack = y.size, float(room.mean())
    wide = math.sqrt(max(law.fourth - law.variance**2, 0.0) / n)
    for what, expression, got, want, limit in (
        ("mean", "y.mean()", float(y.mean()), law.mean, z * math.sqrt(law.variance / n) + slack),
        (
            "variance", f"((y - {law.mean!r}) ** 2).mean()", float(((y - law.mean) ** 2).mean()), law.variance,
            z * wide + 4 * slack * math.sqrt(law.variance + law.mean**2),
        ),
    ):  # fmt: skip
        if abs(got - want) > limit:
            text = f"the {what} of {n} numbers is {got:.6g}, by the law {want:.6g}, {limit:.2g} is chance"
            return Wrong(text, expression, want, limit)
    return None


LAGS = (1, 2, 8, 16)  # how far apart lanes of a vector stand


def off_independence(y: Array) -> Wrong | None:
    """Correlation of the ranks of numbers that stand a few places apart."""
    z = float(-special.ndtri(ERROR_RATE / (2 * len(LAGS))))
    ranks = np.searchsorted(np.sort(y), y, "left") + np.searchsorted(np.sort(y), y, "right")
    u = ranks - ranks.mean()
    scale = float((u * u).mean())
    for lag in LAGS:
        if scale > 0 and u.size > 10 * lag:
            r, limit = float((u[lag:] * u[:-lag]).mean()) / scale, z / math.sqrt(u.size - lag)
            if abs(r) > limit:
                ranked = "(lambda s: s.searchsorted(y) + s.searchsorted(y, 'right'))(np.sort(y))"
                expression = f"(lambda r: np.corrcoef(r[{lag}:], r[:-{lag}])[0, 1])({ranked})"
                return Wrong(f"numbers {lag} apart are correlated: {r:.3g}", expression, 0.0, limit)
    return None
