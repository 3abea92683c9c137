"""Over several dimensions of batches a function of matrices is that of each matrix by itself, values and gradients."""

import numpy as np
import pytest

from reference import lookup

RNG = np.random.default_rng(31)
OPTIONS = {
    "linalg.matrix_power": (3,),
    "linalg.cond": ("fro",),
    "Tensor.matrix_power": (-2,),
    "linalg.matrix_norm": (2,),
}
OF_ONE = [
    *("linalg.inv", "linalg.inv_ex", "linalg.det", "linalg.slogdet", "logdet", "linalg.matrix_exp", "linalg.pinv"),
    *("linalg.cholesky", "linalg.cholesky_ex", "cholesky_inverse", "linalg.eigh", "linalg.eigvalsh", "linalg.eig"),
    *("linalg.eigvals", "linalg.svd", "linalg.svdvals", "linalg.qr", "linalg.lu", "linalg.lu_factor", "linalg.polar"),
    *("linalg.matrix_sqrth", "linalg.matrix_rank", "linalg.ldl_factor", "geqrf"),
    *("pinverse", "tril", "triu", "lu", "qr", "svd", *OPTIONS),
]
OF_TWO = {"linalg.solve": 0, "matmul": 0, "cholesky_solve": 1, "triangular_solve": 1}  # where the square matrix stands


def matrices(complex):
    """Hermitian, positive definite, with eigenvalues that lie apart."""
    basis = RNG.standard_normal((2, 3, 3, 3)) + (1j * RNG.standard_normal((2, 3, 3, 3)) if complex else 0.0)
    q = np.linalg.qr(basis)[0]
    a = q * np.array([1.0, 2.0, 4.0]) @ np.conj(q.swapaxes(-1, -2))
    return (a + np.conj(a.swapaxes(-1, -2))) / 2.0


def outputs(out):
    return list(out) if isinstance(out, tuple) else [out]


def agree(name, arrays, rest):
    out, vjp = lookup(name)(*arrays, *rest)
    outs = outputs(out)
    gs = [RNG.standard_normal(o.shape).astype(o.dtype) if o.dtype.kind in "fc" else None for o in outs]
    grads = vjp(tuple(gs) if isinstance(out, tuple) else gs[0])
    for at in np.ndindex(2, 3):
        alone, back = lookup(name)(*(a[at] for a in arrays), *rest)
        for got, want in zip(outs, outputs(alone)):
            assert np.allclose(got[at], want, rtol=1e-10, atol=1e-11)
        own = tuple(None if g is None else g[at] for g in gs)
        for got, want in zip(grads[: len(arrays)], back(own if isinstance(out, tuple) else own[0])):
            assert (got is None) == (want is None)
            assert got is None or np.allclose(got[at], want, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("name", [n for n in OF_ONE if lookup(n)])
def test_each_matrix_is_taken_by_itself(name, complex):
    agree(name, (matrices(complex),), OPTIONS.get(name, ()))


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("name", OF_TWO)
def test_each_pair_is_taken_by_itself(name, complex):
    pair = [matrices(complex)[..., :2].copy()]
    pair.insert(OF_TWO[name], matrices(complex))
    agree(name, pair, ())


@pytest.mark.parametrize("complex", [False, True])
def test_each_product_of_reflections_is_taken_by_itself(complex):
    agree("linalg.householder_product", (matrices(complex), RNG.uniform(0.5, 1.0, (2, 3, 3))), ())
