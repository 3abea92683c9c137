"""A torch whose relu raises what no device without it would say."""

import torch


def relu(x):
    raise RuntimeError("an illegal memory access was encountered")


torch.relu = relu
