"""torch.nn.utils: clipping, vectors, norms of weights, parametrizations, pruning, packed sequences, stateless calls."""

from conformance.behaviours.utils import clipping as clipping
from conformance.behaviours.utils import fusing as fusing
from conformance.behaviours.utils import normed as normed
from conformance.behaviours.utils import orthogonal as orthogonal
from conformance.behaviours.utils import packing as packing
from conformance.behaviours.utils import parametrized as parametrized
from conformance.behaviours.utils import pruned as pruned
from conformance.behaviours.utils import pruning as pruning
from conformance.behaviours.utils import spectral as spectral
from conformance.behaviours.utils import stateless as stateless
from conformance.behaviours.utils import vectors as vectors
