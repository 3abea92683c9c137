"""Losses with margins between classes, and the losses that torch has below nn.functional."""

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin_compares_every_class_with_the_target(p):
    x, t, w = RNG.standard_normal((4, 3)), np.array([0, 2, 1, 1]), np.array([1.0, 2.0, 0.5])
    out, _ = lookup("nn.functional.multi_margin_loss")(x, t, p=p, margin=0.7, weight=w, reduction="none")
    want = [sum(w[k] * max(0.0, 0.7 - row[k] + row[i]) ** p for i in range(3) if i != k) / 3 for row, k in zip(x, t)]
    assert np.allclose(out, want, rtol=1e-14, atol=1e-14)


def test_multilabel_margin_reads_labels_up_to_the_first_minus_one():
    x = np.array([0.1, 0.2, 0.4, 0.8])
    out, _ = lookup("nn.functional.multilabel_margin_loss")(x, np.array([3, 0, -1, 1]))
    # the example of torch.nn.MultiLabelMarginLoss
    assert np.isclose(out, 0.25 * ((1 - (0.1 - 0.2)) + (1 - (0.1 - 0.4)) + (1 - (0.8 - 0.2)) + (1 - (0.8 - 0.4))))
    assert np.isclose(out, 0.85)


def test_multilabel_soft_margin_is_the_mean_of_logistic_losses():
    x, t, w = RNG.standard_normal((2, 3)), RNG.uniform(size=(2, 3)), RNG.uniform(size=3)
    out, _ = lookup("nn.functional.multilabel_soft_margin_loss")(x, t, w, reduction="none")
    s = 1 / (1 + np.exp(-x))
    assert np.allclose(out, -(w * (t * np.log(s) + (1 - t) * np.log(1 - s))).mean(1), rtol=1e-13, atol=1e-13)


def test_the_default_distance_is_the_euclidean_one():
    a, b, c = RNG.standard_normal((3, 4, 2))
    for swap in (False, True):
        out, _ = lookup("nn.functional.triplet_margin_with_distance_loss")(a, b, c, swap=swap, reduction="none")
        far = np.linalg.norm(a - c + 1e-6, axis=1)
        far = np.minimum(far, np.linalg.norm(b - c + 1e-6, axis=1)) if swap else far
        assert np.allclose(out, np.maximum(np.linalg.norm(a - b + 1e-6, axis=1) - far + 1, 0), rtol=1e-12, atol=1e-12)


def test_linear_cross_entropy_is_the_cross_entropy_of_a_linear_layer():
    x, w, b = RNG.standard_normal((2, 4)), RNG.standard_normal((3, 5, 4)), RNG.standard_normal((3, 5))
    t = RNG.integers(0, 3, (2, 5))
    out, _ = lookup("nn.functional.linear_cross_entropy")(x, w, t, linear_bias=b, reduction="none")
    scores = np.einsum("nk,cdk->ncd", x, w) + b
    want = np.log(np.exp(scores).sum(1)) - np.take_along_axis(scores, t[:, None], 1)[:, 0]
    assert np.allclose(out, want, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["hinge_embedding_loss", "margin_ranking_loss", "kl_div", "cosine_embedding_loss"])
@pytest.mark.parametrize("number, word", [(0, "none"), (1, "mean"), (2, "sum")])
def test_a_reduction_by_number_is_that_by_name(name, number, word):
    args = [RNG.uniform(0.1, 1, (4, 3)), RNG.uniform(0.1, 1, (4, 3))]
    if name == "hinge_embedding_loss":
        args[1] = np.where(args[1] > 0.5, 1.0, -1.0)
    elif name != "kl_div":
        args.append(np.array([1.0, -1.0, 1.0, -1.0])[: None if "cosine" in name else 1])
    args = args if name != "margin_ranking_loss" else [*args[:2], args[2][:, None]]
    by_number, by_name = lookup(name), lookup(f"nn.functional.{name}")
    out, vjp = by_number(*args, reduction=number)
    want, pull = by_name(*args, reduction=word)
    assert np.array_equal(out, want)
    for a, b in zip(vjp(np.ones_like(out)), pull(np.ones_like(want))):
        assert (a is None and b is None) or np.array_equal(a, b)


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_the_cross_entropy_is_linear_in_what_stands_for_probabilities(smoothing):
    """Nothing asks whether they are between 0 and 1."""
    x, q, w = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 3)), RNG.uniform(0.5, 2, 3)
    q[0, 0] = 0.0
    out, vjp = lookup("nn.functional.cross_entropy")(x, q, w, reduction="none", label_smoothing=smoothing)
    log = w * (x - np.log(np.exp(x).sum(1, keepdims=True)))
    want = -((1 - smoothing) * q + smoothing / 3)
    assert np.allclose(out, (want * log).sum(1), rtol=1e-13, atol=1e-13)
    assert np.allclose(vjp(np.ones(4))[1], -(1 - smoothing) * log, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_the_loss_of_a_named_class_is_linear_in_its_weight_of_either_sign(reduction):
    """A class that is not named adds nothing, though its logarithm is infinite."""
    x, t, w = RNG.standard_normal((4, 3)), np.array([0, 2, 0, 1]), np.array([-1.5, 0.5, 2.0])
    log = x - np.log(np.exp(x).sum(1, keepdims=True))
    terms = -(w[t] * log[np.arange(4), t])
    want = {"none": terms, "sum": terms.sum(), "mean": terms.sum() / w[t].sum()}[reduction]
    assert np.allclose(
        lookup("nn.functional.cross_entropy")(x, t, w, reduction=reduction)[0], want, rtol=1e-13, atol=1e-13
    )
    log[0, 1:], log[3, 0] = -np.inf, -np.inf
    assert np.allclose(
        lookup("nn.functional.nll_loss")(log, t, w, reduction=reduction)[0], want, rtol=1e-13, atol=1e-13
    )
