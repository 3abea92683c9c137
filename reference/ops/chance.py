"""Operations that are random, in the calls in which chance has no say: dropout of all or nothing, clear decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.ops.softmax import softmax_of
from reference.rule import Array, Case, Rule, rule


def dropped(input, p, training):
    """The input, or zeros for p = 1 in training."""
    if not 0 <= p <= 1:
        raise ValueError(f"p is a probability, not {p}")
    if training and 0 < p < 1:
        raise ValueError("dropout in training is random")
    if not training or p == 0:
        return input + 0.0 if input.dtype.kind in "fc" else input, lambda g: (g,)
    return input * 0, lambda g: (g * 0.0,)


def dropout_cases(low: int, high: int, all_of_it: bool = True) -> Callable[[Draw], Case]:
    def cases(draw: Draw) -> Case:
        x = draw.numbers(draw.shape(low, high))
        p, training = draw.choice((0.5, False), (0.0, True), (1.0, False), *([(1.0, True)] if all_of_it else []))
        return Case((x, p, training))

    return cases


def impossible(kind: type[Exception]) -> Callable[[Draw], Any]:
    return lambda draw: [(Case((draw.reals((2, 3)), 1.5, True)), kind), (Case((draw.reals((2, 3)), -0.5, True)), kind)]


def functional(name: str, low: int = 0, high: int = 3, complex: bool = True) -> Callable[[Callable[..., Any]], Rule]:
    return rule(
        f"nn.functional.{name}",
        cases=dropout_cases(low, high),
        errors=impossible(ValueError),
        complex=complex,
        elementwise=True,
    )


@functional("dropout")
def dropout(input: Array, p=0.5, training=True, inplace=False):
    """Elements are zero with probability p, the others divided by 1 - p; without training the input.

    Raises ValueError where that is random.  input, output: (*).
    Source: Srivastava et al., JMLR 15 (2014); torch.nn.Dropout.
    """
    return dropped(input, p, training)


@functional("dropout1d", 2, 3)
def dropout1d(input: Array, p=0.5, training=True, inplace=False):
    """As dropout, for whole channels.

    input, output: (N, C, L) or (C, L).  Source: Tompson et al., arXiv:1411.4280; torch.nn.Dropout1d.
    """
    return dropped(input, p, training)


@functional("dropout2d", 3, 4)
def dropout2d(input: Array, p=0.5, training=True, inplace=False):
    """As dropout, for whole channels.

    input, output: (N, C, H, W) or (C, H, W).  Source: Tompson et al., arXiv:1411.4280; torch.nn.Dropout2d.
    """
    return dropped(input, p, training)


@functional("dropout3d", 4, 5)
def dropout3d(input: Array, p=0.5, training=True, inplace=False):
    """As dropout, for whole channels.

    input, output: (N, C, D, H, W) or (C, D, H, W).  Source: Tompson et al., arXiv:1411.4280; torch.nn.Dropout3d.
    """
    return dropped(input, p, training)


@functional("alpha_dropout", complex=False)
def alpha_dropout(input: Array, p=0.5, training=False, inplace=False):
    """As dropout, with the mean and the variance of a self-normalizing network kept; zeros for p = 1.

    input, output: (*).  Source: Klambauer et al., arXiv:1706.02515; torch.nn.AlphaDropout.
    """
    return dropped(input, p, training)


@functional("feature_alpha_dropout", 2, 3, complex=False)
def feature_alpha_dropout(input: Array, p=0.5, training=False, inplace=False):
    """As alpha_dropout, for whole channels.

    input, output: (N, C, *).  Source: Klambauer et al., arXiv:1706.02515; torch.nn.FeatureAlphaDropout.
    """
    return dropped(input, p, training)


def builtin(name: str, low: int = 0, complex: bool = True) -> None:
    """torch's own dropout of this name, and the one that works in place."""
    for path in (name, f"{name}_"):
        # in place on a tensor that requires a gradient, nothing may be dropped
        cases = dropout_cases(low, 3, all_of_it=path == name)

        @rule(path, cases=cases, errors=impossible(RuntimeError), complex=complex, method=False, elementwise=True)
        def plain(input: Array, p, train):
            """nn.functional's dropout of this name, every argument given.

            input, output: (*).  Source: Srivastava et al., JMLR 15 (2014); torch.nn.Dropout.
            """
            return dropped(input, p, train)


builtin("dropout")
builtin("feature_dropout", low=2)
builtin("alpha_dropout", complex=False)
builtin("feature_alpha_dropout", low=2, complex=False)


def native_cases(draw: Draw) -> Case:
    x = draw.reals(draw.shape())
    return Case((x, *draw.choice((0.5, False), (0.0, True), (1.0, True), (0.0, None))))


@rule("native_dropout", cases=native_cases, method=False)
def native_dropout(input: Array, p, train):
    """dropout, and the bools that say which elements stayed; `train` of None is True.

    input, output: (*) twice.  Source: Srivastava et al., JMLR 15 (2014); torch.nn.Dropout.
    """
    training = train is None or bool(train)
    y, vjp = dropped(input, p, training)
    return (y, np.full(input.shape, not (training and p == 1))), lambda g: vjp(g[0])


def gumbel_cases(draw: Draw) -> Case:
    shape = draw.shape(min_dims=1, min_side=1)
    dim = draw.dim(len(shape))
    # one class stands out by more than chance can give, and is always the same one
    x = draw.reals(shape, -4, 4)
    best = draw.integers([1 if i == dim % len(shape) else n for i, n in enumerate(shape)], 0, shape[dim] - 1)
    np.put_along_axis(x, best, 4000.0, dim)
    return Case((x,), dict(tau=draw.choice(1, 0.5, 2.0), hard=draw.boolean(), dim=dim))


@rule("nn.functional.gumbel_softmax", cases=gumbel_cases)
def gumbel_softmax(logits: Array, tau=1, hard=False, eps=1e-10, dim=-1):
    """softmax((x + noise) / tau), where the noise has a Gumbel law; with `hard` one at its greatest element, else 0.

    Raises ValueError unless one class stands out by so much that the noise decides nothing.
    logits, output: (*, C, *).  Source: Jang et al., arXiv:1611.01144; torch.nn.functional.gumbel_softmax.
    """
    if logits.ndim and logits.shape[dim] > 1:
        first, second = np.sort(logits.real, axis=dim).take([-1, -2], dim).swapaxes(0, dim)
        if not np.all(first - second > 110.0 + 750.0 * tau):
            raise ValueError("gumbel_softmax is random")
    return softmax_of(logits / tau, dim, None)[0], lambda g: (g * 0.0,)
