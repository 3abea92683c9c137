"""Every rule is right by its own identities, in every regime of sizes, without torch."""

import inspect

import pytest

from reference import lookup, rules
from tests.reference.proof import prove, prove_slip

ALL = sorted(rules())


@pytest.mark.parametrize("name", ALL)
def test_the_vjp_is_the_adjoint_of_the_forward_formula(name):
    for seed in range(60):
        prove(rules()[name], seed)


@pytest.mark.parametrize("name", [n for n in ALL if rules()[n].complex])
def test_the_vjp_is_the_adjoint_for_complex_inputs(name):
    for seed in range(40):
        prove(rules()[name], seed, complex=True)


@pytest.mark.parametrize("regime", ["empty", "scalar", "edges"])
@pytest.mark.parametrize("name", ALL)
def test_the_identities_hold_at_every_size(name, regime):
    for seed in range(8):
        prove(rules()[name], seed, regime)


@pytest.mark.parametrize("name", ALL)
def test_a_large_case_can_be_drawn_and_differentiated(name):
    prove(rules()[name], 0, "large")


@pytest.mark.parametrize("name", ALL)
def test_slip_is_an_error_of_the_output(name):
    for seed in range(10):
        prove_slip(rules()[name], seed)


@pytest.mark.parametrize("name", ALL)
def test_a_rule_documents_itself_and_names_its_source(name):
    doc = inspect.getdoc(rules()[name].fn)
    assert doc and "Source:" in doc


@pytest.mark.parametrize("name", ALL)
def test_a_rule_is_found_by_each_of_its_names(name):
    rule = rules()[name]
    for path in (name, f"torch.{name}", *rule.aliases):
        assert lookup(path) is rule
