"""Every random function, on every target."""

KIND = "law"


def test_law(conformance_unit, run_unit):
    run_unit(conformance_unit)
