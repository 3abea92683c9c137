"""Faults in random functions: laws, seeds, draws that a gradient forgets."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault, replace


@fault("laws.nn.functional.dropout", "moments", "distribution", "gradient", green=("seed",))
def kept_not_scaled():
    """Dropout does not divide what it keeps by 1 - p in the forward pass."""

    @replace("nn.functional.dropout")
    def dropout(original, input, p=0.5, training=True, inplace=False):
        out = original(input, p, training, inplace)
        return out - (out * p).detach()


@fault("laws.nn.functional.dropout2d", "gradient", green=("moments", "distribution", "seed"))
def mask_drawn_again():
    """The backward pass of dropout draws a mask of its own."""

    class Forgetful(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, p):
            ctx.p = p
            return kept(x, p)

        @staticmethod
        def backward(ctx, g):
            return kept(g, ctx.p), None

    @replace("nn.functional.dropout2d")
    def dropout2d(original, input, p=0.5, training=True, inplace=False):
        return Forgetful.apply(input, p)

    def kept(x, p):
        return x * (torch.rand(x.shape[:2]) >= p)[..., None, None] / (1 - p)


@fault("laws.bernoulli", "distribution", "moments", green=("seed", "independence"))
def probability_rounded():
    """The probability is kept in 3 bits and a half."""

    @replace("bernoulli")
    def bernoulli(original, input, p=None, **kwargs):
        if p is None:
            return original(input * 1.2, **kwargs)
        return original(input, p * 1.1, **kwargs)


@fault("laws.rand", "distribution", green=("seed", "independence", "moments"))
def one_is_drawn():
    """Now and then uniform numbers are 2e-3 above 1."""

    @replace("rand")
    def rand(original, *args, **kwargs):
        out = original(*args, **kwargs)
        return torch.where(out > 0.9999, out + 2e-3, out)


@fault("laws.randn", "independence", green=("distribution", "seed"))
def lanes_of_one_stream():
    """One number in sixteen is that of eight places before it."""

    @replace("randn")
    def randn(original, *args, **kwargs):
        out = original(*args, **kwargs)
        flat = out.reshape(-1)
        flat[8::16] = flat[0::16][: flat[8::16].numel()]
        return flat.reshape(out.shape)


@fault("laws.poisson", "seed", green=("distribution", "moments"))
def generator_ignored():
    """A generator that is given is not used."""

    @replace("poisson")
    def poisson(original, input, generator=None):
        return original(input)


@fault("laws.nn.functional.gumbel_softmax", "distribution", green=("seed",))
def noise_of_another_law():
    """The noise is normal, not Gumbel."""

    @replace("nn.functional.gumbel_softmax")
    def gumbel_softmax(original, logits, tau=1, hard=False, eps=1e-10, dim=-1):
        soft = torch.softmax((logits + torch.randn_like(logits)) / tau, dim)
        chosen = torch.nn.functional.one_hot(soft.argmax(dim), soft.shape[dim]).to(soft.dtype)
        return chosen - soft.detach() + soft if hard else soft
