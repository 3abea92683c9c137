"""Where releases of torch choose differently among right answers, the reference follows either choice."""

import numpy as np
import pytest

from reference import conventions, lookup
from tests.reference.proof import prove

NAMES = ("fmax", "fmin", "clamp", "clamp_min", "clamp_max", "nn.functional.margin_ranking_loss",
         "nn.functional.hinge_embedding_loss", "nn.functional.cosine_embedding_loss")  # fmt: skip
THREE = np.array([3.0])


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(conventions, "_choice", False)


@pytest.fixture
def shared(restored):
    conventions.share_ties(True)


def gradients(name, *args, **kwargs):
    _, vjp = lookup(name)(*args, **kwargs)
    return [None if d is None else float(d[0]) for d in vjp(np.ones(1))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(12))
def test_a_rule_whose_ties_share_is_proved_as_any_other(name, seed, shared):
    prove(lookup(name), seed)


@pytest.mark.parametrize("name", ["fmax", "fmin", "clamp_min", "clamp_max"])
def test_at_a_tie_both_operands_have_half_or_the_first_has_all(name, shared):
    assert gradients(name, THREE, THREE) == [0.5, 0.5]
    conventions.share_ties(False)
    assert gradients(name, THREE, THREE) == [1.0, 0.0]


@pytest.mark.parametrize(
    "bounds, halves",
    [((3.0, 5.0), [0.5, 0.5, 0.0]), ((1.0, 3.0), [0.5, 0.0, 0.5]), ((3.0, 3.0), [1.0, 0.0, 0.0]),
     ((3.0, 1.0), [0.0, 0.0, 1.0]), ((4.0, 3.0), [0.0, 0.0, 1.0])],
)  # fmt: skip
def test_a_value_shares_with_the_bound_that_it_is_on_unless_max_wins(bounds, halves, shared):
    assert gradients("clamp", THREE, *map(np.atleast_1d, bounds)) == halves


def test_a_value_on_a_bound_that_is_a_number_keeps_all_or_nothing(shared):
    assert gradients("clamp", THREE, 3.0, 5.0) == gradients("clamp_max", THREE, 3.0) == [0.0]
    conventions.share_ties(False)
    assert gradients("clamp", THREE, 3.0, 5.0) == gradients("clamp_max", THREE, 3.0) == [1.0]


def test_the_choice_is_asked_for_once_and_only_when_it_matters():
    asked = []
    conventions.share_ties(lambda: bool(asked.append(1)))
    assert not asked
    gradients("fmax", THREE, THREE)
    gradients("fmin", THREE, THREE)
    assert asked == [1]
