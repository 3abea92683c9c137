"""The classic examples of networks on a target: values and gradients of each spelling against one mathematics."""

from conformance.examples.session import EXAMPLES, ExampleSession, example_cells

__all__ = ["EXAMPLES", "ExampleSession", "example_cells"]
