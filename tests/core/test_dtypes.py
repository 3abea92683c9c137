"""Rounding in NumPy is torch's own conversion, bit for bit. (Rounding is IEEE's: here torch may be the witness.)"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conformance.dtypes import DTYPES, Dtype

REAL = [d for d in DTYPES.values() if not d.complex]
NARROW = [d for d in REAL if d.digits < 53]
COMPLEX = [d for d in DTYPES.values() if d.complex]


def converted(x: np.ndarray, dtype: Dtype) -> np.ndarray:
    """By torch; from float32 where that is wide enough, since torch goes there through float32 anyway."""
    return torch.from_numpy(x.astype(wide(dtype))).to(getattr(torch, dtype.name)).to(torch.float64).numpy()


def wide(dtype: Dtype) -> type:
    return np.float64 if dtype.digits > 11 else np.float32


def held(x: np.ndarray, dtype: Dtype) -> np.ndarray:
    """x as the dtype from which torch converts holds it."""
    with np.errstate(over="ignore"):
        return x.astype(wide(dtype)).astype(np.float64)


def assert_same_bits(got: np.ndarray, want: np.ndarray) -> None:
    assert np.array_equal(np.isnan(got), np.isnan(want))
    got, want = (np.where(np.isnan(a), 0.0, a) for a in (got, want))
    wrong = np.flatnonzero(got.view(np.int64) != want.view(np.int64))
    assert not wrong.size, (got[wrong[:3]], want[wrong[:3]])


def numbers_of(dtype: Dtype, rng: np.random.Generator) -> np.ndarray:
    """Random numbers of the dtype over its whole range, subnormal ones among them."""
    low, high = np.log2(dtype.smallest), np.log2(dtype.largest)
    steps = 2.0 ** np.floor(rng.uniform(low, high - dtype.digits, 4000))
    return rng.choice([-1.0, 1.0], 4000) * steps * rng.integers(1, 2**dtype.digits, 4000)


@pytest.mark.parametrize("dtype", REAL, ids=lambda d: d.name)
def test_random_numbers_of_every_size_round_as_torch_rounds_them(dtype):
    rng = np.random.default_rng(0)
    x = held(numbers_of(dtype, rng) * rng.uniform(0.9, 1.1, 4000), dtype)
    assert_same_bits(dtype.round(x), converted(x, dtype))


@pytest.mark.parametrize("dtype", REAL, ids=lambda d: d.name)
def test_a_number_of_the_dtype_stays_what_it_is(dtype):
    x = numbers_of(dtype, np.random.default_rng(1))
    assert_same_bits(dtype.round(x), x)


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: d.name)
def test_a_tie_goes_to_the_even_neighbour(dtype):
    whole = np.arange(2 ** (dtype.digits - 1), 2 ** (dtype.digits - 1) + 200) + 0.5  # half way between two
    ties = np.concatenate([whole, -whole, whole * 2.0**-20])
    assert_same_bits(dtype.round(ties), converted(ties, dtype))
    assert np.all(dtype.round(whole) % 2 == 0)


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: d.name)
def test_subnormal_numbers_are_multiples_of_the_smallest(dtype):
    x = held(
        dtype.smallest * np.concatenate([np.arange(-9, 9, 0.25), np.arange(0, 2.0 ** min(dtype.digits, 12), 0.5)]),
        dtype,
    )
    x = np.concatenate([x, [np.nextafter(np.float32(0), np.float32(1)), 0.0, -0.0]])
    got = dtype.round(x)
    assert_same_bits(got, converted(x, dtype))
    assert np.all(got / dtype.smallest % 1 == 0)


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: d.name)
def test_what_is_beyond_the_largest_number_becomes_infinite(dtype):
    limit = (dtype.largest + 2 * dtype.largest / (2 - dtype.eps)) / 2  # half way to what would be the next number
    x = held(np.array([dtype.largest, limit, limit * (1 - 1e-7), limit * (1 + 1e-6), 2 * dtype.largest, np.inf]), dtype)
    x = np.concatenate([x, -x, [np.nan]])
    got = dtype.round(x)
    assert_same_bits(got, converted(x, dtype))
    assert got[0] == dtype.largest and np.isinf(got[3]) and got[6] == -dtype.largest and np.isnan(got[-1])


def test_bfloat16_is_rounded_once_and_not_through_float32():
    x = np.array([1 + 2.0**-8 + 2.0**-40])  # through float32 this is a tie, and would go down
    assert DTYPES["bfloat16"].round(x) == 1 + 2.0**-7


@pytest.mark.parametrize("dtype", COMPLEX, ids=lambda d: d.name)
def test_each_part_of_a_complex_number_is_rounded_by_itself(dtype):
    rng = np.random.default_rng(2)
    parts = np.concatenate([rng.normal(size=200), [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-9]]), rng.normal(size=206)
    for re, im in (parts, parts[::-1]):
        z = np.empty(206, np.complex128)
        z.real, z.imag = re, im
        got = dtype.round(z)
        assert_same_bits(got.real.copy(), dtype.real.round(re))
        assert_same_bits(got.imag.copy(), dtype.real.round(im))


def test_shapes_stay_what_they_are():
    for dtype in DTYPES.values():
        for shape in ((), (0,), (2, 0, 3), (2, 3)):
            assert dtype.round(np.zeros(shape, complex if dtype.complex else float)).shape == shape


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=lambda d: d.name)
def test_limits_are_torchs(dtype):
    info = torch.finfo(getattr(torch, dtype.name))
    assert (dtype.eps, dtype.largest) == (info.eps, info.max)
    assert dtype.smallest == info.smallest_normal * info.eps


def test_each_complex_dtype_has_its_real_one_and_bfloat16_has_no_complex_one():
    assert {d.name: d.real.name for d in COMPLEX} == {
        "complex128": "float64", "complex64": "float32", "complex32": "float16",
    }  # fmt: skip
    assert all(d.real.with_complex is d for d in COMPLEX)
    assert DTYPES["bfloat16"].with_complex is None
