"""What `pytest --pyargs conformance` collects: one thin module for each kind of subject."""
