"""Everything that touches torch. Importing this package does not import torch."""
