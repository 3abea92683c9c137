"""Normalisations: over a batch, an instance, a group, a layer, or neighbouring channels."""

from __future__ import annotations

import math

import numpy as np

from reference.draw import Draw
from reference.ops.conv import grown
from reference.ops.pool import sums
from reference.rule import Array, Case, Waiver, conj, rule, unbroadcast


def moments(x, axes):
    """The mean and the (biased) variance over `axes`, which are kept with size 1."""
    count = max(math.prod(x.shape[a] for a in axes), 1)
    mean = x.sum(axes, keepdims=True) / count
    centred = x - mean
    return centred, mean, (centred * centred).sum(axes, keepdims=True) / count, count


def standardize(centred, var, axes, count, eps):
    """centred / sqrt(var + eps), and the gradient of x where mean and variance are its own."""
    scale = 1.0 / np.sqrt(var + eps)
    unit = centred * scale

    def vjp(g):
        along = (g * unit).sum(axes, keepdims=True) / count
        return scale * (g - g.sum(axes, keepdims=True) / count - unit * along)

    return unit, vjp


def affine(unit, pull, weight, bias, shape):
    """unit * weight + bias, both seen in `shape`: the output, and the gradients of x, weight and bias."""
    w = None if weight is None else weight.reshape(shape)
    y = unit if w is None else unit * w
    if bias is not None:
        y = y + bias.reshape(shape)

    def vjp(g):
        to_weight = None if w is None else unbroadcast(g * conj(unit), tuple(shape)).reshape(weight.shape)
        to_bias = None if bias is None else unbroadcast(g, tuple(shape)).reshape(bias.shape)
        return pull(g if w is None else g * conj(w)), to_weight, to_bias

    return y, vjp


def move(running, batch, momentum):
    """The running statistic in place: (1 - momentum) running + momentum batch."""
    if running is not None:
        new = (1.0 - momentum) * running + momentum * batch
        running[...] = new if np.iscomplexobj(running) else new.real


def batch_statistics(draw: Draw, channels):
    return draw.reals((channels,), -2, 2), draw.reals((channels,), 0.25, 4)


def spread(draw: Draw, slices, count):
    """(slices, count): in each slice an even grid, jittered, in any order, with its own offset and scale.

    Where few elements are equal or nearly so, the gradient is what is left of terms that cancel.
    """
    rng = draw.generator()
    grid = np.broadcast_to(np.arange(count) / max(count - 1, 1), (slices, count))
    x = rng.permuted(grid, axis=1) + rng.uniform(-0.1, 0.1, (slices, count)) / max(count, 1) - 0.5
    return rng.uniform(1, 4, (slices, 1)) * x + rng.uniform(-1, 1, (slices, 1))


def weights(draw: Draw, shape):
    return tuple(draw.choice(None, draw.reals(shape, -2, 2)) for _ in range(2))


def steep(draw: Draw):
    """An eps that keeps the gradient of a constant input inside float16."""
    return draw.choice(1e-5, 1e-3, 0.5)


def batch_cases(draw: Draw):
    training = draw.boolean()
    batch, channels, *sizes = grown(draw, [4, 1, *(1,) * draw.integer(0, 3)], first=1)
    x = spread(draw, channels, batch * math.prod(sizes)).reshape(channels, batch, *sizes).swapaxes(0, 1).copy()
    running = batch_statistics(draw, channels)
    if training and draw.boolean():
        running = (None, None)
    options = dict(training=training, momentum=draw.choice(0.1, 0.0, 1.0, 0.5), eps=steep(draw))
    return Case((x, *running, *weights(draw, (x.shape[1],))), options)


def batch_errors(draw: Draw):
    x = draw.reals((1, 3))
    return [
        (Case((x, None, None), dict(training=True)), ValueError),  # one value has no variance
        (Case((x, np.zeros(2), np.ones(2))), RuntimeError),
    ]


@rule(
    "nn.functional.batch_norm",
    cases=batch_cases,
    errors=batch_errors,
    mutates=("running_mean", "running_var"),
    waivers=(Waiver("float64 sums over a large batch have no wider accumulator", factor=8, dtypes=("float64",)),),
)
def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training=False,
    momentum=0.1,
    eps=1e-05,
):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel.

    In training mean and biased variance are those of the batch, and running statistics (with the
    unbiased variance) move towards them by `momentum`, in place; else they are the running ones.
    input, output: (N, C, *); the others: (C,).  Source: Ioffe and Szegedy, arXiv:1502.03167;
    torch.nn.BatchNorm1d.
    """
    shape = (input.shape[min(1, input.ndim - 1)], *(1,) * (input.ndim - 2))
    if training:
        axes = (0, *range(2, input.ndim))
        centred, mean, var, count = moments(input, axes)
        if input.size:
            move(running_mean, mean.reshape(-1), momentum)
            move(running_var, var.reshape(-1) * (count / max(count - 1, 1)), momentum)
        unit, pull = standardize(centred, var, axes, count, eps)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: evaluation needs the running statistics")
        scale = 1.0 / np.sqrt(running_var.reshape(shape) + eps)
        unit = (input - running_mean.reshape(shape)) * scale

        def pull(g):
            return g * scale

    y, vjp = affine(unit, pull, weight, bias, shape)

    def gradients(g):
        to_input, to_weight, to_bias = vjp(g)
        return to_input, None, None, to_weight, to_bias

    return y, gradients


def instance_cases(draw: Draw):
    own = draw.boolean()
    shape = grown(draw, [1, 1, *(1,) * draw.integer(0, 2), 4], first=0)
    x = spread(draw, shape[0] * shape[1], math.prod(shape[2:])).reshape(shape)
    options = dict(use_input_stats=own, momentum=draw.choice(0.1, 0.0, 1.0, 0.5), eps=steep(draw))
    if not x.size:  # torch takes no statistics and no weights without a sample
        return Case((x,), {**options, "use_input_stats": True})
    running = batch_statistics(draw, x.shape[1])
    if own and draw.boolean():
        running = (None, None)
    return Case((x, *running, *weights(draw, (x.shape[1],))), options)


def instance_errors(draw: Draw):
    return [(Case((draw.reals((2, 3, 1)),)), ValueError)]  # one value has no variance


@rule(
    "nn.functional.instance_norm",
    cases=instance_cases,
    errors=instance_errors,
    mutates=("running_mean", "running_var"),
)
def instance_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-05,
):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each sample.

    Running statistics move towards the mean over the samples of each sample's own; without
    use_input_stats they are what normalises.  input, output: (N, C, *); the others: (C,).
    Source: Ulyanov et al., arXiv:1607.08022; torch.nn.InstanceNorm1d.
    """
    shape = (input.shape[1], *(1,) * (input.ndim - 2))
    if not use_input_stats:
        return batch_norm.fn(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2, input.ndim))
    centred, mean, var, count = moments(input, axes)
    if input.size:
        samples = input.shape[0]
        move(running_mean, mean.sum(0).reshape(-1) / samples, momentum)
        move(running_var, var.sum(0).reshape(-1) * (count / max(count - 1, 1) / samples), momentum)
    unit, pull = standardize(centred, var, axes, count, eps)
    y, vjp = affine(unit, pull, weight, bias, shape)

    def gradients(g):
        to_input, to_weight, to_bias = vjp(g)
        return to_input, None, None, to_weight, to_bias

    return y, gradients


def group_cases(draw: Draw):
    groups = draw.choice(1, 2, 3)
    batch, each, *sizes = grown(draw, [1, *(1,) * draw.integer(0, 2), 4], first=0)
    channels = groups * each
    x = spread(draw, batch * groups, each * math.prod(sizes)).reshape(batch, channels, *sizes)
    return Case((x, groups, *weights(draw, (channels,))), dict(eps=steep(draw)))


def group_errors(draw: Draw):
    return [(Case((draw.reals((2, 3, 2)), 2)), RuntimeError)]


@rule("nn.functional.group_norm", cases=group_cases, errors=group_errors, aliases=("group_norm",))
def group_norm(input: Array, num_groups, weight: Array | None = None, bias: Array | None = None, eps=1e-05):
    """(x - mean) / sqrt(var + eps) * weight + bias, the statistics those of a group of channels of a sample.

    input, output: (N, C, *); weight, bias: (C,).  Source: Wu and He, arXiv:1803.08494; torch.nn.GroupNorm.
    """
    batch, channels = input.shape[:2]
    x = input.reshape(batch, num_groups, math.prod(input.shape[1:]) // num_groups)
    centred, _, var, count = moments(x, (2,))
    unit, pull = standardize(centred, var, (2,), count, eps)
    shape = (channels, *(1,) * (input.ndim - 2))
    return affine(
        unit.reshape(input.shape),
        lambda g: pull(g.reshape(x.shape)).reshape(input.shape),
        weight,
        bias,
        shape,
    )


def layer_shape(draw: Draw):
    """An input shape, and the part of it at the end that is normalised."""
    dims = draw.integer(1, 3)
    shape = grown(draw, [*(1,) * dims, 4], first=0)[1 if draw.regime != "empty" and draw.boolean() else 0 :]
    return shape, shape[draw.integer(max(0, len(shape) - dims), len(shape) - 1) :]


def layer_cases(draw: Draw):
    shape, part = layer_shape(draw)
    count = math.prod(part)
    x = spread(draw, math.prod(shape[: len(shape) - len(part)]), count).reshape(shape)
    return Case((x, part, *weights(draw, part)), dict(eps=steep(draw)))


def layer_errors(draw: Draw):
    return [(Case((draw.reals((2, 3)), (2,))), RuntimeError), (Case((draw.reals((2, 3)), ())), RuntimeError)]


@rule("nn.functional.layer_norm", cases=layer_cases, errors=layer_errors, aliases=("layer_norm",))
def layer_norm(input: Array, normalized_shape, weight: Array | None = None, bias: Array | None = None, eps=1e-05):
    """(x - mean) / sqrt(var + eps) * weight + bias, the statistics those of the last dimensions.

    input, output: (*, normalized_shape); weight, bias: normalized_shape.
    Source: Ba et al., arXiv:1607.06450; torch.nn.LayerNorm.
    """
    axes = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    centred, _, var, count = moments(input, axes)
    unit, pull = standardize(centred, var, axes, count, eps)
    return affine(unit, pull, weight, bias, tuple(normalized_shape))


def rms_cases(draw: Draw):
    shape, part = layer_shape(draw)
    eps = draw.choice(1e-5, None, 1e-3, 0.5)
    # no single element may be nearly all of the mean (its gradient cancels), an eps of None (that of the
    # dtype) must not matter, and complex squares must not cancel: magnitudes of one size
    x = draw.numbers(shape, 1.5, 3.0) * (2.0 * draw.bools(shape) - 1.0)
    return Case((x, part, draw.choice(None, draw.numbers(part))), dict(eps=eps))


@rule("nn.functional.rms_norm", cases=rms_cases, errors=layer_errors, aliases=("rms_norm",), complex=True)
def rms_norm(input: Array, normalized_shape, weight: Array | None = None, eps=None):
    """x / sqrt(mean of x^2 + eps) * weight, the mean over the last dimensions; eps defaults to the dtype's.

    input, output: (*, normalized_shape); weight: normalized_shape.
    Source: Zhang and Sennrich, arXiv:1910.07467; torch.nn.RMSNorm.
    """
    axes = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    count = max(math.prod(normalized_shape), 1)
    square = (input * input).sum(axes, keepdims=True) / count
    scale = 1.0 / np.sqrt(square + (float(np.finfo(np.float64).eps) if eps is None else eps))
    unit = input * scale

    def pull(g):
        u = conj(unit)
        return conj(scale) * (g - u * ((g * u).sum(axes, keepdims=True) / count))

    y, vjp = affine(unit, pull, weight, None, tuple(normalized_shape))
    return y, lambda g: vjp(g)[:2]


def response_cases(draw: Draw):
    x = draw.reals(grown(draw, [1, 1, *(1,) * draw.integer(1, 3)]))
    options = dict(alpha=draw.choice(1e-4, 1.0), beta=draw.choice(0.75, 0.5, 1.0), k=draw.choice(1.0, 2.0))
    return Case((x, draw.integer(1, 5)), options)


def response_errors(draw: Draw):
    return [(Case((draw.reals((2, 3)), 2)), ValueError)]


@rule("nn.functional.local_response_norm", cases=response_cases, errors=response_errors)
def local_response_norm(input: Array, size, alpha=0.0001, beta=0.75, k=1.0):
    """x / (k + alpha / size * sum of x^2 over `size` channels around its own)^beta.

    The window reaches size // 2 channels back and (size - 1) // 2 ahead.  input, output: (N, C, *).
    Source: Krizhevsky et al., NeurIPS 2012, section 3.3; torch.nn.LocalResponseNorm.
    """
    channels = input.shape[1]
    starts = tuple(max(c - size // 2, 0) for c in range(channels))
    ends = tuple(min(c + (size - 1) // 2 + 1, channels) for c in range(channels))
    near = sums(channels, starts, ends)
    base = k + alpha / size * near.forward(input * input, 1)
    scale = base**-beta

    def vjp(g):
        inner = near.adjoint(g * input * scale / base, 1)
        return (g * scale - (2.0 * alpha * beta / size) * input * inner,)

    return input * scale, vjp
