"""Connectionist temporal classification against the sum over every path."""

import itertools

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(5)


def collapsed(path, blank):
    return [k for k, _ in itertools.groupby(path) if k != blank]


def by_paths(log_probs, target, blank):
    steps, classes = log_probs.shape
    paths = [p for p in itertools.product(range(classes), repeat=steps) if collapsed(p, blank) == list(target)]
    return -np.log(sum(np.exp(sum(log_probs[t, k] for t, k in enumerate(p))) for p in paths))


def drawn(steps, batch, classes):
    x = RNG.standard_normal((steps, batch, classes))
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("target", [[], [1], [1, 1], [1, 3], [3, 1, 3]])
def test_the_likelihood_is_the_sum_over_all_paths(blank, target):
    x = drawn(5, 1, 4)
    labels = np.array([[*target, 1]])
    out, _ = lookup("nn.functional.ctc_loss")(
        x, labels, np.array([5]), np.array([len(target)]), blank=blank, reduction="none"
    )
    assert np.isclose(out[0], by_paths(x[:, 0], target, blank), rtol=1e-13)


def test_lengths_cut_inputs_and_targets_off():
    x, ctc = drawn(6, 2, 3), lookup("nn.functional.ctc_loss")
    both, vjp = ctc(x, np.array([[1, 2, 2], [2, 0, 0]]), (4, 6), (3, 1), reduction="none")
    assert np.allclose(
        both, [np.inf if i else by_paths(x[:4, 0], [1, 2, 2], 0) for i in (0,)] + [both[1]], rtol=1e-12, atol=1e-12
    )
    assert np.isclose(both[1], by_paths(x[:, 1], [2], 0))
    assert not vjp(np.ones(2))[0][4:, 0].any()


def test_joined_targets_and_one_sequence_alone_say_the_same():
    x, ctc = drawn(5, 2, 4), lookup("nn.functional.ctc_loss")
    lengths, counts = np.array([5, 4]), np.array([2, 1])
    rows, _ = ctc(x, np.array([[1, 3], [2, 0]]), lengths, counts, reduction="none")
    joined, _ = ctc(x, np.array([1, 3, 2]), lengths, counts, reduction="none")
    alone, _ = ctc(x[:, 0], np.array([1, 3]), np.array(5), np.array(2), reduction="none")
    assert np.array_equal(rows, joined) and np.isclose(alone, rows[0], rtol=1e-15)
    mean, _ = ctc(x, np.array([[1, 3], [2, 0]]), lengths, counts)
    assert np.isclose(mean, (rows[0] / 2 + rows[1] / 1) / 2)
    by_number, _ = lookup("ctc_loss")(x, np.array([1, 3, 2]), [5, 4], [2, 1], 0, 1)
    assert by_number == mean


def test_the_gradient_is_the_probability_minus_the_posterior():
    x = drawn(4, 1, 3)
    _, vjp = lookup("nn.functional.ctc_loss")(x, np.array([[1, 2]]), (4,), (2,), reduction="sum")
    grad = vjp(np.ones(()))[0][:, 0]
    posterior, total = np.zeros((4, 3)), 0.0
    for path in itertools.product(range(3), repeat=4):
        if collapsed(path, 0) == [1, 2]:
            p = np.exp(sum(x[t, 0, k] for t, k in enumerate(path)))
            total += p
            posterior[np.arange(4), path] += p
    assert np.allclose(grad, np.exp(x[:, 0]) - posterior / total, rtol=1e-12, atol=1e-15)


def test_a_target_that_does_not_fit_is_impossible_or_counts_for_nothing():
    x, target = drawn(2, 1, 3), np.array([[1, 1]])
    out, _ = lookup("nn.functional.ctc_loss")(x, target, (2,), (2,), reduction="sum")
    assert np.isposinf(out)
    out, vjp = lookup("nn.functional.ctc_loss")(x, target, (2,), (2,), reduction="sum", zero_infinity=True)
    assert out == 0 and not vjp(np.ones(()))[0].any()
