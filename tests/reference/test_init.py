"""Fans, gains and spreads of initial values, against the figures of the papers."""

import math

import pytest

from reference import init


def test_a_weight_of_a_convolution_has_the_fans_of_its_receptive_field():
    assert init.fans((5, 3)) == (3, 5)
    assert init.fans((6, 4, 3, 2)) == (24, 36)
    with pytest.raises(ValueError, match="2 dimensions"):
        init.fans((4,))


def test_glorot_and_bengio_keep_the_variance_of_a_square_layer():
    assert init.xavier((100, 100)) == pytest.approx(0.1)  # n Var = 1
    assert init.xavier((300, 100), 2.0) == pytest.approx(2 * math.sqrt(2 / 400))


def test_he_and_others_double_the_variance_for_a_relu():
    assert init.kaiming((7, 8), nonlinearity="relu") == pytest.approx(math.sqrt(2 / 8))
    assert init.kaiming((7, 8), 0.5, "fan_out") == pytest.approx(math.sqrt(2 / 1.25 / 7))


@pytest.mark.parametrize("name", init.LAWS)
def test_every_setting_has_a_law_and_as_many_numbers_as_it_is_asked_for(name):
    for setting in init.LAWS[name]:
        law = setting.of(20_000)
        assert law is not None and math.isfinite(law.variance)
        assert 2_000 <= setting.args(20_000)[0].size <= 20_000
