"""Complex numbers made, taken apart and conjugated, and the transposes that conjugate."""

from __future__ import annotations

import numpy as np

from reference.draw import Draw
from reference.ops.shape import refusing
from reference.rule import HIGHER_ORDER, WRONG_KIND, Array, Case, Waiver, conj, is_stepping, rule


def complexes(draw: Draw, shape):
    """Complex numbers whatever the dtype: for what takes no others."""
    return draw.reals(shape) + 1j * draw.reals(shape)


def any_shape(draw: Draw):
    return Case((draw.numbers(draw.shape()),))


def none_given(draw: Draw):
    return [(Case((None,)), TypeError)]


def two_reals(low, high):
    def cases(draw: Draw):
        first, second = draw.shapes(2)
        return Case((draw.reals(first, low, high), draw.reals(second)))

    return cases


def integers_refused(draw: Draw):
    return [(Case((draw.integers((2,), 0, 3), draw.integers((2,), 0, 3))), RuntimeError)]


def over(g, x):
    """The sums of g over what x was repeated along."""
    lead = g.ndim - x.ndim
    axes = tuple(i for i in range(g.ndim) if i < lead or (x.shape[i - lead] == 1 and g.shape[i] != 1))
    return g.sum(axis=axes).reshape(x.shape)


# the complex step cannot carry a tangent into a complex output: not analytic
@rule("complex", cases=two_reals(-4.0, 4.0), errors=integers_refused, method=False, analytic=False)
def complex(real: Array, imag: Array):
    """real + i imag.

    real, imag: broadcast to the output.  Source: torch.complex.
    """
    real, imag = np.asarray(real), np.asarray(imag)
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real.dtype, imag.dtype, np.complex64))
    out.real, out.imag = real, imag

    def vjp(g):
        return over(g.real, real), over(g.imag, imag)

    return out, vjp


def turn_room(abs, angle):
    return np.broadcast_to(1.0 / np.where(abs == 0, 1.0, abs), np.broadcast_shapes(abs.shape, angle.shape))


@rule(
    "polar",
    cases=two_reals(0.0, 4.0),
    errors=integers_refused,
    method=False,
    analytic=False,
    waivers=[
        Waiver(
            "torch takes exp(i angle) for the sign of the rounded result, whose derivatives divide by abs and cancel",
            room=turn_room,
            checks=HIGHER_ORDER,
        )
    ],
)
def polar(abs: Array, angle: Array):
    """abs (cos(angle) + i sin(angle)).

    abs, angle: broadcast to the output.  Source: torch.polar.
    """
    r, turn = np.asarray(abs), np.cos(angle) + 1j * np.sin(angle)

    def vjp(g):
        along = g * np.conj(turn)  # the real part lies along the radius, the imaginary part across it
        return over(along.real, r), over(r * along.imag, np.asarray(angle))

    return r * turn, vjp


@rule(
    "real",
    cases=any_shape,
    errors=none_given,
    aliases=("Tensor.real.__get__", "Tensor.real"),
    method=False,
    complex=True,
    special="ieee",
    elementwise=True,
)
def real(input: Array):
    """The real part; a real tensor as it is.

    input, output: (*).  Source: torch.real.
    """
    if input.dtype.kind != "c" or is_stepping():
        return input, lambda g: (g,)
    return input.real, lambda g: (g + 0j,)


@rule(
    "imag",
    cases=lambda draw: Case((complexes(draw, draw.shape()),)),
    errors=refusing((WRONG_KIND,)),
    aliases=("Tensor.imag.__get__", "Tensor.imag"),
    method=False,
    complex=True,
    elementwise=True,
)
def imag(input: Array):
    """The imaginary part of complex numbers.

    input, output: (*).  Source: torch.imag.
    """
    return input.imag, lambda g: (1j * g,)


@rule(
    "conj",
    cases=any_shape,
    errors=none_given,
    aliases=("conj_physical",),
    complex=True,
    special="ieee",
    elementwise=True,
)
def conjugate(input: Array):
    """The complex conjugate; a real tensor as it is.

    input, output: (*).  Source: torch.conj.
    """
    return conj(input), lambda g: (conj(g),)


@rule("resolve_conj", cases=any_shape, errors=none_given, complex=True, special="ieee", elementwise=True)
def resolve_conj(input: Array):
    """The same numbers, a lazy conjugate carried out.

    input, output: (*).  Source: torch.resolve_conj.
    """
    return input, lambda g: (g,)


@rule("resolve_neg", cases=any_shape, errors=none_given, complex=True, special="ieee", elementwise=True)
def resolve_neg(input: Array):
    """The same numbers, a lazy negative carried out.

    input, output: (*).  Source: torch.resolve_neg.
    """
    return input, lambda g: (g,)


@rule(
    "view_as_real",
    cases=lambda draw: Case((complexes(draw, draw.shape()),)),
    errors=refusing((WRONG_KIND,)),
    aliases=("view_as_real_copy",),
    method=False,
    complex=True,
    linear=True,
    any_strides=False,  # no lazy conjugates, says the documentation
)
def view_as_real(input: Array):
    """Real and imaginary part as a last dimension of two.

    input: (*) complex; output: (*, 2).  Source: torch.view_as_real.
    """
    return np.stack([input.real, input.imag], axis=-1), lambda g: (g[..., 0] + 1j * g[..., 1],)


@rule(
    "view_as_complex",
    cases=lambda draw: Case((draw.reals((*draw.shape(max_dims=2), 2)),)),
    errors=refusing((RuntimeError,)),
    aliases=("view_as_complex_copy",),
    method=False,
    analytic=False,
    linear=True,
    any_strides=False,
)
def view_as_complex(input: Array):
    """A last dimension of two as real and imaginary part.

    input: (*, 2); output: (*) complex.  Source: torch.view_as_complex.
    """
    return input[..., 0] + 1j * input[..., 1], lambda g: (np.stack([g.real, g.imag], axis=-1),)


def matrices(draw: Draw):
    return Case((draw.numbers(draw.shape(min_dims=2)),))


def one_matrix(draw: Draw):
    if draw.regime in ("typical", "scalar") and not draw.integer(0, 4):
        return Case((draw.numbers(()),))
    return Case((draw.numbers(draw.shape(min_dims=2, max_dims=2)),))


@rule(
    "adjoint",
    cases=matrices,
    errors=refusing((RuntimeError,), shape=(3,)),
    aliases=("Tensor.mH.__get__", "Tensor.mH"),
    complex=True,
    special="ieee",
)
def adjoint(input: Array):
    """The conjugate transposes of the matrices in the last two dimensions.

    input: (*, m, n); output: (*, n, m).  Source: torch.adjoint.
    """
    if not input.ndim:  # an older form, which torch still takes
        return conj(input), lambda g: (conj(g),)
    return conj(input).swapaxes(-2, -1), lambda g: (conj(g).swapaxes(-2, -1),)


@rule(
    "Tensor.H.__get__",
    cases=one_matrix,
    errors=refusing((RuntimeError,), shape=(3,)),
    aliases=("Tensor.H",),
    complex=True,
    special="ieee",
)
def hermitian(self: Array):
    """The attribute H: the conjugate transpose of a matrix; of a number its conjugate.

    self: () or (m, n); output: (n, m).  Source: torch.Tensor.H.
    """
    return conj(self).T, lambda g: (conj(g).T,)


@rule(
    "Tensor.T.__get__",
    cases=one_matrix,  # of other dimensions it is deprecated
    errors=none_given,
    aliases=("Tensor.T",),
    complex=True,
    special="ieee",
)
def transposed(self: Array):
    """The attribute T: the dimensions in reverse order.

    self: () or (m, n); output: (n, m).  Source: torch.Tensor.T.
    """
    return self.T, lambda g: (g.T,)


@rule(
    "Tensor.mT.__get__",
    cases=matrices,
    errors=refusing((RuntimeError,), shape=(3,)),
    aliases=("Tensor.mT",),
    complex=True,
    special="ieee",
)
def matrix_transposed(self: Array):
    """The attribute mT: the transposes of the matrices in the last two dimensions.

    self: (*, m, n); output: (*, n, m).  Source: torch.Tensor.mT.
    """
    if not self.ndim:
        return self, lambda g: (g,)
    return self.swapaxes(-2, -1), lambda g: (g.swapaxes(-2, -1),)
