"""How gradients are recorded and computed: importing this registers what is promised of it."""

from conformance.behaviours.autograd import backward as backward
from conformance.behaviours.autograd import checkpoints as checkpoints
from conformance.behaviours.autograd import function_transforms as function_transforms
from conformance.behaviours.autograd import functional as functional
from conformance.behaviours.autograd import functions as functions
from conformance.behaviours.autograd import inplace as inplace
from conformance.behaviours.autograd import leaves as leaves
from conformance.behaviours.autograd import transforms as transforms
