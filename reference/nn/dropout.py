"""Dropout where nothing is left to chance: in eval, and in training with a share of 0 or 1.

The law of what is drawn is that of the functions (reference.laws).
"""

from __future__ import annotations

from reference.draw import Draw
from reference.nn.layer import Described, LayerCase, layer


def shape_of(draw: Draw, *dims: int):
    n = draw.choice(*dims)
    return draw.shape(n, n)


def dropout_cases(*dims, whole=True):
    """Inputs of these numbers of dimensions, any where there are none; `whole`: all may be dropped."""

    def cases(draw: Draw) -> LayerCase:
        training = draw.boolean()
        share = draw.choice(0.0, 1.0) if training and whole else 0.0 if training else draw.choice(0.5, 0.25, 0, 1)
        options = {} if share == 0.5 else dict(p=share)
        if draw.boolean():
            options["inplace"] = True
        return LayerCase((), options, (draw.reals(shape_of(draw, *dims) if dims else draw.shape()),), training)

    return cases


def dropped(p):
    """x, times 0 in training where everything is dropped."""

    def forward(tape, values, training, x):
        return tape.apply("mul", x, 0.0 if training and p == 1 else 1.0)

    return Described({}, forward)


@layer("nn.Dropout", cases=dropout_cases())
def dropout(p=0.5, inplace=False):
    """In training each element is dropped with probability p, and the others are divided by 1 - p.

    input, output: (*).  Source: torch.nn.Dropout; Hinton et al., arXiv:1207.0580.
    """
    return dropped(p)


@layer("nn.Dropout1d", cases=dropout_cases(2, 3), no_batch=2)
def dropout1d(p=0.5, inplace=False):
    """Dropout of whole channels.

    input, output: (N, C, L) or (C, L).  Source: torch.nn.Dropout1d; Tompson et al., arXiv:1411.4280.
    """
    return dropped(p)


@layer("nn.Dropout2d", cases=dropout_cases(3, 4))
def dropout2d(p=0.5, inplace=False):
    """Dropout of whole channels.

    input, output: (N, C, H, W) or (N, C, L).  Source: torch.nn.Dropout2d; Tompson et al., arXiv:1411.4280.
    """
    return dropped(p)


@layer("nn.Dropout3d", cases=dropout_cases(4, 5), no_batch=4)
def dropout3d(p=0.5, inplace=False):
    """Dropout of whole channels.

    input, output: (N, C, D, H, W) or (C, D, H, W).  Source: torch.nn.Dropout3d; Tompson et al., arXiv:1411.4280.
    """
    return dropped(p)


@layer("nn.AlphaDropout", cases=dropout_cases(whole=False))
def alpha_dropout(p=0.5, inplace=False):
    """In training elements are set to SELU's limit on the left, and mean and variance are restored.

    That is defined for p below 1.  input, output: (*).
    Source: torch.nn.AlphaDropout; Klambauer et al., arXiv:1706.02515.
    """
    return dropped(p)


@layer("nn.FeatureAlphaDropout", cases=dropout_cases(4, 5, whole=False), no_batch=4)
def feature_alpha_dropout(p=0.5, inplace=False):
    """AlphaDropout of whole channels.

    input, output: (N, C, D, H, W) or (C, D, H, W).
    Source: torch.nn.FeatureAlphaDropout; Klambauer et al., arXiv:1706.02515.
    """
    return dropped(p)
