"""What the model leaves open."""


class OutOfScope(Exception):
    """The documentation says nothing of this, or torch is known to differ: the line is not asked of either side."""
