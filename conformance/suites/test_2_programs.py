"""The classic trainings, on every target."""

KIND = "program"


def test_program(conformance_unit, run_unit):
    run_unit(conformance_unit)
