"""Tables of rows: lookups and bags, against loops over the definition."""

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(3)
TABLE = RNG.standard_normal((5, 3))
INDEX = np.array([0, 4, 4, 1, 2, 2, 2])
OFFSETS = np.array([0, 3, 3, 4])  # three entries, none, one, three


def reduced(rows, mode):
    if not len(rows):
        return np.zeros(3)
    return {"sum": np.sum, "mean": np.mean, "max": np.max}[mode](rows, axis=0)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_a_bag_is_its_rows_without_padding(mode, padding_idx):
    out, _ = lookup("nn.functional.embedding_bag")(INDEX, TABLE, OFFSETS, mode=mode, padding_idx=padding_idx)
    pad = None if padding_idx is None else padding_idx % 5
    bags = [[i for i in INDEX[a:b] if i != pad] for a, b in zip(OFFSETS, [*OFFSETS[1:], 7])]
    assert np.allclose(out, [reduced(TABLE[bag], mode) for bag in bags], rtol=1e-14, atol=1e-14)


def test_offsets_with_their_end_and_rows_of_bags_say_the_same():
    bag = lookup("nn.functional.embedding_bag")
    index = INDEX[:6]
    plain, _ = bag(index, TABLE, np.array([0, 2, 4]))
    ended, _ = bag(index, TABLE, np.array([0, 2, 4, 6]), include_last_offset=True)
    square, _ = bag(index.reshape(3, 2), TABLE)
    assert np.array_equal(plain, ended) and np.array_equal(plain, square)


def test_weights_of_samples_multiply_their_rows():
    factors = RNG.standard_normal(7)
    out, vjp = lookup("nn.functional.embedding_bag")(INDEX, TABLE, OFFSETS, mode="sum", per_sample_weights=factors)
    assert np.allclose(out[0], factors[:3] @ TABLE[INDEX[:3]], rtol=1e-12, atol=1e-12)
    g = RNG.standard_normal(out.shape)
    _, _, _, by_factor = vjp(g)
    assert np.allclose(by_factor[4:], TABLE[2] @ g[3], rtol=1e-12, atol=1e-12)


def test_a_bag_takes_its_arguments_in_the_old_order_too_with_the_same_gradients():
    bag, factors, g = (
        lookup("nn.functional.embedding_bag"),
        np.arange(1.0, 1.0 + len(INDEX)),
        RNG.standard_normal((4, 3)),
    )
    options = dict(mode="sum", per_sample_weights=factors)
    (out, vjp), (old, of_old) = bag(INDEX, TABLE, OFFSETS, **options), bag(TABLE, INDEX, OFFSETS, **options)
    _, to_table, _, to_factors = vjp(g)
    assert np.array_equal(out, old)
    assert np.array_equal(to_table, of_old(g)[0]) and np.array_equal(to_factors, of_old(g)[3])


def test_the_gradient_of_a_maximum_goes_to_the_first_of_equal_rows():
    _, vjp = lookup("nn.functional.embedding_bag")(np.array([1, 0]), np.ones((2, 1)), np.array([0]), mode="max")
    assert vjp(np.ones((1, 1)))[1].tolist() == [[0.0], [1.0]]


def test_a_frequent_row_gets_its_share_of_the_gradient():
    for name, args in (("nn.functional.embedding_bag", (INDEX, TABLE)), ("nn.functional.embedding", (INDEX, TABLE))):
        options = dict(offsets=OFFSETS, mode="sum") if "bag" in name else {}
        plain, by_count = (
            lookup(name)(*args, scale_grad_by_freq=s, **options)[1](np.ones((4 if "bag" in name else 7, 3)))[1]
            for s in (False, True)
        )
        counts = np.bincount(INDEX, minlength=5)
        assert np.allclose(by_count * np.maximum(counts, 1)[:, None], plain, rtol=1e-12, atol=1e-12)


def test_long_rows_are_shortened_in_the_table_itself():
    table = np.array([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])
    lookup("nn.functional.embedding_bag")(np.array([[0, 1]]), table, max_norm=1.0)
    # the norm has 1e-7 added before it divides
    assert np.allclose(table, [[0.6, 0.8], [0.3, 0.4], [30.0, 40.0]], rtol=1e-7, atol=0)


def test_the_builtin_takes_the_weight_first():
    out, vjp = lookup("embedding")(TABLE, INDEX, padding_idx=4)
    assert np.array_equal(out, TABLE[INDEX])
    assert not vjp(np.ones(out.shape))[0][4].any()
    outs, _ = lookup("embedding_bag")(TABLE, INDEX, OFFSETS, mode=1)
    assert np.array_equal(outs[0], lookup("nn.functional.embedding_bag")(INDEX, TABLE, OFFSETS)[0])
    assert outs[1].tolist() == [0, 0, 0, 2, 3, 3, 3] and outs[2].tolist() == [3, 0, 1, 3]
