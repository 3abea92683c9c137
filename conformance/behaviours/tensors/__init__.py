"""Tensors: making, viewing, indexing, casting and moving them; decompositions that are approximate."""
