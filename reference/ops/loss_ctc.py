"""Connectionist temporal classification: the likelihood of a sequence of labels whose places are not known."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.loss_builtin import HOW
from reference.rule import DERIVATIVES, Array, Case, Waiver, is_stepping, rule


def total(parts):
    """log of the sum of exp over the parts, and each one's share of it; -inf for a sum of nothing."""
    top = np.max([p.real for p in parts], axis=0)
    top = np.where(np.isneginf(top), 0.0, top)
    e = [np.exp(p - top) for p in parts]
    whole = sum(e)
    empty = whole.real == 0
    safe = np.where(empty, 1.0, whole)
    return np.where(empty, -np.inf, np.log(safe) + top), [v / safe for v in e]


def later(x, by, fill):
    """x moved on by that many states."""
    return np.concatenate([np.full((len(x), by), fill, x.dtype), x], 1)[:, : x.shape[1]]


def earlier(x, by):
    return np.concatenate([x, np.zeros((len(x), by), x.dtype)], 1)[:, by:]


def likelihood(log_probs, labels, steps, counts, blank):
    """log p of each sequence of labels (N, S), the first counts[n] of them, over the first steps[n] steps.

    A path is in one of 2 S + 1 states, which are a blank, a label, a blank, ..., and at each step stays or goes
    on by one, or by two from a label to a different one. vjp() -> d log p / d log_probs, the posterior.
    """
    length, batch, _ = log_probs.shape
    states = 2 * labels.shape[1] + 1
    symbols = np.full((batch, states), blank)
    symbols[:, 1::2] = labels
    jumps = (symbols != blank) & (symbols != later(symbols, 2, blank))
    rows = np.arange(batch)[:, None]
    start = np.full((batch, states), -np.inf)
    start[:, 0] = 0.0
    alpha = start.astype(log_probs.dtype)
    shares = []
    for t in range(length):
        hop = np.where(jumps, later(alpha, 2, -np.inf), -np.inf)
        reached, parts = total([alpha, later(alpha, 1, -np.inf), hop])
        alive = (t < steps)[:, None]
        alpha = np.where(alive, reached + log_probs[t][rows, symbols], alpha)
        shares.append((alive, parts))
    ends = 2 * counts[:, None]
    before = np.where(ends > 0, alpha[rows, np.maximum(ends - 1, 0)], -np.inf)
    found, last = total([alpha[rows, ends], before])

    def vjp():
        posterior = np.zeros(log_probs.shape, log_probs.dtype)
        adjoint = np.zeros((batch, states), log_probs.dtype)
        adjoint[rows, np.maximum(ends - 1, 0)] = last[1]
        adjoint[rows, ends] = last[0]
        for t in reversed(range(length)):
            alive, (stay, one, two) = shares[t]
            np.add.at(posterior[t], (rows, symbols), np.where(alive, adjoint, 0.0))
            back = adjoint * stay + earlier(adjoint * one, 1) + earlier(adjoint * two, 2)
            adjoint = np.where(alive, back, adjoint)
        return posterior

    return found[:, 0], vjp


def padded(targets, counts):
    """Targets that stand one after the other as rows of one length."""
    rows = np.zeros((len(counts), int(counts.max(initial=0))), np.int64)
    for row, end, count in zip(rows, np.cumsum(counts), counts):
        row[:count] = targets[end - count : end]
    return rows


def classified(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity):
    alone = log_probs.ndim == 2
    x = log_probs[:, None] if alone else log_probs
    steps, counts = (np.atleast_1d(np.asarray(v)) for v in (input_lengths, target_lengths))
    if not 0 <= blank < x.shape[2]:
        raise RuntimeError("blank must be a label")
    labels = padded(targets, counts) if targets.ndim == 1 else targets[:, : int(counts.max(initial=0))]
    labels = np.where(np.arange(labels.shape[1]) < counts[:, None], labels, blank)  # what is beyond may be anything
    p = np.exp(x.real)
    if is_stepping():  # changes of log probabilities, as log_softmax makes them
        x = x.real + 1j * (x.imag - (p * x.imag).sum(-1, keepdims=True))
    found, posterior = likelihood(x, labels, steps, counts, blank)
    hidden = np.isneginf(found.real) if zero_infinity else np.zeros(len(found), bool)
    loss = np.where(hidden, 0.0, -found)
    divisor = np.maximum(counts, 1) * len(counts) if reduction == "mean" else np.ones(len(counts))
    scale = 1.0 / divisor.astype(p.dtype)
    y = (loss[0] if alone else loss) if reduction == "none" else (loss * scale).sum()

    def vjp(g):
        each = np.where(hidden, 0.0, np.broadcast_to(g, loss.shape) * scale)
        used = (np.arange(len(x))[:, None] < steps) & ~hidden
        grad = np.where(used[..., None], each[:, None] * (p - posterior()), 0.0)
        return grad.reshape(log_probs.shape), None, None, None

    return y, vjp


def drawn(draw: Draw):
    """log_probs, targets, lengths (arrays), blank, whether infinite losses are zeros."""
    grown = draw.regime in ("edges", "large")
    batch, classes = draw.side(), max(draw.side(), 2)
    steps = draw.integer(1, 2 if grown else 7)
    blank = draw.choice(0, classes - 1, draw.integer(0, classes - 1))
    lengths = draw.integers((batch,), 1, steps)
    lengths[draw.integer(0, batch - 1)] = steps
    counts = np.minimum(draw.integers((batch,), 0, steps), lengths)
    width = int(counts.max(initial=0)) + draw.integer(0, 1)
    labels = draw.integers((batch, width), 0, classes - 2)
    labels = labels + (labels >= blank)
    # a label that repeats the one before needs a blank between them, and so a step more
    same = (labels[:, 1:] == labels[:, :-1]) & (np.arange(1, width) < counts[:, None]) if width else labels > 0
    hidden = draw.boolean()
    if not hidden:
        short = lengths < counts + same.sum(1)
        counts = np.where(short, 1, counts)
    x = draw.reals((steps, batch, classes), -2.0, 2.0)
    return x - np.log(np.exp(x).sum(-1, keepdims=True)), labels, lengths, counts, blank, hidden


def ctc_cases(draw: Draw):
    x, labels, lengths, counts, blank, hidden = drawn(draw)
    options = dict(blank=blank, zero_infinity=hidden, **draw.choice({}, dict(reduction="sum"), dict(reduction="none")))
    kind = draw.choice("padded", "joined", "tuples", "alone")
    if kind == "alone":
        return Case((x[:, 0], labels[0, : counts[0]], np.array(lengths[0]), np.array(counts[0])), options)
    if kind == "joined":
        labels = np.concatenate([row[:n] for row, n in zip(labels, counts)])
    elif kind == "tuples":
        return Case((x, labels, tuple(lengths.tolist()), tuple(counts.tolist())), options)
    return Case((x, labels, lengths, counts), options)


def ctc_errors(draw: Draw):
    x, labels, two = draw.reals((3, 2, 4)), np.array([[1, 2], [1, 1]]), np.array([2, 2])
    return [
        (Case((x, labels, np.array([3, 4]), two)), RuntimeError),
        (Case((x, labels, np.array([3]), two)), RuntimeError),
        (Case((x, labels, np.array([3, 3]), two), dict(blank=4)), RuntimeError),
    ]


def logarithms_room(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", *rest, **options):
    """The largest loss of one sequence."""
    args = (log_probs, targets, input_lengths, target_lengths, blank, "none", True)
    loss, _ = classified(*args)
    return np.asarray(loss.max(initial=0.0) / (np.size(loss) if reduction in (1, "mean") else 1))


LOGARITHMS = Waiver(
    "torch's posterior is exp of a sum of rounded logarithms, which are of the size of the loss",
    room=logarithms_room,
    checks=DERIVATIVES,
)


@rule("nn.functional.ctc_loss", cases=ctc_cases, errors=ctc_errors, second_order=False, waivers=[LOGARITHMS])
def ctc_loss(log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank=0,
             reduction="mean", zero_infinity=False):  # fmt: skip
    """-log of the sum over all paths that collapse to the target of the product of their probabilities.

    A path has a class at each step; it collapses by merging equal neighbours and then dropping blanks. The mean
    is over the batch, of losses divided by their target's length (or 1). Infinite losses are 0 with zero_infinity.
    The inputs are logarithms of probabilities: the derivative, p - posterior, is along changes that keep them so.
    log_probs: (T, N, C) or (T, C); targets: (N, S) or (sum of target_lengths); lengths: (N) or (), arrays
    or tuples; output: (N) or ().  Source: Graves et al., ICML 2006; torch.nn.CTCLoss.
    """
    return classified(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)


def builtin_cases(draw: Draw):
    x, labels, lengths, counts, blank, hidden = drawn(draw)
    # the reduction is always given: torch's Python binding takes the default of the schema, mean, for none
    options = (blank, draw.integer(0, 2), hidden)
    if draw.boolean():
        return Case((x, labels, lengths.tolist(), counts.tolist(), *options))
    return Case((x, labels, lengths, counts, *options))


@rule("ctc_loss", cases=builtin_cases, errors=ctc_errors, method=False, second_order=False, waivers=[LOGARITHMS])
def ctc_loss_builtin(log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank=0,
                     reduction=1, zero_infinity=False):  # fmt: skip
    """nn.functional.ctc_loss, with 0, 1, 2 for none, mean, sum; the lengths are arrays or lists.

    log_probs: (T, N, C) or (T, C); output: (N) or ().  Source: Graves et al., ICML 2006; torch.nn.CTCLoss.
    """
    return classified(log_probs, targets, input_lengths, target_lengths, blank, HOW[reduction], zero_infinity)
