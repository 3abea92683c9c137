"""Decompositions by randomized or iterative methods, on matrices of which they promise to be right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, numbers

SINGULAR = (4.0, 2.0, 1.0)
WEIGHTS = (1.0, -2.0, 3.0)
MEANS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)  # of the columns
LEVELS = {"float32": 2, "float64": 2}


def orthonormal(rows: int, columns: int, seed: int) -> np.ndarray:
    """Columns of length one at right angles to each other and to the vector of ones."""
    drawn = np.random.default_rng(seed).normal(size=(rows, columns + 1))
    drawn[:, 0] = 1.0
    return np.linalg.qr(drawn)[0][:, 1:]


def low_rank(
    device: torch.device, dtype: torch.dtype, decompose: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    means: tuple[float, ...] = (0.0,),
) -> None:  # fmt: skip
    """A matrix of rank 3 comes back from its factors; the gradient of singular value k is u_k v_k^T.

    The range of a matrix whose rank is not above q is found exactly, so rounding is all that is left. Its size is
    that of the largest singular value over the least, for each of the passes.
    """
    left, right = orthonormal(9, 3, 1), orthonormal(7, 3, 2)
    a = torch.tensor((left * SINGULAR) @ right.T + means, dtype=dtype, device=device, requires_grad=True)
    u, s, v = decompose(a)
    room = 16.0 * SINGULAR[0]
    close(s, np.array(SINGULAR), "singular values", room)
    close(u * s @ v.T, (left * SINGULAR) @ right.T, "the product of the factors", room)
    for name, factor in (("U", u), ("V", v)):
        close(factor.T @ factor, np.eye(3), f"{name}^T {name}", room)
    (g,) = torch.autograd.grad(s, a, torch.tensor(WEIGHTS, dtype=dtype, device=device))
    close(g, (left * WEIGHTS) @ right.T, "gradient of the singular values", room)


@promise("tensors", "svd_lowrank", levels=LEVELS)
def low_rank_matrices_are_decomposed(device: torch.device, dtype: torch.dtype) -> None:
    """svd_lowrank gives U, S, V with A = U diag(S) V^H for a matrix whose rank is at most q; M is subtracted first."""
    torch.manual_seed(0)
    low_rank(device, dtype, lambda a: torch.svd_lowrank(a, q=3))
    low_rank(device, dtype, lambda a: torch.svd_lowrank(a, q=3, niter=1, M=a.new_tensor(MEANS).expand_as(a)), MEANS)


@promise("tensors", "pca_lowrank", levels=LEVELS)
def columns_are_centred_before_their_components(device: torch.device, dtype: torch.dtype) -> None:
    """pca_lowrank decomposes the matrix less the means of its columns, unless center is False."""
    torch.manual_seed(0)
    low_rank(device, dtype, lambda a: torch.pca_lowrank(a, q=3), MEANS)
    low_rank(device, dtype, lambda a: torch.pca_lowrank(a, q=3, center=False))


@promise("tensors", "lobpcg", levels=LEVELS)
def extreme_eigenpairs_have_small_residuals(device: torch.device, dtype: torch.dtype) -> None:
    """lobpcg iterates until |A x - l B x| is below tol (|A| + |l| |B|) |x|; largest says which end of the spectrum.

    An eigenvalue of a symmetric A is then as near to l as its residual is long, times the condition of B.
    """
    torch.manual_seed(0)
    values = np.array([12.0, 10.0, 6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5])
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(12, 12)))[0]
    weights = np.linspace(1.0, 2.0, 12)
    tol = 1e-3 if dtype == torch.float32 else 1e-9
    for b in (np.eye(12), np.diag(weights)):
        root = np.sqrt(np.diag(b))
        a = root[:, None] * ((turn * values) @ turn.T) * root
        given, scale = (torch.tensor(m, dtype=dtype, device=device) for m in (a, b))
        for largest, wants in ((True, values[:2]), (False, values[:-3:-1])):
            found, x = torch.lobpcg(given, k=2, B=scale, niter=200, tol=tol, largest=largest)
            pair, vectors = numbers(found), numbers(x)
            residual = np.linalg.norm(a @ vectors - b @ vectors * pair, axis=0)
            allowed = tol * (np.linalg.norm(a) + np.abs(pair) * np.linalg.norm(b)) * np.linalg.norm(vectors, axis=0)
            assert (residual <= 2.0 * allowed).all(), f"residuals {residual}, allowed {allowed}"
            off = np.abs(pair - wants)
            assert (off <= 4.0 * allowed).all(), f"got {pair}, want {wants}, allowed {4.0 * allowed}"


@promise("tensors", "histogramdd", levels=LEVELS)
def points_are_counted_in_their_cells(device: torch.device, dtype: torch.dtype) -> None:
    """histogramdd counts points by cell, in each dimension from an edge on up to the next, the last one included.

    Weights are added instead; density divides by the sum and the volume; the edges are returned.
    """
    x = np.array([[0.0, 0.5], [1.0, 1.0], [0.25, 1.5], [2.0, 2.0], [1.5, 0.0], [2.0, 0.0], [3.0, 1.0]])
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    points, weights = (torch.tensor(a, dtype=dtype, device=device) for a in (x, weight))
    edges = [np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0, 2.0])]
    given = [torch.tensor(e, dtype=dtype, device=device) for e in edges]
    for options in ({}, {"weight": weights}, {"weight": weights, "density": True}):
        named = {"weights": weight} if "weight" in options else {}
        want = np.histogramdd(x, edges, density="density" in options, **named)[0]
        found = torch.histogramdd(points, given, **options)
        close(found.hist, want, f"histogram with {sorted(options)}")
        for got, edge in zip(found.bin_edges, edges):
            close(got, edge, "edges")
    found = torch.histogramdd(points, [2, 3], range=[0.0, 2.0, 0.0, 3.0])
    close(found.hist, np.histogramdd(x, [2, 3], [(0.0, 2.0), (0.0, 3.0)])[0], "histogram of even cells")
