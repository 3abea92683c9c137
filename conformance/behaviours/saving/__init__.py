"""torch.save and torch.load: importing this registers what is promised of them."""

from conformance.behaviours.saving import archives as archives
from conformance.behaviours.saving import damage as damage
from conformance.behaviours.saving import layout as layout
from conformance.behaviours.saving import modules as modules
from conformance.behaviours.saving import places as places
from conformance.behaviours.saving import safety as safety
from conformance.behaviours.saving import sharing as sharing
from conformance.behaviours.saving import values as values
