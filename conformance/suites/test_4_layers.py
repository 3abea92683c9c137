"""Every layer, on every target."""

KIND = "layer"


def test_layer(conformance_unit, run_unit):
    run_unit(conformance_unit)
