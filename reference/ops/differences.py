"""Differences of neighbours, and what is made of them: derivatives and integrals of sampled functions."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.joining import cat
from reference.ops.precision import floating, matched
from reference.rule import Array, Case, conj, is_array, is_inexact, rule, unbroadcast


def along(ndim, dim, key):
    """The index that takes `key` along dimension `dim`."""
    return (slice(None),) * (dim % ndim) + (key,)


def spread(g, dim):
    """The adjoint of a[1:] - a[:-1] along `dim`."""
    shape = list(g.shape)
    shape[dim] = 1
    zero = np.zeros(shape, g.dtype)
    return np.concatenate([zero, g], axis=dim) - np.concatenate([g, zero], axis=dim)


def both(g, dim):
    """The adjoint of a[1:] + a[:-1] along `dim`."""
    shape = list(g.shape)
    shape[dim] = 1
    zero = np.zeros(shape, g.dtype)
    return np.concatenate([zero, g], axis=dim) + np.concatenate([g, zero], axis=dim)


def diff_cases(draw: Draw):
    x = draw.numbers(draw.shape(min_dims=1))
    dim = draw.dim(x.ndim)

    def more():
        shape = list(x.shape)
        shape[dim] = draw.integer(0 if draw.regime == "empty" else 1, 3)
        return draw.choice(None, draw.numbers(shape), draw.integers(shape, -3, 3))

    options = draw.choice({}, dict(prepend=more(), append=more()), dict(append=more()))
    options = {k: v for k, v in options.items() if v is not None}
    n = draw.choice(1, 2, 0, 3, 5)
    if not options and draw.boolean():
        return Case((x,)) if n == 1 else Case((x, n))
    return Case((x, n, dim), options) if draw.boolean() else Case((x,), dict(n=n, dim=dim, **options))


def diff_errors(draw: Draw):
    return [
        (Case((draw.reals(()),)), RuntimeError),
        (Case((draw.reals((3,)), -1)), RuntimeError),
        (Case((draw.reals((2, 3)),), dict(prepend=draw.reals((3, 1)))), RuntimeError),
    ]


@rule("diff", cases=diff_cases, errors=diff_errors, complex=True)
def diff(input: Array, n=1, dim=-1, prepend: Array | None = None, append: Array | None = None):
    """n times over, each slice along `dim` subtracted from the next; of bools, whether they differ.

    input: (*, m, *); prepend, append: (*, k, *), put before and after; output: (*, m + k - n, *).
    Source: torch.diff.
    """
    given = [prepend, input, append]
    present = [x for x in given if x is not None]
    y, back = cat.fn(present, dim) if n and len(present) > 1 else (input, None)
    n = min(n, y.shape[dim])
    for _ in range(n):
        left, right = y[along(y.ndim, dim, slice(None, -1))], y[along(y.ndim, dim, slice(1, None))]
        y = left ^ right if y.dtype == bool else right - left

    def vjp(g):
        for _ in range(n):
            g = spread(g, dim)
        if back is None:
            return g, None, None
        grads = iter(back(g)[0])
        first, middle, last = (None if x is None else next(grads) for x in given)
        return middle, first, last

    return y, vjp


def areas(y, x, dx, dim):
    """The areas of the trapezoids between neighbours along `dim`, and their vjp to (y, x)."""
    if not y.ndim:
        raise IndexError("a number has no dimension along which to integrate")
    dim %= y.ndim
    left, right = slice(None, -1), slice(1, None)
    if not y.shape[dim]:  # no sample: 0, which depends on nothing
        return np.zeros(y.shape, floating(y).dtype), dim, lambda g: (None, None)
    means = (y[along(y.ndim, dim, left)] + y[along(y.ndim, dim, right)]) / 2.0
    if x is None:
        return means * dx, dim, lambda g: (both(g * dx / 2.0, dim) if is_inexact(y) else None, None)
    # the coordinates of a line of samples, or those of each place
    shape = [1] * y.ndim
    shape[dim] = x.size
    wide = x.reshape(shape) if x.ndim == 1 else x.reshape((1,) * (y.ndim - x.ndim) + x.shape)
    means, widths = matched(means, wide[along(wide.ndim, dim, right)] - wide[along(wide.ndim, dim, left)])

    def vjp(g):
        gy = both(unbroadcast(g * conj(widths), means.shape), dim) / 2.0 if is_inexact(y) else None
        gx = spread(unbroadcast(g * conj(means), widths.shape), dim).reshape(x.shape) if is_inexact(x) else None
        return gy, gx

    return means * widths, dim, vjp


def trapezoid_cases(draw: Draw):
    shape = draw.shape(min_dims=1)
    dim = draw.dim(len(shape))
    y = draw.numbers(shape, -2.0, 2.0)
    options = {} if dim == -1 and draw.boolean() else dict(dim=dim)
    kind = draw.integer(0, 4)
    if kind <= 1:
        return Case((y,), {**options, **draw.choice({}, dict(dx=0.5), dict(dx=2), dict(dx=-1.0))})
    if kind == 2:
        return Case((y, draw.choice(draw.reals, draw.numbers)((shape[dim],))), options)
    if kind == 3:  # fewer dimensions, or some of size 1: not the one that is summed
        own = [1 if i != dim % len(shape) and draw.boolean() else n for i, n in enumerate(shape)]
        return Case((y, draw.reals(own[draw.integer(0, dim % len(shape)) :])), options)
    return Case((y, draw.choice(draw.reals(shape), draw.integers(shape, -3, 3))), options)


def trapezoid_errors(draw: Draw):
    y = draw.reals((2, 3))
    return [
        (Case((draw.reals(()),)), IndexError),
        (Case((draw.bools((3,)),)), RuntimeError),
        (Case((y, draw.reals((2,)))), RuntimeError),
    ]


@rule(
    "trapezoid",
    cases=trapezoid_cases,
    errors=trapezoid_errors,
    aliases=("trapz",),
    method=False,
    complex=True,
)
def trapezoid(y: Array, x: Array | None = None, *, dx=1, dim=-1):
    """The integral along `dim` by the trapezoidal rule, sum_i (x_(i+1) - x_i) (y_i + y_(i+1)) / 2.

    y: (*, n, *); x: the coordinates, (n) or what broadcasts to y, or dx their distance; output: (*, *).
    Source: torch.trapezoid.
    """
    parts, dim, vjp = areas(y, x, dx, dim)

    def back(g):
        return vjp(np.broadcast_to(np.expand_dims(g, dim), parts.shape))

    return parts.sum(axis=dim), back


@rule("cumulative_trapezoid", cases=trapezoid_cases, errors=trapezoid_errors, method=False, complex=True)
def cumulative_trapezoid(y: Array, x: Array | None = None, *, dx=1, dim=-1):
    """The integrals along `dim` up to each place but the first, by the trapezoidal rule.

    y: (*, n, *); x: the coordinates, (n) or what broadcasts to y, or dx their distance; output: (*, n - 1, *).
    Source: torch.cumulative_trapezoid.
    """
    parts, dim, vjp = areas(y, x, dx, dim)
    back = along(parts.ndim, dim, slice(None, None, -1))
    return parts.cumsum(axis=dim), lambda g: vjp(g[back].cumsum(axis=dim)[back])


def rising(draw: Draw, n):
    """n coordinates at distances from 1/2 to 2, up or down: exact in bfloat16 while they are few."""
    steps = draw.integers((n,), 2, 8) / 4.0
    return np.cumsum(steps) * draw.choice(1.0, -1.0) if n < 60 else np.arange(n) * 0.5


def gradient_cases(draw: Draw):
    edge_order = draw.integer(1, 2)
    shape = [n + 1 + edge_order for n in draw.shape(min_dims=1, max_dims=2 if draw.regime == "large" else 3)]
    x = draw.numbers(shape)
    options = {} if edge_order == 1 and draw.boolean() else dict(edge_order=edge_order)
    kind = draw.integer(0, 4)
    one = draw.dim(x.ndim)
    some = draw.dims(x.ndim, 1)
    dim = draw.choice({}, dict(dim=one), dict(dim=draw.choice(list, tuple)(some)))
    over = range(x.ndim) if not dim else (one,) if dim["dim"] is one else some
    if kind <= 1:
        return Case((x,), {**options, **dim, **draw.choice({}, dict(spacing=0.5), dict(spacing=-2))})
    if kind == 2:
        return Case((x,), dict(spacing=[draw.choice(1.0, 0.5, 3, -2.0) for _ in over], **dim, **options))
    return Case((x,), dict(spacing=[rising(draw, shape[d]) for d in over], **dim, **options))


def gradient_errors(draw: Draw):
    x = draw.reals((2, 3))
    return [
        (Case((x,), dict(edge_order=3)), RuntimeError),
        (Case((x,), dict(dim=(0, 0))), RuntimeError),
        (Case((x,), dict(spacing=[1.0])), RuntimeError),
        (Case((x,), dict(edge_order=2)), RuntimeError),
    ]


@rule("gradient", cases=gradient_cases, errors=gradient_errors, method=False, complex=True)
def gradient(input: Array, *, spacing: list[Array] | float | None = None, dim=None, edge_order=1):
    """The partial derivatives of a sampled function: those of the parabola through three neighbours.

    At the first and last sample that of the line through two, or with edge_order=2 of the same parabola.
    input: (*, n, *); spacing: one distance, one for each of `dim`, or the coordinates (n) along each;
    outputs: (*, n, *), one for each of `dim`.  Source: Fornberg, Math. Comp. 51, 1988; torch.gradient.
    """
    dims = tuple(range(input.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    one = 1.0 if spacing is None else spacing
    steps = list(one) if isinstance(one, (list, tuple)) else [one] * len(dims)
    made = [slopes(input, s, d, edge_order) for s, d in zip(steps, dims)]

    def vjp(gs):
        total, spacings = np.zeros(input.shape, input.dtype), []
        for g, (_, back) in zip(gs, made):
            gx, gs = back(g)
            total = total + gx
            spacings.append(gs)
        return total, spacings

    return tuple(out for out, _ in made), vjp


def slopes(f, spacing, dim, edge_order):
    """The derivative along one dimension, and its vjp to (f, coordinates).

    With the divided differences d_i = (f_(i+1) - f_i) / h_i, the parabola through i-1, i, i+1 has slope
    (h_i d_(i-1) + h_(i-1) d_i) / (h_(i-1) + h_i) at i: a weighted mean.
    """
    f = np.moveaxis(floating(f), dim, 0)
    given = is_array(spacing) and spacing.ndim == 1
    h = np.diff(matched(f, spacing)[1]) if given else np.full(f.shape[0] - 1, spacing, np.result_type(f.real, spacing))
    h = h.reshape((-1,) + (1,) * (f.ndim - 1))
    d = np.diff(f, axis=0) / h
    t = h[:-1] + h[1:]
    left, right = h[1:] / t, h[:-1] / t  # the weights of d_(i-1) and d_i
    inner = left * d[:-1] + right * d[1:]
    first, last = d[:1], d[-1:]
    if edge_order == 2:  # the parabola's slope is linear: as far beyond its difference as that is from inside
        first, last = 2.0 * d[:1] - inner[:1], 2.0 * d[-1:] - inner[-1:]

    def vjp(g):
        g = np.moveaxis(g, dim, 0)
        body, gd = g[1:-1].copy(), np.zeros(d.shape, np.result_type(g, d))
        if edge_order == 2:
            body[:1] -= g[:1]
            body[-1:] -= g[-1:]
        gd[:1] += edge_order * g[:1]  # 1 of its own, or 2
        gd[-1:] += edge_order * g[-1:]
        gd[:-1] += body * conj(left)
        gd[1:] += body * conj(right)
        gf = np.moveaxis(spread(gd / conj(h), 0), 0, dim)
        if not given or not is_inexact(spacing):
            return gf, None
        # left + right = 1, and left = h_i / (h_(i-1) + h_i)
        gl = body * conj(d[:-1] - d[1:]) / t
        gh = -gd * conj(d) / h
        gh[:-1] -= gl * left
        gh[1:] += gl * right
        return gf, spread(gh.reshape(len(h), -1).sum(axis=1), 0)

    return np.moveaxis(np.concatenate([first, inner, last]), 0, dim), vjp
