"""A tensor in the form of another: its shape, its kind of numbers, its values in some places."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.joining import broadcast_to, expand_cases
from reference.ops.selection import where
from reference.ops.shape import listed, refusing, regrouped
from reference.rule import Array, Case, is_array, is_inexact, is_stepping, rule, unbroadcast


def another(draw: Draw, shape):
    """A tensor of which only the shape counts."""
    return draw.choice(draw.numbers, draw.bools)(shape)


def reshape_as_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    return Case((x, another(draw, x.reshape(regrouped(draw, x.shape)).shape)))


def seven(draw: Draw):
    return [(Case((draw.reals((2, 3)), draw.reals((7,)))), RuntimeError)]


@rule("Tensor.reshape_as", cases=reshape_as_cases, errors=seven, complex=True, special="ieee")
def reshape_as(self: Array, other: Array):
    """The elements in row-major order in the shape of another tensor.

    self: (*); other, output: (*).  Source: torch.Tensor.reshape_as.
    """
    return self.reshape(other.shape), lambda g: (g.reshape(self.shape), None)


@rule("Tensor.view_as", cases=reshape_as_cases, errors=seven, complex=True, special="ieee", any_strides=False)
def view_as(self: Array, other: Array):
    """As Tensor.reshape_as, for shapes that need no copy.

    self: (*); other, output: (*).  Source: torch.Tensor.view_as.
    """
    return self.reshape(other.shape), lambda g: (g.reshape(self.shape), None)


def expand_as_cases(draw: Draw):
    x, sizes = expand_cases(draw).args
    return Case((x, another(draw, broadcast_to.fn(x, sizes)[0].shape)))


@rule("Tensor.expand_as", cases=expand_as_cases, errors=seven, complex=True, special="ieee")
def expand_as(self: Array, other: Array):
    """Repeated along dimensions of size 1 and new leading ones, to the shape of another tensor.

    self: (*); other, output: (*).  Source: torch.Tensor.expand_as.
    """
    out, vjp = broadcast_to.fn(self, other.shape)
    return out, lambda g: (*vjp(g), None)


def sum_to_size_cases(draw: Draw):
    shape = draw.shape()
    return Case((draw.numbers(shape, -1.0, 1.0), draw.choice(tuple, list)(draw.broadcast(shape))))


@rule(
    "Tensor.sum_to_size",
    cases=sum_to_size_cases,
    errors=refusing((RuntimeError, (2, 2)), (RuntimeError, (1, 2, 3))),
    complex=True,
)
def sum_to_size(self: Array, size, *more):
    """Sums over the dimensions along which broadcasting would repeat a tensor of `size` to this one's shape.

    self: (*); output: size.  Source: torch.Tensor.sum_to_size.
    """
    return unbroadcast(self, listed(size, more)), lambda g: (np.broadcast_to(g, self.shape).copy(),)


def cast(x, kind):
    """x as numbers of a kind ("f", "c", "i" or "b"), and its vjp: no gradient passes through integers."""
    if kind == "c":
        return x.astype(np.result_type(x.dtype, np.complex64)), lambda g: (g if is_inexact(x) else None,)
    whole = x.dtype.kind == "c" and not is_stepping()
    x_real = x.real if whole else x
    if kind == "f":
        out = x_real if is_inexact(x) else x.astype(np.float64)
        return out, lambda g: ((g + 0j if whole else g) if is_inexact(x) else None,)
    return (x != 0 if kind == "b" else x_real.real.astype(np.int64)), lambda g: (None,)


def kind_of(dtype):
    """The kind of a dtype by its name, whoever's it is."""
    name = str(dtype)
    pairs = (("complex", "c"), ("bool", "b"), ("int", "i"), ("long", "i"), ("short", "i"))
    return next((kind for part, kind in pairs if part in name), "f")


def type_as_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    other = draw.choice(draw.numbers((1,)), draw.numbers(()), draw.reals((1,)) + 1j, draw.integers((1,), 0, 1))
    if draw.complex:
        other = draw.choice(other, draw.reals((1,)))
    return Case((x, other))


@rule(
    "Tensor.type_as",
    cases=type_as_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), 1.0)), TypeError)],
    complex=True,
    special="ieee",
)
def type_as(self: Array, other: Array):
    """The numbers in the dtype of another tensor; the imaginary part is lost where that is real.

    self, output: (*); other: any shape.  Source: torch.Tensor.type_as.
    """
    out, vjp = cast(self, "i" if other.dtype.kind == "u" else other.dtype.kind)
    return out, lambda g: (*vjp(g), None)


def to_cases(draw: Draw):
    x, other = type_as_cases(draw).args
    return Case((x, *draw.choice((other,), (other, False, True), ("cpu",), ("cpu", None, False, True))))


@rule(
    "Tensor.to",
    cases=lambda draw: draw.choice(to_cases(draw), Case((draw.numbers(draw.shape()),), dict(copy=True))),
    errors=lambda draw: [(Case((draw.reals((2,)), "nowhere")), RuntimeError)],
    complex=True,
    special="ieee",
)
def to(
    self: Array, *target: Array, device=None, dtype=None, other: Array | None = None,
    non_blocking=False, copy=False, memory_format=None,
):  # fmt: skip
    """The numbers in another dtype (given, or that of a tensor), on another device: here the same ones.

    self, output: (*).  Source: torch.Tensor.to.
    """
    model = next((t for t in (*target, other) if is_array(t)), None)
    named = next((t for t in (*target, dtype) if "torch." in str(t) or isinstance(t, (np.dtype, type))), None)
    if model is None and (named is None or "_format" in str(named)):
        out, vjp = self, lambda g: (g,)
    else:
        out, vjp = cast(self, model.dtype.kind if model is not None else kind_of(named))
    return out, lambda g: (*vjp(g), [None] * len(target), None)


def method_where_cases(draw: Draw):
    condition, left, right = draw.shapes(3)
    a, b = draw.numbers(left), draw.numbers(right)
    return Case((a, draw.bools(condition), draw.choice(b, b, 1.5)))


@rule(
    "Tensor.where",
    cases=method_where_cases,
    errors=lambda draw: [(Case((draw.reals((3,)), draw.bools((2,)), draw.reals((3,)))), RuntimeError)],
    complex=True,
    special="ieee",
)
def method_where(self: Array, condition: Array, other: Array | float):
    """This tensor where the condition holds, else `other`.

    self, condition, other: broadcast to the output.  Source: torch.Tensor.where.
    """
    out, vjp = where.fn(condition, self, other)

    def back(g):
        _, left, right = vjp(g)
        return left, None, right

    return out, back


def fill_cases(draw: Draw):
    x = draw.numbers(draw.shape())
    return Case((x, draw.choice(1.5, -2, draw.numbers(()))))


@rule(
    "fill",
    cases=fill_cases,
    errors=lambda draw: [(Case((draw.reals((2,)), draw.reals((2,)))), RuntimeError)],
    complex=True,
    special="ieee",
)
def fill(input: Array, value: Array | float):
    """The value in every place.

    input, output: (*); value: a number or a tensor ().  Source: torch.Tensor.fill_.
    """
    kind = np.result_type(input, value) if is_array(value) else input.dtype
    grad = np.zeros(input.shape)
    return np.full(input.shape, value, kind), lambda g: (grad.astype(g.dtype), g.sum())
