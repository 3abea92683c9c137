"""The classic networks in torch and in the reference are one network."""

import pytest

from conformance.examples import EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_torch_lists_parameters_in_the_order_of_the_description(name):
    example = EXAMPLES[name]
    described = example.layer.describe()
    assert [tuple(p.shape) for p in example.build().parameters()] == [p.shape for p in described.parameters.values()]
