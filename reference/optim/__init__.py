"""Optimizers as pure functions, one registered record for each class of torch.optim.

`OPTIMIZERS` are those whose update is of one parameter at a time; `ALL` has L-BFGS too. `sgd` and `adam` are two of
them over lists of parameters, as trainings use them.
"""

from reference.optim import descent, moments
from reference.optim import muon as muon
from reference.optim import scaled as scaled
from reference.optim.lbfgs import LBFGS
from reference.optim.record import OPTIMIZERS, Optimizer, Snapshot, State, over, owners, run

sgd, adam = over(descent.sgd), over(moments.adam)
ALL = {**OPTIMIZERS, LBFGS.name: LBFGS}

__all__ = ["ALL", "OPTIMIZERS", "Optimizer", "Snapshot", "State", "adam", "over", "owners", "run", "sgd"]
