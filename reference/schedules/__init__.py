"""Learning rate schedules as pure functions of the step, one registered record for each class of torch."""

from reference.schedules import compound as compound
from reference.schedules import cycles as cycles
from reference.schedules import decay as decay
from reference.schedules.record import SCHEDULES, Schedule, momentum

__all__ = ["SCHEDULES", "Schedule", "momentum"]
