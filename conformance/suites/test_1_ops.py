"""Every op, on every target."""

KIND = "op"


def test_op(conformance_unit, run_unit):
    run_unit(conformance_unit)
