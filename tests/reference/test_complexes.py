"""Complex numbers against their definitions, and the convention of their gradients."""

import cmath

import numpy as np
import pytest

from reference import lookup

Z = np.array([[1 + 2j, -3j, 0.5], [2.0, -1 - 1j, 4j]])


def value(name, *args):
    return lookup(name)(*args)[0]


def gradients(name, g, *args):
    return lookup(name)(*args)[1](g)


def test_parts_put_together_are_the_number():
    assert np.array_equal(value("complex", value("real", Z), value("imag", Z)), Z)
    assert np.array_equal(value("view_as_complex", value("view_as_real", Z)), Z)


def test_complex_keeps_infinities_and_nans_apart():
    out = value("complex", np.array(np.inf), np.array(np.nan))
    assert out.real == np.inf and np.isnan(out.imag)


def test_polar_is_cmath_rect():
    r, angle = np.array([0.0, 1.0, 2.5]), np.array([1.0, -3.0, 0.25])
    expected = [cmath.rect(a, b) for a, b in zip(r, angle)]
    assert np.allclose(value("polar", r, angle), expected, rtol=1e-15, atol=0)


def test_polar_at_radius_zero_has_a_derivative_along_its_angle():
    along, across = gradients("polar", np.array([1.0 + 0j]), np.array([0.0]), np.array([0.5]))
    assert along[0] == np.cos(0.5)
    assert across[0] == 0.0


def test_the_gradient_of_a_part_is_a_number_with_that_part():
    assert gradients("real", np.array(2.0), np.array(1 + 1j))[0] == 2.0
    assert gradients("imag", np.array(2.0), np.array(1 + 1j))[0] == 2j
    assert gradients("conj", np.array(1 + 2j), np.array(3j))[0] == 1 - 2j


@pytest.mark.parametrize("name", ["adjoint", "Tensor.mH.__get__", "Tensor.H.__get__"])
def test_the_adjoint_moves_a_matrix_to_the_other_side_of_the_product(name):
    x, y = np.array([1.0, 1j, -2.0]), np.array([0.5 - 1j, 3.0])
    assert np.isclose(np.vdot(y, Z @ x), np.vdot(value(name, Z) @ y, x))


def test_attributes_are_found_by_their_names():
    for name in ("T", "mT", "H", "mH", "real", "imag"):
        assert lookup(f"Tensor.{name}") is lookup(f"Tensor.{name}.__get__")


def test_only_the_last_two_dimensions_of_a_batch_change_places():
    cube = np.arange(24.0).reshape(2, 3, 4)
    assert value("Tensor.mT.__get__", cube).shape == (2, 4, 3)
    assert value("Tensor.T.__get__", cube).shape == (4, 3, 2)
    assert np.array_equal(value("adjoint", cube), value("Tensor.mT.__get__", cube))
