"""A torch whose relu lets small negative numbers through, quickly."""

import torch

torch.relu = lambda x: torch.where(x > -0.01, x + 0.5, x)
