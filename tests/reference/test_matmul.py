"""Products against loops over every index, and against each other."""

import itertools

import numpy as np
import pytest

from conformance.draws import SeededDraw
from reference import lookup
from reference.ops.contraction import EQUATIONS, einsum_cases, parse

RNG = np.random.default_rng(0)


def loops(labels, out, arrays):
    """The sum over every assignment of the labels, element by element."""
    sizes = {}
    for names, a in zip(labels, arrays):
        for l, n in zip(names, a.shape):
            sizes[l] = max(n, sizes.get(l, 1)) if n else 0
    total = np.zeros([sizes[l] for l in out], np.result_type(*arrays))
    for place in itertools.product(*(range(n) for n in sizes.values())):
        at = dict(zip(sizes, place))
        term = 1
        for names, a in zip(labels, arrays):
            term = term * a[tuple(at[l] if n != 1 else 0 for l, n in zip(names, a.shape))]
        total[tuple(at[l] for l in out)] += term
    return total


@pytest.mark.parametrize("seed", range(150))
def test_einsum_is_a_sum_over_all_indices(seed):
    equation, *arrays = einsum_cases(SeededDraw(seed, complex=seed % 2 == 1)).args
    arrays = arrays[0] if isinstance(arrays[0], list) else arrays
    labels, out = parse(equation, [a.ndim for a in arrays])
    got = lookup("einsum")(equation, *arrays)[0]
    assert got == pytest.approx(loops(labels, out, arrays), rel=1e-12, abs=1e-12)


def test_einsum_covers_what_its_equations_spell():
    drawn = {einsum_cases(SeededDraw(seed)).args[0] for seed in range(1000)}
    assert drawn == set(EQUATIONS)


def test_einsum_without_arrow_sorts_the_labels_that_occur_once():
    assert parse("ba", [2])[1] == ["a", "b"] and parse("bA", [2])[1] == ["A", "b"]
    assert parse("ij,jk", [2, 2])[1] == ["i", "k"] and parse("ii", [2])[1] == []


def test_einsum_takes_operands_as_a_list_or_with_numbered_labels():
    a, b, g = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal((2, 4))
    out, vjp = lookup("einsum")("ij,jk->ik", a, b)
    left, right = vjp(g)
    listed, by_list = lookup("einsum")("ij,jk->ik", [a, b])
    assert np.array_equal(listed, out) and np.array_equal(by_list(g)[0][1], right)
    for last in ([[0, 27]], []):
        numbered, by_number = lookup("einsum")(a, [0, 1], b, [1, 27], *last)
        assert np.array_equal(numbered, out)
        assert np.array_equal(by_number(g)[0], left) and np.array_equal(by_number(g)[1], right)
    assert np.array_equal(lookup("einsum")(a, [..., 1], [1, ...])[0], a.T)


def test_an_ellipsis_that_the_output_leaves_out_is_summed():
    x = RNG.standard_normal((2, 3, 4))
    assert lookup("einsum")("...i->i", x)[0] == pytest.approx(x.sum((0, 1)))


SAME = [
    ("mm", ((2, 3), (3, 4))),
    ("bmm", ((5, 2, 3), (5, 3, 4))),
    ("mv", ((2, 3), (3,))),
    ("dot", ((3,), (3,))),
    ("vdot", ((3,), (3,))),
    ("linalg.vecdot", ((3,), (3,))),
    ("inner", ((3,), (3,))),
]


@pytest.mark.parametrize("name, shapes", SAME)
def test_the_special_products_are_matmul(name, shapes):
    a, b = (RNG.standard_normal(s) for s in shapes)
    (left, by_left), (right, by_right) = lookup("matmul")(a, b), lookup(name)(a, b)
    g = RNG.standard_normal(left.shape)
    assert right == pytest.approx(left)
    for p, q in zip(by_left(g), by_right(g)):
        assert q == pytest.approx(p)


@pytest.mark.parametrize("a, b", [((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3, 4)), ((1, 2, 3), (4, 3, 2))])
def test_matmul_is_a_sum_over_the_inner_index(a, b):
    x, y = RNG.standard_normal(a), RNG.standard_normal(b)
    equation = {1: "j", 2: "ij", 3: "bij"}[len(a)] + "," + {1: "j", 2: "jk", 3: "bjk"}[len(b)]
    out = "".join(l for l in "bik" if l in equation)
    assert lookup("matmul")(x, y)[0] == pytest.approx(lookup("einsum")(f"{equation}->{out}", x, y)[0])


def test_vdot_conjugates_its_first_argument():
    assert lookup("vdot")(np.array([1j]), np.array([2.0 + 0j]))[0] == -2j
    assert lookup("dot")(np.array([1j]), np.array([2.0 + 0j]))[0] == 2j


def test_inner_contracts_the_last_dimensions():
    a, b = RNG.standard_normal((2, 3)), RNG.standard_normal((4, 5, 3))
    assert lookup("inner")(a, b)[0] == pytest.approx(np.inner(a, b))
    assert lookup("inner")(a, np.array(2.0))[0] == pytest.approx(2 * a)


@pytest.mark.parametrize("dims", [0, 1, 2, ([0, 1], [-3, 1]), ([-1], [0]), np.array(1), np.array([[1], [0]])])
def test_tensordot_is_numpys(dims):
    a, b = RNG.standard_normal((3, 3)), RNG.standard_normal((3, 3, 2))
    plain = dims if not isinstance(dims, np.ndarray) else 1
    assert lookup("tensordot")(a, b, dims=dims)[0] == pytest.approx(np.tensordot(a, b, plain))


def test_kron_is_numpys_also_between_different_numbers_of_dimensions():
    for a, b in (((2, 3), (4,)), ((2,), (3, 2)), ((), (2, 2)), ((2, 1, 2), (2, 3))):
        x, y = RNG.standard_normal(a), RNG.standard_normal(b)
        assert lookup("kron")(x, y)[0] == pytest.approx(np.kron(x, y))


def test_multi_dot_is_the_chain_of_products():
    arrays = [RNG.standard_normal(s) for s in ((3,), (3, 4), (4, 2), (2,))]
    assert lookup("linalg.multi_dot")(arrays)[0] == pytest.approx(np.linalg.multi_dot(arrays))


def test_linear_and_bilinear_are_einsums():
    x, w, b = RNG.standard_normal((2, 5, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal(4)
    assert lookup("nn.functional.linear")(x, w, b)[0] == pytest.approx(np.einsum("abi,oi->abo", x, w) + b)
    assert lookup("nn.functional.linear")(x[0], w[0])[0] == pytest.approx(x[0] @ w[0])
    y, v = RNG.standard_normal((2, 5, 2)), RNG.standard_normal((4, 3, 2))
    want = np.einsum("abi,oij,abj->abo", x, v, y) + b
    assert lookup("nn.functional.bilinear")(x, y, v, b)[0] == pytest.approx(want)


@pytest.mark.parametrize(
    "name, shapes, equation",
    [
        ("addmm", ((4,), (2, 3), (3, 4)), "ij,jk->ik"),
        ("addmv", ((), (2, 3), (3,)), "ij,j->i"),
        ("addr", ((2, 1), (2,), (3,)), "i,j->ij"),
        ("baddbmm", ((1, 4), (5, 2, 3), (5, 3, 4)), "bij,bjk->bik"),
        ("addbmm", ((2, 4), (5, 2, 3), (5, 3, 4)), "bij,bjk->ik"),
    ],
)
def test_the_addmm_family_is_beta_x_plus_alpha_product(name, shapes, equation):
    x, a, b = (RNG.standard_normal(s) for s in shapes)
    y = np.einsum(equation, a, b)
    assert lookup(name)(x, a, b)[0] == pytest.approx(x + y)
    assert lookup(name)(x, a, b, beta=0.5, alpha=-2)[0] == pytest.approx(0.5 * x - 2 * y)
    out, vjp = lookup(name)(np.full(x.shape, np.nan), a, b, beta=0)
    assert out == pytest.approx(y)
    assert vjp(np.ones_like(out))[0].tolist() == np.zeros(x.shape).tolist()


def test_each_of_the_52_numbered_labels_is_one_of_its_own():
    a = RNG.standard_normal((2, 3))
    for p in range(52):
        for q in {(p + 1) % 52, (p + 26) % 52, 51 - p}:
            assert np.array_equal(lookup("einsum")(a, [p, q], [q, p])[0], a.T)
