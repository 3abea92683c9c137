"""Every rule is right by its own identities, in every regime of sizes, without torch."""

import inspect

import numpy as np
import pytest

from reference import lookup, rules
from tests.reference.proof import (
    prove,
    prove_elementwise,
    prove_missing,
    prove_moved,
    prove_real,
    prove_second,
    prove_single,
    prove_single_throughout,
    prove_slip,
    prove_slip_moves,
    prove_stepped,
)

ALL = sorted(rules())
READS_THE_DTYPE = {"stft"}  # a complex signal has a spectrum of two sides
STATISTICS = ("running_mean", "running_var")
POLYNOMIALS = [n for n in ALL if n.startswith("special.") and "_polynomial_" in n]
CONSTANTS = {  # what moves the output of an op, and torch takes no derivative by
    **dict.fromkeys(("igamma", "igammac", "special.zeta"), ("input",)),  # not implemented for these arguments
    "nn.functional.binary_cross_entropy": ("weight",),
    "nn.functional.binary_cross_entropy_with_logits": ("weight", "pos_weight"),
    "binary_cross_entropy_with_logits": ("weight", "pos_weight"),
    "nn.functional.soft_margin_loss": ("target",),
    **{f"nn.functional.{n}": ("weight",) for n in ("nll_loss", "cross_entropy", "linear_cross_entropy")},
    "nn.functional.multi_margin_loss": ("weight",),
    **dict.fromkeys(("batch_norm", "instance_norm", "native_batch_norm"), STATISTICS),
    **dict.fromkeys(("nn.functional.batch_norm", "nn.functional.instance_norm"), STATISTICS),
    **dict.fromkeys(POLYNOMIALS, ("x", "n")),  # not implemented, as those of geqrf and of LDL
    **dict.fromkeys(("geqrf", "linalg.ldl_factor", "linalg.ldl_factor_ex", "unique", "unique_consecutive"), ("input",)),
    "linalg.ldl_solve": ("LD", "B"), "histogram": ("input", "bins", "weight"), "bincount": ("weights",),
    "detach_copy": ("input",), "linalg.qr": ("A",), "qr": ("input",),  # of the modes "r" and "complete" there is none
}  # fmt: skip
NO_DIFFERENCE = {
    "linalg.eigvalsh": "reads one triangle; derivatives are meant along Hermitian matrices",
    "nn.functional.embedding_bag": "scale_grad_by_freq: the gradient is not that of the value",
    "nn.functional.gaussian_nll_loss": "a variance below eps keeps its gradient",
    "nn.functional.margin_ranking_loss": "equal inputs lie on the kink itself",
}
GRADIENT_OF_THE_OUTPUT_ALONE = [
    *("exp", "exp2", "expm1", "sqrt", "rsqrt", "reciprocal", "tan", "tanh", "sigmoid", "erfinv", "special.ndtri"),
    *("softmax", "log_softmax", "nn.functional.softmax", "nn.functional.log_softmax", "nn.functional.softmin"),
    *("linalg.inv", "linalg.tensorinv", "linalg.cholesky", "cholesky", "norm_except_dim"),
]


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


@pytest.mark.parametrize("name", [n for n in ALL if rules()[n].second_order and n not in NO_DIFFERENCE])
@pytest.mark.filterwarnings("ignore")
def test_second_derivatives_are_the_differences_of_the_first(name):
    for seed in range(8):
        prove_second(rules()[name], seed)


@pytest.mark.parametrize("name", ALL)
def test_only_torchs_constants_have_no_gradient(name):
    for seed in range(15):
        prove_missing(rules()[name], seed, CONSTANTS.get(name, ()))


@pytest.mark.parametrize("name", ALL)
def test_slip_is_an_error_of_the_output(name):
    for seed in range(10):
        prove_slip(rules()[name], seed)


@pytest.mark.parametrize("name", GRADIENT_OF_THE_OUTPUT_ALONE)
def test_an_error_of_the_output_is_a_move_of_the_input(name):
    for seed in range(6):
        prove_slip_moves(rules()[name], seed)


@pytest.mark.parametrize("name", ALL)
def test_the_step_does_not_move_the_values(name):
    for seed in range(10):
        prove_stepped(rules()[name], seed)


@pytest.mark.parametrize("name", [n for n in ALL if rules()[n].complex and n not in READS_THE_DTYPE])
def test_complex_numbers_on_the_real_line_are_real(name):
    for seed in range(10):
        prove_real(rules()[name], seed)


@pytest.mark.parametrize("name", ALL)
def test_in_single_precision_the_formula_is_the_same(name):
    for seed in range(10):
        prove_single(rules()[name], seed)


@pytest.mark.parametrize("name", ALL)
def test_what_is_off_by_a_rounding_is_answered(name):
    for seed in range(12):
        prove_moved(rules()[name], seed)


@pytest.mark.parametrize("name", [n for n in ALL if rules()[n].elementwise])
def test_what_is_elementwise_has_no_elements_that_meet(name):
    for seed in range(6):
        prove_elementwise(rules()[name], seed)


@pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 promotes single numbers by Python's to double")
@pytest.mark.parametrize("name", ALL)
def test_in_single_precision_every_step_is_single(name):
    for seed in range(10):
        prove_single_throughout(rules()[name], seed)


@pytest.mark.parametrize("name", ALL)
def test_a_rule_documents_itself_and_names_its_source(name):
    doc = inspect.getdoc(rules()[name].fn)
    assert doc and "Source:" in doc


@pytest.mark.parametrize("name", ALL)
def test_a_rule_is_found_by_each_of_its_names(name):
    rule = rules()[name]
    for path in (name, f"torch.{name}", *rule.aliases):
        assert lookup(path) is rule
