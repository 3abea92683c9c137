"""torch.nn.utils: clipping, vectors, norms of weights, parametrizations, pruning, packed sequences, stateless calls."""
