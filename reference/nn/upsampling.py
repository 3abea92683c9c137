"""Images at another size."""

from __future__ import annotations

import math

from reference.draw import Draw
from reference.nn.functional import applied, cases_of
from reference.nn.layer import LayerCase, layer
from reference.ops.conv import grown

INTERPOLATE = "nn.functional.interpolate"


def upsample_cases(draw: Draw) -> LayerCase:
    case = cases_of(INTERPOLATE, "input")(draw)
    options = case.kwargs
    del options["antialias"]
    # the other modes of interpolate are not among the layer's
    options["mode"] = {"lanczos": "bicubic", "area": "nearest", "nearest-exact": "nearest"}.get(
        options["mode"], options["mode"]
    )
    return case


@layer("nn.Upsample", cases=upsample_cases, like=(INTERPOLATE,))
def upsample(size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
    """The image at another size: nearest, linear, bilinear, bicubic or trilinear, as interpolate has them.

    input: (N, C, *); output: (N, C, *size).  Source: torch.nn.Upsample.
    """
    options = dict(align_corners=align_corners, recompute_scale_factor=recompute_scale_factor)
    return applied(INTERPOLATE, size=size, scale_factor=scale_factor, mode=mode, **options)


def planar_cases(align_corners):
    def cases(draw: Draw) -> LayerCase:
        x = draw.reals(grown(draw, [1, 1, 1, 1], first=0))
        if draw.boolean():
            # places on a long axis keep their digits where their distance is a power of two
            exact = draw.regime in ("edges", "large")
            size = tuple(2 * s - align_corners if exact else draw.integer(1, 6) for s in x.shape[2:])
            return LayerCase((), dict(size=draw.choice(size, max(size))), (x,), draw.boolean())
        # where a factor other than 1 keeps the size, torch's modes disagree on what it does
        some = (2.0, 1.0) if draw.regime in ("edges", "large") else (2.0, 1.0, 3.0, 1.5)
        factors = [draw.choice(*some) for _ in range(2)]
        factors = [f if f == 1 or math.floor(s * f) != s else 2.0 for s, f in zip(x.shape[2:], factors)]
        factor = draw.choice(tuple(factors), 2)
        args, options = draw.choice(((), dict(scale_factor=factor)), ((None, factor), {}))
        return LayerCase(args, options, (x,), draw.boolean())

    return cases


@layer("nn.UpsamplingBilinear2d", cases=planar_cases(True), like=(INTERPOLATE,))
def upsampling_bilinear2d(size=None, scale_factor=None):
    """The image at another size, bilinear with aligned corners.

    input: (N, C, H, W); output: (N, C, H', W').  Source: torch.nn.UpsamplingBilinear2d.
    """
    return applied(INTERPOLATE, size=size, scale_factor=scale_factor, mode="bilinear", align_corners=True)


@layer("nn.UpsamplingNearest2d", cases=planar_cases(False), like=(INTERPOLATE,))
def upsampling_nearest2d(size=None, scale_factor=None):
    """The image at another size, each place with the nearest element at or before it.

    input: (N, C, H, W); output: (N, C, H', W').  Source: torch.nn.UpsamplingNearest2d.
    """
    return applied(INTERPOLATE, size=size, scale_factor=scale_factor, mode="nearest")
