"""Running sums and products, and logarithms of sums of exponentials."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.reduce import axes, cast, factors, kept_shape, reduction, rows, wrong_dim, wrong_dims
from reference.rule import DERIVATIVES, HIGHER_ORDER, Array, Case, Waiver, conj, is_stepping, rule


def scan(combine, parts):
    """All prefixes of an associative operation along the last axis, in log2(n) vector steps.

    Source: Hillis and Steele, Data Parallel Algorithms, CACM 29, 1986.
    """
    step = 1
    while step < parts[0].shape[-1]:
        merged = combine([p[..., :-step] for p in parts], [p[..., step:] for p in parts])
        parts = [np.concatenate([p[..., :step], m], -1) for p, m in zip(parts, merged)]
        step *= 2
    return parts


def weighted(logs, values):
    """(m, s) with s_i exp(m_i) = sum_{j <= i} v_j exp(l_j), where m is the running maximum of Re l."""

    def combine(left, right):
        m = np.maximum(left[0], right[0])
        safe = np.where(np.isfinite(m), m, 0.0)
        scale = [np.exp(np.where(np.isfinite(p[0]), p[0] - safe, p[0])) for p in (left, right)]
        return m, left[1] * scale[0] + right[1] * scale[1]

    top = logs.real
    start = values * np.exp(logs - np.where(np.isfinite(top), top, 0.0))
    m, s = scan(combine, [np.where(np.isposinf(top), 0.0, top), start])
    return np.where(np.isfinite(m), m, 0.0), s


def line_cases(draw: Draw):
    shape = draw.shape()
    return Case((draw.numbers(shape), draw.dim(len(shape))))


def exponents(draw: Draw, shape):
    """Numbers whose exponentials, and their sums, stay clear of the logarithm's branch cut."""
    return draw.reals(shape) + (1j * draw.reals(shape, -1.25, 1.25) if draw.complex else 0.0)


def logcumsumexp_cases(draw: Draw):
    # kernels go parallel over the rows: many rows, of a length that costs the scan below little
    shape = (draw.side(), draw.side()) if draw.regime == "large" else draw.shape()
    return Case((exponents(draw, shape), draw.dim(len(shape))))


def cumprod_cases(draw: Draw):
    shape = draw.shape()
    dim = draw.dim(len(shape))
    return Case((factors(draw, shape, shape[dim] if shape else 1), dim))


@rule("cumsum", cases=line_cases, errors=wrong_dim, complex=True, special="nonfinite")
def cumsum(input: Array, dim, *, dtype=None):
    """y_i = sum_{j <= i} x_j along `dim`.

    input, output: (*).  Source: torch.cumsum.
    """
    x, back = rows(cast(input, dtype), dim)
    return back(np.cumsum(x, -1)), lambda g: (back(np.cumsum(rows(g, dim)[0][..., ::-1], -1)[..., ::-1]),)


def cumprod_room(input, dim, *, dtype=None):
    """The largest |y_j| (sum_{i <= j} 1 / |x_i|)^2 of each row; 0 where a factor is 0."""
    x, back = rows(np.abs(input), dim)
    inverse = np.where(x == 0, 0.0, 1.0 / np.where(x == 0, 1.0, x))
    terms = np.cumprod(x, -1) * np.cumsum(inverse, -1) ** 2
    return back(np.broadcast_to(terms.max(-1, keepdims=True, initial=0.0), x.shape))


@rule(
    "cumprod",
    cases=cumprod_cases,
    errors=wrong_dim,
    complex=True,
    special="nonfinite",
    waivers=[
        Waiver(
            "torch divides the products by each factor, and the derivative of the quotient by its own factor cancels",
            room=cumprod_room,
            checks=HIGHER_ORDER,
        )
    ],
)
def cumprod(input: Array, dim, *, dtype=None):
    """y_i = prod_{j <= i} x_j along `dim`.

    The gradient of x_i is y_{i-1} t_i with t_i = g_i + x_{i+1} t_{i+1}: no division, so zeros are
    nothing special. The recurrence is a scan of affine maps.
    input, output: (*).  Source: torch.cumprod.
    """
    x, back = rows(cast(input, dtype), dim)
    y = np.cumprod(x, -1)

    def vjp(g, slip=0.0):
        g = rows(g, dim)[0]
        if x.size == 0:
            return (back(np.zeros_like(x)),)
        one = np.ones_like(x[..., :1])
        slope = conj(np.concatenate([one, x[..., :0:-1]], -1))
        _, t = scan(lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1]), [slope, g[..., ::-1]])
        grad = conj(np.concatenate([one, y[..., :-1]], -1)) * t[..., ::-1]
        if np.ndim(slip) and np.all(x != 0):  # then torch sums g y, rounded, and divides by x
            grad = grad + np.cumsum((g * conj(rows(slip, dim)[0]))[..., ::-1], -1)[..., ::-1] / conj(x)
        return (back(grad),)

    return back(y), vjp


def turns(x, y):
    """How often to turn the principal logarithms y so that the sums are followed from term to term.

    Torch adds each term to the larger of it and the sum so far: log(a + b) = log a + log(1 + b / a),
    where the angle of 1 + b / a is at most a right one.
    """
    so_far = np.concatenate([np.full_like(x[..., :1], -np.inf), y[..., :-1]], -1)
    new = x.real >= so_far.real
    larger, smaller = np.where(new, x, so_far), np.where(new, so_far, x)
    angle = np.cumsum(np.angle(1.0 + np.exp(smaller - larger)), -1)
    places = np.arange(x.shape[-1])
    start = np.maximum.accumulate(np.where(new, places, 0), -1)  # the term that the sum is followed from
    before = np.concatenate([np.zeros_like(angle[..., :1]), angle[..., :-1]], -1)
    followed = np.take_along_axis(x.imag - before, start, -1) + angle
    return np.nan_to_num(np.round((followed - y.imag) / (2 * np.pi)))


def logcumsumexp_room(input, dim):
    """The sizes of what torch adds up to a gradient, with the error of the logarithms that it adds them up by.

    Its backward takes log(sum_j |g_j| exp(x_i - y_j)) of the positive and of the negative g_j, and subtracts
    the exponentials of the two; an error of eps |log| in a logarithm is one of as many eps of the number.
    """
    x, back = rows(input.real, dim)
    m, s = weighted(x, 1.0)
    y = m + np.log(s)
    top, total = weighted(-y[..., ::-1], 1.0)
    terms = total[..., ::-1] * np.exp(x + top[..., ::-1])
    return back(terms * (1.0 + np.abs(x) + np.abs(y).max(-1, keepdims=True, initial=0.0)))


@rule(
    "logcumsumexp",
    cases=logcumsumexp_cases,
    errors=wrong_dim,
    complex=True,
    special="nonfinite",
    waivers=[
        Waiver(
            "torch's backward subtracts the negative part of a sum from the positive one, each by its logarithm",
            room=logcumsumexp_room,
            checks=DERIVATIVES,
        )
    ],
)
def logcumsumexp(input: Array, dim):
    """y_i = log sum_{j <= i} exp(x_j) along `dim`, without overflow.

    Of complex numbers the logarithm is followed continuously, from y_0 = x_0.

    input, output: (*).  Source: torch.logcumsumexp.
    """
    x, back = rows(input, dim)
    m, s = weighted(x, 1.0)
    y = m + np.log(s)
    if x.dtype.kind == "c" and not is_stepping():
        y = y + 2j * np.pi * turns(x, y)

    def vjp(g, slip=0.0):
        if np.ndim(slip):  # torch takes exp(x_i - y_j) with its rounded y
            g = g * (1.0 - conj(np.asarray(slip)))
        if x.shape[-1] == 1:  # y = x, to the last digit
            return (g,)
        top, total = weighted(-conj(y)[..., ::-1], rows(g, dim)[0][..., ::-1])
        return (back(total[..., ::-1] * np.exp(conj(x) + top[..., ::-1])),)

    return back(y), vjp


def logsumexp_cases(draw: Draw):
    x, options = reduction(draw, tuples=False, optional=False)
    if x.ndim and draw.boolean():
        options = dict(dim=draw.dims(x.ndim, min_count=1))
    return Case((exponents(draw, x.shape),), {**options, "keepdim": draw.boolean()})


def largest_exponent(input, dim, keepdim=False):
    return np.abs(input.real.max(axis=axes(dim, input.ndim), keepdims=keepdim, initial=-np.inf))


@rule(
    "logsumexp",
    cases=logsumexp_cases,
    errors=wrong_dims,
    aliases=("special.logsumexp",),
    complex=True,
    special="nonfinite",
    waivers=[
        Waiver(
            "torch rounds the logarithm of the scaled sum before it adds the largest exponent, which may cancel",
            room=largest_exponent,
        )
    ],
)
def logsumexp(input: Array, dim, keepdim=False):
    """log sum exp(x) over `dim`, without overflow; -inf for a sum of nothing.

    input: (*); output: without the reduced dimensions, or with ones there.  Source: torch.logsumexp.
    """
    x = cast(input, "float64") if input.dtype.kind in "iub" else input
    over = axes(dim, x.ndim)
    m = x.real.max(axis=over, keepdims=True, initial=-np.inf)
    m = np.where(np.isfinite(m), m, 0.0)
    e = np.exp(x - m)
    total = e.sum(axis=over, keepdims=True)
    y = np.log(total) + m
    kept = kept_shape(x.shape, over)

    def vjp(g, slip=0.0):
        error = np.reshape(slip, kept) if np.ndim(slip) else slip  # torch takes exp(x - y), y rounded
        return (g.reshape(kept) * conj(e / total * (1.0 - error)),)

    return (y if keepdim else np.squeeze(y, over)), vjp
