"""The classic networks on the tape: gradients are adjoint, decisions stay clear of their turning points."""

import numpy as np
import pytest

from conformance import literal
from conformance.draws import SeededDraw
from reference.nn.layer import evaluate
from reference.programs import examples
from reference.programs.examples import MARGIN, Deciding, example
from tests.reference.proof import draw_call, prove

SHAPES = {
    "perceptron": (2, 4), "cascade": (2, 2, 5, 5), "chain": (2, 3), "lenet": (1, 1, 14, 14), "shared": (2, 3),
    "residual": (1, 1, 4, 4),
}  # fmt: skip
EXAMPLES = {name: example(name, getattr(examples, name)(), shape) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_are_the_adjoint_of_the_forward_pass(name):
    for seed in range(5):
        prove(EXAMPLES[name].rule, seed)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_case_is_written_and_read_back(name):
    call = draw_call(EXAMPLES[name].rule, 0)
    assert literal.write(literal.read(literal.write(call.case))) == literal.write(call.case)


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_decision_is_close_to_its_turning_point(name):
    layer = EXAMPLES[name]
    for seed in range(20):
        inputs, parameters, buffers, _, _, places, training = layer.rule.cases(SeededDraw(seed)).args
        tape = Deciding()
        evaluate(layer.describe(), inputs, parameters, buffers, places, training, tape)
        assert tape.closest >= MARGIN


def test_a_maximum_and_a_relu_tell_how_close_they_are():
    tape = Deciding()
    x = tape.variable(np.array([[[[1.0, 3.0], [2.75, -8.0]]]]))
    tape.apply("nn.functional.max_pool2d", x, 2)
    assert tape.closest == 0.25
    tape.apply("relu", tape.variable(np.array([4.0, -0.125])))
    assert tape.closest == 0.125
