"""Tensor creation, copy and equality, on every target."""

KIND = "base"


def test_base(conformance_unit, run_unit):
    run_unit(conformance_unit)
