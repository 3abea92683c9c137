"""Reductions and running reductions against loops, exact arithmetic and their documented corner values."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from reference import lookup
from reference.ops import reduce

X = np.array([[0.5, -1.25, 3.0], [2.0, 0.75, -0.125]])


def value(name, *args, **kwargs):
    return lookup(name)(*args, **kwargs)[0]


def gradient(name, *args, g=None, **kwargs):
    out, vjp = lookup(name)(*args, **kwargs)
    return vjp(np.ones_like(out) if g is None else g)[0]


@pytest.mark.parametrize("dim", [0, -1, (0, 1), (-1, -2)])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "amax", "amin", "logsumexp", "linalg.vector_norm"])
def test_keepdim_only_changes_the_shape(name, dim):
    plain, kept = value(name, X, dim=dim), value(name, X, dim=dim, keepdim=True)
    over = [d % 2 for d in (dim if isinstance(dim, tuple) else (dim,))]
    assert kept.shape == tuple(1 if i in over else n for i, n in enumerate(X.shape))
    assert np.array_equal(kept.reshape(plain.shape), plain)


@pytest.mark.parametrize("name", ["sum", "mean", "nansum", "nanmean", "var", "amax", "linalg.vector_norm"])
def test_no_dimension_named_means_all_of_them(name):
    assert value(name, X, dim=()) == value(name, X) == value(name, X.reshape(-1))


def test_nothing_has_its_neutral_element():
    none = np.zeros((0, 2))
    assert value("sum", none, dim=0).tolist() == [0, 0]
    assert value("prod", none).item() == 1
    with np.errstate(all="ignore"):
        assert value("logsumexp", none, dim=0).tolist() == [-math.inf, -math.inf]
        assert math.isnan(value("mean", none)) and math.isnan(value("var", none))


def test_dtype_says_what_kind_of_numbers_come_out():
    assert value("sum", np.array([1, 2]), dtype="torch.float64").dtype == np.float64
    assert value("sum", np.array([1.7, -1.7]), dtype="torch.int64") == 0
    assert value("sum", np.array([1.5]), dtype="torch.complex128").dtype == np.complex128
    assert value("sum", np.array([True, True])) == 2
    assert gradient("sum", np.array([1.5]), dtype="complex128", g=2.0 + 1j).tolist() == [2.0]


def test_nans_are_left_out_of_nansum_and_nanmean():
    x = np.array([1.0, math.nan, 3.0])
    assert value("nansum", x) == 4 and gradient("nansum", x).tolist() == [1, 0, 1]
    assert value("nanmean", x) == 2 and gradient("nanmean", x).tolist() == [0.5, 0, 0.5]


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_the_gradient_of_a_product_is_the_product_of_the_others(zeros):
    x = np.array([0.0] * zeros + [1.5, -2.0, 0.25])
    want = [math.prod(float(v) for j, v in enumerate(x) if j != i) for i in range(len(x))]
    assert gradient("prod", x).tolist() == want
    assert gradient("prod", x, 0).tolist() == want


@pytest.mark.parametrize("correction", [0, 1, 0.5, -1])
def test_var_is_exact_arithmetic_rounded(correction):
    x = [Fraction(v) for v in X.ravel()]
    middle = sum(x) / len(x)
    exact = sum((v - middle) ** 2 for v in x) / (len(x) - Fraction(correction))
    assert value("var", X, correction=correction) == pytest.approx(float(exact), rel=4e-16)
    want = [float(2 * (v - middle) / (len(x) - Fraction(correction))) for v in x]
    assert gradient("var", X, correction=correction).ravel() == pytest.approx(want, rel=1e-14)


def test_the_overloads_of_var_agree():
    assert value("var", X, False) == value("var", X, unbiased=False) == value("var", X, correction=0)
    assert value("var", X, None, True) == value("var", X) == value("var", X, correction=None)
    assert np.array_equal(value("var", X, 1, False, True), value("var", X, 1, correction=0, keepdim=True))


def test_var_of_far_away_numbers_does_not_cancel():
    assert value("var", 1e9 + np.array([0.0, 1.0, 2.0])) == 1.0


def test_var_of_complex_numbers_is_of_both_parts():
    z = X + 1j * X[::-1]
    assert value("var", z) == pytest.approx(value("var", z.real) + value("var", z.imag))


def test_std_is_flat_where_all_elements_are_equal():
    x = np.full(3, 0.1)
    assert value("std", x) == 0 and gradient("std", x).tolist() == [0, 0, 0]


def test_var_without_a_degree_of_freedom_is_infinite_or_nan():
    with np.errstate(all="ignore"):
        assert math.isinf(value("var", X, correction=6)) and math.isnan(value("var", np.ones(1)))


@pytest.mark.parametrize("name", ["var", "std"])
def test_var_mean_is_both(name):
    (spread, middle), vjp = lookup(f"{name}_mean")(X, 1)
    assert np.array_equal(spread, value(name, X, 1)) and middle == pytest.approx(X.mean(1))
    g = np.array([1.0, -2.0])
    assert vjp((g, None))[0] == pytest.approx(gradient(name, X, 1, g=g))
    assert vjp((None, g))[0] == pytest.approx(gradient("mean", X, 1, g=g))


def test_ties_share_the_gradient_of_amax_and_max():
    x = np.array([2.0, 1.0, 2.0])
    assert gradient("amax", x).tolist() == gradient("max", x).tolist() == [0.5, 0, 0.5]
    assert gradient("amin", -x).tolist() == gradient("min", -x).tolist() == [0.5, 0, 0.5]


def test_the_first_of_ties_along_a_dimension_has_it_all():
    (values, indices), vjp = lookup("max")(np.array([[1.0, 2.0, 2.0]]), 1)
    assert values.tolist() == [2] and indices.tolist() == [1] and indices.dtype == np.int64
    assert vjp((np.ones(1), None))[0].tolist() == [[0, 1, 0]]


def test_max_of_two_is_elementwise_and_broadcasts():
    x, y = np.array([1.0, 3.0]), np.array([[2.0], [3.0]])
    for out, vjp in (lookup("max")(x, y), lookup("max")(x, other=y)):
        assert out.tolist() == [[2, 3], [3, 3]]
        left, right = vjp(np.ones((2, 2)))
        assert left.tolist() == [0, 1.5] and right.tolist() == [[1], [1.5]]


def test_the_median_is_the_lower_of_the_middle_two():
    x = np.array([4.0, 1.0, 3.0, 2.0])
    assert value("median", x) == 2 and gradient("median", x).tolist() == [0, 0, 0, 1]
    (values, indices), _ = lookup("median")(np.stack([x, -x]), 1)
    assert values.tolist() == [2, -3] and indices.tolist() == [3, 2]
    holed = np.array([math.nan, 5.0, 1.0])
    assert math.isnan(value("median", holed)) and value("nanmedian", holed) == 1


def test_running_sums_and_products_are_loops():
    for x in (np.array([1.5, -2.0, 0.0, 3.0]), np.array([0.5, 2.0, -4.0])):
        assert value("cumsum", x, 0).tolist() == list(itertools.accumulate(x))
        assert value("cumprod", x, 0).tolist() == list(itertools.accumulate(x, lambda a, b: a * b))
        g = np.arange(1.0, 1.0 + len(x))
        want = [
            sum(g[k] * math.prod(x[j] for j in range(k + 1) if j != i) for k in range(i, len(x))) for i in range(len(x))
        ]
        assert gradient("cumprod", x, 0, g=g) == pytest.approx(want, rel=1e-15)
        assert gradient("cumsum", x, 0, g=g).tolist() == np.cumsum(g[::-1])[::-1].tolist()


def test_logarithms_of_sums_of_exponentials_neither_overflow_nor_lose_digits():
    x = [-800.0, 3.0, 800.0, 799.5, 2.0]
    with mpmath.workdps(40):
        sums = [mpmath.fsum(mpmath.exp(v) for v in x[: i + 1]) for i in range(len(x))]
        want = [float(mpmath.log(s)) for s in sums]
        g = [1.0, -2.0, 0.5, 3.0, 1.0]
        slopes = [
            float(mpmath.fsum(g[k] * mpmath.exp(x[i]) / sums[k] for k in range(i, len(x)))) for i in range(len(x))
        ]
    assert value("logcumsumexp", np.array(x), 0) == pytest.approx(want, rel=1e-15)
    assert value("logsumexp", np.array(x), 0) == pytest.approx(want[-1], rel=1e-15)
    assert gradient("logcumsumexp", np.array(x), 0, g=np.array(g)) == pytest.approx(slopes, rel=1e-12, abs=1e-300)


def test_minus_infinity_is_the_logarithm_of_nothing():
    x = np.array([-math.inf, -math.inf, 1.0])
    with np.errstate(divide="ignore"):
        assert value("logcumsumexp", x, 0).tolist() == [-math.inf, -math.inf, 1.0]
        assert value("logsumexp", x[:2], 0) == -math.inf


def test_complex_logcumsumexp_follows_the_logarithm_from_its_first_term():
    x = np.array([-4.0 - 7.5j, -0.5 - 1.5j, -2.0 - 4.1j])
    y = value("logcumsumexp", x, 0)
    assert y[0] == pytest.approx(x[0]) and np.exp(y) == pytest.approx(np.cumsum(np.exp(x)))


def test_the_dtype_of_a_sum_says_what_its_terms_become():
    x = np.array([0.0, -0.5, 2.75])
    assert reduce.cast(x, "torch.bool").tolist() == [False, True, True]
    assert reduce.cast(x, "torch.int64").tolist() == [0, 0, 2] and reduce.cast(x, None) is x
    assert reduce.cast(x + 1j, "torch.float32").tolist() == x.tolist()
    assert reduce.cast(x, "torch.complex64").dtype == np.complex128


def test_the_median_of_numbers_with_a_nan_is_nan_and_its_gradient_goes_to_the_nans():
    x = np.array([1.0, math.nan, 3.0, math.nan])
    out, vjp = lookup("median")(x)
    assert math.isnan(out) and vjp(np.array(1.0))[0].tolist() == [0, 0.5, 0, 0.5]
    out, vjp = lookup("nanmedian")(x)
    assert out == 1.0 and vjp(np.array(1.0))[0].tolist() == [1, 0, 0, 0]


def test_complex_logcumsumexp_follows_the_angle_around():
    """Partial sums on a spiral, each term smaller than the sum before it: the angle grows past pi and 2 pi."""
    angles = 0.3 * np.arange(40)
    sums = 1.01 ** np.arange(40) * np.exp(1j * angles)
    terms = np.log(np.diff(sums, prepend=0.0))
    out = value("logcumsumexp", np.stack([terms, terms + 1.0]), 1)
    assert np.allclose(out.imag, angles, atol=1e-12, rtol=1e-12) and np.allclose(
        out[0].real, np.log(np.abs(sums)), atol=1e-12, rtol=1e-12
    )


def test_complex_logcumsumexp_adds_one_term_after_another():
    """log(a + b) = log a + log(1 + b / a) for the larger a of the term and the sum so far."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (3, 4, 9)) + 1j * rng.uniform(-3, 3, (3, 4, 9))
    want = x.copy()
    for place in np.ndindex(3, 4):
        for k in range(1, 9):
            a, b = x[(*place, k)], want[(*place, k - 1)]
            large, small = (a, b) if a.real >= b.real else (b, a)
            want[(*place, k)] = large + np.log(1 + np.exp(small - large))
    assert np.allclose(value("logcumsumexp", x, 2), want, atol=1e-12, rtol=1e-12)
    assert np.allclose(value("logcumsumexp", x.swapaxes(0, 2), 0), want.swapaxes(0, 2), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", ["median", "nanmedian"])
@pytest.mark.parametrize("holes", [0.0, 0.3, 0.9])
def test_medians_are_the_element_at_half_of_the_sorted_rows(name, holes):
    rng = np.random.default_rng(2)
    for n in range(1, 9):
        x = rng.standard_normal((6, n))
        x[rng.random(x.shape) < holes] = np.nan
        (values, indices), _ = lookup(name)(x, 1)
        for row, got, at in zip(x, values, indices):
            there = sorted(row[~np.isnan(row)])
            whole = len(there) == n or name == "nanmedian"
            want = there[(len(there) - 1) // 2] if there and whole else np.nan
            assert np.array_equal(got, want, equal_nan=True) and np.array_equal(row[at], got, equal_nan=True)
        flat = np.sort(x[~np.isnan(x)])
        known = flat.size and (flat.size == x.size or name == "nanmedian")
        want = flat[(flat.size - 1) // 2] if known else np.nan
        assert np.array_equal(lookup(name)(x)[0], want, equal_nan=True)


def test_running_sums_of_exponentials_take_infinities():
    inf = np.inf
    for row in ([-inf, 1.0, -inf, 2.0], [-inf, -inf, 0.0, -inf], [-inf] * 3, [1.0, inf, -inf, 0.0], [-inf, inf]):
        with np.errstate(all="ignore"):
            want = np.logaddexp.accumulate(row)
        assert np.allclose(lookup("logcumsumexp")(np.array(row), 0)[0], want, rtol=1e-15, atol=1e-15)
        assert np.allclose(lookup("logsumexp")(np.array(row), 0)[0], want[-1], rtol=1e-15, atol=1e-15)
