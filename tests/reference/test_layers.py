"""Every layer, as a rule of its inputs and parameters, is right by its own identities, without torch."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from conformance import literal
from conformance.draws import SeededDraw
from reference.laws import Law
from reference.nn import LAYERS
from reference.nn.layer import placed, settled
from tests.reference.proof import draw_call, prove, prove_missing, prove_single_throughout

ALL = sorted(LAYERS)


@pytest.mark.parametrize("name", ALL)
def test_the_gradients_of_inputs_and_parameters_are_the_adjoint_of_the_forward_pass(name):
    for seed in range(25):
        prove(LAYERS[name].rule, seed)


@pytest.mark.parametrize("name", ALL)
def test_only_buffers_have_no_gradient(name):
    """Weights of losses and running statistics are buffers; torch has no gradient by the signs of SoftMarginLoss."""
    constant = ("buffers", ("inputs", 1)) if name == "nn.SoftMarginLoss" else ("buffers",)
    for seed in range(8):
        prove_missing(LAYERS[name].rule, seed, constant)


@pytest.mark.parametrize("name", [n for n in ALL if LAYERS[n].rule.complex])
def test_the_same_holds_for_complex_layers(name):
    for seed in range(15):
        prove(LAYERS[name].rule, seed, complex=True)


@pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 promotes single numbers by Python's to double")
@pytest.mark.parametrize("name", ALL)
def test_in_single_precision_every_step_is_single(name):
    for seed in range(15):
        prove_single_throughout(LAYERS[name].rule, seed)


@pytest.mark.parametrize("regime", ["empty", "scalar", "edges"])
@pytest.mark.parametrize("name", ALL)
def test_the_identities_hold_at_every_size(name, regime):
    for seed in range(4):
        prove(LAYERS[name].rule, seed, regime)


@pytest.mark.parametrize("name", ALL)
def test_a_case_is_written_and_read_back(name):
    call = draw_call(LAYERS[name].rule, 0)
    assert literal.write(literal.read(literal.write(call.case))) == literal.write(call.case)


@pytest.mark.parametrize("name", ALL)
def test_a_layer_documents_itself_and_describes_its_parameters(name):
    layer = LAYERS[name]
    doc = inspect.getdoc(layer.describe)
    assert doc and "Source:" in doc
    assert layer.family == Path(inspect.getfile(layer.describe)).stem
    inputs, parameters, buffers, args, kwargs, places, _ = layer.rule.cases(SeededDraw(0)).args
    described = settled(layer.describe, args, kwargs, placed(places, inputs))
    assert [p.shape for p in described.parameters.values()] == [p.shape for p in parameters]
    assert [b.shape for b in described.buffers.values()] == [b.shape for b in buffers]
    assert all(isinstance(p.initial, (Law, float)) for p in described.parameters.values())


@pytest.mark.parametrize("name", ALL)
def test_what_is_drawn_at_the_beginning_has_mean_zero(name):
    """Weights of norms begin as ones, those of PReLU as the number that is given, other numbers as zeros."""
    layer = LAYERS[name]
    for seed in range(10):
        inputs, _, _, args, kwargs, places, _ = layer.rule.cases(SeededDraw(f"{name}/beginning/{seed}")).args
        for key, p in settled(layer.describe, args, kwargs, placed(places, inputs)).parameters.items():
            if isinstance(p.initial, Law):
                assert abs(p.initial.mean) < 1e-15 and p.initial.variance > 0
            elif name == "nn.PReLU":
                assert p.initial == {"init": 0.25, **kwargs}["init"]
            else:
                assert p.initial == (1.0 if key.endswith("weight") else 0.0)
