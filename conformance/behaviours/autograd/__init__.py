"""How gradients are recorded and computed."""
