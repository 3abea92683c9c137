"""Local response normalization."""

from __future__ import annotations

from reference.draw import Draw
from reference.nn.functional import applied, cases_of
from reference.nn.layer import LayerCase, layer
from reference.ops.conv import grown

RESPONSE = "nn.functional.local_response_norm"


@layer("nn.LocalResponseNorm", cases=cases_of(RESPONSE, "input"), like=(RESPONSE,))
def local_response_norm(size, alpha=0.0001, beta=0.75, k=1.0):
    """x / (k + alpha / size * sum of x^2 over `size` channels around its own)^beta.

    input, output: (N, C, *).  Source: torch.nn.LocalResponseNorm; Krizhevsky et al., NeurIPS 2012, section 3.3.
    """
    return applied(RESPONSE, size=size, alpha=alpha, beta=beta, k=k)


def cross_map_cases(draw: Draw) -> LayerCase:
    n, _, h, w = grown(draw, [1, 1, 1, 1])
    # an even window has no middle, and nothing says on which side the further channel is
    size, channels = draw.choice(3, 5, 1), draw.choice(1, draw.integer(1, 5))
    options = draw.choice({}, dict(alpha=draw.choice(1.0, 0.5), beta=draw.choice(0.5, 1.0), k=draw.choice(1.0, 2.0)))
    return LayerCase((size,), options, (draw.reals((n, channels, h, w)),), draw.boolean())


@layer("nn.CrossMapLRN2d", cases=cross_map_cases, like=(RESPONSE,), second_order=False)
def cross_map_lrn2d(size, alpha=0.0001, beta=0.75, k=1):
    """As LocalResponseNorm, over the channels of images.

    input, output: (N, C, H, W).
    Source: torch.nn.CrossMapLRN2d, which has no documentation: nn.SpatialCrossMapLRN of Lua Torch; Krizhevsky et
    al., NeurIPS 2012, section 3.3.
    """
    return applied(RESPONSE, size=size, alpha=alpha, beta=beta, k=k)
