"""Rules whose function NumPy or SciPy has too: the same values, over all cases and for what is not finite."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from conformance.draws import SeededDraw
from reference import lookup
from reference.derive import STEP
from reference.rule import stepping

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{n: getattr(np, n) for n in (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "square", "reciprocal", "sign",
        "sin", "cos", "tan", "sinh", "cosh", "tanh", "deg2rad", "rad2deg", "sinc", "hypot",
        "logaddexp", "logaddexp2", "maximum", "minimum", "fmax", "fmin", "copysign", "fmod", "floor_divide",
        "nextafter", "float_power", "signbit", "isnan", "isinf", "isfinite", "gcd", "lcm", "logical_and",
        "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "real", "imag", "angle",
        "positive",
    )},
    "floor": lambda x: np.floor(x).astype(x.dtype), "ceil": lambda x: np.ceil(x).astype(x.dtype),
    "trunc": lambda x: np.trunc(x).astype(x.dtype),  # NumPy 1 makes numbers of integers
    "abs": np.abs, "neg": np.negative, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2, "remainder": np.remainder, "mul": np.multiply,
    "heaviside": lambda x, at: np.heaviside(x, at).astype(np.result_type(x, at)),
    "conj": np.conj, "sgn": lambda x: x / np.where(x == 0, 1.0, np.abs(x)), "frac": lambda x: x - np.trunc(x),
    "isposinf": np.isposinf, "isneginf": np.isneginf, "isclose": np.isclose,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "sigmoid": special.expit, "erf": special.erf, "erfc": special.erfc, "erfinv": special.erfinv,
    "lgamma": special.gammaln, "digamma": special.psi, "igamma": special.gammainc, "igammac": special.gammaincc,
    "special.ndtr": special.ndtr, "special.ndtri": special.ndtri, "special.log_ndtr": special.log_ndtr,
    "special.erfcx": special.erfcx, "special.entr": special.entr, "special.xlog1py": special.xlog1py,
    "xlogy": special.xlogy, "special.i0e": special.i0e, "special.i1": special.i1, "special.i1e": special.i1e,
    "i0": special.i0, "special.zeta": special.zeta, "special.bessel_j0": special.j0, "special.bessel_j1": special.j1,
    "special.bessel_y0": special.y0, "special.bessel_y1": special.y1, "special.airy_ai": lambda x: special.airy(x)[0],
    "special.modified_bessel_i0": special.i0, "special.modified_bessel_i1": special.i1,
    "special.modified_bessel_k0": special.k0, "special.modified_bessel_k1": special.k1,
    "special.scaled_modified_bessel_k0": special.k0e, "special.scaled_modified_bessel_k1": special.k1e,
    "special.spherical_bessel_j0": lambda x: special.spherical_jn(0, np.abs(x)),
}  # fmt: skip
REAL_ALONE = {"logaddexp", "sigmoid", "logcumsumexp"}  # there is no complex one
# Where no special values: those of NumPy are conventions of its own
FINITE_ALONE = {"sgn", "sign", "angle", "reciprocal", "heaviside"}


def transform(
    function: Callable[..., Any], several: bool = False, default: Any = -1, half: bool = False
) -> Callable[..., Any]:
    """torch's n or s, dim and norm as NumPy's; -1 in s keeps a size."""

    def one(input, n=None, dim=-1, norm=None):
        return function(input, n, dim, norm)

    def many(input, s=None, dim=default, norm=None):
        if s is None:
            return function(input, None, dim, norm)
        axes = tuple(range(input.ndim - len(s), input.ndim)) if dim is None else dim
        whole = [input.shape[d] for d in axes]
        if half:
            whole[-1] = 2 * (whole[-1] - 1)
        return function(input, tuple(w if n == -1 else n for n, w in zip(s, whole)), axes, norm)

    return many if several else one


FLIPPED = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def hermitian(x, s, axes, norm):
    return np.fft.irfftn(np.conj(x), s, axes, FLIPPED[norm])


def anti_hermitian(x, s, axes, norm):
    return np.conj(np.fft.rfftn(x, s, axes, FLIPPED[norm]))


PLANES = (-2, -1)
TRANSFORMS = {
    **{f"fft.{n}": transform(getattr(np.fft, n)) for n in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{f"fft.{n}2": transform(getattr(np.fft, f"{n}n"), True, PLANES) for n in ("fft", "ifft", "rfft")},
    "fft.fftn": transform(lambda x, *o: np.fft.fftn(x + 0j, *o), True, None),  # complex over no dimension too
    "fft.ifftn": transform(lambda x, *o: np.fft.ifftn(x + 0j, *o), True, None),
    "fft.rfftn": transform(np.fft.rfftn, True, None),
    "fft.irfft2": transform(np.fft.irfftn, True, PLANES, True),
    "fft.irfftn": transform(np.fft.irfftn, True, None, True),
    "fft.hfft2": transform(hermitian, True, PLANES, True), "fft.hfftn": transform(hermitian, True, None, True),
    "fft.ihfft2": transform(anti_hermitian, True, PLANES), "fft.ihfftn": transform(anti_hermitian, True, None),
    "fft.fftshift": lambda input, dim=None: np.fft.fftshift(input, dim),
    "fft.ifftshift": lambda input, dim=None: np.fft.ifftshift(input, dim),
}  # fmt: skip


def reduction(function: Callable[..., Any], default: Any = None) -> Callable[..., Any]:
    def reduced(input, dim=default, keepdim=False, **_):
        axis = None if dim is None or np.size(dim) == 0 else dim
        if input.ndim == 0:
            axis = None
        return function(input, axis=tuple(axis) if isinstance(axis, (list, tuple)) else axis, keepdims=keepdim)

    return reduced


def along(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda input, dim, **_: function(np.atleast_1d(input), axis=dim).reshape(input.shape)


REDUCTIONS = {
    **{n: reduction(getattr(np, n)) for n in ("sum", "mean", "amax", "amin", "nansum", "nanmean")},
    "logsumexp": reduction(special.logsumexp), "cumsum": along(np.cumsum), "cumprod": along(np.cumprod),
    "logcumsumexp": along(np.logaddexp.accumulate),
}  # fmt: skip


def vector_norm(x, ord=2, dim=None, keepdim=False, **_):
    everything = dim is None or np.size(dim) == 0 or x.ndim == 0
    sizes, axis = np.abs(x), None if everything else tuple(np.atleast_1d(dim))
    if ord == 0 or np.isinf(ord):
        fold = {0: lambda a, **o: np.sum(a != 0, dtype=float, **o), np.inf: np.max, -np.inf: np.min}[ord]
        return fold(sizes, axis=axis, keepdims=keepdim)
    return np.sum(sizes**ord, axis=axis, keepdims=keepdim) ** (1 / ord)


MATRICES = {
    "linalg.vector_norm": vector_norm,
    "linalg.inv": np.linalg.inv, "linalg.det": np.linalg.det, "linalg.eigvalsh": np.linalg.eigvalsh,
    "linalg.svdvals": lambda A, **_: np.linalg.svd(A, compute_uv=False), "linalg.matrix_power": np.linalg.matrix_power,
    "linalg.multi_dot": np.linalg.multi_dot, "linalg.tensorinv": np.linalg.tensorinv, "kron": np.kron,
    "linalg.tensorsolve": lambda A, B, dims=None: np.linalg.tensorsolve(A, B, dims), "outer": np.outer,
}  # fmt: skip


def squeezed(x, dim=None, *more):
    if dim is None or not x.ndim:
        return np.squeeze(x)
    return np.squeeze(x, tuple({d % x.ndim for d in (*np.atleast_1d(dim), *more) if x.shape[d] == 1}))


SHAPES = {
    "squeeze": squeezed, "movedim": np.moveaxis, "trace": np.trace,
    "flip": lambda x, *dims, **o: np.flip(x, tuple(np.ravel(o.get("dims", dims)))),
    "roll": lambda x, shifts, dims=None: np.roll(x, shifts, dims or None) if x.ndim else x,
    "swapaxes": lambda x, axis0, axis1: np.swapaxes(x, axis0, axis1) if x.ndim else x,
    "tril": lambda x, diagonal=0: np.tril(x, diagonal), "triu": lambda x, diagonal=0: np.triu(x, diagonal),
    "diff": lambda x, n=1, dim=-1, **o: np.diff(x, n, dim, **o),
    "rot90": lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
}  # fmt: skip
TWINS = {**SHAPES, **ELEMENTWISE, **TRANSFORMS, **REDUCTIONS, **MATRICES}


def same(name: str, *args: Any, **kwargs: Any) -> None:
    got = lookup(name)(*args, **kwargs)[0]
    want = np.asarray(TWINS[name](*args, **kwargs))
    assert np.asarray(got).dtype.kind == want.dtype.kind, f"{name}{args}{kwargs}"
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-10, atol=1e-11, err_msg=f"{name}{args}{kwargs}")


@pytest.mark.parametrize("name", [n for n in TWINS if lookup(n)])
@pytest.mark.filterwarnings("ignore")
def test_a_rule_is_numpys_function(name: str) -> None:
    rule = lookup(name)
    for complex, seed in itertools.product([False, True] if rule.complex else [False], range(30)):
        case = rule.cases(SeededDraw(f"{name}/twin/{seed}", complex=complex))
        if not complex or name not in REAL_ALONE:
            same(name, *case.args, **case.kwargs)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-300, -1e-300, 30.0, -800.0, 800.0])


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if lookup(n) and lookup(n).special])
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_finite_is_as_numpys(name: str) -> None:
    rule = lookup(name)
    left, right = np.meshgrid(SPECIAL, SPECIAL)
    args = (left, right)[: len(rule.tensors)]
    if name not in FINITE_ALONE:
        same(name, *args)


@pytest.mark.parametrize("name, theirs", [("max", np.maximum), ("min", np.minimum)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, bool])
@pytest.mark.filterwarnings("ignore")
def test_the_extreme_of_two_is_numpys_in_every_dtype(name: str, theirs: Any, dtype: Any) -> None:
    left, right = np.meshgrid(SPECIAL, SPECIAL) if dtype in (np.float64, np.float32) else np.meshgrid(*[range(4)] * 2)
    left, right = left.astype(dtype), right.astype(dtype)
    for out in (lookup(name)(left, right)[0], lookup(name)(left, other=right)[0]):
        np.testing.assert_array_equal(out, theirs(left, right), strict=True)


INTEGERS = {"gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor"}
PARTS = {"real", "imag", "conj", "angle"}  # of complex numbers
NO_SLOPE = {"igamma", "igammac", "special.zeta"}  # by the first argument: test_gamma


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if lookup(n) and n not in INTEGERS | PARTS | NO_SLOPE])
@pytest.mark.filterwarnings("ignore")
def test_at_special_places_the_step_goes_along_the_gradient(name: str) -> None:
    """At kinks and ties, where drawn cases never are: what the gradient is said to be there the tangent is too."""
    rule, places = lookup(name), np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0])
    args = np.meshgrid(places, places)[: len(rule.tensors)]
    out, vjp = rule(*args)
    grads = vjp(np.ones(out.shape))
    known = np.all([np.isfinite(a) for a in (out, *grads) if a is not None], axis=0)
    for i, grad in enumerate(grads):
        moved = [a.astype(complex) for a in args]
        moved[i].imag = STEP
        with stepping():
            tangent = rule(*moved)[0].imag / STEP
        if grad is not None:
            np.testing.assert_allclose(tangent[known], grad[known], rtol=1e-9, atol=1e-9)
            if name != "special.entr":  # whose value at 0 has no step, as where it is constant
                assert not np.any(np.abs(tangent[np.isinf(grad)]) < 1e9)  # at a pole it jumps
