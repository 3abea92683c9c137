"""What an optimizer's numbers may be off by."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.dtypes import DTYPES
from conformance.optimizers.bounds import Expected, expected
from reference.optim import OPTIMIZERS
from reference.rule import Case


def rmsprop(p: float, g: float, dtype: str) -> Expected:
    case = Case(([np.array([p])], [[np.array([g])]], []), {"weight_decay": 0.1, "momentum": 0.9})
    return expected(OPTIMIZERS["RMSprop"], case, DTYPES[dtype], 0)


def turns(found: Expected) -> bool:
    return any(found.turns(i) for i in range(len(found.labels)))


def test_a_gradient_of_which_weight_decay_leaves_nearly_nothing_turns_on_rounding():
    # -0.2793 + 0.1 * 2.78125 is -0.0012, less than bfloat16 rounds -0.2793 by
    assert turns(rmsprop(2.78125, -0.279296875, "bfloat16"))
    assert not turns(rmsprop(2.78125, -0.279296875, "float32"))


@pytest.mark.parametrize("g", [-0.25, 0.5, 3.0])
def test_other_gradients_do_not(g):
    assert not turns(rmsprop(2.0, g, "bfloat16"))


def test_the_noise_of_an_inner_rounding_grows_with_the_runs_it_is_measured_by():
    case = Case(([np.array([[1.0, 2.0]])], [[np.array([[0.5, 8.0]])]], []), {"ns_steps": 0})
    quantity = expected(OPTIMIZERS["Muon"], case, DTYPES["float64"], 0).quantity
    few, many = quantity.allowed(0, 1), quantity.allowed(0, 24)
    assert np.all(many >= few) and np.any(many > few)
