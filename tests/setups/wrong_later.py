"""torch.tanh is right until the second that the environment names, and off by a thousandth from then on."""

import os
import time

import torch

_right = torch.tanh


def tanh(x):
    wrong = time.time() > float(os.environ["WRONG_FROM"])
    return _right(x) * (1.001 if wrong else 1.0)


torch.tanh = tanh
